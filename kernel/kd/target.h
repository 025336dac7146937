// target.h - stopping the machine for a debugger and letting it go on (target.c).
// SPDX-License-Identifier: MIT
#pragma once

#include "kd.h"
#include "remote.h"
#include "unwind/unwind.h"

void KdiInitializeTarget(void);
void KdiTargetForbidPorts(uint16_t first); // eight ports the debugger may not touch
// The machine is frozen. Captures every processor; frame is this one's.
void KdiTargetStop(KTrapFrame *frame);
void KdiTargetGo(const KdiExit *exit); // loads what was changed

// datablock.c: what a debugger is told of the kernel.
void KdiInitializeDataBlock(const LoaderParams *loader);
void KdiRefreshDataBlock(void); // processors and page tables of now
void KdiSetBugCheckData(const KBugCheck *bugCheck);
uint64_t KdiDataBlockAddress(void);
uint64_t KdiActiveProcessHead(void);
// dump.c: writes the dump; failing is the state the bugcheck tells of. nullptr: done, else why not.
const char *KdiWriteDump(const KBugCheck *bugCheck, const UnwindFrame *failing, uint64_t *pages);
// debugger.c: tells the debugger of a bugcheck, after the report, and stops for it.
void KdiBreakForBugCheck(const KBugCheck *bugCheck);
extern const uint8_t KdiBreakReturn[]; // where the machine stands in KdiBreak
