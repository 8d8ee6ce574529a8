/* SCAN, KEYS and RANDOMKEY of L1 alone: what walks over the keys of a database.
 *
 * All databases share one index, so a walk passes by the keys of others. A cursor of SCAN is the
 * index's own; it promises what Redis's does: a key that is there all the time is returned at least
 * once. */
#include "base/glob.h"
#include "command/alone.h"
#include "command/key_handlers.h"

#include <inttypes.h>
#include <limits.h>

/* SCAN looks at up to this many buckets for each key of its COUNT, as Redis. */
#define BUCKETS_PER_KEY 10

/* Redis's COUNT when none is given. */
#define COUNT_STANDARD 10

struct key_walk {
    const struct store *store;
    unsigned db;
    struct bytes pattern;       /* borrowed */
    bool every_key;             /* the pattern excludes none */
    bool no_type_fits;          /* TYPE of what L1 alone doesn't hold */
    struct larder_stats *stats; /* where a look at the type counts; NULL: types don't matter */
    struct buf found;           /* serialised keys */
    struct reply reply;         /* that writes to `found` */
    size_t n_found;
    int64_t n_seen;
};

static void walk_init(struct key_walk *walk, struct call *call)
{
    *walk = (struct key_walk){
        .store = call->larder->store,
        .db = call->client->db,
        .every_key = true,
    };
    buf_init(&walk->found);
    walk->reply = (struct reply){&walk->found, call->reply.proto, false};
}

/* Writes the array of what was found, and frees it. */
static void walk_finish(struct key_walk *walk, struct call *call)
{
    reply_array(&call->reply, walk->n_found);
    reply_raw(&call->reply, buf_bytes(&walk->found));
    call->reply.failed |= walk->reply.failed;
    buf_deinit(&walk->found);
}

static bool visit(void *ctx, const struct entry *entry)
{
    struct key_walk *walk = ctx;
    if (store_db_of(walk->store, entry) != walk->db)
        return true;
    walk->n_seen++;
    if (!walk->every_key && !glob_match(walk->pattern, entry_key(entry), false))
        return true;
    if (walk->stats != NULL)
        walk->stats->keyspace_hits++;
    if (walk->no_type_fits)
        return true;
    reply_bulk(&walk->reply, entry_key(entry));
    walk->n_found++;
    return !walk->reply.failed;
}

static void set_pattern(struct key_walk *walk, struct bytes pattern)
{
    walk->pattern = pattern;
    walk->every_key = bytes_equal(pattern, BYTES("*"));
}

void key_scan_keys(struct call *call)
{
    struct key_walk walk;
    walk_init(&walk, call);
    set_pattern(&walk, call->argv[1]);
    store_scan(call->larder->store, 0, UINT_MAX, larder_now_ms(call->larder), visit, &walk);
    walk_finish(&walk, call);
}

/* Parses a cursor as strtoul would, which Redis uses: a sign is allowed, and nothing is 0. */
static bool parse_cursor(struct bytes text, uint64_t *cursor)
{
    bool negative = text.len > 1 && text.ptr[0] == '-';
    size_t i = negative || (text.len > 1 && text.ptr[0] == '+') ? 1 : 0;
    uint64_t value = 0;
    for (; i < text.len; i++) {
        char c = text.ptr[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
            return false;
    }
    *cursor = negative ? 0 - value : value;
    return true;
}

static bool parse_scan(struct call *call, struct key_walk *walk, int64_t *count)
{
    for (size_t i = 2; i < call->argc; i += 2) {
        bool has_value = i + 1 < call->argc;
        if (has_value && bytes_is(call->argv[i], "COUNT")) {
            if (!alone_parse_integer(call, i + 1, count))
                return false;
            if (*count >= 1)
                continue;
        } else if (has_value && bytes_is(call->argv[i], "MATCH")) {
            set_pattern(walk, call->argv[i + 1]);
            continue;
        } else if (has_value && bytes_is(call->argv[i], "TYPE")) {
            walk->stats = &call->larder->stats;
            walk->no_type_fits = !bytes_is(call->argv[i + 1], "string");
            continue;
        }
        call_syntax_error(call);
        return false;
    }
    return true;
}

void key_scan_scan(struct call *call)
{
    uint64_t cursor;
    if (!parse_cursor(call->argv[1], &cursor)) {
        reply_error(&call->reply, "ERR invalid cursor");
        return;
    }
    struct key_walk walk;
    int64_t count = COUNT_STANDARD;
    walk_init(&walk, call);
    if (!parse_scan(call, &walk, &count))
        return;
    int64_t n_buckets = count > INT64_MAX / BUCKETS_PER_KEY ? INT64_MAX : count * BUCKETS_PER_KEY;
    do {
        cursor =
            store_scan(call->larder->store, cursor, 1, larder_now_ms(call->larder), visit, &walk);
    } while (cursor != 0 && n_buckets-- > 0 && walk.n_seen < count);
    reply_array(&call->reply, 2);
    reply_bulk_printf(&call->reply, "%" PRIu64, cursor);
    walk_finish(&walk, call);
}

/* Keeps the first key of the database. */
static bool visit_first(void *ctx, const struct entry *entry)
{
    struct key_walk *walk = ctx;
    if (walk->n_found == 0)
        visit(walk, entry);
    return walk->n_found == 0;
}

void key_scan_randomkey(struct call *call)
{
    struct store *store = call->larder->store;
    int64_t now_ms = larder_now_ms(call->larder);
    const struct entry *entry = store_random(store, call->client->db, now_ms);
    if (entry != NULL) {
        reply_bulk(&call->reply, entry_key(entry));
        return;
    }
    /* There may be a few keys among many of other databases: then the first one found will do. */
    struct key_walk walk;
    walk_init(&walk, call);
    if (store_db_entries(store, walk.db) > 0)
        store_scan(store, 0, UINT_MAX, now_ms, visit_first, &walk);
    if (walk.n_found > 0)
        reply_raw(&call->reply, buf_bytes(&walk.found));
    else
        reply_null(&call->reply);
    call->reply.failed |= walk.reply.failed;
    buf_deinit(&walk.found);
}
