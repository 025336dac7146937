// buffer.c - memory that the host may use: pages are named to it in messages (a GPADL), and are its
// own until it says that it has let go of them. Memory that it does not let go of in time is never
// used again for anything else.
// SPDX-License-Identifier: MIT
#include "hvp.h"

static uint32_t NextGpadl(void)
{
    static volatile uint32_t last;
    uint32_t id;
    do // 0 means none
        id = __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
    while (id == 0);
    return id;
}

Status HvpCreateGpadl(HvChannel *channel, uint32_t pages,
                      uint64_t (*frameOf)(void *context, uint32_t page), void *context,
                      uint32_t *gpadl)
{
    VmbusGpadl messages = {.Channel = channel->Offer.Channel, .Id = NextGpadl(), .Pages = pages};
    HvpRequest request;
    VmbusBytes bytes;
    Status status = StatusSuccess;
    HvpPrepare(&request, VmbusGpadlCreated, messages.Channel, messages.Id);
    for (size_t size; status == StatusSuccess &&
                      (size = VmbusBuildGpadl(&messages, &bytes, frameOf, context)) != 0;)
        status = channel->Gone ? StatusNoSuchDevice : HvpPost(&bytes, size);
    if (status != StatusSuccess) {
        HvpCancel(&request);
        return status;
    }
    status = HvpAwait(&request, HVP_PATIENCE);
    if (status == StatusSuccess && request.Message.Status < 0)
        return StatusIoError;
    // A host that answers too late, or took the channel away, may know the memory all the same.
    *gpadl = messages.Id;
    return status;
}

bool HvpDeleteGpadl(HvChannel *channel, uint32_t gpadl)
{
    HvpRequest request;
    VmbusBytes bytes;
    HvpPrepare(&request, VmbusGpadlTorndown, channel->Offer.Channel, gpadl);
    size_t size = VmbusBuildChannel(&bytes, VmbusGpadlTeardown, channel->Offer.Channel, gpadl);
    if (HvpPost(&bytes, size) != StatusSuccess) {
        HvpCancel(&request);
        return false;
    }
    return HvpAwait(&request, HVP_PATIENCE) == StatusSuccess;
}

// ------------------------------------------------------------------------------- drivers' buffers

static uint64_t FrameOfMapping(void *base, uint32_t page)
{
    return MmVirtualToPhysical((uint8_t *)base + (uint64_t)page * PAGE_SIZE) / PAGE_SIZE;
}

static void ReleaseMemory(HvBuffer *buffer)
{
    MmUnmapSectionInKernel(buffer->Section, buffer->Base);
    MmDereferenceSection(buffer->Section);
    *buffer = (HvBuffer){0};
}

Status HvAllocateBuffer(HvChannel *channel, size_t size, HvBuffer *buffer)
{
    *buffer = (HvBuffer){.Size = RTL_ALIGN_UP(size, PAGE_SIZE)};
    if (size == 0 || buffer->Size / PAGE_SIZE > VMBUS_GPADL_PAGES)
        return StatusInvalidParameter;
    Status status = MmCreateSection(buffer->Size, PageDevice, &buffer->Section);
    if (status != StatusSuccess)
        return status;
    status = MmMapSectionInKernel(buffer->Section, &buffer->Base);
    if (status != StatusSuccess) {
        MmDereferenceSection(buffer->Section);
        *buffer = (HvBuffer){0};
        return status;
    }
    status = HvpCreateGpadl(channel, (uint32_t)(buffer->Size / PAGE_SIZE), FrameOfMapping,
                            buffer->Base, &buffer->Gpadl);
    if (status != StatusSuccess) {
        if (buffer->Gpadl != 0)
            HvFreeBuffer(channel, buffer);
        else
            ReleaseMemory(buffer);
    }
    return status;
}

void HvFreeBuffer(HvChannel *channel, HvBuffer *buffer)
{
    if (buffer->Base == nullptr)
        return;
    if (HvpDeleteGpadl(channel, buffer->Gpadl)) {
        ReleaseMemory(buffer);
        return;
    }
    KeLog(LogWarning, "vmbus: the host keeps %llu KiB of channel %u",
          (unsigned long long)buffer->Size / 1024, channel->Offer.Channel);
    *buffer = (HvBuffer){0};
}
