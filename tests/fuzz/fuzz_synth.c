// fuzz_synth.c - hosts that say anything: the first byte chooses a device, the rest are the
// messages it sends, each behind its length. The state machines' own answers are checked for
// sanity.
// SPDX-License-Identifier: MIT
#include "synth/synth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { Keyboard, Mouse, Video, Storage, Network, Rndis, Frame, Integration, Pointer, Kinds };

static union {
    SynKeyboard Keyboard;
    SynMouse Mouse;
    SynVideo Video;
    SynStorage Storage;
    SynNetwork Network;
    SynRndis Rndis;
    SynIntegration Integration;
} State;

static void Check(bool good)
{
    if (!good)
        abort();
}

static void Start(uint8_t kind)
{
    SynMessage request = {};
    switch (kind % Kinds) {
    case Keyboard:
        SynStartKeyboard(&State.Keyboard, &request);
        break;
    case Mouse:
        SynStartMouse(&State.Mouse, &request);
        break;
    case Video:
        SynStartVideo(&State.Video, 0xF8000000, 8u << 20, (SynVideoMode){}, &request);
        break;
    case Storage:
        SynStartStorage(&State.Storage, 3, &request);
        break;
    case Network:
        SynStartNetwork(&State.Network, 1, 1u << 20, 2, 1u << 20, &request);
        break;
    case Rndis:
        SynStartRndis(&State.Rndis, true, &request);
        break;
    default:
        State.Integration = (SynIntegration){.Service = kind / Kinds % 4};
        break;
    }
    Check(request.Size <= sizeof(request.Bytes));
}

static void CheckPointer(const InputPointerEvent *event)
{
    Check(event->Relative ||
          (event->X >= 0 && event->X <= 65535 && event->Y >= 0 && event->Y <= 65535));
    Check(event->Buttons < 32);
}

static void SendVideo(const uint8_t *bytes, size_t size)
{
    SynMessage answer;
    SynVideoNeeds needs;
    if (SynReceiveVideo(&State.Video, bytes, size, &needs, &answer) != SynReady)
        return;
    SynVideoMode mode = State.Video.Mode;
    Check((uint64_t)mode.Width * mode.Height * 4 <= State.Video.MemorySize && mode.Width >= 320);
}

static void SendStorage(const uint8_t *bytes, size_t size)
{
    SynMessage request;
    SynCompletion completion;
    SynInquiry inquiry;
    SynCapacity capacity;
    uint64_t luns;
    bool protected;
    if (State.Storage.State != SynStorageReady) {
        (void)SynReceiveStorageAnswer(&State.Storage, bytes, size, &request);
        return;
    }
    Check(State.Storage.MaximumTransfer >= 4096 && State.Storage.Channels <= 3);
    (void)SynReceiveStorageNotice(bytes, size);
    if (SynReadCompletion(&State.Storage, bytes, size, 4096, &completion))
        Check(completion.Bytes <= 4096);
    (void)SynReadInquiry(bytes, size, &inquiry);
    (void)SynReadLuns(bytes, size, &luns);
    (void)SynReadCapacity(bytes, size, size & 1, &capacity);
    (void)SynReadModeSense(bytes, size, &protected);
}

static void SendNetwork(const uint8_t *bytes, size_t size)
{
    SynMessage request;
    bool flag;
    if (SynReceiveNetworkAnswer(&State.Network, bytes, size, &request) == SynReady)
        Check((uint64_t)State.Network.SendSectionSize * State.Network.SendSectionCount <=
              State.Network.SendSize);
    (void)SynReadNetworkSent(bytes, size, &flag);
    (void)SynReadNetworkReceived(bytes, size, &flag);
}

static void Send(uint8_t kind, uint8_t *bytes, size_t size)
{
    SynMessage message;
    SynKey key;
    SynFrame frame;
    SynIntegrationEvent occurred;
    InputPointerEvent event;
    InputHidPointer pointer;
    uint32_t answered;
    static const SynKeyValue values[] = {{"OSName", "MetalOS"}};
    switch (kind % Kinds) {
    case Keyboard:
        (void)SynReceiveKeyboard(&State.Keyboard, bytes, size, &key);
        break;
    case Mouse:
        if (SynReceiveMouse(&State.Mouse, bytes, size, &event, &message) == SynEvent)
            CheckPointer(&event);
        break;
    case Video:
        SendVideo(bytes, size);
        break;
    case Storage:
        SendStorage(bytes, size);
        break;
    case Network:
        SendNetwork(bytes, size);
        break;
    case Rndis:
        if (SynReceiveRndis(&State.Rndis, bytes, size, &message) == SynReady)
            Check(State.Rndis.MaximumFrame > 0 && State.Rndis.MaximumFrame <= 1500);
        break;
    case Frame:
        if (SynReadFrame(bytes, size, &frame))
            Check(frame.Offset + frame.Size <= size);
        break;
    case Integration:
        (void)SynServeIntegration(&State.Integration, values, 1, bytes, size, &answered, &occurred);
        Check(answered <= size);
        break;
    case Pointer:
        if (InputParsePointer(&pointer, bytes, size) &&
            InputDecodePointer(&pointer, bytes, size, &event))
            CheckPointer(&event);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    Start(data[0]);
    for (size_t at = 1; at + 2 < size;) {
        size_t length = RTL_MIN((size_t)(data[at] | data[at + 1] << 8), size - at - 2);
        uint8_t *copy = malloc(length + 1); // of its size, for the address sanitizer
        memcpy(copy, data + at + 2, length);
        Send(data[0], copy, length);
        free(copy);
        at += 2 + length;
    }
    return 0;
}
