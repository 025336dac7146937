// fatdisk.c - the disk and the clock as FatFs sees them: the block cache and the kernel's time.
//
// Only metadata comes this way, one sector at a time. CTRL_SYNC does nothing: what has to be on the
// medium is said by FsFlush, FsShutdown and the flush timer, not by each directory operation.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#include "diskio.h"

DWORD get_fattime(void);

uint64_t FspTimeForFat;

DSTATUS disk_initialize(BYTE drive)
{
    return disk_status(drive);
}

DSTATUS disk_status(BYTE drive)
{
    if (drive != 0 || !FspTheVolume.Volume.Device)
        return STA_NOINIT;
    return FspTheVolume.Volume.Device->ReadOnly ? STA_PROTECT : 0;
}

DRESULT disk_read(BYTE drive, BYTE *buffer, LBA_t sector, UINT count)
{
    const IoVolume *volume = &FspTheVolume.Volume;
    uint32_t size = volume->Device->SectorSize;
    Status status = IoCacheRead(volume, (uint64_t)sector * size, (size_t)count * size,
                                IoKernelMemory, buffer, nullptr);
    return status == StatusSuccess ? RES_OK : RES_ERROR;
}

DRESULT disk_write(BYTE drive, const BYTE *buffer, LBA_t sector, UINT count)
{
    const IoVolume *volume = &FspTheVolume.Volume;
    uint32_t size = volume->Device->SectorSize;
    Status status =
        IoCacheWrite(volume, (uint64_t)sector * size, (size_t)count * size, IoKernelMemory, buffer);
    return status == StatusSuccess ? RES_OK : RES_ERROR;
}

DRESULT disk_ioctl(BYTE drive, BYTE command, void *buffer)
{
    switch (command) {
    case CTRL_SYNC:
        return RES_OK;
    case GET_SECTOR_SIZE:
        *(WORD *)buffer = (WORD)FspTheVolume.Volume.Device->SectorSize;
        return RES_OK;
    default:
        return RES_PARERR;
    }
}

#define NANOSECONDS     1000000000ull
#define SECONDS_PER_DAY 86400u

// Days since 1970-01-01 of a date of the Gregorian calendar, counting years from March.
static uint32_t DaysFromDate(uint32_t year, uint32_t month, uint32_t day)
{
    uint32_t y = month <= 2 ? year - 1 : year;
    uint32_t m = month <= 2 ? month + 9 : month - 3;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - 719468;
}

uint64_t FspFromFatTime(uint32_t fatTime)
{
    uint32_t year = 1980 + (fatTime >> 25), month = fatTime >> 21 & 15, day = fatTime >> 16 & 31;
    if (month < 1 || month > 12 || day < 1)
        return 0;
    uint64_t seconds = (uint64_t)DaysFromDate(year, month, day) * SECONDS_PER_DAY;
    seconds += (fatTime >> 11 & 31) * 3600 + (fatTime >> 5 & 63) * 60 + (fatTime & 31) * 2;
    return seconds * NANOSECONDS;
}

uint32_t FspToFatTime(uint64_t unixNanoseconds)
{
    uint64_t seconds = unixNanoseconds / NANOSECONDS;
    uint64_t days = seconds / SECONDS_PER_DAY;
    uint32_t time = (uint32_t)(seconds % SECONDS_PER_DAY);
    if (days < DaysFromDate(1980, 1, 1))
        return 1u << 21 | 1u << 16;
    if (days >= DaysFromDate(2108, 1, 1))
        return 127u << 25 | 12u << 21 | 31u << 16 | 23u << 11 | 59u << 5 | 29u;
    uint32_t year = 1980 + (uint32_t)(days - DaysFromDate(1980, 1, 1)) / 366;
    while (DaysFromDate(year + 1, 1, 1) <= days)
        year++;
    uint32_t month = 1;
    while (month < 12 && DaysFromDate(year, month + 1, 1) <= days)
        month++;
    uint32_t day = (uint32_t)days - DaysFromDate(year, month, 1) + 1;
    return (year - 1980) << 25 | month << 21 | day << 16 | time / 3600 << 11 | time / 60 % 60 << 5 |
           time % 60 / 2;
}

// FatFs asks for the time again with every change of a directory entry. V.
DWORD get_fattime(void)
{
    static uint64_t latest; // in steps of FAT's clock
    static DWORD latestForFat;
    constexpr uint64_t step = 2 * NANOSECONDS;
    uint64_t now = FspTimeForFat ? FspTimeForFat : KeQuerySystemTime();
    if (now / step != latest || latestForFat == 0) {
        latest = now / step;
        latestForFat = FspToFatTime(now);
    }
    return latestForFat;
}
