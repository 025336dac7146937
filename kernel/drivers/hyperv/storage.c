// storage.c - the synthetic SCSI controller: disks and DVD drives over VMBus.
//
// How a request travels. IoSubmit reaches StorageSubmit; a free slot takes the request: the list of
// its memory's pages goes into the ring beside a command block, and the host moves the data
// straight from or to those pages. The host takes one range a command, pages in a row but for the
// ends of the first and last; memory that is not like that goes through a copy. Answers come in any
// order, in the DPC of the channel the command went out on; with several channels a command takes
// its processor's. Telling the host of a command is a hypercall: once enough are under way, further
// ones wait for the next burst of answers and go out together.
//
// Errors. Unit attentions are tried again at once, busy units after a pause, and what the transport
// drops once more. A command that is not answered in time cannot be taken back, and its pages stay
// the host's: then the whole controller is given up, its channel closed - which makes the host let
// go - and everything fails from then on. Of what breaks the protocol, an answer that means
// nothing fails its command, which is tried again; the rest is dropped.
//
// Units come and go (scan.c): the host says "look again", or takes the controller away. A thread of
// the controller does what has to wait. A unit's memory lives as long as somebody holds its block
// device, and the controller's as long as there are units.
// SPDX-License-Identifier: MIT
#include "storage.h"

#include "ps.h"

#define TAG_STORAGE      MM_TAG('H', 'v', 'S', 't')
#define SECOND           1000000000ull
#define RING_SIZE        (128u * 1024u)
#define MAXIMUM_PACKET   512u
#define PATIENCE         (10 * SECOND) // for an answer of the controller itself
#define COMMAND_TIME     (60 * SECOND)
#define WATCH_PERIOD     (SECOND / 4)
#define MAXIMUM_ATTEMPTS 3u
#define MAXIMUM_PAUSES   200u // WATCH_PERIODs that a unit may be busy
#define BUSY_ENOUGH      8u   // requests under way that keep the host busy: others wait for a burst

static void CompleteAll(ListEntry *list)
{
    while (!RtlIsListEmpty(list)) {
        IoRequest *request = RTL_CONTAINER_OF(list->Next, IoRequest, Link);
        RtlRemoveEntry(&request->Link);
        request->Complete(request);
    }
}

// ---- slots. Lock held.

static StorageSlot *TakeSlot(StorageController *controller)
{
    if (controller->FreeCount == 0)
        return nullptr;
    StorageSlot *slot = &controller->Slots[controller->FreeSlots[--controller->FreeCount]];
    slot->Busy = true;
    slot->Uses++;
    slot->Deadline = KeQueryTime() + COMMAND_TIME;
    return slot;
}

static void FreeSlot(StorageController *controller, StorageSlot *slot)
{
    slot->Busy = false;
    slot->Request = nullptr;
    slot->Waiter = nullptr;
    controller->FreeSlots[controller->FreeCount++] = (uint32_t)(slot - controller->Slots);
}

static uint64_t IdOf(const StorageController *controller, const StorageSlot *slot)
{
    return (uint64_t)slot->Uses << 16 | (uint64_t)(slot - controller->Slots + 1);
}

static StorageSlot *FindSlot(StorageController *controller, uint64_t id)
{
    uint64_t index = (id & 0xFFFF) - 1;
    if (index >= STORAGE_SLOTS)
        return nullptr;
    StorageSlot *slot = &controller->Slots[index];
    return slot->Busy && slot->Uses == id >> 16 ? slot : nullptr;
}

// ---- memory

// Appends the pages of size bytes.
static uint32_t ListPages(uint64_t *frames, const uint8_t *at, size_t size)
{
    uintptr_t direct = (uintptr_t)at - DIRECT_MAP_BASE;
    uint32_t count = VmbusFrameCount((uint32_t)((uintptr_t)at % PAGE_SIZE), (uint32_t)size);
    const uint8_t *page = (const uint8_t *)RTL_ALIGN_DOWN((uintptr_t)at, PAGE_SIZE);
    for (uint32_t i = 0; i < count; i++)
        frames[i] = direct < DIRECT_MAP_SIZE
                        ? direct / PAGE_SIZE + i
                        : MmVirtualToPhysical(page + (size_t)i * PAGE_SIZE) / PAGE_SIZE;
    return count;
}

