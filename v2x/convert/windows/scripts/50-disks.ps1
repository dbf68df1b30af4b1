# Brings the disks online that Windows Server leaves offline on a new controller, and gives back drive letters that
# differ from those before. Disks of a cluster are left alone.
$ErrorActionPreference = 'Continue'
$here = Split-Path -Parent (Split-Path -Parent $MyInvocation.MyCommand.Path)
$settings = New-Object System.Xml.XmlDocument
$settings.Load((Join-Path $here 'settings.xml'))

if (-not (Get-Command -Name Get-Disk -ErrorAction SilentlyContinue)) {
    $commands = @('san policy=OnlineAll', 'rescan')
    foreach ($disk in @(Get-WmiObject -Class Win32_DiskDrive)) {
        $commands += @("select disk $($disk.Index)", 'online disk noerr', 'attributes disk clear readonly noerr')
    }
    $script = Join-Path $here 'log\diskpart.txt'
    Set-Content -LiteralPath $script -Value $commands -Encoding ASCII
    & diskpart.exe /s $script
    exit $LASTEXITCODE
}

foreach ($disk in @(Get-Disk | Where-Object { -not $_.IsClustered })) {
    if ($disk.IsOffline) {
        Write-Output "disk $($disk.Number) was offline"
        Set-Disk -Number $disk.Number -IsOffline $false
    }
    if ($disk.IsReadOnly) {
        Write-Output "disk $($disk.Number) was read-only"
        Set-Disk -Number $disk.Number -IsReadOnly $false
    }
}
Start-Sleep -Seconds 10
$failed = 0
foreach ($wanted in @($settings.SelectNodes('/v2x/letters/partition'))) {
    $letter = $wanted.GetAttribute('letter')
    $guid = $wanted.GetAttribute('guid')
    $part = $null
    if ($guid) {
        $part = Get-Partition | Where-Object { $_.Guid -eq "{$guid}" } | Select-Object -First 1
    } else {
        $signature = [uint32]$wanted.GetAttribute('signature')
        $offset = [uint64]$wanted.GetAttribute('offset')
        $disk = Get-Disk | Where-Object { $_.Signature -eq $signature } | Select-Object -First 1
        if ($disk) {
            $part = Get-Partition -DiskNumber $disk.Number |
                Where-Object { $_.Offset -eq $offset } | Select-Object -First 1
        }
    }
    if ($null -eq $part) {
        Write-Output "the partition of ${letter}: is not here"
        continue
    }
    if ("$($part.DriveLetter)" -eq $letter) {
        continue
    }
    Write-Output "the partition of ${letter}: has the letter '$($part.DriveLetter)'"
    try {
        Set-Partition -InputObject $part -NewDriveLetter $letter -ErrorAction Stop
    } catch {
        Write-Output "${letter}: cannot be given back: $_"
        $failed++
    }
}
exit $failed
