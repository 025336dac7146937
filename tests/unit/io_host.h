// io_host.h - the kernel below kernel/io and kernel/fs, as far as they use it, on the machine that
// builds: one thread, locks that check their order, memory that can be made to fail, and a disk
// over a file that completes requests late, in any order, and with errors when told to.
// SPDX-License-Identifier: MIT
#pragma once

#include "fs.h"

// ---- memory: the n-th allocation from now fails when >= 0 (and only that one).
extern int64_t HostFailAllocation;
extern int64_t HostBlocks, HostPages; // in use
// Asks the registered shrinkers for everything they can give.
void HostShrink(void);

// ---- time and deferred work
extern uint64_t HostTime; // nanoseconds since 1970
bool HostRunTimers(void); // fires the armed timer, if any

// ---- the disk
typedef struct HostDisk {
    IoBlockDevice Block;
    uint8_t *Bytes;
    uint64_t Size;
    uint64_t Seed; // of the order of completions; 0: at once
    bool FailReads, FailWrites, FailFlushes;
    uint64_t Reads, Writes, Flushes; // requests
    uint64_t ReadSectors, WriteSectors;
    uint64_t Unflushed;    // writes since the last flush
    struct HostWrite *Log; // every write and flush, while Record is set
    size_t LogCount;
    bool Record;
    ListEntry Pending;
} HostDisk;
typedef struct HostWrite {
    uint64_t Offset;
    size_t Size; // 0: a flush
    uint8_t *Data;
} HostWrite;
// Maps the file and registers the disk. Exits with a message when that fails.
void HostOpenDisk(HostDisk *disk, const char *path, uint32_t sectorSize);
void HostMemoryDisk(HostDisk *disk, uint8_t *bytes, uint64_t size, uint32_t sectorSize);
// Completes what is pending.
void HostPump(HostDisk *disk);
extern bool HostQuiet; // no log lines
// Runs a command line; its exit code.
int HostCommand(const char *format, ...) __attribute__((format(printf, 1, 2)));
