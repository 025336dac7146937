// Tests of lib/synth against hosts that lie: a hundred thousand messages for each device
// (METALOS_LIES in the environment: so many). The good ones of a conversation, in any order, with
// bytes changed, cut short and drawn out; each in memory of its own size, so that the address
// sanitizer sees a byte read too many. The devices start anew now and then. synth_model.h says what
// has to hold.
// SPDX-License-Identifier: MIT
#include "synth_model.h"
#include "synth_words.h"

#include "unit.h"

enum { Lies = 100000, Restart = 64 };

typedef struct Told { // verdicts
    uint64_t Count[SynBroken + 1];
} Told;

// A good message, or what is left of it. *size: its bytes.
static uint8_t *MakeUp(const Bytes *good, uint64_t *seed, size_t *size)
{
    uint64_t random = UnitRandom(seed);
    *size = random & 1 ? good->Size : UnitRandom(seed) % (good->Size + 40);
    uint8_t *bytes = calloc(1, *size + 1);
    memcpy(bytes, good->Data, RTL_MIN(*size, good->Size));
    for (uint64_t n = random >> 8 & 3; n > 0 && *size > 0; n--) {
        uint64_t change = UnitRandom(seed);
        bytes[change % *size] = change >> 40 & 1 ? (uint8_t)(change >> 32) : 0xFF;
    }
    return realloc(bytes, *size > 0 ? *size : 1);
}

// Each verdict must have come out now and then: whoever takes nothing is not tested.
static void Lie(SynKind kind, size_t count, const Bytes *good)
{
    const char *wanted = getenv("METALOS_LIES");
    int lies = wanted ? atoi(wanted) : Lies;
    uint64_t seed = kind + 1;
    SynModel model;
    Told told = {};
    SynVerdict last = SynNothing;
    for (int i = 0; i < lies; i++) {
        if (i % Restart == 0 || last == SynRefused)
            StartModel(&model, kind);
        size_t size, turn = i % Restart < (int)count ? i % Restart : UnitRandom(&seed) % count;
        uint8_t *bytes = MakeUp(&good[turn], &seed, &size);
        last = TellModel(&model, bytes, size);
        told.Count[last]++;
        free(bytes);
    }
    CHECK(told.Count[SynNothing] + told.Count[SynEvent] > 0);
    CHECK(told.Count[SynReady] > 0);
    CHECK(told.Count[SynBroken] > 0);
}

#define LIE(kind, ...)                                                                             \
    do {                                                                                           \
        Bytes good[] = {__VA_ARGS__};                                                              \
        Lie(kind, RTL_COUNT_OF(good), good);                                                       \
    } while (0)

static void Input(void)
{
    LIE(KindKeyboard, WORDS(2, 1), WORDS(3, 0x1E, 0), WORDS(3, 0x48, 6), WORDS(3, 0x1D, 8));
    LIE(KindMouse, Typed(1, "\0\0\2\0\1", 5), DeviceInfo(oldDescriptor, sizeof(oldDescriptor), 57),
        Typed(4, "\1\0\0\0\0\0\0\0", 8), DeviceInfo(newDescriptor, sizeof(newDescriptor), 0),
        DeviceInfo(secondReport, sizeof(secondReport), 0));
}

static void Video(void)
{
    static const SynVideoMode modes[] = {{1024, 768}, {1280, 720}, {7680, 4320}, {3, 3}};
    LIE(KindVideo, Typed(2, "\3\0\5\0\1\1", 6), ModeList(4, 1, modes), Typed(4, "12345678", 8),
        Typed(6, "12345678", 8), Typed(9, "\1\0\1\1\1", 5));
}

static void Storage(void)
{
    Bytes accepted = WORDS(1, 0, 0, 0, 7, 1, 0x40000);
    accepted.Size = SYN_STORAGE_PACKET_SIZE;
    LIE(KindStorage, accepted, accepted, accepted, accepted, accepted, WORDS(11, 0, 0));
}

static void Network(void)
{
    LIE(KindNetwork, WORDS(2, 0xFFFFFFFF, 34, 1), WORDS(0), WORDS(0),
        WORDS(102, 1, 1, 0, 1806, 100, 180600), WORDS(105, 1, 6144));
    LIE(KindRndis, WORDS(0x80000002, 52, 1, 0, 1, 0, 1, 0, 8, 0x4000, 3, 0, 0),
        WORDS(0x80000004, 30, 2, 0, 6, 16, 1, 2), WORDS(0x80000004, 28, 3, 0, 4, 16, 1500),
        WORDS(0x80000004, 28, 4, 0, 4, 16, 1), WORDS(0x80000004, 28, 5, 0, 4, 16, 0),
        WORDS(0x80000004, 24, 6, 1, 0, 16), WORDS(0x80000005, 16, 7, 0),
        WORDS(1, 200, 36, 100, 0, 0, 0, 36, 16, 0, 0, 16, 0, 12, 0x28), WORDS(7, 20, 0x4001000B));
}

static void Services(void)
{
    static uint8_t body[4 + 4 + 12 + 512 + 2048] = {3, 2};
    uint16_t offer[] = {2, 3, 0, 0, 1, 0, 3, 0, 3, 0, 4, 0, 1, 0};
    for (SynKind kind = KindShutdown; kind <= KindKeyValue; kind++)
        LIE(kind, Service(0, 3, offer, sizeof(offer)), Service(1, 3, body, 16),
            Service(3, 3, body, 2060), Service(4, 3, body, 24), Service(2, 3, body, sizeof(body)));
}

int main(void)
{
    static const UnitTest tests[] = {
        {"a lying keyboard, a lying mouse", Input}, {"a lying video device", Video},
        {"a lying disk controller", Storage},       {"a lying network adapter", Network},
        {"lying integration services", Services},
    };
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
