// Tests of lib/synth and lib/input/hid.c: each device's conversation with a host that keeps to the
// protocol, the variants hosts are known for, and messages cut short at every byte. (Hosts that lie
// are test_liars.c's.)
// SPDX-License-Identifier: MIT
#include "synth_words.h"
#include "unit.h"

static uint32_t Word(const SynMessage *message, size_t at)
{
    uint32_t value;
    memcpy(&value, message->Bytes + at, sizeof(value));
    return value;
}

// ---- keyboard

static const char *Key(SynKeyboard *keyboard, uint16_t code, uint32_t info)
{
    static char text[16];
    SynKey key = {};
    Bytes event = WORDS(3, code, info);
    SynVerdict verdict = SynReceiveKeyboard(keyboard, event.Data, event.Size, &key);
    if (verdict == SynEvent)
        snprintf(text, sizeof(text), "%c%02X", key.Pressed ? '+' : '-', key.Code);
    else
        snprintf(text, sizeof(text), "%d", verdict);
    return text;
}

static void Keyboard(void)
{
    SynKeyboard keyboard;
    SynMessage message;
    SynKey key;
    SynStartKeyboard(&keyboard, &message);
    CHECK_EQUAL(message.Size, 8);
    CHECK_EQUAL(Word(&message, 0), 1);
    CHECK_EQUAL(Word(&message, 4), 0x10000);
    CHECK_TEXT(Key(&keyboard, 0x1E, 0), "4"); // too early
    Bytes no = WORDS(2, 0), yes = WORDS(2, 1);
    CHECK_EQUAL(SynReceiveKeyboard(&keyboard, no.Data, no.Size, &key), SynRefused);
    CHECK_EQUAL(SynReceiveKeyboard(&keyboard, yes.Data, yes.Size, &key), SynReady);
    CHECK_EQUAL(SynReceiveKeyboard(&keyboard, yes.Data, yes.Size, &key), SynBroken);
    CHECK_TEXT(Key(&keyboard, 0x1E, 0), "+04");
    CHECK_TEXT(Key(&keyboard, 0x1E, 2), "-04");
    CHECK_TEXT(Key(&keyboard, 0x48, 4), "+52"); // E0: the arrow, not the keypad
    CHECK_TEXT(Key(&keyboard, 0x48, 6), "-52");
    CHECK_TEXT(Key(&keyboard, 0x48, 0), "+60");
    CHECK_TEXT(Key(&keyboard, 0x1D, 8), "0"); // Pause is two messages, the first with E1
    CHECK_TEXT(Key(&keyboard, 0x45, 0), "+48");
    CHECK_TEXT(Key(&keyboard, 0x1D, 10), "0");
    CHECK_TEXT(Key(&keyboard, 0x45, 2), "-48");
    CHECK_TEXT(Key(&keyboard, 0x2A, 4), "0"); // a shift that a key wraps itself in
    CHECK_TEXT(Key(&keyboard, 0x41, 1), "0"); // a character
    CHECK_TEXT(Key(&keyboard, 0x1234, 0), "0");
    SynBuildKeyboardLights(false, true, true, &message);
    CHECK_EQUAL(message.Size, 8);
    CHECK_EQUAL(Word(&message, 0), 4);
    CHECK_EQUAL(Word(&message, 4), 6);
}

// ---- mouse

static void Descriptors(void)
{
    InputHidPointer pointer;
    InputPointerEvent event;
    CHECK(InputParsePointer(&pointer, oldDescriptor, sizeof(oldDescriptor)));
    CHECK_EQUAL(pointer.Wheel.Size, 8);
    CHECK(InputDecodePointer(&pointer, "\x05\x00\x00\xff\x7f\xff\x00", 7, &event));
    CHECK(!event.Relative);
    CHECK_EQUAL(event.X, 0);
    CHECK_EQUAL(event.Y, 65535);
    CHECK_EQUAL(event.Wheel, -1);
    CHECK_EQUAL(event.Buttons, 5);
    CHECK(!InputDecodePointer(&pointer, "\x05\x00\x00\xff\x7f", 5, &event));

    CHECK(InputParsePointer(&pointer, newDescriptor, sizeof(newDescriptor)));
    CHECK_EQUAL(pointer.Wheel.Size, 16);
    CHECK(InputDecodePointer(&pointer, "\x12\x00\x40\xff\xff\xfe\xff", 7, &event));
    CHECK_EQUAL(event.X, 32768);
    CHECK_EQUAL(event.Y, 65535); // beyond the maximum
    CHECK_EQUAL(event.Wheel, -2);
    CHECK_EQUAL(event.Buttons, 0x12);

    CHECK(InputParsePointer(&pointer, secondReport, sizeof(secondReport)));
    CHECK_EQUAL(pointer.ReportId, 2);
    CHECK(!InputDecodePointer(&pointer, "\x01\x00\x00\x00\x00\x00\x00", 7, &event));
    CHECK(InputDecodePointer(&pointer, "\x02\x01\xff\x10", 4, &event));
    CHECK(event.Relative);
    CHECK_EQUAL(event.X, -1);
    CHECK_EQUAL(event.Y, 16);
    for (size_t size = 0; size < 45; size++) // X and Y come later
        CHECK(!InputParsePointer(&pointer, newDescriptor, size));
    // Counts and sizes beyond all reason.
    CHECK(!InputParsePointer(&pointer, "\x75\x20\x97\xff\xff\xff\xff\x81\x02", 9));
    CHECK(!InputParsePointer(&pointer, "\xc0", 1));
}

