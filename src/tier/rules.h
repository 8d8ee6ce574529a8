/* The rules of coherence that a test build can do without, to show that the tests would notice.
 *
 * In larder all of them hold, always: rule_holds is a constant. Only tests/history/larder_broken is compiled with
 * LARDER_BROKEN_RULES; there, a rule that the environment variable LARDER_BREAK_RULE names doesn't hold. That program
 * says so wherever it tells its version. */
#ifndef LARDER_TIER_RULES_H
#define LARDER_TIER_RULES_H

#include <stdbool.h>

enum rule {
    RULE_DROP_BEFORE_SEND, /* a write drops its keys, and dooms their fetches, before it is sent */
    RULE_DISCARD_DOOMED,   /* nothing is kept of a doomed fetch */
    RULE_EPOCH_ON_RECONNECT, /* what a lost link has filled is never served again */
};

#ifdef LARDER_BROKEN_RULES

#include <stdlib.h>
#include <string.h>

#define RULES_NOTE " WITH A BROKEN RULE OF COHERENCE, FOR TESTS ONLY"

static inline bool rule_holds(enum rule rule)
{
    static const char *const names[] = {"drop-before-send", "discard-doomed", "epoch-on-reconnect"};
    const char *broken = getenv("LARDER_BREAK_RULE");
    return broken == NULL || strcmp(broken, names[rule]) != 0;
}

#else

#define RULES_NOTE ""

static inline bool rule_holds(enum rule rule)
{
    (void)rule;
    return true;
}

#endif

#endif
