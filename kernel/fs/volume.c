// volume.c - mounting, the dirty mark, the periodic flush, shutting down.
//
// The dirty mark is the "volume was not shut down cleanly" bit in FAT[1] and in the boot sector,
// where other systems and fsck look for it. It is set before the first change and removed when a
// flush finds that nothing has changed since it began, so a machine that loses power while the disk
// is quiet leaves a clean volume. A volume that was dirty when it was mounted stays marked: nobody
// has checked it.
//
// Changes reach the medium two seconds after the first of them: a timer wakes a thread that
// flushes. It is a thread of its own because it waits for the disk, which the system worker must
// not.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#include "ps.h"

#define FLUSH_DELAY      2000000000ull // nanoseconds
#define FAT16_CLEAN      0x8000u // in FAT[1]; Microsoft's FAT specification, "FAT data structure"
#define FAT32_CLEAN      0x08000000u
#define BOOT_DIRTY       0x01u // in the boot sector's flags byte
#define BOOT_FLAGS_FAT32 0x41
#define BOOT_FLAGS_FAT16 0x25

FspVolume FspTheVolume;

Status FspFromResult(FRESULT result)
{
    static const Status map[] = {
        [FR_OK] = StatusSuccess,
        [FR_DISK_ERR] = StatusIoError,
        [FR_INT_ERR] = StatusCorrupt,
        [FR_NOT_READY] = StatusDeviceNotReady,
        [FR_NO_FILE] = StatusNotFound,
        [FR_NO_PATH] = StatusPathNotFound,
        [FR_INVALID_NAME] = StatusInvalidName,
        [FR_DENIED] = StatusAccessDenied,
        [FR_EXIST] = StatusAlreadyExists,
        [FR_INVALID_OBJECT] = StatusCorrupt,
        [FR_WRITE_PROTECTED] = StatusReadOnly,
        [FR_INVALID_DRIVE] = StatusInvalidName,
        [FR_NOT_ENABLED] = StatusNoSuchDevice,
        [FR_NO_FILESYSTEM] = StatusCorrupt,
        [FR_NOT_ENOUGH_CORE] = StatusNoMemory,
    };
    Status status = (size_t)result < RTL_COUNT_OF(map) ? map[result] : StatusCorrupt;
    return status == StatusSuccess && result != FR_OK ? StatusCorrupt : status;
}

// ---- the dirty mark

// Changes bytes of a sector on the disk and in FatFs's window, when it shows that sector.
static Status Patch(uint64_t sector, uint32_t offset, uint32_t mask, uint32_t value, uint32_t size)
{
    FspVolume *volume = &FspTheVolume;
    uint64_t position = sector * volume->Volume.Device->SectorSize + offset;
    uint32_t word = 0;
    Status status = IoCacheRead(&volume->Volume, position, size, IoKernelMemory, &word, nullptr);
    if (status != StatusSuccess)
        return status;
    word = (word & ~mask) | value;
    if (volume->Fat.winsect == sector) {
        uint32_t shown = 0;
        memcpy(&shown, volume->Fat.win + offset, size);
        shown = (shown & ~mask) | value;
        memcpy(volume->Fat.win + offset, &shown, size);
    }
    return IoCacheWrite(&volume->Volume, position, size, IoKernelMemory, &word);
}

static Status MarkDirty(bool dirty)
{
    FspVolume *volume = &FspTheVolume;
    FATFS *fat = &volume->Fat;
    bool fat32 = fat->fs_type == FS_FAT32;
    Status status = Patch(fat->volbase, fat32 ? BOOT_FLAGS_FAT32 : BOOT_FLAGS_FAT16, BOOT_DIRTY,
                          dirty ? BOOT_DIRTY : 0, 1);
    if (fat->fs_type != FS_FAT12) { // FAT12 has no such bit in the table
        uint32_t bit = fat32 ? FAT32_CLEAN : FAT16_CLEAN, size = fat32 ? 4 : 2;
        for (uint32_t i = 0; i < fat->n_fats && status == StatusSuccess; i++)
            status =
                Patch(fat->fatbase + (uint64_t)i * fat->fsize, size, bit, dirty ? 0 : bit, size);
    }
    if (status == StatusSuccess)
        volume->MarkedDirty = dirty;
    return status;
}

