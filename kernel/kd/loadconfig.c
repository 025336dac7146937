// loadconfig.c - the image's load configuration directory: tells the loader where the stack cookie
// is, so that it starts with a random one. lld-link takes the symbol's name for the directory.
// SPDX-License-Identifier: MIT
#include "ke.h"

// IMAGE_LOAD_CONFIG_DIRECTORY64 up to what is used here.
typedef struct LoadConfig {
    uint32_t Size;
    uint32_t Unused4[21];
    const uint64_t *SecurityCookie;
    uint64_t Unused96[2];
} LoadConfig;
static_assert(offsetof(LoadConfig, SecurityCookie) == 88, "PE Format, load configuration layout");

uint64_t __security_cookie = 0x00002B992DDFA232; // the compiler's -fstack-protector reads it
extern const LoadConfig _load_config_used;
const LoadConfig _load_config_used = {.Size = sizeof(LoadConfig),
                                      .SecurityCookie = &__security_cookie};
