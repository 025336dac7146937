// mark.h - points in the stream of instructions that tools/icount recognises, for measuring by
// counting.
//
// A mark is one long no-operation whose displacement nothing else uses; it does nothing, costs one
// instruction and may stand in any ring, in the loader as well as in programs.
// SPDX-License-Identifier: MIT
#pragma once

enum {
    MarkBase = 0x4D4F5300, // "MOS", then the number
    MarkLoaderEntry = 1,
    MarkEnterUserMode = 2, // just before every first entry of a thread to ring 3
    MarkTraceBegin = 3,    // a trace or profile of the system
    MarkTraceEnd = 4,
    MarkProgram = 0x80, // and up: for test programs
};

#define RTL_MARK(number) __asm__ volatile("nopl %c0(%%rax)" ::"i"(MarkBase + (number)))