// Whether the segments join at page boundaries.
static bool IsOneRange(const IoRequest *request)
{
    for (uint32_t i = 0; i + 1 < request->SegmentCount; i++) {
        uintptr_t end = (uintptr_t)request->Segments[i].Buffer + request->Segments[i].Size;
        if ((end | (uintptr_t)request->Segments[i + 1].Buffer) % PAGE_SIZE)
            return false;
    }
    return true;
}

static void CopySegments(const IoRequest *request, uint8_t *bounce, bool out)
{
    for (uint32_t i = 0; i < request->SegmentCount; i++) {
        const IoSegment *segment = &request->Segments[i];
        memcpy(out ? bounce : segment->Buffer, out ? segment->Buffer : bounce, segment->Size);
        bounce += segment->Size;
    }
}

// Describes a transfer's memory. false: a copy was needed, and there is no memory for it.
static bool DescribeMemory(StorageController *controller, StorageSlot *slot,
                           const IoRequest *request, HvRange *range)
{
    slot->Bounce = nullptr;
    *range = (HvRange){.Bytes = slot->Bytes, .Frames = slot->Frames};
    if (IsOneRange(request)) {
        range->Offset = (uint32_t)((uintptr_t)request->Segments[0].Buffer % PAGE_SIZE);
        uint32_t count = 0;
        for (uint32_t i = 0; i < request->SegmentCount; i++)
            count += ListPages(slot->Frames + count, request->Segments[i].Buffer,
                               request->Segments[i].Size);
        return true;
    }
    slot->Bounce = MmAllocateHeap(slot->Bytes, TAG_STORAGE);
    if (!slot->Bounce)
        return false;
    controller->Bounces++;
    if (request->Operation == IoWrite)
        CopySegments(request, slot->Bounce, true);
    range->Offset = (uint32_t)((uintptr_t)slot->Bounce % PAGE_SIZE);
    (void)ListPages(slot->Frames, slot->Bounce, slot->Bytes);
    return true;
}

static void ReleaseMemory(StorageSlot *slot, bool read)
{
    if (slot->Bounce && read)
        CopySegments(slot->Request, slot->Bounce, false);
    MmFreeHeap(slot->Bounce);
    slot->Bounce = nullptr;
}

// ---- sending. Lock held.

static HvChannel *ChooseChannel(const StorageController *controller)
{
    return controller->Channels[KeGetCurrentProcessorNumber() % controller->ChannelCount];
}

static Status SendCommand(StorageController *controller, StorageSlot *slot,
                          const SynCommand *command, const HvRange *range)
{
    uint8_t packet[SYN_STORAGE_PACKET_SIZE];
    SynBuildCommand(&controller->Protocol, command, packet);
    HvChannel *channel = ChooseChannel(controller);
    uint64_t id = IdOf(controller, slot);
    uint32_t size = controller->Protocol.RequestSize;
    if (range)
        return HvSendRanges(channel, range, 1, packet, size, id);
    return HvSend(channel, packet, size, id, true);
}

