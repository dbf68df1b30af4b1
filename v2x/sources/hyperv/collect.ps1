# SPDX-License-Identifier: Apache-2.0
# v2x-script: collect 1
#
# Describes the virtual machines of this Hyper-V host as one JSON document, schema v2x.hyperv/1. Read-only: it changes
# nothing and opens no guest disk for writing. Windows PowerShell 4.0 (2012 R2) and later; the Hyper-V module is all it
# needs, and the modules FailoverClusters and SmbShare are asked where they are there.
#
#     .\collect.ps1 -OutFile inventory.json         in an elevated PowerShell; then: v2x assess inventory.json
#     .\collect.ps1 -Id <VM id>,<VM id>             only these machines
#
# Every question is asked on its own: one that has no answer gives a line in "warnings" and nothing else is lost.
# Enumerations are written as their names and times as ISO 8601 in UTC: the bare objects differ between versions.
param([string]$OutFile = '', [string[]]$Id = @())

$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
Set-StrictMode -Off

$warnings = New-Object System.Collections.ArrayList
function Add-Problem([string]$about, $record) {
    # Messages are in the host's language; only the identifier may be relied on.
    [void]$warnings.Add(@{ subject = $about; text = [string]$record.Exception.Message
                           id = [string]$record.FullyQualifiedErrorId })
}
function Ask([string]$askAbout, [scriptblock]$askBlock) {
    try { & $askBlock } catch { Add-Problem $askAbout $_ }
}
# With its module's name: a JEA endpoint has a Get-Command of its own, which knows less.
function Test-Has([string]$command) {
    [bool](Microsoft.PowerShell.Core\Get-Command -Name $command -ErrorAction SilentlyContinue)
}
function Text($value) { if ($null -eq $value) { $null } else { [string]$value } }
function Number($value) { if ($null -eq $value) { $null } else { [int64]$value } }
function Flag($value) { if ($null -eq $value) { $null } else { [bool]$value } }
function When($value) { if ($null -eq $value) { $null } else { ([datetime]$value).ToUniversalTime().ToString('o') } }
function First($one, $other) { if ($null -ne $one) { $one } else { $other } }

function Get-FileFacts([string]$path) {
    $file = Get-Item -LiteralPath $path -Force
    @{ length = Number $file.Length; written = When $file.LastWriteTimeUtc }
}

# A disk and its parents, the file in use first. A file that cannot be read ends the list with the reason in it.
function Get-DiskChain([string]$path) {
    $seen = 0
    while ($path -and $seen -lt 64) {
        $seen++
        try { $vhd = Get-VHD -Path $path } catch {
            Add-Problem $path $_
            $there = Ask $path { Test-Path -LiteralPath $path -PathType Leaf }
            @{ path = $path; error = [string]$_.Exception.Message; there = Flag $there }
            return
        }
        $file = Ask $path { Get-FileFacts $path }
        @{ path = Text $vhd.Path; format = Text $vhd.VhdFormat; type = Text $vhd.VhdType; size = Number $vhd.Size
           fileSize = Number $vhd.FileSize; blockSize = Number $vhd.BlockSize
           logicalSector = Number $vhd.LogicalSectorSize; physicalSector = Number $vhd.PhysicalSectorSize
           parent = Text $vhd.ParentPath; diskIdentifier = Text $vhd.DiskIdentifier; attached = Flag $vhd.Attached
           rctId = Text $vhd.RctId; length = $file.length; written = $file.written }
        $path = [string]$vhd.ParentPath
    }
}

function Get-Disks($vm) {
    foreach ($drive in @(Get-VMHardDiskDrive -VM $vm)) {
        $chain = @()
        if ($null -eq $drive.DiskNumber -and $drive.Path) { $chain = @(Get-DiskChain $drive.Path) }
        @{ id = Text $drive.Id; controllerType = Text $drive.ControllerType
           controllerNumber = Number $drive.ControllerNumber; location = Number $drive.ControllerLocation
           path = Text $drive.Path; diskNumber = Number $drive.DiskNumber; maximumIops = Number $drive.MaximumIOPS
           shared = Flag $drive.SupportPersistentReservations; chain = @($chain) }
    }
}

