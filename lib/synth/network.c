// network.c - the synthetic network adapter: NVSP, the outer of its two protocols.
//
// A row of messages of fixed order agrees on a version and shares two buffers: the host puts frames
// into sections of the receive buffer, the driver into sections of the send buffer. After that only
// RNDIS messages go either way, each in one or more sections, and each is answered when its
// sections may be used again.
// SPDX-License-Identifier: MIT
#include "wire.h"

enum {
    Init = 1,
    InitComplete = 2,
    NdisVersion = 100,
    ReceiveBuffer = 101,
    ReceiveBufferComplete = 102,
    RevokeReceiveBuffer = 103,
    SendBuffer = 104,
    SendBufferComplete = 105,
    RevokeSendBuffer = 106,
    RndisPacket = 107,
    RndisPacketComplete = 108,
    NdisConfig = 125,
    Success = 1,
    ReceiveBufferId = 0xCAFE,
    SendBufferId = 0,
    MaximumMtu = 9216 + 14,
    MinimumSection = 256,
};
static constexpr uint32_t versions[] = {0x60001, 0x60000, 0x50000, 0x40000, 0x30002, 2};
static constexpr uint32_t firstWithConfig = 0x30002, firstWithNdis6_30 = 0x50000,
                          firstWithLongMessages = 0x60001;

static uint32_t MessageSize(const SynNetwork *network)
{
    return network->Version >= firstWithLongMessages ? 40 : 32;
}

static void Begin(const SynNetwork *network, uint32_t type, SynMessage *message)
{
    *message = (SynMessage){.Size = MessageSize(network)};
    SyniPut32(message->Bytes, type);
}

static void AskVersion(SynNetwork *network, SynMessage *request)
{
    network->State = SynNetworkAskingVersion;
    network->Version = versions[network->VersionIndex];
    Begin(network, Init, request);
    SyniPut32(request->Bytes + 4, network->Version);
    SyniPut32(request->Bytes + 8, network->Version);
}

static void Configure(SynNetwork *network, SynMessage *request)
{
    network->State = SynNetworkConfiguring;
    Begin(network, NdisConfig, request);
    SyniPut32(request->Bytes + 4, SYN_FRAME_SIZE); // no capabilities beyond
}

static void TellNdis(SynNetwork *network, SynMessage *request)
{
    network->State = SynNetworkNdis;
    Begin(network, NdisVersion, request);
    SyniPut32(request->Bytes + 4, 6);
    SyniPut32(request->Bytes + 8, network->Version >= firstWithNdis6_30 ? 30 : 1);
}

static void TellBuffer(SynNetwork *network, bool send, SynMessage *request)
{
    network->State = send ? SynNetworkSendTold : SynNetworkReceiveTold;
    Begin(network, send ? SendBuffer : ReceiveBuffer, request);
    SyniPut32(request->Bytes + 4, send ? network->SendGpadl : network->ReceiveGpadl);
    SyniPut16(request->Bytes + 8, send ? SendBufferId : ReceiveBufferId);
}

void SynStartNetwork(SynNetwork *network, uint32_t receiveGpadl, uint32_t receiveSize,
                     uint32_t sendGpadl, uint32_t sendSize, SynMessage *request)
{
    *network = (SynNetwork){.ReceiveGpadl = receiveGpadl,
                            .SendGpadl = sendGpadl,
                            .ReceiveSize = receiveSize,
                            .SendSize = sendSize};
    AskVersion(network, request);
}

static SynVerdict TakeVersion(SynNetwork *network, const uint8_t *bytes, size_t size,
                              SynMessage *request)
{
    if (size < 16 || SyniGet32(bytes) != InitComplete)
        return SynBroken;
    if (SyniGet32(bytes + 12) != Success) {
        if (network->VersionIndex + 1 == RTL_COUNT_OF(versions))
            return SynRefused;
        network->VersionIndex++;
        AskVersion(network, request);
    } else if (network->Version >= firstWithConfig) {
        Configure(network, request);
    } else {
        TellNdis(network, request);
    }
    return SynNothing;
}

// {status, count, {offset, size, number, end} each}; only the first row of sections is used.
static SynVerdict TakeReceiveBuffer(SynNetwork *network, const uint8_t *bytes, size_t size,
                                    SynMessage *request)
{
    if (size < 12 || SyniGet32(bytes) != ReceiveBufferComplete)
        return SynBroken;
    if (SyniGet32(bytes + 4) != Success)
        return SynRefused;
    if (size < 28 || SyniGet32(bytes + 8) != 1)
        return SynBroken;
    uint32_t offset = SyniGet32(bytes + 12), section = SyniGet32(bytes + 16),
             count = SyniGet32(bytes + 20);
    if (section < MinimumSection || count == 0 || offset > network->ReceiveSize ||
        (uint64_t)section * count > network->ReceiveSize - offset)
        return SynBroken;
    TellBuffer(network, true, request);
    return SynNothing;
}

static SynVerdict TakeSendBuffer(SynNetwork *network, const uint8_t *bytes, size_t size)
{
    if (size < 12 || SyniGet32(bytes) != SendBufferComplete)
        return SynBroken;
    if (SyniGet32(bytes + 4) != Success)
        return SynRefused;
    uint32_t section = SyniGet32(bytes + 8);
    if (section < SYN_FRAME_HEADER_SIZE + SYN_FRAME_SIZE || section > network->SendSize)
        return SynBroken;
    network->SendSectionSize = section;
    network->SendSectionCount = network->SendSize / section;
    network->State = SynNetworkReady;
    return SynReady;
}

SynVerdict SynReceiveNetworkAnswer(SynNetwork *network, const void *packet, size_t size,
                                   SynMessage *request)
{
    request->Size = 0;
    switch (network->State) {
    case SynNetworkAskingVersion:
        return TakeVersion(network, packet, size, request);
    case SynNetworkConfiguring:
        TellNdis(network, request);
        return SynNothing;
    case SynNetworkNdis:
        TellBuffer(network, false, request);
        return SynNothing;
    case SynNetworkReceiveTold:
        return TakeReceiveBuffer(network, packet, size, request);
    case SynNetworkSendTold:
        return TakeSendBuffer(network, packet, size);
    default:
        return SynBroken;
    }
}

void SynBuildNetworkRevoke(const SynNetwork *network, bool send, SynMessage *message)
{
    Begin(network, send ? RevokeSendBuffer : RevokeReceiveBuffer, message);
    SyniPut16(message->Bytes + 4, send ? SendBufferId : ReceiveBufferId);
}

void SynBuildNetworkPacket(const SynNetwork *network, bool control, uint32_t section, uint32_t size,
                           SynMessage *message)
{
    Begin(network, RndisPacket, message);
    SyniPut32(message->Bytes + 4, control);
    SyniPut32(message->Bytes + 8, section);
    SyniPut32(message->Bytes + 12, size);
}

bool SynReadNetworkSent(const void *packet, size_t size, bool *success)
{
    if (size < 8 || SyniGet32(packet) != RndisPacketComplete)
        return false;
    *success = SyniGet32((const uint8_t *)packet + 4) == Success;
    return true;
}

bool SynReadNetworkReceived(const void *packet, size_t size, bool *control)
{
    if (size < 8 || SyniGet32(packet) != RndisPacket)
        return false;
    *control = SyniGet32((const uint8_t *)packet + 4) != 0;
    return true;
}

void SynBuildNetworkReturned(SynMessage *message)
{
    *message = (SynMessage){.Size = 8};
    SyniPut32(message->Bytes, RndisPacketComplete);
    SyniPut32(message->Bytes + 4, Success);
}
