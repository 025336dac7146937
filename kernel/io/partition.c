// partition.c - GPT (UEFI specification, section 5.3) and MBR partition tables.
//
// The primary GPT header is in sector 1, the backup in the last one; whichever passes its checks
// first (signature, sizes, both CRCs, bounds) is believed as a whole. Nothing read here is trusted
// beyond that: an entry that does not lie inside the header's usable range is left out.
// SPDX-License-Identifier: MIT
#include "partition.h"

typedef struct GptHeader {
    uint64_t Signature;
    uint32_t Revision;
    uint32_t HeaderSize;
    uint32_t HeaderCrc32;
    uint32_t Reserved;
    uint64_t MyLba;
    uint64_t AlternateLba;
    uint64_t FirstUsableLba;
    uint64_t LastUsableLba;
    uint8_t DiskGuid[16];
    uint64_t PartitionEntryLba;
    uint32_t NumberOfPartitionEntries;
    uint32_t SizeOfPartitionEntry;
    uint32_t PartitionEntryArrayCrc32;
    uint32_t Padding; // of the C structure; the header has 92 bytes
} GptHeader;
static_assert(offsetof(GptHeader, PartitionEntryArrayCrc32) == 88, "UEFI specification, table 5.5");

typedef struct GptEntry {
    uint8_t PartitionTypeGuid[16];
    uint8_t UniquePartitionGuid[16];
    uint64_t StartingLba;
    uint64_t EndingLba;
    uint64_t Attributes;
    uint16_t PartitionName[36];
} GptEntry;
static_assert(sizeof(GptEntry) == 128, "UEFI specification, table 5.6");

#define GPT_SIGNATURE       0x5452415020494645ull // "EFI PART"
#define GPT_HEADER_BYTES    92u
#define GPT_MAXIMUM_ENTRIES 1024u // bounds the work; 128 are usual

#define MBR_TABLE     446
#define MBR_SIGNATURE 510

const uint8_t IopEfiSystemPartition[16] = {0x28, 0x73, 0x2A, 0xC1, 0x1F, 0xF8, 0xD2, 0x11,
                                           0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B};
const uint8_t IopBasicDataPartition[16] = {0xA2, 0xA0, 0xD0, 0xEB, 0xE5, 0xB9, 0x33, 0x44,
                                           0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7};

const uint8_t IopDumpPartition[16] = {0x6C, 0x74, 0x65, 0x4D, 0x53, 0x4F, 0x75, 0x44,
                                      0x6D, 0x70, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01};

static uint32_t Load32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static bool IsZero(const uint8_t *bytes, size_t size)
{
    while (size && !*bytes)
        bytes++, size--;
    return size == 0;
}

static bool ReadGptHeader(const IopDisk *disk, uint64_t lba, GptHeader *header)
{
    if (disk->Read(disk->Context, lba, disk->Scratch) != StatusSuccess)
        return false;
    memcpy(header, disk->Scratch, GPT_HEADER_BYTES);
    header->Padding = 0;
    if (header->Signature != GPT_SIGNATURE || header->MyLba != lba ||
        header->HeaderSize < GPT_HEADER_BYTES || header->HeaderSize > disk->SectorSize)
        return false;
    memset(disk->Scratch + offsetof(GptHeader, HeaderCrc32), 0, 4);
    if (RtlCrc32(0, disk->Scratch, header->HeaderSize) != header->HeaderCrc32)
        return false;
    uint32_t size = header->SizeOfPartitionEntry, entries = header->NumberOfPartitionEntries;
    if (size < sizeof(GptEntry) || size > disk->SectorSize || (size & (size - 1)) || !entries ||
        entries > GPT_MAXIMUM_ENTRIES)
        return false;
    uint64_t sectors = ((uint64_t)entries * size + disk->SectorSize - 1) / disk->SectorSize;
    return header->FirstUsableLba <= header->LastUsableLba &&
           header->LastUsableLba < disk->SectorCount && header->PartitionEntryLba >= 2 &&
           header->PartitionEntryLba < disk->SectorCount &&
           sectors <= disk->SectorCount - header->PartitionEntryLba;
}