static void Mouse(void)
{
    SynMouse mouse;
    SynMessage message;
    InputPointerEvent event;
    SynStartMouse(&mouse, &message);
    CHECK_EQUAL(message.Size, 12);
    CHECK_EQUAL(Word(&message, 8), 0x20000);
    Bytes accepted = Typed(1, "\0\0\2\0\1", 5), refused = Typed(1, "\0\0\2\0\0", 5);
    Bytes info = DeviceInfo(oldDescriptor, sizeof(oldDescriptor), 57);
    Bytes report = Typed(4, "\1\0\0\0\0\0\0\0", 8);
    CHECK_EQUAL(SynReceiveMouse(&mouse, refused.Data, refused.Size, &event, &message), SynRefused);
    CHECK_EQUAL(SynReceiveMouse(&mouse, info.Data, info.Size, &event, &message), SynBroken);
    CHECK_EQUAL(SynReceiveMouse(&mouse, accepted.Data, accepted.Size, &event, &message),
                SynNothing);
    for (size_t size = 0; size < 8 + 41 + sizeof(oldDescriptor); size++)
        CHECK_EQUAL(SynReceiveMouse(&mouse, info.Data, size, &event, &message), SynBroken);
    CHECK_EQUAL(SynReceiveMouse(&mouse, report.Data, report.Size, &event, &message), SynBroken);
    CHECK_EQUAL(SynReceiveMouse(&mouse, info.Data, info.Size, &event, &message), SynReady);
    CHECK_EQUAL(message.Size, 9);
    CHECK_EQUAL(Word(&message, 0), 3);
    CHECK_EQUAL(SynReceiveMouse(&mouse, report.Data, report.Size, &event, &message), SynEvent);
    CHECK_EQUAL(event.Buttons, 1);
}

// ---- video

static SynVerdict Tell(SynVideo *video, Bytes message, SynMessage *answer)
{
    SynVideoNeeds needs;
    return SynReceiveVideo(video, message.Data, message.Size, &needs, answer);
}

static void Video(void)
{
    static const SynVideoMode modes[] = {{1024, 768}, {1280, 720}, {7680, 4320}, {3, 3}};
    SynVideo video;
    SynMessage message;
    SynStartVideo(&video, 0xF8000000, 8u << 20, (SynVideoMode){}, &message);
    CHECK_EQUAL(Word(&message, 0), 1);
    CHECK_EQUAL(Word(&message, 8), 5u << 16 | 3);
    CHECK_EQUAL(Tell(&video, Typed(2, "\3\0\5\0\0\1", 6), &message), SynNothing);
    CHECK_EQUAL(Word(&message, 8), 4u << 16 | 3); // refused: the next
    CHECK_EQUAL(Tell(&video, Typed(2, "\3\0\4\0\2\1", 6), &message), SynNothing); // 2 is a yes
    CHECK_EQUAL(Word(&message, 0), 13);
    CHECK_EQUAL(message.Bytes[8], 64);
    Bytes cut = ModeList(4, 1, modes);
    cut.Size--;
    CHECK_EQUAL(Tell(&video, cut, &message), SynBroken);
    CHECK_EQUAL(Tell(&video, ModeList(4, 1, modes), &message), SynNothing);
    CHECK_EQUAL(video.ModeCount, 2);
    CHECK_EQUAL(video.Mode.Width, 1280);
    CHECK_EQUAL(Word(&message, 0), 3);
    CHECK_EQUAL(Word(&message, 17), 0xF8000000);
    CHECK_EQUAL(Tell(&video, Typed(6, "12345678", 8), &message), SynBroken);
    CHECK_EQUAL(Tell(&video, Typed(4, "12345678", 8), &message), SynNothing);
    CHECK_EQUAL(Word(&message, 0), 5);
    CHECK_EQUAL(Word(&message, 18), 0); // the offset must be
    CHECK_EQUAL(message.Bytes[22], 32);
    CHECK_EQUAL(Word(&message, 23), 1280);
    CHECK_EQUAL(Word(&message, 27), 720);
    CHECK_EQUAL(Word(&message, 31), 1280 * 4);
    CHECK_EQUAL(message.Size, 35);
    CHECK_EQUAL(Tell(&video, Typed(6, "12345678", 8), &message), SynReady);

    SynVideoNeeds needs;
    Bytes features = Typed(9, "\1\0\1\1", 4);
    CHECK_EQUAL(SynReceiveVideo(&video, features.Data, features.Size, &needs, &message), SynEvent);
    CHECK(needs.Repaint && needs.Pointer && !video.WantsPointer);
    CHECK_EQUAL(Word(&message, 0), 5);
    CHECK_EQUAL(Tell(&video, Typed(6, "12345678", 8), &message), SynNothing);
    CHECK_EQUAL(Tell(&video, ModeList(4, 1, modes), &message), SynBroken); // unasked
    features = Typed(9, "\1\1\1\1\1", 5);                                  // the EDID has changed
    CHECK_EQUAL(SynReceiveVideo(&video, features.Data, features.Size, &needs, &message), SynEvent);
    CHECK_EQUAL(Word(&message, 0), 13);
    Bytes list = ModeList(4, 0, modes);
    CHECK_EQUAL(SynReceiveVideo(&video, list.Data, list.Size, &needs, &message), SynEvent);
    CHECK(needs.Mode && video.Preferred.Width == 1024 && video.Mode.Width == 1280);
    CHECK_EQUAL(Word(&message, 0), 5);
    CHECK_EQUAL(SynSetVideoMode(&video, (SynVideoMode){1920, 1080}, &message), StatusSuccess);
    CHECK_EQUAL(Tell(&video, Typed(6, "12345678", 8), &message), SynReady);
    CHECK_EQUAL(SynSetVideoMode(&video, (SynVideoMode){1922, 1200}, &message),
                StatusInvalidParameter); // 8 MiB hold 1920 by 1092
    SynRect rects[] = {{-5, -5, 10, 10}, {1900, 1000, 4000, 4000}, {5, 5, 5, 9}};
    SynBuildVideoDirt(&video, rects, 3, &message);
    CHECK_EQUAL(message.Size, 8 + 2 + 32);
    CHECK_EQUAL(message.Bytes[9], 2);
    CHECK_EQUAL(Word(&message, 10), 0);
    CHECK_EQUAL(Word(&message, 34), 1920);
    SynBuildVideoDirt(&video, rects + 2, 1, &message);
    CHECK_EQUAL(message.Size, 0);
}

