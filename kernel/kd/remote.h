// remote.h - serving a remote debugger while the machine stands still (remote.c), and what it needs
// of the machine. Pure: the kernel has target.c for it, the native tests a model.
// SPDX-License-Identifier: MIT
#pragma once

#include "link.h"

// ---- the machine. Processor numbers are checked by the functions that take one; false: there is
// none, or it does not answer, or what is asked for does not exist.
// Memory of the address space of the stopped program or thread; the bytes done before the first
// that cannot be. Never faults, never touches device registers.
size_t KdiTargetRead(uint64_t address, void *buffer, size_t size);
size_t KdiTargetWrite(uint64_t address, const void *buffer, size_t size);
size_t KdiTargetReadPhysical(uint64_t address, void *buffer, size_t size);
size_t KdiTargetWritePhysical(uint64_t address, const void *buffer, size_t size);
uint32_t KdiTargetProcessorCount(void);
bool KdiTargetGetContext(uint32_t processor, KdContext *context);
bool KdiTargetSetContext(uint32_t processor, const KdContext *context);
bool KdiTargetGetSpecial(uint32_t processor, KdSpecialRegisters *special);
bool KdiTargetSetSpecial(uint32_t processor, const KdSpecialRegisters *special);
// 0: KPCR, 1: KPRCB, 3: KTHREAD
bool KdiTargetGetAddress(uint32_t processor, uint64_t index, uint64_t *address);
bool KdiTargetReadMsr(uint32_t processor, uint32_t msr, uint64_t *value);
bool KdiTargetWriteMsr(uint32_t processor, uint32_t msr, uint64_t value);
bool KdiTargetReadPort(uint16_t port, uint32_t size, uint32_t *value);
bool KdiTargetWritePort(uint16_t port, uint32_t size, uint32_t value);
// Configuration space of a PCI function; the bytes done.
uint32_t KdiTargetReadPci(uint32_t bus, uint32_t slot, uint32_t offset, void *buffer,
                          uint32_t size);
uint32_t KdiTargetWritePci(uint32_t bus, uint32_t slot, uint32_t offset, const void *buffer,
                           uint32_t size);
void KdiTargetGetVersion(KdVersion *version);
#define KDI_MEMORY_PROCESS 0u
#define KDI_MEMORY_KERNEL  2u
#define KDI_MEMORY_READ    1u
#define KDI_MEMORY_WRITE   2u
#define KDI_MEMORY_EXECUTE 4u
void KdiTargetQueryMemory(uint64_t address, uint32_t *space, uint32_t *access);

// ---- breakpoints in code (breakpoints.c)
#define KDI_BREAKPOINTS 32u
uint32_t
KdiSetBreakpoint(uint64_t address); // handle from 1; 0: no room, no such byte, or there is one
bool KdiClearBreakpoint(uint32_t handle);
void KdiClearBreakpointsIn(uint64_t begin, size_t size);
void KdiClearAllBreakpoints(void);
bool KdiIsBreakpoint(uint64_t address);

// ---- the conversation
typedef enum KdiVerdict {
    KdiGoOn, // the exception is handled
    KdiGoOnUnhandled,
    KdiReboot,
    KdiCrash,
    KdiNobody, // there is no host
} KdiVerdict;

typedef struct KdiExit {
    KdiVerdict Verdict;
    bool SetTrace;  // TraceFlag and Dr7 are valid
    bool TraceFlag; // stop again after one instruction of Processor
    uint64_t Dr7;   // for every processor
    uint32_t Processor;
} KdiExit;

// Says that processor has stopped because of change, of which the event and Processor are filled
// in, and serves the host until it lets the machine go on. tries as for KdiSendPacket: how often
// the change is sent before nobody is thought to be there.
KdiExit KdiServe(KdiLink *link, KdStateChange *change, const void *data, size_t dataSize,
                 uint32_t tries);
