// diskio.h - what FatFs asks of the disk; kernel/fs/fatdisk.c answers from the block cache.
// SPDX-License-Identifier: MIT
#pragma once

#include "ff.h"

typedef BYTE DSTATUS;
typedef enum { RES_OK = 0, RES_ERROR, RES_WRPRT, RES_NOTRDY, RES_PARERR } DRESULT;

DSTATUS disk_initialize(BYTE drive);
DSTATUS disk_status(BYTE drive);
DRESULT disk_read(BYTE drive, BYTE *buffer, LBA_t sector, UINT count);
DRESULT disk_write(BYTE drive, const BYTE *buffer, LBA_t sector, UINT count);
DRESULT disk_ioctl(BYTE drive, BYTE command, void *buffer);

#define STA_NOINIT  0x01
#define STA_NODISK  0x02
#define STA_PROTECT 0x04

#define CTRL_SYNC        0
#define GET_SECTOR_COUNT 1
#define GET_SECTOR_SIZE  2
#define GET_BLOCK_SIZE   3
#define CTRL_TRIM        4
