// pipe.c - byte pipes of 64 KiB between two ends.
//
// A ring under a spin lock; bytes are copied a piece at a time, so that the lock is never held for
// long. Two manual-reset events say "there may be bytes" and "there may be room"; who finds neither
// resets the event under the lock and waits. Closing an end sets both for good. The state lives
// until both ends are gone.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#define PIPE_SIZE 65536u // a power of two
#define PIECE     4096u  // bytes copied under the lock at a time

struct FspPipeState {
    KSpinLock Lock;      // guards what follows
    uint32_t Head, Tail; // free-running; Tail - Head bytes are in the ring
    bool ReaderGone, WriterGone;
    uint32_t Ends; // FsFiles
    KEvent Readable, Writable;
    uint8_t Data[PIPE_SIZE];
};

Status FsCreatePipe(FsFile **readEnd, FsFile **writeEnd)
{
    FspPipeState *pipe = MmAllocateHeap(sizeof(FspPipeState), FSP_TAG);
    if (!pipe)
        return StatusNoMemory;
    KeInitializeSpinLock(&pipe->Lock, LockRankFile, "pipe");
    KeInitializeEvent(&pipe->Readable, true, false);
    KeInitializeEvent(&pipe->Writable, true, true);
    void *ends[2];
    for (int i = 0; i < 2; i++) {
        Status status = ObCreateObject(&FsFileType, sizeof(FsFile), &ends[i]);
        if (status != StatusSuccess) {
            if (i)
                ObDereference(ends[0]); // frees the pipe with its only end
            else
                MmFreeHeap(pipe);
            return status;
        }
        FsFile *file = ends[i];
        file->Kind = FspPipe;
        file->Access = i ? FileWrite : FileRead;
        file->Pipe.State = pipe;
        file->Pipe.WriteEnd = i;
        pipe->Ends++;
    }
    *readEnd = ends[0];
    *writeEnd = ends[1];
    return StatusSuccess;
}

void FspClosePipeEnd(FsFile *file)
{
    FspPipeState *pipe = file->Pipe.State;
    KIrql old = KeAcquireSpinLock(&pipe->Lock);
    if (file->Pipe.WriteEnd)
        pipe->WriterGone = true;
    else
        pipe->ReaderGone = true;
    KeReleaseSpinLock(&pipe->Lock, old);
    KeSetEvent(&pipe->Readable);
    KeSetEvent(&pipe->Writable);
}

void FspDeletePipeEnd(FsFile *file)
{
    FspPipeState *pipe = file->Pipe.State;
    FspClosePipeEnd(file);
    KIrql old = KeAcquireSpinLock(&pipe->Lock);
    bool last = --pipe->Ends == 0;
    KeReleaseSpinLock(&pipe->Lock, old);
    if (last)
        MmFreeHeap(pipe);
}

// Copies up to PIECE bytes out of or into the ring, as far as it goes without wrapping. Lock held.
static size_t CopyPiece(FspPipeState *pipe, bool write, uint8_t *buffer, size_t size)
{
    uint32_t at = (write ? pipe->Tail : pipe->Head) % PIPE_SIZE;
    uint32_t used = pipe->Tail - pipe->Head;
    size_t part = RTL_MIN(size, write ? PIPE_SIZE - used : used);
    part = RTL_MIN(RTL_MIN(part, PIPE_SIZE - at), PIECE);
    if (write) {
        memcpy(pipe->Data + at, buffer, part);
        pipe->Tail += (uint32_t)part;
    } else {
        memcpy(buffer, pipe->Data + at, part);
        pipe->Head += (uint32_t)part;
    }
    return part;
}

Status FspReadPipe(FsFile *file, void *buffer, size_t size, size_t *transferred)
{
    FspPipeState *pipe = file->Pipe.State;
    while (*transferred < size) {
        KIrql old = KeAcquireSpinLock(&pipe->Lock);
        size_t part = CopyPiece(pipe, false, (uint8_t *)buffer + *transferred, size - *transferred);
        bool over = !part && pipe->WriterGone;
        if (!part && !over)
            KeResetEvent(&pipe->Readable);
        KeReleaseSpinLock(&pipe->Lock, old);
        *transferred += part;
        if (part) {
            KeSetEvent(&pipe->Writable);
            continue;
        }
        if (*transferred)
            return StatusSuccess;
        if (over)
            return StatusEndOfFile;
        Status status = KeWaitForObject(&pipe->Readable, UserWait, KE_INFINITE);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}

Status FspWritePipe(FsFile *file, const void *buffer, size_t size, size_t *transferred)
{
    FspPipeState *pipe = file->Pipe.State;
    while (*transferred < size) {
        KIrql old = KeAcquireSpinLock(&pipe->Lock);
        bool broken = pipe->ReaderGone;
        size_t part =
            broken ? 0
                   : CopyPiece(pipe, true, (uint8_t *)buffer + *transferred, size - *transferred);
        if (!part && !broken)
            KeResetEvent(&pipe->Writable);
        KeReleaseSpinLock(&pipe->Lock, old);
        *transferred += part;
        if (broken)
            return StatusPipeBroken;
        if (part) {
            KeSetEvent(&pipe->Readable);
            continue;
        }
        Status status = KeWaitForObject(&pipe->Writable, UserWait, KE_INFINITE);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}
