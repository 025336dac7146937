// Tests of kernel/fs with kernel/io's cache and FatFs, natively: random operations against a model
// on volumes of every kind, then fsck.fat; the rules of paths and sharing; full disks, failing
// disks, failing allocations, damaged volumes.
// SPDX-License-Identifier: MIT
#include "io_host.h"

#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
} // closed files stay cached

static HostDisk Disk;
static char Image[64];
static const LoaderParams Loader;

// Makes an image and mounts it. Each test runs in a process of its own, so a volume is mounted
// once.
static Status Mount(const char *options, uint32_t sectorSize, const char *size)
{
    snprintf(Image, sizeof(Image), "/tmp/metalos-files-%d.img", (int)getpid());
    unlink(Image);
    if (HostCommand("truncate -s %s %s && PATH=$PATH:/sbin:/usr/sbin mkfs.fat -n TESTDISK -S %u %s "
                    "%s >/dev/null",
                    size, Image, sectorSize, options, Image) != 0) {
        printf("Bail out! mkfs.fat does not work\n");
        exit(1);
    }
    HostOpenDisk(&Disk, Image, sectorSize);
    return FsInitialize(&Loader);
}

void FspFlushInBackground(void); // kernel/fs/fsp.h

static void RunFlushThread(void)
{
    if (HostRunTimers())
        FspFlushInBackground();
}

static void CheckVolume(void)
{
    CHECK_EQUAL(HostCommand("PATH=$PATH:/sbin:/usr/sbin fsck.fat -n %s >%s.log 2>&1", Image, Image),
                0);
    if (UnitFailed)
        HostCommand("sed 's/^/# /' %s.log", Image);
}

// After everything is closed: nothing is left behind but the cache's table.
static void Finish(void)
{
    CHECK_EQUAL(FsShutdown(), StatusSuccess);
    HostShrink();
    CHECK_EQUAL(HostPages, 0);
    CHECK_EQUAL(HostBlocks, 1);
    CHECK_EQUAL(Disk.Unflushed, 0);
    CheckVolume();
    HostCommand("rm -f %s %s.log", Image, Image);
}

// ---- the model

#define MODEL_ENTRIES 48
#define MODEL_SIZE    200000u

typedef struct Model {
    char Path[MaximumPath];
    bool Used, Directory;
    uint8_t *Data;
    uint64_t Size;
    FsFile *Open; // one handle the test keeps for a while
} Model;
static Model Entries[MODEL_ENTRIES];
static uint64_t Seed;
static uint8_t Buffer[MODEL_SIZE * 2];

static uint32_t Pick(uint32_t limit)
{
    return (uint32_t)(UnitRandom(&Seed) >> 33) % limit;
}

static Model *Find(const char *path)
{
    for (int i = 0; i < MODEL_ENTRIES; i++) {
        if (Entries[i].Used && strcmp(Entries[i].Path, path) == 0)
            return &Entries[i];
    }
    return nullptr;
}

static Model *PickEntry(bool directory)
{
    Model *entry = &Entries[Pick(MODEL_ENTRIES)];
    return entry->Used && entry->Directory == directory ? entry : nullptr;
}

static Model *PickFree(void)
{
    Model *entry = &Entries[Pick(MODEL_ENTRIES)];
    return entry->Used ? nullptr : entry;
}

static bool HasChildren(const Model *directory)
{
    size_t length = strlen(directory->Path);
    for (int i = 0; i < MODEL_ENTRIES; i++) {
        if (Entries[i].Used && strncmp(Entries[i].Path, directory->Path, length) == 0 &&
            Entries[i].Path[length] == '/')
            return true;
    }
    return false;
}

static void MakeName(char path[MaximumPath])
{
    static const char *const patterns[] = {"F%u.TXT",
                                           "a longer name with blanks %u.data",
                                           "\xC3\xA4\xC3\xB6 \xD0\xB6 %u",
                                           "mixedCase%u.Ext",
                                           "%u",
                                           "\xF0\x9F\x98\x80%u.emoji",
                                           ".hidden%u",
                                           "x.y.z %u"};
    Model *parent = Pick(2) ? PickEntry(true) : nullptr;
    size_t used = 0;
    if (parent && strlen(parent->Path) < 500) {
        used = strlen(parent->Path);
        memcpy(path, parent->Path, used);
    }
    path[used++] = '/';
    snprintf(path + used, MaximumPath - used, patterns[Pick(RTL_COUNT_OF(patterns))], Pick(40));
}

static FsFile *OpenModel(Model *entry)
{
    FsFile *file = nullptr;
    if (entry->Open) {
        ObReference(entry->Open);
        return entry->Open;
    }
    CHECK_EQUAL(FsOpen(entry->Path, FileRead | FileWrite, FileOpenExisting, &file), StatusSuccess);
    return file;
}

static void StepCreate(void)
{
    char path[MaximumPath];
    Model *entry = PickFree();
    MakeName(path);
    FsFile *file;
    if (Find(path)) {
        CHECK_EQUAL(FsOpen(path, FileWrite, FileCreateNew, &file),
                    Find(path)->Directory ? StatusIsADirectory : StatusAlreadyExists);
        return;
    }
    if (!entry)
        return;
    CHECK_EQUAL(FsOpen(path, FileRead | FileWrite, Pick(2) ? FileCreateNew : FileOpenAlways, &file),
                StatusSuccess);
    if (UnitFailed)
        return;
    *entry = (Model){.Used = true, .Data = calloc(1, MODEL_SIZE * 2)};
    strcpy(entry->Path, path);
    if (Pick(3))
        ObDereference(file);
    else
        entry->Open = file;
}

