/* Commands on keys that are sent to L2 with more than their rows say: COPY and MOVE write a key of
 * another database than the client's, GETEX may not write at all.
 *
 * A key of another database is dropped from L1, and its fetch doomed, before the command is sent.
 * That is enough: every later fetch of it goes down the same link behind the command, so what it
 * brings is not older than what the command did. */
#include "command/key_handlers.h"
#include "core/larder.h"

/* Drops argv[key] in the database that argv[i] names, where L1 may have it. */
static void drop_in(struct call *call, size_t i, size_t key)
{
    int64_t db;
    if (bytes_parse_range(call->argv[i], 0, UINT16_MAX, &db) && db < call->larder->config.databases)
        tier_drop(call->larder->tier, (unsigned)db, call->argv[key]);
}

/* COPY source destination [DB n] [REPLACE] */
void key_upstream_copy(struct call *call)
{
    for (size_t i = 3; i + 1 < call->argc; i++)
        if (bytes_is(call->argv[i], "DB"))
            drop_in(call, i + 1, 2);
    call_write(call);
}

/* MOVE key db */
void key_upstream_move(struct call *call)
{
    drop_in(call, 2, 1);
    call_write(call);
}

/* GETEX key [option]: without an option it is a GET, which leaves L1 as it is. */
void key_upstream_getex(struct call *call)
{
    if (call->argc == 2)
        call_pass(call);
    else
        call_write(call);
}
