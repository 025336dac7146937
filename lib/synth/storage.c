// storage.c - the synthetic SCSI controller.
//
// A packet is {operation, flags, status} and a body. The controller is started by a fixed row of
// requests: begin, version (until one is accepted), properties, further channels if both sides know
// them, end. Then each command goes in a request block that names the unit, the descriptor block
// and the number of bytes; the answer is the same block with its outcome.
// SPDX-License-Identifier: MIT
#include "wire.h"

enum {
    CompleteIo = 1,
    RemoveDevice = 2,
    ExecuteCommand = 3,
    BeginInitialization = 7,
    EndInitialization = 8,
    QueryVersion = 9,
    QueryProperties = 10,
    EnumerateBus = 11,
    CreateSubChannels = 13,
    CompletionWanted = 1,
    MultiChannel = 1, // flag of the properties
    HeaderSize = 12,
    BlockSize = 0x34,
    OldBlockSize = 0x24, // before 5.1
    SenseSize = 20,
};
#define VERSION(major, minor) ((uint16_t)((major) << 8 | (minor)))
static constexpr uint16_t versions[] = {VERSION(6, 2), VERSION(6, 0), VERSION(5, 1), VERSION(4, 2),
                                        VERSION(2, 0)};
static constexpr uint16_t firstWithLongBlock = VERSION(5, 1);
static constexpr uint32_t plainTransfer = 0x40000; // bytes, where the host does not say

// Offsets in a request block.
enum {
    BlockLength = 0,
    BlockStatus = 2,
    BlockScsiStatus = 3,
    BlockPath = 5,
    BlockTarget = 6,
    BlockLun = 7,
    BlockCommandLength = 8,
    BlockSenseLength = 9,
    BlockDirection = 10,
    BlockBytes = 12,
    BlockCommand = 16,
    BlockSense = 16, // in the answer
    BlockFlags = 40,
    BlockTimeout = 44,
};
enum { DisableSynchronous = 0x08, DataIn = 0x40, DataOut = 0x80 }; // BlockFlags

static void BeginRequest(SynMessage *request, uint32_t operation)
{
    *request = (SynMessage){.Size = SYN_STORAGE_PACKET_SIZE};
    SyniPut32(request->Bytes, operation);
    SyniPut32(request->Bytes + 4, CompletionWanted);
}

static void AskVersion(SynStorage *storage, SynMessage *request)
{
    storage->State = SynStorageAskingVersion;
    BeginRequest(request, QueryVersion);
    SyniPut16(request->Bytes + HeaderSize, versions[storage->VersionIndex]);
}

static void End(SynStorage *storage, SynMessage *request)
{
    storage->State = SynStorageEnding;
    BeginRequest(request, EndInitialization);
}

void SynStartStorage(SynStorage *storage, uint16_t channels, SynMessage *request)
{
    *storage = (SynStorage){.State = SynStorageBeginning, .WantedChannels = channels};
    BeginRequest(request, BeginInitialization);
}

static SynVerdict TakeVersion(SynStorage *storage, bool accepted, SynMessage *request)
{
    if (!accepted) {
        if (storage->VersionIndex + 1 == RTL_COUNT_OF(versions))
            return SynRefused;
        storage->VersionIndex++;
        AskVersion(storage, request);
        return SynNothing;
    }
    storage->Version = versions[storage->VersionIndex];
    storage->RequestSize =
        HeaderSize + (storage->Version >= firstWithLongBlock ? BlockSize : OldBlockSize);
    storage->State = SynStorageAskingProperties;
    BeginRequest(request, QueryProperties);
    return SynNothing;
}

