/* DBSIZE, FLUSHDB, FLUSHALL and SWAPDB of L1 alone: what concerns whole databases. */
#include "command/alone.h"
#include "command/key_handlers.h"

void key_database_dbsize(struct call *call)
{
    reply_int(&call->reply, (int64_t)store_db_entries(call->larder->store, call->client->db));
}

/* Checks the option of FLUSHDB and FLUSHALL. It changes nothing: the store's flush takes constant
 * time and frees in slices. */
static bool check_flush(struct call *call)
{
    if (call->argc == 1 ||
        (call->argc == 2 && (bytes_is(call->argv[1], "SYNC") || bytes_is(call->argv[1], "ASYNC"))))
        return true;
    call_syntax_error(call);
    return false;
}

void key_database_flushdb(struct call *call)
{
    if (!check_flush(call))
        return;
    store_flush(call->larder->store, call->client->db);
    reply_ok(&call->reply);
}

void key_database_flushall(struct call *call)
{
    if (!check_flush(call))
        return;
    store_flush_all(call->larder->store);
    reply_ok(&call->reply);
}

void key_database_swapdb(struct call *call)
{
    int a, b;
    if (!alone_parse_int(call, 1, "ERR invalid first DB index", &a) ||
        !alone_parse_int(call, 2, "ERR invalid second DB index", &b) || !alone_check_db(call, a) ||
        !alone_check_db(call, b))
        return;
    if (a == b || store_swap(call->larder->store, (unsigned)a, (unsigned)b))
        reply_ok(&call->reply);
    else
        reply_error(&call->reply, "ERR the databases could not be swapped and are now empty");
}
