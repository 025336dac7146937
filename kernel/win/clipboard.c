// clipboard.c - the one text that programs leave for each other.
// SPDX-License-Identifier: MIT
#include "wi.h"

static char *Text;    // [m] heap; legend: m WiMutex
static size_t Length; // [m]

void WinSetClipboard(char *text, size_t length)
{
    KeAcquireMutex(&WiMutex);
    char *before = Text;
    Text = text;
    Length = text == nullptr ? 0 : length;
    KeReleaseMutex(&WiMutex);
    MmFreeHeap(before);
}

Status WinGetClipboard(size_t size, char **copy, size_t *copied, size_t *length)
{
    Status status = StatusSuccess;
    *copy = nullptr;
    KeAcquireMutex(&WiMutex);
    *length = Length;
    *copied = RTL_MIN(size, Length);
    if (*copied != 0) {
        *copy = MmAllocateHeap(*copied, MM_TAG('W', 'i', 'n', 'C'));
        if (*copy != nullptr)
            memcpy(*copy, Text, *copied);
        else
            status = StatusNoMemory;
    }
    KeReleaseMutex(&WiMutex);
    return status;
}