static Status SendRequest(StorageController *controller, StorageSlot *slot, IoRequest *request,
                          const StorageUnit *unit)
{
    SynCommand command;
    HvRange range;
    bool data = true;
    uint32_t sectorSize = unit->Block.SectorSize;
    switch (request->Operation) {
    case IoFlush:
        SynBuildFlush(&command, unit->Address);
        data = false;
        break;
    case IoUnmap:
        SynBuildUnmap(&command, unit->Address, request->Sector, request->Count, slot->UnmapList);
        range = (HvRange){.Bytes = SYN_UNMAP_SIZE,
                          .Offset = (uint32_t)((uintptr_t)slot->UnmapList % PAGE_SIZE),
                          .Frames = slot->Frames};
        (void)ListPages(slot->Frames, slot->UnmapList, SYN_UNMAP_SIZE);
        break;
    default:
        SynBuildTransfer(&command, unit->Address, request->Operation == IoWrite, request->Sector,
                         request->Count, sectorSize);
        break;
    }
    slot->Bytes = command.Bytes;
    if (data && request->Operation != IoUnmap && !DescribeMemory(controller, slot, request, &range))
        return StatusNoMemory;
    Status status = SendCommand(controller, slot, &command, data ? &range : nullptr);
    if (status != StatusSuccess)
        ReleaseMemory(slot, false);
    return status;
}

static void ArmTimer(StorageController *controller)
{
    if (controller->TimerArmed)
        return;
    controller->TimerArmed = true;
    KeSetTimer(&controller->Timer, WATCH_PERIOD, 0, &controller->TimerDpc);
}

// Gives slots to waiting requests, in order; what fails at once goes to `failed`.
static void StartWaiting(StorageController *controller, ListEntry *failed)
{
    if (RtlIsListEmpty(&controller->Queue) || controller->Pausing || controller->Dead)
        return;
    HvChannel *channel = ChooseChannel(controller);
    HvHoldSignal(channel);
    while (!RtlIsListEmpty(&controller->Queue)) {
        IoRequest *request = RTL_CONTAINER_OF(controller->Queue.Next, IoRequest, Link);
        StorageSlot *slot = TakeSlot(controller);
        if (!slot)
            break;
        slot->Request = request;
        Status status = SendRequest(controller, slot, request, request->DriverContext);
        if (status == StatusWouldBlock) {
            FreeSlot(controller, slot);
            break;
        }
        RtlRemoveEntry(&request->Link);
        if (status != StatusSuccess) {
            FreeSlot(controller, slot);
            request->Result = status;
            RtlInsertTail(failed, &request->Link);
            continue;
        }
        request->Attempts++;
        controller->Commands++;
    }
    HvReleaseSignal(channel);
    ArmTimer(controller);
}

void StorageSubmit(IoBlockDevice *device, IoRequest *request)
{
    StorageUnit *unit = device->Context;
    StorageController *controller = unit->Controller;
    ListEntry failed;
    RtlInitializeList(&failed);
    request->DriverContext = unit;
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    if (controller->Dead) {
        request->Result = StatusNoSuchDevice;
        RtlInsertTail(&failed, &request->Link);
    } else {
        RtlInsertTail(&controller->Queue, &request->Link);
        if (STORAGE_SLOTS - controller->FreeCount < BUSY_ENOUGH)
            StartWaiting(controller, &failed);
    }
    KeReleaseSpinLock(&controller->Lock, old);
    CompleteAll(&failed);
}

// ---- giving up

// Nothing is sent any more; the thread closes the channel and fails what is under way. Lock held.
static void Die(StorageController *controller, const char *why)
{
    if (controller->Dead)
        return;
    controller->Dead = true;
    if (why)
        KeLog(LogError, "hyperv: a disk controller %s; it is given up", why);
    KeSetEvent(&controller->Answered);
    KeSetEvent(&controller->Work);
}

// The channels are closed: nobody else touches the memory of what was under way.
static void FailEverything(StorageController *controller)
{
    ListEntry failed;
    RtlInitializeList(&failed);
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    for (uint32_t i = 0; i < STORAGE_SLOTS; i++) {
        StorageSlot *slot = &controller->Slots[i];
        if (!slot->Busy)
            continue;
        if (slot->Request) {
            slot->Request->Result = StatusNoSuchDevice;
            ReleaseMemory(slot, false);
            RtlInsertTail(&failed, &slot->Request->Link);
        }
        FreeSlot(controller, slot);
    }
    while (!RtlIsListEmpty(&controller->Queue)) {
        IoRequest *request = RTL_CONTAINER_OF(controller->Queue.Next, IoRequest, Link);
        RtlRemoveEntry(&request->Link);
        request->Result = StatusNoSuchDevice;
        RtlInsertTail(&failed, &request->Link);
    }
    KeReleaseSpinLock(&controller->Lock, old);
    CompleteAll(&failed);
}

