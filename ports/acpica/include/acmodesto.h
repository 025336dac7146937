// acmodesto.h - ACPICA's platform header for the MetalOS kernel. ACPICA's acenv.h includes a header
// of this name when MODESTO is defined; nobody else uses that name, so no file of ACPICA has to
// change.
// SPDX-License-Identifier: MIT
#pragma once

#include <stdarg.h>
#include <stddef.h>

// ---- the machine and its compiler: LLP64
#define ACPI_MACHINE_WIDTH        64
#define COMPILER_DEPENDENT_INT64  long long
#define COMPILER_DEPENDENT_UINT64 unsigned long long
#define ACPI_USE_DO_WHILE_0
#define ACPI_FLUSH_CPU_CACHE() __asm__ volatile("wbinvd" : : : "memory")

// ---- the services of the kernel (kernel/acpi)
#define ACPI_USE_SYSTEM_CLIBRARY
#define USE_NATIVE_ALLOCATE_ZEROED   // the kernel heap zeroes anyway
#define ACPI_USE_LOCAL_CACHE       1 // ACPICA's own object cache
#define ACPI_CACHE_T               struct acpi_memory_list
#define ACPI_MUTEX_TYPE            ACPI_BINARY_SEMAPHORE
#define acpi_cpu_flags             unsigned long long
#define acpi_spinlock              void *
#define acpi_semaphore             void *
#define acpi_thread_id             unsigned long long
#define ACPI_PCI_CONFIGURED        1

// ---- marks of the source tree this copy of ACPICA comes from
#define ACPI_EXPORT_SYMBOL(symbol)
#define ACPI_EXPORT_SYMBOL_INIT(symbol)
#define ACPI_INIT_FUNCTION
#define __init
#define __iomem
#define __acquires(lock)
#define __releases(lock)
#define ACPI_MSG_ERROR        "acpi: error: "
#define ACPI_MSG_EXCEPTION    "acpi: exception: "
#define ACPI_MSG_WARNING      "acpi: warning: "
#define ACPI_MSG_INFO         "acpi: "
#define ACPI_MSG_BIOS_ERROR   "acpi: firmware error: "
#define ACPI_MSG_BIOS_WARNING "acpi: firmware warning: "

// ---- what ACPICA uses of the C library (lib/rtl and clibrary.c)
void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t size);
char *strcpy(char *restrict to, const char *restrict from);
char *strncpy(char *restrict to, const char *restrict from, size_t size);
char *strcat(char *restrict to, const char *restrict from);
char *strncat(char *restrict to, const char *restrict from, size_t size);
char *strchr(const char *text, int character);
char *strstr(const char *text, const char *part);
int isalpha(int character);
int isdigit(int character);
int isprint(int character);
int isspace(int character);
int isupper(int character);
int isxdigit(int character);
int tolower(int character);
int toupper(int character);
int snprintf(char *restrict buffer, size_t size, const char *restrict format, ...);
int vsnprintf(char *restrict buffer, size_t size, const char *restrict format, va_list arguments);
