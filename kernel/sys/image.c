// image.c - programs and libraries by name: where they are looked for, and their files as sources
// for ldr.
//
// A name with a '/' is a path from the current directory. Any other is looked for in the program's
// own directory (libraries only), the current directory, /apps, and /system. The first file there
// is the one, good or not.
// SPDX-License-Identifier: MIT
#include "sysi.h"

static Status ReadSource(void *context, uint64_t offset, void *buffer, size_t size)
{
    size_t transferred;
    Status status = FsRead(context, &offset, buffer, size, &transferred);
    if (status == StatusSuccess && transferred != size)
        status = StatusEndOfFile;
    return status;
}

// Opens the file at directory/name.
static Status TryOpen(const char *directory, const char *name, SysImageFile *image)
{
    Status status = FsNormalizePath(directory, name, image->Path);
    if (status == StatusSuccess)
        status = FsOpen(image->Path, FileRead, FileOpenExisting, &image->File);
    if (status != StatusSuccess)
        return status;
    FileInfo info;
    status = FsQuery(image->File, &info);
    if (status == StatusSuccess && info.Kind != 0)
        status = StatusBadImage;
    if (status != StatusSuccess) {
        ObDereference(image->File);
        return status;
    }
    image->Source = (LdrSource){
        .Context = image->File, .Read = ReadSource, .Size = info.Size, .Path = image->Path};
    FsQueryIdentity(image->File, &image->Source.Identity, &image->Source.Stamp);
    return StatusSuccess;
}

Status SysiOpenSource(const char *path, SysImageFile *image)
{
    return TryOpen("/", path, image);
}

static bool IsMissing(Status status)
{
    return status == StatusNotFound || status == StatusPathNotFound ||
           status == StatusNotADirectory || status == StatusIsADirectory;
}

Status SysiOpenImage(SysImageKind kind, const char *name, const char *directory,
                     const char *programDirectory, SysImageFile *image)
{
    char file[MaximumPath];
    if (!RtlCopyString(file, sizeof(file), name))
        return StatusNameTooLong;
    Status status = CommandAddSuffix(file, sizeof(file), kind == SysImageProgram ? ".exe" : ".dll");
    if (status != StatusSuccess)
        return status;
    if (CommandIsPath(file))
        return TryOpen(directory, file, image);
    const char *const places[] = {programDirectory, directory, "/apps", "/system"};
    status = StatusNotFound;
    for (size_t i = 0; i < RTL_COUNT_OF(places) && IsMissing(status); i++)
        if (places[i] != nullptr)
            status = TryOpen(places[i], file, image);
    return IsMissing(status) ? StatusNotFound : status;
}

void SysiCloseImage(SysImageFile *image)
{
    ObDereference(image->File);
}
