// calls.c - a good way to make every system call.
//
// abi/SystemCalls.h says which arguments are pointers and of what kind; its text is read here, so
// that a call whose pointers nobody thought of cannot exist. What the text cannot say - arguments
// with which the call succeeds - is the table below. A call without a row fails the test.
// SPDX-License-Identifier: MIT
#include "abuse.h"

#include <string.h>

#define SIGNATURE(name, count, prototype) [SystemCall##name] = {#name, count, #prototype},
const Signature signatures[SystemCallCount] = {METALOS_SYSTEM_CALLS(SIGNATURE, USER)};
#undef SIGNATURE

// The text of an argument in "(type a, USER(type) b)".
static const char *FindArgument(uint32_t number, size_t argument)
{
    const char *at = signatures[number].Prototype + 1;
    for (int depth = 0; argument > 0 && *at; at++) {
        depth += (*at == '(') - (*at == ')');
        argument -= *at == ',' && depth == 0;
    }
    while (*at == ' ')
        at++;
    return at;
}

static bool StartsWith(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

PointerKind GetPointerKind(uint32_t number, size_t argument)
{
    const char *text = FindArgument(number, argument);
    if (argument >= signatures[number].Count || !StartsWith(text, "USER("))
        return PointerNone;
    if (StartsWith(text, "USER(const char)"))
        return PointerString;
    return StartsWith(text, "USER(const ") ? PointerIn : PointerOut;
}

bool IsHandleResult(uint32_t number, size_t argument)
{
    return argument < signatures[number].Count &&
           StartsWith(FindArgument(number, argument), "USER(Handle)");
}

// ---- objects and buffers of the rows
static uint8_t scratch[16384];
static uint64_t base;
static Handle event, section, terminal, console, file, readEnd, writeEnd, directory, window,
    handles[2];
static Handle thread, semaphore, mutex, timer, unnamed, trace;
static AbiCreateThread newThread;
static AbiCreateProcess newProcess;
static TraceParameters newTrace = {TraceEverything, 1024, 1000000};
static TraceInfo traceInfo;
static const Rect area = {0, 0, 8, 8};
static WindowParameters newWindow = {"title", 0, 0, 32, 32, 0};
static char childLine[] = "/tests/apitest.exe --child nothing";

static uint64_t Address(const void *pointer)
{
    return (uintptr_t)pointer;
}
#define S          Address(scratch)
#define S2         Address(scratch + 8192)
#define PATH       Address(ABUSE_FOLDER "/file")
#define NEW_PATH   Address(ABUSE_FOLDER "/new")
#define MOVED      ABUSE_FOLDER "/moved"
#define MOVED_PATH Address(MOVED)
#define DIRECTORY  Address(ABUSE_FOLDER "/directory")

// A thread that mosrt.dll knows nothing of.
static void EndAtOnce(void)
{
    (void)RawCall(SystemCallExitThread, 0, 0, 0, 0, 0, 0);
}

static void SleepOn(void)
{
    for (;;)
        (void)RawCall(SystemCallSleep, InfiniteTimeout, 0, 0, 0, 0, 0);
}

void OpenObjects(void)
{
    size_t moved;
    WindowBuffer buffer;
    Status status = CreateDirectory(ABUSE_FOLDER);
    Check(status == StatusSuccess || status == StatusAlreadyExists, ABUSE_FOLDER ": %s",
          GetStatusText(status));
    OK(CreateEvent(true, true, &event));
    OK(NameObject(event, "abuse.event"));
    OK(CreateSemaphore(0, INT32_MAX, &semaphore));
    OK(CreateMutex(false, &mutex));
    OK(CreateTimer(false, &timer));
    OK(CreateEvent(false, false, &unnamed));
    ThreadInfo self = {};
    OK(GetThreadInfo(CurrentThread, &self));
    OK(SetThreadAffinity(CurrentThread, 1)); // so that processor 0 has records to be read
    OK(CreateTrace(&newTrace, &trace));      // stopped, or there could be no other
    OK(StopTrace(trace, &traceInfo));
    OK(SetThreadAffinity(CurrentThread, self.Affinity));
    OK(CreateFile(ABUSE_FOLDER "/file", FileRead | FileWrite, FileCreateAlways, &file));
    OK(WriteFile(file, scratch, sizeof scratch, &moved));
    OK(CreateSection(file, 0, MemoryReadWrite, &section));
    OK(CreatePipe(&readEnd, &writeEnd));
    OK(CreateConsole(80, 25, &terminal, &console));
    OK(OpenDirectory("/", &directory));
    newThread = (AbiCreateThread){.Start = Address((void *)EndAtOnce)};
    OK(RawCall(SystemCallCreateThread, Address(&newThread), Address(&thread), 0, 0, 0, 0));
    OK(WaitForSingleObject(thread, InfiniteTimeout));
    if (AllocWindow(&newWindow, &window, &buffer) != StatusSuccess)
        window = InvalidHandle;
    handles[0] = handles[1] = event;
    newProcess = (AbiCreateProcess){.CommandLine = Address(childLine),
                                    .CommandLineLength = sizeof childLine - 1};
}

void CloseObjects(void)
{
    const Handle all[] = {event,  section, terminal,  console, file,  readEnd, writeEnd, directory,
                          thread, window,  semaphore, mutex,   timer, unnamed, trace};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i])
            OK(CloseHandle(all[i]));
    OK(DeleteFile(ABUSE_FOLDER "/file"));
    (void)DeleteFile(ABUSE_FOLDER "/new");
    (void)RemoveDirectory(ABUSE_FOLDER "/directory");
    (void)RemoveDirectory(ABUSE_FOLDER);
}

