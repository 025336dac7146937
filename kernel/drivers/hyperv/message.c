// message.c - control messages to and from the host, and the interrupt that brings them.
//
// The hypervisor puts a message for this processor into its slot, one at a time; the next one comes
// when the slot has been freed and, if one was waiting, that has been said (end of message). The
// interrupt only queues DPCs: the processor's own for messages, and that of each channel whose
// event flag was set. Answers are given to whoever waits for them; offers and rescinds go to bus.c.
//
// A host that sends messages without end gets a pause after each BURST of them.
// SPDX-License-Identifier: MIT
#include "hvp.h"

#define MESSAGE_TYPE 1u // VMBus's, of the hypervisor's messages
#define BURST        64u
#define LOGGED       16u // of the messages that mean nothing
#define BURST_PAUSE  HVP_MILLISECOND
#define POST_TRIES   200u
#define POST_PAUSE   HVP_MILLISECOND // doubled up to POST_LONGEST
#define POST_LONGEST (64 * HVP_MILLISECOND)
#define FLAG_WORDS   (VMBUS_CHANNELS / 64)

typedef struct Receiver { // of a processor
    KDpc Dpc;
    KTimer Timer;
    uint32_t Processor;
} Receiver;
static Receiver *Receivers;

static ListEntry Requests = {&Requests, &Requests}; // guarded by HvpMessageLock
static volatile uint32_t Connection;
static volatile uint32_t FlagWords; // so many words of the event flags are in use

// ------------------------------------------------------------------------------------- sending

void HvpSetConnection(uint32_t connection)
{
    Connection = connection;
}

HvStatus HvpPostOnce(const VmbusBytes *bytes, size_t size)
{
    return HalPostMessage(Connection, MESSAGE_TYPE, bytes, size);
}

// Posted too fast; an unknown connection means that too once there is one.
static bool IsBusy(HvStatus status, bool connected)
{
    return status == HvInsufficientMemory || status == HvInsufficientBuffers ||
           status == HvTimeout || (connected && status == HvInvalidConnectionId);
}

static Status Post(const VmbusBytes *bytes, size_t size, bool connected)
{
    uint64_t pause = POST_PAUSE;
    for (uint32_t i = 0; i < POST_TRIES; i++) {
        HvStatus status = HvpPostOnce(bytes, size);
        if (status == HvSuccess)
            return StatusSuccess;
        if (!IsBusy(status, connected))
            return status == HvInvalidConnectionId ? StatusNotFound : StatusIoError;
        (void)KeDelay(KernelWait, pause);
        pause = RTL_MIN(pause * 2, POST_LONGEST);
    }
    return StatusTimeout;
}

Status HvpPost(const VmbusBytes *bytes, size_t size)
{
    return Post(bytes, size, true);
}

Status HvpPostContact(const VmbusBytes *bytes, size_t size)
{
    return Post(bytes, size, false);
}

// ------------------------------------------------------------------------------------- answers

void HvpPrepare(HvpRequest *request, VmbusMessageType answer, uint32_t channel, uint32_t id)
{
    *request = (HvpRequest){.Answer = answer, .Channel = channel, .Id = id};
    KeInitializeEvent(&request->Event, true, false);
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    RtlInsertTail(&Requests, &request->Link);
    KeReleaseSpinLock(&HvpMessageLock, old);
}

void HvpCancel(HvpRequest *request)
{
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    if (!request->Done)
        RtlRemoveEntry(&request->Link);
    request->Done = true;
    KeReleaseSpinLock(&HvpMessageLock, old);
}

// HvpMessageLock is held.
static void Finish(HvpRequest *request)
{
    RtlRemoveEntry(&request->Link);
    request->Done = true;
    KeSetEvent(&request->Event);
}

static bool IsAnswer(const HvpRequest *request, const VmbusMessage *message)
{
    if (request->Answer != message->Type)
        return false;
    switch (message->Type) {
    case VmbusOpenResult:
        return request->Channel == message->Channel && request->Id == message->OpenId;
    case VmbusGpadlCreated:
        return request->Channel == message->Channel && request->Id == message->Gpadl;
    case VmbusGpadlTorndown:
        return request->Id == message->Gpadl;
    default:
        return true;
    }
}

bool HvpAnswer(const VmbusMessage *message)
{
    bool found = false;
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    RTL_FOR_EACH (entry, &Requests) {
        HvpRequest *request = RTL_CONTAINER_OF(entry, HvpRequest, Link);
        if (IsAnswer(request, message)) {
            request->Message = *message;
            Finish(request);
            found = true;
            break;
        }
    }
    KeReleaseSpinLock(&HvpMessageLock, old);
    return found;
}

