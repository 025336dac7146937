// hvp.h - shared inside kernel/drivers/hyperv: the bus's own view of channels and messages.
// SPDX-License-Identifier: MIT
#pragma once

#include "hal_hyperv.h"
#include "hyperv.h"

#define TAG_HYPERV      MM_TAG('H', 'v', 'B', 's')
#define HVP_MILLISECOND 1000000ull
#define HVP_SECOND      1000000000ull
#define HVP_PATIENCE    (10 * HVP_SECOND) // for an answer of the host's bus

// ---- memory lent to the host (buffer.c)
typedef struct HvpLoan {
    ListEntry Link;
    MmSection *Section; // nullptr: nothing is lent
    void *Mapping;      // nullptr: none yet
    bool Pages;         // mapped page by page (MmMapSectionPages), else as a whole
    uint32_t Gpadl;     // 0: the host does not know of it
    size_t Size;
} HvpLoan;
// Shares pages with the host; frameOf: their physical addresses / 4096 in order. *gpadl is set
// when the host knows of them, which it may though it failed.
Status HvpCreateGpadl(HvChannel *channel, uint32_t pages,
                      uint64_t (*frameOf)(void *context, uint32_t page), void *context,
                      uint32_t *gpadl);
// Has the host give the memory back, and frees it; what is not given back in time is freed by the
// bus's thread when it is. Waits, bounded. *loan is empty afterwards.
void HvpReclaim(HvChannel *channel, HvpLoan *loan);
bool HvpGiveBack(uint32_t gpadl); // the host says so; DispatchLevel. true: there is work
size_t HvpQueryKept(void);        // bytes that have not been given back in time, nor since
void HvpFreeReturned(void);       // the bus's thread

// ---- channels. An object belongs to its id for good: once made it is used again for whatever the
// host offers under that id, so interrupts and DPCs can look at it at any time.
typedef enum HvpState : uint8_t {
    HvpFree,      // nothing is offered under this id
    HvpOffered,   // and the bus's thread has not seen it yet
    HvpAnnounced, // drivers know it
} HvpState;

// Legend: [m] MessageLock, [s] SendLock, [r] who has Running, [t] the bus's thread or the driver's
// one at a time, [a] atomic.
struct HvChannel {
    VmbusOffer Offer;   // constant while not HvpFree
    ListEntry Link;     // [m] in the bus's queue while Queued
    bool Queued;        // [m]
    HvpState State;     // [m]
    bool Release;       // [m] the host wants back the id of a channel that is free
    volatile bool Gone; // [m] taken away by the host
    KEvent GoneEvent;   // manual reset, set with Gone
    IoDevice *Device;   // [t] of an announced primary channel
    HvChannel *Primary; // [t] of a sub-channel that its driver knows

    volatile bool Open; // [a] packets may go and come
    uint32_t OpenId;    // [t]
    const HvHandlers *Handlers;
    void *Context;

    KSpinLock SendLock;
    VmbusRing Send; // [s]
    uint32_t Holds; // [s]

    VmbusRing Receive;     // [r]
    volatile bool Running; // [a] handlers are being called
    volatile bool Again;   // [a] and once more after that
    KDpc Dpc;
    KTimer Timer;          // queues the DPC again after a flood
    uint8_t *PacketBuffer; // [r] of PacketCapacity bytes
    uint32_t PacketCapacity;
    bool Deaf; // [r] the host's index was impossible; logged

    HvpLoan Rings;                    // [t]
    uint32_t SendPages, ReceivePages; // without the control pages

    HvCounters Counters; // each written under the lock of what it counts
};

void HvpInitializeChannel(HvChannel *channel); // once
void HvpDrain(void *channel);                  // the DPC

// ---- messages (message.c)
// Something asked of the host whose answer is waited for.
typedef struct HvpRequest {
    ListEntry Link;
    VmbusMessageType Answer;
    uint32_t Channel; // 0: any
    uint32_t Id;      // OpenId or GPADL
    KEvent Event;
    VmbusMessage Message; // the answer
    bool Done;
} HvpRequest;
void HvpPrepare(HvpRequest *request, VmbusMessageType answer, uint32_t channel, uint32_t id);
void HvpCancel(HvpRequest *request); // nobody waits for it any more
// Sends a message, again while the host has no room for it. PassiveLevel.
Status HvpPost(const VmbusBytes *bytes, size_t size);
// The first of all; StatusNotFound: there is nobody at the connection.
Status HvpPostContact(const VmbusBytes *bytes, size_t size);
// Waits for the answer to what was posted after HvpPrepare, and cancels the request.
// StatusNoSuchDevice: the channel was taken away.
Status HvpAwait(HvpRequest *request, uint64_t timeout);
bool HvpAnswer(const VmbusMessage *message); // DispatchLevel: completes who waits for it, if any
// Of a channel that is gone: opens get StatusNoSuchDevice. Memory is answered for all the same.
void HvpFailRequests(uint32_t channel);
Status HvpStartMessages(void);
void HvpSetConnection(uint32_t connection);                 // where messages go
HvStatus HvpPostOnce(const VmbusBytes *bytes, size_t size); // any level
void HvpHandleMessage(const VmbusMessage *message);         // bus.c; DispatchLevel
void HvpHandleInterrupt(void *context);                     // on each processor, HighLevel
bool HvpPollMessages(VmbusMessageType wanted);              // in a crash: has it come?

// ---- bus.c
extern KSpinLock HvpMessageLock;
extern uint32_t HvpVersion;
HvChannel *HvpFindChannel(uint32_t id); // any level; nullptr: never offered
void HvpNoteChannel(uint32_t id);       // message.c looks at its event flag from now on

// ---- window.c
void HvpFindWindows(void);
