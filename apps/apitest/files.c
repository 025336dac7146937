// files.c - files and directories by the native calls.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void WriteWhole(const char *path, const char *text)
{
    Handle file;
    size_t moved = 0;
    if (OK(CreateFile(path, FileWrite, FileCreateAlways, &file))) {
        OK(WriteFile(file, text, strlen(text), &moved));
        EQUAL(moved, strlen(text));
        OK(CloseHandle(file));
    }
}

static void TestDispositions(void)
{
    Handle file;
    const char *path = FOLDER "/disposition.txt";
    STATUS(CreateFile(path, FileRead, FileOpenExisting, &file), StatusNotFound);
    STATUS(CreateFile(path, FileWrite, FileOpenExisting, &file), StatusNotFound);
    OK(CreateFile(path, FileWrite, FileCreateNew, &file));
    OK(CloseHandle(file));
    STATUS(CreateFile(path, FileWrite, FileCreateNew, &file), StatusAlreadyExists);
    WriteWhole(path, "12345");
    FileInfo info;
    OK(CreateFile(path, FileRead | FileWrite, FileOpenAlways, &file));
    OK(GetFileInfo(file, &info));
    EQUAL(info.Size, 5);
    OK(CloseHandle(file));
    OK(CreateFile(path, FileWrite, FileCreateAlways, &file));
    OK(GetFileInfo(file, &info));
    EQUAL(info.Size, 0);
    OK(CloseHandle(file));
    STATUS(CreateFile(FOLDER "/no/such/file", FileRead, FileOpenExisting, &file),
           StatusPathNotFound);
    STATUS(CreateFile(FOLDER "/no/file", FileWrite, FileCreateNew, &file), StatusPathNotFound);
    STATUS(CreateFile(FOLDER, FileRead, FileOpenExisting, &file), StatusIsADirectory);
    CHECK(CreateFile(FOLDER "/disposition.txt/x", FileRead, FileOpenExisting, &file) !=
          StatusSuccess);
    STATUS(CreateFile(path, 0, FileOpenExisting, &file), StatusInvalidParameter);
    STATUS(CreateFile(path, 64, FileOpenExisting, &file), StatusInvalidParameter);
    STATUS(CreateFile(path, FileRead, (FileDisposition)9, &file), StatusInvalidParameter);
}

static void TestAccess(void)
{
    Handle file;
    char buffer[8];
    size_t moved = 99;
    const char *path = FOLDER "/access.txt";
    WriteWhole(path, "abcdef");
    OK(CreateFile(path, FileRead, FileOpenExisting, &file));
    STATUS(WriteFile(file, "x", 1, &moved), StatusAccessDenied);
    STATUS(SetFileSize(file, 0), StatusAccessDenied);
    OK(CloseHandle(file));
    OK(CreateFile(path, FileWrite, FileOpenExisting, &file));
    STATUS(ReadFile(file, buffer, 1, &moved), StatusAccessDenied);
    OK(CloseHandle(file));
    OK(CreateFile(path, FileRead | FileWrite | FileAppend, FileOpenExisting, &file));
    OK(WriteFile(file, "gh", 2, &moved));
    OK(SetFilePointer(file, 0, FileBegin, nullptr));
    OK(ReadFile(file, buffer, 8, &moved));
    EQUAL(moved, 8);
    CHECK(!memcmp(buffer, "abcdefgh", 8));
    OK(CloseHandle(file));
}

