// posix_file.h - a descriptor, for the files that work on open ones. The theory is at the head of
// posix_file.c.
// SPDX-License-Identifier: MIT
#pragma once

#include "posix.h"

constexpr uint32_t KindPipe = 1, KindDevice = 2; // FileInfo.Kind

typedef enum DescriptorType {
    DescriptorFree,
    DescriptorNull, // reads end of file, swallows writes
    DescriptorFile,
    DescriptorDirectory,
} DescriptorType;

typedef struct Descriptor {
    DescriptorType Type;
    uint32_t Kind; // FileInfo.Kind
    int Flags;     // O_... of open, and FD_CLOEXEC is ignored
    Handle Handle;
    uint64_t Inode;
    int64_t Entries; // directories: how many have been read
    char *Path;      // of directories, and of files to be deleted when closed
    bool Delete;     // unlinked while open
} Descriptor;

// The open descriptor of that number, or nullptr.
Descriptor *PxFind(long long number);