void HvpFailRequests(uint32_t channel)
{
    KE_ASSERT(KeIsSpinLockHeld(&HvpMessageLock));
    for (ListEntry *entry = Requests.Next, *next; entry != &Requests; entry = next) {
        HvpRequest *request = RTL_CONTAINER_OF(entry, HvpRequest, Link);
        next = entry->Next;
        if (request->Channel == channel && request->Answer == VmbusOpenResult)
            Finish(request); // its Message stays empty
    }
}

Status HvpAwait(HvpRequest *request, uint64_t timeout)
{
    Status status = KeWaitForObject(&request->Event, KernelWait, timeout);
    HvpCancel(request);
    if (status == StatusSuccess && request->Message.Type != request->Answer)
        status = StatusNoSuchDevice;
    return status;
}

// ------------------------------------------------------------------------------------ receiving

// Takes the message out of a slot; false: there is none. *pending: another waits for the slot.
static bool TakeMessage(HalMessage *slot, VmbusBytes *bytes, size_t *size, bool *ours,
                        bool *pending)
{
    uint32_t type = __atomic_load_n(&slot->Type, __ATOMIC_ACQUIRE);
    if (type == 0)
        return false;
    *ours = type == MESSAGE_TYPE;
    size_t told = slot->Size;
    *size = RTL_MIN(told, sizeof(*bytes));
    for (size_t i = 0; i < RTL_COUNT_OF(bytes->Words); i++)
        bytes->Words[i] = slot->Payload[i];
    __atomic_store_n(&slot->Type, 0, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); // free first, then look whether one waits
    *pending = (slot->Flags & HAL_MESSAGE_PENDING) != 0;
    return true;
}

static bool TakeParsed(HalMessage *slot, VmbusMessage *message, bool *pending)
{
    VmbusBytes bytes;
    size_t size;
    bool ours;
    if (!TakeMessage(slot, &bytes, &size, &ours, pending))
        return false;
    *message = (VmbusMessage){0};
    if (!ours || !VmbusParseMessage(&bytes, size, HvpVersion, message)) {
        static uint32_t logged;
        if (logged++ < LOGGED)
            KeLog(LogDebug, "vmbus: a message of type %u was not understood",
                  (uint32_t)message->Type);
        *message = (VmbusMessage){0};
    }
    return true;
}

static void ReceiveMessages(void *context)
{
    Receiver *receiver = context;
    HalMessage *slot = HalGetMessageSlot(receiver->Processor);
    VmbusMessage message = {0};
    bool pending;
    for (uint32_t i = 0; i < BURST; i++) {
        if (!TakeParsed(slot, &message, &pending))
            return;
        if (pending)
            HalEndMessage();
        if (message.Type != 0)
            HvpHandleMessage(&message);
    }
    KeSetTimer(&receiver->Timer, BURST_PAUSE, 0, &receiver->Dpc);
}

void HvpNoteChannel(uint32_t id)
{
    uint32_t words = id / 64 + 1;
    if (words > FlagWords)
        FlagWords = words;
}

void HvpHandleInterrupt(void *context)
{
    Receiver *receiver = &Receivers[KeGetCurrentProcessorNumber()];
    if (HalGetMessageSlot(receiver->Processor)->Type != 0)
        KeQueueDpc(&receiver->Dpc);
    volatile uint64_t *flags = HalGetEventFlags(receiver->Processor);
    for (uint32_t word = 0; word < FlagWords; word++) {
        if (flags[word] == 0)
            continue;
        uint64_t set = __atomic_exchange_n(&flags[word], 0, __ATOMIC_ACQ_REL);
        for (; set != 0; set &= set - 1) {
            HvChannel *channel = HvpFindChannel(word * 64 + (uint32_t)__builtin_ctzll(set));
            if (channel != nullptr && channel->Open)
                KeQueueDpc(&channel->Dpc);
        }
    }
}

bool HvpPollMessages(VmbusMessageType wanted)
{
    bool found = false, pending;
    VmbusMessage message = {0};
    for (uint32_t i = 0; i < KeGetProcessorCount(); i++) {
        HalMessage *slot = HalGetMessageSlot(i);
        while (!found && slot != nullptr && TakeParsed(slot, &message, &pending)) {
            if (pending)
                HalEndMessage();
            found = message.Type == wanted;
        }
    }
    return found;
}

Status HvpStartMessages(void)
{
    uint32_t count = KeGetProcessorCount();
    Receivers = MmAllocateHeap(count * sizeof(*Receivers), TAG_HYPERV);
    if (Receivers == nullptr)
        return StatusNoMemory;
    for (uint32_t i = 0; i < count; i++) {
        Receivers[i].Processor = i;
        KeInitializeDpc(&Receivers[i].Dpc, ReceiveMessages, &Receivers[i]);
        KeInitializeTimer(&Receivers[i].Timer, true);
    }
    HalRegisterSyntheticHandler(HvpHandleInterrupt);
    return StatusSuccess;
}
