// stimer.c - the four synthetic timers of each processor (TLFS chapter 12.2). A one-shot's count is
// absolute reference time, a periodic one's is a period; expiry is an interrupt ("direct") or a
// message to a SINT, which is put off while the slot is full.
// SPDX-License-Identifier: MIT
#include "hvhost.h"

enum {
    StimerEnable = 1 << 0,
    StimerPeriodic = 1 << 1,
    StimerLazy = 1 << 2,
    StimerAutoEnable = 1 << 3,
    StimerDirect = 1 << 12,
    StimerDefined = 0xF1FFF,
    StimerVectorShift = 4,
    StimerSintShift = 16,
    MsrFirst = 0x400000B0,
    MsrLast = 0x400000B7,
};

// HvMessageTimerExpired.
#define TIMER_EXPIRED 0x80000010u

static void Arm(HvStimer *timer)
{
    timer->waiting = false;
    if ((timer->config & StimerEnable) != 0 && timer->count != 0) {
        bool periodic = timer->config & StimerPeriodic;
        timer->due = periodic ? HvReferenceTime() + timer->count : timer->count;
        timer_mod(timer->timer, timer->due > INT64_MAX / 100 ? INT64_MAX : timer->due * 100);
    } else {
        timer_del(timer->timer);
    }
}

// Sends the expiry, or leaves it waiting.
static void Fire(HvStimer *timer)
{
    unsigned sint = timer->config >> StimerSintShift & 15;
    struct {
        uint32_t index, reserved;
        uint64_t expired, delivered;
    } payload = {timer->index, 0, timer->due, HvReferenceTime()};

    if ((timer->config & StimerDirect) != 0) {
        SynicRaiseVector(timer->processor, timer->config >> StimerVectorShift & 0xFF);
        return;
    }
    timer->waiting = SynicBusy(timer->processor, sint) || !SynicListens(timer->processor, sint);
    if (!timer->waiting)
        SynicPost(timer->processor, sint, TIMER_EXPIRED, &payload, sizeof(payload));
}

static void Expired(void *opaque)
{
    HvStimer *timer = opaque;

    if ((timer->config & StimerEnable) == 0)
        return;
    Fire(timer);
    if ((timer->config & StimerPeriodic) != 0) {
        timer->due = HvReferenceTime() + timer->count;
        timer_mod(timer->timer, timer->due * 100);
    } else {
        timer->config &= ~(uint64_t)StimerEnable;
    }
}

void StimerRetry(HvProcessor *processor)
{
    for (unsigned i = 0; i < HvStimerCount; i++) {
        if (processor->stimer[i].waiting)
            Fire(&processor->stimer[i]);
    }
}

bool StimerReadMsr(HvProcessor *processor, uint32_t msr, uint64_t *value)
{
    HvStimer *timer;

    if (!Host->stimers || msr < MsrFirst || msr > MsrLast)
        return false;
    timer = &processor->stimer[(msr - MsrFirst) / 2];
    *value = msr & 1 ? timer->count : timer->config;
    return true;
}

static void SetConfig(HvStimer *timer, uint64_t value)
{
    bool direct = value & StimerDirect;

    if ((value & ~(uint64_t)StimerDefined) != 0)
        StrictViolation("stimer-reserved", "reserved bits in the configuration 0x%" PRIx64, value);
    if (direct && !Host->directStimers) {
        StrictViolation("stimer-direct", "a direct timer although there are none");
        value &= ~(uint64_t)StimerDirect;
    }
    if (!direct && (value >> StimerSintShift & 15) == 0)
        value &= ~(uint64_t)StimerEnable; // SINT 0 is not allowed
    timer->config = value;
    Arm(timer);
}

static void SetCount(HvStimer *timer, uint64_t value)
{
    timer->count = value;
    if (value == 0)
        timer->config &= ~(uint64_t)StimerEnable;
    else if ((timer->config & StimerAutoEnable) != 0)
        timer->config |= StimerEnable;
    Arm(timer);
}

bool StimerWriteMsr(HvProcessor *processor, uint32_t msr, uint64_t value)
{
    if (!Host->stimers || msr < MsrFirst || msr > MsrLast)
        return false;
    ((msr & 1) != 0 ? SetCount : SetConfig)(&processor->stimer[(msr - MsrFirst) / 2], value);
    return true;
}

void StimerInit(HvProcessor *processor)
{
    for (int i = 0; i < HvStimerCount; i++) {
        HvStimer *timer = &processor->stimer[i];
        timer->processor = processor;
        timer->index = i;
        timer->timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, Expired, timer);
    }
}

void StimerReset(HvProcessor *processor)
{
    for (int i = 0; i < HvStimerCount; i++) {
        HvStimer *timer = &processor->stimer[i];
        timer_del(timer->timer);
        timer->config = timer->count = 0;
        timer->waiting = false;
    }
}
