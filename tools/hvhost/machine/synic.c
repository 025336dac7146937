// synic.c - the synthetic interrupt controller that each processor has (TLFS chapter 11; OpenVMM,
// vm/hv1/hv1_emulator/src/synic.rs): sixteen interrupt sources (SINTs), each with a slot for a
// message and 2048 event flags.
//
// What is sent to a processor that does not listen - its SINT masked, its page not mapped, SCONTROL
// off - is lost, as on the real host. A message waits in a queue while its slot is full; bit 0 of
// the slot's flags tells the guest that something waits, and then only does it owe an end of
// message.
// SPDX-License-Identifier: MIT
#include "hvhost.h"

#include "cpu.h"
#include "hw/i386/apic.h"
#include "hw/i386/apic_internal.h"

#include "vmbus.h"

enum {
    SintVectorMask = 0xFF,
    SintMasked = 1 << 16,
    SintAutoEoi = 1 << 17,
    SintPolling = 1 << 18,
    SintDefined = SintVectorMask | SintMasked | SintAutoEoi | SintPolling | 1 << 20,
    MessagePending = 1, // in MessageSlot.flags
    FlagsPerSint = 2048,
};

// HV_MESSAGE (TLFS 11.8).
typedef struct MessageSlot {
    uint32_t type;
    uint8_t size, flags, reserved[2];
    uint64_t sender;
    uint8_t payload[HvMessageBytes];
} MessageSlot;
QEMU_BUILD_BUG_ON(sizeof(MessageSlot) != 256);

void SynicRaiseVector(HvProcessor *processor, uint8_t vector)
{
    apic_deliver_irq(X86_CPU(processor->cpu)->apic_id, 0, APIC_DM_FIXED, vector, APIC_TRIGGER_EDGE);
}

static void RaiseSint(HvProcessor *processor, unsigned sint)
{
    uint64_t value = processor->sint[sint];

    if ((value & (SintMasked | SintPolling)) == 0)
        SynicRaiseVector(processor, value & SintVectorMask);
}

bool SynicListens(HvProcessor *processor, unsigned sint)
{
    return (processor->scontrol & 1) != 0 && (processor->simp & 1) != 0 &&
           (processor->siefp & 1) != 0 && (processor->sint[sint] & SintMasked) == 0;
}

bool SynicBusy(HvProcessor *processor, unsigned sint)
{
    return !QSIMPLEQ_EMPTY(&processor->messages[sint]);
}

static MessageSlot *Slot(HvProcessor *processor, unsigned sint)
{
    return (MessageSlot *)HvOverlayContent(&processor->messagesPage) + sint;
}

// Moves the first message that waits for a slot into it, if the slot is free.
static void Deliver(HvProcessor *processor, unsigned sint)
{
    HvMessage *message = QSIMPLEQ_FIRST(&processor->messages[sint]);
    MessageSlot *slot = Slot(processor, sint);

    if (!message || (processor->scontrol & 1) == 0 || (processor->simp & 1) == 0)
        return;
    if (qatomic_read(&slot->type) != 0) {
        qatomic_or(&slot->flags, MessagePending);
        processor->flagged[sint] = true;
        smp_mb();
        if (qatomic_read(&slot->type) != 0)
            return; // the guest will write an end of message
    }
    QSIMPLEQ_REMOVE_HEAD(&processor->messages[sint], next);
    slot->size = message->length;
    slot->sender = message->sender;
    memset(slot->payload, 0, sizeof(slot->payload));
    memcpy(slot->payload, message->payload, message->length);
    processor->flagged[sint] |= SynicBusy(processor, sint);
    qatomic_set(&slot->flags, SynicBusy(processor, sint) ? MessagePending : 0);
    smp_wmb();
    qatomic_set(&slot->type, message->type);
    g_free(message);
    RaiseSint(processor, sint);
}

void SynicScan(HvProcessor *processor)
{
    for (unsigned sint = 0; sint < HvSintCount; sint++)
        Deliver(processor, sint);
    StimerRetry(processor);
    VmbusSlotFreed();
}

void SynicPost(HvProcessor *processor, unsigned sint, uint32_t type, const void *payload,
               size_t length)
{
    HvMessage *message;

    if (!SynicListens(processor, sint)) {
        StrictViolation("synic-deaf", "a message for processor %u, SINT %u, which does not listen",
                        processor->index, sint);
        return;
    }
    assert(length <= HvMessageBytes);
    message = g_new0(HvMessage, 1);
    message->type = type;
    message->length = length;
    memcpy(message->payload, payload, length);
    QSIMPLEQ_INSERT_TAIL(&processor->messages[sint], message, next);
    Deliver(processor, sint);
}

void SynicSetFlag(HvProcessor *processor, unsigned sint, unsigned flag)
{
    uint32_t *words = (uint32_t *)((uint8_t *)HvOverlayContent(&processor->flagsPage) + sint * 256);
    uint32_t bit = 1u << flag % 32;

    assert(flag < FlagsPerSint);
    if (!SynicListens(processor, sint)) {
        StrictViolation("synic-deaf", "event flag %u for processor %u, which does not listen", flag,
                        processor->index);
        return;
    }
    if ((qatomic_fetch_or(&words[flag / 32], bit) & bit) == 0)
        RaiseSint(processor, sint);
}