static bool ReadDirtyMark(void)
{
    FspVolume *volume = &FspTheVolume;
    FATFS *fat = &volume->Fat;
    bool fat32 = fat->fs_type == FS_FAT32;
    uint32_t size = volume->Volume.Device->SectorSize, bit = fat32 ? FAT32_CLEAN : FAT16_CLEAN,
             entry = 0;
    uint8_t flags = 0;
    Status status =
        IoCacheRead(&volume->Volume,
                    (uint64_t)fat->volbase * size + (fat32 ? BOOT_FLAGS_FAT32 : BOOT_FLAGS_FAT16),
                    1, IoKernelMemory, &flags, nullptr);
    if (status != StatusSuccess || (flags & BOOT_DIRTY))
        return true;
    if (fat->fs_type == FS_FAT12)
        return false;
    uint32_t width = fat32 ? 4 : 2;
    status = IoCacheRead(&volume->Volume, (uint64_t)fat->fatbase * size + width, width,
                         IoKernelMemory, &entry, nullptr);
    return status != StatusSuccess || !(entry & bit);
}

// ---- flushing

static void WakeFlush(void *context)
{
    KeSetEvent(&FspTheVolume.FlushDue);
}

static void ArmFlush(void)
{
    FspVolume *volume = &FspTheVolume;
    if (volume->FlushArmed)
        return;
    volume->FlushArmed = true;
    KeSetTimer(&volume->FlushTimer, FLUSH_DELAY, 0, &volume->FlushDpc);
}

Status FspBeginChange(void)
{
    FspVolume *volume = &FspTheVolume;
    if (volume->ReadOnly || !volume->Mounted)
        return StatusReadOnly;
    __atomic_add_fetch(&volume->Changes, 1, __ATOMIC_ACQ_REL);
    ArmFlush();
    return volume->MarkedDirty ? StatusSuccess : MarkDirty(true);
}

// Brings everything to the medium. The mark goes when nothing changed meanwhile.
static Status FlushVolume(void)
{
    FspVolume *volume = &FspTheVolume;
    uint64_t changes = volume->Changes;
    MmCollectWrittenPages();
    FspLock();
    bool writers = volume->Writers;
    Status status = FspSyncAll();
    FspUnlock();
    Status flushed = IoCacheFlush(&volume->Volume);
    if (status == StatusSuccess)
        status = flushed;
    if (status != StatusSuccess || volume->FoundDirty)
        return status;
    FspLock();
    bool quiet = volume->Changes == changes && !writers && !volume->Writers;
    bool clean = quiet && volume->MarkedDirty;
    if (clean)
        status = MarkDirty(false);
    else if (!quiet)
        ArmFlush(); // what came meanwhile may not be on the medium
    FspUnlock();
    return clean && status == StatusSuccess ? IoCacheFlush(&volume->Volume) : status;
}

void FspFlushInBackground(void)
{
    FspVolume *volume = &FspTheVolume;
    FspLock();
    volume->FlushArmed = false;
    bool run = volume->Mounted && !volume->ReadOnly;
    FspUnlock();
    if (!run)
        return;
    Status status = FlushVolume();
    if (status != StatusSuccess) {
        KeLog(LogError, "fs: writing back failed, status %u", (unsigned)status);
        FspLock();
        ArmFlush();
        FspUnlock();
    }
}

static void FlushLoop(void *context)
{
    while (KeWaitForObject(&FspTheVolume.FlushDue, KernelWait, KE_INFINITE) == StatusSuccess)
        FspFlushInBackground();
}

Status FsFlush(FsFile *file)
{
    if (file->Kind != FspDisk)
        return file->Kind == FspDirectory ? StatusInvalidParameter : StatusSuccess;
    MmCollectWrittenPages();
    FspLock();
    Status status = FspTheVolume.ReadOnly ? StatusSuccess : FspSyncNode(file->Disk.Node);
    FspUnlock();
    Status flushed = IoCacheFlush(&FspTheVolume.Volume);
    return status != StatusSuccess ? status : flushed;
}

// ---- mounting

static uint32_t Log2(uint32_t value)
{
    return 31 - (uint32_t)__builtin_clz(value);
}

// FatFs does not compare the file system's size with the partition's.
static Status CheckGeometry(void)
{
    FspVolume *volume = &FspTheVolume;
    FATFS *fat = &volume->Fat;
    uint64_t clusters = fat->n_fatent - 2;
    if ((uint64_t)fat->database + clusters * fat->csize > volume->Volume.SectorCount)
        return StatusCorrupt;
    volume->ClusterBytes = fat->csize * volume->Volume.Device->SectorSize;
    volume->ClusterShift = Log2(volume->ClusterBytes);
    volume->DataOffset = (uint64_t)fat->database * volume->Volume.Device->SectorSize;
    return StatusSuccess;
}

