// integration.c - Hyper-V's integration services: the host shuts the machine down in good order,
// hears its heart beat, sets its clock, and asks what runs in it.
//
// The host speaks; each message is turned into its answer by lib/synth, sent back, and then acted
// on, all in the bus's DPC. There is at most one channel of each service. What breaks the protocol
// is dropped; a host may agree on versions anew at any time.
// SPDX-License-Identifier: MIT
#include "../drivers.h"

#include "MetalOS.h"
#include "hyperv.h"
#include "synth/synth.h"

#define TAG_SERVICE   MM_TAG('H', 'v', 'I', 'c')
#define RING_SIZE     32768u
#define LARGEST_DRIFT 1000000000ull // nanoseconds that the clock may be off before a sample sets it

typedef struct Service {
    HvChannel *Channel;
    SynIntegration Protocol;
    HvLogLimit MayLog;
    uint64_t Message[SYN_INTEGRATION_SIZE / 8]; // being answered
} Service;

static const struct {
    const VmbusGuid *Class;
    SynService Service;
    const char *Name;
} services[] = {
    {&VmbusClassShutdown, SynShutdownService, "shutdown"},
    {&VmbusClassHeartbeat, SynHeartbeatService, "heartbeat"},
    {&VmbusClassTimeSync, SynTimeService, "time"},
    {&VmbusClassKeyValue, SynKeyValueService, "key-value"},
};

// The names that Hyper-V's own tools show (Hyper-V data exchange).
static const SynKeyValue values[] = {
    {"OSName", "MetalOS"},
    {"OSVersion", "0.1"},
    {"ProcessorArchitecture", "9"}, // x86-64
    {"IntegrationServicesVersion", "3.0"},
};

static void SetClock(Service *service, const SynIntegrationEvent *event)
{
    uint64_t now = KeQuerySystemTime();
    uint64_t off = now > event->HostTime ? now - event->HostTime : event->HostTime - now;
    if (!event->Sync && off <= LARGEST_DRIFT)
        return;
    uint64_t boot = KeQueryTime();
    if (event->HostTime < boot)
        return;
    KeSetSystemTimeAtBoot(event->HostTime - boot);
    if (HvMayLog(&service->MayLog))
        KeLog(LogInfo, "hyperv: the host sets the clock by %llu ms",
              (unsigned long long)off / 1000000);
}

static void Act(Service *service, const SynIntegrationEvent *event)
{
    if (service->Protocol.Service == SynShutdownService) {
        if (HvMayLog(&service->MayLog))
            KeLog(LogInfo, "hyperv: the host asks for %s",
                  event->Restart ? "a restart" : "power off");
        IoRequestPower(event->Restart);
    } else if (service->Protocol.Service == SynTimeService) {
        SetClock(service, event);
    }
}

static void Receive(void *context, const HvPacket *packet)
{
    Service *service = context;
    uint32_t size, answered;
    const void *message = packet->Type == VmbusInBand ? HvGetPipeMessage(packet, &size) : nullptr;
    if (packet->Type != VmbusInBand)
        return;
    SynIntegrationEvent event;
    SynVerdict verdict = SynBroken;
    if (message && size <= sizeof(service->Message)) {
        memcpy(service->Message, message, size);
        verdict = SynServeIntegration(&service->Protocol, values, RTL_COUNT_OF(values),
                                      service->Message, size, &answered, &event);
    }
    // Who asks and does not read gets no answers.
    if (verdict != SynBroken && answered)
        (void)!HvSendPipe(service->Channel, service->Message, answered);
    if (verdict == SynEvent)
        Act(service, &event);
    if (verdict == SynBroken)
        HvRejectPacket(service->Channel);
    if (verdict == SynRefused && HvMayLog(&service->MayLog))
        KeLog(LogError, "hyperv: an integration service speaks no version of ours");
}

static Status Probe(IoDevice *device)
{
    static const HvHandlers handlers = {.Receive = Receive};
    HvChannel *channel = HvGetChannel(device);
    size_t kind = 0;
    while (kind < RTL_COUNT_OF(services) && !HvIsClass(channel, services[kind].Class))
        kind++;
    if (kind == RTL_COUNT_OF(services))
        return StatusNotSupported;
    Service *service = MmAllocateHeap(sizeof(*service), TAG_SERVICE);
    if (!service)
        return StatusNoMemory;
    service->Channel = channel;
    service->Protocol.Service = services[kind].Service;
    HvOpenParameters parameters = {.SendBytes = RING_SIZE,
                                   .ReceiveBytes = RING_SIZE,
                                   .Handlers = &handlers,
                                   .Context = service};
    Status status = HvOpenChannel(channel, &parameters);
    if (status != StatusSuccess) {
        HvCloseChannel(channel);
        MmFreeHeap(service);
        return status;
    }
    device->DriverData = service;
    return StatusSuccess;
}

static void Remove(IoDevice *device)
{
    Service *service = device->DriverData;
    HvCloseChannel(service->Channel);
    MmFreeHeap(service);
}

const IoDriver HvIntegrationDriver = {
    .Name = "hyperv integration", .Bus = IoBusVmbus, .Probe = Probe, .Remove = Remove};
