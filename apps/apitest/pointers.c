// pointers.c - every pointer argument of every system call, with every kind of bad address.
//
// A row names a call with good arguments and the position of one pointer; each bad address takes
// that pointer's place. The answer must be an error and nothing may have been made.
// SPDX-License-Identifier: MIT
#include "raw.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

typedef enum PointerKind {
    In = 1,     // the kernel reads a structure
    Out = 2,    // it writes one
    String = 4, // it reads a path or text
    MayBeNull = 8,
    Aligned = 16, // must be a multiple of 4
} PointerKind;

typedef struct PointerCase {
    const char *Name;
    uint64_t Number;
    uint64_t Arguments[6];
    unsigned Position;
    unsigned Kind;
    size_t Size; // bytes behind the pointer
} PointerCase;

static uint8_t scratch[8192];
static AbiCreateThread thread;
static AbiCreateProcess process;
static Handle handleOf[2], event, file, readEnd, writeEnd, directory, window;
static uint64_t base;

static uint64_t Address(const void *pointer)
{
    return (uintptr_t)pointer;
}

#define S    Address(scratch)
#define PATH Address(FOLDER "/pointer")

// Bad addresses; the last ones depend on pages made by MakePages.
typedef struct BadAddress {
    const char *Name;
    uint64_t Address;
    unsigned Kinds; // of pointers it is bad for
} BadAddress;

static uint64_t page; // readable and writable, followed by nothing
static uint64_t readOnly, noAccess;
constexpr uint64_t FreeAddress = 0x0000123456789000ull; // where nothing is allocated

static void MakePages(void)
{
    void *at = nullptr;
    OK(VirtualAlloc(&at, 3 * 4096, MemoryReadWrite));
    memset(at, 'a', 3 * 4096); // no end of a string
    page = (uintptr_t)at;
    OK(VirtualProtect((char *)at + 4096, 4096, MemoryNoAccess));
    OK(VirtualProtect((char *)at + 8192, 4096, MemoryRead));
    noAccess = page + 4096;
    readOnly = page + 8192;
    MemoryInfo info;
    OK(VirtualQuery((void *)FreeAddress, &info));
    EQUAL(info.Kind, 0);
}

static void TryOne(const PointerCase *row, const BadAddress *bad)
{
    uint64_t a[6];
    char text[160];
    memcpy(a, row->Arguments, sizeof a);
    a[row->Position] = bad->Address;
    base = 0;
    memset((void *)(page + 4000), 'a', 96); // outputs before may have ended the string there
    Status status = RawCall(row->Number, a[0], a[1], a[2], a[3], a[4], a[5]);
    snprintf(text, sizeof text, "%s, argument %u %s: %s", row->Name, row->Position + 1, bad->Name,
             GetStatusText(status));
    bool refused = status == StatusInvalidAddress ||
                   (status == StatusInvalidParameter && (row->Kind & Aligned)) ||
                   (status == StatusNameTooLong && (row->Kind & String));
    TestCheck(refused, __FILE__, __LINE__, text);
}

static void TryRow(const PointerCase *row)
{
    const BadAddress addresses[] = {
        {"null", 0, row->Kind & MayBeNull ? 0 : ~0u},
        {"in the first page", 0x10, ~0u},
        {"kernel", 0xFFFFF80000000000ull, ~0u},
        {"direct map", 0xFFFF800000001000ull, ~0u},
        {"not canonical", 0x0000900000000000ull, ~0u},
        {"highest", UINT64_MAX, ~0u},
        {"highest, aligned", UINT64_MAX - 4095, ~0u},
        {"user's last bytes", 0x00007FFFFFFFFFFCull, ~0u},
        {"free", FreeAddress, ~0u},
        {"without access", noAccess, ~0u},
        {"across a page's end", row->Kind & String ? page + 4090 : page + 4096 - 4,
         row->Size > 4 || (row->Kind & String) ? ~0u : 0},
        {"read-only", readOnly, Out},
        {"code", Address((void *)TestPointers) & ~15ull, Out},
    };
    for (size_t i = 0; i < COUNT_OF(addresses); i++)
        if (addresses[i].Kinds & row->Kind)
            TryOne(row, &addresses[i]);
}