// A host of before 3.4 is not asked for sizes; one that lists none has its plain one.
static void VideoPointer(void)
{
    static const SynVideoMode modes[] = {{1024, 768}};
    SynVideo video;
    SynMessage message;
    SynStartVideo(&video, 0xF8000000, 8u << 20, (SynVideoMode){}, &message);
    CHECK_EQUAL(Tell(&video, Typed(2, "\3\0\5\0\1\1", 6), &message), SynNothing);
    CHECK_EQUAL(Tell(&video, Typed(9, "\1\1\1\1", 4), &message), SynNothing); // early
    CHECK(video.WantsPointer && message.Size == 0);
    CHECK_EQUAL(Tell(&video, Typed(9, "\1\1", 2), &message), SynBroken);
    CHECK_EQUAL(Tell(&video, ModeList(1, 0, modes), &message), SynNothing);
    CHECK_EQUAL(Word(&message, 0), 3);

    SynBuildVideoPosition(true, -2, 700, &message);
    CHECK_EQUAL(message.Size, 18);
    CHECK_EQUAL(Word(&message, 0), 7);
    CHECK(message.Bytes[8] == 1 && message.Bytes[9] == 0);
    CHECK_EQUAL(Word(&message, 10), (uint32_t)-2);
    CHECK_EQUAL(Word(&message, 14), 700);
    const uint32_t pixels[6] = {1, 2, 3, 4, 5, 0xFF000006};
    uint8_t shape[26 + sizeof(pixels)];
    CHECK_EQUAL(SynBuildVideoPointer(3, 2, 1, 0, pixels, shape), sizeof(shape));
    memcpy(message.Bytes, shape, sizeof(shape));
    CHECK_EQUAL(Word(&message, 0), 8);
    CHECK_EQUAL(Word(&message, 4), sizeof(shape));
    CHECK(shape[8] == 0xFF && shape[9] == 1);
    CHECK(Word(&message, 10) == 3 && Word(&message, 14) == 2 && Word(&message, 18) == 1 &&
          Word(&message, 22) == 0);
    CHECK(memcmp(shape + 26, pixels, sizeof(pixels)) == 0);
}

static void VideoOfOldHosts(void)
{
    SynVideo video;
    SynMessage message;
    SynStartVideo(&video, 0xF8000000, 8u << 20, (SynVideoMode){800, 600}, &message);
    CHECK_EQUAL(Tell(&video, Typed(2, "\3\0\5\0\0\1", 6), &message), SynNothing);
    CHECK_EQUAL(Tell(&video, Typed(2, "\3\0\4\0\0\1", 6), &message), SynNothing);
    CHECK_EQUAL(Tell(&video, Typed(2, "\3\0\2\0\1\1", 6), &message), SynNothing);
    CHECK_EQUAL(Word(&message, 0), 3);
    CHECK_EQUAL(video.Mode.Width, 800);
    SynStartVideo(&video, 0xF8000000, 8u << 20, (SynVideoMode){}, &message);
    CHECK_EQUAL(Tell(&video, Typed(2, "\3\0\5\0\1\1", 6), &message), SynNothing);
    CHECK_EQUAL(Tell(&video, ModeList(0, 0, nullptr), &message), SynNothing);
    CHECK_EQUAL(video.Mode.Width, 1024);
    SynStartVideo(&video, 0xF8000000, 8u << 20, (SynVideoMode){}, &message);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(Tell(&video, Typed(2, "\0\0\0\0\0\0", 6), &message), SynNothing);
    CHECK_EQUAL(Tell(&video, Typed(2, "\0\0\0\0\0\0", 6), &message), SynRefused);
}