// ---- completion

// What a finished request's completion means; false: it is to be tried again.
static bool Judge(StorageController *controller, const StorageSlot *slot, IoRequest *request)
{
    const SynCompletion *completion = &slot->Completion;
    bool again = request->Attempts < MAXIMUM_ATTEMPTS;
    switch (completion->Outcome) {
    case SynGood:
        request->Result = completion->Bytes == slot->Bytes ? StatusSuccess : StatusIoError;
        return true;
    case SynBusy:
        request->Result = StatusDeviceNotReady;
        controller->Pausing = request->Attempts < MAXIMUM_PAUSES;
        return !controller->Pausing;
    case SynUnitAbsent:
        request->Result = StatusNoSuchDevice;
        controller->Look = true;
        KeSetEvent(&controller->Work);
        return true;
    case SynCheckCondition:
        if (completion->SenseKey == SynSenseUnitAttention && again)
            return false;
        request->Result = completion->SenseKey == SynSenseNotReady      ? StatusDeviceNotReady
                          : completion->SenseKey == SynSenseDataProtect ? StatusReadOnly
                                                                        : StatusIoError;
        return true;
    default:
        request->Result = StatusIoError;
        return !again;
    }
}

static void FinishRequest(StorageController *controller, StorageSlot *slot, ListEntry *done)
{
    IoRequest *request = slot->Request;
    bool finished = Judge(controller, slot, request);
    ReleaseMemory(slot, request->Operation == IoRead && request->Result == StatusSuccess);
    FreeSlot(controller, slot);
    if (finished) {
        controller->Failures += request->Result != StatusSuccess;
        RtlInsertTail(done, &request->Link);
    } else {
        controller->Retries++;
        RtlInsertHead(&controller->Queue, &request->Link);
    }
}

static void TakeCompletion(StorageController *controller, const HvPacket *packet, ListEntry *done)
{
    StorageSlot *slot = FindSlot(controller, packet->TransactionId);
    if (!slot) { // a second time, or nobody's
        HvRejectPacket(controller->Channel);
        return;
    }
    if (!SynReadCompletion(&controller->Protocol, packet->Data, packet->Size, slot->Bytes,
                           &slot->Completion)) {
        HvRejectPacket(controller->Channel);
        slot->Completion = (SynCompletion){.Outcome = SynFailed};
    }
    if (slot->Request) {
        FinishRequest(controller, slot, done);
    } else {
        if (slot->Waiter) {
            slot->Waiter->Completion = slot->Completion;
            slot->Waiter->Answered = true;
            KeSetEvent(&slot->Waiter->Event);
        }
        FreeSlot(controller, slot);
    }
}

// An answer of the row of requests that starts the controller. Lock held.
static void TakeStartAnswer(StorageController *controller, const HvPacket *packet)
{
    SynMessage next;
    SynVerdict verdict =
        SynReceiveStorageAnswer(&controller->Protocol, packet->Data, packet->Size, &next);
    if (verdict == SynNothing) // without room the host does not read: its time runs out
        (void)!HvSend(controller->Channel, next.Bytes, next.Size, 0, true);
    if (verdict == SynReady) {
        controller->Ready = true;
        KeSetEvent(&controller->Answered);
    } else if (verdict == SynRefused) {
        Die(controller, "speaks no version of ours");
    } else if (verdict == SynBroken) {
        HvRejectPacket(controller->Channel);
    }
}

static void TakeNotice(StorageController *controller, const HvPacket *packet)
{
    SynVerdict verdict = SynReceiveStorageNotice(packet->Data, packet->Size);
    if (verdict == SynBroken)
        HvRejectPacket(controller->Channel);
    if (verdict != SynEvent)
        return;
    controller->Look = true;
    KeSetEvent(&controller->Work);
}

