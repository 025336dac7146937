// buffer.c - memory lent to the host: pages are named to it in messages (a GPADL), and are its own
// until it says that it has let go of them. Memory that it does not let go of in time is kept aside
// and used for nothing else; when the host's word comes late, the bus's thread frees it. A host
// that keeps more than MAXIMUM_KEPT is lent nothing more.
// SPDX-License-Identifier: MIT
#include "hvp.h"

#define PATIENCE_WHEN_GONE HVP_SECOND
#define MAXIMUM_KEPT       ((size_t)32 << 20)

static ListEntry Kept = {&Kept, &Kept};             // [m] loans that the host has not given back
static ListEntry Returned = {&Returned, &Returned}; // [m] it has; to be freed
static volatile size_t KeptBytes;                   // [m] of Kept

static uint32_t NextGpadl(void)
{
    static volatile uint32_t last;
    uint32_t id;
    do // 0 means none
        id = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    while (id == 0);
    return id;
}

// Waits for the host's word on memory. Who has taken the channel away may never say it.
static void AwaitWord(HvChannel *channel, HvpRequest *request)
{
    if (HvWait(channel, &request->Event, HVP_PATIENCE) == StatusNoSuchDevice)
        (void)KeWaitForObject(&request->Event, KernelWait, PATIENCE_WHEN_GONE);
    HvpCancel(request);
}

Status HvpCreateGpadl(HvChannel *channel, uint32_t pages,
                      uint64_t (*frameOf)(void *context, uint32_t page), void *context,
                      uint32_t *gpadl)
{
    VmbusGpadl messages = {.Channel = channel->Offer.Channel, .Id = NextGpadl(), .Pages = pages};
    HvpRequest request;
    VmbusBytes bytes;
    Status status = StatusSuccess;
    if (channel->Gone)
        return StatusNoSuchDevice;
    if (KeptBytes > MAXIMUM_KEPT)
        return StatusNoMemory;
    HvpPrepare(&request, VmbusGpadlCreated, messages.Channel, messages.Id);
    // To its end also when the channel goes: what has begun the host answers. It may do so early.
    for (size_t size; status == StatusSuccess &&
                      !__atomic_load_n(&request.Done, __ATOMIC_ACQUIRE) &&
                      (size = VmbusBuildGpadl(&messages, &bytes, frameOf, context)) != 0;)
        status = HvpPost(&bytes, size);
    *gpadl = messages.Id;
    if (status != StatusSuccess) {
        HvpCancel(&request);
        return status;
    }
    AwaitWord(channel, &request);
    if (request.Message.Type != VmbusGpadlCreated) // who answers too late knows it all the same
        return channel->Gone ? StatusNoSuchDevice : StatusTimeout;
    if (request.Message.Status < 0)
        *gpadl = 0;
    return request.Message.Status < 0 ? StatusIoError : StatusSuccess;
}

// ------------------------------------------------------------------------------ giving it back

static void FreeLoan(HvpLoan *loan)
{
    if (loan->Mapping != nullptr && loan->Pages)
        MmUnmapSectionPages(loan->Section, loan->Mapping);
    else if (loan->Mapping != nullptr)
        MmUnmapSectionInKernel(loan->Section, loan->Mapping);
    if (loan->Section != nullptr)
        MmDereferenceSection(loan->Section);
}

// Asks for it and waits. false: the host has not given it back; *kept, if there is one, waits on.
static bool AskBack(HvChannel *channel, const HvpLoan *loan, HvpLoan *kept)
{
    HvpRequest request;
    VmbusBytes bytes;
    HvpPrepare(&request, VmbusGpadlTorndown, channel->Offer.Channel, loan->Gpadl);
    size_t size =
        VmbusBuildChannel(&bytes, VmbusGpadlTeardown, channel->Offer.Channel, loan->Gpadl);
    if (HvpPost(&bytes, size) == StatusSuccess &&
        HvWait(channel, &request.Event, HVP_PATIENCE) == StatusNoSuchDevice)
        (void)KeWaitForObject(&request.Event, KernelWait, PATIENCE_WHEN_GONE);
    // It waits on before the request ends: no answer comes between the two.
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    bool waits = !request.Done && kept != nullptr;
    if (waits) {
        *kept = *loan;
        RtlInsertTail(&Kept, &kept->Link);
        KeptBytes += kept->Size;
    }
    KeReleaseSpinLock(&HvpMessageLock, old);
    HvpCancel(&request);
    if (request.Message.Type != VmbusGpadlTorndown)
        return false;
    if (!waits)
        return true;
    // The answer came at the last moment, to the request.
    (void)HvpGiveBack(loan->Gpadl);
    return false;
}

