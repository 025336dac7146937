// The TLS directory of an image with thread-local data, which makes the compiler refer to
// _tls_index. The linker sorts the parts by what follows the '$': the variables land between start
// and end, callbacks (.CRT$XL?) between the two null pointers. Source: Microsoft, "PE Format", the
// .tls section.
// SPDX-License-Identifier: MIT
#include <stdint.h>

typedef void TlsCallback(void *base, uint32_t reason, void *reserved);

typedef struct TlsDirectory { // IMAGE_TLS_DIRECTORY64
    uint64_t StartAddressOfRawData, EndAddressOfRawData;
    uint64_t AddressOfIndex, AddressOfCallBacks;
    uint32_t SizeOfZeroFill, Characteristics;
} TlsDirectory;

extern uint32_t _tls_index;
extern char _tls_start, _tls_end;
extern TlsCallback *const __xl_a, *const __xl_z;
extern const TlsDirectory _tls_used;

uint32_t _tls_index;
__attribute__((section(".tls"))) char _tls_start = 0;
__attribute__((section(".tls$ZZZ"))) char _tls_end = 0;
__attribute__((section(".CRT$XLA"))) TlsCallback *const __xl_a = nullptr;
__attribute__((section(".CRT$XLZ"))) TlsCallback *const __xl_z = nullptr;

const TlsDirectory _tls_used = {
    .StartAddressOfRawData = (uint64_t)&_tls_start,
    .EndAddressOfRawData = (uint64_t)&_tls_end,
    .AddressOfIndex = (uint64_t)&_tls_index,
    .AddressOfCallBacks = (uint64_t)(&__xl_a + 1),
};
