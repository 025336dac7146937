// tool.c - see tool.h.
// SPDX-License-Identifier: MIT
#include "tool.h"

#include <errno.h>

static const char *toolName = "tool", *usage = "";
static int exitCode;

void ToolStart(int argc, char **argv, const char *text)
{
    static char name[64];
    if (argc > 0) {
        const char *slash = strrchr(argv[0], '/');
        snprintf(name, sizeof name, "%s", slash == nullptr ? argv[0] : slash + 1);
        char *dot = strrchr(name, '.');
        if (dot != nullptr)
            *dot = '\0';
        toolName = name;
    }
    usage = text;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        fputs(text, stdout);
        exit(ToolEnd());
    }
}

int ToolOptions(int argc, char **argv, const char *letters, unsigned *set)
{
    int kept = 0, i = 1;
    *set = 0;
    for (; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[++kept] = argv[i];
            continue;
        }
        for (const char *letter = argv[i] + 1; *letter; letter++) {
            const char *found = strchr(letters, *letter);
            if (found == nullptr)
                ToolMisuse("there is no such option");
            *set |= 1u << (found - letters);
        }
    }
    for (; i < argc; i++)
        argv[++kept] = argv[i];
    return kept;
}

void ToolSay(const char *what, const char *why)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s: %s\n", toolName, what, why);
    exitCode = 1;
}

void ToolFail(const char *what, Status status)
{
    const char *text = GetStatusText(status), *colon = strstr(text, ": ");
    ToolSay(what, colon == nullptr ? text : colon + 2);
}

void ToolMisuse(const char *why)
{
    fflush(stdout);
    fprintf(stderr, "%s: %s\n%s", toolName, why, usage);
    exit(2);
}

int ToolEnd(void)
{
    // Nobody reads the other end of a pipe any more: that is no failure of ours.
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE)
        ToolSay("output", errno == ENOSPC ? "the disk is full" : strerror(errno));
    return exitCode;
}

bool ToolIsFolder(const char *path)
{
    FileInfo info;
    return GetPathInfo(path, &info) == StatusSuccess && (info.Attributes & FileAttributeDirectory);
}

bool ToolJoin(char result[MaximumPath], const char *folder, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/' && path[start - 1] != '\\')
        start--;
    size_t own = strlen(folder);
    const char *slash = own > 0 && folder[own - 1] == '/' ? "" : "/";
    return snprintf(result, MaximumPath, "%s%s%.*s", folder, slash, (int)(length - start),
                    path + start) < MaximumPath;
}

void ToolForEachInput(int count, char **names, void (*visit)(const char *name, FILE *file))
{
    if (count == 0)
        visit(nullptr, stdin);
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], "-") == 0) {
            visit(nullptr, stdin);
            continue;
        }
        FILE *file = ToolIsFolder(names[i]) ? nullptr : fopen(names[i], "r");
        if (file == nullptr) {
            ToolSay(names[i], ToolIsFolder(names[i]) ? "it is a folder" : strerror(errno));
            continue;
        }
        visit(names[i], file);
        if (ferror(file))
            ToolSay(names[i], strerror(errno));
        fclose(file);
    }
}