static void StepWrite(void)
{
    Model *entry = PickEntry(false);
    if (!entry)
        return;
    uint64_t offset =
        Pick(4) ? Pick((uint32_t)RTL_MIN(entry->Size, MODEL_SIZE) + 1) : Pick(MODEL_SIZE);
    size_t size = Pick(3) ? Pick(3000) + 1 : Pick(MODEL_SIZE) + 1, done;
    for (size_t i = 0; i < size; i += 1 + Pick(16))
        Buffer[i] = (uint8_t)UnitRandom(&Seed);
    FsFile *file = OpenModel(entry);
    if (!file)
        return;
    CHECK_EQUAL(FsWrite(file, &offset, Buffer, size, &done), StatusSuccess);
    CHECK_EQUAL(done, size);
    memcpy(entry->Data + offset, Buffer, size);
    entry->Size = RTL_MAX(entry->Size, offset + size);
    ObDereference(file);
}

static void StepRead(void)
{
    Model *entry = PickEntry(false);
    if (!entry)
        return;
    uint64_t offset = Pick((uint32_t)entry->Size + 100);
    size_t size = Pick(2) ? Pick(5000) : Pick(MODEL_SIZE), done;
    FsFile *file = OpenModel(entry);
    if (!file)
        return;
    Status status = FsRead(file, &offset, Buffer, size, &done);
    uint64_t expected = offset >= entry->Size ? 0 : RTL_MIN(size, entry->Size - offset);
    CHECK_EQUAL(status, offset >= entry->Size && size ? StatusEndOfFile : StatusSuccess);
    CHECK_EQUAL(done, expected);
    CHECK(memcmp(Buffer, entry->Data + offset, expected) == 0);
    FileInfo info;
    CHECK_EQUAL(FsQuery(file, &info), StatusSuccess);
    CHECK_EQUAL(info.Size, entry->Size);
    ObDereference(file);
}

static void StepResize(void)
{
    Model *entry = PickEntry(false);
    if (!entry)
        return;
    uint64_t size = Pick(3) ? Pick((uint32_t)entry->Size + 1) : Pick(MODEL_SIZE);
    FsFile *file = OpenModel(entry);
    if (!file)
        return;
    CHECK_EQUAL(FsSetSize(file, size), StatusSuccess);
    if (size < entry->Size)
        memset(entry->Data + size, 0, entry->Size - size);
    entry->Size = size;
    ObDereference(file);
}

static void StepDelete(void)
{
    Model *entry = PickEntry(Pick(4) == 0);
    if (!entry)
        return;
    if (entry->Directory) {
        bool full = HasChildren(entry);
        CHECK_EQUAL(FsRemoveDirectory(entry->Path), full ? StatusDirectoryNotEmpty : StatusSuccess);
        CHECK_EQUAL(FsDelete("/nothing here"), StatusNotFound);
        entry->Used = full;
    } else if (entry->Open) {
        CHECK_EQUAL(FsDelete(entry->Path), StatusSharingViolation);
    } else {
        CHECK_EQUAL(FsDelete(entry->Path), StatusSuccess);
        free(entry->Data);
        entry->Used = false;
    }
}

static void StepDirectory(void)
{
    char path[MaximumPath];
    Model *entry = PickFree();
    MakeName(path);
    if (Find(path)) {
        CHECK_EQUAL(FsCreateDirectory(path), StatusAlreadyExists);
    } else if (entry) {
        CHECK_EQUAL(FsCreateDirectory(path), StatusSuccess);
        *entry = (Model){.Used = true, .Directory = true};
        strcpy(entry->Path, path);
    }
}

static bool HasOpenFile(const char *directory)
{
    size_t length = strlen(directory);
    for (int i = 0; i < MODEL_ENTRIES; i++) {
        if (Entries[i].Used && Entries[i].Open && !strncmp(Entries[i].Path, directory, length))
            return true;
    }
    return false;
}

static void MoveChildren(const char *from, const char *to)
{
    size_t length = strlen(from);
    for (int i = 0; i < MODEL_ENTRIES; i++) {
        Model *entry = &Entries[i];
        if (!entry->Used || strncmp(entry->Path, from, length) ||
            (entry->Path[length] && entry->Path[length] != '/'))
            continue;
        char path[MaximumPath * 2];
        snprintf(path, sizeof(path), "%s%s", to, entry->Path + length);
        strcpy(entry->Path, path);
    }
}

static void StepRename(void)
{
    char path[MaximumPath], old[MaximumPath];
    Model *entry = PickEntry(Pick(3) == 0);
    if (!entry)
        return;
    MakeName(path);
    Model *there = Find(path);
    size_t length = strlen(entry->Path);
    strcpy(old, entry->Path);
    bool inside = entry->Directory && !strncmp(path, entry->Path, length) && path[length] == '/';
    Status status = FsRename(entry->Path, path);
    if (inside) {
        CHECK_EQUAL(status, StatusInvalidParameter);
    } else if (!entry->Directory && entry->Open) {
        CHECK_EQUAL(status, StatusSharingViolation);
    } else if (there && there != entry && (there->Directory || entry->Directory)) {
        CHECK_EQUAL(status, StatusAlreadyExists);
    } else if (there && there != entry && there->Open) {
        CHECK_EQUAL(status, StatusSharingViolation);
    } else {
        CHECK_EQUAL(status, StatusSuccess);
        if (there && there != entry) {
            free(there->Data);
            there->Used = false;
        }
        if (status == StatusSuccess)
            MoveChildren(old, path);
    }
    (void)HasOpenFile;
}

static void StepList(void)
{
    Model *parent = Pick(3) ? PickEntry(true) : nullptr;
    const char *path = parent ? parent->Path : "/";
    size_t length = parent ? strlen(path) : 0;
    FsFile *directory;
    DirectoryEntry item;
    CHECK_EQUAL(FsOpenDirectory(path, &directory), StatusSuccess);
    if (UnitFailed)
        return;
    int listed = 0, expected = 0;
    while (FsReadDirectory(directory, &item) == StatusSuccess) {
        char child[MaximumPath * 2];
        snprintf(child, sizeof(child), "%.*s/%s", (int)length, path, item.Name);
        Model *entry = Find(child);
        CHECK(entry != nullptr);
        if (entry) {
            CHECK_EQUAL(item.Info.Attributes & FileAttributeDirectory,
                        entry->Directory ? FileAttributeDirectory : 0);
            CHECK_EQUAL(item.Info.Size, entry->Size);
        } else {
            printf("# unexpected %s\n", child);
        }
        listed++;
    }
    for (int i = 0; i < MODEL_ENTRIES; i++) {
        const char *at = Entries[i].Path;
        expected += Entries[i].Used && !strncmp(at, path, length) && at[length] == '/' &&
                    !strchr(at + length + 1, '/');
    }
    CHECK_EQUAL(listed, expected);
    if (parent)
        CHECK_EQUAL(FsRemoveDirectory(path), StatusSharingViolation);
    ObDereference(directory);
}

