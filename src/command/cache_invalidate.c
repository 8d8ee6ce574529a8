/* CACHE INVALIDATE: drops keys from L1, by name or by prefix; the latter serves CACHE POLICY, too.
 *
 * A prefix is looked for in the whole store, in slices: one at once, which is all that a small
 * store needs, then one a turn, so that no other client waits. The reply comes when all are gone. */
#include "command/cache_invalidate.h"

#include "command/cache_handlers.h"

#include "base/mem.h"
#include "tier/reply_dbs.h"

/* Buckets that are looked at before what was found in them is dropped, and the time of a slice. */
#define STEP_BUCKETS 64
#define SLICE_US 500

struct prefix_walk {
    LIST_ENTRY(prefix_walk) link; /* larder->prefix_walks, once it has a slot */
    struct larder *larder;
    struct reply_slot *slot; /* NULL: the call is still there */
    cache_dropped_fn *answer;
    struct timer timer;
    uint64_t cursor;
    uint64_t n_dropped;
    struct buf prefix;
    struct buf found; /* records of database, length and key */
    bool no_memory;
};

static bool collect(void *ctx, const struct entry *entry)
{
    struct prefix_walk *walk = ctx;
    struct bytes key = entry_key(entry);
    unsigned n_dbs = (unsigned)walk->larder->config.databases;
    unsigned db = store_db_of(walk->larder->store, entry);
    if (!reply_dbs_has_keys(n_dbs, db) || !bytes_starts_with(key, buf_bytes(&walk->prefix)))
        return true;
    uint32_t head[2] = {reply_dbs_client(n_dbs, db), (uint32_t)key.len};
    size_t size;
    if (__builtin_add_overflow(sizeof(head), key.len, &size) || !buf_reserve(&walk->found, size)) {
        walk->no_memory = true;
        return true;
    }
    memcpy(walk->found.data + walk->found.len, head, sizeof(head));
    if (key.len > 0)
        memcpy(walk->found.data + walk->found.len + sizeof(head), key.ptr, key.len);
    walk->found.len += size;
    return true;
}

static void drop_found(struct prefix_walk *walk)
{
    for (size_t at = 0; at < walk->found.len;) {
        uint32_t head[2];
        memcpy(head, walk->found.data + at, sizeof(head));
        at += sizeof(head);
        struct bytes key = bytes_of(walk->found.data + at, head[1]);
        at += head[1];
        walk->n_dropped += tier_drop(walk->larder->tier, head[0], key);
    }
    walk->found.len = 0;
}

/* One slice. Returns true when the whole store has been looked at. */
static bool walk_on(struct prefix_walk *walk)
{
    int64_t until_ns = clock_read_ns() + SLICE_US * 1000;
    do {
        walk->cursor = store_scan(walk->larder->store, walk->cursor, STEP_BUCKETS,
                                  larder_now_ms(walk->larder), collect, walk);
        drop_found(walk);
    } while (walk->cursor != 0 && clock_read_ns() < until_ns);
    return walk->cursor == 0;
}

static void finish(struct prefix_walk *walk, struct reply *reply)
{
    if (walk->no_memory)
        reply_error(reply, "ERR out of memory, keys with this prefix may be left");
    else if (walk->cursor != 0)
        reply_error(reply, "ERR larder is shutting down, keys with this prefix are left");
    else
        walk->answer(reply, walk->n_dropped);
    buf_deinit(&walk->prefix);
    buf_deinit(&walk->found);
    mem_free(walk);
}

/* Ends a walk whose call has gone. */
static void finish_later(struct prefix_walk *walk)
{
    struct reply_slot *slot = walk->slot;
    struct reply reply = slot_begin(slot);
    LIST_REMOVE(walk, link);
    finish(walk, &reply);
    slot_finish(slot, &reply);
}

static void next_slice(struct timer *timer, void *ctx)
{
    struct prefix_walk *walk = ctx;
    struct larder *larder = walk->larder;
    if (walk_on(walk))
        finish_later(walk);
    else
        timer_arm(&larder->loop.timers, timer, larder_now_ms(larder));
}

void cache_invalidate_end_all(struct larder *larder)
{
    struct prefix_walk *walk;
    while ((walk = LIST_FIRST(&larder->prefix_walks)) != NULL) {
        timer_disarm(&larder->loop.timers, &walk->timer);
        finish_later(walk);
    }
}

void cache_invalidate_prefix(struct call *call, struct bytes prefix, cache_dropped_fn *answer)
{
    struct larder *larder = call->larder;
    struct prefix_walk *walk = mem_zalloc(sizeof(*walk));
    walk->larder = larder;
    walk->answer = answer;
    tier_doom_fetches(larder->tier); /* those of the prefix have no entry yet that could be found */
    buf_init(&walk->prefix);
    buf_init(&walk->found);
    timer_init(&walk->timer, next_slice, walk);
    walk->no_memory = !buf_append(&walk->prefix, prefix.ptr, prefix.len);
    if (walk->no_memory || walk_on(walk)) {
        finish(walk, &call->reply);
        return;
    }
    walk->slot = call_defer(call);
    LIST_INSERT_HEAD(&larder->prefix_walks, walk, link);
    timer_arm(&larder->loop.timers, &walk->timer, larder_now_ms(larder));
}

static void answer_count(struct reply *reply, uint64_t n_dropped)
{
    reply_int(reply, (int64_t)n_dropped);
}

void cache_invalidate(struct call *call)
{
    if (call->argc == 4 && bytes_is(call->argv[2], "prefix")) {
        cache_invalidate_prefix(call, call->argv[3], answer_count);
        return;
    }
    if (call->argc > 4 && bytes_is(call->argv[2], "prefix")) {
        reply_error(&call->reply, "ERR CACHE INVALIDATE PREFIX takes one prefix");
        return;
    }
    int64_t n = 0;
    for (size_t i = 2; i < call->argc; i++)
        n += tier_drop(call->larder->tier, call->client->db, call->argv[i]);
    reply_int(&call->reply, n);
}
