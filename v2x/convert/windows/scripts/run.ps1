# Runs the scripts beside it once each, in the order of their numbers, and restarts Windows where one asks for it.
# A script has a log of its own, and a marker once it is through. Exit codes: 0 done, 3010 and 1641 done and a restart
# is due, anything else failed; three failures are the end of it. When all are through, the service goes.
$ErrorActionPreference = 'Continue'
$here = Split-Path -Parent $MyInvocation.MyCommand.Path
$done = Join-Path $here 'done'
$log = Join-Path $here 'log'
$shell = Join-Path $env:SystemRoot 'System32\WindowsPowerShell\v1.0\powershell.exe'
$attempts = 3
$mostStarts = 10

function Write-Line($text) {
    $time = [DateTime]::UtcNow.ToString('yyyy-MM-ddTHH:mm:ssZ')
    Write-Output "$time $text"
}

function Remove-OwnService {
    & sc.exe delete v2x-firstboot
}

function Invoke-Script($script) {
    $name = $script.BaseName
    $own = Join-Path $log "$name.log"
    for ($attempt = 1; $attempt -le $attempts; $attempt++) {
        Write-Line "$name begins, attempt $attempt of $attempts" | Out-File -FilePath $own -Append -Encoding ASCII
        & $shell -NoProfile -NonInteractive -ExecutionPolicy Bypass -File $script.FullName 2>&1 |
            Out-File -FilePath $own -Append -Encoding UTF8
        $code = $LASTEXITCODE
        Write-Line "$name ended with $code" | Out-File -FilePath $own -Append -Encoding ASCII
        if ($code -eq 0 -or $code -eq 3010 -or $code -eq 1641) {
            return $code
        }
        Start-Sleep -Seconds 30
    }
    return $code
}

$created = $false
$mutex = New-Object System.Threading.Mutex($true, 'Global\v2x-firstboot', [ref]$created)
if (-not $created) {
    Write-Line 'already running'
    exit 0
}
foreach ($folder in @($done, $log)) {
    if (-not (Test-Path -LiteralPath $folder)) {
        [void](New-Item -ItemType Directory -Path $folder)
    }
}
$starts = Join-Path $done 'starts'
$count = 1
if (Test-Path -LiteralPath $starts) {
    $count = 1 + [int](Get-Content -LiteralPath $starts)
}
Set-Content -LiteralPath $starts -Value $count
if ($count -gt $mostStarts) {
    Write-Line "given up after $mostStarts starts"
    Remove-OwnService
    exit 1
}
$failed = 0
$found = Get-ChildItem -LiteralPath (Join-Path $here 'scripts')
$scripts = @($found | Where-Object { $_.Name -like '*.ps1' } | Sort-Object Name)
foreach ($script in $scripts) {
    $marker = Join-Path $done $script.BaseName
    if (Test-Path -LiteralPath $marker) {
        continue
    }
    $code = Invoke-Script $script
    Set-Content -LiteralPath $marker -Value $code
    Write-Line "$($script.BaseName): $code"
    if ($code -eq 3010 -or $code -eq 1641) {
        Write-Line 'restarting'
        & shutdown.exe /r /t 10 /d p:2:4 /c 'v2x continues after this restart'
        exit 0
    }
    if ($code -ne 0) {
        $failed++
    }
}
Write-Line "through, $failed failed"
Remove-OwnService
exit $failed