static SynVerdict TakeProperties(SynStorage *storage, const uint8_t *body, SynMessage *request)
{
    uint16_t maximum = SyniGet16(body + 4);
    uint32_t flags = SyniGet32(body + 8), transfer = SyniGet32(body + 12);
    if (transfer == 0)
        transfer = plainTransfer;
    if (transfer < 0x1000)
        return SynBroken;
    storage->MaximumTransfer = transfer & ~0xFFFu;
    bool several = flags & MultiChannel && storage->Version >= firstWithLongBlock;
    storage->Channels = several ? RTL_MIN(maximum, storage->WantedChannels) : 0;
    if (storage->Channels == 0) {
        End(storage, request);
        return SynNothing;
    }
    storage->State = SynStorageCreatingChannels;
    BeginRequest(request, CreateSubChannels);
    SyniPut16(request->Bytes + HeaderSize, storage->Channels);
    return SynNothing;
}

SynVerdict SynReceiveStorageAnswer(SynStorage *storage, const void *packet, size_t size,
                                   SynMessage *request)
{
    const uint8_t *bytes = packet;
    request->Size = 0;
    if (size < SYN_STORAGE_PACKET_SIZE || SyniGet32(bytes) != CompleteIo)
        return SynBroken;
    bool accepted = SyniGet32(bytes + 8) == 0;
    switch (storage->State) {
    case SynStorageAskingVersion:
        return TakeVersion(storage, accepted, request);
    case SynStorageCreatingChannels: // without them it goes as well
        storage->Channels = accepted ? storage->Channels : 0;
        End(storage, request);
        return SynNothing;
    default:
        break;
    }
    if (!accepted)
        return SynRefused;
    switch (storage->State) {
    case SynStorageBeginning:
        AskVersion(storage, request);
        return SynNothing;
    case SynStorageAskingProperties:
        return TakeProperties(storage, bytes + HeaderSize, request);
    case SynStorageEnding:
        storage->State = SynStorageReady;
        return SynReady;
    default:
        return SynBroken;
    }
}

SynVerdict SynReceiveStorageNotice(const void *packet, size_t size)
{
    if (size < HeaderSize)
        return SynBroken;
    uint32_t operation = SyniGet32(packet);
    return operation == EnumerateBus || operation == RemoveDevice ? SynEvent : SynNothing;
}

// ---- commands

void SynBuildCommand(const SynStorage *storage, const SynCommand *command,
                     uint8_t packet[SYN_STORAGE_PACKET_SIZE])
{
    static constexpr uint32_t flags[] = {
        [SynToDevice] = DataOut, [SynFromDevice] = DataIn, [SynNoData] = 0};
    memset(packet, 0, SYN_STORAGE_PACKET_SIZE);
    uint8_t *block = packet + HeaderSize;
    SyniPut32(packet, ExecuteCommand);
    SyniPut32(packet + 4, CompletionWanted);
    SyniPut16(block + BlockLength, (uint16_t)(storage->RequestSize - HeaderSize));
    block[BlockPath] = command->Unit.Path;
    block[BlockTarget] = command->Unit.Target;
    block[BlockLun] = command->Unit.Lun;
    block[BlockCommandLength] = command->Length;
    block[BlockSenseLength] = SenseSize;
    block[BlockDirection] = command->Direction;
    SyniPut32(block + BlockBytes, command->Bytes);
    memcpy(block + BlockCommand, command->Block, sizeof(command->Block));
    if (storage->RequestSize == SYN_STORAGE_PACKET_SIZE) {
        SyniPut32(block + BlockFlags, DisableSynchronous | flags[command->Direction]);
        SyniPut32(block + BlockTimeout, command->Seconds);
    }
}

// Fixed or descriptor format, SPC-3, 4.5.
static void ReadSense(const uint8_t *sense, size_t size, SynCompletion *completion)
{
    uint8_t format = sense[0] & 0x7F;
    if ((format == 0x70 || format == 0x71) && size >= 14) {
        completion->SenseKey = sense[2] & 15;
        completion->SenseCode = sense[12];
        completion->SenseQualifier = sense[13];
    } else if ((format == 0x72 || format == 0x73) && size >= 4) {
        completion->SenseKey = sense[1] & 15;
        completion->SenseCode = sense[2];
        completion->SenseQualifier = sense[3];
    }
}

