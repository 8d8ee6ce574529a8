/* What clients ask: the verbs, each a short script of commands, and what its replies mean.
 *
 * Knows RESP and Redis's commands, but no sockets, and nothing of what is right or wrong. */
#ifndef LARDER_TESTS_HISTORY_MIX_H
#define LARDER_TESTS_HISTORY_MIX_H

#include "base/buf.h"
#include "history.h"

#include <hiredis/hiredis.h>

/* What a reply says about the operations of its command. */
enum rule {
    RULE_IGNORE,     /* nothing */
    RULE_DONE,       /* anything but an error or nil: all done. nil: nothing done */
    RULE_VALUE,      /* the value; nil or "": none */
    RULE_VALUES,     /* an array of values */
    RULE_FIRST,      /* an array whose first item is the value; empty: none */
    RULE_PAIRS,      /* a hash: field and value; empty: none */
    RULE_PRESENCE,   /* a number, 0: absent */
    RULE_TTL,        /* a number, -2: absent */
    RULE_TYPE,       /* "none": absent */
    RULE_ONE,        /* a number, 0: nothing done */
    RULE_REMOVED,    /* a number of keys that were removed, of all that were named */
    RULE_OLD,        /* the value before; the second operation is done */
    RULE_OLD_THERE,  /* the same, but not if there was none */
    RULE_STORED,     /* a number, 0: the second operation is done, else the first */
    RULE_COUNT,      /* counters: each operation's number, in one or in an array */
    RULE_EXEC,       /* an array with one reply for each operation; nil: nothing done */
    RULE_EXEC_WHOLE, /* an array: all done */
};

/* A command on its way. */
struct pending {
    size_t op; /* the first of its operations */
    uint16_t n_ops;
    uint8_t rule;
};

struct mix {
    struct history *history;
    struct random random;
    unsigned write_percent;
    bool has_direct;      /* somebody writes at L2 */
    bool is_strict;       /* what scripts write undeclared is promised as all else */
    const char *only;     /* names with commas; NULL: all verbs */
    uint64_t n_temporary; /* keys made for one use */
};

/* Who asks. */
struct mix_client {
    unsigned conn, view;
    bool counts; /* uses counters, in another database */
};

/* Chooses a verb and appends its commands to `out`, what is expected to `pending` (room for
 * MIX_COMMANDS_MAX), and its operations to the record. Returns the number of commands; 0: there is no verb
 * that this client could use now. */
#define MIX_COMMANDS_MAX 4
unsigned mix_ask(struct mix *mix, const struct mix_client *client, struct buf *out,
                 struct pending *pending);

/* Enters a reply into the record. `reply` is what hiredis's reader made of it. */
void mix_take_reply(struct history *history, const struct pending *pending, const redisReply *reply,
                    int64_t now_ns);

/* True when every name in `only` is a verb. */
bool mix_knows(const char *only);

/* Prints the verbs' names. */
void mix_print_verbs(void);

#endif
