// console.c - consoles: what a program reads and writes when a person is at the other end.
//
// A console has two ends, as a pipe has. Programs hold the console's end as their standard handles;
// what they write is output, what they read went through the line discipline (discipline.h). The
// terminal's end belongs to whoever shows it: reading takes output, writing types. The machine's
// own console, "/device/console", has COM1 as its terminal: output leaves with KeWriteConsole, and
// when `console = com1` asks for it a thread types what COM1 receives.
//
// An interrupt (Control+C) goes to the foreground: up to FS_FOREGROUND processes, which are ended
// with exit code ConsoleInterrupted, and events, which are set. Whoever runs programs on a console
// says what its foreground is. When the terminal's end is gone the foreground is interrupted too,
// reads say end of file and writes StatusPipeBroken.
//
// Locking. One spin lock per console guards everything in it; bytes are moved a piece at a time.
// Manual-reset events, which programs can wait for as well, change under the lock and say whether
// there is input, output, room for output, or nobody left to wait for. Ending a process takes more
// than a spin lock allows, so the foreground is taken out under the lock and interrupted after it.
// SPDX-License-Identifier: MIT
#include "discipline.h"
#include "fsp.h"
#include "ps.h"

#define OUTPUT_SIZE 65536u // a power of two
#define PIECE       4096u  // bytes moved under the lock at a time
#define SIDE_LIMIT  4096u  // columns, rows

struct FspConsoleState {
    KSpinLock Lock; // guards what follows
    FspDiscipline Discipline;
    uint32_t Head, Tail; // of Output, free-running
    uint32_t Columns, Rows;
    uint32_t Interrupts;
    uint32_t Ends; // FsFiles
    bool TerminalGone, ConsoleGone;
    void *Foreground[FS_FOREGROUND]; // referenced
    uint32_t ForegroundCount;
    KEvent Input, OutputReady, Room;
    uint8_t Output[OUTPUT_SIZE]; // unused by the machine's
};

static FspConsoleState MachineConsole; // its terminal is COM1
static bool MachineListens;            // COM1 types

static bool IsMachine(const FspConsoleState *console)
{
    return console == &MachineConsole;
}

static void Initialize(FspConsoleState *console, uint32_t columns, uint32_t rows)
{
    KeInitializeSpinLock(&console->Lock, LockRankFile, "console");
    KeInitializeEvent(&console->Input, true, false);
    KeInitializeEvent(&console->OutputReady, true, false);
    KeInitializeEvent(&console->Room, true, true);
    console->Discipline.Mode = ConsoleModeDefault;
    console->Columns = columns;
    console->Rows = rows;
}

// ---- output

// Adds as much as there is room for; how much of text that was. Lock held.
static size_t PutOutput(FspConsoleState *console, const uint8_t *text, size_t size)
{
    bool translate = console->Discipline.Mode & ConsoleNewLine;
    size_t done = 0;
    for (; done < size; done++) {
        uint32_t room = OUTPUT_SIZE - (console->Tail - console->Head);
        bool newLine = translate && text[done] == '\n';
        if (room < (newLine ? 2u : 1u))
            break;
        if (newLine)
            console->Output[console->Tail++ % OUTPUT_SIZE] = '\r';
        console->Output[console->Tail++ % OUTPUT_SIZE] = text[done];
    }
    if (done > 0)
        KeSetEvent(&console->OutputReady);
    return done;
}

// The discipline's echo: shown at once or, when output is stuck, not at all. Lock held.
static void Echo(void *context, const char *text, size_t length)
{
    FspConsoleState *console = context;
    if (IsMachine(console))
        KeWriteConsole(text, length);
    else
        for (size_t i = 0; i < length && console->Tail - console->Head < OUTPUT_SIZE; i++)
            console->Output[console->Tail++ % OUTPUT_SIZE] = (uint8_t)text[i];
}

static Status WriteMachine(const uint8_t *text, size_t size, size_t *transferred)
{
    bool translate = MachineListens && (MachineConsole.Discipline.Mode & ConsoleNewLine);
    size_t start = 0;
    for (size_t i = 0; translate && i < size; i++)
        if (text[i] == '\n') {
            KeWriteConsole(text + start, i - start);
            KeWriteConsole("\r\n", 2);
            start = i + 1;
        }
    KeWriteConsole(text + start, size - start);
    *transferred = size;
    return StatusSuccess;
}