// ---- what rows need before and after
static void Rewind(uint64_t *arguments)
{
    (void)SetFilePointer(file, 0, FileBegin, nullptr);
}

// A new pipe: nobody knows what is left in the old one.
static void EmptyPipe(uint64_t *arguments)
{
    (void)CloseHandle(readEnd);
    (void)CloseHandle(writeEnd);
    OK(CreatePipe(&readEnd, &writeEnd));
    arguments[0] = writeEnd;
}

static void FillPipe(uint64_t *arguments)
{
    size_t moved;
    EmptyPipe(arguments);
    OK(WriteFile(writeEnd, scratch, 64, &moved));
    arguments[0] = readEnd;
}

static void CutFile(const uint64_t *arguments)
{
    (void)SetFileSize(file, sizeof scratch);
}

static void ClearScratch(uint64_t *arguments)
{
    memset(scratch, 0, sizeof scratch);
}

static void RewindDirectory(uint64_t *arguments)
{
    (void)CloseHandle(directory);
    (void)OpenDirectory("/", &directory);
    arguments[0] = directory;
}

static void MakeFile(uint64_t *arguments)
{
    Handle new;
    if (CreateFile(ABUSE_FOLDER "/new", FileWrite, FileOpenAlways, &new) == StatusSuccess)
        (void)CloseHandle(new);
}

static void RemoveFile(uint64_t *arguments)
{
    (void)DeleteFile(ABUSE_FOLDER "/new");
}

static void PrepareMove(uint64_t *arguments)
{
    (void)DeleteFile(MOVED);
    MakeFile(arguments);
}

static void UndoMove(const uint64_t *arguments)
{
    (void)DeleteFile(MOVED);
}

static void MakeFolder(uint64_t *arguments)
{
    (void)CreateDirectory(ABUSE_FOLDER "/directory");
}

static void RemoveFolder(uint64_t *arguments)
{
    (void)RemoveDirectory(ABUSE_FOLDER "/directory");
}

static void BackToRoot(const uint64_t *arguments)
{
    (void)SetCurrentDirectory("/");
}

static void ClearBase(uint64_t *arguments)
{
    base = 0;
}

static void FreeBase(const uint64_t *arguments)
{
    (void)VirtualFree((void *)base);
}

static void AllocateBase(uint64_t *arguments)
{
    void *at = nullptr;
    (void)VirtualAlloc(&at, 8 * 4096, MemoryReadWrite);
    arguments[0] = base = Address(at);
}

// Its middle gets another protection, which takes two more regions.
static void AllocateMiddle(uint64_t *arguments)
{
    AllocateBase(arguments);
    arguments[0] += 4096;
}

static void UnmapBase(const uint64_t *arguments)
{
    (void)UnmapView((void *)base);
}

static void MapBase(uint64_t *arguments)
{
    void *at = nullptr;
    (void)MapView(section, 0, 0, MemoryRead, 0, &at);
    arguments[0] = base = Address(at);
}

static void UnmapImage(const uint64_t *arguments)
{
    const AbiImageInfo *image = (const AbiImageInfo *)(uintptr_t)arguments[1];
    (void)RawCall(SystemCallUnmapImage, image->Base, 0, 0, 0, 0, 0);
}

