// hvhost.h - a Hyper-V Generation 2 machine for QEMU's TCG emulator: interfaces between its layers.
//
// Each layer knows only those above it in this list:
//
//   strict.c       what the guest did wrong: counted, printed
//   hypervisor.c   CPUID leaves, synthetic MSRs, hypercalls, time; legacy.c the PC that vanishes
//   overlay.c      pages of the hypervisor's own that cover guest memory
//   synic.c        message slots, event flags, synthetic interrupts; stimer.c synthetic timers
//   vmbus.c        contact, offers; gpadl.c shared memory; channel.c open, close, rescind;
//                  ring.c ring buffers; hostile.c the host that lies
//   keyboard.c mouse.c video.c scsi.c net.c integration.c unknown.c    the devices
//
// All of it runs under QEMU's big lock, in processor threads (MSRs, hypercalls) and in bottom
// halves of the main loop (messages, rings), which are concurrent with the guest as a real host is.
//
// Sources that comments name: TLFS, the Hypervisor Top Level Functional Specification; OpenVMM,
// Microsoft's open host (github microsoft/openvmm, MIT), by path in its tree; Linux, what the
// documentation and the drivers of Linux 6.1 expect of a host.
// SPDX-License-Identifier: MIT
#ifndef HVHOST_H
#define HVHOST_H

// clang-format off: QEMU's first header comes first.
#include "qemu/osdep.h"
// clang-format on
#include "exec/hwaddr.h"
#include "exec/memory.h"
#include "hw/core/cpu.h"
#include "hw/isa/isa.h"
#include "hw/qdev-core.h"
#include "hw/qdev-properties-system.h"
#include "hw/qdev-properties.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/queue.h"
#include "qemu/timer.h"
#include "qemu/units.h"
#include "qemu/uuid.h"
#include "qom/object.h"

enum {
    HvPageSize = 4096,
    HvProcessorsMax = 64,
    HvSintCount = 16,
    HvStimerCount = 4,
    HvMessageBytes = 240,
};

#define HV_TSC_HZ 2000000000ull // exactly 2 ticks a nanosecond

// Hypercall results (TLFS, appendix "Hypercall Status Codes").
enum {
    HvSuccess = 0,
    HvInvalidCode = 2,
    HvInvalidInput = 3,
    HvInvalidAlignment = 4,
    HvInvalidParameter = 5,
    HvAccessDenied = 6,
    HvInvalidConnectionId = 18,
    HvInsufficientBuffers = 19,
};

// ---------------------------------------------------------------------------------- the machine

#define TYPE_HV_HOST "hvhost"
OBJECT_DECLARE_SIMPLE_TYPE(HvHost, HV_HOST)

typedef struct HvProcessor HvProcessor;
typedef struct VmbusBus VmbusBus;

// A page of the hypervisor's that covers guest memory while it is mapped. What is below reappears.
typedef struct HvOverlay {
    MemoryRegion region;
    bool made, mapped;
    uint64_t at, wantedAt; // guest physical addresses
    bool wanted, readOnly;
} HvOverlay;

typedef struct HvMessage {
    uint32_t type, length;
    uint64_t sender;
    uint8_t payload[HvMessageBytes];
    QSIMPLEQ_ENTRY(HvMessage) next;
} HvMessage;

typedef struct HvStimer {
    HvProcessor *processor;
    int index;
    QEMUTimer *timer;
    uint64_t config, count, due;
    bool waiting; // expired, but its message found no free slot
} HvStimer;

struct HvProcessor {
    CPUState *cpu;
    uint32_t index;
    uint64_t scontrol, siefp, simp, sint[HvSintCount], assist;
    HvOverlay flagsPage, messagesPage, assistPage;
    QSIMPLEQ_HEAD(, HvMessage) messages[HvSintCount];
    bool flagged[HvSintCount]; // the slot has said "another is pending" since the last end of
                               // message
    HvStimer stimer[HvStimerCount];
};

struct HvHost {
    ISADevice parent_obj;

