// kd.h - seeing what the kernel does: symbols from the PDB, stack walks, the crash report.
// SPDX-License-Identifier: MIT
#pragma once

#include "LoaderParams.h"
#include "ke.h"
#include "pdb/pdb.h"
#include "pe/pe.h"

// Remembers where the kernel image and its PDB lie; parses nothing yet. Registers the bugcheck
// reporter.
void KdInitialize(const LoaderParams *loader);
// Where the report is painted besides COM1 (win registers its panic text).
void KdRegisterScreen(void (*print)(const char *text, size_t length));
// How user modules are found: ps registers its look-up, which gives the module of a process around
// an address. In a crash it takes no locks.
typedef struct KdUserModule {
    char Name[32]; // of its file
    uint64_t Base;
    const PeImage *Image;   // the kernel's own view of its bytes, for unwinding and export names
    const PdbFile *Symbols; // in a crash only; nullptr: none at hand
} KdUserModule;
void KdRegisterModuleFinder(bool (*find)(KProcess *process, uint64_t address,
                                         KdUserModule *module));
// How a sample of the profiler (ke's trace.c) keeps the user modules as they are while it walks.
void KdRegisterModuleKeeper(bool (*keep)(void), void (*release)(void));
// What the report calls the current process ("doom.exe (7)"): ps registers it; false for the
// kernel's own. Called in a crash: no locks, no waiting.
void KdRegisterProcessNamer(bool (*name)(char *text, size_t size));

typedef struct KdSymbol {
    char Module[32];
    char Function[96]; // "" when unknown
    uint32_t Offset;   // bytes from the function's start
    char File[128];    // "" when unknown
    uint32_t Line;
} KdSymbol;
bool KdLookupSymbol(uint64_t address, KdSymbol *symbol);
// Walks from frame (nullptr: the caller) outwards; returns the number of frames written.
size_t KdWalkStack(const KTrapFrame *frame, uint64_t *addresses, size_t capacity);
// Prints the walk to sink, one "#n module!Function+0x12  file.c:34" a line.
void KdPrintStack(const KTrapFrame *frame, RtlSink *sink, void *context);

// ---- a debugger on COM2 (debugger.c). Opens the port when boot option `debug` says so: after
// interrupts and the clock. StatusNotFound: there is no COM2.
Status KdStartDebugger(const LoaderParams *loader);
// Text for an attached debugger's window; any level. The log comes to it by itself.
void KdPrint(const char *text, size_t length);
// Asks the person at an attached debugger; the machine waits for the answer. Returns its length,
// cut to size - 1 bytes and NUL-terminated; 0: there is nobody.
size_t KdPrompt(const char *prompt, char *answer, size_t size);
// Tells an attached debugger that an image was mapped or unmapped in a process.
void KdNotifyModule(const char *path, uint64_t base, uint64_t size, uint64_t processId,
                    bool unload);
void KdNotifyShutdown(void); // the machine is about to go down

// ---- crash dumps (dump.c)
// A piece of physical memory.
typedef struct KdDumpSegment {
    uint64_t Physical, Size;
} KdDumpSegment;
#define KD_DUMP_SEGMENTS 64u // in a row
// Writing without interrupts, locks or the rest of the kernel; each returns false when the disk
// does not do it in time.
typedef struct KdDumpDevice {
    bool (*Start)(void); // takes the controller over from its driver
    bool (*Write)(uint64_t sector, const KdDumpSegment *segments, uint32_t count, uint32_t sectors);
    bool (*Flush)(void);
    uint32_t SectorSize;
} KdDumpDevice;
// From now on a bugcheck leaves a dump in these sectors. bitmap: page-aligned memory in the direct
// map, KdDumpBitmapSize bytes, which is kd's; classOf: how soon a page frame goes into the dump, 1
// before 2 ...; 0: never. Called in a crash.
#define KD_DUMP_CLASSES 4u
size_t KdDumpBitmapSize(const LoaderParams *loader);
void KdEnableDump(const LoaderParams *loader, const KdDumpDevice *device, uint64_t firstSector,
                  uint64_t sectorCount, void *bitmap, uint32_t (*classOf)(uint64_t frame));
// Whether the first KD_DUMP_HEADER_SIZE bytes of what a bugcheck wrote are those of a whole dump of
// at most space bytes; *size is then the file's.
#define KD_DUMP_HEADER_SIZE 8192u
bool KdCheckDump(const void *header, uint64_t space, uint64_t *size);

// Adds a crash to those of crash.c, for subsystems above kd; start-up only, at most 8.
void KdRegisterCrash(const char *name, void (*routine)(void));
// For tests: boot option `crash = NAME` (crash.c has the names) stops the machine in that way;
// without the option nothing happens.
void KdCrash(const char *options);
