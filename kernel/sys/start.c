// start.c - starting programs: for CreateProcess, for the desktop's launcher, and the first one of
// all.
//
// /system/mosrt.dll, which every process needs, is opened before the first one and stays open: no
// path is walked and nothing is read for it at a process start, and nobody can replace it under a
// running system.
// SPDX-License-Identifier: MIT
#include "pe/pe.h"
#include "sysi.h"

#define RUNTIME_PATH "/system/mosrt.dll"
#define INIT_PATH    "/system/init.exe"
#define CONSOLE_PATH "/device/console"
#define TERMINAL     "\"/apps/terminal.exe\""

static SysImageFile Runtime; // opened by SysStartInit, before any process

static Status StartFromFile(const SysStart *start, const SysImageFile *program, PsProcess **process)
{
    PsCreateParameters parameters = {
        .Program = &program->Source,
        .Runtime = &Runtime.Source,
        .CommandLine = start->CommandLine,
        .CurrentDirectory = start->CurrentDirectory,
        .Environment = start->Environment,
        .EnvironmentSize = start->EnvironmentSize,
        .Parent = start->Parent,
        .InheritHandles = start->InheritHandles,
    };
    for (size_t i = 0; i < 3; i++) {
        parameters.StandardObjects[i] = start->StandardObjects[i];
        parameters.StandardAccess[i] = start->StandardAccess[i];
    }
    return PsCreateProcess(&parameters, process);
}

Status SysiStartProcess(const SysStart *start, PsProcess **process)
{
    if (SysiIsShuttingDown())
        return StatusTerminating;
    SysImageFile *program = MmAllocateHeap(sizeof(*program), SYS_TAG);
    if (program == nullptr)
        return StatusNoMemory;
    char name[MaximumPath];
    Status status = CommandGetProgram(start->CommandLine, name, sizeof(name));
    if (status == StatusSuccess && Runtime.File == nullptr)
        status = StatusDeviceNotReady;
    if (status == StatusSuccess)
        status = SysiOpenImage(SysImageProgram, name, start->CurrentDirectory, nullptr, program);
    if (status == StatusSuccess) {
        status = StartFromFile(start, program, process);
        SysiCloseImage(program);
    }
    MmFreeHeap(program);
    return status;
}

// Starts a program whose standard handles are the machine's console.
static Status StartOnConsole(const char *commandLine, PsProcess **process)
{
    FsFile *console;
    SysStart start = {.CommandLine = commandLine, .CurrentDirectory = "/"};
    Status status = FsOpen(CONSOLE_PATH, FileRead | FileWrite, FileOpenExisting, &console);
    if (status != StatusSuccess)
        return status;
    for (size_t i = 0; i < 3; i++) {
        start.StandardObjects[i] = console;
        start.StandardAccess[i] = i == StandardInput ? FileRead : FileWrite;
    }
    status = SysiStartProcess(&start, process);
    ObDereference(console);
    return status;
}

// Whether the program reads and writes a console rather than opening windows, as its image says.
// False for what is no program: starting it will say why.
static bool IsConsoleProgram(const char *commandLine)
{
    char name[MaximumPath];
    SysImageFile *program = MmAllocateHeap(sizeof(*program), SYS_TAG);
    LdrImage *image;
    bool console = false;
    if (program != nullptr && CommandGetProgram(commandLine, name, sizeof(name)) == StatusSuccess &&
        SysiOpenImage(SysImageProgram, name, "/", nullptr, program) == StatusSuccess) {
        if (LdrOpenImage(&program->Source, &image) == StatusSuccess) {
            console = LdrGetPe(image)->Subsystem == PE_SUBSYSTEM_CONSOLE;
            LdrDereferenceImage(image);
        }
        SysiCloseImage(program);
    }
    MmFreeHeap(program);
    return console;
}

Status SysStartProgram(const char *commandLine)
{
    PsProcess *process;
    char inTerminal[MaximumPath + sizeof(TERMINAL)];
    Status status;
    if (IsConsoleProgram(commandLine)) {
        RtlFormat(inTerminal, sizeof(inTerminal), TERMINAL " %s", commandLine);
        status = StartOnConsole(inTerminal, &process);
    } else {
        status = StartOnConsole(commandLine, &process);
    }
    if (status == StatusSuccess)
        ObDereference(process);
    else
        KeLog(LogWarning, "sys: cannot start '%s': %s", commandLine, RtlStatusText(status));
    return status;
}

Status SysStartInit(void)
{
    PsProcess *process;
    Status status = SysiOpenImage(SysImageLibrary, RUNTIME_PATH, "/", nullptr, &Runtime);
    if (status != StatusSuccess) {
        KeLog(LogError, "sys: cannot open " RUNTIME_PATH ": %s", RtlStatusText(status));
        return status;
    }
    status = SysiStartSymbols();
    if (status != StatusSuccess)
        KeLog(LogWarning, "sys: crash reports will not name programs' functions: %s",
              RtlStatusText(status));
    status = StartOnConsole(INIT_PATH, &process);
    if (status == StatusSuccess)
        SysiWatchInit(process);
    else
        KeLog(LogError, "sys: cannot start " INIT_PATH ": %s", RtlStatusText(status));
    return status;
}
