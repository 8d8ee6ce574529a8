/* EXPIRE, TTL, PERSIST and their relatives of L1 alone.
 *
 *     EXPIRE | PEXPIRE | EXPIREAT | PEXPIREAT key time [NX | XX | GT | LT ...] */
#include "command/alone.h"
#include "command/key_handlers.h"
#include "command/subcommand.h"

struct expire_conditions {
    bool nx, xx, gt, lt;
};

static bool parse_conditions(struct call *call, struct expire_conditions *conditions)
{
    *conditions = (struct expire_conditions){0};
    for (size_t i = 3; i < call->argc; i++) {
        struct bytes word = call->argv[i];
        if (bytes_is(word, "NX"))
            conditions->nx = true;
        else if (bytes_is(word, "XX"))
            conditions->xx = true;
        else if (bytes_is(word, "GT"))
            conditions->gt = true;
        else if (bytes_is(word, "LT"))
            conditions->lt = true;
        else {
            reply_error(&call->reply, "ERR Unsupported option %.*s", subcommand_shown(word),
                        word.ptr);
            return false;
        }
    }
    if (conditions->nx && (conditions->xx || conditions->gt || conditions->lt)) {
        reply_error(&call->reply, "ERR NX and XX, GT or LT options at the same time are not "
                                  "compatible");
        return false;
    }
    if (conditions->gt && conditions->lt) {
        reply_error(&call->reply, "ERR GT and LT options at the same time are not compatible");
        return false;
    }
    return true;
}

/* True when a key that expires at `old_ms` (-1: never) may be made to expire at new_ms. */
static bool conditions_hold(const struct expire_conditions *conditions, int64_t old_ms,
                            int64_t new_ms)
{
    if (conditions->nx && old_ms != -1)
        return false;
    if (conditions->xx && old_ms == -1)
        return false;
    if (conditions->gt && (old_ms == -1 || new_ms <= old_ms))
        return false;
    return !(conditions->lt && old_ms != -1 && new_ms >= old_ms);
}

/* `unit_ms`: what the number counts in; `from_now`: whether it counts from now or from the
 * epoch. */
static void expire(struct call *call, int64_t unit_ms, bool from_now)
{
    struct larder *larder = call->larder;
    int64_t base_ms = from_now ? clock_wall_ms(&larder->loop.clock) : 0;
    struct expire_conditions conditions;
    int64_t wall_ms;
    if (!parse_conditions(call, &conditions) || !alone_parse_integer(call, 2, &wall_ms))
        return;
    if (__builtin_mul_overflow(wall_ms, unit_ms, &wall_ms) ||
        __builtin_add_overflow(wall_ms, base_ms, &wall_ms)) {
        alone_bad_expire_time(call);
        return;
    }
    const struct entry *entry = alone_find(call, 1);
    if (entry == NULL || !conditions_hold(&conditions, alone_expires_at(call, entry), wall_ms)) {
        reply_int(&call->reply, 0);
        return;
    }
    int64_t now_ms = larder_now_ms(larder);
    int64_t deadline_ms = alone_deadline(call, wall_ms);
    if (deadline_ms <= now_ms)
        alone_remove(call, 1);
    else
        store_set_deadline(larder->store, call->client->db, call->argv[1], call_hash(call, 1),
                           deadline_ms, now_ms);
    reply_int(&call->reply, 1);
}

void key_expire_expire(struct call *call)
{
    expire(call, 1000, true);
}

void key_expire_pexpire(struct call *call)
{
    expire(call, 1, true);
}

void key_expire_expireat(struct call *call)
{
    expire(call, 1000, false);
}

void key_expire_pexpireat(struct call *call)
{
    expire(call, 1, false);
}

/* Replies with the time that is left, or with the moment of expiry. */
static void reply_expiry(struct call *call, int64_t unit_ms, bool from_now)
{
    const struct entry *entry = alone_look(call, 1);
    int64_t ms = entry == NULL ? -2 : alone_expires_at(call, entry);
    if (entry == NULL || entry->deadline_ms == 0) {
        reply_int(&call->reply, ms);
        return;
    }
    if (from_now)
        ms -= clock_wall_ms(&call->larder->loop.clock);
    reply_int(&call->reply, unit_ms == 1 ? ms : (ms + unit_ms / 2) / unit_ms);
}

void key_expire_ttl(struct call *call)
{
    reply_expiry(call, 1000, true);
}

void key_expire_pttl(struct call *call)
{
    reply_expiry(call, 1, true);
}

void key_expire_expiretime(struct call *call)
{
    reply_expiry(call, 1000, false);
}

void key_expire_pexpiretime(struct call *call)
{
    reply_expiry(call, 1, false);
}

void key_expire_persist(struct call *call)
{
    struct larder *larder = call->larder;
    const struct entry *entry = alone_find(call, 1);
    bool had_deadline = entry != NULL && entry->deadline_ms != 0;
    if (had_deadline)
        store_set_deadline(larder->store, call->client->db, call->argv[1], call_hash(call, 1), 0,
                           larder_now_ms(larder));
    reply_int(&call->reply, had_deadline);
}
