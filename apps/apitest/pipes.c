// pipes.c - pipes, and the console.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

constexpr size_t PipeSize = 65536;

static void TestBasics(void)
{
    Handle read, write;
    char buffer[32] = {};
    size_t moved = 99;
    FileInfo info;
    NEEDED(CreatePipe(&read, &write));
    CHECK(read != write);
    OK(WriteFile(write, "pipe", 4, &moved));
    OK(ReadFile(read, buffer, sizeof buffer, &moved)); // what there is, without waiting for more
    EQUAL(moved, 4);
    TEXT(buffer, "pipe");
    STATUS(ReadFile(write, buffer, 1, &moved), StatusAccessDenied);
    STATUS(WriteFile(read, buffer, 1, &moved), StatusAccessDenied);
    OK(GetFileInfo(read, &info));
    EQUAL(info.Kind, 1);
    CHECK(SetFilePointer(read, 0, FileBegin, nullptr) != StatusSuccess);
    CHECK(SetFileSize(write, 10) != StatusSuccess);
    OK(WriteFile(write, "last", 4, &moved));
    OK(CloseHandle(write));
    OK(ReadFile(read, buffer, 2, &moved)); // the rest is still there
    EQUAL(moved, 2);
    OK(ReadFile(read, buffer, 20, &moved));
    EQUAL(moved, 2);
    STATUS(ReadFile(read, buffer, 1, &moved), StatusEndOfFile);
    EQUAL(moved, 0);
    OK(CloseHandle(read));
    NEEDED(CreatePipe(&read, &write));
    OK(CloseHandle(read));
    STATUS(WriteFile(write, "x", 1, &moved), StatusPipeBroken);
    OK(CloseHandle(write));
}

static uint8_t Pattern(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 8));
}

typedef struct Writer {
    Handle Write;
    size_t Size;
    Status Result;
    size_t Moved;
} Writer;

static uint32_t WritePattern(void *argument)
{
    Writer *writer = argument;
    uint8_t *data = malloc(writer->Size);
    for (size_t i = 0; i < writer->Size; i++)
        data[i] = Pattern(i);
    writer->Result = WriteFile(writer->Write, data, writer->Size, &writer->Moved);
    (void)CloseHandle(writer->Write);
    free(data);
    return 1;
}

// Far more than the pipe holds, written in one call by a thread and read in odd pieces.
static void TestLargeTransfer(void)
{
    Handle read, thread;
    Writer writer = {.Size = 10 * PipeSize + 4321};
    NEEDED(CreatePipe(&read, &writer.Write));
    NEEDED(CreateThread(WritePattern, &writer, 0, &thread));
    static uint8_t buffer[10007];
    size_t total = 0, moved, wrong = 0, request = 1;
    while (ReadFile(read, buffer, request, &moved) == StatusSuccess) {
        for (size_t i = 0; i < moved; i++)
            wrong += buffer[i] != Pattern(total + i);
        total += moved;
        request = request * 3 % sizeof buffer + 1;
    }
    EQUAL(total, writer.Size);
    EQUAL(wrong, 0);
    OK(WaitForSingleObject(thread, 10000));
    OK(writer.Result);
    EQUAL(writer.Moved, writer.Size);
    OK(CloseHandle(thread));
    OK(CloseHandle(read));
}

// The reader goes away while a writer waits for room.
static void TestBrokenWrite(void)
{
    Handle read, thread;
    Writer writer = {.Size = 2 * PipeSize};
    NEEDED(CreatePipe(&read, &writer.Write));
    NEEDED(CreateThread(WritePattern, &writer, 0, &thread));
    Sleep(50);
    OK(CloseHandle(read));
    OK(WaitForSingleObject(thread, 10000));
    STATUS(writer.Result, StatusPipeBroken);
    EQUAL(writer.Moved, PipeSize);
    OK(CloseHandle(thread));
}

static uint32_t CloseLater(void *argument)
{
    Sleep(50);
    (void)CloseHandle((Handle)(uintptr_t)argument);
    return 0;
}

// The writer goes away while a reader waits.
static void TestBrokenRead(void)
{
    Handle read, write, thread;
    char byte;
    size_t moved;
    NEEDED(CreatePipe(&read, &write));
    NEEDED(CreateThread(CloseLater, (void *)(uintptr_t)write, 0, &thread));
    STATUS(ReadFile(read, &byte, 1, &moved), StatusEndOfFile);
    OK(WaitForSingleObject(thread, 10000));
    OK(CloseHandle(thread));
    OK(CloseHandle(read));
}

// 200 KB through two pipes and another process, both ways at once.
static void TestThroughChild(void)
{
    Handle inputRead, outputRead, outputWrite, process, thread;
    Writer writer = {.Size = 200000};
    NEEDED(CreatePipe(&inputRead, &writer.Write));
    NEEDED(CreatePipe(&outputRead, &outputWrite));
    NEEDED(StartChild("copy", inputRead, outputWrite, InvalidHandle, &process));
    OK(CloseHandle(inputRead));
    OK(CloseHandle(outputWrite));
    NEEDED(CreateThread(WritePattern, &writer, 0, &thread));
    static uint8_t buffer[3000];
    size_t total = 0, moved, wrong = 0;
    while (ReadFile(outputRead, buffer, sizeof buffer, &moved) == StatusSuccess) {
        for (size_t i = 0; i < moved; i++)
            wrong += buffer[i] != Pattern(total + i);
        total += moved;
    }
    EQUAL(total, writer.Size);
    EQUAL(wrong, 0);
    EQUAL(EndChild(process), 0);
    OK(WaitForSingleObject(thread, 10000));
    OK(CloseHandle(thread));
    OK(CloseHandle(outputRead));
}

