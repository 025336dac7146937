// MetalException.h - structured exceptions of programs: what is raised, who is asked, how the
// stack is unwound. Part of MetalOS.h.
//
// A fault of the processor, or RaiseException, stops a thread and makes an ExceptionRecord of why
// and a ThreadContext of where. Then, in this order, are asked what to do:
//   1. the vectored handlers of the process, first in the list first;
//   2. the __except filters of the functions on the stack, innermost first;
//   3. the filter of SetUnhandledExceptionFilter;
//   4. nobody: a report with the symbolised stack goes to standard error and the system log, and
//      the process ends with the exception's code as its exit code.
// A filter that answers ExceptionExecuteHandler has the stack unwound to its function: __finally
// blocks on the way run, innermost first, then its __except block. Blocks are written with the
// compiler's keywords and need its flags -fms-extensions and -fasync-exceptions:
//
//     __try { *pointer = 1; }
//     __except (GetExceptionCode() == ExceptionAccessViolation ? ExceptionExecuteHandler
//                                                              : ExceptionContinueSearch) {
//         puts("not mine");
//     }
//
// Not an exception, and not to be handled: a stack that is used up, a fast fail (a broken stack
// cookie, __fastfail) and a fault while a stack pointer is wild. Those end the process at once.
// longjmp does not run __finally blocks.
//
// The layouts are those of Microsoft's EXCEPTION_RECORD, EXCEPTION_POINTERS and (its first 0x300
// bytes) CONTEXT for x64, which the compiler's code relies on: Microsoft, "x64 exception handling"
// and winnt.h's documentation.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalStatus.h"

#include <stddef.h>
#include <stdint.h>

// Codes as programs and debuggers know them.
#define ExceptionDatatypeMisalignment  0x80000002u
#define ExceptionBreakpoint            0x80000003u
#define ExceptionSingleStep            0x80000004u
#define ExceptionAccessViolation       0xC0000005u // Parameters: 0 read, 1 write, 8 execute; where
#define ExceptionNoMemory              0xC0000017u
#define ExceptionIllegalInstruction    0xC000001Du
#define ExceptionNoncontinuable        0xC0000025u // went on where that is not allowed
#define ExceptionInvalidDisposition    0xC0000026u // a handler's answer makes no sense
#define ExceptionFloatingPoint         0xC000008Eu
#define ExceptionIntegerDivideByZero   0xC0000094u
#define ExceptionIntegerOverflow       0xC0000095u
#define ExceptionPrivilegedInstruction 0xC0000096u
#define ExceptionStackOverflow         0xC00000FDu
#define ExceptionFastFail              0xC0000409u

#define ExceptionMaximumParameters 15

// ExceptionRecord.Flags. RaiseException takes the first; handlers see the others while unwinding.
enum ExceptionFlag {
    ExceptionFlagNoncontinuable = 0x01,
    ExceptionFlagUnwinding = 0x02,
    ExceptionFlagExitUnwind = 0x04,
    ExceptionFlagStackInvalid = 0x08,
    ExceptionFlagNestedCall = 0x10,
    ExceptionFlagTargetUnwind = 0x20,
    ExceptionFlagCollidedUnwind = 0x40,
};

typedef struct ExceptionRecord {
    uint32_t Code;
    uint32_t Flags;                 // ExceptionFlag
    struct ExceptionRecord *Nested; // what was being handled when this happened, or NULL
    void *Address;                  // the instruction, or RaiseException's caller
    uint32_t ParameterCount;
    uint32_t Pad1C;
    uint64_t Parameters[ExceptionMaximumParameters];
} ExceptionRecord;

// The state of a thread. A handler that has the program continue may change it.
typedef struct ThreadContext {
    uint64_t Home[6]; // scratch
    uint32_t Flags;   // 0x10000B: integer, control and floating-point state are here;
                      // 0x20000000: Rip is a return address, as after RaiseException
    uint32_t MxCsr;
    uint16_t SegCs, SegDs, SegEs, SegFs, SegGs, SegSs;
    uint32_t EFlags;
    uint64_t DebugRegisters[6]; // unused: 0
    uint64_t Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15;
    uint64_t Rip;
    uint8_t FloatLegacy[160]; // the image FXSAVE writes, Intel SDM, vol. 1, 10.5.1
    struct {
        uint64_t Low, High;
    } Xmm[16];
    uint8_t FloatReserved[96];
    void *ExtendedState; // an XSAVE area with the upper halves of vector registers, or NULL
    uint64_t Pad308;
} __attribute__((aligned(16))) ThreadContext;

typedef struct ExceptionPointers {
    ExceptionRecord *Record;
    ThreadContext *Context;
} ExceptionPointers;

// What a filter answers.
#define ExceptionExecuteHandler    1
#define ExceptionContinueSearch    0
#define ExceptionContinueExecution (-1)

// Inside __except's parentheses (the first also in its block), and inside __finally.
#define GetExceptionCode()        ((uint32_t)__exception_code())
#define GetExceptionInformation() ((ExceptionPointers *)__exception_info())
#define AbnormalTermination()     (__abnormal_termination() != 0)

// Gets the exception; answers ExceptionContinueSearch or ExceptionContinueExecution. Runs on the
// failing thread's stack, under no lock.
typedef int32_t VectoredHandler(ExceptionPointers *exception);
// Any of the three answers; ExceptionExecuteHandler ends the process without a report.
typedef int32_t UnhandledExceptionFilter(ExceptionPointers *exception);
