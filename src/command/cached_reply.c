/* Cached replies: which reads have them, and answering from them; see cached_reply.h. Keeping them
 * coherent is src/tier's (tier_reply.c).
 *
 * A command belongs here when its reply follows from the key's value and the arguments alone, as
 * long as L2 does not report the key as changed. So not: what is random (SRANDMEMBER, HRANDFIELD,
 * ZRANDMEMBER), a matter of time (TTL, XPENDING, OBJECT), of other keys (SORT with BY or GET), of a
 * cursor (SCAN and its kin), or of the reader (XREAD, XINFO). */
#include "command/cached_reply.h"

#include "command/cached.h"
#include "core/larder.h"

/* Reads of hashes: an L2 that has HPEXPIRE lets fields expire one by one, at moments that PTTL does
 * not tell. */
#define HASH(word)                                                                                 \
    {                                                                                              \
        .name = (word), .fn = cached_reply, .unless = "hpexpire"                                   \
    }
#define READ(word)                                                                                 \
    {                                                                                              \
        .name = (word), .fn = cached_reply                                                         \
    }

const struct command_served cached_reply_table[] = {
    HASH("hexists"),
    HASH("hget"),
    HASH("hgetall"),
    HASH("hkeys"),
    HASH("hlen"),
    HASH("hmget"),
    HASH("hstrlen"),
    HASH("hvals"),
    READ("geodist"),
    READ("geohash"),
    READ("geopos"),
    READ("georadius_ro"),
    READ("georadiusbymember_ro"),
    READ("geosearch"),
    READ("lindex"),
    READ("llen"),
    READ("lpos"),
    READ("lrange"),
    READ("scard"),
    READ("sismember"),
    READ("smembers"),
    READ("smismember"),
    READ("xlen"),
    READ("xrange"),
    READ("xrevrange"),
    READ("zcard"),
    READ("zcount"),
    READ("zlexcount"),
    READ("zmscore"),
    READ("zrange"),
    READ("zrangebylex"),
    READ("zrangebyscore"),
    READ("zrank"),
    READ("zrevrange"),
    READ("zrevrangebylex"),
    READ("zrevrangebyscore"),
    READ("zrevrank"),
    READ("zscore"),
    {.name = "pfcount", .fn = cached_reply_pfcount},
    {0},
};

/* As Redis counts: whether the key is there, whatever of it was asked for. */
static void count_keyspace(struct larder *larder, bool is_absent)
{
    larder->stats.keyspace_hits += !is_absent;
    larder->stats.keyspace_misses += is_absent;
}

static void answer(struct call *call, struct bytes resp3)
{
    struct reply *reply = &call->reply;
    if (reply->proto == 3)
        reply_raw(reply, resp3);
    else if (!translate_to_resp2(resp3.ptr, resp3.len, translate_rule_for(call->argv, call->argc),
                                 reply->out))
        reply_error(reply, "ERR larder can't translate this reply to RESP2");
}

/* What a missing key's reply is, in RESP3, where that does not depend on the arguments. */
static const char *missing_reply(const char *name)
{
    static const struct {
        const char *names; /* with a blank before and behind each */
        const char *reply;
    } table[] = {
        {" bitcount exists getbit hexists hlen hstrlen llen pfcount scard sismember strlen xlen "
         "zcard zcount zlexcount ",
         ":0\r\n"},
        {" geodist hget lindex zrank zrevrank zscore ", "_\r\n"},
        {" hkeys hvals georadius_ro georadiusbymember_ro geosearch lrange xrange xrevrange zrange "
         "zrangebylex zrangebyscore zrevrange zrevrangebylex zrevrangebyscore ",
         "*0\r\n"},
        {" hgetall ", "%0\r\n"},
        {" smembers ", "~0\r\n"},
        {" getrange substr ", "$0\r\n\r\n"},
        {" type ", "+none\r\n"},
    };
    size_t len = strlen(name);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (const char *at = table[i].names; (at = strstr(at, name)) != NULL; at++)
            if (at[-1] == ' ' && at[len] == ' ')
                return table[i].reply;
    }
    return NULL;
}

static void on_fetched(void *ctx, enum tier_answer answer, struct bytes resp3)
{
    struct reply_slot *slot = ctx;
    if (answer != TIER_ERROR)
        count_keyspace(slot->larder, answer == TIER_ABSENT);
    slot_finish_resp3(slot, resp3);
}

void cached_reply(struct call *call)
{
    struct larder *larder = call->larder;
    struct tier_reply reply;
    if (call->argc < 2 || !larder->config.l1_enabled || larder->config.l1_max_variants == 0) {
        call_pass(call);
        return;
    }
    struct tier_read read = {
        .db = call->client->db,
        .key = call->argv[1],
        .hash = call_hash(call, 1),
        .name = bytes_of_str(call->command->name),
        .args = call->argv + 2,
        .n_args = call->argc - 2,
        .raw = call->raw,
    };
    if (larder->config.upstream_fail_mode == CONFIG_FAIL_MISS)
        read.missing = missing_reply(call->command->name);
    if (tier_reply_find(larder->tier, &read, &reply)) {
        count_keyspace(larder, reply.is_absent);
        answer(call, reply.resp3);
        return;
    }
    struct reply_slot *slot = call_defer(call);
    if (slot->proto == 2)
        slot->rule = translate_rule_for(call->argv, call->argc);
    read.derive = cached_derive(read.name);
    tier_reply_fetch(larder->tier, &read, on_fetched, slot);
}

/* PFCOUNT of one key may write the count that it found into the key. L2 pushes that like any other
 * change, so the reply that did it is dropped and the next one is kept; a string of the key in L1
 * goes by the same push. */
void cached_reply_pfcount(struct call *call)
{
    if (call->argc == 2)
        cached_reply(call);
    else
        call_write(call);
}
