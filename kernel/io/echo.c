// echo.c - ARP (RFC 826) and ICMP echo (RFC 792) over IPv4 (RFC 791), as much as an exchange takes.
// SPDX-License-Identifier: MIT
#include "echo.h"

enum {
    EthernetSize = 14,
    TypeArp = 0x0806,
    TypeIp = 0x0800,
    ArpSize = 28,
    ArpRequest = 1,
    ArpReply = 2,
    IpSize = 20,
    IcmpSize = 8,
    EchoData = 56,
    EchoReply = 0,
    EchoRequest = 8,
    ProtocolIcmp = 1,
    TimeToLive = 64,
    Identifier = 0x4D4F,
    SmallestFrame = 60,
};
static_assert(EthernetSize + IpSize + IcmpSize + EchoData == IOP_ECHO_FRAME);

static void Put(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t Get(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

// The complement of the sum of 16-bit words, RFC 1071; over data with its checksum: 0.
static uint32_t Checksum(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < size; i += 2)
        sum += Get(bytes + i);
    if (size & 1)
        sum += (uint32_t)bytes[size - 1] << 8;
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return ~sum & 0xFFFF;
}

void IopStartEcho(IopEcho *echo, const uint8_t hardware[6], const uint8_t address[4],
                  const uint8_t theirs[4])
{
    *echo = (IopEcho){};
    memcpy(echo->OurHardware, hardware, sizeof(echo->OurHardware));
    memcpy(echo->OurAddress, address, sizeof(echo->OurAddress));
    memcpy(echo->TheirAddress, theirs, sizeof(echo->TheirAddress));
}

static size_t BuildQuestion(const IopEcho *echo, uint8_t *frame)
{
    uint8_t *arp = frame + EthernetSize;
    memset(frame, 0xFF, 6);
    Put(frame + 12, TypeArp);
    Put(arp, 1); // Ethernet
    Put(arp + 2, TypeIp);
    arp[4] = 6;
    arp[5] = 4;
    Put(arp + 6, ArpRequest);
    memcpy(arp + 8, echo->OurHardware, 6);
    memcpy(arp + 14, echo->OurAddress, 4);
    memcpy(arp + 24, echo->TheirAddress, 4);
    return SmallestFrame;
}

static size_t BuildRequest(IopEcho *echo, uint8_t *frame)
{
    uint8_t *ip = frame + EthernetSize, *icmp = ip + IpSize;
    memcpy(frame, echo->TheirHardware, 6);
    Put(frame + 12, TypeIp);
    ip[0] = 0x45; // version 4, five words
    Put(ip + 2, IpSize + IcmpSize + EchoData);
    ip[8] = TimeToLive;
    ip[9] = ProtocolIcmp;
    memcpy(ip + 12, echo->OurAddress, 4);
    memcpy(ip + 16, echo->TheirAddress, 4);
    Put(ip + 10, Checksum(ip, IpSize));
    icmp[0] = EchoRequest;
    Put(icmp + 4, Identifier);
    Put(icmp + 6, ++echo->Sequence);
    for (uint32_t i = 0; i < EchoData; i++)
        icmp[IcmpSize + i] = (uint8_t)i;
    Put(icmp + 2, Checksum(icmp, IcmpSize + EchoData));
    return IOP_ECHO_FRAME;
}

size_t IopBuildEchoFrame(IopEcho *echo, uint8_t frame[IOP_ECHO_FRAME])
{
    memset(frame, 0, IOP_ECHO_FRAME);
    size_t size =
        echo->State == EchoAsking ? BuildQuestion(echo, frame) : BuildRequest(echo, frame);
    memcpy(frame + 6, echo->OurHardware, 6);
    return size;
}

static bool IsOurReply(const IopEcho *echo, const uint8_t *arp, size_t size)
{
    return size >= ArpSize && Get(arp) == 1 && Get(arp + 2) == TypeIp && arp[4] == 6 &&
           arp[5] == 4 && Get(arp + 6) == ArpReply &&
           memcmp(arp + 14, echo->TheirAddress, 4) == 0 &&
           memcmp(arp + 24, echo->OurAddress, 4) == 0;
}

static bool IsOurEcho(const IopEcho *echo, const uint8_t *ip, size_t size)
{
    if (size < IpSize || ip[0] != 0x45 || ip[9] != ProtocolIcmp)
        return false;
    size_t total = Get(ip + 2);
    const uint8_t *icmp = ip + IpSize;
    return total == IpSize + IcmpSize + EchoData && total <= size && Checksum(ip, IpSize) == 0 &&
           memcmp(ip + 12, echo->TheirAddress, 4) == 0 &&
           memcmp(ip + 16, echo->OurAddress, 4) == 0 && icmp[0] == EchoReply &&
           Checksum(icmp, IcmpSize + EchoData) == 0 && Get(icmp + 4) == Identifier &&
           Get(icmp + 6) == echo->Sequence && icmp[IcmpSize + EchoData - 1] == EchoData - 1;
}

bool IopTakeEchoFrame(IopEcho *echo, const void *frame, size_t size)
{
    const uint8_t *bytes = frame;
    if (size < EthernetSize || memcmp(bytes, echo->OurHardware, 6) != 0)
        return false;
    uint32_t type = Get(bytes + 12);
    bytes += EthernetSize;
    size -= EthernetSize;
    if (echo->State == EchoAsking && type == TypeArp && IsOurReply(echo, bytes, size)) {
        memcpy(echo->TheirHardware, bytes + 8, 6);
        echo->State = EchoSending;
        return true;
    }
    if (echo->State == EchoSending && type == TypeIp && IsOurEcho(echo, bytes, size)) {
        echo->State = EchoAnswered;
        return true;
    }
    return false;
}