static SynOutcome OutcomeOf(uint8_t status, uint8_t scsiStatus)
{
    enum { CheckCondition = 2, Busy = 8, TaskSetFull = 0x28 };
    if (scsiStatus == CheckCondition && status != 0x20)
        return SynCheckCondition;
    if (scsiStatus == Busy || scsiStatus == TaskSetFull)
        return SynBusy;
    switch (status) {
    case 0x01: // success
    case 0x12: // less or more data than asked for
        return scsiStatus == 0 ? SynGood : SynFailed;
    case 0x05:
        return SynBusy;
    case 0x08: // no device
    case 0x0A: // selection timeout
    case 0x20: // no such unit
    case 0x21: // no such target
        return SynUnitAbsent;
    default:
        return SynFailed;
    }
}

bool SynReadCompletion(const SynStorage *storage, const void *packet, size_t size, uint32_t bytes,
                       SynCompletion *completion)
{
    enum { StatusMask = 0x3F, SenseValid = 0x80 };
    const uint8_t *data = packet, *block = data + HeaderSize;
    if (size < storage->RequestSize || SyniGet32(data) != CompleteIo)
        return false;
    uint8_t status = block[BlockStatus];
    *completion = (SynCompletion){
        .Outcome = OutcomeOf(status & StatusMask, block[BlockScsiStatus]),
        .Bytes = RTL_MIN(SyniGet32(block + BlockBytes), bytes),
    };
    if (status & SenseValid && completion->Outcome == SynCheckCondition)
        ReadSense(block + BlockSense, RTL_MIN(block[BlockSenseLength], SenseSize), completion);
    return true;
}

// ---- SCSI

