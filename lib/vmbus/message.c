// message.c - the control messages: building the guest's, checking the host's.
// SPDX-License-Identifier: MIT
#include "vmbus.h"

#include "rtl/rtl.h"

// ------------------------------------------------------------------------------ wire formats

typedef struct Header {
    uint32_t Type, Reserved;
} Header;

typedef struct __attribute__((packed)) OfferMessage {
    Header Header;
    VmbusGuid Class, Instance;
    uint64_t Reserved[2];
    uint16_t Flags, MmioMegabytes;
    uint8_t UserData[VMBUS_USER_DATA];
    uint16_t SubIndex, OptionalMegabytes;
    uint32_t Channel;
    uint8_t MonitorId, MonitorAllocated;
    uint16_t Dedicated;
    uint32_t Connection;
} OfferMessage;
static_assert(sizeof(OfferMessage) == 196 && offsetof(OfferMessage, Channel) == 184);

typedef struct ChannelMessage { // rescind, close, released; open result and GPADL answers are
                                // longer
    Header Header;
    uint32_t Channel;
    uint32_t Id; // OPEN_RESULT: the open's; GPADL_CREATED, GPADL_TEARDOWN: the GPADL's
    int32_t Status;
} ChannelMessage;
static_assert(sizeof(ChannelMessage) == 20);

typedef struct TorndownMessage {
    Header Header;
    uint32_t Gpadl;
} TorndownMessage;

typedef struct ContactMessage {
    Header Header;
    uint32_t Version, Processor;
    uint8_t Interrupt, TrustLevel; // a u64 with the interrupt page, always 0, before 5.0
    uint16_t Reserved;
    uint32_t Features;
    uint64_t MonitorPages[2]; // none
} ContactMessage;
static_assert(sizeof(ContactMessage) == 40);

typedef struct VersionResponse {
    Header Header;
    uint8_t Supported, State;
    uint16_t Reserved;
    uint32_t Connection; // from 5.0 on
} VersionResponse;
static_assert(sizeof(VersionResponse) == 16);

typedef struct OpenMessage {
    Header Header;
    uint32_t Channel, OpenId, Gpadl, Processor, ReceivePage;
    uint8_t UserData[VMBUS_USER_DATA];
} OpenMessage;
static_assert(sizeof(OpenMessage) == 148);

typedef struct GpadlHeaderMessage {
    Header Header;
    uint32_t Channel, Gpadl;
    uint16_t RangeBytes, RangeCount;
    uint32_t ByteCount, ByteOffset;
    uint8_t Frames[]; // u64, not aligned
} GpadlHeaderMessage;
static_assert(sizeof(GpadlHeaderMessage) == 28);
#define HEADER_FRAMES 26u // as many as fit

typedef struct GpadlBodyMessage {
    Header Header;
    uint32_t Number, Gpadl;
    uint8_t Frames[];
} GpadlBodyMessage;
static_assert(sizeof(GpadlBodyMessage) == 16);
#define BODY_FRAMES 28u

// ---------------------------------------------------------------------------------- the host's

static bool IsChannel(uint32_t channel)
{
    return channel != 0 && channel < VMBUS_CHANNELS;
}

static bool ParseOffer(const void *bytes, size_t size, VmbusMessage *message)
{
    OfferMessage offer;
    if (size < sizeof(offer))
        return false;
    memcpy(&offer, bytes, sizeof(offer));
    message->Channel = offer.Channel;
    message->Offer = (VmbusOffer){
        .Class = offer.Class,
        .Instance = offer.Instance,
        .Flags = offer.Flags,
        .MmioMegabytes = offer.MmioMegabytes,
        .SubIndex = offer.SubIndex,
        .Channel = offer.Channel,
        .Connection = offer.Connection,
    };
    memcpy(message->Offer.UserData, offer.UserData, sizeof(offer.UserData));
    return IsChannel(offer.Channel);
}

static bool ParseVersion(const void *bytes, size_t size, uint32_t version, VmbusMessage *message)
{
    VersionResponse response;
    if (size < sizeof(response))
        return false;
    memcpy(&response, bytes, sizeof(response));
    message->Supported = response.Supported != 0 && response.State == 0;
    message->Connection =
        message->Supported && version >= VMBUS_VERSION(5, 0) ? response.Connection : 0;
    return true;
}

// size of the message without what the type does not have.
static bool ParseChannel(const void *bytes, size_t size, size_t needed, VmbusMessage *message)
{
    ChannelMessage channel = {0};
    if (size < needed)
        return false;
    memcpy(&channel, bytes, needed);
    message->Channel = channel.Channel;
    message->OpenId = message->Gpadl = channel.Id;
    message->Status = channel.Status;
    return IsChannel(channel.Channel);
}

