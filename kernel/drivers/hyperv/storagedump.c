// storagedump.c - writing to a synthetic disk while the machine stands still.
//
// Nothing of the driver's state is believed but what was copied here when the dump was prepared:
// the channel, the unit's address, how requests look. The bus gives the channel over with its locks
// broken; answers to what was under way before are told from ours by their ids. One command at a
// time, polled, as large as the host takes; every wait is bounded.
// SPDX-License-Identifier: MIT
#include "storage.h"

#define MICROSECOND 1000ull
#define POLL        (10 * MICROSECOND)
#define WRITE_POLLS 1000000u // ten seconds
#define FLUSH_POLLS 6000000u
#define ROOM_POLLS  100000u
#define FIRST_ID    0x64756D7000000000ull

static struct {
    HvChannel *Channel;
    SynStorage Protocol;
    SynUnit Address;
    uint32_t SectorSize, MaximumTransfer;
    uint64_t Id; // of the command under way
    uint32_t Bytes;
    bool Done;
    SynCompletion Completion;
    uint64_t Frames[STORAGE_MAXIMUM_TRANSFER / PAGE_SIZE + 1];
} Dump;

static void Receive(void *context, const HvPacket *packet)
{
    if (packet->Type == VmbusCompletion && packet->TransactionId == Dump.Id)
        Dump.Done = SynReadCompletion(&Dump.Protocol, packet->Data, packet->Size, Dump.Bytes,
                                      &Dump.Completion);
}

static bool Start(void)
{
    static const HvHandlers handlers = {.Receive = Receive};
    Dump.Id = FIRST_ID;
    HvTakeOver(Dump.Channel, &handlers, nullptr);
    return !HvIsGone(Dump.Channel);
}

static Status Send(const SynCommand *command, const HvRange *range)
{
    uint8_t packet[SYN_STORAGE_PACKET_SIZE];
    SynBuildCommand(&Dump.Protocol, command, packet);
    return range ? HvSendRanges(Dump.Channel, range, 1, packet, Dump.Protocol.RequestSize, Dump.Id)
                 : HvSend(Dump.Channel, packet, Dump.Protocol.RequestSize, Dump.Id, true);
}

static bool RunCommand(const SynCommand *command, const HvRange *range, uint32_t polls)
{
    Dump.Id++;
    Dump.Done = false;
    Dump.Bytes = command->Bytes;
    Status status = Send(command, range);
    for (uint32_t i = 0; status == StatusWouldBlock && i < ROOM_POLLS; i++) {
        HvPoll(Dump.Channel);
        HalStallNanoseconds(POLL);
        status = Send(command, range);
    }
    if (status != StatusSuccess)
        return false;
    for (uint32_t i = 0; !Dump.Done; i++) {
        HvPoll(Dump.Channel);
        if (i == polls)
            return false;
        if (!Dump.Done)
            HalStallNanoseconds(POLL);
    }
    return Dump.Completion.Outcome == SynGood && Dump.Completion.Bytes == command->Bytes;
}

// Once more when the unit had something to say first.
static bool RunTwice(const SynCommand *command, const HvRange *range, uint32_t polls)
{
    if (RunCommand(command, range, polls))
        return true;
    return Dump.Done && Dump.Completion.Outcome == SynCheckCondition &&
           Dump.Completion.SenseKey == SynSenseUnitAttention && RunCommand(command, range, polls);
}

static bool WritePages(uint64_t sector, uint32_t bytes, uint32_t offset)
{
    SynCommand command;
    HvRange range = {.Bytes = bytes, .Offset = offset, .Frames = Dump.Frames};
    SynBuildTransfer(&command, Dump.Address, true, sector, bytes / Dump.SectorSize,
                     Dump.SectorSize);
    return RunTwice(&command, &range, WRITE_POLLS);
}

// The segments in pieces that are one range each: it ends where pages are not whole, and where it
// has become as large as a command may be.
static bool Write(uint64_t sector, const KdDumpSegment *segments, uint32_t count, uint32_t sectors)
{
    uint32_t bytes = 0, frames = 0, offset = 0;
    uint64_t left = (uint64_t)sectors * Dump.SectorSize;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t at = segments[i].Physical, end = at + RTL_MIN(segments[i].Size, left);
        left -= end - at;
        while (at < end) {
            uint32_t part = (uint32_t)RTL_MIN(end - at, PAGE_SIZE - at % PAGE_SIZE);
            bool joins = bytes == 0 || (at % PAGE_SIZE == 0 && (offset + bytes) % PAGE_SIZE == 0);
            if (bytes != 0 && (!joins || bytes + part > Dump.MaximumTransfer)) {
                if (bytes % Dump.SectorSize != 0 || !WritePages(sector, bytes, offset))
                    return false;
                sector += bytes / Dump.SectorSize;
                bytes = frames = 0;
            }
            if (bytes == 0)
                offset = (uint32_t)(at % PAGE_SIZE);
            Dump.Frames[frames++] = at / PAGE_SIZE;
            bytes += part;
            at += part;
        }
    }
    return left == 0 &&
           (bytes == 0 || (bytes % Dump.SectorSize == 0 && WritePages(sector, bytes, offset)));
}

static bool Flush(void)
{
    SynCommand command;
    SynBuildFlush(&command, Dump.Address);
    return RunTwice(&command, nullptr, FLUSH_POLLS);
}

Status StoragePrepareDump(IoBlockDevice *device, KdDumpDevice *dump)
{
    StorageUnit *unit = device->Context;
    Dump.Channel = unit->Controller->Channel;
    Dump.Protocol = unit->Controller->Protocol;
    Dump.Address = unit->Address;
    Dump.SectorSize = device->SectorSize;
    Dump.MaximumTransfer = device->MaximumTransfer;
    *dump = (KdDumpDevice){Start, Write, Flush, device->SectorSize};
    return StatusSuccess;
}