// ---- storage

static SynVerdict AnswerStorage(SynStorage *storage, uint32_t status, Bytes body, SynMessage *next)
{
    Bytes packet = WORDS(1, 0, status);
    AddBytes(&packet, body.Data, body.Size);
    return SynReceiveStorageAnswer(storage, packet.Data, SYN_STORAGE_PACKET_SIZE, next);
}

static void Storage(void)
{
    SynStorage storage;
    SynMessage message;
    Bytes none = {}, properties = WORDS(0, 7, 1, 0x40010);
    SynStartStorage(&storage, 3, &message);
    CHECK_EQUAL(message.Size, 64);
    CHECK_EQUAL(Word(&message, 0), 7);
    CHECK_EQUAL(AnswerStorage(&storage, 0, none, &message), SynNothing);
    CHECK_EQUAL(Word(&message, 0), 9);
    CHECK_EQUAL(Word(&message, 12), 0x602);
    CHECK_EQUAL(AnswerStorage(&storage, 0xC0000059, none, &message), SynNothing);
    CHECK_EQUAL(Word(&message, 12), 0x600);
    CHECK_EQUAL(AnswerStorage(&storage, 0, none, &message), SynNothing);
    CHECK_EQUAL(Word(&message, 0), 10);
    CHECK_EQUAL(AnswerStorage(&storage, 0, properties, &message), SynNothing);
    CHECK_EQUAL(storage.MaximumTransfer, 0x40000);
    CHECK_EQUAL(Word(&message, 0), 13);
    CHECK_EQUAL(Word(&message, 12), 3);
    CHECK_EQUAL(AnswerStorage(&storage, 0xC000000D, none, &message), SynNothing);
    CHECK_EQUAL(storage.Channels, 0);
    CHECK_EQUAL(Word(&message, 0), 8);
    CHECK_EQUAL(AnswerStorage(&storage, 0, none, &message), SynReady);
    CHECK_EQUAL(storage.RequestSize, 64);
    CHECK_EQUAL(AnswerStorage(&storage, 0, none, &message), SynBroken);
    Bytes notice = WORDS(11, 0, 0);
    CHECK_EQUAL(SynReceiveStorageNotice(notice.Data, notice.Size), SynEvent);
    CHECK_EQUAL(SynReceiveStorageNotice(notice.Data, 11), SynBroken);
}

static void StorageOfOldHosts(void)
{
    SynStorage storage;
    SynMessage message;
    Bytes none = {}, properties = WORDS(0, 0, 0, 0);
    SynStartStorage(&storage, 0, &message);
    CHECK_EQUAL(AnswerStorage(&storage, 0, none, &message), SynNothing);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(AnswerStorage(&storage, 1, none, &message), SynNothing);
    CHECK_EQUAL(Word(&message, 12), 0x402);
    CHECK_EQUAL(AnswerStorage(&storage, 0, none, &message), SynNothing);
    CHECK_EQUAL(storage.RequestSize, 48);
    CHECK_EQUAL(AnswerStorage(&storage, 0, properties, &message), SynNothing);
    CHECK_EQUAL(Word(&message, 0), 8);
    uint8_t packet[64];
    SynCommand command;
    SynBuildFlush(&command, (SynUnit){0, 0, 5});
    SynBuildCommand(&storage, &command, packet);
    CHECK_EQUAL(packet[12], 0x24);
    CHECK_EQUAL(packet[12 + 7], 5);
    CHECK_EQUAL(packet[12 + 10], 2);
    CHECK_EQUAL(packet[12 + 44], 0);
    SynStartStorage(&storage, 0, &message);
    CHECK_EQUAL(AnswerStorage(&storage, 0, none, &message), SynNothing);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(AnswerStorage(&storage, 1, none, &message), SynNothing);
    CHECK_EQUAL(AnswerStorage(&storage, 1, none, &message), SynRefused);
}

static const SynStorage modern = {.RequestSize = 64};

static void Commands(void)
{
    SynUnit unit = {0, 1, 2};
    SynCommand command;
    uint8_t packet[64], list[SYN_UNMAP_SIZE];
    SynBuildTransfer(&command, unit, false, 0x12345678, 0x100, 512);
    CHECK(command.Length == 10 && !memcmp(command.Block, "\x28\0\x12\x34\x56\x78\0\1\0\0", 10));
    CHECK_EQUAL(command.Bytes, 0x20000);
    SynBuildCommand(&modern, &command, packet);
    CHECK_EQUAL(packet[0], 3);
    CHECK_EQUAL(packet[12], 0x34);
    CHECK_EQUAL(packet[12 + 6], 1);
    CHECK_EQUAL(packet[12 + 7], 2);
    CHECK_EQUAL(packet[12 + 9], 20);
    CHECK_EQUAL(packet[12 + 10], 1);
    CHECK_EQUAL(packet[12 + 16], 0x28);
    CHECK_EQUAL(packet[12 + 40], 0x48);
    SynBuildTransfer(&command, unit, true, 0xFFFFFFFF, 1, 4096);
    CHECK(command.Length == 16 &&
          !memcmp(command.Block, "\x8A\0\0\0\0\0\xFF\xFF\xFF\xFF\0\0\0\1\0\0", 16));
    SynBuildUnmap(&command, unit, 0x1122, 0x33, list);
    CHECK(!memcmp(list, "\0\x16\0\x10\0\0\0\0\0\0\0\0\0\0\x11\x22\0\0\0\x33\0\0\0\0", 24));
    CHECK_EQUAL(command.Block[8], 24);
    SynBuildReadCapacity(&command, unit, true);
    CHECK_EQUAL(command.Block[1], 0x10);
    CHECK_EQUAL(command.Block[13], 32);
}

