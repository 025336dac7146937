// gpadl.c - guest physical address descriptor lists: guest memory that is given to a device
// (OpenVMM, vm/devices/vmbus/vmbus_server/src/channels.rs and vmbus_ring/src/gparange.rs).
//
// A list belongs to the relid in its header. It comes in a header message and bodies; the byte
// count in the header alone says when it is complete. A guest may have it back only when nothing
// uses it any more: the answer to a teardown waits for that, without a time limit.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

static VmbusGpadl *FindExact(VmbusBus *bus, uint32_t relid, uint32_t id)
{
    VmbusGpadl *gpadl;

    QTAILQ_FOREACH(gpadl, &bus->gpadls, next)
    {
        if (gpadl->id == id && gpadl->relid == relid)
            return gpadl;
    }
    return NULL;
}

// Bodies carry no relid, so the number alone has to be unique among unfinished lists.
static VmbusGpadl *FindUnfinished(VmbusBus *bus, uint32_t id)
{
    VmbusGpadl *gpadl;

    QTAILQ_FOREACH(gpadl, &bus->gpadls, next)
    {
        if (gpadl->id == id && !gpadl->created)
            return gpadl;
    }
    return NULL;
}

static void Free(VmbusBus *bus, VmbusGpadl *gpadl)
{
    QTAILQ_REMOVE(&bus->gpadls, gpadl, next);
    Host->lists--;
    g_free(gpadl->words);
    g_free(gpadl->pages);
    g_free(gpadl);
}

static void Answer(VmbusBus *bus, uint32_t relid, uint32_t id, uint32_t status)
{
    GpadlCreatedMessage answer = {{MessageGpadlCreated, 0}, relid, id, status};

    VmbusReply(bus, &answer, sizeof(answer));
}

static bool AddPages(VmbusGpadl *gpadl, const uint64_t *numbers, uint32_t count)
{
    gpadl->pages = g_renew(uint8_t *, gpadl->pages, gpadl->pageCount + count);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *page = HvGuestPage(numbers[i] * HvPageSize);
        if (!page) {
            StrictViolation("gpadl-page", "list 0x%x: page 0x%" PRIx64 " is not memory", gpadl->id,
                            numbers[i]);
            return false;
        }
        gpadl->pages[gpadl->pageCount++] = page;
    }
    return true;
}

// Takes the complete list apart. False: it makes no sense.
static bool Parse(VmbusGpadl *gpadl)
{
    uint32_t at = 0;

    for (uint32_t range = 0; range < gpadl->rangeCount; range++) {
        uint64_t word = at < gpadl->wordsExpected ? gpadl->words[at++] : 0;
        uint32_t bytes = (uint32_t)word, offset = word >> 32;
        uint32_t count = ((uint64_t)offset + bytes + HvPageSize - 1) / HvPageSize;
        if (bytes == 0 || offset >= HvPageSize || count > gpadl->wordsExpected - at) {
            StrictViolation("gpadl-range", "list 0x%x: a range of 0x%x bytes at offset 0x%x",
                            gpadl->id, bytes, offset);
            return false;
        }
        if (!AddPages(gpadl, gpadl->words + at, count))
            return false;
        gpadl->bytes = bytes;
        gpadl->offset = offset;
        at += count;
    }
    if (at != gpadl->wordsExpected)
        StrictViolation("gpadl-bytes", "list 0x%x says %u words, its ranges need %u", gpadl->id,
                        gpadl->wordsExpected, at);
    return true;
}

static int ComparePages(const void *a, const void *b)
{
    const uint8_t *left = *(uint8_t *const *)a, *right = *(uint8_t *const *)b;

    return left < right ? -1 : left > right;
}

// Two lists with the same page: one of them will be overwritten through the other.
static void CheckShared(VmbusBus *bus, VmbusGpadl *gpadl)
{
    uint8_t **sorted = g_memdup2(gpadl->pages, gpadl->pageCount * sizeof(*sorted));
    VmbusGpadl *other;

    qsort(sorted, gpadl->pageCount, sizeof(*sorted), ComparePages);
    QTAILQ_FOREACH(other, &bus->gpadls, next)
    {
        for (uint32_t i = 0; other != gpadl && other->created && i < other->pageCount; i++) {
            if (bsearch(&other->pages[i], sorted, gpadl->pageCount, sizeof(*sorted),
                        ComparePages)) {
                StrictViolation("gpadl-shared", "lists 0x%x and 0x%x have a page in common",
                                gpadl->id, other->id);
                break;
            }
        }
    }
    g_free(sorted);
}

static void AddWords(VmbusBus *bus, VmbusGpadl *gpadl, const uint8_t *data, uint32_t length)
{
    uint32_t count = MIN(length / 8, gpadl->wordsExpected - gpadl->wordsSeen);

    memcpy(gpadl->words + gpadl->wordsSeen, data, count * 8);
    gpadl->wordsSeen += count;
    if (gpadl->wordsSeen < gpadl->wordsExpected)
        return;
    if (!Parse(gpadl)) {
        Answer(bus, gpadl->relid, gpadl->id, VmbusFailure);
        Free(bus, gpadl);
        return;
    }
    gpadl->created = true;
    CheckShared(bus, gpadl);
    HvTrace("list 0x%x of channel %u: %u pages", gpadl->id, gpadl->relid, gpadl->pageCount);
    Answer(bus, gpadl->relid, gpadl->id, 0);
}

