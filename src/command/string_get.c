/* GET, MGET, GETEX and GETDEL of L1 alone: what returns a whole value. */
#include "command/alone.h"
#include "command/string_handlers.h"
#include "command/string_options.h"

void string_get_get(struct call *call)
{
    const struct entry *entry = alone_read(call, 1);
    if (entry != NULL)
        reply_bulk(&call->reply, entry_value(entry));
    else
        reply_null(&call->reply);
}

void string_get_mget(struct call *call)
{
    reply_array(&call->reply, call->argc - 1);
    for (size_t i = 1; i < call->argc; i++) {
        const struct entry *entry = alone_read(call, i);
        if (entry != NULL)
            reply_bulk(&call->reply, entry_value(entry));
        else
            reply_null(&call->reply);
    }
}

void string_get_getdel(struct call *call)
{
    string_get_get(call);
    alone_remove(call, 1);
}

/* Gives the key a deadline (0: none), or removes it when that has passed. */
static void set_deadline(struct call *call, int64_t deadline_ms)
{
    struct larder *larder = call->larder;
    int64_t now_ms = larder_now_ms(larder);
    if (deadline_ms != 0 && deadline_ms <= now_ms)
        alone_remove(call, 1);
    else
        store_set_deadline(larder->store, call->client->db, call->argv[1], call_hash(call, 1),
                           deadline_ms, now_ms);
}

void string_get_getex(struct call *call)
{
    struct string_options options;
    if (!string_options_parse(call, 2, STRING_OPTIONS_GETEX, &options))
        return;
    const struct entry *entry = alone_read(call, 1);
    if (entry == NULL) { /* before a look at the number, as in Redis */
        reply_null(&call->reply);
        return;
    }
    int64_t wall_ms;
    if (!string_options_expires_at(call, &options, &wall_ms))
        return;
    reply_bulk(&call->reply, entry_value(entry));
    if (options.time != STRING_TIME_UNSAID)
        set_deadline(call, wall_ms < 0 ? 0 : alone_deadline(call, wall_ms));
}
