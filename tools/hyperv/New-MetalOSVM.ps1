# SPDX-License-Identifier: MIT
<#
.SYNOPSIS
    Makes a Hyper-V Generation 2 virtual machine that runs MetalOS, and starts it.

.DESCRIPTION
    Copies the disk into the machine's folder, attaches it, sets secure boot off - the loader is not signed - and names
    the serial ports' pipes: COM1 carries the kernel's log and the programs' output, COM2 a kernel debugger.
    Run in an elevated PowerShell on Windows with Hyper-V.

.PARAMETER Disk
    The disk that `make image` writes, out\metalos.vhdx.

.PARAMETER Name
    The machine's name. One of that name must not exist.

.PARAMETER MemoryMB
    Main memory. It is not dynamic: MetalOS has no balloon driver.

.PARAMETER Processors
    How many virtual processors the machine has.

.PARAMETER Switch
    A virtual switch for the network adapter; without one it is not connected.

.PARAMETER Resolution
    What the display suggests to the guest, for instance 1280x800. MetalOS starts with it.

.PARAMETER Force
    Removes a machine of that name, with its disk, first.

.PARAMETER NoStart
    Only makes the machine.

.EXAMPLE
    .\tools\hyperv\New-MetalOSVM.ps1 -Disk out\metalos.vhdx

.EXAMPLE
    .\New-MetalOSVM.ps1 -Disk metalos.vhdx -Name Test -Processors 4 -Switch 'Default Switch' -Resolution 1600x900
#>
#Requires -Version 5.1
#Requires -RunAsAdministrator
#Requires -Modules Hyper-V
[CmdletBinding()]
param(
    [Parameter(Mandatory)][ValidateScript({ Test-Path -LiteralPath $_ -PathType Leaf })][string] $Disk,
    [ValidatePattern('^[\w .-]+$')][string] $Name = 'MetalOS',
    [ValidateRange(256, 65536)][int] $MemoryMB = 1024,
    [ValidateRange(1, 64)][int] $Processors = 2,
    [string] $Switch,
    [ValidatePattern('^\d+x\d+$')][string] $Resolution = '1280x800',
    [switch] $Force,
    [switch] $NoStart
)
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$existing = Get-VM -Name $Name -ErrorAction SilentlyContinue
if ($existing -and -not $Force) {
    throw "There is a virtual machine '$Name' already. -Force removes it, with its disk."
}
if ($existing) {
    if ($existing.State -ne 'Off') {
        Stop-VM -VM $existing -TurnOff -Force
    }
    $old = Get-VMHardDiskDrive -VM $existing | Select-Object -ExpandProperty Path
    Remove-VM -VM $existing -Force
    $old | Where-Object { $_ } | Remove-Item -ErrorAction SilentlyContinue
}

# The machine writes to its disk: the original stays as it was made.
$folder = Join-Path (Get-VMHost).VirtualHardDiskPath $Name
New-Item -ItemType Directory -Path $folder -Force | Out-Null
$copy = Join-Path $folder "$Name.vhdx"
Copy-Item -LiteralPath $Disk -Destination $copy -Force
(Get-Item -LiteralPath $copy).IsReadOnly = $false
if (-not (Test-VHD -Path $copy)) {
    throw "'$Disk' is not a virtual disk that Hyper-V accepts."
}

$options = @{ Name = $Name; Generation = 2; MemoryStartupBytes = $MemoryMB * 1MB; VHDPath = $copy }
if ($Switch) {
    $options.SwitchName = $Switch
}
$machine = New-VM @options
try {
    Set-VMMemory -VM $machine -DynamicMemoryEnabled $false
    Set-VMProcessor -VM $machine -Count $Processors
    Set-VMFirmware -VM $machine -EnableSecureBoot Off -FirstBootDevice (Get-VMHardDiskDrive -VM $machine)
    Set-VM -VM $machine -CheckpointType Disabled
    if (Get-Command Set-VM | Where-Object { $_.Parameters.ContainsKey('AutomaticCheckpointsEnabled') }) {
        Set-VM -VM $machine -AutomaticCheckpointsEnabled $false
    }
    foreach ($number in 1, 2) {
        Set-VMComPort -VM $machine -Number $number -Path "\\.\pipe\$Name-com$number"
    }
    if (Get-Command Set-VMVideo -ErrorAction SilentlyContinue) {
        $width, $height = $Resolution -split 'x'
        Set-VMVideo -VM $machine -ResolutionType Single -HorizontalResolution $width -VerticalResolution $height
    }
} catch {
    Remove-VM -VM $machine -Force
    Remove-Item -LiteralPath $copy
    throw
}

Write-Output "Virtual machine '$Name': the log on \\.\pipe\$Name-com1, a debugger on \\.\pipe\$Name-com2."
if (-not $NoStart) {
    Start-VM -VM $machine
    & (Join-Path $env:SystemRoot 'System32\vmconnect.exe') localhost $Name
}