static void Receive(void *context, const HvPacket *packet)
{
    StorageController *controller = context;
    ListEntry done;
    RtlInitializeList(&done);
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    if (controller->Dead) {
        // nothing matters any more
    } else if (packet->Type == VmbusCompletion && !controller->Ready) {
        TakeStartAnswer(controller, packet);
    } else if (packet->Type == VmbusCompletion) {
        TakeCompletion(controller, packet, &done);
    } else if (packet->Type == VmbusInBand) {
        TakeNotice(controller, packet);
    }
    KeReleaseSpinLock(&controller->Lock, old);
    CompleteAll(&done);
}

// Room in a ring, or after a burst of completions: slots.
static void SendMore(void *context)
{
    StorageController *controller = context;
    ListEntry failed;
    RtlInitializeList(&failed);
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    StartWaiting(controller, &failed);
    KeReleaseSpinLock(&controller->Lock, old);
    CompleteAll(&failed);
}

static void Watch(void *context)
{
    StorageController *controller = context;
    ListEntry failed;
    RtlInitializeList(&failed);
    uint64_t now = KeQueryTime();
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    controller->Pausing = false;
    bool waiting = !RtlIsListEmpty(&controller->Queue);
    for (uint32_t i = 0; i < STORAGE_SLOTS && !controller->Dead; i++) {
        const StorageSlot *slot = &controller->Slots[i];
        waiting = waiting || slot->Busy;
        if (slot->Busy && now > slot->Deadline)
            Die(controller, "does not answer");
    }
    StartWaiting(controller, &failed);
    controller->TimerArmed = false; // the last thing: Stop waits for it
    if (waiting && !controller->Dead)
        ArmTimer(controller);
    KeReleaseSpinLock(&controller->Lock, old);
    CompleteAll(&failed);
}

// A slot for a command of the driver's own, and the command on its way.
static Status SendOwn(StorageController *controller, const SynCommand *command,
                      StorageWaiter *waiter, StorageSlot **used)
{
    HvRange range = {.Bytes = command->Bytes};
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    StorageSlot *slot = controller->Dead ? nullptr : TakeSlot(controller);
    Status status = controller->Dead ? StatusNoSuchDevice : StatusWouldBlock;
    if (slot) {
        slot->Waiter = waiter;
        slot->Bytes = command->Bytes;
        (void)ListPages(slot->Frames, controller->Page, command->Bytes);
        range.Frames = slot->Frames;
        status = SendCommand(controller, slot, command, command->Bytes ? &range : nullptr);
        if (status != StatusSuccess)
            FreeSlot(controller, slot);
    }
    KeReleaseSpinLock(&controller->Lock, old);
    *used = slot;
    return status;
}

Status StorageRun(StorageController *controller, const SynCommand *command,
                  SynCompletion *completion)
{
    StorageWaiter waiter = {};
    StorageSlot *slot;
    KeInitializeEvent(&waiter.Event, true, false);
    Status status = SendOwn(controller, command, &waiter, &slot);
    for (uint64_t start = KeQueryTime();
         status == StatusWouldBlock && KeQueryTime() - start < PATIENCE;) {
        (void)!KeDelay(KernelWait, SECOND / 100);
        status = SendOwn(controller, command, &waiter, &slot);
    }
    if (status != StatusSuccess)
        return status;
    status = HvWait(controller->Channel, &waiter.Event, PATIENCE);
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    if (waiter.Answered) {
        *completion = waiter.Completion;
        memcpy(controller->Answer, controller->Page,
               RTL_MIN(completion->Bytes, sizeof(controller->Answer)));
        status = StatusSuccess;
    } else { // nobody waits any more, but the page is the host's
        if (slot->Waiter == &waiter)
            slot->Waiter = nullptr;
        Die(controller, status == StatusTimeout ? "does not answer" : nullptr);
        status = status == StatusSuccess ? StatusIoError : status;
    }
    KeReleaseSpinLock(&controller->Lock, old);
    return status;
}