static void PrepareObjects(void)
{
    size_t moved;
    OK(CreateEvent(true, true, &event));
    OK(CreateFile(FOLDER "/pointer", FileRead | FileWrite, FileCreateAlways, &file));
    OK(WriteFile(file, scratch, sizeof scratch, &moved));
    OK(SetFilePointer(file, 0, FileBegin, nullptr));
    OK(CreatePipe(&readEnd, &writeEnd));
    OK(WriteFile(writeEnd, scratch, sizeof scratch, &moved));
    OK(OpenDirectory("/", &directory));
    WindowParameters parameters = {"pointers", 0, 0, 32, 32, 0};
    WindowBuffer buffer;
    if (AllocWindow(&parameters, &window, &buffer) != StatusSuccess)
        window = InvalidHandle;
    handleOf[0] = handleOf[1] = event;
    thread = (AbiCreateThread){.Start = Address((void *)ExitThread)};
    process = (AbiCreateProcess){
        .CommandLine = Address("/tests/apitest.exe --child nothing"),
        .CommandLineLength = strlen("/tests/apitest.exe --child nothing"),
    };
}

static void CloseObjects(void)
{
    const Handle handles[] = {event, file, readEnd, writeEnd, directory, window};
    for (size_t i = 0; i < COUNT_OF(handles); i++)
        if (handles[i])
            OK(CloseHandle(handles[i]));
    OK(VirtualFree((void *)page));
}