bool VmbusParseMessage(const void *bytes, size_t size, uint32_t version, VmbusMessage *message)
{
    Header header;
    TorndownMessage torndown;
    *message = (VmbusMessage){0};
    if (size < sizeof(header))
        return false;
    memcpy(&header, bytes, sizeof(header));
    message->Type = (VmbusMessageType)header.Type;
    switch (message->Type) {
    case VmbusOfferChannel:
        return ParseOffer(bytes, size, message);
    case VmbusRescind:
        return ParseChannel(bytes, size, offsetof(ChannelMessage, Id), message);
    case VmbusOpenResult:
    case VmbusGpadlCreated:
        return ParseChannel(bytes, size, sizeof(ChannelMessage), message);
    case VmbusGpadlTorndown:
        if (size < sizeof(torndown))
            return false;
        memcpy(&torndown, bytes, sizeof(torndown));
        message->Gpadl = torndown.Gpadl;
        return true;
    case VmbusVersionResponse:
        return ParseVersion(bytes, size, version, message);
    case VmbusAllOffersDelivered:
    case VmbusUnloadComplete:
        return true;
    default:
        return false;
    }
}

// --------------------------------------------------------------------------------- the guest's

size_t VmbusBuildContact(VmbusBytes *to, uint32_t version, uint32_t processor, uint8_t interrupt)
{
    ContactMessage message = {
        .Header.Type = VmbusInitiateContact,
        .Version = version,
        .Processor = processor,
        .Interrupt = version >= VMBUS_VERSION(5, 0) ? interrupt : 0,
    };
    memcpy(to, &message, sizeof(message));
    return sizeof(message);
}

size_t VmbusBuildPlain(VmbusBytes *to, VmbusMessageType type)
{
    Header message = {.Type = type};
    memcpy(to, &message, sizeof(message));
    return sizeof(message);
}

size_t VmbusBuildChannel(VmbusBytes *to, VmbusMessageType type, uint32_t channel, uint32_t gpadl)
{
    ChannelMessage message = {.Header.Type = type, .Channel = channel, .Id = gpadl};
    memcpy(to, &message, sizeof(message));
    return type == VmbusGpadlTeardown ? offsetof(ChannelMessage, Status)
                                      : offsetof(ChannelMessage, Id);
}

size_t VmbusBuildOpen(VmbusBytes *to, uint32_t channel, uint32_t openId, uint32_t gpadl,
                      uint32_t processor, uint32_t receivePage, const uint8_t *userData)
{
    OpenMessage message = {
        .Header.Type = VmbusOpen,
        .Channel = channel,
        .OpenId = openId,
        .Gpadl = gpadl,
        .Processor = processor,
        .ReceivePage = receivePage,
    };
    memcpy(message.UserData, userData, sizeof(message.UserData));
    memcpy(to, &message, sizeof(message));
    return sizeof(message);
}

static size_t AppendFrames(VmbusGpadl *gpadl, uint8_t *to, uint32_t room,
                           uint64_t (*frameOf)(void *context, uint32_t page), void *context)
{
    uint32_t count = RTL_MIN(gpadl->Pages - gpadl->Done, room);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t frame = frameOf(context, gpadl->Done++);
        memcpy(to + i * sizeof(frame), &frame, sizeof(frame));
    }
    return count * sizeof(uint64_t);
}

size_t VmbusBuildGpadl(VmbusGpadl *gpadl, VmbusBytes *to,
                       uint64_t (*frameOf)(void *context, uint32_t page), void *context)
{
    uint8_t *bytes = (uint8_t *)to;
    if (gpadl->Done == gpadl->Pages || gpadl->Pages > VMBUS_GPADL_PAGES)
        return 0;
    if (gpadl->Messages++ == 0) {
        GpadlHeaderMessage header = {
            .Header.Type = VmbusGpadlHeader,
            .Channel = gpadl->Channel,
            .Gpadl = gpadl->Id,
            .RangeBytes = (uint16_t)(8 + 8 * gpadl->Pages),
            .RangeCount = 1,
            .ByteCount = gpadl->Pages * 4096,
        };
        memcpy(bytes, &header, sizeof(header));
        return sizeof(header) +
               AppendFrames(gpadl, bytes + sizeof(header), HEADER_FRAMES, frameOf, context);
    }
    GpadlBodyMessage body = {
        .Header.Type = VmbusGpadlBody, .Number = gpadl->Messages - 1, .Gpadl = gpadl->Id};
    memcpy(bytes, &body, sizeof(body));
    return sizeof(body) + AppendFrames(gpadl, bytes + sizeof(body), BODY_FRAMES, frameOf, context);
}
