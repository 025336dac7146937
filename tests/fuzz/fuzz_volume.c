// fuzz_volume.c - a FAT32 volume with any damage: mounted, explored, changed. Errors are fine;
// faults, endless loops and allocations without bound are not.
//
// An input is a list of 4-byte patches to a small good volume (place, offset, value), whose image
// is mapped privately and restored after each run.
// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "../unit/io_host.h"

#include <sys/mman.h>
#include <unistd.h>

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***arguments);

#define SECTOR      512u
#define RESERVED    32u
#define CLUSTERS    66000u
#define FAT_SECTORS ((CLUSTERS + 2) * 4 / SECTOR + 1)
#define DATA_SECTOR (RESERVED + 2 * FAT_SECTORS)
#define IMAGE_SIZE  ((DATA_SECTOR + CLUSTERS) * (uint64_t)SECTOR)

static HostDisk Disk;
static const LoaderParams Loader;
static uint8_t Buffer[100000];

static void Put(uint8_t *at, uint32_t value, size_t size)
{
    memcpy(at, &value, size);
}

// An empty volume (Microsoft's FAT specification, "Boot Sector and BPB").
static void Format(uint8_t *image)
{
    memcpy(image, "\xEB\x58\x90MetalOS ", 11);
    Put(image + 11, SECTOR, 2);
    image[13] = 1;
    Put(image + 14, RESERVED, 2);
    image[16] = 2;
    image[21] = 0xF8;
    Put(image + 32, IMAGE_SIZE / SECTOR, 4);
    Put(image + 36, FAT_SECTORS, 4);
    Put(image + 44, 2, 4);
    Put(image + 48, 1, 2);
    image[66] = 0x29;
    memcpy(image + 71, "FUZZ       FAT32   ", 19);
    Put(image + 510, 0xAA55, 2);
    uint8_t *info = image + SECTOR;
    Put(info, 0x41615252, 4);
    Put(info + 484, 0x61417272, 4);
    Put(info + 488, CLUSTERS - 1, 4);
    Put(info + 492, 3, 4);
    Put(info + 510, 0xAA55, 2);
    for (uint32_t copy = 0; copy < 2; copy++) {
        uint8_t *fat = image + (RESERVED + copy * FAT_SECTORS) * SECTOR;
        Put(fat, 0x0FFFFFF8, 4);
        Put(fat + 4, 0x0FFFFFFF, 4);
        Put(fat + 8, 0x0FFFFFFF, 4);
    }
}

static void Write(const char *path, size_t size)
{
    FsFile *file;
    size_t done;
    if (FsOpen(path, FileRead | FileWrite, FileOpenAlways, &file) != StatusSuccess)
        return;
    Status status = FsWrite(file, nullptr, Buffer, size, &done);
    (void)status;
    ObDereference(file);
}

static void Fill(void)
{
    Status status = FsInitialize(&Loader);
    status = FsCreateDirectory("/one");
    status = FsCreateDirectory("/one/directory with a long name");
    (void)status;
    Write("/a", 1);
    Write("/one/b.txt", 5000);
    Write("/one/directory with a long name/another file.data", 20000);
    Write("/one/b.txt", 9000);
    status = FsShutdown();
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    HostQuiet = true;
    int file = memfd_create("volume", 0);
    if (file < 0 || ftruncate(file, IMAGE_SIZE))
        abort();
    uint8_t *image = mmap(nullptr, IMAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    Format(image);
    HostMemoryDisk(&Disk, image, IMAGE_SIZE, SECTOR);
    Fill();
    HostShrink();
    Disk.Bytes = mmap(nullptr, IMAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    munmap(image, IMAGE_SIZE);
    return 0;
}

static void Explore(const char *path, int depth, int *budget)
{
    FsFile *directory, *file;
    DirectoryEntry entry;
    size_t done;
    if (FsOpenDirectory(path, &directory) != StatusSuccess)
        return;
    while (--*budget > 0 && FsReadDirectory(directory, &entry) == StatusSuccess) {
        char child[MaximumPath], joined[MaximumPath + 800];
        snprintf(joined, sizeof(joined), "%s/%s", path, entry.Name);
        if (FsNormalizePath("/", joined, child) != StatusSuccess)
            continue;
        if (entry.Info.Attributes & FileAttributeDirectory) {
            if (depth < 3)
                Explore(child, depth + 1, budget);
        } else if (FsOpen(child, FileRead | FileWrite, FileOpenExisting, &file) == StatusSuccess) {
            uint64_t end = entry.Info.Size;
            Status status = FsRead(file, nullptr, Buffer, sizeof(Buffer), &done);
            status = FsWrite(file, &end, Buffer, 3000, &done);
            status = FsSetSize(file, 700);
            (void)status;
            ObDereference(file);
        }
    }
    ObDereference(directory);
    Status status = FsRename(path, "/renamed");
    status = FsRemoveDirectory("/renamed");
    status = FsDelete("/a");
    (void)status;
}

static void Patch(const uint8_t *patch)
{
    static const struct {
        uint64_t Start, Size;
    } places[] = {
        {0, 1024},                                           // boot sector, FSInfo
        {RESERVED * SECTOR, 1024},                           // FAT
        {(RESERVED + FAT_SECTORS) * (uint64_t)SECTOR, 1024}, // its copy
        {DATA_SECTOR * (uint64_t)SECTOR, 4096},              // directories
    };
    uint64_t size = places[patch[0] % 4].Size;
    Disk.Bytes[places[patch[0] % 4].Start + (patch[1] | (uint32_t)patch[2] << 8) % size] = patch[3];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (size_t i = 0; i + 4 <= size; i += 4)
        Patch(data + i);
    if (FsInitialize(&Loader) == StatusSuccess) {
        int budget = 200;
        Explore("/", 0, &budget);
        Write("/new file", 40000);
        VolumeInfo info;
        Status status = FsQueryVolume(&info);
        status = FsShutdown();
        (void)status;
    }
    HostShrink();
    if (HostPages != 0 || HostBlocks > 1)
        abort(); // something was left behind
    madvise(Disk.Bytes, IMAGE_SIZE, MADV_DONTNEED);
    return 0;
}
