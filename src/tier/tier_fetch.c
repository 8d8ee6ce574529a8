/* Fetches: single flight, filling L1, doom. The rules are in tier.h, the proof in doc/design.md. */
#include "tier/tier_internal.h"

#include "base/mem.h"

#include <stdlib.h>

/* Table */

static struct fetch_bucket *bucket_of(struct tier *tier, uint64_t hash)
{
    return &tier->fetches[hash & (FETCH_BUCKETS - 1)];
}

static bool is_key(const struct fetch *fetch, struct bytes key, uint64_t hash)
{
    return fetch->hash == hash && bytes_equal(bytes_of(fetch->key, fetch->key_len), key);
}

struct fetch *fetch_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                         struct bytes name)
{
    struct fetch *fetch;
    LIST_FOREACH(fetch, bucket_of(tier, hash), bucket_link)
    if (fetch->db == db && is_key(fetch, key, hash) &&
        bytes_equal(bytes_of(fetch->key + fetch->key_len, fetch->name_len), name))
        return fetch;
    return NULL;
}

static void leave_table(struct fetch *fetch)
{
    if (!fetch->in_table)
        return;
    LIST_REMOVE(fetch, bucket_link);
    fetch->in_table = false;
    fetch->tier->n_fetches--;
}

/* Doom */

void fetch_forgo(struct fetch *fetch)
{
    fetch->doomed = true;
    leave_table(fetch);
}

static void doom(struct fetch *fetch, enum doom why)
{
    if (why == DOOM_BY_PUSH && !fetch->has_value)
        return;
    fetch_forgo(fetch);
    if (why == DOOM_BY_WRITE)
        fetch->tier->counters.fills_doomed_by_write++;
    else
        fetch->tier->counters.fills_doomed_by_push++;
}

/* Whatever it is that they read; db < 0: in every database. */
static void doom_key(struct tier *tier, int db, struct bytes key, uint64_t hash, enum doom why)
{
    struct fetch *fetch = LIST_FIRST(bucket_of(tier, hash));
    while (fetch != NULL) {
        struct fetch *next = LIST_NEXT(fetch, bucket_link);
        if ((db < 0 || fetch->db == (unsigned)db) && is_key(fetch, key, hash))
            doom(fetch, why);
        fetch = next;
    }
}

void fetch_doom_key(struct tier *tier, unsigned db, struct bytes key, uint64_t hash, enum doom why)
{
    doom_key(tier, (int)db, key, hash, why);
}

void fetch_doom_key_everywhere(struct tier *tier, struct bytes key, uint64_t hash, enum doom why)
{
    doom_key(tier, -1, key, hash, why);
}

void fetch_doom_all(struct tier *tier, int db, enum doom why)
{
    for (size_t i = 0; i < FETCH_BUCKETS && tier->n_fetches > 0; i++) {
        struct fetch *fetch = LIST_FIRST(&tier->fetches[i]);
        while (fetch != NULL) {
            struct fetch *next = LIST_NEXT(fetch, bucket_link);
            if (db < 0 || fetch->db == (unsigned)db)
                doom(fetch, why);
            fetch = next;
        }
    }
}

/* Filling */

/* True when L2 tells of changes. */
static bool is_tracked(const struct tier *tier)
{
    struct link_figures figures;
    link_read_figures(tier->link, &figures);
    return figures.tracking;
}

bool fetch_plan(const struct fetch *fetch, int64_t pttl, struct store_item *item)
{
    const struct tier_options *options = &fetch->tier->options;
    if (fetch->doomed || !options->l1_enabled || pttl < -2)
        return false;
    item->flags = pttl == -1 ? ENTRY_PERSIST : 0;
    item->deadline_ms = 0;
    if (pttl >= 0 && __builtin_add_overflow(fetch->sent_ms, pttl, &item->deadline_ms))
        item->deadline_ms = INT64_MAX;
    int64_t cap = options->l1_ttl_ms;
    if (cap == 0 && !is_tracked(fetch->tier))
        return false; /* nothing would end it but its own deadline, whatever happens to the key */
    if (fetch->ttl_cap_ms > 0 && (cap == 0 || fetch->ttl_cap_ms < cap))
        cap = fetch->ttl_cap_ms;
    int64_t capped = fetch->tier->loop->clock.mono_ms + cap;
    if (cap > 0 && (item->deadline_ms == 0 || item->deadline_ms > capped)) {
        item->deadline_ms = capped;
        item->flags |= ENTRY_CAPPED;
    }
    return true;
}

