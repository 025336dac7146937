// kdi.h - what kd's files share.
// SPDX-License-Identifier: MIT
#pragma once

#include "kd.h"
#include "ke_prcb.h"
#include "pdb/pdb.h"
#include "pe/pe.h"
#include "unwind/unwind.h"

// Limits of physical memory, for KdiReadMemory's checks.
void KdiInitializeReader(const LoaderParams *loader);
// From now on the tables with this root are walked; 0: the current ones.
void KdiReadFrom(uint64_t pageTableRoot);
// From now on user addresses are those of this thread's process; nullptr: the current one. In a
// crash only.
void KdiLookAt(const KThread *thread);
// Copies size bytes at a kernel or user address of the address space that is looked at; false: not
// all of them are present. Never faults. An UnwindReader.
bool KdiReadMemory(void *context, uint64_t address, void *buffer, size_t size);
// The bytes done until the first page that is not there. Writing goes through read-only mappings of
// the kernel, but not into a program's pages that others may share.
size_t KdiReadAvailable(uint64_t address, void *buffer, size_t size);
size_t KdiWriteAvailable(uint64_t address, const void *bytes, size_t size);
size_t KdiAccessPhysical(uint64_t physical, void *buffer, size_t size, bool write);
bool KdiIsPhysicalMemory(uint64_t physical);
bool KdiQueryAccess(uint64_t address, bool *write, bool *execute); // false: nothing is there

// The module of a code address, for unwinding and for names.
typedef struct KdiModule {
    UnwindModule Unwind;    // TableSize 0: no unwind data at hand
    const PeImage *Image;   // laid out; nullptr: none
    const PdbFile *Symbols; // of a program or library; nullptr: none
    char Name[32];
    bool Kernel;
} KdiModule;
bool KdiFindModule(uint64_t address, KdiModule *module);
// As KdiReadMemory, for a step through the module that is the context: a program's image is read in
// the kernel's view of it, which is complete where the program's own pages may not be there yet.
bool KdiReadModule(void *context, uint64_t address, void *buffer, size_t size);

typedef struct KdiStackFrame {
    uint64_t Address;
    uint32_t Count; // of frames in a row that are the same; a recursion takes no room
    bool Return;    // Address is where a call returns to, so the call is before it
} KdiStackFrame;
#define KDI_MAXIMUM_FRAMES       48u
#define KDI_MAXIMUM_OTHER_FRAMES 24u // of a processor that only happened to be there
// The state of the function that calls this, at the call.
void KdiCapture(UnwindFrame *caller);
UnwindFrame KdiFrameFromTrap(const KTrapFrame *trap);
// The stack that an interrupt came upon, for the profiler: the first of addresses is the
// interrupted one, the others are return addresses. Interrupts off; user frames only when their
// modules are at rest.
size_t KdiSampleStack(const KTrapFrame *frame, uint64_t *addresses, size_t capacity);
size_t KdiWalk(UnwindFrame start, KdiStackFrame *frames, size_t capacity);
// Gives print the lines of a frame: first those of functions that were inlined there, innermost
// first, "module!Function  file:line  (inlined)", then "module!Function+0x12  file:line", with "(n
// times)" when it recurs. Lines have at most KDI_LINE_SIZE bytes with the NUL, no line end.
#define KDI_LINE_SIZE 288u
typedef void KdiPrinter(void *context, const char *line);
void KdiPrintFrame(const KdiStackFrame *frame, KdiPrinter *print, void *context);
// Functions inlined around the address, outermost first.
size_t KdiLookupInlined(uint64_t address, bool returnAddress, PdbLocation *locations,
                        size_t capacity);
// The source path from the top of the tree, in place.
void KdiTrimSourcePath(char *path);
bool KdiLookup(uint64_t address, bool returnAddress, KdSymbol *symbol);

// Of crash `debugger`.
extern volatile uint64_t KdiTriedVariable;
uint64_t KdiTriedFunction(uint64_t argument);

// The bugcheck reporter, for ke.
void KdiReport(const KBugCheck *bugCheck);
// Whether an address is in the code between a program's system call and the kernel function it
// calls.
bool KdiIsSystemCallEntry(uint64_t address);