static void StepClose(void)
{
    Model *entry = PickEntry(false);
    if (entry && entry->Open) {
        ObDereference(entry->Open);
        entry->Open = nullptr;
    }
}

static void StepRest(void)
{
    switch (Pick(5)) {
    case 0:
        HostShrink();
        break;
    case 1:
        RunFlushThread();
        break;
    case 2:
        HostPump(&Disk);
        break;
    default: {
        Model *entry = PickEntry(false);
        if (entry && entry->Open)
            CHECK_EQUAL(FsFlush(entry->Open), StatusSuccess);
        FileInfo info;
        if (entry) {
            CHECK_EQUAL(FsQueryPath(entry->Path, &info), StatusSuccess);
            CHECK_EQUAL(info.Size, entry->Size);
        }
    }
    }
}

static void RunModel(uint64_t seed, int steps)
{
    static void (*const step[])(void) = {StepCreate,    StepWrite,  StepWrite,  StepWrite, StepRead,
                                         StepRead,      StepResize, StepDelete, StepClose, StepList,
                                         StepDirectory, StepRename, StepRest};
    Seed = seed;
    for (int i = 0; i < steps && !UnitFailed; i++) {
        step[Pick(RTL_COUNT_OF(step))]();
        if (UnitFailed)
            printf("# at step %d of seed %llu\n", i, (unsigned long long)seed);
    }
    for (int i = 0; i < MODEL_ENTRIES; i++) {
        if (Entries[i].Used && Entries[i].Open)
            ObDereference(Entries[i].Open);
    }
}

// Compares with what an independent reader (mtools) finds.
static void CheckContents(void)
{
    for (int i = 0; i < MODEL_ENTRIES; i++) {
        const Model *entry = &Entries[i];
        if (!entry->Used || entry->Directory || strpbrk(entry->Path, "\xC3\xF0"))
            continue;
        char name[128];
        snprintf(name, sizeof(name), "%s.out", Image);
        CHECK_EQUAL(HostCommand("MTOOLS_SKIP_CHECK=1 mcopy -n -o -i %s '::%s' %s 2>&1", Image,
                                entry->Path, name),
                    0);
        FILE *file = fopen(name, "rb");
        CHECK(file != nullptr);
        if (!file)
            continue;
        size_t size = fread(Buffer, 1, sizeof(Buffer), file);
        fclose(file);
        unlink(name);
        CHECK_EQUAL(size, entry->Size);
        CHECK(memcmp(Buffer, entry->Data, entry->Size) == 0);
    }
}

static void ModelOn(const char *options, uint32_t sectorSize, const char *size, uint64_t seed)
{
    CHECK_EQUAL(Mount(options, sectorSize, size), StatusSuccess);
    if (UnitFailed)
        return;
    Disk.Seed = seed * 77 + 1;
    RunModel(seed, 3000);
    CHECK_EQUAL(FsShutdown(), StatusSuccess);
    CheckContents();
    Finish();
}

static void ModelFat32Small(void)
{
    ModelOn("-F 32 -s 1", 512, "36M", 1);
}
static void ModelFat32Pages(void)
{
    ModelOn("-F 32 -s 8", 512, "300M", 2);
}
static void ModelFat32Large(void)
{
    ModelOn("-F 32 -s 64 -a", 512, "2200M", 3);
}
static void ModelFat16(void)
{
    ModelOn("-F 16 -s 4", 512, "30M", 4);
}
static void ModelFat12(void)
{
    ModelOn("-F 12 -s 16 -r 512", 512, "15M", 5);
}
static void ModelSectors4096(void)
{
    ModelOn("-F 32 -s 1", 4096, "300M", 6);
}

// ---- rules

static void PathRules(void)
{
    static const struct {
        const char *Directory, *Path, *Result;
        Status Status;
    } cases[] = {
        {"/", "a", "/a", StatusSuccess},
        {"/x/y", "a", "/x/y/a", StatusSuccess},
        {"/x/y", "../a", "/x/a", StatusSuccess},
        {"/x/y", "../../../a", "/a", StatusSuccess},
        {"/x", "/a//b/./c/", "/a/b/c", StatusSuccess},
        {"/x", "\\a\\b", "/a/b", StatusSuccess},
        {"/x", ".", "/x", StatusSuccess},
        {"/", ".", "/", StatusSuccess},
        {"/x", "..", "/", StatusSuccess},
        {"/x", "/", "/", StatusSuccess},
        {"/x", "a. ", "/x/a", StatusSuccess},
        {"/x", "...", "", StatusInvalidName},
        {"/x", "a/ /b", "", StatusInvalidName},
        {"/x", "", "", StatusInvalidName},
        {"/x", "a:b", "", StatusInvalidName},
        {"/x", "a*", "", StatusInvalidName},
        {"/x", "a\x01", "", StatusInvalidName},
        {"/x", "\xFF", "", StatusInvalidName},
        {"/x", "\xC3", "", StatusInvalidName},
        {"/x", "\xEF\xBF\xBD", "/x/\xEF\xBF\xBD", StatusSuccess},
        {"/x", "\xED\xA0\x80", "", StatusInvalidName},
    };
    char result[MaximumPath], longName[MaximumPath + 600];
    for (size_t i = 0; i < RTL_COUNT_OF(cases); i++) {
        Status status = FsNormalizePath(cases[i].Directory, cases[i].Path, result);
        CHECK_EQUAL(status, cases[i].Status);
        if (status == StatusSuccess)
            CHECK_TEXT(result, cases[i].Result);
        if (UnitFailed) {
            printf("# case %zu\n", i);
            return;
        }
    }
    memset(longName, 'n', sizeof(longName));
    longName[255] = 0;
    CHECK_EQUAL(FsNormalizePath("/", longName, result), StatusSuccess);
    longName[255] = 'n';
    longName[256] = 0;
    CHECK_EQUAL(FsNormalizePath("/", longName, result), StatusNameTooLong);
    longName[256] = 'n';
    for (size_t i = 0; i < sizeof(longName); i += 100)
        longName[i] = '/';
    longName[MaximumPath - 1] = 0;
    CHECK_EQUAL(FsNormalizePath("/", longName, result), StatusSuccess);
    longName[MaximumPath - 1] = 'n';
    longName[MaximumPath] = 0;
    CHECK_EQUAL(FsNormalizePath("/", longName, result), StatusNameTooLong);
}

