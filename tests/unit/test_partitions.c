// Tests of kernel/io/partition.c: GPT, its backup, MBR, plain disks, and every kind of damage.
// SPDX-License-Identifier: MIT
#include "../../kernel/io/partition.h"
#include "unit.h"

#define SECTORS 4096u
static uint8_t Image[SECTORS * 4096u], Scratch[4096];
static uint32_t SectorSize;

static Status Read(void *context, uint64_t sector, void *buffer)
{
    if (sector >= SECTORS)
        return StatusIoError;
    memcpy(buffer, Image + sector * SectorSize, SectorSize);
    return StatusSuccess;
}

static Status Parse(IopPartition *partitions, size_t *count)
{
    IopDisk disk = {
        .Read = Read, .SectorCount = SECTORS, .SectorSize = SectorSize, .Scratch = Scratch};
    return IopReadPartitions(&disk, partitions, 4, count);
}

static void Put(uint8_t *at, uint64_t value, size_t size)
{
    memcpy(at, &value, size);
}

static void SealHeader(uint8_t *header)
{
    Put(header + 16, 0, 4);
    Put(header + 16, RtlCrc32(0, header, 92), 4);
}

static void MakeHeader(uint64_t lba, uint64_t entries)
{
    uint8_t *header = Image + lba * SectorSize;
    memcpy(header, "EFI PART\0\0\1\0", 12);
    Put(header + 12, 92, 4);
    Put(header + 24, lba, 8);
    Put(header + 40, 40, 8);
    Put(header + 48, SECTORS - 41, 8);
    Put(header + 72, entries, 8);
    Put(header + 80, 128, 4);
    Put(header + 84, 128, 4);
    Put(header + 88, RtlCrc32(0, Image + entries * SectorSize, 128 * 128), 4);
    SealHeader(header);
}

static void MakeGpt(uint32_t sectorSize)
{
    SectorSize = sectorSize;
    memset(Image, 0, sizeof(Image));
    Image[446 + 4] = 0xEE;
    Put(Image + 446 + 8, 1, 4);
    Put(Image + 446 + 12, SECTORS - 1, 4);
    Put(Image + 510, 0xAA55, 2);
    for (int copy = 0; copy < 2; copy++) {
        uint8_t *entry = Image + (copy ? SECTORS - 33 : 2) * (uint64_t)SectorSize;
        memcpy(entry, IopBasicDataPartition, 16);
        memset(entry + 16, 0x11, 16);
        Put(entry + 32, 100, 8);
        Put(entry + 40, 199, 8);
        entry += 3 * 128;
        memcpy(entry, IopEfiSystemPartition, 16);
        memset(entry + 16, 0x22, 16);
        Put(entry + 32, 200, 8);
        Put(entry + 40, 999, 8);
    }
    MakeHeader(1, 2);
    MakeHeader(SECTORS - 1, SECTORS - 33);
}

static void CheckFound(Status expected)
{
    IopPartition found[4];
    size_t count = 99;
    CHECK_EQUAL(Parse(found, &count), expected);
    if (expected != StatusSuccess)
        return;
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(found[1].FirstSector, 200);
    CHECK_EQUAL(found[1].SectorCount, 800);
    CHECK_EQUAL(found[1].PartitionGuid[5], 0x22);
    CHECK(memcmp(found[1].TypeGuid, IopEfiSystemPartition, 16) == 0);
}

static void Gpt(void)
{
    MakeGpt(512);
    CheckFound(StatusSuccess);
    MakeGpt(4096);
    CheckFound(StatusSuccess);
}

static void GptBackup(void)
{
    MakeGpt(512);
    Image[512 + 56] ^= 1; // header CRC
    CheckFound(StatusSuccess);
    MakeGpt(512);
    Image[1024 + 500] ^= 1; // an entry's
    CheckFound(StatusSuccess);
    Image[(SECTORS - 33) * 512 + 7] ^= 1; // both
    CheckFound(StatusCorrupt);
}

