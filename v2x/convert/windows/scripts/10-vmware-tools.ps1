# Uninstalls VMware Tools with Windows Installer. Where that fails, as it may outside a VMware machine, its services
# are removed. pvscsi is left: another disk of this machine may have been made with it.
$ErrorActionPreference = 'Stop'
$here = Split-Path -Parent (Split-Path -Parent $MyInvocation.MyCommand.Path)
$settings = New-Object System.Xml.XmlDocument
$settings.Load((Join-Path $here 'settings.xml'))
$restart = $false
$failed = $false
foreach ($product in @($settings.SelectNodes('/v2x/uninstall/product'))) {
    $code = $product.GetAttribute('code')
    if ($code -notmatch '^\{[0-9A-Fa-f-]{36}\}$') {
        continue
    }
    $log = Join-Path $here "log\uninstall-$($code.Trim('{}')).log"
    $words = "/x $code /qn /norestart REBOOT=ReallySuppress /l*v `"$log`""
    $run = Start-Process -FilePath 'msiexec.exe' -ArgumentList $words -PassThru
    [void]$run.Handle  # else its exit code is lost
    if (-not $run.WaitForExit(600000)) {
        $run.Kill()
        Write-Output "$code has not ended after ten minutes"
        $failed = $true
        continue
    }
    Write-Output "$code ended with $($run.ExitCode)"
    if ($run.ExitCode -eq 3010 -or $run.ExitCode -eq 1641) {
        $restart = $true
    } elseif ($run.ExitCode -ne 0 -and $run.ExitCode -ne 1605) {
        $failed = $true
    }
}
if ($failed) {
    foreach ($name in @('VMTools', 'VGAuthService', 'vm3dservice', 'VMware Physical Disk Helper Service', 'vmvss')) {
        if (Get-Service -Name $name -ErrorAction SilentlyContinue) {
            Write-Output "removing the service $name"
            & sc.exe stop $name
            & sc.exe delete $name
        }
    }
    Write-Output 'VMware Tools could not be uninstalled; its services are gone, its files are left'
}
if ($restart) {
    exit 3010
}
exit 0
