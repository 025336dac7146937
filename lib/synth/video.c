// video.c - the synthetic video device.
//
// The driver asks for a version, asks which sizes the host suggests, says where in the bus's window
// of addresses the video memory is to appear, and what the picture is (its "situation"). From then
// on it names rectangles it has painted. The host may ask for all of that again at any time
// (feature change) and may say that nobody looks; it need not, and then everything is sent.
// SPDX-License-Identifier: MIT
#include "wire.h"

enum {
    VersionRequest = 1,
    VersionResponse = 2,
    MemoryLocation = 3,
    MemoryLocationAck = 4,
    Situation = 5,
    SituationAck = 6,
    PointerPosition = 7,
    PointerShape = 8,
    FeatureChange = 9,
    Dirt = 10,
    ModesRequest = 13,
    ModesResponse = 14,
    HeaderSize = 8, // counted by a message's size field
    EdidSize = 128,
    MinimumWidth = 320,
    MinimumHeight = 200,
    LastPart = 0xFF,
};
#define VERSION(major, minor) ((uint32_t)(minor) << 16 | (major))
static constexpr uint32_t versions[] = {VERSION(3, 5), VERSION(3, 4), VERSION(3, 2), VERSION(3, 0)};
static constexpr uint32_t firstWithModes = VERSION(3, 4);
static constexpr SynVideoMode plainMode = {1024, 768}; // every host has it
static constexpr uint64_t memoryContext = 1, situationContext = 2;

static void AskVersion(SynVideo *video, SynMessage *message)
{
    video->State = SynVideoVersionAsked;
    video->Version = versions[video->VersionIndex];
    SyniPut32(SyniBeginTyped(message, VersionRequest, 4, HeaderSize), video->Version);
}

static void AskModes(SynMessage *message)
{
    *SyniBeginTyped(message, ModesRequest, 1, HeaderSize) = SYN_VIDEO_MAXIMUM_MODES;
}

static void TellMemory(SynVideo *video, SynMessage *message)
{
    uint8_t *body = SyniBeginTyped(message, MemoryLocation, 17, HeaderSize);
    SyniPut64(body, memoryContext);
    body[8] = 1; // the address is given
    SyniPut64(body + 9, video->Memory);
    video->State = SynVideoMemoryTold;
}

static void BuildSituation(const SynVideo *video, SynMessage *message)
{
    uint8_t *body = SyniBeginTyped(message, Situation, 27, HeaderSize);
    SyniPut64(body, situationContext);
    body[8] = 1;   // outputs
    body[9] = 1;   // active
    body[14] = 32; // bits a pixel, behind an offset of 0
    SyniPut32(body + 15, video->Mode.Width);
    SyniPut32(body + 19, video->Mode.Height);
    SyniPut32(body + 23, video->Mode.Width * 4u);
}

static void TellSituation(SynVideo *video, SynMessage *message)
{
    BuildSituation(video, message);
    video->State = SynVideoSituationTold;
}

void SynStartVideo(SynVideo *video, uint64_t memory, uint32_t memorySize, SynVideoMode mode,
                   SynMessage *request)
{
    *video = (SynVideo){.Memory = memory,
                        .MemorySize = memorySize,
                        .Mode = mode,
                        .WantsDirt = true,
                        .Modes = {plainMode},
                        .ModeCount = 1};
    AskVersion(video, request);
}

bool SynIsVideoModeUsable(const SynVideo *video, SynVideoMode mode)
{
    return mode.Width >= MinimumWidth && mode.Height >= MinimumHeight && mode.Width % 2 == 0 &&
           (uint64_t)mode.Width * mode.Height * 4 <= video->MemorySize;
}

static SynVerdict TakeVersion(SynVideo *video, const uint8_t *body, size_t size, SynMessage *answer)
{
    if (video->State != SynVideoVersionAsked || size < 5)
        return SynBroken;
    if (body[4] == 0) { // any other value is a yes
        if (video->VersionIndex + 1 == RTL_COUNT_OF(versions))
            return SynRefused;
        video->VersionIndex++;
        AskVersion(video, answer);
        return SynNothing;
    }
    if (video->Version >= firstWithModes) {
        video->State = SynVideoModesAsked;
        AskModes(answer);
        return SynNothing;
    }
    if (!SynIsVideoModeUsable(video, video->Mode))
        video->Mode = plainMode;
    TellMemory(video, answer);
    return SynNothing;
}

// {EDID, count, index of the default, standard?, width and height each}
static bool ReadModes(SynVideo *video, const uint8_t *body, size_t size)
{
    if (size < EdidSize + 3)
        return false;
    uint32_t count = body[EdidSize], preferred = body[EdidSize + 1];
    const uint8_t *modes = body + EdidSize + 3;
    if (count > SYN_VIDEO_MAXIMUM_MODES || count * 4 > size - EdidSize - 3)
        return false;
    uint32_t used = 0;
    video->Preferred = (SynVideoMode){};
    for (uint32_t i = 0; i < count; i++) {
        SynVideoMode mode = {SyniGet16(modes + 4 * i), SyniGet16(modes + 4 * i + 2)};
        if (!SynIsVideoModeUsable(video, mode))
            continue;
        if (i == preferred)
            video->Preferred = mode;
        video->Modes[used++] = mode;
    }
    if (used > 0)
        video->ModeCount = used;
    if (video->Preferred.Width == 0)
        video->Preferred = video->Modes[0];
    return true;
}

