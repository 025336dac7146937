// stranger.c - a program by somebody who has the SDK and its guide: prints, reads and writes files,
// starts threads, opens a window, uses a library of its own. tests/system/test_sdk.py builds, runs
// and debugs it.
// SPDX-License-Identifier: MIT
#include "shapes.h"

#include <MetalKeys.h>
#include <MetalOS.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

typedef struct Work {
    int From, To;
    long long Sum;
} Work;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long long total;

static void Add(long long amount)
{
    pthread_mutex_lock(&lock);
    total += amount;
    pthread_mutex_unlock(&lock);
}

static void *SumUp(void *argument)
{
    Work *work = argument;
    for (int i = work->From; i < work->To; i++)
        work->Sum += i; // a line to stop at
    Add(work->Sum);
    return NULL;
}

static int StartThreads(void)
{
    pthread_t threads[4];
    Work work[4] = {};
    for (int i = 0; i < 4; i++) {
        work[i].From = i * 1000;
        work[i].To = i * 1000 + 1000;
        if (pthread_create(&threads[i], NULL, SumUp, &work[i]) != 0)
            return 1;
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    printf("total %lld\n", total);
    return 0;
}

static int CountLines(const char *path)
{
    char line[256];
    int lines = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        printf("%s: %s\n", path, strerror(errno));
        return -1;
    }
    while (fgets(line, sizeof line, file) != NULL)
        lines++;
    fclose(file);
    return lines;
}

static int UseFiles(void)
{
    FILE *file = fopen("/stranger.txt", "w");
    if (file == NULL)
        return 1;
    for (int i = 0; i < 100; i++)
        fprintf(file, "line %d of %zu\n", i, sizeof(Work));
    fclose(file);
    printf("lines %d, missing %d\n", CountLines("/stranger.txt"), CountLines("/no/such"));
    return 0;
}

static int OpenWindow(void)
{
    const WindowParameters parameters = {
        .Title = "Stranger", .X = 200, .Y = 200, .Width = 300, .Height = 200, .Flags = WindowFrame};
    WindowBuffer buffer;
    Handle window;
    Message message;
    Status status = AllocWindow(&parameters, &window, &buffer);
    if (status == StatusSuccess) {
        DrawCircle(buffer.Pixels, (int)buffer.Stride, 150, 100, 80, 0xFF8000);
        status = PaintWindow(window, NULL);
    }
    printf("circles %d, window: %s\n", ShapesDrawn, GetStatusText(status));
    fflush(stdout);
    while (status == StatusSuccess) {
        status = GetMessage(&message, InfiniteTimeout);
        if (message.Type == MessageClose ||
            (message.Type == MessageKeyDown && message.Key.Code == KeyEscape))
            break;
    }
    return status == StatusSuccess ? 0 : 1;
}

int main(int argc, char **argv)
{
    printf("%d arguments, the last is %s\n", argc - 1, argv[argc - 1]);
    if (UseFiles() != 0 || StartThreads() != 0)
        return 1;
    return strcmp(argv[argc - 1], "window") == 0 ? OpenWindow() : 7;
}
