/* Which replies of Redis 7.0 are shaped differently in RESP2 and RESP3, by command: the table that
 * src/resp/translate.c works by.
 *
 * Must not know: how a reply is rewritten, where it comes from, what else a command does.
 *
 * Everything else follows from the types alone (TRANSLATE_GENERIC). The table was found by running
 * every command of redis-server 7.0.15 in both protocols (tests/tools/resp2_resp3_table.py, which
 * says so when a command is missing here) and by reading every place in its source that looks at
 * the client's protocol or replies with a null array. */
#ifndef LARDER_RESP_TRANSLATE_RULES_H
#define LARDER_RESP_TRANSLATE_RULES_H

#include "base/bytes.h"

enum translate_rule {
    /* Map, set and push become arrays (a map flat), double, big number and verbatim a bulk, boolean
     * an integer, null "$-1"; attributes are dropped. */
    TRANSLATE_GENERIC,

    /* As generic, but nulls are null arrays "*-1", at any depth: LPOP with a count, GEOPOS, ... */
    TRANSLATE_NULL_ARRAY,

    /* As TRANSLATE_NULL_ARRAY, but generic inside MULTI/EXEC: BLMOVE and BRPOPLPUSH say "*-1" when
     * they time out and "$-1" where they may not block. */
    TRANSLATE_NULL_ARRAY_BLOCKING,

    /* As generic, but an array of arrays loses its inner headers: [[a, 1], [b, 2]] becomes
     * [a, 1, b, 2]; ZRANGE ... WITHSCORES, ZPOPMIN with a count, HRANDFIELD ... WITHVALUES, ... */
    TRANSLATE_FLAT,

    /* A map becomes an array of pairs {k: v} -> [[k, v]], and nulls at any depth are null arrays:
     * XREAD and XREADGROUP. */
    TRANSLATE_PAIRS,

    /* As generic, but a null that is the last element is a null array: XPENDING's summary. */
    TRANSLATE_LAST_NULL_ARRAY,

    /* EXEC: a null is a null array (the transaction was aborted), the elements have each their own
     * command's rule; see translate_exec_to_resp2. */
    TRANSLATE_EXEC,
};

/* The rule for the reply to a command. `argv` is the command as the client sent it, the name in
 * any case; `argc` is how many arguments there are, the name included; none at all is generic.
 * Looks at the name and the number of arguments only, and costs 2 to 15 ns (measured: GET 2, ZRANGE
 * 14). Never fails. */
enum translate_rule translate_rule_for(const struct bytes *argv, size_t argc)
    __attribute__((pure, warn_unused_result));

#endif
