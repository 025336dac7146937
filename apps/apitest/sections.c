// sections.c - CreateSection, MapView, UnmapView: shared memory, and files as memory.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <string.h>

constexpr size_t Page = 4096;

#define NAME FOLDER "/mapped.bin"

static uint8_t *Map(Handle section, uint64_t offset, size_t size, MemoryProtection protection,
                    uint32_t flags)
{
    void *base = nullptr;
    return NEEDED(MapView(section, offset, size, protection, flags, &base)) ? base : nullptr;
}

static void TestSharedViews(void)
{
    Handle section;
    NEEDED(CreateSection(InvalidHandle, 5 * Page, MemoryReadWrite, &section));
    uint8_t *all = Map(section, 0, 0, MemoryReadWrite, 0),
            *part = Map(section, 2 * Page, Page, MemoryRead, 0),
            *copy = Map(section, 0, 3 * Page, MemoryReadWrite, ViewCopy);
    if (!all || !part || !copy)
        return;
    all[2 * Page] = 1;
    EQUAL(part[0], 1);
    EQUAL(copy[2 * Page], 1);
    copy[2 * Page] = 2; // from here on the copy's page is its own
    all[2 * Page] = 3;
    EQUAL(part[0], 3);
    EQUAL(copy[2 * Page], 2);
    all[Page] = 4;
    EQUAL(copy[Page], 4);
    MemoryInfo info;
    OK(VirtualQuery(all + Page, &info));
    EQUAL(info.Base, (uintptr_t)all);
    EQUAL(info.Size, 5 * Page);
    EQUAL(info.Kind, 5);
    EQUAL(info.State, MemoryCommitted);
    STATUS(VirtualFree(all), StatusNotFound);
    STATUS(VirtualDecommit(all, Page), StatusInvalidAddress);
    CHECK(VirtualProtect(all, Page, MemoryReadExecute) != StatusSuccess);
    OK(CloseHandle(section)); // the views keep it
    EQUAL(part[0], 3);
    OK(UnmapView(part));
    STATUS(UnmapView(part), StatusNotFound);
    STATUS(UnmapView(all + Page), StatusNotFound);
    OK(UnmapView(copy));
    OK(UnmapView(all));
}

static void TestRights(void)
{
    Handle section;
    void *base = nullptr;
    NEEDED(CreateSection(InvalidHandle, Page, MemoryRead, &section));
    STATUS(MapView(section, 0, 0, MemoryReadWrite, 0, &base), StatusAccessDenied);
    uint8_t *view = Map(section, 0, 0, MemoryRead, 0),
            *copy = Map(section, 0, 0, MemoryReadWrite, ViewCopy);
    STATUS(VirtualProtect(view, Page, MemoryReadWrite), StatusAccessDenied);
    STATUS(GetRandomBytes(view, 16), StatusInvalidAddress);
    OK(VirtualProtect(view, Page, MemoryNoAccess));
    OK(VirtualProtect(view, Page, MemoryRead));
    if (copy)
        copy[0] = 1;
    OK(UnmapView(view));
    OK(UnmapView(copy));
    OK(CloseHandle(section));
}

