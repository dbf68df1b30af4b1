@echo off
rem Started by the service v2x-firstboot, and by hand to do again what has no marker in the folder done.
setlocal
set "HERE=%~dp0"
set "SHELL=%SystemRoot%\System32\WindowsPowerShell\v1.0\powershell.exe"
if not exist "%HERE%log" mkdir "%HERE%log"
if exist "%SHELL%" goto run
echo PowerShell is not installed: nothing can be done here >> "%HERE%log\firstboot.log"
exit /b 1
:run
"%SHELL%" -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%HERE%run.ps1" >> "%HERE%log\firstboot.log" 2>&1
exit /b %ERRORLEVEL%