static void SharingAndAccess(void)
{
    FsFile *a, *b, *c;
    size_t done;
    uint64_t position, identity, stamp, identity2, stamp2;
    CHECK_EQUAL(Mount("-F 32 -s 1", 512, "36M"), StatusSuccess);
    CHECK_EQUAL(FsOpen("/none", FileRead, FileOpenExisting, &a), StatusNotFound);
    CHECK_EQUAL(FsOpen("/none/x", FileRead, FileCreateAlways, &a), StatusPathNotFound);
    CHECK_EQUAL(FsOpen("/", FileRead, FileOpenExisting, &a), StatusIsADirectory);
    CHECK_EQUAL(FsOpen("/Long File Name.txt", FileRead | FileWrite, FileCreateNew, &a),
                StatusSuccess);
    CHECK_EQUAL(FsOpen("/LONG FILE name.TXT", FileRead, FileOpenExisting, &b), StatusSuccess);
    CHECK_EQUAL(FsOpen("/LONGFI~1.TXT", FileRead | FileAppend, FileOpenExisting, &c),
                StatusSuccess);
    FsQueryIdentity(a, &identity, &stamp);
    FsQueryIdentity(c, &identity2, &stamp2);
    CHECK_EQUAL(identity, identity2);
    CHECK_EQUAL(stamp, stamp2);
    CHECK_EQUAL(FsWrite(a, nullptr, "hello", 5, &done), StatusSuccess);
    FsQueryIdentity(c, &identity2, &stamp2);
    CHECK(stamp != stamp2);
    CHECK_EQUAL(FsWrite(b, nullptr, "x", 1, &done), StatusAccessDenied);
    CHECK_EQUAL(FsWrite(c, nullptr, " world", 6, &done), StatusSuccess);
    char text[32] = "";
    CHECK_EQUAL(FsRead(b, nullptr, text, sizeof(text), &done), StatusSuccess);
    CHECK_TEXT(text, "hello world");
    CHECK_EQUAL(FsRead(b, nullptr, text, sizeof(text), &done), StatusEndOfFile);
    CHECK_EQUAL(done, 0);
    CHECK_EQUAL(FsReadToUser(b, nullptr, (UserPointer)text, 4, &done), StatusEndOfFile);
    CHECK_EQUAL(FsWriteFromUser(a, nullptr, 16, 70000, &done),
                StatusInvalidAddress); // leaves the file as it was
    CHECK_EQUAL(done, 0);
    CHECK_EQUAL(FsSeek(b, -5, FileEnd, &position), StatusSuccess);
    CHECK_EQUAL(position, 6);
    CHECK_EQUAL(FsSeek(b, -7, FileCurrent, &position), StatusInvalidParameter);
    CHECK_EQUAL(FsSeek(b, INT64_MAX, FileCurrent, &position), StatusInvalidParameter);
    CHECK_EQUAL(FsDelete("/long file name.txt"), StatusSharingViolation);
    CHECK_EQUAL(FsRename("/LONGFI~1.TXT", "/other"), StatusSharingViolation);
    CHECK_EQUAL(FsOpen("/long file name.txt", FileWrite, FileCreateAlways, &a),
                StatusSharingViolation);
    CHECK_EQUAL(FsSetSize(b, 1), StatusAccessDenied);
    CHECK_EQUAL(FsSetSize(a, 0x100000000ull), StatusFileTooLarge);
    position = 0xFFFFFFFFull;
    CHECK_EQUAL(FsWrite(a, &position, "x", 1, &done), StatusFileTooLarge);
    ObDereference(a);
    ObDereference(b);
    ObDereference(c);
    CHECK_EQUAL(FsRename("/LONGFI~1.TXT", "/Other"), StatusSuccess);
    CHECK_EQUAL(FsRename("/OTHER", "/other"), StatusSuccess);
    CHECK_EQUAL(FsOpen("/long file name.txt", FileRead, FileOpenExisting, &a), StatusNotFound);
    CHECK_EQUAL(FsDelete("/other"), StatusSuccess);
    CHECK_EQUAL(FsCreateDirectory("/d"), StatusSuccess);
    CHECK_EQUAL(FsCreateDirectory("/d/e"), StatusSuccess);
    CHECK_EQUAL(FsRename("/d", "/D/E/f"), StatusInvalidParameter);
    CHECK_EQUAL(FsDelete("/d"), StatusIsADirectory);
    CHECK_EQUAL(FsRemoveDirectory("/d"), StatusDirectoryNotEmpty);
    CHECK_EQUAL(FsRemoveDirectory("/"), StatusAccessDenied);
    CHECK_EQUAL(FsOpen("/d/e", FileRead, FileOpenAlways, &a), StatusIsADirectory);
    CHECK_EQUAL(FsOpenDirectory("/d/none", &a), StatusPathNotFound);
    VolumeInfo info;
    CHECK_EQUAL(FsQueryVolume(&info), StatusSuccess);
    CHECK_TEXT(info.Label, "TESTDISK");
    CHECK(info.FreeBytes < info.TotalBytes && info.TotalBytes < 36 << 20);
    CHECK_EQUAL(FsOpen("/device/console", FileRead | FileWrite, FileOpenExisting, &a),
                StatusSuccess);
    CHECK_EQUAL(FsWrite(a, nullptr, "x", 1, &done), StatusSuccess);
    CHECK_EQUAL(FsRead(a, nullptr, text, 1, &done), StatusEndOfFile);
    ObDereference(a);
    Finish();
}

