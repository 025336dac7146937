// images.c - programs that cannot be loaded, and programs that are killed.
// SPDX-License-Identifier: MIT
#include "limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOOD_PROGRAM "/tests/linktest.exe" // needs apitest1.dll, which lies beside it
#define BAD_PROGRAM  LIMITS_FOLDER "/bad.exe"

constexpr uint32_t EndTime = 20000; // milliseconds

static uint64_t state = 88172645463325252ull;
static uint64_t Next(void) // xorshift64*
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Dull;
}

static uint8_t *ReadWhole(const char *path, size_t *size)
{
    Handle file;
    FileInfo info;
    size_t moved = 0;
    if (CreateFile(path, FileRead, FileOpenExisting, &file) != StatusSuccess)
        return nullptr;
    uint8_t *data = GetFileInfo(file, &info) == StatusSuccess ? malloc(info.Size) : nullptr;
    Status status = data ? ReadFile(file, data, info.Size, &moved) : StatusNoMemory;
    (void)CloseHandle(file);
    *size = moved;
    return status == StatusSuccess ? data : nullptr;
}

static bool WriteWhole(const char *path, const uint8_t *data, size_t size)
{
    Handle file;
    size_t moved;
    Status status = CreateFile(path, FileWrite, FileCreateAlways, &file);
    if (status == StatusSuccess) {
        status = size == 0 ? StatusSuccess : WriteFile(file, data, size, &moved);
        (void)CloseHandle(file);
    }
    return Check(status == StatusSuccess, "%s: %s", path, GetStatusText(status));
}

// Its library is not where the program is now: the program says so and ends.
static void TestMissingLibrary(const uint8_t *data, size_t size)
{
    Handle read, write, process;
    char text[1024];
    size_t moved = 0, length = 0;
    if (!WriteWhole(BAD_PROGRAM, data, size) || CreatePipe(&read, &write) != StatusSuccess)
        return;
    Status status = StartProgram(BAD_PROGRAM, InvalidHandle, write, &process);
    (void)CloseHandle(write);
    if (Check(status == StatusSuccess, "without its library: %s", GetStatusText(status))) {
        while (length < sizeof text - 1 &&
               ReadFile(read, text + length, sizeof text - 1 - length, &moved) == StatusSuccess)
            length += moved;
        text[length] = 0;
        uint32_t code = EndProgram(process, EndTime, nullptr);
        Check(code == 127, "without its library: exit code %u", code);
        Check(strstr(text, "apitest1") != nullptr, "without its library: says '%s'", text);
    }
    (void)CloseHandle(read);
}

// Whatever the file holds: an error of CreateProcess, or a process that ends or can be killed.
static void TryImage(const uint8_t *data, size_t size)
{
    Handle process;
    if (WriteWhole(BAD_PROGRAM, data, size) &&
        StartProgram(BAD_PROGRAM, InvalidHandle, InvalidHandle, &process) == StatusSuccess)
        (void)EndProgram(process, 200, nullptr);
}

void TestImages(unsigned rounds)
{
    size_t size;
    uint8_t *good = ReadWhole(GOOD_PROGRAM, &size);
    uint8_t *bad = good ? malloc(size) : nullptr;
    if (!Check(bad != nullptr, GOOD_PROGRAM " cannot be read")) {
        free(good);
        return;
    }
    TestMissingLibrary(good, size);
    for (unsigned i = 0; i < rounds; i++) {
        memcpy(bad, good, size);
        size_t length = i % 4 == 0 ? Next() % size : size; // some are cut off
        size_t area = i % 2 == 0 ? 1024 : size;            // headers, or anywhere
        for (unsigned change = 0; change < 1 + i % 7; change++)
            bad[Next() % area] ^= (uint8_t)(1u << Next() % 8);
        TryImage(bad, length);
        if (i % 8 == 0)
            (void)AskWitness();
    }
    (void)DeleteFile(BAD_PROGRAM);
    free(bad);
    free(good);
}

// ---- programs killed at any moment
void TestKills(unsigned rounds)
{
    static const char *const lines[] = {
        "fire.exe",
        "/tests/apitest.exe objects",
        "/tests/apitest.exe locks threads waits",
        "/tests/apitest.exe windows pipes",
        "/tests/apitest.exe stdio heap tls libraries",
        LIMITS_PROGRAM " -idle",
        LIMITS_PROGRAM " -spin",
    };
    Handle running[COUNT_OF(lines)] = {};
    for (unsigned i = 0; i < rounds; i++) {
        size_t which = Next() % COUNT_OF(lines);
        if (running[which])
            (void)EndProgram(running[which], 0, nullptr);
        running[which] = InvalidHandle;
        Status status = StartProgram(lines[which], InvalidHandle, InvalidHandle, &running[which]);
        Check(status == StatusSuccess, "%s: %s", lines[which], GetStatusText(status));
        Sleep((uint32_t)(Next() % 40)); // as long as the others get
        if (i % 8 == 0)
            (void)AskWitness();
    }
    for (size_t i = 0; i < COUNT_OF(lines); i++)
        if (running[i])
            (void)EndProgram(running[i], 0, nullptr);
}