static void TestReadWrite(void)
{
    Handle file;
    char buffer[64];
    size_t moved = 99;
    uint64_t position = 99;
    OK(CreateFile(FOLDER "/rw.bin", FileRead | FileWrite, FileCreateAlways, &file));
    STATUS(ReadFile(file, buffer, sizeof buffer, &moved), StatusEndOfFile); // an empty file
    EQUAL(moved, 0);
    OK(ReadFile(file, buffer, 0, &moved));
    OK(WriteFile(file, buffer, 0, &moved));
    EQUAL(moved, 0);
    OK(WriteFile(file, "hello world", 11, &moved));
    EQUAL(moved, 11);
    OK(SetFilePointer(file, 6, FileBegin, &position));
    EQUAL(position, 6);
    memset(buffer, 0, sizeof buffer);
    OK(ReadFile(file, buffer, sizeof buffer, &moved));
    EQUAL(moved, 5);
    TEXT(buffer, "world");
    STATUS(ReadFile(file, buffer, 1, &moved), StatusEndOfFile);
    EQUAL(moved, 0);
    OK(SetFilePointer(file, -5, FileEnd, &position));
    EQUAL(position, 6);
    OK(SetFilePointer(file, -1, FileCurrent, &position));
    EQUAL(position, 5);
    STATUS(SetFilePointer(file, -6, FileCurrent, &position), StatusInvalidParameter);
    STATUS(SetFilePointer(file, INT64_MIN, FileBegin, &position), StatusInvalidParameter);
    STATUS(SetFilePointer(file, 0, (FileOrigin)3, &position), StatusInvalidParameter);
    OK(SetFilePointer(file, 0, FileCurrent, &position));
    EQUAL(position, 5); // failed moves moved nothing
    // A hole reads as zeros.
    OK(SetFilePointer(file, 5000, FileBegin, nullptr));
    OK(WriteFile(file, "end", 3, &moved));
    OK(SetFilePointer(file, 4990, FileBegin, nullptr));
    OK(ReadFile(file, buffer, 13, &moved));
    CHECK(!memcmp(buffer, "\0\0\0\0\0\0\0\0\0\0end", 13));
    OK(SetFileSize(file, 3));
    FileInfo info;
    OK(GetFileInfo(file, &info));
    EQUAL(info.Size, 3);
    OK(SetFileSize(file, 100));
    OK(SetFilePointer(file, 0, FileBegin, nullptr));
    OK(ReadFile(file, buffer, sizeof buffer, &moved));
    CHECK(moved == 64 && !memcmp(buffer, "hel\0\0\0\0", 7) && !buffer[63]);
    CHECK(SetFileSize(file, 5ull << 30) != StatusSuccess);
    CHECK(SetFileSize(file, UINT64_MAX) != StatusSuccess);
    OK(FlushFile(file));
    OK(CloseHandle(file));
}

// Sizes around clusters and the kernel's pieces, byte for byte.
static void TestLargeFile(void)
{
    constexpr size_t Size = 3 * 1000 * 1000 + 17;
    uint8_t *data = malloc(Size), *back = malloc(Size);
    Handle file;
    size_t moved, total = 0;
    if (!CHECK(data && back))
        return;
    for (size_t i = 0; i < Size; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    OK(CreateFile(FOLDER "/large.bin", FileRead | FileWrite, FileCreateAlways, &file));
    OK(WriteFile(file, data, Size, &moved));
    EQUAL(moved, Size);
    OK(SetFilePointer(file, 0, FileBegin, nullptr));
    while (total < Size && ReadFile(file, back + total, Size - total, &moved) == StatusSuccess &&
           moved)
        total += moved;
    EQUAL(total, Size);
    CHECK(!memcmp(data, back, Size));
    static const size_t sizes[] = {1,    511,   512,   513,   4095,  4096,
                                   4097, 32767, 32768, 32769, 65536, 100001};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        uint64_t at = (i * 77777) % (Size - sizes[i]);
        OK(SetFilePointer(file, (int64_t)at, FileBegin, nullptr));
        memset(back, 0, sizes[i]);
        OK(ReadFile(file, back, sizes[i], &moved));
        EQUAL(moved, sizes[i]);
        CHECK(!memcmp(back, data + at, sizes[i]));
    }
    OK(CloseHandle(file));
    OK(DeleteFile(FOLDER "/large.bin"));
    free(data);
    free(back);
}