function Get-Nics($vm) {
    foreach ($nic in @(Get-VMNetworkAdapter -VM $vm)) {
        $vlan = Ask "$($vm.Name): VLAN of $($nic.Name)" { Get-VMNetworkAdapterVlan -VMNetworkAdapter $nic }
        $isolation = $null
        if ($hasIsolation -and -not $nic.IsLegacy) {
            $isolation = Ask "$($vm.Name): isolation of $($nic.Name)" {
                Get-VMNetworkAdapterIsolation -VMNetworkAdapter $nic
            }
        }
        @{ id = Text $nic.Id; name = Text $nic.Name; legacy = Flag $nic.IsLegacy; mac = Text $nic.MacAddress
           dynamicMac = Flag $nic.DynamicMacAddressEnabled; macSpoofing = Text $nic.MacAddressSpoofing
           switchName = Text $nic.SwitchName; switchId = Text $nic.SwitchId; connected = Flag $nic.Connected
           iovWeight = Number $nic.IovWeight; teaming = Text $nic.AllowTeaming
           maximumBandwidth = Number $nic.BandwidthSetting.MaximumBandwidth
           addresses = @($nic.IPAddresses | ForEach-Object { [string]$_ })
           vlanMode = Text $vlan.OperationMode; accessVlan = Number $vlan.AccessVlanId
           nativeVlan = Number $vlan.NativeVlanId; allowedVlans = Text $vlan.AllowedVlanIdListString
           privateVlanMode = Text $vlan.PrivateVlanMode; primaryVlan = Number $vlan.PrimaryVlanId
           secondaryVlan = Number $vlan.SecondaryVlanId
           secondaryVlans = Text $vlan.SecondaryVlanIdListString
           isolationMode = Text $isolation.IsolationMode; isolationId = Number $isolation.DefaultIsolationID }
    }
}

# A backup's recovery checkpoint is not always listed beside the others: it is asked for by its type as well.
function Get-Checkpoints($vm) {
    $known = @{}
    $found = @(Get-VMSnapshot -VM $vm) + @(Ask "$($vm.Name): recovery checkpoints" {
        Get-VMSnapshot -VM $vm -SnapshotType Recovery
    })
    foreach ($one in $found) {
        if (-not $one -or $known[[string]$one.Id]) { continue }
        $known[[string]$one.Id] = $true
        @{ id = Text $one.Id; name = Text $one.Name; type = Text $one.SnapshotType; created = When $one.CreationTime
           parentId = Text (First $one.ParentCheckpointId $one.ParentSnapshotId); notes = Text $one.Notes
           state = Text $one.State }
    }
}

# The guest's own words: each is a small XML document, by name and text.
function Get-GuestItems($component) {
    $items = @{}
    foreach ($item in @($component.GuestIntrinsicExchangeItems)) {
        if (-not $item) { continue }
        $document = New-Object System.Xml.XmlDocument
        $document.XmlResolver = $null
        $document.LoadXml([string]$item)
        $name = $document.SelectSingleNode("/INSTANCE/PROPERTY[@NAME='Name']/VALUE")
        $data = $document.SelectSingleNode("/INSTANCE/PROPERTY[@NAME='Data']/VALUE")
        if ($name) { $items[$name.InnerText] = $(if ($data) { [string]$data.InnerText } else { '' }) }
    }
    $items
}

function Get-Firmware($vm) {
    if ($vm.Generation -lt 2) {
        $bios = Get-VMBios -VM $vm
        return @{ startupOrder = @($bios.StartupOrder | ForEach-Object { [string]$_ }) }
    }
    $firmware = Get-VMFirmware -VM $vm
    @{ secureBoot = Text $firmware.SecureBoot; template = Text $firmware.SecureBootTemplate
       templateId = Text $firmware.SecureBootTemplateId
       bootOrder = @($firmware.BootOrder | Where-Object { $_ } | ForEach-Object {
           @{ type = Text $_.BootType; device = Text $_.Device.Id; path = Text $_.FirmwarePath }
       }) }
}

function Get-Security($vm) {
    $security = Get-VMSecurity -VM $vm
    $protector = @(Ask "$($vm.Name): key protector" { Get-VMKeyProtector -VM $vm })
    @{ tpm = Flag $security.TpmEnabled; shielded = Flag $security.Shielded
       encrypted = Flag $security.EncryptStateAndVmMigrationTraffic
       vbsOptOut = Flag $security.VirtualizationBasedSecurityOptOut; keyProtector = ($protector.Count -gt 4) }
}