static void TestSectionErrors(void)
{
    Handle section, event;
    void *base = nullptr;
    STATUS(CreateSection(InvalidHandle, 0, MemoryReadWrite, &section), StatusInvalidParameter);
    STATUS(CreateSection(InvalidHandle, Page, MemoryNoAccess, &section), StatusInvalidParameter);
    STATUS(CreateSection(InvalidHandle, Page, MemoryReadExecute, &section), StatusInvalidParameter);
    STATUS(CreateSection(InvalidHandle, 1ull << 45, MemoryReadWrite, &section), StatusNoMemory);
    STATUS(CreateSection(InvalidHandle, UINT64_MAX, MemoryReadWrite, &section), StatusNoMemory);
    STATUS(CreateSection(12345678, Page, MemoryRead, &section), StatusInvalidHandle);
    NEEDED(CreateEvent(false, false, &event));
    STATUS(CreateSection(event, Page, MemoryRead, &section), StatusWrongType);
    STATUS(MapView(event, 0, 0, MemoryRead, 0, &base), StatusWrongType);
    OK(CloseHandle(event));
    NEEDED(CreateSection(InvalidHandle, 2 * Page, MemoryReadWrite, &section));
    STATUS(MapView(section, 1, Page, MemoryRead, 0, &base), StatusInvalidParameter);
    STATUS(MapView(section, 2 * Page, 0, MemoryRead, 0, &base), StatusInvalidParameter);
    STATUS(MapView(section, Page, 2 * Page, MemoryRead, 0, &base), StatusInvalidParameter);
    STATUS(MapView(section, UINT64_MAX - 4095, Page, MemoryRead, 0, &base), StatusInvalidParameter);
    STATUS(MapView(section, 0, SIZE_MAX, MemoryRead, 0, &base), StatusInvalidParameter);
    STATUS(MapView(section, 0, 0, MemoryRead, 2, &base), StatusInvalidParameter);
    STATUS(MapView(section, 0, 0, MemoryReadExecute, 0, &base), StatusInvalidParameter);
    STATUS(MapView(section, 0, 0, (MemoryProtection)7, 0, &base), StatusInvalidParameter);
    STATUS(MapView(section, 0, 0, MemoryRead, 0, LOW_ADDRESS), StatusInvalidAddress);
    base = KERNEL_ADDRESS;
    STATUS(MapView(section, 0, 0, MemoryRead, 0, &base), StatusInvalidParameter);
    uint8_t *view = Map(section, 0, 0, MemoryRead, 0);
    base = view;
    STATUS(MapView(section, 0, 0, MemoryRead, 0, &base), StatusConflict);
    OK(UnmapView(view));
    NEEDED(MapView(section, 0, 0, MemoryRead, 0, &base)); // there again
    CHECK(base == view);
    OK(UnmapView(base));
    OK(CloseHandle(section));
    base = nullptr;
    OK(VirtualAlloc(&base, Page, MemoryRead));
    STATUS(UnmapView(base), StatusNotFound);
    OK(VirtualFree(base));
}

// Another process finds the section by its name and answers in it.
static void TestOtherProcess(void)
{
    Handle section;
    NEEDED(CreateSection(InvalidHandle, Page, MemoryReadWrite, &section));
    NEEDED(NameObject(section, "apitest section"));
    char *view = (char *)Map(section, 0, 0, MemoryReadWrite, 0);
    if (!view)
        return;
    strcpy(view, "question");
    EQUAL(RunChild("section"), 0);
    TEXT(view, "answer");
    OK(UnmapView(view));
    OK(CloseHandle(section));
}

int ChildSection(void)
{
    Handle section;
    void *view = nullptr;
    if (OpenObject("apitest section", ObjectSection, 0, &section) != StatusSuccess)
        return 1;
    if (MapView(section, 0, 0, MemoryReadWrite, 0, &view) != StatusSuccess ||
        strcmp(view, "question") != 0)
        return 2;
    strcpy(view, "answer");
    return 0; // the view goes with the process
}

// ---- files
static uint8_t block[16 * 4096];

static Handle MakeFile(size_t size)
{
    Handle file = InvalidHandle;
    size_t moved;
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (uint8_t)(i * 7 + i / Page);
    OK(CreateFile(NAME, FileRead | FileWrite, FileCreateAlways, &file));
    OK(WriteFile(file, block, size, &moved));
    return file;
}

static void ReadAt(Handle file, uint64_t offset, void *buffer, size_t size)
{
    size_t moved = 0;
    OK(SetFilePointer(file, (int64_t)offset, FileBegin, nullptr));
    OK(ReadFile(file, buffer, size, &moved));
    EQUAL(moved, size);
}

static void WriteAt(Handle file, uint64_t offset, const void *buffer, size_t size)
{
    size_t moved = 0;
    OK(SetFilePointer(file, (int64_t)offset, FileBegin, nullptr));
    OK(WriteFile(file, buffer, size, &moved));
    EQUAL(moved, size);
}

