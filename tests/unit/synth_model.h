// synth_model.h - a device of lib/synth and a host that says anything to it: for the tests and the
// fuzzer, which only make up the messages. What synth.h promises is checked; a broken promise
// aborts.
// SPDX-License-Identifier: MIT
#pragma once

#include "synth/synth.h"

#include <stdlib.h>

typedef enum SynKind {
    KindKeyboard,
    KindMouse,
    KindVideo,
    KindStorage,
    KindNetwork,
    KindRndis,
    KindShutdown,
    KindHeartbeat,
    KindTime,
    KindKeyValue,
    KindCount
} SynKind;

typedef struct SynModel {
    SynKind Kind;
    union {
        SynKeyboard Keyboard;
        SynMouse Mouse;
        SynVideo Video;
        SynStorage Storage;
        SynNetwork Network;
        SynRndis Rndis;
        SynIntegration Integration;
    };
} SynModel;

static inline void ModelCheck(bool good)
{
    if (!good)
        abort();
}

static inline void StartModel(SynModel *model, SynKind kind)
{
    SynMessage request = {};
    memset(model, 0, sizeof(*model));
    model->Kind = kind;
    switch (kind) {
    case KindKeyboard:
        SynStartKeyboard(&model->Keyboard, &request);
        break;
    case KindMouse:
        SynStartMouse(&model->Mouse, &request);
        break;
    case KindVideo:
        SynStartVideo(&model->Video, 0xF8000000, 8u << 20, (SynVideoMode){}, &request);
        break;
    case KindStorage:
        SynStartStorage(&model->Storage, 3, &request);
        break;
    case KindNetwork:
        SynStartNetwork(&model->Network, 1, 1u << 20, 2, 1u << 20, &request);
        break;
    case KindRndis:
        SynStartRndis(&model->Rndis, true, &request);
        break;
    default:
        model->Integration = (SynIntegration){.Service = (SynService)(kind - KindShutdown)};
        break;
    }
    ModelCheck(request.Size <= sizeof(request.Bytes));
}

// ---- what each is told

static inline SynVerdict TellModelInput(SynModel *model, const uint8_t *bytes, size_t size,
                                        SynMessage *answer)
{
    SynKey key = {};
    InputPointerEvent event = {};
    if (model->Kind == KindKeyboard) {
        SynVerdict verdict = SynReceiveKeyboard(&model->Keyboard, bytes, size, &key);
        ModelCheck(verdict != SynEvent || (key.Code != 0 && key.Code < 256));
        return verdict;
    }
    SynVerdict verdict = SynReceiveMouse(&model->Mouse, bytes, size, &event, answer);
    if (verdict == SynEvent && !event.Relative)
        ModelCheck(event.X >= 0 && event.X <= 65535 && event.Y >= 0 && event.Y <= 65535);
    ModelCheck(verdict != SynEvent || event.Buttons < 32);
    return verdict;
}

static inline SynVerdict TellModelVideo(SynModel *model, const uint8_t *bytes, size_t size,
                                        SynMessage *answer)
{
    SynVideoNeeds needs;
    SynVideo *video = &model->Video;
    SynVerdict verdict = SynReceiveVideo(video, bytes, size, &needs, answer);
    ModelCheck(verdict != SynReady || SynIsVideoModeUsable(video, video->Mode));
    ModelCheck(video->ModeCount > 0 && video->ModeCount <= SYN_VIDEO_MAXIMUM_MODES);
    for (uint32_t i = 0; i < video->ModeCount; i++)
        ModelCheck(SynIsVideoModeUsable(video, video->Modes[i]));
    return verdict;
}

static inline SynVerdict TellModelStorage(SynModel *model, const uint8_t *bytes, size_t size,
                                          SynMessage *answer)
{
    SynStorage *storage = &model->Storage;
    SynCompletion completion;
    SynInquiry inquiry;
    SynCapacity capacity;
    uint64_t luns;
    bool protected;
    if (storage->State != SynStorageReady)
        return SynReceiveStorageAnswer(storage, bytes, size, answer);
    ModelCheck(storage->MaximumTransfer >= 4096 && storage->Channels <= 3);
    if (SynReadCompletion(storage, bytes, size, 4096, &completion))
        ModelCheck(completion.Bytes <= 4096);
    (void)SynReadInquiry(bytes, size, &inquiry);
    (void)SynReadLuns(bytes, size, &luns);
    (void)SynReadCapacity(bytes, size, size & 1, &capacity);
    (void)SynReadModeSense(bytes, size, &protected);
    return SynReceiveStorageNotice(bytes, size);
}

static inline SynVerdict TellModelNetwork(SynModel *model, const uint8_t *bytes, size_t size,
                                          SynMessage *answer)
{
    SynNetwork *network = &model->Network;
    bool flag;
    SynVerdict verdict = SynReceiveNetworkAnswer(network, bytes, size, answer);
    if (network->State == SynNetworkReady)
        ModelCheck(network->SendSectionCount > 0 &&
                   (uint64_t)network->SendSectionSize * network->SendSectionCount <=
                       network->SendSize);
    (void)SynReadNetworkSent(bytes, size, &flag);
    (void)SynReadNetworkReceived(bytes, size, &flag);
    return verdict;
}

static inline SynVerdict TellModelRndis(SynModel *model, const uint8_t *bytes, size_t size,
                                        SynMessage *answer)
{
    SynFrame frame;
    SynVerdict verdict = SynReceiveRndis(&model->Rndis, bytes, size, answer);
    if (verdict == SynReady)
        ModelCheck(model->Rndis.MaximumFrame > 0 && model->Rndis.MaximumFrame <= 1500);
    if (SynReadFrame(bytes, size, &frame))
        ModelCheck((uint64_t)frame.Offset + frame.Size <= size);
    return verdict;
}

static inline SynVerdict TellModelService(SynModel *model, uint8_t *bytes, size_t size)
{
    static const SynKeyValue pairs[] = {{"OSName", "MetalOS"}, {"OSVersion", "0.1"}};
    uint32_t answered;
    SynIntegrationEvent event;
    SynVerdict verdict =
        SynServeIntegration(&model->Integration, pairs, 2, bytes, size, &answered, &event);
    ModelCheck(answered <= size && (verdict != SynBroken || answered == 0));
    return verdict;
}

// bytes: exactly size of them, so that a sanitizer sees a byte read too many.
static inline SynVerdict TellModel(SynModel *model, uint8_t *bytes, size_t size)
{
    SynModel before = *model;
    SynMessage answer = {};
    SynVerdict verdict;
    switch (model->Kind) {
    case KindKeyboard:
    case KindMouse:
        verdict = TellModelInput(model, bytes, size, &answer);
        break;
    case KindVideo:
        verdict = TellModelVideo(model, bytes, size, &answer);
        break;
    case KindStorage:
        verdict = TellModelStorage(model, bytes, size, &answer);
        break;
    case KindNetwork:
        verdict = TellModelNetwork(model, bytes, size, &answer);
        break;
    case KindRndis:
        verdict = TellModelRndis(model, bytes, size, &answer);
        break;
    default:
        verdict = TellModelService(model, bytes, size);
        break;
    }
    ModelCheck(answer.Size <= sizeof(answer.Bytes));
    if (verdict == SynBroken) // may be dropped: nothing has happened
        ModelCheck(answer.Size == 0 && memcmp(&before, model, sizeof(before)) == 0);
    return verdict;
}