static SynCompletion Complete(uint8_t status, uint8_t scsi, uint32_t bytes, const char *sense,
                              size_t senseSize)
{
    SynCompletion completion = {.Outcome = 99};
    Bytes packet = WORDS(1, 0, 0xC0000185);
    Add(&packet, 0x34, 2);
    Add(&packet, status, 1);
    Add(&packet, scsi, 1);
    packet.Size = 12 + 9;
    Add(&packet, 255, 1); // no host has so much sense
    packet.Size = 12 + 12;
    Add(&packet, bytes, 4);
    if (sense)
        memcpy(packet.Data + 12 + 16, sense, senseSize);
    CHECK(SynReadCompletion(&modern, packet.Data, 64, 4096, &completion));
    return completion;
}

static void Completions(void)
{
    SynCompletion completion = Complete(1, 0, 4096, nullptr, 0);
    CHECK_EQUAL(completion.Outcome, SynGood);
    CHECK_EQUAL(completion.Bytes, 4096);
    CHECK_EQUAL(Complete(1, 0, 0xFFFFFFFF, nullptr, 0).Bytes, 4096);
    CHECK_EQUAL(Complete(0x12, 0, 100, nullptr, 0).Outcome, SynGood);
    CHECK_EQUAL(Complete(0x20, 2, 0, nullptr, 0).Outcome, SynUnitAbsent);
    CHECK_EQUAL(Complete(5, 0, 0, nullptr, 0).Outcome, SynBusy);
    CHECK_EQUAL(Complete(4, 8, 0, nullptr, 0).Outcome, SynBusy);
    CHECK_EQUAL(Complete(4, 0, 0, nullptr, 0).Outcome, SynFailed);
    completion = Complete(0x86, 2, 0, "\x70\0\5\0\0\0\0\xA\0\0\0\0\x24\0\0\0", 16);
    CHECK_EQUAL(completion.Outcome, SynCheckCondition);
    CHECK_EQUAL(completion.SenseKey, SynSenseIllegalRequest);
    CHECK_EQUAL(completion.SenseCode, 0x24);
    completion = Complete(0x84, 2, 0, "\x72\6\x2A\x09", 4);
    CHECK_EQUAL(completion.SenseKey, SynSenseUnitAttention);
    CHECK_EQUAL(completion.SenseQualifier, 9);
    CHECK(!SynReadCompletion(&modern, "\1\0\0\0", 4, 0, &completion));
}

static void ScsiAnswers(void)
{
    SynInquiry inquiry;
    uint8_t data[64] = {};
    memcpy(data, "\0\0\5\2\x1F\0\0\0Msft    Virtual Disk    1.0 ", 36);
    CHECK(SynReadInquiry(data, 36, &inquiry));
    CHECK(inquiry.Present && inquiry.Type == SynDiskType);
    CHECK_TEXT(inquiry.Name, "Msft Virtual Disk");
    data[0] = 0x7F;
    CHECK(SynReadInquiry(data, 36, &inquiry) && !inquiry.Present);
    CHECK(!SynReadInquiry(data, 35, &inquiry));
    memset(data, 0xFF, sizeof(data));
    CHECK(SynReadInquiry(data, 36, &inquiry));
    CHECK_TEXT(inquiry.Name, "");
    uint64_t luns;
    CHECK(SynReadLuns("\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0\x7F\0\0\0\0\0\0", 32,
                      &luns));
    CHECK_EQUAL(luns, 9);
    CHECK(SynReadLuns("\xFF\xFF\xFF\xFF\0\0\0\0\0\1\0\0\0\0\0", 15, &luns)); // no whole entry
    CHECK_EQUAL(luns, 0);
    SynCapacity capacity;
    CHECK(SynReadCapacity("\0\0\x1F\xFF\0\0\2\0", 8, false, &capacity));
    CHECK_EQUAL(capacity.Sectors, 0x2000);
    CHECK_EQUAL(capacity.SectorSize, 512);
    memset(data, 0xFF, 8);
    CHECK(!SynReadCapacity(data, 32, true, &capacity));
    data[0] = 0;
    data[14] = 0x80;
    CHECK(SynReadCapacity(data, 32, true, &capacity) && capacity.Unmaps);
    bool protected;
    CHECK(SynReadModeSense("\0\0\0\x80\0\0\0\0", 8, &protected) && protected);
}

