// Tests of kernel/io/echo.c: an exchange with an obedient neighbour, and frames that are not its.
// SPDX-License-Identifier: MIT
#include "../../kernel/io/echo.h"
#include "unit.h"

static const uint8_t ours[6] = {2, 0, 0, 0, 0, 1}, theirs[6] = {2, 0, 0, 0, 0, 2};
static const uint8_t ourAddress[4] = {10, 0, 2, 15}, theirAddress[4] = {10, 0, 2, 2};

// Turns a question into its answer.
static void Answer(uint8_t *frame)
{
    memcpy(frame, ours, 6);
    memcpy(frame + 6, theirs, 6);
    if (frame[13] == 6) { // ARP
        frame[21] = 2;
        memcpy(frame + 32, frame + 22, 10);
        memcpy(frame + 22, theirs, 6);
        memcpy(frame + 28, theirAddress, 4);
        return;
    }
    memcpy(frame + 26, theirAddress, 4);
    memcpy(frame + 30, ourAddress, 4);
    frame[34] = 0; // a reply: the sum is less by 8 * 256, its complement more
    uint32_t sum = ((uint32_t)frame[36] << 8 | frame[37]) + 0x800;
    sum = (sum & 0xFFFF) + (sum >> 16);
    frame[36] = (uint8_t)(sum >> 8);
    frame[37] = (uint8_t)sum;
}

static void Exchange(void)
{
    IopEcho echo;
    uint8_t frame[IOP_ECHO_FRAME];
    IopStartEcho(&echo, ours, ourAddress, theirAddress);
    CHECK_EQUAL(IopBuildEchoFrame(&echo, frame), 60);
    CHECK(!IopTakeEchoFrame(&echo, frame, 60)); // our own
    Answer(frame);
    CHECK(!IopTakeEchoFrame(&echo, frame, 41));
    CHECK(IopTakeEchoFrame(&echo, frame, 60));
    CHECK(memcmp(echo.TheirHardware, theirs, 6) == 0);
    CHECK_EQUAL(IopBuildEchoFrame(&echo, frame), IOP_ECHO_FRAME);
    Answer(frame);
    frame[50] ^= 1;
    CHECK(!IopTakeEchoFrame(&echo, frame, sizeof(frame)));
    frame[50] ^= 1;
    CHECK(!IopTakeEchoFrame(&echo, frame, sizeof(frame) - 1));
    CHECK(IopTakeEchoFrame(&echo, frame, sizeof(frame)));
    CHECK_EQUAL(echo.State, EchoAnswered);
}

static void Noise(void)
{
    uint64_t seed = 3;
    for (int i = 0; i < 100000; i++) {
        IopEcho echo;
        uint8_t frame[IOP_ECHO_FRAME];
        IopStartEcho(&echo, ours, ourAddress, theirAddress);
        echo.State = (IopEchoState)(i & 1);
        size_t size = IopBuildEchoFrame(&echo, frame);
        Answer(frame);
        uint64_t random = UnitRandom(&seed);
        size_t cut = random % (size + 1);
        frame[(random >> 20) % size] ^= (uint8_t)(random >> 40 | 1);
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, frame, cut);
        (void)IopTakeEchoFrame(&echo, exact, cut);
        free(exact);
    }
}

int main(void)
{
    static const UnitTest tests[] = {{"an exchange", Exchange}, {"noise", Noise}};
    return UnitRun(tests, sizeof(tests) / sizeof(tests[0]));
}
