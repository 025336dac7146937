// ProcessAbi.h - what the kernel and mosrt.dll agree on about a user process beside the system
// calls: how a process starts, the two environment blocks, and the private structures of a few
// calls.
//
// Start of a process. The kernel maps the program and mosrt.dll, relocates both, binds the
// program's imports from mosrt.dll (imports from other libraries stay unbound) and starts the first
// thread at the program's entry point, InitProcess of the init library, as
//     void InitProcess(ProcessBlock *process)
// InitProcess calls back into mosrt.dll, which loads the remaining libraries, sets up TLS and the C
// library, runs main and calls ExitProcess. Further threads start in mosrt.dll's own stub, which
// calls the program's InitThread(entry, argument).
//
// gs:[0] holds the ThreadBlock's first field in user mode; gs:[0x30] its own address and gs:[0x58]
// the TLS array, where the Microsoft x64 compiler convention looks for `_Thread_local` data.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"

#define PROCESS_BLOCK_MAGIC 0x4B4C42434F525050ull // "PPROCBLK"
#define PROCESS_ABI_VERSION 1u

// One per process, written by the kernel into a read-write user page before the first thread runs.
typedef struct ProcessBlock {
    uint64_t Magic;
    uint32_t Version; // PROCESS_ABI_VERSION
    uint32_t Size;    // bytes of this structure
    uint32_t ProcessId;
    Handle StandardHandles[3];
    uint64_t ProgramBase;
    uint64_t RuntimeBase;           // mosrt.dll
    const char *ProgramPath;        // absolute
    const char *CommandLine;        // as given to CreateProcess
    const char *const *Environment; // NULL-terminated
    uint64_t RandomSeed[2];         // for stack cookies and hash seeds
    void *RuntimeData;              // mosrt.dll's, NULL at start
} ProcessBlock;

// One per thread, at gs:[0] in user mode.
typedef struct ThreadBlock {
    void *Reserved0;          // 0x00
    uint64_t StackBase;       // 0x08 highest address of the user stack
    uint64_t StackLimit;      // 0x10 lowest usable address
    uint64_t Reserved18[3];   // 0x18
    struct ThreadBlock *Self; // 0x30
    uint32_t ProcessId;       // 0x38
    uint32_t Pad3C;           // 0x3C
    uint32_t Reserved40;      // 0x40
    uint32_t Pad44;           // 0x44
    uint64_t ThreadId;        // 0x48
    uint64_t Reserved50;      // 0x50
    void **TlsArray;          // 0x58 set by mosrt.dll
    ProcessBlock *Process;    // 0x60
    void *RuntimeData;        // 0x68 mosrt.dll's per-thread data
} ThreadBlock;

static_assert(offsetof(ThreadBlock, Self) == 0x30, "compiler convention");
static_assert(offsetof(ThreadBlock, TlsArray) == 0x58, "compiler convention");

// What the kernel leaves on the stack of a thread whose code failed, when the process has told its
// exception entry (SetExceptionEntry). The thread goes on there, interrupts and registers as they
// were, rsp at this structure, 16-byte aligned. Context has all but the floating-point state, which
// the processor's registers still hold. The machine frame is for those who walk the stack.
typedef struct AbiException {
    uint64_t Home[4];
    ExceptionRecord Record;
    uint64_t Pad;
    ThreadContext Context;
    uint64_t Rip, Cs, Rflags, Rsp, Ss;
    uint64_t Pad3F8; // 0: every byte that goes to the program is a member's
} AbiException;

static_assert(sizeof(ExceptionRecord) == 152, "layout the compiler knows");
static_assert(offsetof(ThreadContext, EFlags) == 0x44 && offsetof(ThreadContext, Rax) == 0x78 &&
                  offsetof(ThreadContext, Rip) == 0xF8 && offsetof(ThreadContext, Xmm) == 0x1A0 &&
                  offsetof(ThreadContext, ExtendedState) == 0x300 && sizeof(ThreadContext) == 0x310,
              "layout");
static_assert(offsetof(AbiException, Context) % 16 == 0, "FXSAVE");
static_assert(sizeof(AbiException) == offsetof(AbiException, Pad3F8) + 8, "no padding");

// Argument of the CreateProcess system call: strings by address and length, all copied once.
typedef struct AbiCreateProcess {
    uint64_t CommandLine;
    uint64_t CommandLineLength; // bytes without a NUL, <= 32767
    uint64_t CurrentDirectory;  // 0: the caller's
    uint64_t CurrentDirectoryLength;
    uint64_t Environment;       // "A=b\0C=d\0", 0: the caller's is not inherited by the kernel
    uint64_t EnvironmentLength; // bytes, <= 65536
    Handle StandardHandles[3];
    uint32_t Flags;
} AbiCreateProcess;

// Argument of the CreateThread system call. The thread starts at Start with rcx = Argument1 and
// rdx = Argument2, on a stack of its own with a guard page, its ThreadBlock filled in.
typedef struct AbiCreateThread {
    uint64_t Start;
    uint64_t Argument1;
    uint64_t Argument2;
    uint64_t StackSize; // bytes, 0: default
} AbiCreateThread;

// Result of MapImage: a DLL mapped with its sections protected and relocated, imports not bound.
typedef struct AbiImageInfo {
    uint64_t Base;
    uint64_t Size;
    uint64_t EntryPoint; // 0: none
    uint64_t Shared;     // 1: the library was already mapped in this process (Base is the same)
} AbiImageInfo;
