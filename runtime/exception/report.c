// report.c - the end of a process whose exception nobody handled.
//
// What happened and the symbolised stack go to standard error and to the system log; a program
// with windows gets one more, which a program of the system shows (/system/stopped.exe). Symbols
// come from the PDBs beside the images, when they are there and of the same build.
//
// The process is in an unknown state: no heap, no stdio, no lock of the C library is used, memory
// comes from the kernel. A second failure, or one of another thread meanwhile, ends it at once, or
// waits for the end.
// SPDX-License-Identifier: MIT
#include "exception.h"
#include "pdb/pdb.h"
#include "rtl/rtl.h"

#include <string.h>

constexpr size_t LineSize = 512;
constexpr size_t MaximumFrames = 64;
constexpr size_t MaximumSymbolFiles = 8;
constexpr size_t MaximumInlined = 6; // deeper ones are rare, and the outer ones say enough

// ---- output
static void Print(const char *line, size_t length)
{
    Handle error = RtGetProcess()->StandardHandles[2];
    (void)SysDebugPrint(line, length);
    for (size_t done = 0, part; done < length; done += part)
        if (error == InvalidHandle ||
            SysWriteFile(error, line + done, length - done, &part) != StatusSuccess || part == 0)
            return;
}

static void PrintLine(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void PrintLine(const char *format, ...)
{
    char line[LineSize];
    va_list arguments;
    va_start(arguments, format);
    size_t length = RtlFormatV(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    Print(line, length);
}

static const char *LastPart(const char *path)
{
    const char *name = path;
    for (const char *p = path; *p; p++)
        if (*p == '/' || *p == '\\')
            name = p + 1;
    return name;
}

// ---- symbols
typedef struct SymbolFile {
    uint64_t Base; // of the image
    PdbFile Pdb;
    bool Usable;
} SymbolFile;

static SymbolFile symbolFiles[MaximumSymbolFiles]; // in order of use; Base 0: free

// The file's bytes, in memory of their own that is never given back. nullptr: not readable.
static const void *ReadWhole(const char *path, size_t *size)
{
    Handle file;
    FileInfo info;
    uint64_t memory = 0;
    if (SysCreateFile(path, FileRead, FileOpenExisting, &file) != StatusSuccess)
        return nullptr;
    size_t done = 0, part = 1;
    if (SysGetFileInfo(file, &info) == StatusSuccess && info.Size > 0 &&
        SysVirtualAlloc(&memory, info.Size, MemoryReadWrite) == StatusSuccess)
        while (done < info.Size && part > 0 &&
               SysReadFile(file, (char *)memory + done, info.Size - done, &part) == StatusSuccess)
            done += part;
    (void)SysCloseHandle(file);
    *size = done;
    return memory != 0 && done == info.Size ? (const void *)memory : nullptr;
}

static bool OpenSymbolFile(SymbolFile *symbols, const char *path, const PeDebugId *id)
{
    size_t size;
    const void *bytes = ReadWhole(path, &size);
    return bytes && PdbOpen(&symbols->Pdb, bytes, size) == StatusSuccess &&
           memcmp(id->Guid, symbols->Pdb.Guid, sizeof id->Guid) == 0;
}

// The PDB of a module, which lies beside it. nullptr: none that belongs to it.
static const PdbFile *GetSymbols(const ModuleInfo *module, const PeDebugId *id)
{
    char path[MaximumPath];
    for (size_t i = 0; i < MaximumSymbolFiles; i++) {
        SymbolFile *symbols = &symbolFiles[i];
        if (symbols->Base == 0) {
            symbols->Base = module->Base;
            RtlFormat(path, sizeof path, "%.*s%s", (int)(LastPart(module->Path) - module->Path),
                      module->Path, LastPart(id->PdbPath));
            symbols->Usable = OpenSymbolFile(symbols, path, id);
        }
        if (symbols->Base == module->Base)
            return symbols->Usable ? &symbols->Pdb : nullptr;
    }
    return nullptr;
}

// The build takes everything above its tree away and puts "X:" there.
static const char *TrimSourcePath(char *path)
{
    for (char *p = path; *p; p++)
        if (*p == '\\')
            *p = '/';
    return strncmp(path, "X:/", 3) == 0 ? path + 3 : path;
}

// An address of code and what is known about it.
typedef struct Place {
    uint64_t Address;
    char Module[64];                               // "" outside of any
    uint32_t Rva;                                  // in it
    PdbLocation Function, Inlined[MaximumInlined]; // the latter outermost first
    size_t InlinedCount;
} Place;

static void FindPlace(Place *place, uint64_t address, bool returnAddress)
{
    ModuleInfo module;
    PeImage image;
    PeDebugId id;
    place->Address = address;
    place->Module[0] = place->Function.Function[0] = 0;
    place->Function.Line = 0;
    place->InlinedCount = 0;
    if (SysGetModuleInfo(address, &module) != StatusSuccess)
        return;
    const char *name = LastPart(module.Path);
    RtlFormat(place->Module, sizeof place->Module, "%.*s", (int)strcspn(name, "."), name);
    place->Rva = (uint32_t)(address - module.Base);
    if (PeOpen(&image, (const void *)module.Base, module.Size, PeLayoutMapped) != StatusSuccess ||
        PeGetDebugId(&image, &id) != StatusSuccess)
        return;
    const PdbFile *pdb = GetSymbols(&module, &id);
    uint32_t rva = place->Rva - returnAddress;
    if (pdb && PdbLookup(pdb, rva, &place->Function) == StatusSuccess)
        place->InlinedCount = PdbLookupInlined(pdb, rva, place->Inlined, MaximumInlined);
}

// "module!Function+0x12  file.c:34", as far as that is known.
static void Describe(char *text, size_t size, Place *place)
{
    PdbLocation *function = &place->Function;
    size_t length = 0;
    if (function->Function[0])
        length = RtlFormat(text, size, "%s!%s+0x%x", place->Module, function->Function,
                           place->Rva - function->FunctionRva);
    else if (place->Module[0])
        length = RtlFormat(text, size, "%s+0x%x", place->Module, place->Rva);
    else
        RtlFormat(text, size, "0x%llx", (unsigned long long)place->Address);
    if (function->Line && length < size)
        RtlFormat(text + length, size - length, "  %s:%u", TrimSourcePath(function->File),
                  function->Line);
}

static void DescribeInlined(char *text, size_t size, Place *place, size_t index)
{
    PdbLocation *inlined = &place->Inlined[index];
    RtlFormat(text, size, "%s!%s  %s:%u", place->Module, inlined->Function,
              TrimSourcePath(inlined->File), inlined->Line);
}

// ---- the report
static const char *GetCodeText(uint32_t code)
{
    static const struct {
        uint32_t Code;
        const char *Text;
    } texts[] = {
        {ExceptionDatatypeMisalignment, "misaligned access"},
        {ExceptionBreakpoint, "breakpoint"},
        {ExceptionSingleStep, "single step"},
        {ExceptionAccessViolation, "access violation"},
        {ExceptionIllegalInstruction, "illegal instruction"},
        {ExceptionNoncontinuable, "a handler continued after an exception that forbids it"},
        {ExceptionInvalidDisposition, "an exception handler's answer makes no sense"},
        {ExceptionFloatingPoint, "floating-point error"},
        {ExceptionIntegerDivideByZero, "integer division error"},
        {ExceptionIntegerOverflow, "integer overflow"},
    };
    for (size_t i = 0; i < RTL_COUNT_OF(texts); i++)
        if (texts[i].Code == code)
            return texts[i].Text;
    return "exception";
}

// "access violation writing 0x10"
static void DescribeCause(char *text, size_t size, const ExceptionRecord *record)
{
    size_t length = RtlFormat(text, size, "%s", GetCodeText(record->Code));
    if (record->Code != ExceptionAccessViolation || record->ParameterCount < 2 || length >= size)
        return;
    if (record->Parameters[1] == UINT64_MAX)
        RtlFormat(text + length, size - length, ": no such address, or a privileged instruction");
    else
        RtlFormat(text + length, size - length, " %s 0x%llx",
                  record->Parameters[0] == 1   ? "writing"
                  : record->Parameters[0] == 8 ? "executing"
                                               : "reading",
                  (unsigned long long)record->Parameters[1]);
}

static void PrintStack(const ThreadContext *context)
{
    UnwindVector vectors[16];
    UnwindFrame frame = RtFrameFromContext(context, vectors), caller;
    static Place place; // large; only one thread reports
    char text[LineSize];
    for (size_t i = 0; i < MaximumFrames; i++) {
        DispatcherContext dispatcher;
        if (frame.Rip == 0 && !frame.Interrupted)
            return;
        FindPlace(&place, frame.Rip, !frame.Interrupted);
        for (size_t n = place.InlinedCount; n-- > 0;) {
            DescribeInlined(text, sizeof text, &place, n);
            PrintLine("  #%-2zu %s  (inlined)", i, text);
        }
        Describe(text, sizeof text, &place);
        PrintLine("  #%-2zu %s", i, text);
        if (!RtLookAtFrame(&frame, UnwindExceptionHandler, &dispatcher, &caller))
            return;
        frame = caller;
    }
}

// One notice at a time: further failures are in the log.
static void ShowWindow(const char *cause, const char *place)
{
    char line[2 * LineSize];
    Handle process, notice;
    if (SysOpenObject("stopped.exe", 0, 0, &notice) == StatusSuccess) {
        (void)SysCloseHandle(notice);
        return;
    }
    RtlFormat(line, sizeof line, "/system/stopped.exe \"%s\" \"%s\" \"%s\"",
              LastPart(RtGetProcess()->ProgramPath), cause, place);
    AbiCreateProcess parameters = {
        .CommandLine = (uintptr_t)line,
        .CommandLineLength = strlen(line),
    };
    if (SysCreateProcess(&parameters, &process) == StatusSuccess)
        (void)SysCloseHandle(process);
}

static void Report(const ExceptionRecord *record, const ThreadContext *context)
{
    static Place place;
    char cause[LineSize], where[LineSize];
    ProcessInfo info = {};
    DescribeCause(cause, sizeof cause, record);
    PrintLine("%s stopped: %s (exception 0x%08X in thread %llu)",
              LastPart(RtGetProcess()->ProgramPath), cause, record->Code,
              (unsigned long long)RtGetThreadBlock()->ThreadId);
    PrintStack(context);
    for (const ExceptionRecord *nested = record->Nested; nested; nested = nullptr) {
        DescribeCause(cause, sizeof cause, nested);
        PrintLine("  while handling: %s (exception 0x%08X)", cause, nested->Code);
    }
    if (SysGetProcessInfo(CurrentProcess, &info) == StatusSuccess && info.WindowCount > 0) {
        FindPlace(&place, (uint64_t)record->Address, false);
        if (place.InlinedCount > 0)
            DescribeInlined(where, sizeof where, &place, place.InlinedCount - 1);
        else
            Describe(where, sizeof where, &place);
        ShowWindow(cause, where);
    }
}

void RtReportException(const ExceptionRecord *record, const ThreadContext *context)
{
    static uint64_t reporter; // the thread that is at it
    uint64_t self = RtGetThreadBlock()->ThreadId, expected = 0;
    bool first = __atomic_compare_exchange_n(&reporter, &expected, self, false, __ATOMIC_ACQ_REL,
                                             __ATOMIC_RELAXED);
    if (first)
        Report(record, context);
    while (!first && expected != self)
        (void)SysSleep(InfiniteTimeout); // the other thread ends the process
    ExitProcess(record->Code);
}