static Status WriteOutput(FspConsoleState *console, const uint8_t *text, size_t size,
                          size_t *transferred)
{
    while (*transferred < size) {
        KIrql old = KeAcquireSpinLock(&console->Lock);
        bool gone = console->TerminalGone;
        size_t part =
            gone ? 0 : PutOutput(console, text + *transferred, RTL_MIN(size - *transferred, PIECE));
        if (!part && !gone)
            KeResetEvent(&console->Room);
        KeReleaseSpinLock(&console->Lock, old);
        *transferred += part;
        if (gone)
            return StatusPipeBroken;
        if (part)
            continue;
        Status status = KeWaitForObject(&console->Room, UserWait, KE_INFINITE);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}

static size_t CopyOutput(FspConsoleState *console, uint8_t *buffer, size_t size)
{
    uint32_t at = console->Head % OUTPUT_SIZE;
    size_t part = RTL_MIN(size, (size_t)(console->Tail - console->Head));
    part = RTL_MIN(RTL_MIN(part, OUTPUT_SIZE - at), PIECE);
    memcpy(buffer, console->Output + at, part);
    console->Head += (uint32_t)part;
    if (part > 0)
        KeSetEvent(&console->Room);
    if (console->Head == console->Tail && !console->ConsoleGone)
        KeResetEvent(&console->OutputReady);
    return part;
}

static Status ReadOutput(FspConsoleState *console, uint8_t *buffer, size_t size,
                         size_t *transferred)
{
    while (*transferred < size) {
        KIrql old = KeAcquireSpinLock(&console->Lock);
        size_t part = CopyOutput(console, buffer + *transferred, size - *transferred);
        bool over = !part && console->ConsoleGone;
        KeReleaseSpinLock(&console->Lock, old);
        *transferred += part;
        if (part)
            continue;
        if (*transferred)
            return StatusSuccess;
        if (over)
            return StatusEndOfFile;
        Status status = KeWaitForObject(&console->OutputReady, UserWait, KE_INFINITE);
        if (status != StatusSuccess)
            return status;
    }
    return StatusSuccess;
}

// ---- input

// Makes the events say how things are after input or an echo changed. Lock held.
static void Announce(FspConsoleState *console)
{
    if (FspHasInput(&console->Discipline) || console->TerminalGone)
        KeSetEvent(&console->Input);
    else
        KeResetEvent(&console->Input);
    if (console->Head != console->Tail)
        KeSetEvent(&console->OutputReady);
}

static Status ReadInput(FspConsoleState *console, uint8_t *buffer, size_t size, size_t *transferred)
{
    if (IsMachine(console) && !MachineListens)
        return size ? StatusEndOfFile : StatusSuccess;
    for (;;) {
        KIrql old = KeAcquireSpinLock(&console->Lock);
        bool ready = FspHasInput(&console->Discipline), gone = console->TerminalGone;
        bool end =
            ready && !FspTakeInput(&console->Discipline, buffer, RTL_MIN(size, PIECE), transferred);
        Announce(console);
        KeReleaseSpinLock(&console->Lock, old);
        if (end || (!ready && gone))
            return size ? StatusEndOfFile : StatusSuccess;
        if (ready || size == 0)
            return StatusSuccess;
        Status status = KeWaitForObject(&console->Input, UserWait, KE_INFINITE);
        if (status != StatusSuccess)
            return status;
    }
}

// Takes the foreground out. Lock held.
static uint32_t TakeForeground(FspConsoleState *console, void *objects[FS_FOREGROUND])
{
    uint32_t count = console->ForegroundCount;
    memcpy(objects, console->Foreground, count * sizeof(*objects));
    console->ForegroundCount = 0;
    return count;
}

static void Release(void *const *objects, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        ObDereference(objects[i]);
}

// An interrupt on its way to what was in the foreground.
typedef struct Interrupt {
    KWorkItem Work;
    uint32_t Count;
    void *Objects[FS_FOREGROUND]; // referenced
} Interrupt;

static void DeliverInterrupt(void *context)
{
    Interrupt *interrupt = context;
    for (uint32_t i = 0; i < interrupt->Count; i++) {
        void *object = interrupt->Objects[i];
        if (ObGetType(object)->Kind == ObjectProcess)
            PsTerminateTree(object, ConsoleInterrupted);
        else
            KeSetEvent(ObGetDispatcher(object));
    }
    Release(interrupt->Objects, interrupt->Count);
    MmFreeHeap(interrupt);
}

// Interrupts what is in the foreground; it stays there. The worker thread does it: the process may
// be the caller's own. Without memory nothing happens.
static void InterruptForeground(FspConsoleState *console)
{
    Interrupt *interrupt = MmAllocateHeap(sizeof(*interrupt), FSP_TAG);
    KIrql old = KeAcquireSpinLock(&console->Lock);
    console->Interrupts++;
    uint32_t count = interrupt ? console->ForegroundCount : 0;
    for (uint32_t i = 0; i < count; i++)
        ObReference(interrupt->Objects[i] = console->Foreground[i]);
    KeReleaseSpinLock(&console->Lock, old);
    if (!interrupt)
        return;
    interrupt->Count = count;
    interrupt->Work.Routine = DeliverInterrupt;
    interrupt->Work.Context = interrupt;
    (void)KeQueueWorkItem(&interrupt->Work);
}

static size_t TypePiece(FspConsoleState *console, const uint8_t *text, size_t size,
                        uint32_t *interrupts)
{
    size_t done = 0;
    KIrql old = KeAcquireSpinLock(&console->Lock);
    while (done < size && !FspIsInputFull(&console->Discipline))
        if (FspType(&console->Discipline, text[done++], Echo, console))
            (*interrupts)++;
    Announce(console);
    KeReleaseSpinLock(&console->Lock, old);
    return done;
}

// Never waits: what there is no room for was not typed.
static Status Type(FspConsoleState *console, const uint8_t *text, size_t size, size_t *transferred)
{
    bool full = false;
    while (*transferred < size && !full) {
        uint32_t interrupts = 0;
        size_t wanted = RTL_MIN(size - *transferred, (size_t)256);
        size_t part = TypePiece(console, text + *transferred, wanted, &interrupts);
        full = part < wanted;
        *transferred += part;
        while (interrupts-- > 0)
            InterruptForeground(console);
    }
    return *transferred == size ? StatusSuccess : StatusWouldBlock;
}

// ---- ends

Status FsCreateConsole(uint32_t columns, uint32_t rows, FsFile **terminal, FsFile **consoleEnd)
{
    if (columns == 0 || columns > SIDE_LIMIT || rows == 0 || rows > SIDE_LIMIT)
        return StatusInvalidParameter;
    FspConsoleState *console = MmAllocateHeap(sizeof(FspConsoleState), FSP_TAG);
    if (!console)
        return StatusNoMemory;
    Initialize(console, columns, rows);
    void *ends[2];
    for (int i = 0; i < 2; i++) {
        Status status = ObCreateObject(&FsFileType, sizeof(FsFile), &ends[i]);
        if (status != StatusSuccess) {
            if (i)
                ObDereference(ends[0]); // frees the console with its only end
            else
                MmFreeHeap(console);
            return status;
        }
        FsFile *file = ends[i];
        file->Kind = i ? FspConsole : FspTerminal;
        file->Access = FileRead | FileWrite;
        file->Console = console;
        console->Ends++;
    }
    *terminal = ends[0];
    *consoleEnd = ends[1];
    return StatusSuccess;
}

void FspOpenMachineConsole(FsFile *file)
{
    file->Kind = FspConsole;
    file->Console = &MachineConsole;
}

void FspCloseConsoleEnd(FsFile *file)
{
    FspConsoleState *console = file->Console;
    if (!console || IsMachine(console))
        return;
    bool terminal = file->Kind == FspTerminal;
    KIrql old = KeAcquireSpinLock(&console->Lock);
    bool hangUp = terminal && !console->TerminalGone;
    console->TerminalGone |= terminal;
    console->ConsoleGone |= !terminal;
    if (console->ConsoleGone)
        KeSetEvent(&console->OutputReady);
    if (console->TerminalGone)
        KeSetEvent(&console->Room);
    Announce(console);
    KeReleaseSpinLock(&console->Lock, old);
    if (hangUp)
        InterruptForeground(console);
}

KDispatcherHeader *FspGetConsoleDispatcher(FsFile *file)
{
    FspConsoleState *console = file->Console;
    return file->Kind == FspTerminal ? &console->OutputReady.Header : &console->Input.Header;
}

void FspDeleteConsoleEnd(FsFile *file)
{
    FspConsoleState *console = file->Console;
    if (!console || IsMachine(console))
        return;
    FspCloseConsoleEnd(file);
    void *objects[FS_FOREGROUND];
    KIrql old = KeAcquireSpinLock(&console->Lock);
    bool last = --console->Ends == 0;
    uint32_t count = last || file->Kind == FspConsole ? TakeForeground(console, objects) : 0;
    KeReleaseSpinLock(&console->Lock, old);
    Release(objects, count);
    if (last)
        MmFreeHeap(console);
}

Status FspReadConsole(FsFile *file, void *buffer, size_t size, size_t *transferred)
{
    return file->Kind == FspTerminal ? ReadOutput(file->Console, buffer, size, transferred)
                                     : ReadInput(file->Console, buffer, size, transferred);
}

Status FspWriteConsole(FsFile *file, const void *buffer, size_t size, size_t *transferred)
{
    if (file->Kind == FspTerminal)
        return Type(file->Console, buffer, size, transferred);
    if (IsMachine(file->Console))
        return WriteMachine(buffer, size, transferred);
    return WriteOutput(file->Console, buffer, size, transferred);
}

// ---- what programs ask of a console

static bool IsConsole(const FsFile *file)
{
    return file->Kind == FspConsole || file->Kind == FspTerminal;
}

Status FsQueryConsole(FsFile *file, ConsoleInfo *info)
{
    if (!IsConsole(file))
        return StatusWrongType;
    FspConsoleState *console = file->Console;
    KIrql old = KeAcquireSpinLock(&console->Lock);
    *info = (ConsoleInfo){
        .Columns = console->Columns,
        .Rows = console->Rows,
        .Mode = console->Discipline.Mode,
        .Interrupts = console->Interrupts,
    };
    KeReleaseSpinLock(&console->Lock, old);
    return StatusSuccess;
}

Status FsSetConsoleMode(FsFile *file, uint32_t mode)
{
    if (!IsConsole(file))
        return StatusWrongType;
    if (mode & ~(uint32_t)ConsoleModeDefault)
        return StatusInvalidParameter;
    FspConsoleState *console = file->Console;
    KIrql old = KeAcquireSpinLock(&console->Lock);
    FspSetMode(&console->Discipline, mode);
    Announce(console);
    KeReleaseSpinLock(&console->Lock, old);
    return StatusSuccess;
}

Status FsSetConsoleSize(FsFile *file, uint32_t columns, uint32_t rows)
{
    if (!IsConsole(file))
        return StatusWrongType;
    if (columns == 0 || columns > SIDE_LIMIT || rows == 0 || rows > SIDE_LIMIT)
        return StatusInvalidParameter;
    FspConsoleState *console = file->Console;
    KIrql old = KeAcquireSpinLock(&console->Lock);
    console->Columns = columns;
    console->Rows = rows;
    KeReleaseSpinLock(&console->Lock, old);
    return StatusSuccess;
}

Status FsSetConsoleForeground(FsFile *file, void *const *objects, uint32_t count)
{
    if (file->Kind != FspConsole)
        return StatusWrongType;
    void *before[FS_FOREGROUND];
    FspConsoleState *console = file->Console;
    for (uint32_t i = 0; i < count; i++)
        ObReference(objects[i]);
    KIrql old = KeAcquireSpinLock(&console->Lock);
    uint32_t countBefore = TakeForeground(console, before);
    memcpy(console->Foreground, objects, count * sizeof(*objects));
    console->ForegroundCount = count;
    KeReleaseSpinLock(&console->Lock, old);
    Release(before, countBefore);
    return StatusSuccess;
}

// ---- the machine's console

static KEvent SerialReceived; // auto-reset
static KDpc SerialDpc;

static void TypeFromSerial(void *context)
{
    uint8_t bytes[64];
    for (;;) {
        size_t count = HalReadSerial((char *)bytes, sizeof(bytes)), typed = 0;
        if (count == 0)
            (void)!KeWaitForObject(&SerialReceived, KernelWait, KE_INFINITE); // cannot fail
        else
            (void)!Type(&MachineConsole, bytes, count, &typed); // too much at once is lost
    }
}

static void WakeTyping(void *context)
{
    KeSetEvent(&SerialReceived);
}

static void QueueTyping(void *context)
{
    (void)KeQueueDpc(&SerialDpc);
}

Status FspInitializeConsole(const LoaderParams *loader)
{
    char option[16];
    Initialize(&MachineConsole, 80, 25);
    if (!RtlFindOption(loader->Options, "console", 0, option, sizeof(option)) ||
        RtlCompareNoCase(option, "com1") != 0)
        return StatusSuccess;
    KeInitializeEvent(&SerialReceived, false, false);
    KeInitializeDpc(&SerialDpc, WakeTyping, nullptr);
    Status status = HalListenToSerial(QueueTyping, nullptr);
    if (status == StatusSuccess)
        status = PsCreateSystemThread("com1", KePriorityNormal, TypeFromSerial, nullptr);
    MachineListens = status == StatusSuccess;
    KeSetConsoleFraming(!MachineListens);
    if (!MachineListens)
        KeLog(LogWarning, "fs: COM1 cannot be listened to: %s", RtlStatusText(status));
    return StatusSuccess;
}