static void FullDisk(void)
{
    static uint8_t data[1 << 20];
    CHECK_EQUAL(Mount("-F 16 -s 1", 512, "5M"), StatusSuccess);
    for (int round = 0; round < 10 && !UnitFailed; round++) {
        FsFile *file;
        size_t done;
        int files = 0;
        Status status = StatusSuccess;
        char name[32];
        while (status == StatusSuccess && files < 20) {
            snprintf(name, sizeof(name), "/file %d", files++);
            CHECK_EQUAL(FsOpen(name, FileRead | FileWrite, FileCreateAlways, &file), StatusSuccess);
            status = FsWrite(file, nullptr, data, sizeof(data) - (size_t)round * 1000, &done);
            FileInfo info;
            CHECK_EQUAL(FsQuery(file, &info), StatusSuccess);
            CHECK_EQUAL(info.Size, done);
            if (status == StatusDiskFull) {
                VolumeInfo volume;
                CHECK_EQUAL(FsQueryVolume(&volume), StatusSuccess);
                CHECK_EQUAL(volume.FreeBytes, 0);
                uint64_t far = info.Size + 100000;
                CHECK_EQUAL(FsWrite(file, &far, "x", 1, &done), StatusDiskFull);
                CHECK_EQUAL(FsSetSize(file, far), StatusDiskFull);
                CHECK_EQUAL(FsQuery(file, &info), StatusSuccess);
                CHECK(info.Size < far);
                CHECK_EQUAL(FsCreateDirectory("/directory"), StatusDiskFull);
            }
            ObDereference(file);
        }
        CHECK_EQUAL(status, StatusDiskFull);
        while (files--) {
            snprintf(name, sizeof(name), "/file %d", files);
            CHECK_EQUAL(FsDelete(name), StatusSuccess);
        }
    }
    Finish();
}

// The dirty mark: set by the first change, gone after a quiet flush, and believed at the next
// mount.
static void DirtyMark(void)
{
    FsFile *file;
    size_t done;
    CHECK_EQUAL(Mount("-F 32 -s 1", 512, "36M"), StatusSuccess);
    CHECK_EQUAL(FsOpen("/a", FileWrite, FileCreateNew, &file), StatusSuccess);
    CHECK_EQUAL(FsWrite(file, nullptr, "abc", 3, &done), StatusSuccess);
    CHECK_EQUAL(Disk.Bytes[0x41] & 1, 0); // nothing is written yet
    IoVolume whole = {.Device = &Disk.Block, .SectorCount = Disk.Block.SectorCount};
    CHECK_EQUAL(IoCacheFlush(&whole), StatusSuccess);
    CHECK_EQUAL(Disk.Bytes[0x41] & 1, 1);
    RunFlushThread();
    CHECK_EQUAL(Disk.Bytes[0x41] & 1, 0);
    CheckVolume(); // clean although the file is still open
    CHECK_EQUAL(FsWrite(file, nullptr, "def", 3, &done), StatusSuccess);
    CHECK_EQUAL(FsFlush(file), StatusSuccess);
    CHECK_EQUAL(Disk.Bytes[0x41] & 1, 1);
    ObDereference(file);
    Finish();
}

static void Pipes(void)
{
    FsFile *reader, *writer;
    size_t done;
    static uint8_t out[100000], in[100000];
    for (size_t i = 0; i < sizeof(out); i++)
        out[i] = (uint8_t)(i * 7 + i / 251);
    CHECK_EQUAL(FsCreatePipe(&reader, &writer), StatusSuccess);
    CHECK_EQUAL(FsWrite(writer, nullptr, out, sizeof(out), &done),
                StatusTerminating); // nobody reads: full
    CHECK_EQUAL(done, 65536);
    CHECK_EQUAL(FsRead(reader, nullptr, in, 1000, &done), StatusSuccess);
    CHECK_EQUAL(done, 1000);
    CHECK_EQUAL(FsWrite(writer, nullptr, out + 65536, 1000, &done), StatusSuccess);
    CHECK_EQUAL(FsRead(reader, nullptr, in + 1000, sizeof(in), &done), StatusSuccess);
    CHECK_EQUAL(done, 65536);
    CHECK(memcmp(in, out, 66536) == 0);
    CHECK_EQUAL(FsRead(reader, nullptr, in, 1, &done), StatusTerminating); // would wait
    CHECK_EQUAL(FsWrite(reader, nullptr, out, 1, &done), StatusAccessDenied);
    CHECK_EQUAL(FsWrite(writer, nullptr, out, 10, &done), StatusSuccess);
    ObDereference(writer);
    CHECK_EQUAL(FsRead(reader, nullptr, in, 100, &done), StatusSuccess);
    CHECK_EQUAL(done, 10);
    CHECK_EQUAL(FsRead(reader, nullptr, in, 100, &done), StatusEndOfFile);
    ObDereference(reader);
    CHECK_EQUAL(FsCreatePipe(&reader, &writer), StatusSuccess);
    FsFileType.CloseHandle(reader, 0);
    CHECK_EQUAL(FsWrite(writer, nullptr, out, 1, &done), StatusPipeBroken);
    ObDereference(reader);
    ObDereference(writer);
    CHECK_EQUAL(HostBlocks, 0);
}

// ---- failures

