// network.c - network adapters as things that send and receive Ethernet frames, and a test of them.
//
// Frames received go to the one listener there may be, in the adapter's DPC. Until a protocol stack
// listens, the echo test does: it asks by ARP who has an address, and sends that one an ICMP echo
// request; both answers must come. Its own address is the asked one with another last number, by
// agreement with whoever runs the test.
// SPDX-License-Identifier: MIT
#include "echo.h"
#include "iop.h"

#define SECOND   1000000000ull
#define PATIENCE (2 * SECOND)
#define ATTEMPTS 3u
#define OWN_BYTE 15u // the last number of our address in the test

static KSpinLock NetworkLock = KE_SPIN_LOCK_INIT(LockRankDevice - 1, "network devices");
static ListEntry NetworkDevices = {&NetworkDevices, &NetworkDevices}; // n
static uint32_t NetworkDeviceCount;                                   // n; ever
static IoFrameListener *Listener;                                     // n
// Legend: n NetworkLock, which is held while a listener is called: it does not change meanwhile.

Status IoRegisterNetworkDevice(IoNetworkDevice *device)
{
    if (device->MaximumFrame < IO_FRAME_HEADER)
        return StatusNotSupported;
    KIrql old = KeAcquireSpinLock(&NetworkLock);
    RtlFormat(device->Name, sizeof(device->Name), "net%u", NetworkDeviceCount++);
    device->Users = 0;
    RtlInsertTail(&NetworkDevices, &device->Link);
    KeReleaseSpinLock(&NetworkLock, old);
    const uint8_t *a = device->Address;
    KeLog(LogInfo, "io: %s: %02x:%02x:%02x:%02x:%02x:%02x, %u-byte frames, %llu Mbit/s, link %s",
          device->Name, a[0], a[1], a[2], a[3], a[4], a[5], device->MaximumFrame,
          (unsigned long long)device->LinkSpeed / 1000000, device->LinkUp ? "up" : "down");
    return StatusSuccess;
}

void IopTellNetworkCounters(KCounterSink *sink)
{
    typeof(((IoNetworkDevice *)nullptr)->Counters) sum = {};
    KIrql old = KeAcquireSpinLock(&NetworkLock);
    RTL_FOR_EACH (entry, &NetworkDevices) {
        const IoNetworkDevice *device = RTL_CONTAINER_OF(entry, IoNetworkDevice, Link);
        sum.FramesSent += device->Counters.FramesSent;
        sum.BytesSent += device->Counters.BytesSent;
        sum.SendErrors += device->Counters.SendErrors;
        sum.FramesReceived += device->Counters.FramesReceived;
        sum.BytesReceived += device->Counters.BytesReceived;
        sum.ReceiveErrors += device->Counters.ReceiveErrors;
    }
    KeReleaseSpinLock(&NetworkLock, old);
    KeTellCounter(sink, "frames sent", sum.FramesSent);
    KeTellCounter(sink, "bytes sent", sum.BytesSent);
    KeTellCounter(sink, "frames not sent", sum.SendErrors);
    KeTellCounter(sink, "frames received", sum.FramesReceived);
    KeTellCounter(sink, "bytes received", sum.BytesReceived);
    KeTellCounter(sink, "bad frames received", sum.ReceiveErrors);
}

void IoUnregisterNetworkDevice(IoNetworkDevice *device)
{
    KIrql old = KeAcquireSpinLock(&NetworkLock);
    RtlRemoveEntry(&device->Link);
    KeReleaseSpinLock(&NetworkLock, old);
    // Who has found it lets go of it soon: nobody keeps one while waiting.
    while (__atomic_load_n(&device->Users, __ATOMIC_ACQUIRE) != 0)
        (void)!KeDelay(KernelWait, SECOND / 1000);
}

IoNetworkDevice *IoFindNetworkDevice(size_t index)
{
    IoNetworkDevice *found = nullptr;
    KIrql old = KeAcquireSpinLock(&NetworkLock);
    RTL_FOR_EACH (entry, &NetworkDevices) {
        if (index-- == 0) {
            found = RTL_CONTAINER_OF(entry, IoNetworkDevice, Link);
            __atomic_add_fetch(&found->Users, 1, __ATOMIC_RELAXED);
            break;
        }
    }
    KeReleaseSpinLock(&NetworkLock, old);
    return found;
}

