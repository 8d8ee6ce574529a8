/* Commands that may wait at L2: each runs on a link of its client's own (core/blocked.h), as its client's only command. Inside MULTI they
 * are queued like any other: L2 does not let them wait there. */
#include "command/families.h"

#include "core/blocked.h"

static void block(struct call *call)
{
    call_block(call, BYTES(""));
}

/* WAIT counts the replicas that have what was written on its own connection. The client's writes went down the shared link, so a
 * publication, which is replicated and changes nothing, moves this connection's mark behind them. */
static void wait_for_replicas(struct call *call)
{
    struct bytes publish[] = {BYTES("PUBLISH"), BYTES("__larder:wait"), BYTES("")};
    struct buf raw;
    buf_init(&raw);
    if (request_encode(publish, 3, &raw))
        call_block(call, buf_bytes(&raw));
    else
        reply_error(&call->reply, "ERR larder has no memory for this command");
    buf_deinit(&raw);
}

/* XREAD and XREADGROUP block only when they are told to, by an option before STREAMS. Names of groups and consumers may be
 * anything. */
static bool blocks(const struct call *call)
{
    for (size_t i = 1; i < call->argc && !bytes_is(call->argv[i], "streams"); i++) {
        if (bytes_is(call->argv[i], "block"))
            return true;
        if (bytes_is(call->argv[i], "group"))
            i += 2;
    }
    return false;
}

static void xread(struct call *call)
{
    if (blocks(call))
        block(call);
    else
        call_pass(call);
}

static void xreadgroup(struct call *call)
{
    if (blocks(call))
        block(call);
    else
        call_write(call);
}

#define BLOCKS COMMAND_WRITE | COMMAND_BLOCKING | COMMAND_NOSCRIPT | COMMAND_WAITS
#define LIST(word, n, version, text, usage)                                                        \
    {                                                                                              \
        .name = (word), .fn = block, .arity = (n), .flags = BLOCKS, .group = "list",               \
        .since = (version), .summary = (text), .args = (usage)
#define ZSET(word, n, version, text, usage)                                                        \
    {                                                                                              \
        .name = (word), .fn = block, .arity = (n), .flags = BLOCKS, .group = "sorted-set",         \
        .since = (version), .summary = (text), .args = (usage)
#define ALL_BUT_LAST .first = 1, .last = -2, .step = 1
#define TWO .first = 1, .last = 2, .step = 1
/* numkeys stands behind the time-out */
#define COUNTED                                                                                    \
    .n_specs = 1, .specs = {{.begin = KEY_BEGIN_INDEX,                                             \
                             .begin_index = 2,                                                     \
                             .find = KEY_FIND_KEYNUM,                                              \
                             .keynum_index = 0,                                                    \
                             .first_key = 1,                                                       \
                             .keystep = 1,                                                         \
                             .writes = true}}
#define STREAMS(from)                                                                              \
    .n_specs = 1, .specs = {{.begin = KEY_BEGIN_KEYWORD,                                           \
                             .begin_index = (from),                                                \
                             .keyword = "STREAMS",                                                 \
                             .find = KEY_FIND_RANGE,                                               \
                             .last = -1,                                                           \
                             .step = 1,                                                            \
                             .limit = 2,                                                           \
                             .writes = (from) == 4}}

const struct command blocking_commands[] =
    {LIST("blpop", -3, "2.0.0", "Pops from the left of the first list that has elements, or waits",
          "key [key ...] timeout"),
     ALL_BUT_LAST},
                     LIST("brpop", -3, "2.0.0",
                          "Pops from the right of the first list that has elements, or waits",
                          "key [key ...] timeout"),
                     ALL_BUT_LAST
}
,
    LIST("blmove", 6, "6.2.0", "Moves an element between lists, or waits",
         "source destination <LEFT|RIGHT> <LEFT|RIGHT> timeout"),
    TWO
}
,
    LIST("brpoplpush", 4, "2.2.0", "Moves an element from right to left, or waits",
         "source destination timeout"),
    TWO
}
,
    LIST("blmpop", -5, "7.0.0", "Pops several elements, or waits",
         "timeout numkeys key [key ...] <LEFT|RIGHT> [COUNT count]"),
    COUNTED
}
, ZSET("bzpopmin", -3, "5.0.0", "Pops the lowest member, or waits", "key [key ...] timeout"),
    ALL_BUT_LAST
}
, ZSET("bzpopmax", -3, "5.0.0", "Pops the highest member, or waits", "key [key ...] timeout"),
    ALL_BUT_LAST
}
,
    ZSET("bzmpop", -5, "7.0.0", "Pops several members, or waits",
         "timeout numkeys key [key ...] <MIN|MAX> [COUNT count]"),
    COUNTED
}
,
    {.name = "wait",
     .fn = wait_for_replicas,
     .arity = 3,
     .flags = COMMAND_BLOCKING | COMMAND_NOSCRIPT | COMMAND_WAITS,
     .group = "generic",
     .since = "3.0.0",
     .summary = "Waits until replicas have this connection's writes",
     .args = "numreplicas timeout"},
    {.name = "xread",
     .fn = xread,
     .arity = -4,
     .flags = COMMAND_READONLY | COMMAND_MOVABLE | COMMAND_WAITS,
     .group = "stream",
     .since = "5.0.0",
     .summary = "Reads streams from given ids on, and may wait for entries",
     .args = "[COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]",
     STREAMS(1)},
    {.name = "xreadgroup",
     .fn = xreadgroup,
     .arity = -7,
     .flags = COMMAND_WRITE | COMMAND_MOVABLE | COMMAND_WAITS,
     .group = "stream",
     .since = "5.0.0",
     .summary = "Reads streams for a consumer of a group, and may wait for entries",
     .args = "GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key "
             "...] id [id ...]",
     STREAMS(4)},
    {.name = NULL},
}
;
