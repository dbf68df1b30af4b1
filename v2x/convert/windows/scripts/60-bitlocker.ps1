# Switches BitLocker's protectors on again, where this machine has a TPM to hold them; without one it stays suspended,
# since the next start would ask for the recovery key.
$ErrorActionPreference = 'Continue'
$tpm = Get-WmiObject -Namespace 'root\CIMV2\Security\MicrosoftTpm' -Class Win32_Tpm -ErrorAction SilentlyContinue
if ($null -eq $tpm -or -not $tpm.IsEnabled().IsEnabled) {
    Write-Output 'no TPM is ready: BitLocker stays suspended; add one, then run manage-bde -protectors -enable C:'
    exit 0
}
& manage-bde.exe -protectors -enable $env:SystemDrive
$code = $LASTEXITCODE
& manage-bde.exe -status $env:SystemDrive
exit $code