static void Put16BigEndian(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static void Put32BigEndian(uint8_t *at, uint32_t value)
{
    SyniPut32(at, __builtin_bswap32(value));
}
static void Put64BigEndian(uint8_t *at, uint64_t value)
{
    SyniPut64(at, __builtin_bswap64(value));
}
static uint32_t Get32BigEndian(const uint8_t *at)
{
    return __builtin_bswap32(SyniGet32(at));
}

enum { QuickSeconds = 10, TransferSeconds = 30, FlushSeconds = 60 };

static SynCommand Begin(SynUnit unit, uint8_t code, uint8_t length, SynDirection direction,
                        uint32_t bytes, uint32_t seconds)
{
    return (SynCommand){.Unit = unit,
                        .Direction = direction,
                        .Length = length,
                        .Block = {code},
                        .Bytes = bytes,
                        .Seconds = seconds};
}

void SynBuildInquiry(SynCommand *command, SynUnit unit, uint32_t bytes)
{
    *command = Begin(unit, 0x12, 6, SynFromDevice, bytes, QuickSeconds);
    Put16BigEndian(command->Block + 3, (uint16_t)bytes);
}

void SynBuildUnitReady(SynCommand *command, SynUnit unit)
{
    *command = Begin(unit, 0x00, 6, SynNoData, 0, QuickSeconds);
}

void SynBuildReportLuns(SynCommand *command, SynUnit unit, uint32_t bytes)
{
    *command = Begin(unit, 0xA0, 12, SynFromDevice, bytes, QuickSeconds);
    Put32BigEndian(command->Block + 6, bytes);
}

void SynBuildReadCapacity(SynCommand *command, SynUnit unit, bool sixteen)
{
    if (!sixteen) {
        *command = Begin(unit, 0x25, 10, SynFromDevice, 8, QuickSeconds);
        return;
    }
    *command = Begin(unit, 0x9E, 16, SynFromDevice, 32, QuickSeconds);
    command->Block[1] = 0x10; // the service action
    Put32BigEndian(command->Block + 10, 32);
}

void SynBuildModeSense(SynCommand *command, SynUnit unit)
{
    *command = Begin(unit, 0x5A, 10, SynFromDevice, SYN_MODE_SENSE_SIZE, QuickSeconds);
    command->Block[1] = 0x08; // no block descriptors
    command->Block[2] = 0x3F; // all pages
    Put16BigEndian(command->Block + 7, SYN_MODE_SENSE_SIZE);
}

void SynBuildTransfer(SynCommand *command, SynUnit unit, bool write, uint64_t sector,
                      uint32_t sectors, uint32_t sectorSize)
{
    bool wide = sector + sectors > UINT32_MAX || sectors > UINT16_MAX;
    uint8_t code = wide ? (write ? 0x8A : 0x88) : (write ? 0x2A : 0x28);
    *command = Begin(unit, code, wide ? 16 : 10, write ? SynToDevice : SynFromDevice,
                     sectors * sectorSize, TransferSeconds);
    if (wide) {
        Put64BigEndian(command->Block + 2, sector);
        Put32BigEndian(command->Block + 10, sectors);
    } else {
        Put32BigEndian(command->Block + 2, (uint32_t)sector);
        Put16BigEndian(command->Block + 7, (uint16_t)sectors);
    }
}

void SynBuildFlush(SynCommand *command, SynUnit unit)
{
    *command = Begin(unit, 0x35, 10, SynNoData, 0, FlushSeconds);
}

void SynBuildUnmap(SynCommand *command, SynUnit unit, uint64_t sector, uint32_t sectors,
                   uint8_t list[SYN_UNMAP_SIZE])
{
    *command = Begin(unit, 0x42, 10, SynToDevice, SYN_UNMAP_SIZE, TransferSeconds);
    Put16BigEndian(command->Block + 7, SYN_UNMAP_SIZE);
    memset(list, 0, SYN_UNMAP_SIZE);
    Put16BigEndian(list, SYN_UNMAP_SIZE - 2);
    Put16BigEndian(list + 2, SYN_UNMAP_SIZE - 8);
    Put64BigEndian(list + 8, sector);
    Put32BigEndian(list + 16, sectors);
}

bool SynReadInquiry(const void *data, size_t size, SynInquiry *inquiry)
{
    const uint8_t *bytes = data;
    if (size < SYN_INQUIRY_SIZE)
        return false;
    *inquiry = (SynInquiry){.Present = bytes[0] >> 5 == 0, .Type = bytes[0] & 31};
    size_t used = 0;
    for (size_t i = 8; i < 32; i++) { // vendor and product, padded by spaces
        bool space = bytes[i] <= ' ' || bytes[i] > '~';
        if (!space)
            inquiry->Name[used++] = (char)bytes[i];
        else if (used > 0 && inquiry->Name[used - 1] != ' ')
            inquiry->Name[used++] = ' ';
    }
    if (used > 0 && inquiry->Name[used - 1] == ' ')
        used--;
    inquiry->Name[used] = '\0';
    return true;
}

bool SynReadLuns(const void *data, size_t size, uint64_t *luns)
{
    const uint8_t *bytes = data;
    if (size < 8)
        return false;
    size_t listed = RTL_MIN(Get32BigEndian(bytes), size - 8) / 8;
    *luns = 0;
    for (size_t i = 0; i < listed; i++) {
        const uint8_t *lun = bytes + 8 + 8 * i;
        if ((lun[0] & 0xC0) == 0 && lun[1] < 64) // peripheral addressing, SPC-3 and SAM-3, 4.9
            *luns |= 1ull << lun[1];
    }
    return true;
}

bool SynReadCapacity(const void *data, size_t size, bool sixteen, SynCapacity *capacity)
{
    const uint8_t *bytes = data;
    if (size < (sixteen ? 32 : 8))
        return false;
    uint64_t last = sixteen ? __builtin_bswap64(SyniGet64(bytes)) : Get32BigEndian(bytes);
    if (last == UINT64_MAX)
        return false;
    *capacity = (SynCapacity){.Sectors = last + 1,
                              .SectorSize = Get32BigEndian(bytes + (sixteen ? 8 : 4)),
                              .Unmaps = sixteen && bytes[14] & 0x80};
    return true;
}

bool SynReadModeSense(const void *data, size_t size, bool *writeProtected)
{
    if (size < 8)
        return false;
    *writeProtected = ((const uint8_t *)data)[3] & 0x80;
    return true;
}