// ---- network

static SynVerdict AnswerNetwork(SynNetwork *network, Bytes answer, SynMessage *next)
{
    return SynReceiveNetworkAnswer(network, answer.Data, answer.Size, next);
}

static void Network(void)
{
    SynNetwork network;
    SynMessage message;
    SynStartNetwork(&network, 11, 1806 * 100, 22, 6144 * 8, &message);
    CHECK_EQUAL(Word(&message, 4), 0x60001);
    CHECK_EQUAL(message.Size, 40);
    CHECK_EQUAL(AnswerNetwork(&network, WORDS(2, 0xFFFFFFFF, 34, 0), &message), SynNothing);
    CHECK_EQUAL(Word(&message, 4), 0x60000);
    CHECK_EQUAL(message.Size, 32);
    CHECK_EQUAL(AnswerNetwork(&network, WORDS(2, 0xFFFFFFFF, 34, 1), &message), SynNothing);
    CHECK_EQUAL(Word(&message, 0), 125);
    CHECK_EQUAL(Word(&message, 4), 1514);
    CHECK_EQUAL(AnswerNetwork(&network, (Bytes){}, &message), SynNothing); // empty completions
    CHECK_EQUAL(Word(&message, 0), 100);
    CHECK_EQUAL(Word(&message, 8), 30);
    CHECK_EQUAL(AnswerNetwork(&network, (Bytes){}, &message), SynNothing);
    CHECK_EQUAL(Word(&message, 0), 101);
    CHECK_EQUAL(Word(&message, 4), 11);
    SynNetwork copy = network;
    CHECK_EQUAL(AnswerNetwork(&copy, WORDS(102, 2, 0), &message), SynRefused);
    CHECK_EQUAL(AnswerNetwork(&copy, WORDS(102, 1, 1, 0, 1806, 101, 0), &message), SynBroken);
    CHECK_EQUAL(AnswerNetwork(&copy, WORDS(102, 1, 1, 0, 0, 1, 0), &message), SynBroken);
    CHECK_EQUAL(AnswerNetwork(&network, WORDS(102, 1, 1, 0, 1806, 100, 180600), &message),
                SynNothing);
    CHECK_EQUAL(Word(&message, 0), 104);
    CHECK_EQUAL(Word(&message, 4), 22);
    copy = network;
    CHECK_EQUAL(AnswerNetwork(&copy, WORDS(105, 1, 100), &message), SynBroken);
    CHECK_EQUAL(AnswerNetwork(&network, WORDS(105, 1, 6144), &message), SynReady);
    CHECK_EQUAL(network.SendSectionCount, 8);
    SynBuildNetworkPacket(&network, true, 3, 24, &message);
    CHECK_EQUAL(Word(&message, 0), 107);
    CHECK_EQUAL(Word(&message, 4), 1);
    CHECK_EQUAL(Word(&message, 8), 3);
    bool good;
    Bytes sent = WORDS(108, 2);
    CHECK(SynReadNetworkSent(sent.Data, 8, &good) && !good);
    SynBuildNetworkReturned(&message);
    CHECK(message.Size == 8 && Word(&message, 0) == 108 && Word(&message, 4) == 1);
}

static SynVerdict AnswerQuery(SynRndis *rndis, uint32_t status, const void *info, uint32_t size,
                              SynMessage *next)
{
    Bytes answer = WORDS(0x80000004, 24 + size, rndis->Request, status, size, 16);
    AddBytes(&answer, info, size);
    answer.Size += 100; // a host's section is longer
    return SynReceiveRndis(rndis, answer.Data, answer.Size, next);
}