// ---- channels

static void AddChannel(void *context, HvChannel *channel);
static void LoseChannel(void *context, HvChannel *channel);
static const HvHandlers Handlers = {.Receive = Receive,
                                    .Drained = SendMore,
                                    .Writable = SendMore,
                                    .SubChannel = AddChannel,
                                    .SubChannelGone = LoseChannel};

static Status OpenChannel(StorageController *controller, HvChannel *channel, uint32_t processor)
{
    HvOpenParameters parameters = {.SendBytes = RING_SIZE,
                                   .ReceiveBytes = RING_SIZE,
                                   .MaximumPacket = MAXIMUM_PACKET,
                                   .Handlers = &Handlers,
                                   .Context = controller,
                                   .Processor = processor % KeGetProcessorCount()};
    return HvOpenChannel(channel, &parameters);
}

static void AddChannel(void *context, HvChannel *channel)
{
    StorageController *controller = context;
    KeAcquireMutex(&controller->ChannelMutex);
    uint32_t count = controller->ChannelCount;
    if (!controller->Dead && count < RTL_COUNT_OF(controller->Channels) &&
        OpenChannel(controller, channel, count) == StatusSuccess) {
        KIrql old = KeAcquireSpinLock(&controller->Lock);
        controller->Channels[controller->ChannelCount++] = channel;
        KeReleaseSpinLock(&controller->Lock, old);
        KeLog(LogDebug, "hyperv: a disk controller has %u channels", controller->ChannelCount);
    }
    KeReleaseMutex(&controller->ChannelMutex);
}

// What went out on it cannot be answered any more.
static void LoseChannel(void *context, HvChannel *channel)
{
    StorageController *controller = context;
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    for (uint32_t i = 1; i < controller->ChannelCount; i++) {
        if (controller->Channels[i] == channel) {
            controller->Channels[i] = controller->Channels[--controller->ChannelCount];
            if (!HvIsGone(controller->Channel))
                Die(controller, "has lost a channel");
            break;
        }
    }
    KeReleaseSpinLock(&controller->Lock, old);
    KeAcquireMutex(&controller->ChannelMutex);
    HvCloseChannel(channel);
    KeReleaseMutex(&controller->ChannelMutex);
}

// ---- start and end

static void CloseChannels(StorageController *controller)
{
    KeAcquireMutex(&controller->ChannelMutex);
    for (uint32_t i = controller->ChannelCount; i-- > 0;)
        HvCloseChannel(controller->Channels[i]);
    KeReleaseMutex(&controller->ChannelMutex);
    FailEverything(controller);
}

static void ControllerThread(void *context)
{
    StorageController *controller = context;
    bool closed = false;
    while (KeWaitForObject(&controller->Work, KernelWait, KE_INFINITE) == StatusSuccess) {
        if (controller->End)
            break;
        if (controller->Dead && !closed) {
            closed = true;
            CloseChannels(controller);
        } else if (!controller->Dead && controller->Look) {
            controller->Look = false;
            StorageScan(controller);
        }
    }
    KeSetEvent(&controller->Ended);
}