static void MapImage(uint64_t *arguments)
{
    AbiImageInfo image = {};
    (void)RawCall(SystemCallMapImage, Address("apitest2.dll"), Address(&image), 0, 0, 0, 0);
    arguments[0] = image.Base;
}

static void Signal(uint64_t *arguments)
{
    OK(SetEvent(event));
}

static void UnmapAgain(const uint64_t *arguments)
{
    OK(RawCall(SystemCallUnmapImage, arguments[0], 0, 0, 0, 0, 0));
}

static void MakeEvent(uint64_t *arguments)
{
    Handle new = InvalidHandle;
    (void)CreateEvent(false, false, &new);
    arguments[0] = new;
}

static void CloseNew(const uint64_t *arguments)
{
    OK(CloseHandle((Handle)arguments[0]));
}

static void StartSleeper(uint64_t *arguments)
{
    Handle process = InvalidHandle;
    (void)StartProgram("/tests/apitest.exe --child sleep 60000", &process);
    arguments[0] = process;
}

static void EndSleeper(const uint64_t *arguments)
{
    (void)WaitForProgram((Handle)arguments[0], 10000, nullptr);
}

static void MakeUnnamed(uint64_t *arguments)
{
    (void)CloseHandle(unnamed);
    (void)CreateEvent(false, false, &unnamed);
    arguments[0] = unnamed;
}

static void StartSleepingThread(uint64_t *arguments)
{
    AbiCreateThread sleeper = {.Start = Address((void *)SleepOn)};
    Handle new = InvalidHandle;
    (void)RawCall(SystemCallCreateThread, Address(&sleeper), Address(&new), 0, 0, 0, 0);
    arguments[0] = new;
}

static void EndSleepingThread(const uint64_t *arguments)
{
    (void)TerminateThread((Handle)arguments[0], 0);
    (void)WaitForSingleObject((Handle)arguments[0], 10000);
    (void)CloseHandle((Handle)arguments[0]);
}

static void FillClipboard(uint64_t *arguments)
{
    OK(SetClipboard("abuse", 5));
}

static void TakeMutex(uint64_t *arguments)
{
    OK(WaitForSingleObject(mutex, 0));
}

static void WaitForEnd(const uint64_t *arguments) // of a new thread or process
{
    (void)WaitForSingleObject(*(const Handle *)(uintptr_t)arguments[1], 20000);
}

// ---- the table
#define CALL(call, ...) {.Number = SystemCall##call, __VA_ARGS__}
#define ARGS(...)       .Arguments = {__VA_ARGS__}