#define ROW(call, position, kind, size, ...)                                                       \
    {#call, SystemCall##call, {__VA_ARGS__}, (position) - 1, kind, size}

static void TryTable(void)
{
    const uint64_t title = Address("title");
    WindowParameters *parameters = (WindowParameters *)(scratch + 4096);
    *parameters = (WindowParameters){(const char *)title, 0, 0, 32, 32, 0};
    const PointerCase rows[] = {
        ROW(GetSystemInfo, 1, Out, sizeof(SystemInfo), S),
        ROW(QueryTime, 1, Out | MayBeNull, 8, S, S),
        ROW(QueryTime, 2, Out | MayBeNull, 8, S, S),
        ROW(DebugPrint, 1, In, 64, S, 64),
        ROW(GetRandomBytes, 1, Out, 64, S, 64),
        ROW(GetProcessInfo, 2, Out, sizeof(ProcessInfo), CurrentProcess, S),
        ROW(CreateProcess, 1, In, sizeof(AbiCreateProcess), Address(&process), S),
        ROW(CreateProcess, 2, Out, 4, Address(&process), S),
        ROW(CreateThread, 1, In, sizeof(AbiCreateThread), Address(&thread), S),
        ROW(CreateThread, 2, Out, 4, Address(&thread), S),
        ROW(DuplicateHandle, 2, Out, 4, event, S),
        ROW(CreateEvent, 3, Out, 4, 0, 0, S),
        ROW(WaitForMultipleObjects, 2, In, 8, 2, Address(handleOf), 0, 0, S),
        ROW(WaitForMultipleObjects, 5, Out | MayBeNull, 8, 2, Address(handleOf), 0, 0, S),
        ROW(WaitOnAddress, 1, In | Aligned, 4, S, 0, 0),
        ROW(VirtualAlloc, 1, Out | Aligned, 8, Address(&base), 4096, MemoryReadWrite),
        ROW(VirtualQuery, 2, Out, sizeof(MemoryInfo), S, S),
        ROW(MapImage, 1, String, 64, Address("apitest2.dll"), S),
        ROW(MapImage, 2, Out, sizeof(AbiImageInfo), Address("apitest2.dll"), S),
        ROW(CreateFile, 1, String, 64, PATH, FileRead, FileOpenExisting, S),
        ROW(CreateFile, 4, Out, 4, PATH, FileRead, FileOpenExisting, S),
        ROW(ReadFile, 2, Out, 64, file, S, 64, S + 1024),
        ROW(ReadFile, 4, Out, 8, file, S, 64, S + 1024),
        ROW(ReadFile, 2, Out, 64, readEnd, S, 64, S + 1024),
        ROW(WriteFile, 2, In, 64, file, S, 64, S + 1024),
        ROW(WriteFile, 4, Out, 8, file, S, 64, S + 1024),
        ROW(WriteFile, 2, In, 64, writeEnd, S, 64, S + 1024),
        ROW(SetFilePointer, 4, Out | MayBeNull, 8, file, 0, FileCurrent, S),
        ROW(GetFileInfo, 2, Out, sizeof(FileInfo), file, S),
        ROW(GetPathInfo, 1, String, 64, PATH, S),
        ROW(GetPathInfo, 2, Out, sizeof(FileInfo), PATH, S),
        ROW(DeleteFile, 1, String, 64, PATH),
        ROW(MoveFile, 1, String, 64, PATH, PATH),
        ROW(MoveFile, 2, String, 64, PATH, PATH),
        ROW(CreateDirectory, 1, String, 64, PATH),
        ROW(RemoveDirectory, 1, String, 64, PATH),
        ROW(OpenDirectory, 1, String, 64, PATH, S),
        ROW(OpenDirectory, 2, Out, 4, Address("/"), S),
        ROW(ReadDirectory, 2, Out, sizeof(DirectoryEntry), directory, S),
        ROW(SetCurrentDirectory, 1, String, 64, PATH),
        ROW(GetCurrentDirectory, 1, Out, 1, S, 64),
        ROW(GetVolumeInfo, 1, Out, sizeof(VolumeInfo), S),
        ROW(CreatePipe, 1, Out, 4, S, S + 8),
        ROW(CreatePipe, 2, Out, 4, S, S + 8),
        ROW(AllocWindow, 1, In, sizeof(WindowParameters), Address(parameters), S, S + 8),
        ROW(AllocWindow, 2, Out, 4, Address(parameters), S, S + 8),
        ROW(AllocWindow, 3, Out, sizeof(WindowBuffer), Address(parameters), S, S + 8),
        ROW(PaintWindow, 2, In | MayBeNull, sizeof(Rect), window, S),
        ROW(GetWindowRect, 2, Out, sizeof(Rect), window, S),
        ROW(SetWindowTitle, 2, String | MayBeNull, 64, window, title),
        ROW(GetScreenRect, 1, Out, sizeof(Rect), S),
        ROW(GetMessage, 1, Out, sizeof(Message), S, 0),
        ROW(PeekMessage, 1, Out, sizeof(Message), S),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (window || rows[i].Number < SystemCallPaintWindow)
            TryRow(&rows[i]);
}

// Pointers inside structures, and lengths that do not fit them.
static void TryInnerPointers(void)
{
    static const uint64_t bad[] = {0x10, 0xFFFFF80000000000ull, 0x0000900000000000ull,
                                   UINT64_MAX - 8};
    Handle made;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        AbiCreateProcess wrong = process;
        wrong.CommandLine = bad[i];
        STATUS(RawCall(SystemCallCreateProcess, Address(&wrong), Address(&made), 0, 0, 0, 0),
               StatusInvalidAddress);
        wrong = process;
        wrong.CurrentDirectory = bad[i];
        wrong.CurrentDirectoryLength = 10;
        STATUS(RawCall(SystemCallCreateProcess, Address(&wrong), Address(&made), 0, 0, 0, 0),
               StatusInvalidAddress);
        wrong = process;
        wrong.Environment = bad[i];
        wrong.EnvironmentLength = 10;
        STATUS(RawCall(SystemCallCreateProcess, Address(&wrong), Address(&made), 0, 0, 0, 0),
               StatusInvalidAddress);
        if (window) {
            WindowParameters parameters = {(const char *)bad[i], 0, 0, 32, 32, 0};
            WindowBuffer buffer;
            STATUS(AllocWindow(&parameters, &made, &buffer), StatusInvalidAddress);
        }
    }
    static const uint64_t lengths[] = {0, 32768, 1 << 20, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        AbiCreateProcess wrong = process;
        wrong.CommandLineLength = lengths[i];
        CHECK(RawCall(SystemCallCreateProcess, Address(&wrong), Address(&made), 0, 0, 0, 0) !=
              StatusSuccess);
    }
    size_t moved;
    STATUS(ReadFile(file, scratch, SIZE_MAX, &moved), StatusInvalidAddress);
    STATUS(WriteFile(file, scratch, SIZE_MAX, &moved), StatusInvalidAddress);
    STATUS(ReadFile(file, scratch, 1ull << 46, &moved), StatusInvalidAddress);
}

void TestPointers(void)
{
    ProcessInfo before, after;
    PrepareObjects();
    MakePages();
    OK(GetProcessInfo(CurrentProcess, &before));
    TryTable();
    TryInnerPointers();
    OK(GetProcessInfo(CurrentProcess, &after));
    EQUAL(after.HandleCount, before.HandleCount);
    EQUAL(after.ThreadCount, before.ThreadCount);
    EQUAL(after.WindowCount, before.WindowCount);
    EQUAL(after.CommittedMemory, before.CommittedMemory);
    // Wake-ups of bad addresses: an error or nothing at all.
    STATUS(WakeByAddress(KERNEL_ADDRESS, 1), StatusInvalidAddress);
    STATUS(WakeByAddress(NON_CANONICAL_ADDRESS, 1), StatusInvalidAddress);
    CloseObjects();
}
