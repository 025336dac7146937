// integration.c - the integration services: shutdown, heartbeat, time synchronisation, key-value
// pairs.
//
// The host speaks first, with the versions it knows; the answer names one. Then it sends requests,
// and each is sent back with its outcome filled in. The header is {framework version, type, message
// version, size behind the header, status, transaction, flags}.
// SPDX-License-Identifier: MIT
#include "wire.h"

enum {
    HeaderSize = 20,
    TypeNegotiate = 0,
    TypeHeartbeat = 1,
    TypeKeyValue = 2,
    TypeShutdown = 3,
    TypeTime = 4,
    OffsetType = 4,
    OffsetMessageVersion = 6,
    OffsetSize = 10,
    OffsetStatus = 12,
    OffsetFlags = 17,
    FlagTransaction = 1,
    FlagResponse = 4,
};
static constexpr uint32_t failure = 0x80004005, noMoreItems = 0x80070103, notFound = 0x80041002;
#define VERSION(major, minor) ((uint32_t)(major) << 16 | (minor))

static constexpr uint32_t frameworks[] = {VERSION(3, 0), VERSION(1, 0), 0};
static constexpr uint32_t shutdownVersions[] = {VERSION(3, 2), VERSION(3, 1), VERSION(3, 0),
                                                VERSION(1, 0), 0};
static constexpr uint32_t heartbeatVersions[] = {VERSION(3, 0), VERSION(1, 0), 0};
static constexpr uint32_t timeVersions[] = {VERSION(4, 0), VERSION(3, 0), VERSION(1, 0), 0};
static constexpr uint32_t keyValueVersions[] = {VERSION(4, 0), VERSION(3, 0), 0};

static const struct {
    uint16_t Type;
    const uint32_t *Versions;
} services[] = {
    [SynShutdownService] = {TypeShutdown, shutdownVersions},
    [SynHeartbeatService] = {TypeHeartbeat, heartbeatVersions},
    [SynTimeService] = {TypeTime, timeVersions},
    [SynKeyValueService] = {TypeKeyValue, keyValueVersions},
};

// ---- negotiation

static uint32_t ReadVersion(const uint8_t *at)
{
    return VERSION(SyniGet16(at), SyniGet16(at + 2));
}

// The first of ours that is among theirs; 0: none.
static uint32_t Choose(const uint32_t *ours, const uint8_t *theirs, uint32_t count)
{
    for (; *ours != 0; ours++)
        for (uint32_t i = 0; i < count; i++)
            if (ReadVersion(theirs + 4 * i) == *ours)
                return *ours;
    return 0;
}

static void WriteVersion(uint8_t *at, uint32_t version)
{
    SyniPut16(at, (uint16_t)(version >> 16));
    SyniPut16(at + 2, (uint16_t)version);
}

// {frameworks, messages, 0, a version each}
static SynVerdict Negotiate(SynIntegration *integration, uint8_t *body, size_t size,
                            uint32_t *bodySize)
{
    enum { CountsSize = 8, AnswerSize = 16 };
    if (size < CountsSize)
        return SynBroken;
    uint32_t frameworkCount = SyniGet16(body), versionCount = SyniGet16(body + 2);
    const uint8_t *offered = body + CountsSize;
    if ((frameworkCount + versionCount) * 4 > size - CountsSize)
        return SynBroken;
    uint32_t framework = Choose(frameworks, offered, frameworkCount),
             version = Choose(services[integration->Service].Versions,
                              offered + (size_t)4 * frameworkCount, versionCount);
    bool agreed = framework != 0 && version != 0;
    integration->Framework = agreed ? framework : 0;
    integration->Version = agreed ? version : 0;
    memset(body, 0, AnswerSize);
    SyniPut16(body, agreed);
    SyniPut16(body + 2, agreed);
    WriteVersion(body + 8, integration->Framework);
    WriteVersion(body + 12, integration->Version);
    *bodySize = AnswerSize;
    return agreed ? SynReady : SynRefused;
}

// ---- the services; each fills the outcome into the request's own body

// {reason, seconds, flags, text}
static SynVerdict TakeShutdown(const uint8_t *body, size_t size, uint32_t *status,
                               SynIntegrationEvent *event)
{
    enum { Force = 1, Restart = 2 };
    if (size < 12)
        return SynBroken;
    uint32_t flags = SyniGet32(body + 8);
    if (flags & ~(uint32_t)(Force | Restart)) { // hibernation
        *status = failure;
        return SynNothing;
    }
    event->Restart = flags & Restart;
    return SynEvent;
}

static SynVerdict TakeHeartbeat(uint8_t *body, size_t size, uint32_t *status,
                                SynIntegrationEvent *event)
{
    if (size < 8)
        return SynBroken;
    SyniPut64(body, SyniGet64(body) + 1); // the sequence number
    return SynNothing;
}

// Version 4: {host's time, reference time, flags, ...}; before: {host's, guest's, round trip,
// flags}.
static SynVerdict TakeTime(const SynIntegration *integration, const uint8_t *body, size_t size,
                           SynIntegrationEvent *event)
{
    static constexpr uint64_t unixEpoch = 116444736000000000; // 1601 to 1970, 100 ns
    static constexpr uint64_t latest = unixEpoch + UINT64_MAX / 2 / 100;
    bool four = integration->Version >= VERSION(4, 0);
    size_t flags = four ? 16 : 24;
    if (size < flags + 1)
        return SynBroken;
    uint64_t time = SyniGet64(body);
    if (time < unixEpoch || time > latest)
        return SynNothing;
    event->HostTime = (time - unixEpoch) * 100;
    event->Reference = four ? SyniGet64(body + 8) : 0;
    event->Sync = body[flags] & 1;
    return (body[flags] & 3) != 0 ? SynEvent : SynNothing; // bit 1: a sample
}

