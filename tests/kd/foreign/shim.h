// shim.h - what radare2's KD client (shlr/winkd) takes from the rest of radare2, so that the client
// can be compiled alone: lists, locks that nobody contends for, numbers in memory, messages.
// SPDX-License-Identifier: MIT
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef uint8_t ut8;
typedef uint16_t ut16;
typedef uint32_t ut32;
typedef uint64_t ut64;
#define UT64_MAX UINT64_MAX
#define PFMT64x  PRIx64
#define R_API
#define R_IPI
#define R_PACKED(declaration) declaration __attribute__((packed))
#define R_MIN(a, b)           ((a) < (b) ? (a) : (b))
#define R_NEW0(type)          ((type *)calloc(1, sizeof(type)))
#define R_FREE(pointer)       (free(pointer), (pointer) = NULL)
#define R_SYS_BITS_PACK(bits) (bits)
#define R_SYS_BITS_32         32
#define R_SYS_BITS_64         64
#define eprintf(...)          fprintf(stderr, __VA_ARGS__)
#define R_LOG_DEBUG(...)      ((void)0)
#define R_LOG_INFO(...)       ((void)0)
#define R_LOG_WARN(...)       (eprintf(__VA_ARGS__), eprintf("\n"))
#define R_LOG_ERROR           R_LOG_WARN
#define r_sys_perror          perror
#define r_sys_backtrace()     ((void)0)

typedef struct RMutaBind {
    void *unused;
} RMutaBind;
typedef struct RThreadLock {
    int unused;
} RThreadLock;
static inline RThreadLock *r_th_lock_new(bool recursive)
{
    (void)recursive;
    return R_NEW0(RThreadLock);
}
static inline bool r_th_lock_enter(RThreadLock *lock)
{
    return lock != NULL;
}
static inline bool r_th_lock_tryenter(RThreadLock *lock)
{
    return lock != NULL;
}
static inline bool r_th_lock_leave(RThreadLock *lock)
{
    return lock != NULL;
}
static inline void r_th_lock_free(RThreadLock *lock)
{
    free(lock);
}

typedef struct RListIter {
    void *data;
    struct RListIter *n;
} RListIter;
typedef struct RList {
    RListIter *head, *tail;
    void (*free)(void *);
    int length;
} RList;
#define r_list_foreach(list, iter, item)                                                           \
    if (list)                                                                                      \
        for ((iter) = (list)->head; (iter) && ((item) = (iter)->data, 1); (iter) = (iter)->n)
static inline RList *r_list_newf(void (*release)(void *))
{
    RList *list = R_NEW0(RList);
    list->free = release;
    return list;
}
static inline void r_list_append(RList *list, void *item)
{
    RListIter *iter = R_NEW0(RListIter);
    iter->data = item;
    if (list->tail)
        list->tail->n = iter;
    else
        list->head = iter;
    list->tail = iter;
    list->length++;
}
static inline void r_list_free(RList *list)
{
    (void)list; // the program is short-lived
}

#define NUMBER(bits)                                                                               \
    static inline ut##bits r_read_le##bits(const void *from)                                       \
    {                                                                                              \
        ut##bits value;                                                                            \
        memcpy(&value, from, sizeof value);                                                        \
        return value;                                                                              \
    }                                                                                              \
    static inline void r_write_le##bits(void *to, ut##bits value)                                  \
    {                                                                                              \
        memcpy(to, &value, sizeof value);                                                          \
    }
NUMBER(16)
NUMBER(32)
NUMBER(64)

static inline size_t r_str_ncpy(char *to, const char *from, size_t size)
{
    return (size_t)snprintf(to, size, "%s", from);
}
// ASCII is enough for the names of files here.
static inline int r_str_utf16_to_utf8(ut8 *to, int size, const ut8 *from, int length, bool little)
{
    int count = 0;
    (void)little;
    for (int i = 0; i + 1 < length && count + 1 < size && (from[i] | from[i + 1]); i += 2)
        to[count++] = from[i] ? from[i] : from[i + 1]; // either order
    to[count] = 0;
    return count;
}
#define r_cons_break_push(...) ((void)0)
#define r_cons_break_pop(...)  ((void)0)
