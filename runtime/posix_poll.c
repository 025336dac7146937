// posix_poll.c - poll: which descriptors a read or write would not have to wait on.
//
// Pipes and consoles are asked through the waits of the native interface: the read end of a pipe
// and a console are ready while there is something to read or nobody left who could write it, a
// write end while there is room or nobody left who reads. Everything else never makes anybody wait
// and is ready at any time. The end of a pipe is ready to be read, as read returns 0 at once; there
// is no POLLHUP.
// SPDX-License-Identifier: MIT
#include "posix_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>

constexpr short Readable = POLLIN | POLLRDNORM, Writable = POLLOUT | POLLWRNORM;
constexpr size_t MostObjects = 64;   // of one wait
constexpr uint32_t LongestTurn = 10; // milliseconds, where there are more

typedef struct Waits {
    size_t Count; // may be more than Objects has
    Handle Objects[MostObjects];
} Waits;

// The events that a descriptor has to be waited for; 0: it is ready at any time.
static short GetWaitedEvents(const Descriptor *entry)
{
    if (entry->Type != DescriptorFile || entry->Kind == 0 ||
        WaitForSingleObject(entry->Handle, 0) == StatusWrongType)
        return 0;
    if (entry->Kind == KindDevice)
        return Readable; // consoles take what is written
    return (entry->Flags & O_ACCMODE) == O_WRONLY ? Writable : Readable;
}

// One look: the descriptor's events of those that were asked for.
static short Look(int number, short events, Waits *waits)
{
    const Descriptor *entry = PxFind(number);
    if (!entry)
        return POLLNVAL;
    short asked = events & (Readable | Writable), waited = GetWaitedEvents(entry);
    if (entry->Type == DescriptorFile && entry->Kind == KindPipe)
        asked &= waited; // an end goes one way
    if (!(asked & waited) || WaitForSingleObject(entry->Handle, 0) == StatusSuccess)
        return asked;
    if (waits->Count < MostObjects)
        waits->Objects[waits->Count] = entry->Handle;
    waits->Count++;
    return asked & ~waited;
}

// poll: descriptors, their number, milliseconds or a negative number.
long long PxPoll(long long a, long long count, long long timeout, long long d, long long e,
                 long long f)
{
    struct pollfd *asked = (struct pollfd *)a;
    uint64_t end = GetMonotonicTime() + (uint64_t)(timeout < 0 ? 0 : timeout) * 1'000'000;
    for (;;) {
        long long ready = 0;
        Waits waits = {};
        for (long long i = 0; i < count; i++) {
            asked[i].revents = asked[i].fd < 0 ? 0 : Look(asked[i].fd, asked[i].events, &waits);
            ready += asked[i].revents != 0;
        }
        uint64_t now = GetMonotonicTime();
        if (ready || (timeout >= 0 && now >= end))
            return ready;
        uint32_t left =
            timeout < 0 ? InfiniteTimeout : (uint32_t)((end - now + 999'999) / 1'000'000);
        if (waits.Count == 0)
            Sleep(left);
        else if (waits.Count <= MostObjects)
            (void)WaitForMultipleObjects(waits.Count, waits.Objects, false, left, nullptr);
        else
            (void)WaitForMultipleObjects(MostObjects, waits.Objects, false,
                                         left < LongestTurn ? left : LongestTurn, nullptr);
    }
}