static void fill(struct fetch *fetch, int64_t pttl)
{
    struct tier *tier = fetch->tier;
    struct store_item item = {0};
    size_t max = tier->options.max_item_bytes;
    if (fetch->answer == TIER_ERROR || (max != 0 && fetch->value.len > max) ||
        !fetch_plan(fetch, pttl, &item))
        return;
    if ((fetch->answer == TIER_ABSENT) != (pttl == -2))
        return; /* it expired or came between GET and PTTL */
    item.kind = fetch->answer == TIER_ABSENT ? ENTRY_ABSENT : ENTRY_STRING;
    item.value = fetch->answer == TIER_ABSENT ? bytes_of(NULL, 0) : buf_bytes(&fetch->value);
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    if (store_put(tier->store, fetch->db, key, fetch->hash, &item, tier->loop->clock.mono_ms) ==
        STORE_OK)
        tier->counters.fills++;
    else
        tier->counters.fills_refused++;
}

void fetch_finish(struct fetch *fetch, enum tier_answer answer, struct bytes bytes)
{
    leave_table(fetch);
    fetch->first.fn(fetch->first.ctx, answer, bytes);
    for (size_t i = 0; i < fetch->n_waiters; i++)
        fetch->waiters[i].fn(fetch->waiters[i].ctx, answer, bytes);
    mem_free(fetch->waiters);
    buf_deinit(&fetch->value);
    mem_free(fetch);
}

/* Replies */

static void keep(struct fetch *fetch, enum tier_answer answer, struct bytes bytes)
{
    fetch->answer = answer;
    fetch->has_value = true;
    fetch->value.len = 0;
    if (buf_append(&fetch->value, bytes.ptr, bytes.len))
        return;
    fetch->answer = TIER_ERROR;
    static const char no_memory[] = "-ERR larder has no memory for this value\r\n";
    buf_deinit(&fetch->value);
    if (!buf_append(&fetch->value, no_memory, sizeof(no_memory) - 1))
        abort(); /* a few dozen bytes */
}

/* Cuts the payload out of "$len\r\npayload\r\n". */
static struct bytes bulk_payload(struct bytes reply)
{
    const char *line_end = memchr(reply.ptr, '\n', reply.len);
    size_t head = (size_t)(line_end - reply.ptr) + 1;
    return bytes_of(reply.ptr + head, reply.len - head - 2);
}

static void on_value(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct fetch *fetch = ctx;
    struct tier_counters *counters = &fetch->tier->counters;
    if (outcome == LINK_REPLY && reply.ptr[0] == '$') {
        counters->l2_found++;
        keep(fetch, TIER_STRING, bulk_payload(reply));
    } else if (outcome == LINK_REPLY && reply.ptr[0] == '_') {
        counters->l2_absent++;
        keep(fetch, TIER_ABSENT, bytes_of(NULL, 0));
    } else if (reply.ptr[0] == '-') {
        counters->fetch_errors++;
        keep(fetch, TIER_ERROR, reply);
    } else {
        counters->fetch_errors++;
        keep(fetch, TIER_ERROR, BYTES("-UPSTREAM unexpected reply to GET\r\n"));
        link_distrust(fetch->tier->link, "a reply to GET that is neither a string nor nil");
    }
}

bool fetch_read_pttl(struct fetch *fetch, enum link_outcome outcome, struct bytes reply,
                     int64_t *pttl)
{
    if (outcome == LINK_REPLY && reply.ptr[0] == ':' && reply.len > 3 &&
        bytes_parse_i64(bytes_of(reply.ptr + 1, reply.len - 3), pttl))
        return true;
    if (outcome == LINK_REPLY && reply.ptr[0] != '-')
        link_distrust(fetch->tier->link, "a reply to PTTL that is no number");
    return false;
}

static void on_pttl(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct fetch *fetch = ctx;
    int64_t pttl;
    if (fetch_read_pttl(fetch, outcome, reply, &pttl))
        fill(fetch, pttl);
    fetch_finish(fetch, fetch->answer, buf_bytes(&fetch->value));
}

/* Starting and joining */

void fetch_join(struct fetch *fetch, tier_fetch_fn *fn, void *ctx)
{
    if (fetch->n_waiters == fetch->waiters_cap) {
        size_t cap = fetch->waiters_cap == 0 ? 8 : fetch->waiters_cap * 2;
        struct fetch_waiter *waiters = mem_try_resize(fetch->waiters, cap * sizeof(*waiters));
        if (waiters == NULL)
            abort(); /* 16 bytes per command in flight, bounded by client-max-inflight */
        fetch->waiters = waiters;
        fetch->waiters_cap = cap;
    }
    fetch->waiters[fetch->n_waiters++] = (struct fetch_waiter){fn, ctx};
    fetch->tier->counters.joins++;
}

