// partition.h - partition tables, pure: bytes come through a callback.
// SPDX-License-Identifier: MIT
#pragma once

#include "rtl/rtl.h"

typedef struct IopPartition {
    uint64_t FirstSector, SectorCount;
    uint8_t TypeGuid[16], PartitionGuid[16]; // MBR: the type GUID of the same meaning, no own GUID
} IopPartition;

typedef struct IopDisk {
    void *Context;
    Status (*Read)(void *context, uint64_t sector, void *buffer); // one sector
    uint64_t SectorCount;
    uint32_t SectorSize;
    uint8_t *Scratch; // SectorSize bytes
} IopDisk;

extern const uint8_t IopEfiSystemPartition[16]; // C12A7328-F81F-11D2-BA4B-00A0C93EC93B
extern const uint8_t IopBasicDataPartition[16]; // EBD0A0A2-B9E5-4433-87C0-68B6B72699C7
extern const uint8_t IopDumpPartition[16];      // 4D65746C-4F53-4475-6D70-000000000001, ours

// Fills in at most capacity partitions. A disk without any table (a file system from sector 0 on)
// is one partition, of type EFI system. StatusCorrupt: a protective MBR but no valid GPT.
Status IopReadPartitions(const IopDisk *disk, IopPartition *partitions, size_t capacity,
                         size_t *count);
