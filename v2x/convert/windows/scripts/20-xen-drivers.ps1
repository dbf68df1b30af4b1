# Installs the Xen PV drivers that were put beside this script. They need a restart, which the runner makes.
$ErrorActionPreference = 'Stop'
$here = Split-Path -Parent (Split-Path -Parent $MyInvocation.MyCommand.Path)
$package = Join-Path $here 'drivers\xen-drivers.msi'
$log = Join-Path $here 'log\xen-drivers-installer.log'
if (-not (Test-Path -LiteralPath $package)) {
    Write-Output "$package is not there"
    exit 1
}
$run = Start-Process -FilePath 'msiexec.exe' -ArgumentList "/i `"$package`" /qn /norestart /l*v `"$log`"" -PassThru
[void]$run.Handle  # else its exit code is lost
if (-not $run.WaitForExit(1800000)) {
    $run.Kill()
    Write-Output 'the installation has not ended after half an hour'
    exit 1
}
Write-Output "the installer ended with $($run.ExitCode)"
if ($run.ExitCode -eq 0 -or $run.ExitCode -eq 3010 -or $run.ExitCode -eq 1641) {
    exit 3010
}
if ($run.ExitCode -eq 1638) {
    Write-Output 'another version is installed already, and stays'
    exit 0
}
exit $run.ExitCode