static void FailingDisk(void)
{
    FsFile *file;
    size_t done;
    static uint8_t data[300000], back[300000];
    memset(data, 'd', sizeof(data));
    CHECK_EQUAL(Mount("-F 32 -s 8", 512, "300M"), StatusSuccess);
    CHECK_EQUAL(FsOpen("/a", FileRead | FileWrite, FileCreateNew, &file), StatusSuccess);
    CHECK_EQUAL(FsWrite(file, nullptr, data, sizeof(data), &done), StatusSuccess);
    Disk.FailWrites = true;
    CHECK_EQUAL(FsFlush(file), StatusIoError);
    RunFlushThread();
    Disk.FailWrites = false;
    Disk.FailFlushes = true;
    CHECK_EQUAL(FsFlush(file), StatusIoError);
    Disk.FailFlushes = false;
    CHECK_EQUAL(FsFlush(file), StatusSuccess);
    HostShrink();
    Disk.FailReads = true;
    uint64_t start = 0;
    CHECK_EQUAL(FsRead(file, &start, back, sizeof(back), &done), StatusIoError);
    Disk.FailReads = false;
    CHECK_EQUAL(FsRead(file, &start, back, sizeof(back), &done), StatusSuccess);
    CHECK(memcmp(data, back, sizeof(data)) == 0);
    // More data than the cache may hold dirty, and no way to write it: an error, no loss of what is
    // there.
    Disk.FailWrites = true;
    Status status = StatusSuccess;
    for (int i = 0; i < 40 && status == StatusSuccess; i++)
        status = FsWrite(file, nullptr, data, sizeof(data), &done);
    CHECK_EQUAL(status, StatusIoError);
    Disk.FailWrites = false;
    CHECK_EQUAL(FsFlush(file), StatusSuccess);
    ObDereference(file);
    Finish();
}

static void Scenario(void)
{
    FsFile *file, *directory;
    size_t done;
    uint64_t zero = 0;
    DirectoryEntry entry;
    static uint8_t data[30000];
    if (FsOpen("/f one", FileRead | FileWrite, FileOpenAlways, &file) == StatusSuccess) {
        Status status = FsWrite(file, nullptr, data, sizeof(data), &done);
        status = FsRead(file, &zero, data, sizeof(data), &done);
        status = FsSetSize(file, 100);
        status = FsFlush(file);
        (void)status;
        ObDereference(file);
    }
    Status status = FsCreateDirectory("/dir");
    status = FsRename("/f one", "/dir/g");
    status = FsOpenDirectory("/dir", &directory);
    if (status == StatusSuccess) {
        status = FsReadDirectory(directory, &entry);
        ObDereference(directory);
    }
    status = FsDelete("/dir/g");
    status = FsDelete("/f one");
    status = FsRemoveDirectory("/dir");
    (void)status;
}

// Every single allocation of a scenario fails once; the volume stays whole and nothing leaks.
static void FailingAllocations(void)
{
    CHECK_EQUAL(Mount("-F 32 -s 1", 512, "36M"), StatusSuccess);
    HostQuiet = true;
    Scenario();
    int64_t n = 0;
    for (; n < 2000; n++) {
        HostShrink();
        HostFailAllocation = n;
        Scenario();
        if (HostFailAllocation >= 0)
            break;
    }
    HostFailAllocation = -1;
    printf("# %lld allocations failed in turn\n", (long long)n);
    CHECK(n > 10 && n < 2000);
    Scenario();
    VolumeInfo info;
    CHECK_EQUAL(FsQueryVolume(&info), StatusSuccess);
    Finish();
}

static void ExploreVolume(const char *path, int depth)
{
    FsFile *directory, *file;
    DirectoryEntry entry;
    size_t done;
    if (FsOpenDirectory(path, &directory) != StatusSuccess)
        return;
    for (int i = 0; i < 300 && FsReadDirectory(directory, &entry) == StatusSuccess; i++) {
        char child[MaximumPath], joined[MaximumPath + 800];
        snprintf(joined, sizeof(joined), "%s/%s", path, entry.Name);
        if (FsNormalizePath("/", joined, child) != StatusSuccess)
            continue;
        if (entry.Info.Attributes & FileAttributeDirectory) {
            if (depth < 4)
                ExploreVolume(child, depth + 1);
            continue;
        }
        if (FsOpen(child, FileRead | FileWrite, FileOpenExisting, &file) != StatusSuccess)
            continue;
        Status status = FsRead(file, nullptr, Buffer, sizeof(Buffer), &done);
        uint64_t end = entry.Info.Size;
        status = FsWrite(file, &end, Buffer, 5000, &done);
        status = FsSetSize(file, 700);
        (void)status;
        ObDereference(file);
    }
    ObDereference(directory);
    Status status = FsRemoveDirectory(path);
    (void)status;
}

