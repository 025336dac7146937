// pipe.c - byte pipes of 64 KiB between two ends.
//
// A ring under a spin lock; bytes are copied a piece at a time, so that the lock is never held for
// long. A write of at most a piece goes in whole or waits for its room, so that those of several
// writers are not mixed (PIPE_BUF of POSIX). Two manual-reset events, which programs can wait for
// as well, change under the lock and say exactly how things are: Readable is set while there are
// bytes or no writer is left, Writable while there is room for a piece or no reader is left. The
// state lives until both ends are gone.
// SPDX-License-Identifier: MIT
#include "fsp.h"

#define PIPE_SIZE 65536u // a power of two
#define PIECE     4096u  // bytes copied under the lock at a time; PIPE_BUF

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
    if (file->Pipe.WriteEnd) {
        pipe->WriterGone = true;
        KeSetEvent(&pipe->Readable);
    } else {
        pipe->ReaderGone = true;
        KeSetEvent(&pipe->Writable);
    }
    KeReleaseSpinLock(&pipe->Lock, old);
}

KDispatcherHeader *FspGetPipeDispatcher(FsFile *file)
{
    FspPipeState *pipe = file->Pipe.State;
    return file->Pipe.WriteEnd ? &pipe->Writable.Header : &pipe->Readable.Header;
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

static uint32_t Room(const FspPipeState *pipe)
{
    return PIPE_SIZE - (pipe->Tail - pipe->Head);
}

// Copies up to PIECE bytes out of the ring, as far as they go without wrapping. Lock held.
static size_t TakePiece(FspPipeState *pipe, uint8_t *buffer, size_t size)
{
    uint32_t at = pipe->Head % PIPE_SIZE, room = Room(pipe), used = PIPE_SIZE - room;
    size_t part = RTL_MIN(RTL_MIN(size, used), RTL_MIN(PIPE_SIZE - at, PIECE));
    if (part == 0)
        return 0;
    memcpy(buffer, pipe->Data + at, part);
    pipe->Head += (uint32_t)part;
    if (room < PIECE && room + part >= PIECE)
        KeSetEvent(&pipe->Writable);
    if (part == used && !pipe->WriterGone)
        KeResetEvent(&pipe->Readable);
    return part;
}

// Copies up to PIECE bytes into the ring, if there is room for all of them. Lock held.
static size_t PutPiece(FspPipeState *pipe, const uint8_t *buffer, size_t size)
{
    uint32_t at = pipe->Tail % PIPE_SIZE, room = Room(pipe);
    size_t part = RTL_MIN(size, PIECE), first = RTL_MIN(part, PIPE_SIZE - at);
    if (part > room)
        return 0;
    memcpy(pipe->Data + at, buffer, first);
    if (first < part)
        memcpy(pipe->Data, buffer + first, part - first);
    pipe->Tail += (uint32_t)part;
    if (room == PIPE_SIZE)
        KeSetEvent(&pipe->Readable);
    if (room >= PIECE && room - part < PIECE)
        KeResetEvent(&pipe->Writable);
    return part;
}

Status FspReadPipe(FsFile *file, void *buffer, size_t size, size_t *transferred)
{
    FspPipeState *pipe = file->Pipe.State;
    while (*transferred < size) {
        KIrql old = KeAcquireSpinLock(&pipe->Lock);
        size_t part = TakePiece(pipe, (uint8_t *)buffer + *transferred, size - *transferred);
        bool over = part == 0 && pipe->WriterGone;
        KeReleaseSpinLock(&pipe->Lock, old);
        *transferred += part;
        if (part != 0)
            continue;
        if (*transferred != 0)
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
        const uint8_t *rest = (const uint8_t *)buffer + *transferred;
        KIrql old = KeAcquireSpinLock(&pipe->Lock);
        bool broken = pipe->ReaderGone;
        size_t part = broken ? 0 : PutPiece(pipe, rest, size - *transferred);
        KeReleaseSpinLock(&pipe->Lock, old);
        *transferred += part;
        if (broken)
            return StatusPipeBroken;
        if (part != 0)
            continue;
        Status status = KeWaitForObject(&pipe->Writable, UserWait, KE_INFINITE);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}
