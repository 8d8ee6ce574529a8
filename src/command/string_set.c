/* SET and its relatives of L1 alone: what gives a key a new value as a whole.
 *
 * A reply that shows the old value is written before the put, which makes that value unreachable,
 * and taken back when the put fails. */
#include "command/alone.h"
#include "command/string_handlers.h"
#include "command/string_options.h"

/* Puts a value without options. Returns false with the error written. */
static bool set_plain(struct call *call, size_t key, size_t value)
{
    return alone_store(call, key, &(struct alone_item){.value = call->argv[value]});
}

/* Serves SET behind its options; wall_ms is the deadline, -1: none is said. */
static void set_with(struct call *call, const struct string_options *options, int64_t wall_ms)
{
    size_t mark = alone_mark(call);
    if (options->get)
        string_get_get(call);
    const struct entry *old = alone_find(call, 1);
    if ((options->nx && old != NULL) || (options->xx && old == NULL)) {
        if (!options->get)
            reply_null(&call->reply);
        return;
    }
    struct alone_item item = {.value = call->argv[2]};
    if (wall_ms >= 0)
        item.deadline_ms = alone_deadline(call, wall_ms);
    else if (options->time == STRING_TIME_KEEP)
        item.deadline_ms = alone_keep_deadline(old);
    enum store_result result = alone_put(call, 1, &item);
    if (result != STORE_OK) {
        alone_rewind(call, mark);
        alone_refuse(call, result);
    } else if (!options->get) {
        reply_ok(&call->reply);
    }
}

void string_set_set(struct call *call)
{
    if (call->argc == 3) {
        if (set_plain(call, 1, 2))
            reply_ok(&call->reply);
        return;
    }
    struct string_options options;
    int64_t wall_ms;
    if (string_options_parse(call, 3, STRING_OPTIONS_SET, &options) &&
        string_options_expires_at(call, &options, &wall_ms))
        set_with(call, &options, wall_ms);
}

/* SETEX key time value */
static void set_for(struct call *call, enum string_options_time time)
{
    struct string_options options = {.time = time, .at = 2};
    int64_t wall_ms;
    if (!string_options_expires_at(call, &options, &wall_ms))
        return;
    struct alone_item item = {call->argv[3], alone_deadline(call, wall_ms), 0};
    if (alone_store(call, 1, &item))
        reply_ok(&call->reply);
}

void string_set_setex(struct call *call)
{
    set_for(call, STRING_TIME_EX);
}

void string_set_psetex(struct call *call)
{
    set_for(call, STRING_TIME_PX);
}

void string_set_setnx(struct call *call)
{
    if (alone_find(call, 1) != NULL)
        reply_int(&call->reply, 0);
    else if (set_plain(call, 1, 2))
        reply_int(&call->reply, 1);
}

void string_set_getset(struct call *call)
{
    size_t mark = alone_mark(call);
    string_get_get(call);
    enum store_result result = alone_put(call, 1, &(struct alone_item){.value = call->argv[2]});
    if (result == STORE_OK)
        return;
    alone_rewind(call, mark);
    alone_refuse(call, result);
}

/* Sets the pairs of MSET and MSETNX. Returns false with the error written when one can't be put;
 * those before it are set then. */
static bool set_pairs(struct call *call)
{
    for (size_t i = 1; i < call->argc; i += 2)
        if (!set_plain(call, i, i + 1))
            return false;
    return true;
}

void string_set_mset(struct call *call)
{
    if (call->argc % 2 == 0)
        call_wrong_arity(call);
    else if (set_pairs(call))
        reply_ok(&call->reply);
}

void string_set_msetnx(struct call *call)
{
    if (call->argc % 2 == 0) {
        call_wrong_arity(call);
        return;
    }
    for (size_t i = 1; i < call->argc; i += 2) {
        if (alone_find(call, i) != NULL) {
            reply_int(&call->reply, 0);
            return;
        }
    }
    if (set_pairs(call))
        reply_int(&call->reply, 1);
}