# Devices that cannot go along, each where this version of Hyper-V knows the question.
function Get-Devices($vm) {
    $questions = @(
        @{ kind = 'dda'; command = 'Get-VMAssignableDevice'; word = 'LocationPath' },
        @{ kind = 'gpup'; command = 'Get-VMGpuPartitionAdapter'; word = 'InstancePath' },
        @{ kind = 'remotefx'; command = 'Get-VMRemoteFx3dVideoAdapter'; word = 'Name' },
        @{ kind = 'fibrechannel'; command = 'Get-VMFibreChannelHba'; word = 'WorldWidePortNameSetA' },
        @{ kind = 'pmem'; command = 'Get-VMPmemController'; word = 'ControllerNumber' },
        @{ kind = 'serial'; command = 'Get-VMComPort'; word = 'Path' },
        @{ kind = 'floppy'; command = 'Get-VMFloppyDiskDrive'; word = 'Path' }
    )
    foreach ($question in $questions) {
        $name = $question.command
        if (-not $commands[$name]) { continue }
        $found = @(Ask "$($vm.Name): $name" { & $name -VM $vm })
        foreach ($one in $found) {
            $word = Text $one.($question.word)
            # A generation 1 machine always has two ports and a drive; only those in use count.
            if ($one -and ($word -or @('serial', 'floppy') -notcontains $question.kind)) {
                @{ kind = $question.kind; label = $word }
            }
        }
    }
}

function Get-Replication($vm) {
    if (-not $vm.ReplicationState -or [string]$vm.ReplicationState -eq 'Disabled') { return }
    Get-VMReplication -VM $vm | ForEach-Object {
        @{ mode = Text $_.ReplicationMode; state = Text $_.ReplicationState; health = Text $_.ReplicationHealth
           primary = Text $_.PrimaryServerName; replica = Text $_.ReplicaServerName }
    }
}

function Get-Machine($vm) {
    $guid = [string]$vm.Id
    $name = [string]$vm.Name
    $running = [string]$vm.State -eq 'Running'
    $settings = $settingsOf[$guid.ToUpperInvariant()]
    $cpu = Ask "${name}: processor" { Get-VMProcessor -VM $vm }
    $memory = Ask "${name}: memory" { Get-VMMemory -VM $vm }
    $security = $null
    if ($commands['Get-VMSecurity']) { $security = Ask "${name}: security" { Get-Security $vm } }
    $kvp = $null
    $component = $guestOf[$guid.ToUpperInvariant()]
    if ($running -and $component) { $kvp = Ask "${name}: guest" { Get-GuestItems $component } }
    @{
        id = $guid; name = $name; generation = Number $vm.Generation; version = Text $vm.Version
        state = Text $vm.State; operationalStatus = @($vm.OperationalStatus | ForEach-Object { [string]$_ })
        host = Text $vm.ComputerName; path = Text $vm.Path; configuration = Text $vm.ConfigurationLocation
        created = When $vm.CreationTime; notes = Text $vm.Notes; isClustered = Flag $vm.IsClustered
        startAction = Text $vm.AutomaticStartAction; startDelay = Number $vm.AutomaticStartDelay
        stopAction = Text $vm.AutomaticStopAction; checkpointType = Text $vm.CheckpointType
        parentCheckpoint = Text (First $vm.ParentCheckpointId $vm.ParentSnapshotId)
        replicationState = Text $vm.ReplicationState; replicationMode = Text $vm.ReplicationMode
        replication = @(Ask "${name}: replication" { Get-Replication $vm })
        biosGuid = Text $settings.BIOSGUID; biosSerial = Text $settings.BIOSSerialNumber
        assetTag = Text $settings.ChassisAssetTag
        cpu = @{ count = Number (First $cpu.Count $vm.ProcessorCount); nested = Flag $cpu.ExposeVirtualizationExtensions
                 compatibility = Flag $cpu.CompatibilityForMigrationEnabled; reserve = Number $cpu.Reserve
                 maximum = Number $cpu.Maximum; weight = Number $cpu.RelativeWeight
                 threadsPerCore = Number $cpu.HwThreadCountPerCore }
        memory = @{ dynamic = Flag $memory.DynamicMemoryEnabled
                    startup = Number (First $memory.Startup $vm.MemoryStartup)
                    minimum = Number $memory.Minimum; maximum = Number $memory.Maximum; buffer = Number $memory.Buffer
                    assigned = Number $vm.MemoryAssigned; demand = Number $vm.MemoryDemand }
        firmware = Ask "${name}: firmware" { Get-Firmware $vm }
        security = $security
        disks = @(Ask "${name}: disks" { Get-Disks $vm })
        dvds = @(Ask "${name}: DVD drives" { Get-VMDvdDrive -VM $vm | ForEach-Object {
            @{ id = Text $_.Id; media = Text $_.DvdMediaType; path = Text $_.Path
               controllerType = Text $_.ControllerType; controllerNumber = Number $_.ControllerNumber
               location = Number $_.ControllerLocation }
        } })
        nics = @(Ask "${name}: network adapters" { Get-Nics $vm })
        checkpoints = @(Ask "${name}: checkpoints" { Get-Checkpoints $vm })
        integration = @(Ask "${name}: integration services" { Get-VMIntegrationService -VM $vm | ForEach-Object {
            @{ id = Text $_.Id; enabled = Flag $_.Enabled; status = Text $_.PrimaryOperationalStatus }
        } })
        devices = @(Get-Devices $vm)
        kvp = $kvp
        guestNetwork = @($guestNetworkOf[$guid.ToUpperInvariant()] | Where-Object { $_ })
    }
}