static SynVerdict TakeModes(SynVideo *video, const uint8_t *body, size_t size, SynVideoNeeds *needs,
                            SynMessage *answer)
{
    bool again = video->AskedAgain;
    if ((video->State != SynVideoModesAsked && !again) || !ReadModes(video, body, size))
        return SynBroken;
    video->AskedAgain = false;
    if (again) {
        needs->Mode = true;
        BuildSituation(video, answer); // as it is until then
        return SynEvent;
    }
    if (!SynIsVideoModeUsable(video, video->Mode))
        video->Mode = video->Preferred;
    if (!SynIsVideoModeUsable(video, video->Mode))
        return SynRefused; // too little memory for anything
    TellMemory(video, answer);
    return SynNothing;
}

static SynVerdict TakeAck(SynVideo *video, uint32_t type, SynMessage *answer)
{
    if (type == MemoryLocationAck && video->State == SynVideoMemoryTold) {
        TellSituation(video, answer);
        return SynNothing;
    }
    if (type == SituationAck && video->State == SynVideoSituationTold) {
        video->State = SynVideoRunning;
        return SynReady;
    }
    // A situation that was told again is acknowledged again.
    return type == SituationAck && video->State > SynVideoMemoryTold ? SynNothing : SynBroken;
}

// {dirt, position, shape, situation: wanted?, [EDID changed?]}
static SynVerdict TakeFeatures(SynVideo *video, const uint8_t *body, size_t size,
                               SynVideoNeeds *needs, SynMessage *answer)
{
    if (size < 4)
        return SynBroken;
    video->WantsDirt = body[0] != 0;
    video->WantsPointer = body[1] != 0 && body[2] != 0;
    *needs = (SynVideoNeeds){.Repaint = body[0] != 0, .Pointer = true};
    if (video->State <= SynVideoMemoryTold) { // early: all of it is about to be told
        *needs = (SynVideoNeeds){};
        return SynNothing;
    }
    if (size > 4 && body[4] != 0 && video->Version >= firstWithModes && !video->AskedAgain) {
        video->AskedAgain = true;
        AskModes(answer); // and the situation when it is known
    } else if (body[3] != 0) {
        BuildSituation(video, answer);
    }
    return SynEvent;
}

SynVerdict SynReceiveVideo(SynVideo *video, const void *message, size_t size, SynVideoNeeds *needs,
                           SynMessage *answer)
{
    *needs = (SynVideoNeeds){};
    uint32_t type;
    const uint8_t *body;
    size_t bodySize;
    answer->Size = 0;
    if (!SyniReadTyped(message, size, &type, &body, &bodySize))
        return SynBroken;
    switch (type) {
    case VersionResponse:
        return TakeVersion(video, body, bodySize, answer);
    case ModesResponse:
        return TakeModes(video, body, bodySize, needs, answer);
    case MemoryLocationAck:
    case SituationAck:
        return TakeAck(video, type, answer);
    case FeatureChange:
        return TakeFeatures(video, body, bodySize, needs, answer);
    default:
        return SynNothing;
    }
}

Status SynSetVideoMode(SynVideo *video, SynVideoMode mode, SynMessage *message)
{
    if (!SynIsVideoModeUsable(video, mode))
        return StatusInvalidParameter;
    if (video->State < SynVideoSituationTold)
        return StatusDeviceNotReady;
    video->Mode = mode;
    TellSituation(video, message);
    return StatusSuccess;
}

void SynBuildVideoDirt(const SynVideo *video, const SynRect *rects, uint32_t count,
                       SynMessage *message)
{
    uint8_t *body =
        SyniBeginTyped(message, Dirt, 2 + count * (uint32_t)sizeof(SynRect), HeaderSize);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        SynRect cut = {RTL_MAX(rects[i].Left, 0), RTL_MAX(rects[i].Top, 0),
                       RTL_MIN(rects[i].Right, video->Mode.Width),
                       RTL_MIN(rects[i].Bottom, video->Mode.Height)};
        if (cut.Left < cut.Right && cut.Top < cut.Bottom)
            memcpy(body + 2 + used++ * sizeof(cut), &cut, sizeof(cut));
    }
    uint32_t size = 2 + used * (uint32_t)sizeof(SynRect);
    body[1] = (uint8_t)used;
    SyniPut32(message->Bytes + 4, HeaderSize + size);
    message->Size = used > 0 ? HeaderSize + size : 0;
}

// {visible, output, x, y}
void SynBuildVideoPosition(bool shown, int32_t x, int32_t y, SynMessage *message)
{
    uint8_t *body = SyniBeginTyped(message, PointerPosition, 10, HeaderSize);
    body[0] = shown;
    SyniPut32(body + 2, (uint32_t)x);
    SyniPut32(body + 6, (uint32_t)y);
}

// {part, colour?, width, height, hot x, hot y, pixels}
uint32_t SynBuildVideoPointer(uint32_t width, uint32_t height, uint32_t hotX, uint32_t hotY,
                              const uint32_t *pixels, void *message)
{
    uint8_t *bytes = message;
    uint32_t size = 18 + width * height * 4;
    SyniPut32(bytes, PointerShape);
    SyniPut32(bytes + 4, HeaderSize + size);
    bytes[8] = LastPart;
    bytes[9] = 1;
    SyniPut32(bytes + 10, width);
    SyniPut32(bytes + 14, height);
    SyniPut32(bytes + 18, hotX);
    SyniPut32(bytes + 22, hotY);
    memcpy(bytes + 26, pixels, (size_t)width * height * 4);
    return HeaderSize + size;
}
