// ffconf.h - FatFs R0.14a as MetalOS uses it: metadata only (tiny), long names in UTF-8,
// FAT12/16/32, one volume, its caller locks. docs/storage.md says how kernel/fs stands on it.
// SPDX-License-Identifier: MIT
#define FFCONF_DEF 80196 // the revision this configuration is for

#define FF_FS_READONLY  0
#define FF_FS_MINIMIZE  0
#define FF_USE_FIND     0
#define FF_USE_MKFS     0
#define FF_USE_FASTSEEK 0 // kernel/fs keeps its own extent maps
#define FF_USE_EXPAND   0
#define FF_USE_CHMOD    0
#define FF_USE_LABEL    1
#define FF_USE_FORWARD  0
#define FF_USE_STRFUNC  0
#define FF_PRINT_LLI    0
#define FF_PRINT_FLOAT  0
#define FF_STRF_ENCODE  3

#define FF_CODE_PAGE   437
#define FF_USE_LFN     1 // a static buffer: calls are serialised
#define FF_MAX_LFN     255
#define FF_LFN_UNICODE 2   // UTF-8
#define FF_LFN_BUF     765 // 255 UTF-16 units in UTF-8
#define FF_SFN_BUF     34  // 12 characters of code page 437 in UTF-8
#define FF_FS_RPATH    0

#define FF_VOLUMES         1
#define FF_STR_VOLUME_ID   0
#define FF_MULTI_PARTITION 0
#define FF_MIN_SS          512
#define FF_MAX_SS          4096
#define FF_LBA64           0
#define FF_MIN_GPT         0x10000000
#define FF_USE_TRIM        0

#define FF_FS_TINY      1 // no sector buffer per file: file data does not pass through FatFs
#define FF_FS_EXFAT     0
#define FF_FS_NORTC     0
#define FF_NORTC_MON    1
#define FF_NORTC_MDAY   1
#define FF_NORTC_YEAR   2024
#define FF_FS_NOFSINFO  0
#define FF_FS_LOCK      0 // kernel/fs has an open file table
#define FF_FS_REENTRANT 0
#define FF_FS_TIMEOUT   1000
#define FF_SYNC_t       int