// Bytes of the metadata changed at random: errors, but no fault, no hang.
static void DamagedVolumes(void)
{
    HostQuiet = true;
    CHECK_EQUAL(Mount("-F 32 -s 1", 512, "36M"), StatusSuccess);
    RunModel(9, 400);
    CHECK_EQUAL(FsShutdown(), StatusSuccess);
    uint32_t reserved = Disk.Bytes[14] | Disk.Bytes[15] << 8;
    uint32_t fat = *(uint32_t *)(Disk.Bytes + 36);
    uint64_t data = ((uint64_t)reserved + 2 * fat) * 512;
    int failed = 0;
    for (int round = 0; round < 150; round++) {
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            Seed = 1000 + (uint64_t)round;
            uint8_t *copy = malloc(Disk.Size);
            memcpy(copy, Disk.Bytes, Disk.Size);
            for (uint32_t i = Pick(30) + 1; i; i--) {
                uint32_t kind = Pick(4);
                uint64_t at = kind == 0   ? Pick(90)
                              : kind == 1 ? (uint64_t)reserved * 512 + Pick(3000)
                              : kind == 2 ? data + Pick(512 * 40)
                                          : (uint64_t)reserved * 512 + (Pick(700) + 2) * 4;
                if (kind == 3) // a FAT entry pointing somewhere
                    *(uint32_t *)(copy + at) = Pick(700);
                else
                    copy[at] =
                        Pick(2) ? (uint8_t)UnitRandom(&Seed) : (uint8_t)(copy[at] ^ 1u << Pick(8));
            }
            static HostDisk damaged;
            Disk.Bytes = copy; // the registered disk now shows the copy
            (void)damaged;
            HostShrink();
            if (FsInitialize(&Loader) == StatusSuccess) {
                ExploreVolume("/", 0);
                FsFile *file;
                size_t done;
                if (FsOpen("/new file", FileWrite, FileCreateAlways, &file) == StatusSuccess) {
                    Status status = FsWrite(file, nullptr, Buffer, 100000, &done);
                    (void)status;
                    ObDereference(file);
                }
                VolumeInfo info;
                Status status = FsQueryVolume(&info);
                status = FsShutdown();
                (void)status;
            }
            _exit(0);
        }
        int code;
        waitpid(child, &code, 0);
        if (code != 0) {
            printf("# damaged volume %d: wait status %x\n", round, code);
            failed++;
        }
    }
    CHECK_EQUAL(failed, 0);
    HostCommand("rm -f %s", Image);
}

// ---- power cuts

static void Put(const char *path, char fill, size_t size, bool flush)
{
    static uint8_t data[100000];
    FsFile *file;
    size_t done;
    memset(data, fill, size);
    CHECK_EQUAL(FsOpen(path, FileRead | FileWrite, FileOpenAlways, &file), StatusSuccess);
    CHECK_EQUAL(FsWrite(file, nullptr, data, size, &done), StatusSuccess);
    if (flush)
        CHECK_EQUAL(FsFlush(file), StatusSuccess);
    ObDereference(file);
}

static bool IsWhole(const char *path, char fill, size_t size)
{
    static uint8_t data[100001];
    FsFile *file;
    size_t done;
    if (FsOpen(path, FileRead, FileOpenExisting, &file) != StatusSuccess)
        return false;
    Status status = FsRead(file, nullptr, data, sizeof(data), &done);
    ObDereference(file);
    for (size_t i = 0; i < done; i++) {
        if (data[i] != (uint8_t)fill)
            return false;
    }
    return status == StatusSuccess && done == size;
}

// Mounts what the disk holds when the power goes after `cut` entries of the log: everything up to
// the last flush, and any of the later writes. True when the flushed file is whole.
static bool SurvivesCut(const uint8_t *before, size_t cut, uint64_t seed)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        size_t flushed = cut;
        while (flushed && Disk.Log[flushed - 1].Size)
            flushed--;
        uint8_t *bytes = malloc(Disk.Size);
        memcpy(bytes, before, Disk.Size);
        for (size_t i = 0; i < cut; i++) {
            const HostWrite *write = &Disk.Log[i];
            if (write->Size && (i < flushed || UnitRandom(&seed) >> 63))
                memcpy(bytes + write->Offset, write->Data, write->Size);
        }
        Disk.Bytes = bytes;
        Disk.Seed = 0;
        Disk.Record = false;
        HostShrink();
        bool good = FsInitialize(&Loader) == StatusSuccess && IsWhole("/kept", 'k', 30000);
        if (good) {
            FsFile *file; // and the volume can be used
            good = FsOpen("/after", FileWrite, FileOpenAlways, &file) == StatusSuccess;
            if (good)
                ObDereference(file);
            good = good && FsShutdown() == StatusSuccess;
        }
        _exit(!good);
    }
    int code;
    waitpid(child, &code, 0);
    return code == 0;
}

// What was flushed survives a power cut at any moment afterwards, whatever else was going on.
static void PowerCuts(void)
{
    HostQuiet = true;
    CHECK_EQUAL(Mount("-F 32 -s 1", 512, "36M"), StatusSuccess);
    uint8_t *before = malloc(Disk.Size);
    memcpy(before, Disk.Bytes, Disk.Size);
    Disk.Record = true;
    Put("/kept", 'k', 30000, true);
    size_t kept = Disk.LogCount;
    for (int i = 0; i < 6; i++) {
        char name[32], other[32];
        snprintf(name, sizeof(name), "/file number %d", i);
        snprintf(other, sizeof(other), "/renamed %d", i / 2);
        Put(name, (char)('a' + i), 20000 + 7000 * (size_t)i, i & 1);
        Status status = FsRename(name, other);
        CHECK_EQUAL(status, StatusSuccess);
        CHECK_EQUAL(FsCreateDirectory(name), StatusSuccess);
        RunFlushThread();
        if (i == 3)
            CHECK_EQUAL(FsDelete("/renamed 0"), StatusSuccess);
    }
    CHECK_EQUAL(FsShutdown(), StatusSuccess);
    int failed = 0;
    for (size_t cut = kept; cut <= Disk.LogCount; cut++)
        failed += !SurvivesCut(before, cut, cut * 2654435761u + 1);
    printf("# %zu power cuts\n", Disk.LogCount - kept + 1);
    CHECK_EQUAL(failed, 0);
    CHECK(Disk.LogCount - kept > 50);
    HostCommand("rm -f %s", Image);
}