// Two passes over the entries: one for the CRC, one for the content once it is known to be whole.
static bool ReadGptEntries(const IopDisk *disk, const GptHeader *header, IopPartition *partitions,
                           size_t capacity, size_t *count)
{
    uint32_t perSector = disk->SectorSize / header->SizeOfPartitionEntry;
    for (int pass = 0; pass < 2; pass++) {
        uint32_t crc = 0;
        size_t found = 0;
        for (uint32_t i = 0; i < header->NumberOfPartitionEntries; i++) {
            if (i % perSector == 0 &&
                disk->Read(disk->Context, header->PartitionEntryLba + i / perSector,
                           disk->Scratch) != StatusSuccess)
                return false;
            const uint8_t *at =
                disk->Scratch + (size_t)(i % perSector) * header->SizeOfPartitionEntry;
            if (pass == 0) {
                crc = RtlCrc32(crc, at, header->SizeOfPartitionEntry);
                continue;
            }
            GptEntry entry;
            memcpy(&entry, at, sizeof(entry));
            if (IsZero(entry.PartitionTypeGuid, 16) || entry.StartingLba > entry.EndingLba ||
                entry.StartingLba < header->FirstUsableLba ||
                entry.EndingLba > header->LastUsableLba || found == capacity)
                continue;
            IopPartition *partition = &partitions[found++];
            partition->FirstSector = entry.StartingLba;
            partition->SectorCount = entry.EndingLba - entry.StartingLba + 1;
            memcpy(partition->TypeGuid, entry.PartitionTypeGuid, 16);
            memcpy(partition->PartitionGuid, entry.UniquePartitionGuid, 16);
        }
        if (pass == 0 && crc != header->PartitionEntryArrayCrc32)
            return false;
        *count = found;
    }
    return true;
}

// A boot sector that begins with a jump and names FAT is a file system, not a partition table.
static bool LooksLikeFat(const uint8_t *sector)
{
    return (sector[0] == 0xEB || sector[0] == 0xE9) &&
           (memcmp(sector + 54, "FAT", 3) == 0 || memcmp(sector + 82, "FAT", 3) == 0);
}

static void ReadMbr(const IopDisk *disk, const uint8_t *sector, IopPartition *partitions,
                    size_t capacity, size_t *count)
{
    for (int i = 0; i < 4 && *count < capacity; i++) {
        const uint8_t *entry = sector + MBR_TABLE + 16 * i;
        uint64_t first = Load32(entry + 8), sectors = Load32(entry + 12);
        if (!entry[4] || !first || !sectors || first >= disk->SectorCount ||
            sectors > disk->SectorCount - first)
            continue;
        IopPartition *partition = &partitions[(*count)++];
        *partition = (IopPartition){.FirstSector = first, .SectorCount = sectors};
        memcpy(partition->TypeGuid,
               entry[4] == 0xEF ? IopEfiSystemPartition : IopBasicDataPartition, 16);
    }
}

Status IopReadPartitions(const IopDisk *disk, IopPartition *partitions, size_t capacity,
                         size_t *count)
{
    *count = 0;
    if (!capacity || !disk->SectorCount)
        return StatusInvalidParameter;
    GptHeader header;
    if (disk->SectorCount > 2) {
        if (ReadGptHeader(disk, 1, &header) &&
            ReadGptEntries(disk, &header, partitions, capacity, count))
            return StatusSuccess;
        if (ReadGptHeader(disk, disk->SectorCount - 1, &header) &&
            ReadGptEntries(disk, &header, partitions, capacity, count))
            return StatusSuccess;
    }
    *count = 0;
    Status status = disk->Read(disk->Context, 0, disk->Scratch);
    if (status != StatusSuccess)
        return status;
    const uint8_t *sector = disk->Scratch;
    if (sector[MBR_SIGNATURE] == 0x55 && sector[MBR_SIGNATURE + 1] == 0xAA &&
        !LooksLikeFat(sector)) {
        for (int i = 0; i < 4; i++) {
            if (sector[MBR_TABLE + 16 * i + 4] == 0xEE)
                return StatusCorrupt;
        }
        ReadMbr(disk, sector, partitions, capacity, count);
        if (*count)
            return StatusSuccess;
    }
    partitions[0] = (IopPartition){.SectorCount = disk->SectorCount};
    memcpy(partitions[0].TypeGuid, IopEfiSystemPartition, 16);
    *count = 1;
    return StatusSuccess;
}