// ----------------------------------------------------------------------------------------- MSRs

enum {
    MsrScontrol = 0x40000080,
    MsrSversion = 0x40000081,
    MsrSiefp = 0x40000082,
    MsrSimp = 0x40000083,
    MsrEom = 0x40000084,
    MsrSint0 = 0x40000090,
    MsrSint15 = 0x4000009F,
};

bool SynicReadMsr(HvProcessor *processor, uint32_t msr, uint64_t *value)
{
    switch (msr) {
    case MsrScontrol:
        *value = processor->scontrol;
        return true;
    case MsrSversion:
        *value = 1;
        return true;
    case MsrSiefp:
        *value = processor->siefp;
        return true;
    case MsrSimp:
        *value = processor->simp;
        return true;
    case MsrEom:
        *value = 0;
        return true;
    case MsrSint0 ... MsrSint15:
        *value = processor->sint[msr - MsrSint0];
        return true;
    default:
        return StimerReadMsr(processor, msr, value);
    }
}

static void SetPage(HvOverlay *page, uint64_t *msr, uint64_t value, const char *name)
{
    if ((value & 0xFFE) != 0)
        StrictViolation("synic-reserved", "reserved bits in %s 0x%" PRIx64, name, value);
    if ((value & 1) != 0 && !HvGuestPage(value))
        StrictViolation("synic-page", "%s 0x%" PRIx64 " is not memory", name, value);
    *msr = value;
    HvOverlaySet(page, value);
}

static bool SetSint(HvProcessor *processor, unsigned sint, uint64_t value)
{
    if ((value & SintMasked) == 0 && (value & SintVectorMask) < 16)
        return false;
    if ((value & ~(uint64_t)SintDefined) != 0)
        StrictViolation("synic-reserved", "reserved bits in SINT%u 0x%" PRIx64, sint, value);
    if ((value & SintAutoEoi) != 0 && !Host->autoEoi)
        StrictViolation("synic-auto-eoi", "AutoEOI although the host deprecates it");
    processor->sint[sint] = value;
    HvTrace("processor %u: SINT%u = 0x%" PRIx64, processor->index, sint, value);
    return true;
}

// An end of message that no pending bit asked for is harmless but costs an exit.
static void EndOfMessage(HvProcessor *processor)
{
    bool asked = false;

    for (unsigned sint = 0; sint < HvSintCount; sint++) {
        asked |= processor->flagged[sint];
        processor->flagged[sint] = false;
    }
    if (!asked)
        StrictViolation("synic-eom", "an end of message that nothing asked for");
    SynicScan(processor);
}

bool SynicWriteMsr(HvProcessor *processor, uint32_t msr, uint64_t value)
{
    switch (msr) {
    case MsrScontrol:
        if (value > 1)
            StrictViolation("synic-reserved", "reserved bits in SCONTROL");
        processor->scontrol = value & 1;
        return true;
    case MsrSiefp:
        SetPage(&processor->flagsPage, &processor->siefp, value, "SIEFP");
        return true;
    case MsrSimp:
        SetPage(&processor->messagesPage, &processor->simp, value, "SIMP");
        return true;
    case MsrEom:
        EndOfMessage(processor);
        return true;
    case MsrSint0 ... MsrSint15:
        return SetSint(processor, msr - MsrSint0, value);
    default:
        return StimerWriteMsr(processor, msr, value);
    }
}

// ------------------------------------------------------------------------------------ life time

void SynicInit(HvHost *host)
{
    for (unsigned i = 0; i < host->processors; i++) {
        HvProcessor *processor = &host->processor[i];
        processor->cpu = qemu_get_cpu(i);
        processor->index = i;
        HvOverlayInit(&processor->flagsPage, OBJECT(host), "hv-siefp", false);
        HvOverlayInit(&processor->messagesPage, OBJECT(host), "hv-simp", false);
        HvOverlayInit(&processor->assistPage, OBJECT(host), "hv-assist", false);
        for (unsigned sint = 0; sint < HvSintCount; sint++)
            QSIMPLEQ_INIT(&processor->messages[sint]);
        StimerInit(processor);
    }
}

static void ResetPage(HvOverlay *page, uint64_t *msr)
{
    *msr = 0;
    HvOverlaySet(page, 0);
    memset(HvOverlayContent(page), 0, HvPageSize);
}

void SynicReset(HvHost *host)
{
    for (unsigned i = 0; i < host->processors; i++) {
        HvProcessor *processor = &host->processor[i];
        processor->scontrol = 0;
        ResetPage(&processor->flagsPage, &processor->siefp);
        ResetPage(&processor->messagesPage, &processor->simp);
        ResetPage(&processor->assistPage, &processor->assist);
        for (unsigned sint = 0; sint < HvSintCount; sint++) {
            HvMessage *message;
            processor->sint[sint] = SintMasked;
            processor->flagged[sint] = false;
            while ((message = QSIMPLEQ_FIRST(&processor->messages[sint]))) {
                QSIMPLEQ_REMOVE_HEAD(&processor->messages[sint], next);
                g_free(message);
            }
        }
        StimerReset(processor);
    }
}