// Reads, writes and views of one file are one memory.
static void TestFileViews(void)
{
    constexpr size_t Size = 7 * 4096 + 100;
    Handle file = MakeFile(Size), section;
    NEEDED(CreateSection(file, 0, MemoryReadWrite, &section));
    uint8_t *view = Map(section, 0, 0, MemoryReadWrite, 0),
            *second = Map(section, 3 * Page, Page, MemoryRead, 0),
            *copy = Map(section, 0, Page, MemoryReadWrite, ViewCopy), byte;
    if (!view || !second || !copy)
        return;
    CHECK(memcmp(view, block, Size) == 0);
    CHECK(memcmp(second, block + 3 * Page, Page) == 0);
    view[3 * Page + 5] = 0xEE;
    EQUAL(second[5], 0xEE);
    ReadAt(file, 3 * Page + 5, &byte, 1);
    EQUAL(byte, 0xEE);
    WriteAt(file, 3 * Page + 6, "\xDD", 1);
    EQUAL(view[3 * Page + 6], 0xDD);
    copy[0] = (uint8_t)(block[0] + 1);
    EQUAL(view[0], block[0]);
    // After the changes have gone to the disk the next ones are noticed too.
    OK(FlushFile(file));
    view[3 * Page + 7] = 0xCC;
    OK(FlushFile(file));
    view[Size - 1] = 0xBB;
    ReadAt(file, Size - 1, &byte, 1);
    EQUAL(byte, 0xBB);
    STATUS(SetFileSize(file, Page), StatusSharingViolation);
    STATUS(DeleteFile(NAME), StatusSharingViolation);
    OK(SetFileSize(file, 20 * Page)); // longer is allowed; the section stays as it is
    EQUAL(view[Size - 1], 0xBB);
    OK(CloseHandle(section));
    STATUS(SetFileSize(file, Page), StatusSharingViolation);
    OK(UnmapView(copy));
    OK(UnmapView(second));
    OK(UnmapView(view));
    ReadAt(file, 3 * Page + 7, &byte, 1);
    EQUAL(byte, 0xCC);
    OK(SetFileSize(file, Page));
    OK(CloseHandle(file));
    OK(DeleteFile(NAME));
}

// A file's bytes moved from and to its own pages, cached or not: the kernel's copy faults on what
// it is working on.
static void TestOwnPages(void)
{
    Handle file = MakeFile(sizeof block), section;
    NEEDED(CreateSection(file, 0, MemoryReadWrite, &section));
    uint8_t *view = Map(section, 0, 0, MemoryReadWrite, 0);
    if (!view)
        return;
    WriteAt(file, 0, view, 4 * Page);           // onto itself
    WriteAt(file, 4 * Page, view, 4 * Page);    // pages 0-3 to 4-7
    ReadAt(file, 0, view + 8 * Page, 4 * Page); // pages 0-3 to 8-11
    ReadAt(file, 12 * Page, view + 12 * Page, 4 * Page);
    for (size_t i = 0; i < 3; i++)
        CHECK(memcmp(view + i * 4 * Page, block, 4 * Page) == 0);
    CHECK(memcmp(view + 12 * Page, block + 12 * Page, 4 * Page) == 0);
    // Past the section's end: the file grows from its own first pages.
    WriteAt(file, sizeof block, view, 2 * Page);
    ReadAt(file, sizeof block, block, 2 * Page);
    CHECK(memcmp(view, block, 2 * Page) == 0);
    OK(UnmapView(view));
    OK(CloseHandle(section));
    OK(CloseHandle(file));
    OK(DeleteFile(NAME));
}

static void TestFileErrors(void)
{
    Handle file, section, readEnd, writeEnd;
    OK(CreateFile(NAME, FileRead | FileWrite, FileCreateAlways, &file));
    STATUS(CreateSection(file, 0, MemoryRead, &section), StatusInvalidParameter); // empty
    OK(SetFileSize(file, 100));
    STATUS(CreateSection(file, 101, MemoryRead, &section), StatusInvalidParameter);
    OK(CloseHandle(file));
    OK(CreateFile(NAME, FileRead, FileOpenExisting, &file));
    STATUS(CreateSection(file, 0, MemoryReadWrite, &section), StatusAccessDenied);
    NEEDED(CreateSection(file, 0, MemoryRead, &section));
    OK(CloseHandle(file)); // the section keeps the file
    STATUS(DeleteFile(NAME), StatusSharingViolation);
    uint8_t *view = Map(section, 0, 0, MemoryRead, 0);
    if (view)
        EQUAL(view[99], 0);
    OK(CloseHandle(section));
    OK(UnmapView(view));
    OK(CreateFile(NAME, FileWrite, FileOpenExisting, &file));
    STATUS(CreateSection(file, 0, MemoryRead, &section), StatusAccessDenied);
    OK(CloseHandle(file));
    OK(DeleteFile(NAME));
    NEEDED(CreatePipe(&readEnd, &writeEnd));
    STATUS(CreateSection(readEnd, Page, MemoryRead, &section), StatusNotSupported);
    OK(CloseHandle(readEnd));
    OK(CloseHandle(writeEnd));
}

void TestSections(void)
{
    TestSharedViews();
    TestRights();
    TestSectionErrors();
    TestOtherProcess();
    TestFileViews();
    TestOwnPages();
    TestFileErrors();
}
