// ob.h - objects with a reference count and a type, and the handle tables that name them to user
// mode.
// SPDX-License-Identifier: MIT
#pragma once

#include "MetalOS.h"
#include "mm.h"

typedef struct ObType {
    const char *Name;
    ObjectKind Kind;
    uint32_t Tag;            // heap tag of its objects
    size_t DispatcherOffset; // of a KDispatcherHeader in the body; SIZE_MAX: not waitable
    // For types whose bodies differ, with DispatcherOffset SIZE_MAX: what to wait for, which lives
    // as long as the body; nullptr: not waitable.
    KDispatcherHeader *(*FindDispatcher)(void *body);
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

// ---- handle tables. A handle has access rights (Access..., the low half belongs to the type) and
// flags (HandleInherit).
typedef struct ObHandleTable ObHandleTable;
Status ObCreateHandleTable(ObHandleTable **table); // one reference
void ObReferenceHandleTable(ObHandleTable *table);
void ObDereferenceHandleTable(ObHandleTable *table); // the last one: everything must be closed
// Closes every handle; opening one fails with StatusTerminating from now on. PassiveLevel.
void ObCloseAllHandles(ObHandleTable *table);
void ObDestroyHandleTable(ObHandleTable *table); // closes everything and drops a reference
// Takes its own reference. StatusTooManyHandles (65,536 per table), StatusNoMemory,
// StatusTerminating.
Status ObOpenHandle(ObHandleTable *table, void *body, uint32_t access, Handle *handle);
Status ObOpenHandleWithFlags(ObHandleTable *table, void *body, uint32_t access, uint32_t flags,
                             Handle *handle);
// Opens what is marked HandleInherit in `from`, under the same handles, in a table that is empty
// and known to nobody else. On failure part of it is open. StatusNoMemory.
Status ObInheritHandles(ObHandleTable *from, ObHandleTable *to);
Status ObCloseHandle(ObHandleTable *table, Handle handle);
// *body referenced; type nullptr: any. StatusInvalidHandle, StatusWrongType, StatusAccessDenied.
Status ObReferenceByHandle(ObHandleTable *table, Handle handle, ObType *type, uint32_t access,
                           void **body);
// The same without a reference, for something short at DispatchLevel: on success the table stays
// locked, and with it the handle open, until ObLeaveHandle.
Status ObEnterHandle(ObHandleTable *table, Handle handle, const ObType *type, uint32_t access,
                     void **body, KIrql *old);
void ObLeaveHandle(ObHandleTable *table, KIrql old);
// As ObReferenceByHandle, of any type, telling which access the handle has.
Status ObQueryHandle(ObHandleTable *table, Handle handle, void **body, uint32_t *access);
Status ObGetHandleInfo(ObHandleTable *table, Handle handle, HandleInfo *info);
Status ObSetHandleFlags(ObHandleTable *table, Handle handle, uint32_t flags);
uint32_t ObGetHandleCount(const ObHandleTable *table);
uint64_t ObGetTotalHandleCount(void);

// ---- names (name.c): an object is known by one as long as any handle to it is open.
// access: what opening by the name grants at most. StatusAlreadyExists: the name is taken;
// StatusConflict: the object has one; StatusInvalidHandle: its last handle was closed meanwhile.
Status ObNameObject(void *body, const char *name, uint32_t access);
// Opens a handle; access 0: all that the name grants. StatusNotFound, StatusWrongType (kind
// 0: any), StatusAccessDenied, and those of ObOpenHandle.
Status ObOpenByName(ObHandleTable *table, const char *name, ObjectKind kind, uint32_t access,
                    Handle *handle);