    // Options.
    char *logName;
    bool legacyVanishes, trace;
    bool stimers, directStimers, referenceTsc, frequencies, tscInvariant, apicMsrs, resetMsr,
        crashMsrs;
    bool ipiHypercall, flushHypercall, autoEoi;
    uint32_t maxVersion; // of VMBus: major << 16 | minor
    bool oldContact;     // hosts before version 5.0: connection 4 does not exist
    uint32_t messageId;  // connection on which messages are to be posted from version 5.0 on
    uint32_t shuffle;    // seed of another order of offers and relids; 0: the usual one
    uint32_t unknown;    // offers of classes that nobody knows
    uint32_t busy;       // every so manieth message is refused with "insufficient buffers"

    FILE *log;
    uint64_t guestId, hypercall, referenceTscPage, tscInvariantControl, crash[5];
    uint32_t tscSequence; // 0: "do not use the page" (settable at run time)
    HvOverlay hypercallPage, tscPage;
    MemoryRegion hypercallPort;
    MemoryRegion absent[8];
    bool legacyHidden;
    uint64_t legacyAccesses, violations, hypercalls, signals, posts, msrWrites, eois;
    uint64_t lists; // of guest memory (GPADLs) that the guest has not taken back
    uint32_t processors;
    HvProcessor processor[HvProcessorsMax];
    VmbusBus *bus;
};

extern HvHost *Host; // the one there is, or NULL: then this is an ordinary QEMU

#define HvTrace(...)                                                                               \
    do {                                                                                           \
        if (Host && Host->trace)                                                                   \
            HvPrint(__VA_ARGS__);                                                                  \
    } while (0)

// Writes a line to the log (the option "log", else standard error).
void HvPrint(const char *format, ...) G_GNUC_PRINTF(1, 2);

// The host's address of the page of guest memory that contains the address; NULL when it is not
// RAM.
void *HvGuestPage(uint64_t address);

// Reference time: 100 ns units since power-on (TLFS "Partition Reference Time").
uint64_t HvReferenceTime(void);

// Has a function run while no processor executes guest code, the big lock held: the only time at
// which memory regions may change, as TCG's translation caches hold on to them.
void HvWhileStopped(void (*function)(void *), void *opaque);

void HvLegacyInit(HvHost *host);
void HvLegacyHide(HvHost *host, bool hide);
void HvRefreshTscPage(HvHost *host);
void HvHypercallInit(HvHost *host);

// --------------------------------------------------------------------------------- strict mode

// Notes that the guest broke a rule: a stable short name, and what happened. The first ones of each
// rule are printed. Counted in the machine's property "violations"; listed at exit and in
// "violation-list".
void StrictViolation(const char *rule, const char *format, ...) G_GNUC_PRINTF(2, 3);
char *StrictList(void); // "rule=count ..."; to be freed
void StrictReset(void);

// ------------------------------------------------------------------------------------- overlays

// Makes the page; fill: its first content, or NULL for zeros.
void HvOverlayInit(HvOverlay *overlay, Object *owner, const char *name, bool readOnly);
void *HvOverlayContent(HvOverlay *overlay);
// Maps it at the address of an MSR's value whose bit 0 says whether at all. Takes effect before the
// processor's next instruction.
void HvOverlaySet(HvOverlay *overlay, uint64_t msr);

// ---------------------------------------------------------------------------------------- SynIC

void SynicInit(HvHost *host);
void SynicReset(HvHost *host);
bool SynicReadMsr(HvProcessor *processor, uint32_t msr, uint64_t *value);
bool SynicWriteMsr(HvProcessor *processor, uint32_t msr, uint64_t value);
void SynicRaiseVector(HvProcessor *processor, uint8_t vector);
// Queues a message for a slot. Thrown away when the processor does not listen.
void SynicPost(HvProcessor *processor, unsigned sint, uint32_t type, const void *payload,
               size_t length);
// Messages that still wait for the slot.
bool SynicBusy(HvProcessor *processor, unsigned sint);
bool SynicListens(HvProcessor *processor, unsigned sint);
void SynicSetFlag(HvProcessor *processor, unsigned sint, unsigned flag);
// Something happened that lets messages move on: an end of message or of interrupt.
void SynicScan(HvProcessor *processor);

void StimerInit(HvProcessor *processor);
void StimerReset(HvProcessor *processor);
bool StimerReadMsr(HvProcessor *processor, uint32_t msr, uint64_t *value);
bool StimerWriteMsr(HvProcessor *processor, uint32_t msr, uint64_t value);
void StimerRetry(HvProcessor *processor);

#endif