const Call *GetCalls(size_t *count)
{
    // clang-format off: a row a call
    const Call rows[] = {
        CALL(GetSystemInfo, ARGS(S)),
        CALL(GetProcessorInfo, ARGS(0, S)),
        CALL(ListCounters, ARGS(S, 8, S2)),
        CALL(QueryTime, ARGS(S, S2), .Flags = OPTIONAL(1) | OPTIONAL(2)),
        CALL(DebugPrint, ARGS(Address("abuse"), 5), .Flags = BYTES(1) | LOOSE(1), .SizeArgument = 2),
        CALL(GetRandomBytes, ARGS(S, 64), .Flags = BYTES(1) | LOOSE(1), .SizeArgument = 2),
        CALL(ReadSystemLog, ARGS(S, 64, S2)),
        CALL(FailAllocation, ARGS(0, 0, 0, S), .Flags = OPTIONAL(4)),
        CALL(CreateTrace, ARGS(Address(&newTrace), S)),
        CALL(StopTrace, ARGS(trace, S)),
        CALL(ReadTrace, ARGS(trace, 0, 0, S, 64, S2)),
        CALL(GetProcessInfo, ARGS(CurrentProcess, S)),
        CALL(CreateProcess, ARGS(Address(&newProcess), S), .Undo = WaitForEnd),
        CALL(TerminateProcess, ARGS(0, 3), .Prepare = StartSleeper, .Undo = EndSleeper, .Clean = EndSleeper),
        CALL(CreateThread, ARGS(Address(&newThread), S), .Undo = WaitForEnd),
        CALL(ListProcesses, ARGS(S, 8, S2)),
        CALL(OpenProcess, ARGS(GetCurrentProcessId(), AccessQuery, S)),
        CALL(TerminateThread, ARGS(0, 3), .Prepare = StartSleepingThread, .Undo = EndSleepingThread,
             .Clean = EndSleepingThread),
        CALL(SetExceptionEntry, ARGS(0)),
        CALL(GetThreadExitCode, ARGS(thread, S)),
        CALL(GetThreadInfo, ARGS(thread, S)),
        CALL(ListThreads, ARGS(CurrentProcess, S, 8, S2)),
        CALL(OpenThread, ARGS(GetCurrentThreadId(), AccessQuery, S)),
        CALL(SetThreadPriority, ARGS(CurrentThread, 8)),
        CALL(SetThreadAffinity, ARGS(CurrentThread, ~0ull)),
        CALL(Sleep, ARGS(0)),
        CALL(CloseHandle, .Prepare = MakeEvent, .Clean = CloseNew),
        CALL(DuplicateHandle, ARGS(CurrentProcess, event, CurrentProcess, S, 0, DuplicateSameAccess)),
        CALL(GetHandleInfo, ARGS(event, S)),
        CALL(SetHandleFlags, ARGS(event, HandleInherit)),
        CALL(NameObject, ARGS(0, Address("abuse.name")), .Prepare = MakeUnnamed),
        CALL(OpenObject, ARGS(Address("abuse.event"), ObjectEvent, 0, S)),
        CALL(CreateEvent, ARGS(0, 0, S)),
        CALL(SetEvent, ARGS(event)),
        CALL(ResetEvent, ARGS(event)),
        CALL(CreateSemaphore, ARGS(0, 1, S)),
        CALL(ReleaseSemaphore, ARGS(semaphore, 1, S), .Flags = OPTIONAL(3)),
        CALL(CreateMutex, ARGS(0, S)),
        CALL(ReleaseMutex, ARGS(mutex), .Prepare = TakeMutex),
        CALL(CreateTimer, ARGS(0, S)),
        CALL(SetTimer, ARGS(timer, 1000000, 0)),
        CALL(CancelTimer, ARGS(timer)),
        CALL(WaitForSingleObject, ARGS(event, 0), .Prepare = Signal),
        CALL(WaitForMultipleObjects, ARGS(2, Address(handles), 0, 0, S), .Flags = OPTIONAL(5), .Prepare = Signal),
        CALL(WaitOnAddress, ARGS(S, 0, 0), .Flags = LOOSE(1), .Prepare = ClearScratch, .Expected = StatusTimeout),
        CALL(WakeByAddress, ARGS(S, 1), .Flags = IGNORED(1)),
        CALL(VirtualAlloc, ARGS(Address(&base), 4096, MemoryReadWrite), .Flags = LOOSE(1), .Prepare = ClearBase,
             .Undo = FreeBase),
        CALL(VirtualFree, .Prepare = AllocateBase, .Clean = FreeBase),
        CALL(VirtualProtect, ARGS(0, 4096, MemoryRead), .Prepare = AllocateMiddle, .Undo = FreeBase, .Clean = FreeBase),
        CALL(VirtualDecommit, ARGS(0, 4096), .Prepare = AllocateMiddle, .Undo = FreeBase, .Clean = FreeBase),
        CALL(VirtualQuery, ARGS(S, S2)),
        CALL(CreateSection, ARGS(InvalidHandle, 5 * 4096, MemoryReadWrite, S)),
        CALL(CreateSection, ARGS(file, 0, MemoryReadWrite, S)),
        CALL(MapView, ARGS(section, 0, 0, MemoryReadWrite, 0, Address(&base)), .Flags = LOOSE(6), .Prepare = ClearBase,
             .Undo = UnmapBase),
        CALL(UnmapView, .Prepare = MapBase, .Clean = UnmapBase),
        CALL(GetModuleInfo, ARGS(Address(&base), S)),
        CALL(MapImage, ARGS(Address("apitest2.dll"), S), .Undo = UnmapImage),
        CALL(UnmapImage, .Prepare = MapImage, .Clean = UnmapAgain),
        CALL(CreateFile, ARGS(PATH, FileRead, FileOpenExisting, S)),
        CALL(CreateFile, ARGS(NEW_PATH, FileWrite, FileCreateNew, S), .Prepare = RemoveFile),
        CALL(ReadFile, ARGS(file, S, 64, S2), .Flags = BYTES(2), .SizeArgument = 3, .Prepare = Rewind),
        CALL(ReadFile, ARGS(readEnd, S, 64, S2), .Prepare = FillPipe),
        CALL(WriteFile, ARGS(file, S, 64, S2), .Flags = BYTES(2), .SizeArgument = 3, .Prepare = Rewind),
        CALL(WriteFile, ARGS(writeEnd, S, 64, S2), .Flags = BYTES(2), .SizeArgument = 3, .Prepare = EmptyPipe),
        CALL(SetFilePointer, ARGS(file, 0, FileCurrent, S), .Flags = OPTIONAL(4)),
        CALL(SetFileSize, ARGS(file, 40000), .Undo = CutFile),
        CALL(FlushFile, ARGS(file)),
        CALL(ReadFileAt, ARGS(file, 0, S, 64, S2), .Flags = BYTES(3) | LOOSE(3), .SizeArgument = 4),
        CALL(WriteFileAt, ARGS(file, 0, S, 64, S2), .Flags = BYTES(3) | LOOSE(3), .SizeArgument = 4),
        CALL(SetFileTime, ARGS(file, 0)),
        CALL(LockFile, ARGS(file, 0, 1, FileLockNone, 0)),
        CALL(QueryFileLock, ARGS(file, 0, 1, FileLockShared, S)),
        CALL(GetFileInfo, ARGS(file, S)),
        CALL(GetPathInfo, ARGS(PATH, S)),
        CALL(DeleteFile, ARGS(NEW_PATH), .Prepare = MakeFile),
        CALL(MoveFile, ARGS(NEW_PATH, MOVED_PATH), .Prepare = PrepareMove, .Undo = UndoMove),
        CALL(CreateDirectory, ARGS(DIRECTORY), .Prepare = RemoveFolder),
        CALL(RemoveDirectory, ARGS(DIRECTORY), .Prepare = MakeFolder),
        CALL(OpenDirectory, ARGS(Address("/"), S)),
        CALL(ReadDirectory, ARGS(directory, S), .Prepare = RewindDirectory),
        CALL(SetCurrentDirectory, ARGS(Address("/apps")), .Undo = BackToRoot),
        CALL(GetCurrentDirectory, ARGS(S, 64)),
        CALL(GetVolumeInfo, ARGS(S)),
        CALL(CreatePipe, ARGS(S, S2)),
        CALL(CreateConsole, ARGS(80, 25, S, S2)),
        CALL(GetConsoleInfo, ARGS(console, S)),
        CALL(SetConsoleMode, ARGS(console, ConsoleModeDefault)),
        CALL(SetConsoleSize, ARGS(terminal, 80, 25)),
        CALL(SetConsoleForeground, ARGS(console, 2, Address(handles))),
        CALL(AllocWindow, ARGS(Address(&newWindow), S, S2)),
        CALL(PaintWindow, ARGS(window, Address(&area)), .Flags = OPTIONAL(2)),
        CALL(MoveWindow, ARGS(window, 10, 10)),
        CALL(ResizeWindow, ARGS(window, 40, 24, S)),
        CALL(GetWindowRect, ARGS(window, S)),
        CALL(SetWindowTitle, ARGS(window, Address("title")), .Flags = OPTIONAL(2)),
        CALL(SetWindowFlags, ARGS(window, WindowFrame)),
        CALL(ActivateWindow, ARGS(window)),
        CALL(GetScreenRect, ARGS(S)),
        CALL(GetScreenMode, ARGS(0, S)),
        CALL(SetScreenMode, ARGS(1024, 768), .Other = StatusNotSupported),
        CALL(GetMessage, ARGS(S, 0), .Other = StatusTimeout),
        CALL(PeekMessage, ARGS(S), .Other = StatusWouldBlock),
        CALL(SetClipboard, ARGS(Address("abuse"), 5), .Flags = BYTES(1) | LOOSE(1), .SizeArgument = 2),
        CALL(GetClipboard, ARGS(S, 64, S2), .Prepare = FillClipboard),
    };
    // clang-format on
    static Call table[COUNT_OF(rows)];
    *count = 0;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (window || rows[i].Number < SystemCallAllocWindow ||
            rows[i].Number > SystemCallPeekMessage)
            table[(*count)++] = rows[i];
    return table;
}

// Those that do not come back.
bool IsCallLeftOut(uint32_t number)
{
    return number == SystemCallShutdownSystem || number == SystemCallExitThread;
}

Status MakeCall(const Call *call, const uint64_t *a)
{
    return RawCall(call->Number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

void UndoCall(const Call *call, const uint64_t *arguments)
{
    if (call->Undo)
        call->Undo(arguments);
    for (size_t i = 0; i < ARGUMENTS; i++)
        if (IsHandleResult(call->Number, i))
            OK(CloseHandle(*(const Handle *)(uintptr_t)arguments[i]));
}
