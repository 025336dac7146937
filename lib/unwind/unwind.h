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

typedef struct UnwindFrame {
    uint64_t Rip;
    uint64_t
        Registers[UNWIND_REGISTERS]; // by their encoding; volatile ones are only right at the start
    uint64_t CodeSegment; // CS of the latest machine frame passed, else as the caller set it
    // Rip is the instruction that was interrupted, not a return address. Set for a frame taken from
    // a trap; a step over a machine frame sets it.
    bool Interrupted;
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