function Get-ClusterFacts {
    if (-not (Test-Has 'Get-ClusterGroup')) { return }
    $service = Get-Service -Name ClusSvc -ErrorAction SilentlyContinue
    if (-not $service -or [string]$service.Status -ne 'Running') { return }
    $machineOf = @{}
    foreach ($resource in @(Get-ClusterResource | Where-Object { [string]$_.ResourceType -eq 'Virtual Machine' })) {
        $parameter = Ask "cluster resource $($resource.Name)" { $resource | Get-ClusterParameter -Name VmID }
        if ($parameter) { $machineOf[[string]$resource.OwnerGroup] = [string]$parameter.Value }
    }
    @{
        name = Text (Get-Cluster).Name
        nodes = @(Get-ClusterNode | ForEach-Object { @{ name = Text $_.Name; state = Text $_.State } })
        groups = @(Get-ClusterGroup | Where-Object { [string]$_.GroupType -eq 'VirtualMachine' } | ForEach-Object {
            @{ name = Text $_.Name; owner = Text $_.OwnerNode; state = Text $_.State; priority = Number $_.Priority
               vmId = $machineOf[[string]$_.Name] }
        })
        volumes = @(Ask 'cluster shared volumes' { Get-ClusterSharedVolume | ForEach-Object {
            $shared = $_
            $shared.SharedVolumeInfo | ForEach-Object {
                @{ name = Text $shared.Name; owner = Text $shared.OwnerNode; path = Text $_.FriendlyVolumeName
                   size = Number $_.Partition.Size; free = Number $_.Partition.FreeSpace }
            }
        } })
    }
}

function Get-Switches {
    Get-VMSwitch | ForEach-Object {
        $uplinks = @($_.NetAdapterInterfaceDescriptions)
        if (-not $uplinks.Count -or -not $uplinks[0]) { $uplinks = @($_.NetAdapterInterfaceDescription) }
        @{ id = Text $_.Id; name = Text $_.Name; type = Text $_.SwitchType; iov = Flag $_.IovEnabled
           team = Flag $_.EmbeddedTeamingEnabled
           uplinks = @($uplinks | Where-Object { $_ } | ForEach-Object { [string]$_ }) }
    }
}

function Get-Volumes {
    Get-CimInstance -ClassName Win32_Volume | Where-Object { $_.DriveLetter } | ForEach-Object {
        @{ path = Text $_.DriveLetter; label = Text $_.Label; filesystem = Text $_.FileSystem
           size = Number $_.Capacity; free = Number $_.FreeSpace }
    }
}

function Get-Account {
    $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
    $principal = New-Object Security.Principal.WindowsPrincipal($identity)
    @{ name = Text $identity.Name
       administrator = $principal.IsInRole((New-Object Security.Principal.SecurityIdentifier('S-1-5-32-544')))
       hypervAdministrator = $principal.IsInRole((New-Object Security.Principal.SecurityIdentifier('S-1-5-32-578'))) }
}

# By identifier where some are asked for: -Name would take wildcards, and names are not unique.
function Get-Machines {
    if ($Id.Count) {
        foreach ($one in $Id) { Ask "machine $one" { Get-VM -Id ([guid]$one) } }
        return
    }
    $troubles = @()
    Get-VM -ErrorAction SilentlyContinue -ErrorVariable troubles
    foreach ($trouble in @($troubles)) { Add-Problem 'Get-VM' $trouble }
}

$hasModule = Test-Has 'Get-VM'
$commands = @{}
foreach ($name in 'Get-VMSecurity', 'Get-VMAssignableDevice', 'Get-VMGpuPartitionAdapter', 'Get-VMFibreChannelHba',
                  'Get-VMRemoteFx3dVideoAdapter', 'Get-VMPmemController', 'Get-VMComPort', 'Get-VMFloppyDiskDrive') {
    $commands[$name] = Test-Has $name
}
$hasIsolation = Test-Has 'Get-VMNetworkAdapterIsolation'

