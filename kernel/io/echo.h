// echo.h - an exchange of ARP and ICMP echo with one other machine, pure: frames out, frames in.
// SPDX-License-Identifier: MIT
#pragma once

#include "rtl/rtl.h"

typedef enum IopEchoState : uint8_t { EchoAsking, EchoSending, EchoAnswered } IopEchoState;
typedef struct IopEcho {
    volatile IopEchoState State;
    uint8_t OurHardware[6], TheirHardware[6];
    uint8_t OurAddress[4], TheirAddress[4];
    uint16_t Sequence; // of the last request
} IopEcho;
#define IOP_ECHO_FRAME 98u // the longest: an echo request with 56 bytes of data
void IopStartEcho(IopEcho *echo, const uint8_t hardware[6], const uint8_t address[4],
                  const uint8_t theirs[4]);
// The frame to send in this state; its size.
size_t IopBuildEchoFrame(IopEcho *echo, uint8_t frame[IOP_ECHO_FRAME]);
// true: it was the answer, and the state has gone on.
bool IopTakeEchoFrame(IopEcho *echo, const void *frame, size_t size);
