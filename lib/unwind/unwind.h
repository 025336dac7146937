// unwind.h - one step up a stack of x64 code, from the unwind data (.pdata, .xdata) of its PE
// image.
//
// Everything is read through a callback that may refuse, and every step is checked, so this is safe
// on a corrupt stack, on hostile unwind data and in the middle of a crash. Nothing is allocated.
// Source: Microsoft, "x64 exception handling"; version 1 unwind data, which is what clang writes.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalStatus.h"

#include <stddef.h>
#include <stdint.h>

// Copies size bytes at address; false: they are not readable.
typedef bool UnwindReader(void *context, uint64_t address, void *buffer, size_t size);

typedef struct UnwindModule {
    uint64_t Base;
    uint32_t Size;                // bytes
    uint32_t TableRva, TableSize; // the exception directory
} UnwindModule;

enum { UnwindRegisterSp = 4, UNWIND_REGISTERS = 16 };

// An xmm register.
typedef struct UnwindVector {
    uint64_t Low, High;
} UnwindVector;

typedef struct UnwindFrame {
    uint64_t Rip;
    uint64_t
        Registers[UNWIND_REGISTERS]; // by their encoding; volatile ones are only right at the start
    uint64_t CodeSegment; // CS of the latest machine frame passed, else as the caller set it
    // Rip is the instruction that was interrupted, not a return address. Set for a frame taken from
    // a trap; a step over a machine frame sets it.
    bool Interrupted;
    // xmm0-xmm15, the caller's memory, for those who mean to go on executing in a frame; nullptr:
    // not wanted. A failed step may have changed them.
    UnwindVector *Vectors;
} UnwindFrame;

typedef struct UnwindFunction { // RVAs
    uint32_t Begin, End, Info;
} UnwindFunction;

// The entry for rva. StatusNotFound: none (a leaf function, or no code); StatusInvalidAddress.
Status UnwindFindFunction(const UnwindModule *module, uint32_t rva, UnwindReader *read,
                          void *context, UnwindFunction *function);

// Moves frame, whose Rip lies in module, to its caller. StatusInvalidAddress: something was not
// readable; StatusCorrupt: the data or the stack makes no sense; StatusNotSupported: another
// version of unwind data. On failure the frame is unchanged. A return address of 0 is the caller's
// end of the stack.
Status UnwindStep(const UnwindModule *module, UnwindReader *read, void *context,
                  UnwindFrame *frame);

typedef enum UnwindHandlerKind { // the bits of UNWIND_INFO's flags
    UnwindExceptionHandler = 1,
    UnwindTerminationHandler = 2,
} UnwindHandlerKind;

// What exception handling asks about a frame. RVAs.
typedef struct UnwindHandler {
    UnwindFunction Function; // the entry that holds Rip; all 0: a leaf function
    uint32_t Routine, Data;  // the language-specific handler and its data; Routine 0: none here
    uint64_t Establisher;    // the stack pointer of the function's body: its frame's identity
} UnwindHandler;

// The handler of kind of frame's function, if Rip is in its body: a prologue or epilogue has none.
// Errors as UnwindStep's.
Status UnwindFindHandler(const UnwindModule *module, UnwindReader *read, void *context,
                         const UnwindFrame *frame, UnwindHandlerKind kind, UnwindHandler *handler);
