// strict.c - strict mode: everything that the guest does against the protocol is counted by rule. A
// real host answers most of these with silence, a dead channel or a slow machine, and never tells.
// SPDX-License-Identifier: MIT
#include "hvhost.h"

enum { RulesMax = 128, ShownPerRule = 5 };

typedef struct Rule {
    const char *name;
    uint64_t count;
} Rule;

static Rule Rules[RulesMax];
static unsigned RuleCount;

static Rule *FindRule(const char *name)
{
    for (unsigned i = 0; i < RuleCount; i++) {
        if (strcmp(Rules[i].name, name) == 0)
            return &Rules[i];
    }
    assert(RuleCount < RulesMax);
    Rules[RuleCount].name = name;
    return &Rules[RuleCount++];
}

void StrictViolation(const char *rule, const char *format, ...)
{
    Rule *found = FindRule(rule);
    va_list arguments;
    char text[200];

    found->count++;
    Host->violations++;
    if (found->count > ShownPerRule)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    HvPrint("violation: %s: %s%s", rule, text,
            found->count == ShownPerRule ? " (no more of these are shown)" : "");
}

char *StrictList(void)
{
    GString *list = g_string_new("");

    for (unsigned i = 0; i < RuleCount; i++) {
        if (Rules[i].count != 0)
            g_string_append_printf(list, "%s%s=%" PRIu64, list->len != 0 ? " " : "", Rules[i].name,
                                   Rules[i].count);
    }
    return g_string_free(list, false);
}

void StrictReset(void)
{
    for (unsigned i = 0; i < RuleCount; i++)
        Rules[i].count = 0;
    Host->violations = 0;
}
