// hal_hyperv.h - Microsoft's hypervisor under the machine: what CPUID offers of it, hypercalls, the
// synthetic interrupt controller. What the rest of the kernel gains from it without knowing - the
// clock, interrupts to processors, TLB flushes - stays behind hal.h.
// SPDX-License-Identifier: MIT
#pragma once

#include "hal.h"

struct LoaderParams;
// Once, before interrupts are initialised. Nothing on a machine without it.
void HalStartHypervisor(const struct LoaderParams *loader);
bool HalHasHypervisor(void);
// Whether it can carry VMBus: messages, events and the synthetic interrupt controller.
bool HalHasSynic(void);
const char *HalDescribeHypervisor(char *text, size_t size); // what is in use, for the log

// Pages that a processor needs to begin with, in a row and zeroed; 0: none.
size_t HalCountHypervisorPages(void);
void HalGiveHypervisorPages(uint32_t processor, PhysicalAddress pages);

uint32_t HalGetVirtualProcessor(uint32_t processor); // the hypervisor's number of one that runs

// ---- hypercalls
typedef enum HvStatus : uint16_t { // TLFS, appendix B
    HvSuccess = 0,
    HvInvalidParameter = 5,
    HvInsufficientMemory = 11,
    HvInvalidConnectionId = 18,
    HvInsufficientBuffers = 19,
    HvTimeout = 120,
} HvStatus;
#define HAL_MESSAGE_SIZE 240u
// Any level. size <= HAL_MESSAGE_SIZE.
HvStatus HalPostMessage(uint32_t connection, uint32_t type, const void *payload, size_t size);
HvStatus HalSignalEvent(uint32_t connection);

// ---- the synthetic interrupt controller of each processor: one of its interrupts is VMBus's.
#define HAL_VMBUS_INTERRUPT 2u // SINT
typedef struct HalMessage { // a message slot, TLFS 11.9; the hypervisor may write to it at any time
    volatile uint32_t Type; // 0: free
    volatile uint8_t Size;
    volatile uint8_t Flags; // HAL_MESSAGE_PENDING
    volatile uint16_t Reserved;
    volatile uint64_t Sender;
    volatile uint64_t Payload[HAL_MESSAGE_SIZE / 8];
} HalMessage;
static_assert(sizeof(HalMessage) == 256);
#define HAL_MESSAGE_PENDING 1u
#define HAL_EVENT_FLAGS     2048u
HalMessage *HalGetMessageSlot(uint32_t processor);       // VMBus's; nullptr: none
volatile uint64_t *HalGetEventFlags(uint32_t processor); // HAL_EVENT_FLAGS bits
void HalEndMessage(void); // on the processor whose slot was just freed, when it was PENDING
// Called on the processor concerned, at HighLevel, for a message or an event.
void HalRegisterSyntheticHandler(HalInterruptHandler *handler);

// ---- TLB flushes (ke/tlb.c). True: done, no processor of the mask (by number) uses old entries of
// [start, end) of the root (0: any). False: to be done by other means. Level <= Dispatch.
extern bool HalFlushesByHypercall;
bool HalFlushProcessors(uint64_t processors, uint64_t root, uint64_t start, uint64_t end);

// ---- the end: tells the host of a crash; nothing where it does not want to know.
void HalReportCrash(uint64_t code, uint64_t p1, uint64_t p2, const char *text);
