# SPDX-License-Identifier: Apache-2.0
# v2x-script: power 2
#
# Tells or changes the power state, the automatic start and the checkpoints of ours of one virtual machine, and answers
# with one JSON document, schema v2x.hyperv.power/1: what is now, and under "before" what was changed. The only changes:
#
#     state                      none
#     shutdown                   the guest is asked to shut down; it is never turned off
#     start                      Start-VM, or its cluster role
#     autostart -Value <action>  AutomaticStartAction: Nothing, StartIfRunning or Start
#     offline                    its cluster role is taken offline, and stays so until somebody starts it
#     priority -Value <number>   the priority of its cluster role: 3000, 2000, 1000, or 0 for no automatic start
#     checkpoint -Value <name>   a checkpoint of that name, of the kind that the machine is set to
#     drop -Value <name>         removes the checkpoint of that name; only names that begin with "v2x "
#
# `offline` does nothing unless the machine is off: a running one would be saved or turned off by it.
param(
    [Parameter(Mandatory = $true)][ValidateSet('state', 'shutdown', 'start', 'autostart', 'offline',
        'priority', 'checkpoint', 'drop')][string]$Action,
    [Parameter(Mandatory = $true)][guid]$Id,
    [string]$Value = ''
)

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
Set-StrictMode -Off

# The role is found by the machine's identifier: names are not unique and may be changed.
function Get-Role {
    if (-not (Microsoft.PowerShell.Core\Get-Command -Name 'Get-ClusterGroup' -ErrorAction SilentlyContinue)) { return }
    $service = Get-Service -Name ClusSvc -ErrorAction SilentlyContinue
    if (-not $service -or [string]$service.Status -ne 'Running') { return }
    foreach ($resource in @(Get-ClusterResource | Where-Object { [string]$_.ResourceType -eq 'Virtual Machine' })) {
        $parameter = $resource | Get-ClusterParameter -Name VmID
        if ([string]$parameter.Value -eq [string]$Id) { return (Get-ClusterGroup -Name ([string]$resource.OwnerGroup)) }
    }
}

# The disks of a checkpoint are the files that it froze.
function Get-Ours($now) {
    foreach ($one in @(Get-VMSnapshot -VM $now | Where-Object { ([string]$_.Name).StartsWith('v2x ') })) {
        @{ id = [string]$one.Id; name = [string]$one.Name
           created = ([datetime]$one.CreationTime).ToUniversalTime().ToString('o')
           disks = @(@(Get-VMHardDiskDrive -VMSnapshot $one) | ForEach-Object {
               @{ controllerType = [string]$_.ControllerType; controllerNumber = [int]$_.ControllerNumber
                  location = [int]$_.ControllerLocation; path = [string]$_.Path }
           }) }
    }
}

function Get-Answer($before) {
    $now = Get-VM -Id $Id
    $known = @{}
    $recovery = @(Get-VMSnapshot -VM $now)
    $recovery += @(Get-VMSnapshot -VM $now -SnapshotType Recovery -ErrorAction SilentlyContinue)
    foreach ($one in $recovery) {
        if ($one -and [string]$one.SnapshotType -eq 'Recovery') { $known[[string]$one.Id] = [string]$one.Name }
    }
    $role = Get-Role
    @{
        schema = 'v2x.hyperv.power/1'; action = $Action; id = [string]$now.Id; name = [string]$now.Name
        host = [string]$now.ComputerName; state = [string]$now.State
        operationalStatus = @($now.OperationalStatus | ForEach-Object { [string]$_ })
        startAction = [string]$now.AutomaticStartAction; recoveryCheckpoints = @($known.Values)
        checkpoints = @(Get-Ours $now)
        role = $(if ($role) {
            @{ name = [string]$role.Name; state = [string]$role.State; owner = [string]$role.OwnerNode
               priority = [int]$role.Priority }
        } else { $null })
        before = $before
    }
}

$vm = Get-VM -Id $Id
$before = @{}
switch ($Action) {
    'shutdown' {
        $before.state = [string]$vm.State
        if ($before.state -eq 'Running') { Stop-VM -VM $vm -Confirm:$false }
    }
    'start' {
        $before.state = [string]$vm.State
        $role = Get-Role
        if ($role) { [void](Start-ClusterGroup -InputObject $role) } else { Start-VM -VM $vm }
    }
    'autostart' {
        $before.startAction = [string]$vm.AutomaticStartAction
        Set-VM -VM $vm -AutomaticStartAction $Value
    }
    'offline' {
        $role = Get-Role
        if ($role -and [string]$vm.State -eq 'Off') {
            $before.roleState = [string]$role.State
            if ($before.roleState -ne 'Offline') { [void](Stop-ClusterGroup -InputObject $role) }
        }
    }
    'priority' {
        $role = Get-Role
        if ($role) {
            $before.priority = [int]$role.Priority
            $role.Priority = [int]$Value
        }
    }
    'checkpoint' { $before.checkpoint = [string](Checkpoint-VM -VM $vm -SnapshotName $Value -Passthru).Id }
    'drop' {
        if (-not $Value.StartsWith('v2x ')) { throw 'not a checkpoint of v2x' }
        $ours = @(Get-VMSnapshot -VM $vm | Where-Object { [string]$_.Name -eq $Value })
        foreach ($one in $ours) { Remove-VMSnapshot -VMSnapshot $one -Confirm:$false }
        $before.dropped = $ours.Count
    }
}
ConvertTo-Json -InputObject (Get-Answer $before) -Depth 5 -Compress
