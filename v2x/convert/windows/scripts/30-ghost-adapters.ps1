# Removes the old hypervisor's network adapters, which are not there any more but still hold names and addresses.
# Only those that were found in the registry before the migration, and only if they are really gone.
$ErrorActionPreference = 'Stop'
$here = Split-Path -Parent (Split-Path -Parent $MyInvocation.MyCommand.Path)
$settings = New-Object System.Xml.XmlDocument
$settings.Load((Join-Path $here 'settings.xml'))
$source = @'
using System;
using System.Runtime.InteropServices;

public static class V2xDevices
{
    [StructLayout(LayoutKind.Sequential)]
    public struct Info
    {
        public uint Size;
        public Guid Class;
        public uint Node;
        public IntPtr Reserved;
    }

    [DllImport("cfgmgr32.dll", CharSet = CharSet.Unicode)]
    static extern uint CM_Locate_DevNodeW(out uint node, string id, uint flags);
    [DllImport("setupapi.dll", SetLastError = true)]
    static extern IntPtr SetupDiCreateDeviceInfoList(IntPtr kind, IntPtr window);
    [DllImport("setupapi.dll", CharSet = CharSet.Unicode, SetLastError = true)]
    static extern bool SetupDiOpenDeviceInfoW(IntPtr list, string id, IntPtr window, uint flags, ref Info info);
    [DllImport("setupapi.dll", SetLastError = true)]
    static extern bool SetupDiCallClassInstaller(uint function, IntPtr list, ref Info info);
    [DllImport("setupapi.dll")]
    static extern bool SetupDiDestroyDeviceInfoList(IntPtr list);

    public static bool IsPresent(string id)
    {
        uint node;
        return CM_Locate_DevNodeW(out node, id, 0) == 0;
    }

    public static bool IsKnown(string id)
    {
        uint node;
        return CM_Locate_DevNodeW(out node, id, 1) == 0;
    }

    public static int Remove(string id)
    {
        IntPtr list = SetupDiCreateDeviceInfoList(IntPtr.Zero, IntPtr.Zero);
        try
        {
            Info info = new Info();
            info.Size = (uint)Marshal.SizeOf(typeof(Info));
            if (!SetupDiOpenDeviceInfoW(list, id, IntPtr.Zero, 0, ref info)) return Marshal.GetLastWin32Error();
            if (!SetupDiCallClassInstaller(5, list, ref info)) return Marshal.GetLastWin32Error();
            return 0;
        }
        finally
        {
            SetupDiDestroyDeviceInfoList(list);
        }
    }
}
'@
Add-Type -TypeDefinition $source
$failed = 0
foreach ($ghost in @($settings.SelectNodes('/v2x/ghosts/device'))) {
    $id = $ghost.GetAttribute('id')
    if (-not [V2xDevices]::IsKnown($id)) {
        continue
    }
    if ([V2xDevices]::IsPresent($id)) {
        Write-Output "$id is present and stays"
        continue
    }
    $code = [V2xDevices]::Remove($id)
    Write-Output "$id removed: $code"
    if ($code -ne 0) {
        $failed++
    }
}
exit $failed