void GpadlHeader(VmbusBus *bus, const uint8_t *message, uint32_t length)
{
    GpadlHeaderMessage header;
    VmbusGpadl *gpadl;

    memcpy(&header, message, sizeof(header));
    if (!ChannelFind(bus, header.relid) || FindExact(bus, header.relid, header.gpadl) ||
        FindUnfinished(bus, header.gpadl)) {
        StrictViolation("gpadl-header", "list 0x%x for channel %u, which %s", header.gpadl,
                        header.relid,
                        ChannelFind(bus, header.relid) ? "has that already" : "does not exist");
        Answer(bus, header.relid, header.gpadl, VmbusFailure);
        return;
    }
    if (header.rangeCount == 0 || header.rangeBytes % 8 != 0 || header.rangeBytes == 0) {
        StrictViolation("gpadl-header", "list 0x%x with %u ranges of %u bytes", header.gpadl,
                        header.rangeCount, header.rangeBytes);
        Answer(bus, header.relid, header.gpadl, VmbusFailure);
        return;
    }
    gpadl = g_new0(VmbusGpadl, 1);
    gpadl->relid = header.relid;
    gpadl->id = header.gpadl;
    gpadl->rangeCount = header.rangeCount;
    gpadl->wordsExpected = header.rangeBytes / 8;
    gpadl->words = g_new0(uint64_t, gpadl->wordsExpected);
    QTAILQ_INSERT_TAIL(&bus->gpadls, gpadl, next);
    Host->lists++;
    AddWords(bus, gpadl, message + sizeof(header), length - sizeof(header));
}

void GpadlBody(VmbusBus *bus, const uint8_t *message, uint32_t length)
{
    GpadlBodyMessage body;
    VmbusGpadl *gpadl;

    memcpy(&body, message, sizeof(body));
    gpadl = FindUnfinished(bus, body.gpadl);
    if (gpadl)
        AddWords(bus, gpadl, message + sizeof(body), length - sizeof(body));
    else
        StrictViolation("gpadl-body", "more of list 0x%x, which is not unfinished", body.gpadl);
}

static void TornDown(VmbusBus *bus, VmbusGpadl *gpadl)
{
    GpadlTorndownMessage answer = {{MessageGpadlTorndown, 0}, gpadl->id};

    Free(bus, gpadl);
    VmbusReply(bus, &answer, sizeof(answer));
}

void GpadlTeardown(VmbusBus *bus, const GpadlTeardownMessage *message)
{
    VmbusGpadl *gpadl = FindExact(bus, message->relid, message->gpadl);

    if (!gpadl || !gpadl->created || gpadl->tearingDown) {
        StrictViolation("gpadl-teardown", "teardown of list 0x%x, which channel %u does not have",
                        message->gpadl, message->relid);
        return;
    }
    if (gpadl->users != 0) {
        VmbusChannel *channel = ChannelFind(bus, gpadl->relid);
        gpadl->tearingDown = true;
        if (channel && channel->open)
            StrictViolation("gpadl-in-use", "teardown of list 0x%x of the open channel %u",
                            gpadl->id, gpadl->relid);
        return;
    }
    TornDown(bus, gpadl);
}

VmbusGpadl *GpadlFind(VmbusChannel *channel, uint32_t id)
{
    VmbusChannel *owner;

    // A device's lists may have come by any of its channels.
    QTAILQ_FOREACH(owner, &channel->bus->channels, next)
    {
        VmbusGpadl *gpadl = owner->device == channel->device && owner->device
                                ? FindExact(channel->bus, owner->relid, id)
                                : NULL;
        if (gpadl)
            return gpadl->created && !gpadl->tearingDown && gpadl->rangeCount == 1 &&
                           gpadl->offset == 0 && gpadl->bytes % HvPageSize == 0
                       ? gpadl
                       : NULL;
    }
    return NULL;
}

void GpadlUse(VmbusGpadl *gpadl)
{
    gpadl->users++;
}

void GpadlUnuse(VmbusBus *bus, VmbusGpadl *gpadl)
{
    assert(gpadl->users != 0);
    if (--gpadl->users == 0 && gpadl->tearingDown)
        TornDown(bus, gpadl);
}

void GpadlFailUnfinished(VmbusBus *bus, uint32_t relid)
{
    VmbusGpadl *gpadl, *after;

    QTAILQ_FOREACH_SAFE(gpadl, &bus->gpadls, next, after)
    {
        if (gpadl->relid == relid && !gpadl->created) {
            Answer(bus, gpadl->relid, gpadl->id, VmbusFailure);
            Free(bus, gpadl);
        }
    }
}

void GpadlForget(VmbusBus *bus)
{
    VmbusGpadl *gpadl, *after;

    QTAILQ_FOREACH_SAFE(gpadl, &bus->gpadls, next, after)
    Free(bus, gpadl);
}

bool GpadlExists(VmbusBus *bus, uint32_t id)
{
    VmbusGpadl *gpadl;

    QTAILQ_FOREACH(gpadl, &bus->gpadls, next)
    {
        if (gpadl->id == id)
            return true;
    }
    return false;
}

bool GpadlCopy(VmbusGpadl *gpadl, uint32_t offset, void *buffer, uint32_t length, bool write)
{
    uint8_t *bytes = buffer;

    if (offset > gpadl->bytes || length > gpadl->bytes - offset)
        return false;
    offset += gpadl->offset;
    while (length != 0) {
        uint32_t inPage = offset % HvPageSize, count = MIN(HvPageSize - inPage, length);
        uint8_t *page = gpadl->pages[offset / HvPageSize] + inPage;
        memcpy(write ? page : bytes, write ? bytes : page, count);
        bytes += count;
        offset += count;
        length -= count;
    }
    return true;
}
