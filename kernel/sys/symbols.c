// symbols.c - reads the PDBs of programs that stay, for the crash report (kernel/ldr/symbols.c).
// SPDX-License-Identifier: MIT
#include "sysi.h"

#define SETTLE_TIME 500000000u // ns that images are in use before their PDBs are read

static void ReadSymbols(LdrImage *image, const char *path)
{
    SysImageFile *pdb = MmAllocateHeap(sizeof(*pdb), SYS_TAG);
    Status status = pdb != nullptr ? SysiOpenSource(path, pdb) : StatusNoMemory;
    if (status == StatusSuccess) {
        status = LdrLoadSymbols(image, &pdb->Source);
        SysiCloseImage(pdb);
    }
    MmFreeHeap(pdb);
    KeLog(LogDebug, "sys: symbols %s: %s", path, RtlStatusText(status));
}

static void SymbolThread(void *context)
{
    static char path[MaximumPath];
    LdrImage *image;
    for (;;) {
        LdrWaitForNamelessImage();
        (void)KeDelay(KernelWait, SETTLE_TIME);
        while ((image = LdrTakeNamelessImage(path)) != nullptr) {
            ReadSymbols(image, path);
            LdrDereferenceImage(image);
        }
    }
}

Status SysiStartSymbols(void)
{
    return PsCreateSystemThread("symbols", KePriorityUserLow, SymbolThread, nullptr);
}