static void Rndis(void)
{
    SynRndis rndis;
    SynMessage message;
    SynStartRndis(&rndis, true, &message);
    CHECK_EQUAL(message.Size, 24);
    Bytes started = WORDS(0x80000002, 52, 1, 0, 1, 0, 1, 0, 8, 0x4000, 3, 0, 0);
    Bytes late = WORDS(0x80000002, 52, 7, 0, 1, 0, 1, 0, 8, 0x4000, 3, 0, 0);
    CHECK_EQUAL(SynReceiveRndis(&rndis, late.Data, late.Size, &message), SynNothing);
    CHECK_EQUAL(message.Size, 0);
    CHECK_EQUAL(SynReceiveRndis(&rndis, started.Data, started.Size, &message), SynNothing);
    CHECK_EQUAL(Word(&message, 12), 0x01010102);
    CHECK_EQUAL(AnswerQuery(&rndis, 0, "\x00\x15\x5D\1\2\3", 6, &message), SynNothing);
    CHECK_EQUAL(rndis.Address[2], 0x5D);
    CHECK_EQUAL(AnswerQuery(&rndis, 0, "\xDC\5\0\0", 4, &message), SynNothing);
    CHECK_EQUAL(rndis.MaximumFrame, 1500);
    CHECK_EQUAL(AnswerQuery(&rndis, 0xC00000BB, "", 0, &message), SynNothing); // not required
    CHECK_EQUAL(AnswerQuery(&rndis, 0, "\0\0\0\0", 4, &message), SynNothing);
    CHECK(rndis.LinkUp);
    CHECK_EQUAL(Word(&message, 12), 0xFC01020D);
    uint32_t offloads[16] = {0x030003A7, 0x150, 0, 0x150, 0, 0x50, 0, 0, 0};
    CHECK_EQUAL(AnswerQuery(&rndis, 0, offloads, sizeof(offloads), &message), SynNothing);
    CHECK_EQUAL(rndis.Checksums, 31);
    CHECK_EQUAL(rndis.ReceiveChecksums, 7);
    CHECK_EQUAL(Word(&message, 12), 0xFC01020C);
    CHECK(!memcmp(message.Bytes + 28, "\x80\3\x1C\0\4\4\4\2\2\1\0\1\1", 13));
    Bytes set = WORDS(0x80000005, 16, rndis.Request, 0);
    CHECK_EQUAL(SynReceiveRndis(&rndis, set.Data, set.Size, &message), SynNothing);
    CHECK_EQUAL(Word(&message, 12), 0x0001010E);
    set = WORDS(0x80000005, 16, rndis.Request, 0);
    CHECK_EQUAL(SynReceiveRndis(&rndis, set.Data, set.Size, &message), SynReady);
    Bytes down = WORDS(7, 20, 0x4001000C, 0, 0), other = WORDS(7, 20, 0x40020006, 0, 0);
    CHECK_EQUAL(SynReceiveRndis(&rndis, other.Data, other.Size, &message), SynNothing);
    CHECK_EQUAL(SynReceiveRndis(&rndis, down.Data, down.Size, &message), SynEvent);
    CHECK(!rndis.LinkUp);
    Bytes alive = WORDS(8, 12, 77);
    CHECK_EQUAL(SynReceiveRndis(&rndis, alive.Data, alive.Size, &message), SynNothing);
    CHECK(message.Size == 16 && Word(&message, 0) == 0x80000008 && Word(&message, 8) == 77);
    // Answers whose information lies outside of them.
    SynStartRndis(&rndis, true, &message);
    CHECK_EQUAL(SynReceiveRndis(&rndis, started.Data, started.Size, &message), SynNothing);
    Bytes outside = WORDS(0x80000004, 30, rndis.Request, 0, 0xFFFFFFF8, 16, 0);
    CHECK_EQUAL(SynReceiveRndis(&rndis, outside.Data, outside.Size, &message), SynBroken);
}

static void Frames(void)
{
    SynFrame frame;
    Bytes message = WORDS(1, 1806, 248, 60, 0, 0, 0, 36, 48, 0, 0, // header
                          12, 0x80000001, 12, 16, 0, 12, 0x28);    // an internal one, checksums
    message.Size = 1806;
    CHECK(SynReadFrame(message.Data, message.Size, &frame));
    CHECK_EQUAL(frame.Offset, 256);
    CHECK_EQUAL(frame.Size, 60);
    CHECK(frame.IpGood && frame.TransportGood && !frame.IpBad && !frame.TransportBad);
    uint8_t header[SYN_FRAME_HEADER_SIZE];
    CHECK_EQUAL(SynBuildFrameHeader(100, 0, 0, header), 44);
    Bytes sent = {};
    AddBytes(&sent, header, 44);
    sent.Size += 100;
    CHECK(SynReadFrame(sent.Data, sent.Size, &frame));
    CHECK_EQUAL(frame.Offset, 44);
    CHECK_EQUAL(frame.Size, 100);
    CHECK(!SynReadFrame(sent.Data, sent.Size - 1, &frame));
    CHECK_EQUAL(SynBuildFrameHeader(100, SynChecksumTcp4 | SynChecksumIpHeader, 34, header), 60);
    CHECK(!memcmp(header + 44, "\x10\0\0\0\0\0\0\0\xC\0\0\0\x15\0\x22\0", 16));
    for (uint32_t value = 0; value < 8; value++) // offsets and lengths that overflow
        for (size_t at = 4; at < 44; at += 4) {
            Bytes bad = message;
            uint32_t wrong = 0xFFFFFFFF - value * 4;
            memcpy(bad.Data + at, &wrong, 4);
            (void)SynReadFrame(bad.Data, bad.Size, &frame);
        }
}

// ---- integration services

static SynIntegrationEvent Occurred;

static SynVerdict Serve(SynIntegration *integration, Bytes *message)
{
    uint32_t size;
    SynVerdict verdict =
        SynServeIntegration(integration, values, 2, message->Data, message->Size, &size, &Occurred);
    message->Size = size;
    return verdict;
}

static uint32_t At(const Bytes *bytes, size_t at)
{
    uint32_t value;
    memcpy(&value, bytes->Data + at, sizeof(value));
    return value;
}

static SynIntegration Agreed(SynService service, uint16_t major)
{
    SynIntegration integration = {.Service = service};
    uint16_t body[] = {2, 2, 0, 0, 1, 0, 3, 0, 77, 0, major, 0};
    Bytes message = Service(0, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&integration, &message), SynReady);
    CHECK_EQUAL(message.Size, 36);
    CHECK_EQUAL(At(&message, 12), 0);
    CHECK_EQUAL(message.Data[16], 9); // the transaction
    CHECK_EQUAL(message.Data[17], 5);
    CHECK_EQUAL(At(&message, 20), 0x10001);
    CHECK_EQUAL(At(&message, 28), 3);
    CHECK_EQUAL(At(&message, 32), major);
    return integration;
}