static void GptBounds(void)
{
    static const struct {
        size_t At, Size;
        uint64_t Value;
    } bad[] = {{12, 4, 91},      {12, 4, 513},        {24, 8, 2},           {40, 8, SECTORS},
               {48, 8, SECTORS}, {72, 8, 1},          {72, 8, SECTORS - 3}, {72, 8, UINT64_MAX},
               {80, 4, 0},       {80, 4, UINT32_MAX}, {84, 4, 64},          {84, 4, 192},
               {84, 4, 1024}};
    for (size_t i = 0; i < RTL_COUNT_OF(bad); i++) {
        MakeGpt(512);
        memset(Image + (SECTORS - 1) * 512, 0, 512);
        Put(Image + 512 + bad[i].At, bad[i].Value, bad[i].Size);
        SealHeader(Image + 512);
        CheckFound(StatusCorrupt);
        if (UnitFailed) {
            printf("# case %zu\n", i);
            return;
        }
    }
    MakeGpt(512); // entries that lie outside are left out
    Put(Image + 1024 + 40, SECTORS, 8);
    Put(Image + 1024 + 3 * 128 + 32, 1000, 8);
    MakeHeader(1, 2);
    IopPartition found[4];
    size_t count;
    CHECK_EQUAL(Parse(found, &count), StatusSuccess);
    CHECK_EQUAL(count, 0);
}

static void Mbr(void)
{
    IopPartition found[4];
    size_t count;
    SectorSize = 512;
    memset(Image, 0, sizeof(Image));
    Put(Image + 510, 0xAA55, 2);
    Image[446 + 4] = 0x0C;
    Put(Image + 446 + 8, 63, 4);
    Put(Image + 446 + 12, 1000, 4);
    Image[462 + 4] = 0xEF;
    Put(Image + 462 + 8, 2000, 4);
    Put(Image + 462 + 12, 100, 4);
    Image[478 + 4] = 0x83; // too long
    Put(Image + 478 + 8, 2000, 4);
    Put(Image + 478 + 12, SECTORS, 4);
    CHECK_EQUAL(Parse(found, &count), StatusSuccess);
    CHECK_EQUAL(count, 2);
    CHECK_EQUAL(found[0].FirstSector, 63);
    CHECK(memcmp(found[1].TypeGuid, IopEfiSystemPartition, 16) == 0);
    memcpy(Image, "\xEB\x58\x90", 3); // a FAT volume from sector 0 on
    memcpy(Image + 82, "FAT32   ", 8);
    CHECK_EQUAL(Parse(found, &count), StatusSuccess);
    CHECK_EQUAL(count, 1);
    CHECK_EQUAL(found[0].FirstSector, 0);
    CHECK_EQUAL(found[0].SectorCount, SECTORS);
}

static void Noise(void)
{
    uint64_t seed = 5;
    IopPartition found[4];
    size_t count;
    for (int round = 0; round < 3000; round++) {
        MakeGpt(round & 1 ? 512 : 4096);
        for (int i = 0; i < 8; i++) {
            uint64_t random = UnitRandom(&seed);
            size_t at = random % (SectorSize * 3);
            Image[at] ^= (uint8_t)(random >> 40);
        }
        if (round & 2)
            SealHeader(Image + SectorSize);
        if (round & 4)
            memset(Image + (SECTORS - 1) * SectorSize, 0, SectorSize);
        Status status = Parse(found, &count);
        CHECK(status != StatusSuccess || count <= 4);
        for (size_t i = 0; status == StatusSuccess && i < count; i++)
            CHECK(found[i].FirstSector < SECTORS &&
                  found[i].SectorCount <= SECTORS - found[i].FirstSector);
    }
}

int main(void)
{
    static const UnitTest tests[] = {
        {"gpt", Gpt},           {"gpt backup", GptBackup}, {"gpt bounds", GptBounds},
        {"mbr and plain", Mbr}, {"noise", Noise},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