static void TestNames(void)
{
    Handle file;
    FileInfo info;
    char path[1200], name[300];
    static const char *const good[] = {"UPPER.TXT",
                                       "lower case with blanks.text",
                                       "many.dots.in.name",
                                       "\xC3\xA4\xC3\xB6\xC3\xBC \xE2\x82\xAC.txt",
                                       "\xF0\x9F\x94\xA5.txt",
                                       "a",
                                       "x+y=z,[1];",
                                       ".hidden"};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        snprintf(path, sizeof path, FOLDER "/%s", good[i]);
        if (TestStatus(CreateFile(path, FileWrite, FileCreateNew, &file), StatusSuccess, __FILE__,
                       __LINE__, good[i])) {
            OK(CloseHandle(file));
            OK(GetPathInfo(path, &info));
            OK(DeleteFile(path));
        }
    }
    static const char *const bad[] = {"a<b", "a>b",    "a:b",      "a\"b", "a|b",         "a?b",
                                      "a*b", "a\001b", "\xFF\xFE", "\xC3", "\xED\xA0\x80"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(path, sizeof path, FOLDER "/%s", bad[i]);
        TestStatus(CreateFile(path, FileWrite, FileCreateNew, &file), StatusInvalidName, __FILE__,
                   __LINE__, bad[i]);
    }
    memset(name, 'n', 255);
    name[255] = 0;
    snprintf(path, sizeof path, FOLDER "/%s", name);
    if (OK(CreateFile(path, FileWrite, FileCreateNew, &file))) {
        OK(CloseHandle(file));
        OK(GetPathInfo(path, &info));
        OK(DeleteFile(path));
    }
    name[255] = 'n';
    name[256] = 0;
    snprintf(path, sizeof path, FOLDER "/%s", name);
    Status status = CreateFile(path, FileWrite, FileCreateNew, &file);
    CHECK(status == StatusNameTooLong || status == StatusInvalidName);
    memset(path, 'p', 1100);
    path[0] = '/';
    path[1100] = 0;
    STATUS(CreateFile(path, FileRead, FileOpenExisting, &file), StatusNameTooLong);
    CHECK(CreateFile("", FileRead, FileOpenExisting, &file) != StatusSuccess);
    // Upper and lower case are the same file; backslashes separate too; . and .. are resolved.
    OK(CreateFile(FOLDER "/Case.Txt", FileWrite, FileCreateNew, &file));
    OK(CloseHandle(file));
    STATUS(CreateFile(FOLDER "/cASE.tXT", FileWrite, FileCreateNew, &file), StatusAlreadyExists);
    OK(GetPathInfo("\\apitest\\case.txt", &info));
    OK(GetPathInfo(FOLDER "/../apitest/./case.txt", &info));
    OK(GetPathInfo("//apitest///case.txt", &info));
    OK(GetPathInfo("/../../apitest/case.txt", &info)); // there is nothing above the root
    OK(DeleteFile(FOLDER "/CASE.TXT"));
}

static void TestDeleteAndMove(void)
{
    Handle file;
    FileInfo info;
    STATUS(DeleteFile(FOLDER "/none"), StatusNotFound);
    STATUS(DeleteFile(FOLDER "/none/none"), StatusPathNotFound);
    WriteWhole(FOLDER "/one", "1");
    WriteWhole(FOLDER "/two", "22");
    OK(CreateFile(FOLDER "/one", FileRead, FileOpenExisting, &file));
    STATUS(DeleteFile(FOLDER "/one"), StatusSharingViolation);
    STATUS(MoveFile(FOLDER "/two", FOLDER "/one"), StatusSharingViolation);
    OK(CloseHandle(file));
    OK(MoveFile(FOLDER "/one", FOLDER "/three"));
    STATUS(GetPathInfo(FOLDER "/one", &info), StatusNotFound);
    OK(GetPathInfo(FOLDER "/three", &info));
    EQUAL(info.Size, 1);
    OK(MoveFile(FOLDER "/two", FOLDER "/three")); // replaces
    OK(GetPathInfo(FOLDER "/three", &info));
    EQUAL(info.Size, 2);
    STATUS(GetPathInfo(FOLDER "/two", &info), StatusNotFound);
    STATUS(MoveFile(FOLDER "/none", FOLDER "/x"), StatusNotFound);
    CHECK(MoveFile(FOLDER "/three", FOLDER "/none/x") != StatusSuccess);
    OK(GetPathInfo(FOLDER "/three", &info));
    OK(CreateDirectory(FOLDER "/folder"));
    OK(MoveFile(FOLDER "/three", FOLDER "/folder/four"));
    CHECK(MoveFile(FOLDER "/folder/four", FOLDER "/folder") != StatusSuccess);
    CHECK(MoveFile(FOLDER "/folder", FOLDER "/folder/inside") != StatusSuccess);
    OK(MoveFile(FOLDER "/folder/four", FOLDER "/folder/FOUR")); // only the case changes
    OK(MoveFile(FOLDER "/folder", FOLDER "/renamed"));
    OK(GetPathInfo(FOLDER "/renamed/four", &info));
    STATUS(DeleteFile(FOLDER "/renamed"), StatusIsADirectory);
    OK(DeleteFile(FOLDER "/renamed/four"));
    OK(RemoveDirectory(FOLDER "/renamed"));
}

static void TestManyFiles(void)
{
    char path[64];
    Handle file;
    SystemInfo before, after;
    VolumeInfo volumeBefore, volumeAfter;
    OK(GetSystemInfo(&before));
    OK(GetVolumeInfo(&volumeBefore));
    for (int i = 0; i < 120; i++) {
        snprintf(path, sizeof path, FOLDER "/a file with a long name %03d", i);
        if (!OK(CreateFile(path, FileWrite, FileCreateNew, &file)))
            break;
        size_t moved;
        OK(WriteFile(file, path, strlen(path), &moved));
        OK(CloseHandle(file));
    }
    for (int i = 0; i < 120; i++) {
        snprintf(path, sizeof path, FOLDER "/A FILE WITH A LONG NAME %03d", i);
        if (!OK(DeleteFile(path)))
            break;
    }
    OK(GetSystemInfo(&after));
    EQUAL(after.HandleCount, before.HandleCount);
    OK(GetVolumeInfo(&volumeAfter));
    // The folder itself may have grown by a cluster or two.
    CHECK(volumeAfter.FreeBytes + 65536 >= volumeBefore.FreeBytes);
}