static void append_command(struct buf *out, const char *name, size_t name_len, struct bytes key)
{
    char head[64];
    size_t len = 0;
    memcpy(head, "*2\r\n$", 5);
    len = 5 + bytes_format_i64((int64_t)name_len, head + 5);
    memcpy(head + len, "\r\n", 2);
    memcpy(head + len + 2, name, name_len);
    len += 2 + name_len;
    memcpy(head + len, "\r\n$", 3);
    len += 3 + bytes_format_i64((int64_t)key.len, head + len + 3);
    memcpy(head + len, "\r\n", 2);
    len += 2;
    /* The caller made the room. */
    memcpy(out->data + out->len, head, len);
    memcpy(out->data + out->len + len, key.ptr, key.len);
    memcpy(out->data + out->len + len + key.len, "\r\n", 2);
    out->len += len + key.len + 2;
}

/* Without memory for key and name, the fetch is doomed from the start: it answers, and fills nothing. */
static struct fetch *create(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                            struct bytes name)
{
    size_t size = sizeof(struct fetch);
    bool fits = !__builtin_add_overflow(size, key.len, &size) &&
                !__builtin_add_overflow(size, name.len, &size);
    struct fetch *fetch = fits ? mem_try(size) : NULL;
    bool has_key = fetch != NULL;
    if (!has_key)
        fetch = mem_alloc(sizeof(*fetch));
    memset(fetch, 0, sizeof(*fetch));
    fetch->tier = tier;
    fetch->db = db;
    fetch->hash = hash;
    fetch->sent_ms = tier->loop->clock.mono_ms;
    fetch->doomed = !has_key;
    fetch->key_len = has_key ? key.len : 0;
    fetch->name_len = has_key ? name.len : 0;
    if (fetch->key_len > 0)
        memcpy(fetch->key, key.ptr, key.len);
    if (fetch->name_len > 0)
        memcpy(fetch->key + fetch->key_len, name.ptr, name.len);
    return fetch;
}

struct fetch *fetch_open(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                         struct bytes name, tier_fetch_fn *fn, void *ctx)
{
    struct fetch *fetch = create(tier, db, key, hash, name);
    fetch->first = (struct fetch_waiter){fn, ctx};
    fetch->in_table = !fetch->doomed;
    tier->counters.fetches++;
    if (fetch->in_table) {
        tier->n_fetches++;
        LIST_INSERT_HEAD(bucket_of(tier, hash), fetch, bucket_link);
    }
    return fetch;
}

void fetch_send_pttl(struct fetch *fetch, struct bytes key, link_reply_fn *fn)
{
    struct tier *tier = fetch->tier;
    struct buf *out = &tier->scratch;
    out->len = 0;
    if (buf_reserve(out, key.len + 128))
        append_command(out, "PTTL", 4, key);
    else
        link_distrust(tier->link,
                      "out of memory for a command"); /* which refuses what is sent next */
    link_send(tier->link, fetch->db, buf_bytes(out), fn, fetch);
    out->len = 0;
    buf_trim(out, 65536);
}

static void send(struct fetch *fetch, struct bytes key)
{
    struct tier *tier = fetch->tier;
    struct buf *out = &tier->scratch;
    out->len = 0;
    if (buf_reserve(out, key.len + 128))
        append_command(out, "GET", 3, key);
    else
        link_distrust(tier->link,
                      "out of memory for a command"); /* which refuses this and what is sent next */
    link_send(tier->link, fetch->db, buf_bytes(out), on_value, fetch);
    fetch_send_pttl(fetch, key, on_pttl);
}

void tier_fetch_warm(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                     int64_t ttl_cap_ms, tier_fetch_fn *fn, void *ctx)
{
    struct bytes no_name = bytes_of(NULL, 0);
    struct fetch *fetch = fetch_find(tier, db, key, hash, no_name);
    if (fetch != NULL) {
        fetch_join(fetch, fn, ctx);
        return;
    }
    fetch = fetch_open(tier, db, key, hash, no_name, fn, ctx);
    fetch->ttl_cap_ms = ttl_cap_ms;
    send(fetch, key);
}

void tier_fetch(struct tier *tier, unsigned db, struct bytes key, uint64_t hash, tier_fetch_fn *fn,
                void *ctx)
{
    tier_fetch_warm(tier, db, key, hash, 0, fn, ctx);
}

size_t tier_fetches_in_flight(const struct tier *tier)
{
    return tier->n_fetches;
}
