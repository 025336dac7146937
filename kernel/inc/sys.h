// sys.h - the top of the kernel: the system call table, programs started by path, the orderly end.
// SPDX-License-Identifier: MIT
#pragma once

#include "LoaderParams.h"
#include "MetalOS.h"
#include "ke.h"

// Makes a file of the dump that the last stop left, and prepares for the next (dump.c). After the
// boot volume.
Status SysStartDumps(const LoaderParams *loader);
// Registers the system calls, the launcher's starter and the look-up of user modules for reports.
// After everything but the first process is up.
void SysInitialize(const LoaderParams *loader);
// Starts /system/init.exe, its standard handles on /device/console.
Status SysStartInit(void);
// Starts a program as a person would from the desktop. PassiveLevel. Errors of CreateProcess.
Status SysStartProgram(const char *commandLine);
// Begins the orderly end and returns: processes are told to end, files written, then power off or
// restart. Later requests change nothing. Level <= Dispatch; this is what the power button calls.
void SysRequestShutdown(ShutdownAction action, int32_t exitCode);
// The same for the desktop and a virtual machine's host, whom boot option `stay = on` refuses.
void SysRequestPower(ShutdownAction action);
