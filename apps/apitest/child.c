// child.c - what apitest does as its own child, one word each.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint32_t SleepForEver(void *argument)
{
    for (;;)
        Sleep(1000);
}

static uint32_t ReadStream(void *argument)
{
    return (uint32_t)getchar();
}

static uint32_t EndSoon(void *argument)
{
    Sleep(20);
    return 14;
}

static uint32_t EndProcessLater(void *argument)
{
    Sleep(20);
    ExitProcess((uint32_t)(uintptr_t)argument);
}

static void AtExitWrites(void)
{
    printf("at exit\n");
}

static void AtExitExits(void)
{
    exit(4);
}

static int Fault(const char *how)
{
    volatile int *address = nullptr;
    if (!strcmp(how, "read"))
        return *address;
    if (!strcmp(how, "write"))
        *address = 1;
    if (!strcmp(how, "kernel"))
        return *(volatile int *)KERNEL_ADDRESS;
    if (!strcmp(how, "noncanonical"))
        return *(volatile int *)NON_CANONICAL_ADDRESS;
    if (!strcmp(how, "execute")) { // data is not executable
        static unsigned char code[] = {0xC3};
        ((void (*)(void))(void *)code)();
    }
    if (!strcmp(how, "code")) // code is not writable
        *(volatile unsigned char *)(void *)Fault = 0xC3;
    if (!strcmp(how, "privileged"))
        __asm__ volatile("hlt");
    if (!strcmp(how, "undefined"))
        __asm__ volatile("ud2");
    if (!strcmp(how, "port"))
        __asm__ volatile("outb %%al, $0x80" : : "a"(0));
    if (!strcmp(how, "breakpoint"))
        __asm__ volatile("int3");
    if (!strcmp(how, "divide")) {
        volatile int zero = 0;
        return 1000 / zero;
    }
    return 0;
}

static int OverflowStack(int depth)
{
    volatile char frame[8192];
    frame[0] = (char)depth;
    frame[sizeof frame - 1] = (char)depth;
    return depth < 0 ? 0 : OverflowStack(depth + 1) + frame[0];
}

__attribute__((noinline)) static int SmashStack(const char *text)
{
    char small[8];
    char *volatile target = small; // keeps the compiler from seeing the size
    memcpy(target, text, strlen(text));
    return small[0];
}

static int CopyInput(void)
{
    static char buffer[5000];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, stdin)) > 0)
        if (fwrite(buffer, 1, got, stdout) != got)
            return 2;
    return fclose(stdout) ? 3 : 0;
}

static int PrintArguments(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("<%s>", argv[i]);
    return argc;
}

static int WriteMany(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        printf("%08x\n", i);
    return 0;
}

int ChildMain(int argc, char **argv)
{
    const char *what = argc > 0 ? argv[0] : "", *argument = argc > 1 ? argv[1] : "";
    Handle thread;
    if (!strcmp(what, "nothing"))
        return 0;
    if (!strcmp(what, "return"))
        return atoi(argument);
    if (!strcmp(what, "exit"))
        exit(atoi(argument));
    if (!strcmp(what, "exitprocess"))
        ExitProcess((uint32_t)strtoul(argument, nullptr, 0));
    if (!strcmp(what, "abort"))
        abort();
    if (!strcmp(what, "atexit")) {
        atexit(AtExitWrites);
        if (*argument)
            atexit(AtExitExits);
        printf("before\n");
        return 0;
    }
    if (!strcmp(what, "exception"))
        return ExceptionChild(argument);
    if (!strcmp(what, "fault"))
        return Fault(argument);
    if (!strcmp(what, "overflow"))
        return OverflowStack(0);
    if (!strcmp(what, "smash"))
        return SmashStack(
            "much longer than eight bytes, and so over the cookie and the return address");
    if (!strcmp(what, "mapping"))
        return MappingChild();
    if (!strcmp(what, "section"))
        return ChildSection();
    if (!strcmp(what, "copy"))
        return CopyInput();
    if (!strcmp(what, "arguments"))
        return PrintArguments(argc - 1, argv + 1);
    if (!strcmp(what, "print"))
        return printf("printed\n") < 0 || fprintf(stderr, "to stderr\n") < 0 || puts("put") < 0;
    if (!strcmp(what, "read"))
        return getchar() == EOF ? 7 : 8;
    if (!strcmp(what, "many"))
        return WriteMany((unsigned)atoi(argument));
    if (!strcmp(what, "sleep")) {
        Sleep((uint32_t)atoi(argument));
        return 5;
    }
    if (!strcmp(what, "environment")) {
        const char *value = getenv(argument);
        printf("%s", value ? value : "(none)");
        return value != nullptr;
    }
    if (!strcmp(what, "directory")) {
        char directory[MaximumPath];
        return getcwd(directory, sizeof directory) && printf("%s", directory) > 0 ? 0 : 1;
    }
    if (!strcmp(what, "threads")) { // main returns while threads run
        for (int i = 0; i < 5; i++)
            (void)CreateThread(SleepForEver, nullptr, 0, &thread);
        return 9;
    }
    if (!strcmp(what, "threadexit")) { // another thread ends the process
        (void)CreateThread(EndProcessLater, (void *)11, 0, &thread);
        for (;;)
            Sleep(1000);
    }
    if (!strcmp(what, "reader")) { // main returns while a thread waits for input
        printf("flushed\n");
        (void)CreateThread(ReadStream, nullptr, 0, &thread);
        Sleep(50);
        return 6;
    }
    if (!strcmp(what, "together")) { // all threads end at about the same time, the first one too
        printf("flushed\n");
        for (int i = 0; i < 8; i++)
            (void)CreateThread(EndSoon, nullptr, 0, &thread);
        Sleep(20);
        ExitThread(14);
    }
    if (!strcmp(what, "object"))
        return ObjectChild(argc - 1, argv + 1);
    if (!strcmp(what, "endthread")) {
        (void)TerminateThread(CurrentThread, 78);
        return 1;
    }
    if (!strcmp(what, "lastthread"))
        ExitThread(13);            // and with it the process
    if (!strcmp(what, "window")) { // dies with a window, its buffer and messages
        WindowParameters parameters = {"child", 10, 10, 64, 64, WindowFrame};
        WindowBuffer buffer;
        Handle window;
        if (AllocWindow(&parameters, &window, &buffer) != StatusSuccess)
            return 1;
        buffer.Pixels[0] = 0xFF;
        return PaintWindow(window, nullptr) == StatusSuccess ? 0 : 2;
    }
    return 99;
}
