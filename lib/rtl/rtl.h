// rtl.h - the base every part of MetalOS stands on: integer helpers, intrusive lists, bitmaps,
// bounded strings, UTF, formatted print. Pure code: no hardware, no allocation, compiled into the
// loader, the kernel, the runtime and the native tests alike.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalStatus.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define RTL_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define RTL_CONTAINER_OF(pointer, type, member)                                                    \
    ((type *)((char *)(pointer) - offsetof(type, member)))
#define RTL_ALIGN_DOWN(value, alignment) ((value) & ~((uint64_t)(alignment) - 1))
#define RTL_ALIGN_UP(value, alignment)                                                             \
    (((value) + (uint64_t)(alignment) - 1) & ~((uint64_t)(alignment) - 1))
#define RTL_MIN(a, b) ((a) < (b) ? (a) : (b))
#define RTL_MAX(a, b) ((a) > (b) ? (a) : (b))

// ---- memory (memory.c): the compiler emits calls to these, under their C names. Natively they are
// the C library's.
extern bool RtlFastStrings; // the processor has fast `rep movsb` (ERMS): large copies use it
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);

// ---- doubly linked circular lists (list in the head; an empty head points to itself).
typedef struct ListEntry {
    struct ListEntry *Next, *Previous;
} ListEntry;

static inline void RtlInitializeList(ListEntry *head)
{
    head->Next = head->Previous = head;
}
static inline bool RtlIsListEmpty(const ListEntry *head)
{
    return head->Next == head;
}
static inline void RtlInsertTail(ListEntry *head, ListEntry *entry)
{
    entry->Next = head;
    entry->Previous = head->Previous;
    head->Previous->Next = entry;
    head->Previous = entry;
}
static inline void RtlInsertHead(ListEntry *head, ListEntry *entry)
{
    RtlInsertTail(head->Next, entry);
}
// Takes the entry out and leaves it pointing to itself, so that removing it again is harmless.
static inline void RtlRemoveEntry(ListEntry *entry)
{
    entry->Previous->Next = entry->Next;
    entry->Next->Previous = entry->Previous;
    RtlInitializeList(entry);
}
#define RTL_FOR_EACH(entry, head)                                                                  \
    for (ListEntry *entry = (head)->Next; entry != (head); entry = entry->Next)

// ---- formatted print (print.c): %d %i %u %x %X %p %s %c %% with - 0 + space # flags, width,
// precision, *, and the length modifiers hh h l ll z t j; `l` is 32 bits wide, as in the Microsoft
// ABI. Writes at most size bytes with the NUL; returns what the whole text would have taken,
// without it.
size_t RtlFormatV(char *buffer, size_t size, const char *format, va_list arguments);
size_t RtlFormat(char *buffer, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Calls sink once per piece of output.
typedef void RtlSink(void *context, const char *text, size_t length);
void RtlFormatToV(RtlSink *sink, void *context, const char *format, va_list arguments);

// ---- bounded strings (string.c)
// Copies with truncation, always NUL-terminated; false when it did not fit.
bool RtlCopyString(char *to, size_t size, const char *from);
// ASCII case-insensitive comparison, as strcmp.
int RtlCompareNoCase(const char *a, const char *b);
// The value of "name = value" in an options text ('#' starts a comment, blanks around both
// trimmed), the index-th such line; false when there is none. value is NUL-terminated, truncated to
// size.
bool RtlFindOption(const char *options, const char *name, size_t index, char *value, size_t size);
// "1280x800", up to five digits each and nothing else; false: neither is touched.
bool RtlParseSize(const char *text, uint32_t *width, uint32_t *height);

// ---- UTF (utf.c): malformed input yields U+FFFD and advances by at least one unit.
// Decodes one code point at text[*index] and moves *index past it.
uint32_t RtlDecodeUtf8(const char *text, size_t length, size_t *index);
// Encodes into at most 4 bytes; returns their number.
size_t RtlEncodeUtf8(uint32_t codePoint, char out[4]);
// Both return StatusBufferTooSmall, StatusInvalidName (malformed); *units/*bytes without the NUL.
Status RtlUtf8ToUtf16(const char *text, size_t length, uint16_t *out, size_t capacity,
                      size_t *units);
Status RtlUtf16ToUtf8(const uint16_t *text, size_t length, char *out, size_t capacity,
                      size_t *bytes);

// ---- bitmaps (bitmap.c): bit n is bit n % 64 of word n / 64.
typedef struct RtlBitmap {
    uint64_t *Words;
    size_t Bits;
} RtlBitmap;
bool RtlTestBit(const RtlBitmap *map, size_t bit);
void RtlSetBits(RtlBitmap *map, size_t start, size_t count, bool value);
// The first of count clear bits in a row at or after start; SIZE_MAX when there is none.
size_t RtlFindClearBits(const RtlBitmap *map, size_t start, size_t count);

// ---- statuses and checksums (misc.c)
// What happened, as the end of a sentence: "the disk is full".
const char *RtlStatusText(Status status);
uint32_t RtlCrc32(uint32_t crc, const void *data, size_t size); // IEEE 802.3, start with 0
