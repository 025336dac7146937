// discipline.h - what a console does with the bytes that are typed, as pure code: a line that can
// be edited, an end of file, an interrupt, the echo of all that, and the queue of what is ready to
// be read.
//
// With ConsoleLineInput bytes gather in a line. Enter (CR or LF) makes it ready with a "\n" at its
// end; Backspace (8 or 127) takes a character back, Control+W a word, Control+U the line, and
// Control+D makes it ready as it is - an empty one is an end of file. Without it each byte is ready
// at once. ConsoleInterrupt turns Control+C into an interrupt that also drops what was typed
// before. ConsoleEcho writes back what is typed. What does not fit is dropped: a line ends at
// FSP_LINE_SIZE bytes, the queue at FSP_READY_SIZE.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"

#define FSP_LINE_SIZE  1024u
#define FSP_READY_SIZE 16384u // a power of two

typedef struct FspDiscipline {
    uint32_t Mode;                  // Console...
    uint32_t Head, Tail;            // of Ready, free-running
    uint32_t Length;                // of Line
    uint8_t Line[FSP_LINE_SIZE];    // being typed
    uint16_t Ready[FSP_READY_SIZE]; // bytes, and FSP_END_OF_FILE
} FspDiscipline;

// Shows text on the console's output; at most a few bytes at a time.
typedef void FspEcho(void *context, const char *text, size_t length);

// Takes one typed byte. True: it was an interrupt.
bool FspType(FspDiscipline *discipline, uint8_t byte, FspEcho *echo, void *context);
// Whether a typed byte would be dropped for want of room.
bool FspIsInputFull(const FspDiscipline *discipline);
// Whether FspTakeInput has something to say.
bool FspHasInput(const FspDiscipline *discipline);
// Takes what is ready, with ConsoleLineInput no more than a line. False: it is an end of file.
bool FspTakeInput(FspDiscipline *discipline, uint8_t *buffer, size_t size, size_t *taken);
// Another mode. What was typed of a line becomes ready when lines are no longer gathered.
void FspSetMode(FspDiscipline *discipline, uint32_t mode);
