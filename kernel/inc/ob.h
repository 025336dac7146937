// ob.h - objects with a reference count and a type, and the handle tables that name them to user
// mode.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"
#include "mm.h"

typedef struct ObType {
    const char *Name;
    uint32_t Tag;               // heap tag of its objects
    size_t DispatcherOffset;    // of a KDispatcherHeader in the body; SIZE_MAX: not waitable
    void (*Delete)(void *body); // the last reference is gone; PassiveLevel, no locks held
    void (*CloseHandle)(void *body,
                        uint32_t openHandles); // a handle was closed; openHandles are left
    volatile uint64_t Count;                   // living objects
} ObType;
#define OB_NOT_WAITABLE SIZE_MAX

// A zeroed body of size bytes with one reference.
Status ObCreateObject(ObType *type, size_t size, void **body);
void ObReference(void *body);
void ObDereference(void *body); // may run Delete at once when at PassiveLevel, else from the worker
ObType *ObGetType(const void *body);
void *ObGetDispatcher(void *body); // what to wait for, nullptr: not waitable

// Access rights of a handle. The low half belongs to the type (files: FileRead, FileWrite,
// FileAppend).
enum { ObAccessWait = 1u << 16, ObAccessQuery = 1u << 17, ObAccessModify = 1u << 18 };
#define OB_ACCESS_ALL 0xFFFFFFFFu

typedef struct ObHandleTable ObHandleTable;
Status ObCreateHandleTable(ObHandleTable **table);
// Closes every handle; opening one fails with StatusTerminating from now on. PassiveLevel.
void ObCloseAllHandles(ObHandleTable *table);
void ObDestroyHandleTable(
    ObHandleTable *table); // closes everything; nobody uses the table any more
// Takes its own reference. StatusTooManyHandles (65,536 per table), StatusNoMemory.
Status ObOpenHandle(ObHandleTable *table, void *body, uint32_t access, Handle *handle);
Status ObCloseHandle(ObHandleTable *table, Handle handle);
// *body referenced; type nullptr: any. StatusInvalidHandle, StatusWrongType, StatusAccessDenied.
Status ObReferenceByHandle(ObHandleTable *table, Handle handle, ObType *type, uint32_t access,
                           void **body);
// The same, telling which access the handle has.
Status ObQueryHandle(ObHandleTable *table, Handle handle, void **body, uint32_t *access);
Status ObDuplicateHandle(ObHandleTable *from, Handle handle, ObHandleTable *to, Handle *duplicate);
uint32_t ObGetHandleCount(const ObHandleTable *table);
uint64_t ObGetTotalHandleCount(void);