static void Shutdown(void)
{
    SynIntegration shutdown = {.Service = SynShutdownService};
    uint32_t body[12] = {0, 60, 1};
    Bytes message = Service(3, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&shutdown, &message), SynBroken); // before versions
    shutdown = Agreed(SynShutdownService, 3);
    message = Service(3, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&shutdown, &message), SynEvent);
    CHECK_EQUAL(At(&message, 12), 0);
    CHECK(!Occurred.Restart);
    body[2] = 2;
    message = Service(3, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&shutdown, &message), SynEvent);
    CHECK(Occurred.Restart);
    body[2] = 4;
    message = Service(3, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&shutdown, &message), SynNothing);
    CHECK(At(&message, 12) != 0);
    uint16_t none[] = {1, 1, 0, 0, 77, 0, 88, 0};
    message = Service(0, 3, none, sizeof(none));
    CHECK_EQUAL(Serve(&shutdown, &message), SynRefused);
    CHECK_EQUAL(At(&message, 20), 0);
    uint16_t many[] = {0xFFFF, 0xFFFF, 0, 0, 1, 0, 1, 0};
    message = Service(0, 3, many, sizeof(many));
    CHECK_EQUAL(Serve(&shutdown, &message), SynBroken);
}

static void HeartbeatAndTime(void)
{
    SynIntegration heartbeat = Agreed(SynHeartbeatService, 3);
    Bytes beat = Service(1, 3, (uint64_t[]){41, 0}, 16);
    CHECK_EQUAL(Serve(&heartbeat, &beat), SynNothing);
    CHECK_EQUAL(At(&beat, 20), 42);
    SynIntegration time = Agreed(SynTimeService, 4);
    uint64_t sample[] = {116444736000000000 + 50, 1234, 1};
    Bytes message = Service(4, 3, sample, sizeof(sample));
    CHECK_EQUAL(Serve(&time, &message), SynEvent);
    CHECK(Occurred.Sync && Occurred.HostTime == 5000 && Occurred.Reference == 1234);
    sample[0] = UINT64_MAX;
    message = Service(4, 3, sample, sizeof(sample));
    CHECK_EQUAL(Serve(&time, &message), SynNothing);
    time = Agreed(SynTimeService, 3);
    message = Service(4, 3, (uint64_t[]){116444736000000000, 0, 0, 2}, 25);
    CHECK_EQUAL(Serve(&time, &message), SynEvent);
    CHECK(!Occurred.Sync && Occurred.Reference == 0);
}

static void KeyValuePairs(void)
{
    SynIntegration pairs = Agreed(SynKeyValueService, 4);
    uint8_t body[4 + 4 + 12 + 512 + 2048] = {3, 2};
    body[4] = 1; // the second
    Bytes message = Service(2, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&pairs, &message), SynNothing);
    CHECK_EQUAL(At(&message, 12), 0);
    CHECK_EQUAL(At(&message, 24 + 4), 1);                       // a string
    CHECK_EQUAL(At(&message, 24 + 8), 2 * sizeof("OSVersion")); // with its NUL
    CHECK_EQUAL(At(&message, 24 + 16), 'O' | 'S' << 16);
    body[4] = 2;
    message = Service(2, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&pairs, &message), SynNothing);
    CHECK_EQUAL(At(&message, 12), 0x80070103);
    memset(body, 0, sizeof(body));
    body[4 + 4] = 12;
    memcpy(body + 4 + 12, "O\0S\0N\0a\0m\0e\0", 12);
    message = Service(2, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&pairs, &message), SynNothing);
    CHECK_EQUAL(At(&message, 12), 0);
    CHECK_EQUAL(At(&message, 24 + 12 + 512), 'M' | 'e' << 16);
    body[4 + 4] = 0xFF;
    body[4 + 7] = 0xFF;
    message = Service(2, 3, body, sizeof(body));
    CHECK_EQUAL(Serve(&pairs, &message), SynNothing);
    CHECK_EQUAL(At(&message, 12), 0x80041002);
    message = Service(2, 3, body, 100);
    CHECK_EQUAL(Serve(&pairs, &message), SynBroken);
}

int main(void)
{
    static const UnitTest tests[] = {
        {"keyboard", Keyboard},
        {"HID report descriptors", Descriptors},
        {"mouse", Mouse},
        {"video", Video},
        {"video of old hosts", VideoOfOldHosts},
        {"a video device's pointer", VideoPointer},
        {"storage", Storage},
        {"storage of old hosts", StorageOfOldHosts},
        {"SCSI commands", Commands},
        {"completions of commands", Completions},
        {"SCSI answers", ScsiAnswers},
        {"network", Network},
        {"RNDIS", Rndis},
        {"frames", Frames},
        {"shutdown", Shutdown},
        {"heartbeat and time", HeartbeatAndTime},
        {"key-value pairs", KeyValuePairs},
    };
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