void HvpReclaim(HvChannel *channel, HvpLoan *loan)
{
    HvpLoan *kept = loan->Gpadl != 0 ? MmAllocateHeap(sizeof(*kept), TAG_HYPERV) : nullptr;
    if (loan->Gpadl == 0 || AskBack(channel, loan, kept)) {
        FreeLoan(loan);
        MmFreeHeap(kept);
    } else {
        KeLog(LogWarning, "vmbus: the host keeps %llu KiB of channel %u",
              (unsigned long long)loan->Size / 1024, channel->Offer.Channel);
        HvpFreeReturned();
    }
    *loan = (HvpLoan){0};
}

bool HvpGiveBack(uint32_t gpadl)
{
    bool found = false;
    KIrql old = KeAcquireSpinLock(&HvpMessageLock);
    RTL_FOR_EACH (entry, &Kept) {
        HvpLoan *loan = RTL_CONTAINER_OF(entry, HvpLoan, Link);
        if (loan->Gpadl == gpadl) {
            RtlRemoveEntry(&loan->Link);
            RtlInsertTail(&Returned, &loan->Link);
            KeptBytes -= loan->Size;
            found = true;
            break;
        }
    }
    KeReleaseSpinLock(&HvpMessageLock, old);
    return found;
}

size_t HvpQueryKept(void)
{
    return KeptBytes;
}

void HvpFreeReturned(void)
{
    for (;;) {
        HvpLoan *loan = nullptr;
        KIrql old = KeAcquireSpinLock(&HvpMessageLock);
        if (!RtlIsListEmpty(&Returned)) {
            loan = RTL_CONTAINER_OF(Returned.Next, HvpLoan, Link);
            RtlRemoveEntry(&loan->Link);
        }
        KeReleaseSpinLock(&HvpMessageLock, old);
        if (loan == nullptr)
            return;
        KeLog(LogInfo, "vmbus: the host has given %llu KiB back, late",
              (unsigned long long)loan->Size / 1024);
        FreeLoan(loan);
        MmFreeHeap(loan);
    }
}

// ------------------------------------------------------------------------------- drivers' buffers

static uint64_t FrameOfMapping(void *base, uint32_t page)
{
    return MmVirtualToPhysical((uint8_t *)base + (uint64_t)page * PAGE_SIZE) / PAGE_SIZE;
}

Status HvAllocateBuffer(HvChannel *channel, size_t size, HvBuffer *buffer)
{
    *buffer = (HvBuffer){.Size = RTL_ALIGN_UP(size, PAGE_SIZE)};
    if (size == 0 || buffer->Size / PAGE_SIZE > VMBUS_GPADL_PAGES)
        return StatusInvalidParameter;
    Status status = MmCreateSection(buffer->Size, PageDevice, &buffer->Section);
    if (status == StatusSuccess)
        status = MmMapSectionInKernel(buffer->Section, &buffer->Base);
    if (status == StatusSuccess)
        status = HvpCreateGpadl(channel, (uint32_t)(buffer->Size / PAGE_SIZE), FrameOfMapping,
                                buffer->Base, &buffer->Gpadl);
    if (status != StatusSuccess)
        HvFreeBuffer(channel, buffer);
    return status;
}

void HvFreeBuffer(HvChannel *channel, HvBuffer *buffer)
{
    HvpLoan loan = {.Section = buffer->Section,
                    .Mapping = buffer->Base,
                    .Gpadl = buffer->Gpadl,
                    .Size = buffer->Size};
    *buffer = (HvBuffer){0};
    if (loan.Section != nullptr)
        HvpReclaim(channel, &loan);
}