static Status Mount(void)
{
    FspVolume *volume = &FspTheVolume;
    Status status = FspFromResult(f_mount(&volume->Fat, "", 1));
    if (status == StatusSuccess)
        status = CheckGeometry();
    if (status != StatusSuccess)
        return status;
    volume->ReadOnly = volume->Volume.Device->ReadOnly;
    volume->FoundDirty = volume->MarkedDirty = ReadDirtyMark();
    if (volume->FoundDirty) {
        KeLog(LogWarning, "fs: the volume was not shut down cleanly");
        volume->Fat.free_clst = UINT32_MAX; // not to be believed; counted when asked for
    }
    if (volume->Fat.free_clst > volume->Fat.n_fatent - 2) {
        DWORD free;
        FATFS *fat;
        status = FspFromResult(f_getfree("", &free, &fat));
    }
    return status;
}

static void TellCounters(KCounterSink *sink)
{
    KeTellCounter(sink, "open files", FsFileType.Count);
    KeTellCounter(sink, "free clusters", FspTheVolume.Fat.free_clst);
}

Status FsInitialize(const LoaderParams *loader)
{
    static KCounterSource counters = {.Subsystem = "fs", .Tell = TellCounters};
    KeRegisterCounters(&counters);
    FspVolume *volume = &FspTheVolume;
    static const uint8_t anyPartition[16];
    KeInitializeMutex(&volume->Lock, LockRankVolume);
    RtlInitializeList(&volume->OpenDirectories);
    KeInitializeTimer(&volume->FlushTimer, false);
    KeInitializeDpc(&volume->FlushDpc, WakeFlush, nullptr);
    KeInitializeEvent(&volume->FlushDue, false, false);
    FspInitializeNodes();
    Status status = IoFindVolume(loader->BootPartitionGuid, &volume->Volume);
    if (status == StatusNoSuchDevice && memcmp(loader->BootPartitionGuid, anyPartition, 16) != 0)
        status = IoFindVolume(anyPartition, &volume->Volume);
    if (status != StatusSuccess)
        return status;
    FspLock();
    status = Mount();
    volume->Mounted = status == StatusSuccess;
    FspUnlock();
    if (status == StatusSuccess)
        status = FspInitializeConsole(loader);
    if (status == StatusSuccess)
        status = PsCreateSystemThread("fs flush", KePriorityNormal, FlushLoop, nullptr);
    if (status == StatusSuccess)
        KeLog(LogInfo, "fs: %s: FAT%u, %llu MiB, %u-byte clusters", volume->Volume.Device->Name,
              volume->Fat.fs_type == FS_FAT32   ? 32
              : volume->Fat.fs_type == FS_FAT16 ? 16
                                                : 12,
              (unsigned long long)(volume->Volume.SectorCount * volume->Volume.Device->SectorSize >>
                                   20),
              volume->ClusterBytes);
    return status;
}

Status FsShutdown(void)
{
    FspVolume *volume = &FspTheVolume;
    if (!volume->Mounted || volume->ReadOnly)
        return StatusSuccess;
    KeCancelTimer(&volume->FlushTimer);
    Status status = FlushVolume();
    FspLock();
    volume->ReadOnly = true; // whatever comes now is too late
    FspTrimClosed(0);
    FspUnlock();
    return status;
}

Status FsQueryVolume(VolumeInfo *info)
{
    FspVolume *volume = &FspTheVolume;
    *info = (VolumeInfo){};
    DWORD free, serial;
    FATFS *fat;
    FspLock();
    Status status = FspFromResult(f_getfree("", &free, &fat));
    char *label = volume->Info.fname; // f_getlabel may write more than Label holds
    if (status == StatusSuccess)
        status = FspFromResult(f_getlabel("", label, &serial));
    if (status == StatusSuccess) {
        info->TotalBytes = (uint64_t)(volume->Fat.n_fatent - 2) * volume->ClusterBytes;
        info->FreeBytes = (uint64_t)free * volume->ClusterBytes;
        RtlCopyString(info->Label, sizeof(info->Label), label);
    }
    FspUnlock();
    return status;
}
