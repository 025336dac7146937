// fuzz_kd.c - kernel/kd serves any host: the input is what it sends, in pieces that are raw bytes,
// well-formed packets with any content, silences, resets and lost acknowledgements.
// SPDX-License-Identifier: MIT
#include "../unit/kd_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static ModelLine line;
    static KdiLink link;
    enum { Raw, Request, Silence, Reset, Deaf, Kinds };
    ModelReset(&line);
    KdiInitializeLink(&link, &ModelLinePort, &line);
    for (size_t at = 0; at + 2 < size;) {
        uint8_t kind = data[at] % Kinds;
        size_t length = RTL_MIN((size_t)data[at + 1] | (size_t)(data[at] & 8) << 5, size - at - 2);
        const uint8_t *bytes = data + at + 2;
        KdManipulate request = {.ApiNumber = KdApiFirst + (length > 0 ? bytes[0] % 0x38 : 0)};
        switch (kind) {
        case Raw:
            ModelQueue(&line, bytes, length);
            break;
        case Request:
            memcpy(request.Bytes, bytes, RTL_MIN(length, sizeof request.Bytes));
            request.Processor = length > 1 ? bytes[1] % 6 : 0;
            if (length > 2 && (bytes[2] & 1)) // an address that means something
                request.Memory.Address = MODEL_BASE + (uint16_t)request.Memory.Address;
            ModelQueuePacket(&line, length > 3 ? bytes[3] % 12 : KdPacketManipulate, &request,
                             sizeof request, bytes, length);
            break;
        case Silence:
            line.SilenceLeft += (uint32_t)length % 8;
            break;
        case Reset:
            ModelQueueControl(&line, KdPacketReset, 0);
            line.NextId = KD_INITIAL_ID;
            break;
        case Deaf:
            line.Deaf = !line.Deaf;
            break;
        default:
            break;
        }
        at += 2 + length;
    }
    for (int stops = 0; stops < 8; stops++) {
        KdStateChange change = {.NewState = KD_STATE_EXCEPTION};
        if (KdiServe(&link, &change, "path", 5, 3).Verdict == KdiNobody)
            break;
    }
    return 0;
}