// ---- several writers

constexpr size_t LetterSize = 3001; // no divisor of the pipe's: some would wrap around its end

typedef struct Letters {
    int Write; // descriptor
    Handle Thread;
    uint32_t Count;
    char Letter;
    bool Vector; // each block is given in two pieces
    uint32_t Failed;
} Letters;

static uint32_t WriteLetters(void *argument)
{
    Letters *letters = argument;
    char block[LetterSize];
    memset(block, letters->Letter, sizeof block);
    struct iovec pieces[2] = {{block, 1000}, {block + 1000, sizeof block - 1000}};
    for (uint32_t i = 0; i < letters->Count; i++)
        letters->Failed +=
            (letters->Vector ? writev(letters->Write, pieces, 2)
                             : write(letters->Write, block, sizeof block)) != (ssize_t)sizeof block;
    return 0;
}

// What each writes in one call arrives in one piece.
static void TestWholeWrites(void)
{
    constexpr uint32_t each = 200;
    constexpr size_t all = 3 * each * LetterSize;
    int ends[2];
    Letters writers[] = {{.Letter = 'a'}, {.Letter = 'b', .Vector = true}, {.Letter = 'c'}};
    NEEDED(pipe(ends) == 0 ? StatusSuccess : StatusNoMemory);
    for (size_t i = 0; i < 3; i++) {
        writers[i].Write = ends[1];
        writers[i].Count = each;
        NEEDED(CreateThread(WriteLetters, &writers[i], 0, &writers[i].Thread));
    }
    static char buffer[1009];
    size_t total = 0, mixed = 0;
    char letter = 0;
    for (ssize_t got; total < all && (got = read(ends[0], buffer, sizeof buffer)) > 0;)
        for (ssize_t i = 0; i < got; i++, total++) {
            if (total % LetterSize == 0)
                letter = buffer[i];
            mixed += buffer[i] != letter;
        }
    EQUAL(total, all);
    EQUAL(mixed, 0);
    for (size_t i = 0; i < 3; i++) {
        OK(WaitForSingleObject(writers[i].Thread, 10000));
        EQUAL(writers[i].Failed, 0);
        OK(CloseHandle(writers[i].Thread));
    }
    EQUAL(close(ends[0]), 0);
    EQUAL(close(ends[1]), 0);
}

// Descriptors that must not wait: EAGAIN instead, and what fits of a large write.
static void TestNonBlocking(void)
{
    static char buffer[2 * PipeSize];
    int ends[2];
    NEEDED(pipe2(ends, O_NONBLOCK) == 0 ? StatusSuccess : StatusNoMemory);
    EQUAL(fcntl(ends[0], F_GETFL), O_RDONLY | O_NONBLOCK);
    EQUAL(read(ends[0], buffer, 1), -1);
    EQUAL(errno, EAGAIN);
    EQUAL(write(ends[1], "abc", 3), 3);
    EQUAL(read(ends[0], buffer, sizeof buffer), 3);
    EQUAL(write(ends[1], buffer, sizeof buffer), PipeSize);
    EQUAL(write(ends[1], buffer, 1), -1);
    EQUAL(errno, EAGAIN);
    EQUAL(read(ends[0], buffer, 4096), 4096);
    EQUAL(write(ends[1], buffer, sizeof buffer), 4096);
    EQUAL(fcntl(ends[0], F_SETFL, 0), 0);
    EQUAL(fcntl(ends[0], F_GETFL), O_RDONLY);
    EQUAL(fcntl(ends[1], F_SETFL, O_APPEND | O_NONBLOCK), -1);
    EQUAL(errno, EINVAL);
    EQUAL(write(ends[0], buffer, 1), -1);
    EQUAL(errno, EBADF);
    EQUAL(close(ends[0]), 0);
    EQUAL(write(ends[1], buffer, 1), -1);
    EQUAL(errno, EPIPE);
    EQUAL(close(ends[1]), 0);
}

void TestPipes(void)
{
    TestBasics();
    TestLargeTransfer();
    TestBrokenWrite();
    TestBrokenRead();
    TestThroughChild();
    TestWholeWrites();
    TestNonBlocking();
}

void TestConsole(void)
{
    Handle console;
    FileInfo info;
    size_t moved;
    OK(CreateFile("/device/console", FileWrite, FileOpenExisting, &console));
    OK(GetFileInfo(console, &info));
    EQUAL(info.Kind, 2);
    OK(WriteFile(console, "apitest: console\n", 17, &moved));
    EQUAL(moved, 17);
    OK(FlushFile(console));
    CHECK(SetFilePointer(console, 0, FileBegin, nullptr) != StatusSuccess);
    CHECK(SetFileSize(console, 0) != StatusSuccess);
    OK(CloseHandle(console));
    CHECK(DeleteFile("/device/console") != StatusSuccess);
    CHECK(CreateFile("/device/none", FileRead, FileOpenExisting, &console) != StatusSuccess);
}
