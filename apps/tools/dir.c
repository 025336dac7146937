// dir.c - lists folders.
// SPDX-License-Identifier: MIT
#include "tool.h"

#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { Long = 1, Recursive = 2, All = 4 };

static unsigned options;
static size_t columns; // of the terminal; 0: the output is none

static int Compare(const void *a, const void *b)
{
    const DirectoryEntry *x = *(DirectoryEntry *const *)a, *y = *(DirectoryEntry *const *)b;
    int folders = !!(y->Info.Attributes & FileAttributeDirectory) -
                  !!(x->Info.Attributes & FileAttributeDirectory);
    return folders != 0 ? folders : strcasecmp(x->Name, y->Name);
}

static size_t CountColumns(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static void PrintName(const DirectoryEntry *entry, size_t width)
{
    bool folder = entry->Info.Attributes & FileAttributeDirectory;
    const char *dot = strrchr(entry->Name, '.');
    bool program = dot != nullptr && strcasecmp(dot, ".exe") == 0;
    const char *color = columns == 0 ? "" : folder ? "\x1B[1;34m" : program ? "\x1B[32m" : "";
    printf("%s%s%s%s", color, entry->Name, *color ? "\x1B[0m" : "", folder ? "/" : "");
    for (size_t used = CountColumns(entry->Name) + folder; used < width; used++)
        putchar(' ');
}

static void PrintLong(DirectoryEntry **entries, size_t count)
{
    unsigned long long bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const FileInfo *info = &entries[i]->Info;
        time_t seconds = (time_t)(info->ModifyTime / 1000000000);
        struct tm when;
        char text[32] = "";
        if (gmtime_r(&seconds, &when) != nullptr)
            strftime(text, sizeof text, "%Y-%m-%d %H:%M", &when);
        if (info->Attributes & FileAttributeDirectory)
            printf("%16s %12s  ", text, "");
        else
            printf("%16s %12llu  ", text, (unsigned long long)info->Size);
        PrintName(entries[i], 0);
        putchar('\n');
        bytes += info->Size;
    }
    printf("%zu entries, %llu bytes\n", count, bytes);
}

// In columns read downwards, as many as fit; one where there is no terminal.
static void PrintShort(DirectoryEntry **entries, size_t count)
{
    size_t width = 0;
    for (size_t i = 0; i < count; i++) {
        size_t own = CountColumns(entries[i]->Name) + 3;
        width = own > width ? own : width;
    }
    size_t across = columns == 0 || width == 0 ? 1 : columns / width;
    across = across == 0 ? 1 : across;
    size_t rows = (count + across - 1) / across;
    for (size_t row = 0; row < rows; row++) {
        for (size_t i = row; i < count; i += rows)
            PrintName(entries[i], i + rows < count ? width : 0);
        putchar('\n');
    }
}

static void FreeEntries(DirectoryEntry **entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
}

// Keeps only what an entry's name needs of it.
static bool Keep(DirectoryEntry ***entries, size_t *count, const DirectoryEntry *entry)
{
    size_t size = offsetof(DirectoryEntry, Name) + strlen(entry->Name) + 1;
    DirectoryEntry *copy = malloc(size);
    DirectoryEntry **grown = realloc(*entries, (*count + 1) * sizeof(*grown));
    if (grown != nullptr)
        *entries = grown;
    if (copy == nullptr || grown == nullptr) {
        free(copy);
        return false;
    }
    memcpy(copy, entry, size);
    grown[(*count)++] = copy;
    return true;
}

static void List(const char *path, bool named)
{
    static DirectoryEntry entry;
    DirectoryEntry **entries = nullptr;
    size_t count = 0;
    Handle directory;
    Status status = OpenDirectory(path, &directory);
    if (status != StatusSuccess) {
        ToolFail(path, status);
        return;
    }
    while ((status = ReadDirectory(directory, &entry)) == StatusSuccess)
        if ((entry.Name[0] != '.' || (options & All)) && !Keep(&entries, &count, &entry))
            break;
    if (status != StatusNoMoreEntries)
        ToolFail(path, status == StatusSuccess ? StatusNoMemory : status);
    (void)CloseHandle(directory);
    if (count > 0)
        qsort(entries, count, sizeof(*entries), Compare);
    if (named)
        printf("%s:\n", path);
    if (options & Long)
        PrintLong(entries, count);
    else
        PrintShort(entries, count);
    for (size_t i = 0; i < count && (options & Recursive); i++) {
        char inner[MaximumPath];
        if (!(entries[i]->Info.Attributes & FileAttributeDirectory) ||
            !ToolJoin(inner, path, entries[i]->Name))
            continue;
        putchar('\n');
        List(inner, true);
    }
    FreeEntries(entries, count);
}

static void ListNamed(const char *path, bool several)
{
    static DirectoryEntry entry;
    DirectoryEntry *one = &entry;
    Status status = GetPathInfo(path, &entry.Info);
    if (status != StatusSuccess) {
        ToolFail(path, status);
    } else if (entry.Info.Attributes & FileAttributeDirectory) {
        List(path, several);
    } else {
        snprintf(entry.Name, sizeof entry.Name, "%s", path);
        if (options & Long)
            PrintLong(&one, 1);
        else
            PrintShort(&one, 1);
    }
}

int main(int argc, char **argv)
{
    struct winsize size;
    ToolStart(argc, argv,
              "dir [-l] [-r] [-a] [PATH...]\n"
              "    lists folders; -l: with dates and sizes, -r: with all folders inside,\n"
              "    -a: also names that begin with a dot\n");
    if (isatty(1) && ioctl(1, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    int count = ToolOptions(argc, argv, "lra", &options);
    if (count == 0)
        List(".", false);
    for (int i = 1; i <= count; i++)
        ListNamed(argv[i], count > 1);
    return ToolEnd();
}
