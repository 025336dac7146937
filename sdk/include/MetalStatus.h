// MetalStatus.h - the one set of status codes of MetalOS, in kernel, runtime and programs.
// SPDX-License-Identifier: MIT
#pragma once

// X(name, value, text): `text` completes the sentence "The operation failed: ...".
#define METALOS_STATUS_LIST(X)                                                                     \
    X(StatusSuccess, 0, "success")                                                                 \
    X(StatusTimeout, 1, "the time-out ran out")                                                    \
    X(StatusEndOfFile, 2, "end of file")                                                           \
    X(StatusNoMoreEntries, 3, "there are no more entries")                                         \
    X(StatusInvalidParameter, 16, "a parameter is not valid")                                      \
    X(StatusInvalidHandle, 17, "the handle is not open")                                           \
    X(StatusWrongType, 18, "the handle is of another type")                                        \
    X(StatusAccessDenied, 19, "access is denied")                                                  \
    X(StatusInvalidAddress, 20, "an address is not accessible")                                    \
    X(StatusNotFound, 21, "not found")                                                             \
    X(StatusPathNotFound, 22, "a directory of the path does not exist")                            \
    X(StatusAlreadyExists, 23, "it already exists")                                                \
    X(StatusNotADirectory, 24, "not a directory")                                                  \
    X(StatusIsADirectory, 25, "it is a directory")                                                 \
    X(StatusDirectoryNotEmpty, 26, "the directory is not empty")                                   \
    X(StatusInvalidName, 27, "the name is not valid")                                              \
    X(StatusBufferTooSmall, 28, "the buffer is too small")                                         \
    X(StatusNoMemory, 29, "out of memory")                                                         \
    X(StatusNoAddressSpace, 30, "no room in the address space")                                    \
    X(StatusTooManyHandles, 31, "too many open handles")                                           \
    X(StatusLimitReached, 32, "a limit was reached")                                               \
    X(StatusDiskFull, 33, "the disk is full")                                                      \
    X(StatusReadOnly, 34, "the volume or object is read-only")                                     \
    X(StatusSharingViolation, 35, "the file is in use")                                            \
    X(StatusIoError, 36, "the device reported an error")                                           \
    X(StatusDeviceNotReady, 37, "the device is not ready")                                         \
    X(StatusNoSuchDevice, 38, "there is no such device")                                           \
    X(StatusCorrupt, 39, "the data is corrupt")                                                    \
    X(StatusBadImage, 40, "not a valid MetalOS program or library")                                \
    X(StatusImportNotFound, 41, "an imported function or library does not exist")                  \
    X(StatusPipeBroken, 42, "the other end of the pipe is closed")                                 \
    X(StatusWouldBlock, 43, "nothing is available now")                                            \
    X(StatusTerminating, 44, "the thread or process is ending")                                    \
    X(StatusNotSupported, 45, "not supported")                                                     \
    X(StatusUnknownSystemCall, 46, "there is no such system call")                                 \
    X(StatusConflict, 47, "it conflicts with something that exists")                               \
    X(StatusCancelled, 48, "cancelled")                                                            \
    X(StatusNameTooLong, 49, "the name is too long")                                               \
    X(StatusFileTooLarge, 50, "the file would become too large")                                   \
    X(StatusAbandoned, 51, "the mutex's last owner ended without releasing it")                    \
    X(StatusNotOwner, 52, "the mutex belongs to another thread")

#if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202000L
#define METALOS_NODISCARD [[nodiscard]]
#else
#define METALOS_NODISCARD
#endif

typedef enum METALOS_NODISCARD Status {
#define METALOS_STATUS_ENUM(name, value, text) name = value,
    METALOS_STATUS_LIST(METALOS_STATUS_ENUM)
#undef METALOS_STATUS_ENUM
} Status;