// ---- speed: what one read of 4 KB from the cache asks of the layers below is a copy and no disk.
static void CachedReads(void)
{
    FsFile *file;
    size_t done;
    static uint8_t data[1 << 20];
    CHECK_EQUAL(Mount("-F 32 -s 8", 512, "300M"), StatusSuccess);
    CHECK_EQUAL(FsOpen("/big", FileRead | FileWrite, FileCreateNew, &file), StatusSuccess);
    CHECK_EQUAL(FsWrite(file, nullptr, data, sizeof(data), &done), StatusSuccess);
    CHECK_EQUAL(FsFlush(file), StatusSuccess);
    CHECK_EQUAL(Disk.Reads < 20, 1); // a new file is written without reading its pages first
    HostShrink();
    uint64_t before = Disk.Reads, position = 0;
    CHECK_EQUAL(FsSeek(file, 0, FileBegin, &position), StatusSuccess);
    for (size_t at = 0; at < sizeof(data); at += 4096)
        CHECK_EQUAL(FsRead(file, nullptr, data, 4096, &done), StatusSuccess);
    CHECK(Disk.Reads - before < 40); // 256 pages
    before = Disk.Reads;
    for (uint64_t at = 0; at < sizeof(data); at += 4096)
        CHECK_EQUAL(FsRead(file, &at, data, 4096, &done), StatusSuccess);
    CHECK_EQUAL(Disk.Reads, before);
    ObDereference(file);
    Finish();
}

// ---- disks that come and go
static uint32_t Deleted;
static void CountDelete(IoBlockDevice *device)
{
    Deleted++;
}

static void RemovedDisk(void)
{
    static uint8_t bytes[1 << 20], data[8192];
    static HostDisk stick;
    size_t done;
    FsFile *file;
    CHECK_EQUAL(Mount("-F 32 -s 8", 512, "300M"), StatusSuccess);
    HostMemoryDisk(&stick, bytes, sizeof(bytes), 512);
    stick.Block.Delete = CountDelete;
    IoVolume volume = {.Device = &stick.Block, .SectorCount = stick.Block.SectorCount};
    CHECK(IoFindBlockDevice(1) == &stick.Block); // a reference
    CHECK_EQUAL(IoCacheRead(&volume, 0, sizeof(data), IoKernelMemory, data, nullptr),
                StatusSuccess);
    CHECK_EQUAL(IoCacheWrite(&volume, 4096, 4096, IoKernelMemory, data), StatusSuccess);
    uint64_t cached = IoCacheBytes();
    IoUnregisterBlockDevice(&stick.Block);
    CHECK(IoFindBlockDevice(1) == nullptr);
    CHECK_EQUAL(stick.Writes, 0); // the change is lost
    CHECK_EQUAL(IoCacheRead(&volume, 0, 512, IoKernelMemory, data, nullptr), StatusNoSuchDevice);
    CHECK_EQUAL(IoCacheWrite(&volume, 0, 512, IoKernelMemory, data), StatusNoSuchDevice);
    CHECK_EQUAL(IoTransfer(&stick.Block, IoRead, 0, 1, data), StatusNoSuchDevice);
    CHECK_EQUAL(Deleted, 0);
    IoDereferenceBlockDevice(&stick.Block);
    CHECK_EQUAL(Deleted, 1);
    HostMemoryDisk(&stick, bytes, sizeof(bytes), 512); // another at the same place
    CHECK_EQUAL(IoCacheRead(&volume, 0, sizeof(data), IoKernelMemory, data, nullptr),
                StatusSuccess);
    CHECK_EQUAL(stick.Reads, 1);
    CHECK_EQUAL(IoCacheBytes(), cached); // the buffers were free
    IoUnregisterBlockDevice(&stick.Block);
    // The volume's own disk: everything says so, nothing waits.
    CHECK_EQUAL(FsOpen("/file", FileRead | FileWrite, FileCreateNew, &file), StatusSuccess);
    CHECK_EQUAL(FsWrite(file, nullptr, data, sizeof(data), &done), StatusSuccess);
    IoUnregisterBlockDevice(&Disk.Block);
    uint64_t start = 0;
    CHECK(FsRead(file, &start, data, 512, &done) != StatusSuccess);
    CHECK(FsWrite(file, nullptr, data, 512, &done) != StatusSuccess);
    CHECK(FsFlush(file) != StatusSuccess);
    ObDereference(file);
    CHECK(FsShutdown() != StatusSuccess);
}

// Each test in a process of its own: the kernel's state is static.
static void InChild(void (*run)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(300);
        run();
        fflush(stdout);
        _exit(UnitFailed);
    }
    int code = -1;
    waitpid(child, &code, 0);
    CHECK_EQUAL(code, 0);
}

#define IN_CHILD(name)                                                                             \
    static void name##Child(void)                                                                  \
    {                                                                                              \
        InChild(name);                                                                             \
    }
IN_CHILD(PathRules)
IN_CHILD(SharingAndAccess)
IN_CHILD(ModelFat32Small)
IN_CHILD(ModelFat32Pages)
IN_CHILD(ModelFat32Large)
IN_CHILD(ModelFat16)
IN_CHILD(ModelFat12)
IN_CHILD(ModelSectors4096)
IN_CHILD(FullDisk)
IN_CHILD(DirtyMark)
IN_CHILD(Pipes)
IN_CHILD(FailingDisk)
IN_CHILD(FailingAllocations)
IN_CHILD(CachedReads)
IN_CHILD(PowerCuts)
IN_CHILD(DamagedVolumes)
IN_CHILD(RemovedDisk)

int main(void)
{
    static const UnitTest tests[] = {
        {"path rules", PathRulesChild},
        {"sharing and access", SharingAndAccessChild},
        {"pipes", PipesChild},
        {"dirty mark", DirtyMarkChild},
        {"model, FAT32, 512-byte clusters", ModelFat32SmallChild},
        {"model, FAT32, 4 KiB clusters", ModelFat32PagesChild},
        {"model, FAT32, 32 KiB clusters, not page aligned", ModelFat32LargeChild},
        {"model, FAT16", ModelFat16Child},
        {"model, FAT12", ModelFat12Child},
        {"model, FAT32, 4096-byte sectors", ModelSectors4096Child},
        {"full disk", FullDiskChild},
        {"failing disk", FailingDiskChild},
        {"each allocation fails once", FailingAllocationsChild},
        {"cached reads", CachedReadsChild},
        {"power cuts", PowerCutsChild},
        {"damaged volumes", DamagedVolumesChild},
        {"a disk that is taken away", RemovedDiskChild},
    };
    return UnitRun(tests, RTL_COUNT_OF(tests));
}
