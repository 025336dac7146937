// random.c - the kernel's random numbers.
//
// ChaCha20 (RFC 8439) as a generator with fast key erasure: each refill of the pool makes a block
// run whose first 32 bytes become the next key at once, and every byte handed out is wiped, so that
// the memory of the kernel never tells what was given out before. The loader's entropy and the time
// stamp counter are stirred into the key; without the former the numbers are only as good as the
// counter.
// SPDX-License-Identifier: MIT
#include "ke.h"

#define CHACHA_BLOCK 64u
#define POOL_BLOCKS  4u // bounds the time under the lock to four block functions

static KSpinLock RandomLock = KE_SPIN_LOCK_INIT(LockRankRandom, "random");
static uint32_t Key[8];                          // R: guarded by RandomLock, as is all below
static uint64_t Counter;                         // R
static uint8_t Pool[POOL_BLOCKS * CHACHA_BLOCK]; // R
static size_t PoolLeft;                          // R: unused bytes, at the pool's end

static uint32_t RotateLeft(uint32_t value, unsigned count)
{
    return value << count | value >> (32 - count);
}

static void QuarterRound(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = RotateLeft(*d ^ *a, 16);
    *c += *d;
    *b = RotateLeft(*b ^ *c, 12);
    *a += *b;
    *d = RotateLeft(*d ^ *a, 8);
    *c += *d;
    *b = RotateLeft(*b ^ *c, 7);
}

// One block of key stream (RFC 8439, 2.3) for the present key and counter.
static void MakeBlock(uint8_t out[CHACHA_BLOCK])
{
    uint32_t start[16] = {0x61707865, 0x3320646E, 0x79622D32, 0x6B206574};
    memcpy(start + 4, Key, sizeof(Key));
    start[12] = (uint32_t)Counter;
    start[13] = (uint32_t)(Counter >> 32);
    Counter++;
    uint32_t x[16];
    memcpy(x, start, sizeof(x));
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++)
            QuarterRound(&x[i], &x[4 + i], &x[8 + i], &x[12 + i]);
        for (int i = 0; i < 4; i++)
            QuarterRound(&x[i], &x[4 + (i + 1) % 4], &x[8 + (i + 2) % 4], &x[12 + (i + 3) % 4]);
    }
    for (int i = 0; i < 16; i++)
        x[i] += start[i];
    memcpy(out, x, sizeof(x));
}

static void Refill(void)
{
    uint64_t stamp = __builtin_ia32_rdtsc();
    Key[0] ^= (uint32_t)stamp;
    Key[1] ^= (uint32_t)(stamp >> 32);
    for (size_t i = 0; i < POOL_BLOCKS; i++)
        MakeBlock(Pool + i * CHACHA_BLOCK);
    memcpy(Key, Pool, sizeof(Key));
    memset(Pool, 0, sizeof(Key));
    PoolLeft = sizeof(Pool) - sizeof(Key);
}

void KeSeedRandom(const uint8_t entropy[32])
{
    KIrql old = KeAcquireSpinLock(&RandomLock);
    for (size_t i = 0; i < 8; i++) {
        uint32_t word;
        memcpy(&word, entropy + i * 4, sizeof(word));
        Key[i] ^= word;
    }
    Refill();
    KeReleaseSpinLock(&RandomLock, old);
}

void KeGetRandomBytes(void *buffer, size_t size)
{
    uint8_t *out = buffer;
    while (size != 0) {
        KIrql old = KeAcquireSpinLock(&RandomLock);
        if (PoolLeft == 0)
            Refill();
        size_t piece = RTL_MIN(size, PoolLeft);
        uint8_t *from = Pool + sizeof(Pool) - PoolLeft;
        memcpy(out, from, piece);
        memset(from, 0, piece);
        PoolLeft -= piece;
        KeReleaseSpinLock(&RandomLock, old);
        out += piece;
        size -= piece;
    }
}

uint64_t KeGetRandom(void)
{
    uint64_t value;
    KeGetRandomBytes(&value, sizeof(value));
    return value;
}
