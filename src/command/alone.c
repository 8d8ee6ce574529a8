/* What the handlers of L1 alone share; see alone.h. */
#include "command/alone.h"

#include <limits.h>

_Static_assert(((ALONE_RAW | ALONE_STRING) & (ENTRY_CAPPED | ENTRY_PERSIST | ENTRY_HIT)) == 0,
               "flags share a byte");

/* Reading */

const struct entry *alone_find_in(struct call *call, unsigned db, size_t i)
{
    struct larder *larder = call->larder;
    return store_find(larder->store, db, call->argv[i], call_hash(call, i), larder_now_ms(larder));
}

const struct entry *alone_find(struct call *call, size_t i)
{
    return alone_find_in(call, call->client->db, i);
}

static const struct entry *count_lookup(struct larder *larder, const struct entry *entry)
{
    if (entry != NULL)
        larder->stats.keyspace_hits++;
    else
        larder->stats.keyspace_misses++;
    return entry;
}

const struct entry *alone_read(struct call *call, size_t i)
{
    return count_lookup(call->larder, alone_find(call, i));
}

const struct entry *alone_look(struct call *call, size_t i)
{
    struct larder *larder = call->larder;
    return count_lookup(larder, store_peek(larder->store, call->client->db, call->argv[i],
                                           call_hash(call, i), larder_now_ms(larder)));
}

bool alone_is_raw(const struct entry *entry)
{
    return (entry->flags & ALONE_RAW) != 0 || entry->value_len > ALONE_EMBSTR_MAX;
}

bool alone_copy_value(const struct entry *entry, size_t size, struct buf *copy)
{
    struct bytes value = alone_value(entry);
    if (value.len > size)
        value.len = size;
    if (!buf_reserve(copy, size) || !buf_append(copy, value.ptr, value.len))
        return false;
    if (size > value.len)
        memset(copy->data + value.len, 0, size - value.len);
    copy->len = size;
    return true;
}

/* Writing */

enum store_result alone_put_in(struct call *call, unsigned db, size_t i,
                               const struct alone_item *item)
{
    struct larder *larder = call->larder;
    struct store_item stored = {
        .value = item->value,
        .deadline_ms = item->deadline_ms,
        .kind = ENTRY_STRING,
        .flags = item->flags,
    };
    return store_put(larder->store, db, call->argv[i], call_hash(call, i), &stored,
                     larder_now_ms(larder));
}

enum store_result alone_put(struct call *call, size_t i, const struct alone_item *item)
{
    return alone_put_in(call, call->client->db, i, item);
}

bool alone_store(struct call *call, size_t i, const struct alone_item *item)
{
    enum store_result result = alone_put(call, i, item);
    if (result == STORE_OK)
        return true;
    alone_refuse(call, result);
    return false;
}

bool alone_remove(struct call *call, size_t i)
{
    struct larder *larder = call->larder;
    return store_remove(larder->store, call->client->db, call->argv[i], call_hash(call, i),
                        larder_now_ms(larder));
}

/* Deadlines */

int64_t alone_expires_at(const struct call *call, const struct entry *entry)
{
    if (entry->deadline_ms == 0)
        return -1;
    return (int64_t)entry->deadline_ms + call->larder->loop.clock.wall_offset_ms;
}

int64_t alone_deadline(const struct call *call, int64_t wall_ms)
{
    int64_t offset_ms = call->larder->loop.clock.wall_offset_ms;
    int64_t deadline_ms;
    if (__builtin_sub_overflow(wall_ms, offset_ms, &deadline_ms))
        return wall_ms < 0 ? 1 : INT64_MAX;
    return deadline_ms > 0 ? deadline_ms : 1;
}

/* Arguments */

bool alone_parse_integer(struct call *call, size_t i, int64_t *value)
{
    if (bytes_parse_i64(call->argv[i], value))
        return true;
    reply_error(&call->reply, "ERR value is not an integer or out of range");
    return false;
}

bool alone_parse_int(struct call *call, size_t i, const char *error, int *value)
{
    int64_t parsed;
    bool is_integer = bytes_parse_i64(call->argv[i], &parsed);
    if (is_integer && parsed >= INT_MIN && parsed <= INT_MAX) {
        *value = (int)parsed;
        return true;
    }
    if (error != NULL)
        reply_error(&call->reply, "%s", error);
    else if (is_integer)
        reply_error(&call->reply, "ERR value is out of range, value must between %d and %d",
                    INT_MIN, INT_MAX);
    else
        reply_error(&call->reply, "ERR value is not an integer or out of range");
    return false;
}

bool alone_check_db(struct call *call, int number)
{
    if (number >= 0 && (unsigned)number < store_get_options(call->larder->store)->n_dbs)
        return true;
    reply_error(&call->reply, "ERR DB index is out of range");
    return false;
}

/* Replies */

void alone_rewind(struct call *call, size_t mark)
{
    call->reply.out->len = mark;
}

void alone_refuse(struct call *call, enum store_result result)
{
    if (result == STORE_TOO_BIG)
        reply_error(&call->reply, "ERR key and value are larger than L1 takes "
                                  "(l1-max-item, maxmemory)");
    else
        reply_error(&call->reply, "OOM command not allowed when used memory > 'maxmemory'.");
}

bool alone_check_length(struct call *call, int64_t size, int64_t more)
{
    int64_t total;
    if (!__builtin_add_overflow(size, more, &total) &&
        total <= call->larder->config.proto_max_bulk_len_bytes)
        return true;
    reply_error(&call->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    return false;
}

void alone_bad_expire_time(struct call *call)
{
    reply_error(&call->reply, "ERR invalid expire time in '%s' command", call->command->name);
}