void TestFiles(void)
{
    TestDispositions();
    TestAccess();
    TestReadWrite();
    TestLargeFile();
    TestNames();
    TestDeleteAndMove();
    TestManyFiles();
    FileInfo info;
    OK(GetPathInfo("/", &info));
    CHECK(info.Attributes & FileAttributeDirectory);
    uint64_t now;
    OK(GetSystemTime(&now));
    WriteWhole(FOLDER "/time", "t");
    OK(GetPathInfo(FOLDER "/time", &info));
    constexpr uint64_t Slack = 5000000000ull; // FAT keeps two-second steps
    CHECK(info.ModifyTime + Slack >= now && info.ModifyTime <= now + Slack);
}

void TestDirectories(void)
{
    Handle directory;
    DirectoryEntry entry;
    char path[MaximumPath];
    Status none = OpenDirectory(FOLDER "/none", &directory);
    CHECK(none == StatusNotFound || none == StatusPathNotFound);
    OK(CreateDirectory(FOLDER "/sub"));
    STATUS(CreateDirectory(FOLDER "/sub"), StatusAlreadyExists);
    STATUS(CreateDirectory(FOLDER "/no/sub"), StatusPathNotFound);
    WriteWhole(FOLDER "/sub/file1", "1");
    WriteWhole(FOLDER "/sub/Long File Name.text", "22");
    OK(CreateDirectory(FOLDER "/sub/deeper"));
    STATUS(RemoveDirectory(FOLDER "/sub"), StatusDirectoryNotEmpty);
    STATUS(RemoveDirectory(FOLDER "/sub/file1"), StatusNotADirectory);
    STATUS(RemoveDirectory(FOLDER "/none"), StatusNotFound);
    STATUS(OpenDirectory(FOLDER "/sub/file1", &directory), StatusNotADirectory);
    OK(OpenDirectory(FOLDER "/sub", &directory));
    unsigned seen = 0, count = 0;
    Status status;
    while ((status = ReadDirectory(directory, &entry)) == StatusSuccess && count++ < 10) {
        if (!strcmp(entry.Name, "file1") && entry.Info.Size == 1 &&
            !(entry.Info.Attributes & FileAttributeDirectory))
            seen |= 1;
        if (!strcmp(entry.Name, "Long File Name.text") && entry.Info.Size == 2)
            seen |= 2;
        if (!strcmp(entry.Name, "deeper") && (entry.Info.Attributes & FileAttributeDirectory))
            seen |= 4;
    }
    STATUS(status, StatusNoMoreEntries);
    STATUS(ReadDirectory(directory, &entry), StatusNoMoreEntries);
    EQUAL(count, 3);
    EQUAL(seen, 7);
    char byte;
    size_t moved;
    CHECK(ReadFile(directory, &byte, 1, &moved) != StatusSuccess);
    OK(CloseHandle(directory));
    // The current directory.
    OK(SetCurrentDirectory(FOLDER "/sub"));
    OK(GetCurrentDirectory(path, sizeof path));
    TEXT(path, FOLDER "/sub");
    FileInfo info;
    OK(GetPathInfo("file1", &info));
    OK(SetCurrentDirectory("deeper"));
    OK(GetPathInfo("../file1", &info));
    OK(SetCurrentDirectory(".."));
    OK(GetCurrentDirectory(path, sizeof path));
    TEXT(path, FOLDER "/sub");
    STATUS(SetCurrentDirectory("none"), StatusNotFound);
    STATUS(SetCurrentDirectory("file1"), StatusNotADirectory);
    STATUS(GetCurrentDirectory(path, 3), StatusBufferTooSmall);
    STATUS(GetCurrentDirectory(path, 0), StatusBufferTooSmall);
    OK(SetCurrentDirectory("/"));
    OK(DeleteFile(FOLDER "/sub/file1"));
    OK(DeleteFile(FOLDER "/sub/Long File Name.text"));
    OK(RemoveDirectory(FOLDER "/sub/deeper"));
    OK(RemoveDirectory(FOLDER "/sub"));
    VolumeInfo volume;
    OK(GetVolumeInfo(&volume));
    CHECK(volume.TotalBytes > 0 && volume.FreeBytes > 0 && volume.FreeBytes < volume.TotalBytes);
}
