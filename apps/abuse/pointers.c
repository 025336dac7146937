// pointers.c - every pointer argument of every system call, with every kind of bad address.
//
// Each bad address takes the place of one pointer of a call that otherwise works. The answer must
// be an error, and nothing may have been made.
// SPDX-License-Identifier: MIT
#include "abuse.h"

#include <string.h>

#define PAGE 4096u

static uint64_t pages;    // a page to write, one without access, one to read only, one to write
static uint64_t noAccess; // the second
static uint64_t readOnly; // the third
constexpr uint64_t FreeAddress = 0x0000123456789000ull; // where nothing is allocated

typedef struct BadAddress {
    const char *Name;
    uint64_t Address;
    bool In, String, Out; // for which kinds it is bad
    uint64_t Size;        // 0, or what the length says
} BadAddress;

static void MakePages(void)
{
    void *at = nullptr;
    MemoryInfo info = {};
    OK(VirtualAlloc(&at, 4 * PAGE, MemoryReadWrite));
    pages = (uintptr_t)at;
    noAccess = pages + PAGE;
    readOnly = pages + 2 * PAGE;
    memset(at, 'a', 4 * PAGE); // no end of a string
    OK(VirtualProtect((void *)noAccess, PAGE, MemoryNoAccess));
    OK(VirtualProtect((void *)readOnly, PAGE, MemoryRead));
    OK(VirtualQuery((void *)FreeAddress, &info));
    Check(info.Kind == 0, "there is something at %p", (void *)FreeAddress);
}

static bool IsBadFor(const BadAddress *bad, const Call *call, size_t argument, PointerKind kind)
{
    if (bad->Address == 0 && (call->Flags & OPTIONAL(argument + 1)))
        return false;
    if (bad->Size && !(call->SizeArgument && (call->Flags & BYTES(argument + 1))))
        return false;
    return kind == PointerOut ? bad->Out : kind == PointerString ? bad->String : bad->In;
}

static void TryOne(const Call *call, size_t argument, PointerKind kind, const BadAddress *bad)
{
    uint64_t arguments[ARGUMENTS];
    memcpy(arguments, call->Arguments, sizeof arguments);
    if (call->Prepare)
        call->Prepare(arguments);
    memset((void *)pages, 'a', PAGE); // results before may have ended the string there
    arguments[argument] = bad->Address;
    if (bad->Size)
        arguments[call->SizeArgument - 1] = bad->Size;
    Status status = MakeCall(call, arguments);
    bool refused = status == StatusInvalidAddress ||
                   (status == StatusInvalidParameter && (call->Flags & LOOSE(argument + 1))) ||
                   (status == StatusNameTooLong && kind == PointerString) ||
                   (call->Flags & IGNORED(argument + 1));
    Check(refused, "%s, argument %zu %s: %s", signatures[call->Number].Name, argument + 1,
          bad->Name, GetStatusText(status));
}

static void TryPointer(const Call *call, size_t argument)
{
    PointerKind kind = GetPointerKind(call->Number, argument);
    if (kind == PointerString && (call->Flags & BYTES(argument + 1)))
        kind = PointerIn;
    const BadAddress addresses[] = {
        {"null", 0, true, true, true, 0},
        {"in the first page", 0x10, true, true, true, 0},
        {"kernel", 0xFFFFF80000000000ull, true, true, true, 0},
        {"direct map", 0xFFFF800000001000ull, true, true, true, 0},
        {"not canonical", 0x0000900000000000ull, true, true, true, 0},
        {"highest", UINT64_MAX, true, true, true, 0},
        {"highest, aligned", UINT64_MAX - 4095, true, true, true, 0},
        {"user's last bytes", 0x00007FFFFFFFFFFCull, true, true, true, 0},
        {"free", FreeAddress, true, true, true, 0},
        {"without access", noAccess, true, true, true, 0},
        {"across a page's end", noAccess - 1, true, false, true, 0},
        {"string across a page's end", noAccess - 6, false, true, false, 0},
        {"read-only", readOnly, false, false, true, 0},
        {"into a read-only page", readOnly - 1, false, false, true, 0},
        {"code", (uintptr_t)TestPointers & ~15ull, false, false, true, 0},
        {"hole in the middle", pages, true, true, true, 4 * PAGE},
        {"longer than memory", pages, true, true, true, 1ull << 46},
        {"longer than addresses", pages, true, true, true, UINT64_MAX},
    };
    for (size_t i = 0; i < COUNT_OF(addresses); i++)
        if (IsBadFor(&addresses[i], call, argument, kind))
            TryOne(call, argument, kind, &addresses[i]);
}

// ---- pointers inside structures, and lengths that do not fit them
static void TryNewProcess(AbiCreateProcess wrong, const char *what)
{
    Handle made;
    Status status =
        RawCall(SystemCallCreateProcess, (uintptr_t)&wrong, (uintptr_t)&made, 0, 0, 0, 0);
    Check(status == StatusInvalidAddress || status == StatusInvalidParameter ||
              status == StatusInvalidName || status == StatusNameTooLong,
          "CreateProcess with %s: %s", what, GetStatusText(status));
}

static void TryInnerPointers(void)
{
    static const uint64_t bad[] = {0x10, 0xFFFFF80000000000ull, 0x0000900000000000ull,
                                   UINT64_MAX - 8};
    static const uint64_t lengths[] = {0, 32768, 1 << 20, UINT64_MAX};
    static const char line[] = "/tests/apitest.exe --child nothing";
    const AbiCreateProcess good = {.CommandLine = (uintptr_t)line,
                                   .CommandLineLength = sizeof line - 1};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        AbiCreateProcess wrong = good;
        wrong.CommandLine = bad[i];
        TryNewProcess(wrong, "a bad command line");
        wrong = good;
        wrong.CurrentDirectory = bad[i];
        wrong.CurrentDirectoryLength = 10;
        TryNewProcess(wrong, "a bad directory");
        wrong = good;
        wrong.Environment = bad[i];
        wrong.EnvironmentLength = 10;
        TryNewProcess(wrong, "a bad environment");
        WindowParameters parameters = {(const char *)bad[i], 0, 0, 32, 32, 0};
        WindowBuffer buffer;
        Handle made;
        Check(AllocWindow(&parameters, &made, &buffer) != StatusSuccess,
              "AllocWindow with a bad title succeeds");
    }
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        AbiCreateProcess wrong = good;
        wrong.CommandLineLength = lengths[i];
        TryNewProcess(wrong, "a bad length of the command line");
    }
}

void TestPointers(void)
{
    static bool covered[SystemCallCount];
    Counters before;
    size_t count;
    OpenObjects();
    MakePages();
    const Call *calls = GetCalls(&count);
    for (size_t round = 0; round < 2; round++) { // the first makes what is made once
        CountAll(&before);
        for (size_t i = 0; i < count; i++) {
            covered[calls[i].Number] = true;
            for (size_t argument = 0; argument < ARGUMENTS; argument++)
                if (GetPointerKind(calls[i].Number, argument) != PointerNone)
                    TryPointer(&calls[i], argument);
        }
        TryInnerPointers();
    }
    CompareCounters(&before, "bad pointers");
    for (uint32_t i = 0; i < SystemCallCount; i++)
        Check(covered[i] || IsCallLeftOut(i) || strstr(signatures[i].Prototype, "window") ||
                  (i >= SystemCallAllocWindow && i <= SystemCallPeekMessage),
              "calls.c has no row for %s", signatures[i].Name);
    OK(VirtualFree((void *)pages));
    CloseObjects();
}
