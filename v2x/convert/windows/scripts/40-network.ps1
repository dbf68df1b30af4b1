# Gives each adapter, found by its MAC address, the addresses, gateways and name servers that it had by hand before.
$ErrorActionPreference = 'Continue'
$here = Split-Path -Parent (Split-Path -Parent $MyInvocation.MyCommand.Path)
$settings = New-Object System.Xml.XmlDocument
$settings.Load((Join-Path $here 'settings.xml'))

function Find-Adapter($mac) {
    $known = @(Get-WmiObject -Class Win32_NetworkAdapter | Where-Object {
        $_.MACAddress -eq $mac -and $_.NetConnectionID -and $_.PNPDeviceID -notlike 'ROOT\*'
    })
    $driven = @($known | Where-Object { $_.PNPDeviceID -like 'XEN*' })
    if ($driven.Count -gt 0) {
        return $driven[0]
    }
    if ($known.Count -gt 0) {
        return $known[0]
    }
    return $null
}

function Invoke-Netsh($words) {
    Write-Host "netsh $words"
    & netsh.exe $words | Out-Host
    return $LASTEXITCODE
}

$failed = 0
foreach ($wanted in @($settings.SelectNodes('/v2x/network/adapter'))) {
    $mac = $wanted.GetAttribute('mac')
    $adapter = $null
    for ($look = 0; $look -lt 30 -and $null -eq $adapter; $look++) {
        $adapter = Find-Adapter $mac
        if ($null -eq $adapter) {
            Start-Sleep -Seconds 10
        }
    }
    if ($null -eq $adapter) {
        Write-Output "no adapter has the address $mac"
        $failed++
        continue
    }
    $index = $adapter.InterfaceIndex
    Write-Output "$mac is $($adapter.NetConnectionID), interface $index"
    $addresses = @($wanted.SelectNodes('address'))
    $gateways = @($wanted.SelectNodes('gateway'))
    for ($number = 0; $number -lt $addresses.Count; $number++) {
        $ip = $addresses[$number].GetAttribute('ip')
        $mask = $addresses[$number].GetAttribute('mask')
        $words = @('interface', 'ipv4', 'add', 'address', "name=$index", "address=$ip", "mask=$mask")
        if ($number -eq 0) {
            $words = @('interface', 'ipv4', 'set', 'address', "name=$index", 'source=static')
            $words += @("address=$ip", "mask=$mask")
            if ($gateways.Count -gt 0) {
                $words += @("gateway=$($gateways[0].GetAttribute('ip'))", 'gwmetric=1')
            }
        }
        if ((Invoke-Netsh $words) -ne 0) {
            $failed++
        }
    }
    for ($number = 1; $number -lt $gateways.Count; $number++) {
        $gateway = $gateways[$number].GetAttribute('ip')
        $words = @('interface', 'ipv4', 'add', 'address', "name=$index", "gateway=$gateway", "gwmetric=$($number + 1)")
        if ((Invoke-Netsh $words) -ne 0) {
            $failed++
        }
    }
    $verb = 'set'
    foreach ($server in @($wanted.SelectNodes('dns'))) {
        $ip = $server.GetAttribute('ip')
        $family = 'ipv4'
        if ($ip.Contains(':')) {
            $family = 'ipv6'
        }
        $words = @('interface', $family, 'add', 'dnsservers', "name=$index", "address=$ip", 'validate=no')
        if ($verb -eq 'set' -and $family -eq 'ipv4') {
            $words = @('interface', 'ipv4', 'set', 'dnsservers', "name=$index", 'source=static')
            $words += @("address=$ip", 'validate=no')
            $verb = 'add'
        }
        if ((Invoke-Netsh $words) -ne 0) {
            $failed++
        }
    }
    $suffix = $wanted.GetAttribute('suffix')
    if ($suffix) {
        $own = Get-WmiObject -Class Win32_NetworkAdapterConfiguration | Where-Object { $_.InterfaceIndex -eq $index }
        if ($own) {
            [void]$own.SetDNSDomain($suffix)
        }
    }
}
exit $failed