void IoReleaseNetworkDevice(IoNetworkDevice *device)
{
    __atomic_sub_fetch(&device->Users, 1, __ATOMIC_RELEASE);
}

Status IoSendFrame(IoNetworkDevice *device, const void *frame, size_t size, uint32_t checksums,
                   uint32_t transportOffset)
{
    if (size < IO_FRAME_HEADER || size > device->MaximumFrame ||
        (checksums & ~device->Checksums) != 0 || (checksums && transportOffset >= size))
        return StatusInvalidParameter;
    Status status = device->Send(device, frame, size, checksums, transportOffset);
    uint64_t *counter =
        status == StatusSuccess ? &device->Counters.FramesSent : &device->Counters.SendErrors;
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
    if (status == StatusSuccess)
        __atomic_add_fetch(&device->Counters.BytesSent, size, __ATOMIC_RELAXED);
    return status;
}

void IoDeliverFrame(IoNetworkDevice *device, const void *frame, size_t size, uint32_t checked)
{
    device->Counters.FramesReceived++;
    device->Counters.BytesReceived += size;
    KIrql old = KeAcquireSpinLock(&NetworkLock);
    if (Listener)
        Listener(device, frame, size, checked);
    KeReleaseSpinLock(&NetworkLock, old);
}

void IoListenToFrames(IoFrameListener *listener)
{
    KIrql old = KeAcquireSpinLock(&NetworkLock);
    Listener = listener;
    KeReleaseSpinLock(&NetworkLock, old);
}

// ---- the echo test

static struct {
    IopEcho Echo;
    KEvent Heard; // the state has gone on
} Test;

static void ListenForEcho(IoNetworkDevice *device, const void *frame, size_t size, uint32_t checked)
{
    if (IopTakeEchoFrame(&Test.Echo, frame, size))
        KeSetEvent(&Test.Heard);
}

// Sends the frame of the state it is in until that has gone on.
static Status Exchange(IoNetworkDevice *device)
{
    uint8_t frame[IOP_ECHO_FRAME];
    IopEchoState before = Test.Echo.State;
    for (uint32_t i = 0; i < ATTEMPTS && Test.Echo.State == before; i++) {
        size_t size = IopBuildEchoFrame(&Test.Echo, frame);
        Status status = IoSendFrame(device, frame, size, 0, 0);
        if (status != StatusSuccess)
            return status;
        if (KeWaitForObject(&Test.Heard, KernelWait, PATIENCE) == StatusSuccess)
            break;
    }
    return Test.Echo.State == before ? StatusTimeout : StatusSuccess;
}

Status IoTestNetwork(const uint8_t address[4])
{
    IoNetworkDevice *device = IoFindNetworkDevice(0);
    if (!device)
        return StatusNoSuchDevice;
    uint8_t own[4] = {address[0], address[1], address[2], OWN_BYTE};
    KeInitializeEvent(&Test.Heard, false, false);
    IopStartEcho(&Test.Echo, device->Address, own, address);
    IoListenToFrames(ListenForEcho);
    Status status = Exchange(device);
    uint64_t start = KeQueryTime();
    if (status == StatusSuccess)
        status = Exchange(device);
    uint64_t passed = KeQueryTime() - start;
    IoListenToFrames(nullptr);
    const uint8_t *a = Test.Echo.TheirHardware;
    KeLog(status == StatusSuccess ? LogInfo : LogWarning,
          "io: %s: %u.%u.%u.%u at %02x:%02x:%02x:%02x:%02x:%02x: %s in %llu us; frames: %llu sent, "
          "%llu received, errors: %llu, %llu",
          device->Name, address[0], address[1], address[2], address[3], a[0], a[1], a[2], a[3],
          a[4], a[5], status == StatusSuccess ? "echo" : "no echo",
          (unsigned long long)passed / 1000, (unsigned long long)device->Counters.FramesSent,
          (unsigned long long)device->Counters.FramesReceived,
          (unsigned long long)device->Counters.SendErrors,
          (unsigned long long)device->Counters.ReceiveErrors);
    IoReleaseNetworkDevice(device);
    return status;
}