// {operation, pool, 0}, and for an enumeration {index, type, key size, value size, key, value}, for
// a look-up the same without the index; sizes in bytes of UTF-16 with its NUL.
enum {
    KeyOperation = 0,
    KeyPool = 1,
    KeyBody = 4,
    KeyGet = 0,
    KeyEnumerate = 3,
    KeyPoolAutomatic = 2, // what the machine says of itself
    KeyTypeString = 1,
    KeySize = 512,
    ValueSize = 2048,
    PairSize = 12 + KeySize + ValueSize,
};

static uint32_t WriteWide(uint8_t *at, size_t size, const char *text)
{
    size_t length = RTL_MIN(strlen(text), size / 2 - 1);
    for (size_t i = 0; i <= length; i++)
        SyniPut16(at + 2 * i, i < length ? (uint8_t)text[i] : 0);
    return (uint32_t)(2 * (length + 1));
}

static bool EqualsWide(const uint8_t *at, uint32_t bytes, const char *text)
{
    size_t length = strlen(text);
    if (bytes > KeySize || bytes < 2 * length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (SyniGet16(at + 2 * i) != (uint8_t)text[i])
            return false;
    return bytes == 2 * length || SyniGet16(at + 2 * length) == 0;
}

static void WritePair(uint8_t *pair, const SynKeyValue *value)
{
    memset(pair, 0, PairSize);
    SyniPut32(pair, KeyTypeString);
    SyniPut32(pair + 4, WriteWide(pair + 12, KeySize, value->Key));
    SyniPut32(pair + 8, WriteWide(pair + 12 + KeySize, ValueSize, value->Value));
}

static SynVerdict TakeKeyValue(const SynKeyValue *values, size_t count, uint8_t *body, size_t size,
                               uint32_t *status)
{
    if (size < KeyBody)
        return SynBroken;
    uint8_t operation = body[KeyOperation];
    if (operation == KeyEnumerate && body[KeyPool] == KeyPoolAutomatic) {
        if (size < KeyBody + 4 + PairSize)
            return SynBroken;
        uint32_t index = SyniGet32(body + KeyBody);
        if (index < count)
            WritePair(body + KeyBody + 4, &values[index]);
        else
            *status = noMoreItems;
    } else if (operation == KeyEnumerate) {
        *status = noMoreItems;
    } else if (operation == KeyGet) {
        if (size < KeyBody + PairSize)
            return SynBroken;
        *status = notFound;
        uint8_t *pair = body + KeyBody;
        for (size_t i = 0; i < count && *status != 0; i++)
            if (EqualsWide(pair + 12, SyniGet32(pair + 4), values[i].Key)) {
                WritePair(pair, &values[i]);
                *status = 0;
            }
    } else {
        *status = failure; // nothing can be changed from outside
    }
    return SynNothing;
}

static SynVerdict Serve(SynIntegration *integration, const SynKeyValue *values, size_t count,
                        uint8_t *body, size_t size, uint32_t *status, SynIntegrationEvent *event)
{
    switch (integration->Service) {
    case SynShutdownService:
        return TakeShutdown(body, size, status, event);
    case SynHeartbeatService:
        return TakeHeartbeat(body, size, status, event);
    case SynTimeService:
        return TakeTime(integration, body, size, event);
    case SynKeyValueService:
        return TakeKeyValue(values, count, body, size, status);
    }
    return SynBroken;
}

SynVerdict SynServeIntegration(SynIntegration *integration, const SynKeyValue *values, size_t count,
                               void *message, size_t size, uint32_t *answerSize,
                               SynIntegrationEvent *event)
{
    uint8_t *bytes = message;
    *answerSize = 0;
    *event = (SynIntegrationEvent){};
    if (size < HeaderSize)
        return SynBroken;
    uint8_t *body = bytes + HeaderSize;
    size_t bodySize = RTL_MIN(size - HeaderSize, SyniGet16(bytes + OffsetSize));
    uint32_t type = SyniGet16(bytes + OffsetType), status = 0,
             answered = SyniGet16(bytes + OffsetSize);
    SynVerdict verdict;
    if (type == TypeNegotiate) {
        if (size - HeaderSize < 16)
            return SynBroken;
        verdict = Negotiate(integration, body, bodySize, &answered);
    } else if (type != services[integration->Service].Type) {
        status = failure;
        verdict = SynNothing;
    } else if (integration->Version == 0) {
        return SynBroken;
    } else {
        verdict = Serve(integration, values, count, body, bodySize, &status, event);
    }
    if (verdict == SynBroken)
        return SynBroken;
    SyniPut16(bytes + OffsetSize, (uint16_t)answered);
    SyniPut32(bytes + OffsetStatus, status);
    bytes[OffsetFlags] = FlagTransaction | FlagResponse;
    *answerSize = (uint32_t)RTL_MIN(size, HeaderSize + answered);
    return verdict;
}