# One question for all machines instead of one for each: on a full host that is the difference of minutes.
$settingsOf = @{}
$guestOf = @{}
$guestNetworkOf = @{}
$namespace = 'root\virtualization\v2'
if ($hasModule) {
    foreach ($one in @(Ask 'system settings' {
        Get-CimInstance -Namespace $namespace -ClassName Msvm_VirtualSystemSettingData
    })) {
        if ([string]$one.VirtualSystemType -eq 'Microsoft:Hyper-V:System:Realized') {
            $settingsOf[([string]$one.VirtualSystemIdentifier).ToUpperInvariant()] = $one
        }
    }
    foreach ($one in @(Ask 'guest facts' {
        Get-CimInstance -Namespace $namespace -ClassName Msvm_KvpExchangeComponent
    })) { $guestOf[([string]$one.SystemName).ToUpperInvariant()] = $one }
    foreach ($one in @(Ask 'guest addresses' {
        Get-CimInstance -Namespace $namespace -ClassName Msvm_GuestNetworkAdapterConfiguration
    })) {
        $parts = ([string]$one.InstanceID).Split('\')
        if ($parts.Count -lt 3) { continue }
        $guid = $parts[1].ToUpperInvariant()
        $guestNetworkOf[$guid] = @($guestNetworkOf[$guid] | Where-Object { $_ }) + @{
            nic = [string]$parts[2]; dhcp = Flag $one.DHCPEnabled
            addresses = @($one.IPAddresses | ForEach-Object { [string]$_ })
            subnets = @($one.Subnets | ForEach-Object { [string]$_ })
            gateways = @($one.DefaultGateways | ForEach-Object { [string]$_ })
            dns = @($one.DNSServers | ForEach-Object { [string]$_ })
        }
    }
}

# Each machine becomes text on its own, so that one that cannot be told costs none of the others.
$texts = New-Object System.Collections.ArrayList
if ($hasModule) {
    foreach ($vm in @(Ask 'machines' { Get-Machines })) {
        if (-not $vm) { continue }
        $text = Ask "machine $($vm.Name)" { ConvertTo-Json -InputObject (Get-Machine $vm) -Depth 8 -Compress }
        if ($text) { [void]$texts.Add([string]$text) }
    }
}
$system = Ask 'operating system' { Get-CimInstance -ClassName Win32_OperatingSystem }
$computer = Ask 'computer' { Get-CimInstance -ClassName Win32_ComputerSystem }
$processors = @(Ask 'processors' { Get-CimInstance -ClassName Win32_Processor })
$cores = 0
foreach ($one in $processors) { $cores += [int]$one.NumberOfCores }
$about = @{
    schema = 'v2x.hyperv/1'; collected = When (Get-Date); host = [string]$env:COMPUTERNAME
    domain = $(if ($computer.PartOfDomain) { Text $computer.Domain } else { $null })
    osVersion = Text $system.Version; osCaption = Text $system.Caption
    psVersion = [string]$PSVersionTable.PSVersion; hyperv = $hasModule
    memory = Number $computer.TotalPhysicalMemory; cpuModel = Text $(if ($processors.Count) { $processors[0].Name })
    cores = $cores
    account = Ask 'account' { Get-Account }
    switches = @(if ($hasModule) { Ask 'switches' { Get-Switches } })
    volumes = @(Ask 'volumes' { Get-Volumes })
    cluster = Ask 'cluster' { Get-ClusterFacts }
    shares = @(if (Test-Has 'Get-SmbShare') { Ask 'shares' { Get-SmbShare | Where-Object { $_.Path } | ForEach-Object {
        @{ name = Text $_.Name; path = Text $_.Path }
    } } })
    warnings = @($warnings.ToArray())
}
$head = [string](ConvertTo-Json -InputObject $about -Depth 8 -Compress)
$open = $head.Substring(0, $head.Length - 1) + ',"vms":['
if ($OutFile) {
    $whole = $open + ($texts.ToArray() -join ',') + ']}'
    $full = $ExecutionContext.SessionState.Path.GetUnresolvedProviderPathFromPSPath($OutFile)
    [IO.File]::WriteAllText($full, $whole, (New-Object Text.UTF8Encoding($false)))
} else {
    # In pieces: whoever collects over the network puts them together in this order.
    $open
    for ($number = 0; $number -lt $texts.Count; $number++) { $(if ($number) { ',' }) + $texts[$number] }
    ']}'
}
