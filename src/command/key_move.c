/* RENAME, RENAMENX, COPY and MOVE of L1 alone: what gives a value to another key or database.
 *
 * The new entry is put before the old one goes, so that nothing is lost when there is no room:
 * larder then answers OOM where Redis, which only moves a pointer, would not. */
#include "command/alone.h"
#include "command/key_handlers.h"

/* Gives the entry's value, deadline and encoding to argv[i] in database `db`. Returns false with
 * the error written. */
static bool duplicate(struct call *call, const struct entry *entry, unsigned db, size_t i)
{
    struct alone_item item = {entry_value(entry), (int64_t)entry->deadline_ms, entry->flags};
    enum store_result result = alone_put_in(call, db, i, &item);
    if (result == STORE_OK)
        return true;
    alone_refuse(call, result);
    return false;
}

/* Renames. Returns 1, 0 when nothing was done (the new name is the old one, or is taken and `nx`),
 * or -1 with the error written. */
static int rename_key(struct call *call, bool nx)
{
    unsigned db = call->client->db;
    const struct entry *entry = alone_find(call, 1);
    if (entry == NULL) {
        reply_error(&call->reply, "ERR no such key");
        return -1;
    }
    if (bytes_equal(call->argv[1], call->argv[2]) || (nx && alone_find(call, 2) != NULL))
        return 0;
    if (!duplicate(call, entry, db, 2))
        return -1;
    alone_remove(call, 1);
    return 1;
}

void key_move_rename(struct call *call)
{
    if (rename_key(call, false) >= 0)
        reply_ok(&call->reply);
}

void key_move_renamenx(struct call *call)
{
    int done = rename_key(call, true);
    if (done >= 0)
        reply_int(&call->reply, done);
}

/* Parses COPY's options. Returns false with the error written. */
static bool parse_copy(struct call *call, unsigned *db, bool *replace)
{
    *db = call->client->db;
    *replace = false;
    for (size_t i = 3; i < call->argc; i++) {
        int number;
        if (bytes_is(call->argv[i], "REPLACE")) {
            *replace = true;
        } else if (bytes_is(call->argv[i], "DB") && i + 1 < call->argc) {
            if (!alone_parse_int(call, ++i, NULL, &number) || !alone_check_db(call, number))
                return false;
            *db = (unsigned)number;
        } else {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static void refuse_same(struct call *call)
{
    reply_error(&call->reply, "ERR source and destination objects are the same");
}

void key_move_copy(struct call *call)
{
    unsigned db;
    bool replace;
    if (!parse_copy(call, &db, &replace))
        return;
    if (db == call->client->db && bytes_equal(call->argv[1], call->argv[2])) {
        refuse_same(call);
        return;
    }
    const struct entry *entry = alone_read(call, 1);
    if (entry == NULL || (!replace && alone_find_in(call, db, 2) != NULL))
        reply_int(&call->reply, 0);
    else if (duplicate(call, entry, db, 2))
        reply_int(&call->reply, 1);
}

void key_move_move(struct call *call)
{
    int number;
    if (!alone_parse_int(call, 2, NULL, &number) || !alone_check_db(call, number))
        return;
    unsigned db = (unsigned)number;
    if (db == call->client->db) {
        refuse_same(call);
        return;
    }
    const struct entry *entry = alone_find(call, 1);
    if (entry == NULL || alone_find_in(call, db, 1) != NULL) {
        reply_int(&call->reply, 0);
    } else if (duplicate(call, entry, db, 1)) {
        alone_remove(call, 1);
        reply_int(&call->reply, 1);
    }
}