void StorageDereference(StorageController *controller)
{
    if (__atomic_sub_fetch(&controller->References, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    MmFreeHeap(controller->Slots);
    if (controller->Page)
        MmFreePage(MmVirtualToPhysical(controller->Page));
    MmFreeHeap(controller);
}

static StorageController *Allocate(HvChannel *channel)
{
    StorageController *controller = MmAllocateHeap(sizeof(*controller), TAG_STORAGE);
    if (!controller)
        return nullptr;
    PhysicalAddress page;
    controller->References = 1;
    controller->Channel = controller->Channels[0] = channel;
    controller->ChannelCount = 1;
    controller->Slots = MmAllocateHeap(STORAGE_SLOTS * sizeof(StorageSlot), TAG_STORAGE);
    if (MmAllocatePage(PageDevice, true, &page) == StatusSuccess)
        controller->Page = MmPhysicalToVirtual(page);
    if (!controller->Slots || !controller->Page) {
        StorageDereference(controller);
        return nullptr;
    }
    while (controller->FreeCount < STORAGE_SLOTS) {
        controller->FreeSlots[controller->FreeCount] = STORAGE_SLOTS - 1 - controller->FreeCount;
        controller->FreeCount++;
    }
    KeInitializeSpinLock(&controller->Lock, LockRankDevice, "hyperv disks");
    RtlInitializeList(&controller->Queue);
    RtlInitializeList(&controller->Units);
    KeInitializeTimer(&controller->Timer, false);
    KeInitializeDpc(&controller->TimerDpc, Watch, controller);
    KeInitializeEvent(&controller->Answered, true, false);
    KeInitializeMutex(&controller->ChannelMutex, LockRankDevice - 2);
    KeInitializeEvent(&controller->Work, false, false);
    KeInitializeEvent(&controller->Ended, true, false);
    return controller;
}

static Status Start(StorageController *controller)
{
    uint32_t extra = RTL_MIN(KeGetProcessorCount() - 1, STORAGE_CHANNELS);
    SynMessage request;
    SynStartStorage(&controller->Protocol, (uint16_t)extra, &request);
    Status status = OpenChannel(controller, controller->Channel, 0);
    if (status == StatusSuccess)
        status = HvSend(controller->Channel, request.Bytes, request.Size, 0, true);
    if (status == StatusSuccess)
        status = HvWait(controller->Channel, &controller->Answered, PATIENCE);
    if (status == StatusSuccess && !controller->Ready)
        status = StatusIoError;
    if (status != StatusSuccess)
        return status;
    controller->Protocol.MaximumTransfer =
        RTL_MIN(controller->Protocol.MaximumTransfer, STORAGE_MAXIMUM_TRANSFER);
    StorageScan(controller);
    status = PsCreateSystemThread("hyperv disks", KePrioritySystem, ControllerThread, controller);
    if (status == StatusSuccess && (controller->Look || controller->Dead))
        KeSetEvent(&controller->Work);
    return status;
}

// Nothing calls or waits for the controller afterwards; its thread has ended or never was.
static void Stop(StorageController *controller)
{
    CloseChannels(controller);
    for (bool armed = true; armed;) { // the timer's DPC may be about to run
        KIrql old = KeAcquireSpinLock(&controller->Lock);
        if (controller->TimerArmed && KeCancelTimer(&controller->Timer))
            controller->TimerArmed = false;
        armed = controller->TimerArmed;
        KeReleaseSpinLock(&controller->Lock, old);
        if (armed)
            (void)!KeDelay(KernelWait, SECOND / 1000);
    }
    StorageRemoveUnits(controller);
    StorageDereference(controller);
}

static void BeginStop(StorageController *controller)
{
    KIrql old = KeAcquireSpinLock(&controller->Lock);
    Die(controller, nullptr);
    controller->End = true;
    KeReleaseSpinLock(&controller->Lock, old);
}

static Status Probe(IoDevice *device)
{
    HvChannel *channel = HvGetChannel(device);
    if (!HvIsClass(channel, &VmbusClassScsi))
        return StatusNotSupported;
    StorageController *controller = Allocate(channel);
    if (!controller)
        return StatusNoMemory;
    Status status = Start(controller);
    if (status != StatusSuccess) {
        BeginStop(controller);
        Stop(controller);
        return status;
    }
    device->DriverData = controller;
    return StatusSuccess;
}

static void Remove(IoDevice *device)
{
    StorageController *controller = device->DriverData;
    BeginStop(controller);
    KeSetEvent(&controller->Work);
    // The thread's own waits are bounded.
    while (KeWaitForObject(&controller->Ended, KernelWait, KE_INFINITE) != StatusSuccess) {}
    Stop(controller);
}

const IoDriver HvStorageDriver = {
    .Name = "hyperv disks", .Bus = IoBusVmbus, .Probe = Probe, .Remove = Remove};
