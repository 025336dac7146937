// launcher.c - the launcher's thread: it does what takes time, so that the window thread never
// waits.
// SPDX-License-Identifier: MIT
#include "wi.h"

enum { StartCapacity = 8, CommandExtra = sizeof("\"/apps/\"") - 1 };

static struct {
    KEvent Event;                     // auto: there is a request
    char Commands[StartCapacity][64]; // [m]
    size_t CommandCount;              // [m]
    bool List;                        // [m] the programs
    bool Wallpaper;                   // [m]
    bool Power;                       // [m]
    ShutdownAction Action;            // [m]
} Requests;                           // Legend: m WiMutex.

static Status (*Starter)(const char *commandLine);
static void (*PowerHook)(ShutdownAction action);
static WiProgram Programs[WI_MAXIMUM_PROGRAMS]; // the launcher thread's

void WinRegisterStarter(Status (*start)(const char *commandLine))
{
    Starter = start;
}
void WinRegisterPower(void (*power)(ShutdownAction action))
{
    PowerHook = power;
}

static const struct {
    const char *File, *Name;
    WiIcon Icon;
} knownPrograms[] = {
    {"terminal.exe", "Terminal", IconTerminal},
    {"doom.exe", "DOOM", IconDoom},
    {"fire.exe", "Fire", IconFire},
};

WiIcon WiFindIcon(const char *program)
{
    for (size_t i = 0; i < RTL_COUNT_OF(knownPrograms); i++)
        if (RtlCompareNoCase(knownPrograms[i].File, program) == 0)
            return knownPrograms[i].Icon;
    return IconProgram;
}

void WiRequestStart(const char *command)
{
    if (Requests.CommandCount == StartCapacity)
        return;
    RtlCopyString(Requests.Commands[Requests.CommandCount++], sizeof(Requests.Commands[0]),
                  command);
    KeSetEvent(&Requests.Event);
}

void WiRequestPower(ShutdownAction action)
{
    Requests.Power = true;
    Requests.Action = action;
    KeSetEvent(&Requests.Event);
}

void WiRequestPrograms(void)
{
    Requests.List = true;
    KeSetEvent(&Requests.Event);
}

void WiRequestWallpaper(void)
{
    Requests.Wallpaper = true;
    KeSetEvent(&Requests.Event);
}

// "fire.exe" becomes its name in the menu and its command; false when it is no program.
static bool DescribeProgram(const char *file, WiProgram *program)
{
    size_t length = strlen(file);
    if (length < 5 ||
        length >= RTL_MIN(sizeof(program->Name), sizeof(program->Command) - CommandExtra) ||
        RtlCompareNoCase(file + length - 4, ".exe") != 0)
        return false;
    memset(program, 0, sizeof(*program));
    RtlFormat(program->Command, sizeof(program->Command), "\"/apps/%s\"", file);
    RtlCopyString(program->Name, sizeof(program->Name), file);
    program->Name[length - 4] = '\0';
    if (program->Name[0] >= 'a' && program->Name[0] <= 'z')
        program->Name[0] = (char)(program->Name[0] - 'a' + 'A');
    for (size_t i = 0; i < RTL_COUNT_OF(knownPrograms); i++)
        if (RtlCompareNoCase(knownPrograms[i].File, file) == 0)
            RtlCopyString(program->Name, sizeof(program->Name), knownPrograms[i].Name);
    program->Icon = WiFindIcon(file);
    return true;
}

// Known programs first, the others by name.
static bool Before(const WiProgram *a, const WiProgram *b)
{
    if ((a->Icon == IconProgram) != (b->Icon == IconProgram))
        return a->Icon != IconProgram;
    return RtlCompareNoCase(a->Name, b->Name) < 0;
}

static int32_t Insert(int32_t count, const WiProgram *program)
{
    int32_t at = count;
    for (; at > 0 && Before(program, &Programs[at - 1]); at--)
        Programs[at] = Programs[at - 1];
    Programs[at] = *program;
    return count + 1;
}

static void ListPrograms(void)
{
    static DirectoryEntry entry;
    FsFile *directory;
    int32_t count = 0;
    WiProgram program;
    if (FsOpenDirectory("/apps", &directory) == StatusSuccess) {
        while (count < WI_MAXIMUM_PROGRAMS && FsReadDirectory(directory, &entry) == StatusSuccess)
            if (!(entry.Info.Attributes & FileAttributeDirectory) &&
                DescribeProgram(entry.Name, &program))
                count = Insert(count, &program);
        ObDereference(directory);
    }
    KeAcquireMutex(&WiMutex);
    WiDeskSetPrograms(&WiDesktop, Programs, count);
    WiPresent();
    KeReleaseMutex(&WiMutex);
}

static void StartProgram(const char *command)
{
    Status status = Starter != nullptr ? Starter(command) : StatusNotSupported;
    if (status == StatusSuccess)
        return;
    KeLog(LogWarning, "win: %s could not be started: %s", command, RtlStatusText(status));
    char notice[sizeof(WiDesktop.Notice)];
    RtlFormat(notice, sizeof(notice), "%s could not be started: %s.", command,
              RtlStatusText(status));
    KeAcquireMutex(&WiMutex);
    WiDeskNotify(&WiDesktop, notice);
    WiPresent();
    KeReleaseMutex(&WiMutex);
}

static void MakeWallpaper(void)
{
    static bool made;
    WiMakeWallpaper();
    if (!made)
        KeLog(LogInfo, "win: the desktop is on the screen");
    made = true;
}

static void LauncherThread(void *context)
{
    for (;;) {
        char command[sizeof(Requests.Commands[0])] = "";
        KeAcquireMutex(&WiMutex);
        bool list = Requests.List, power = Requests.Power, wallpaper = Requests.Wallpaper;
        ShutdownAction action = Requests.Action;
        Requests.List = Requests.Power = Requests.Wallpaper = false;
        if (Requests.CommandCount > 0) {
            memcpy(command, Requests.Commands[0], sizeof(command));
            memmove(Requests.Commands[0], Requests.Commands[1],
                    --Requests.CommandCount * sizeof(command));
        }
        KeReleaseMutex(&WiMutex);
        if (list)
            ListPrograms();
        if (wallpaper)
            MakeWallpaper();
        if (command[0] != '\0')
            StartProgram(command);
        if (power && PowerHook != nullptr)
            PowerHook(action);
        if (!list && !power && !wallpaper && command[0] == '\0' &&
            KeWaitForObject(&Requests.Event, KernelWait, KE_INFINITE) != StatusSuccess)
            return;
    }
}

void WiInitializeLauncher(void)
{
    KeInitializeEvent(&Requests.Event, false, false);
    Requests.List = Requests.Wallpaper = true;
}

Status WiStartLauncher(void)
{
    return PsCreateSystemThread("launcher", KePriorityNormal, LauncherThread, nullptr);
}
