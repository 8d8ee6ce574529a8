/* Fetches: single flight, doom, retries. The rules are in tier.h, the proof in doc/design.md. */
#include "tier/reply_dbs.h"
#include "tier/stale.h"
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

struct bytes fetch_name(const struct fetch *fetch)
{
    return bytes_of(fetch->key + fetch->key_len, fetch->name_len);
}

struct fetch *fetch_find(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                         struct bytes name)
{
    struct fetch *fetch;
    LIST_FOREACH(fetch, bucket_of(tier, hash), bucket_link)
    if (fetch->db == db && is_key(fetch, key, hash) && bytes_equal(fetch_name(fetch), name))
        return fetch;
    return NULL;
}

static void enter_table(struct fetch *fetch)
{
    fetch->in_table = true;
    fetch->tier->n_fetches++;
    LIST_INSERT_HEAD(bucket_of(fetch->tier, fetch->hash), fetch, bucket_link);
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

/* True when what is read for the fetch from now on is new enough. */
static bool is_ahead_of(const struct fetch *fetch, enum doom why)
{
    if (fetch->has_value)
        return false;
    if (why == DOOM_BY_PUSH)
        return link_get_tracking(fetch->tier->link) != LINK_TRACKING_BROADCAST;
    return why == DOOM_BY_MODE;
}

static void doom(struct fetch *fetch, enum doom why)
{
    if (is_ahead_of(fetch, why))
        return;
    fetch_forgo(fetch);
    fetch->overtaken |= why == DOOM_BY_WRITE;
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

/* Replies */

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
    fetch->lost = outcome != LINK_REPLY;
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

/* What is answered in the place of an error that passes: a stale value where its policy allows it, or
 * nil where upstream-fail-mode says so. */
static void replace_error(struct fetch *fetch)
{
    struct tier *tier = fetch->tier;
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    unsigned n = stale_readers(fetch);
    if (n == 0 || !stale_is_passing(buf_bytes(&fetch->value)))
        return;
    const struct entry *entry = stale_rescue(tier, fetch->db, key, fetch->hash, n);
    if (entry != NULL) {
        keep(fetch, entry->kind == ENTRY_ABSENT ? TIER_ABSENT : TIER_STRING, entry_value(entry));
    } else if (tier->options.fail_mode == TIER_FAIL_MISS) {
        tier->counters.failed_as_missing += n;
        keep(fetch, TIER_ABSENT, bytes_of(NULL, 0));
    }
}

static void send_again(struct fetch *fetch);

static void on_pttl(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct fetch *fetch = ctx;
    int64_t pttl;
    if (fetch->lost && fetch_retry(fetch, send_again))
        return;
    if (!fetch_read_pttl(fetch, outcome, reply, &pttl))
        pttl = PTTL_UNKNOWN;
    fetch_fill(fetch, pttl);
    if (fetch->answer == TIER_ERROR)
        replace_error(fetch);
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
    fetch->begun_us = tier->loop->clock.mono_us;
    fetch->doomed = !has_key;
    fetch->retried = !has_key; /* there is nothing to send again */
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
    tier->counters.fetches++;
    tier->retry_budget += tier->options.retry_percent;
    if (tier->retry_budget > RETRIES_MAX * 100)
        tier->retry_budget = RETRIES_MAX * 100;
    if (!fetch->doomed)
        enter_table(fetch);
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
        link_refuse_output(tier->link);
    link_send_read(tier->link, fetch->db, buf_bytes(out), fetch->begun_us, fn, fetch);
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
        link_refuse_output(tier->link);
    link_send_read(tier->link, fetch->db, buf_bytes(out), fetch->begun_us, on_value, fetch);
    fetch_send_pttl(fetch, key, on_pttl);
}

/* Retries */

static void send_again(struct fetch *fetch)
{
    send(fetch, bytes_of(fetch->key, fetch->key_len));
}

bool fetch_retry(struct fetch *fetch, void (*send_fn)(struct fetch *fetch))
{
    struct tier *tier = fetch->tier;
    int64_t spent_ms = (tier->loop->clock.mono_us - fetch->begun_us) / 1000;
    if (fetch->retried || fetch->overtaken || tier->options.retry_percent == 0 ||
        tier->retry_budget < 100 || spent_ms >= link_get_timeout_ms(tier->link) ||
        !link_is_available(tier->link))
        return false;
    tier->retry_budget -= 100;
    tier->counters.retries++;
    fetch->retried = true;
    fetch->lost = false;
    fetch->has_value = false;
    fetch->sent_ms = tier->loop->clock.mono_ms;
    /* What doomed it was the loss, or a push, and what comes now is read after both. */
    fetch->doomed = false;
    if (!fetch->in_table && fetch_find(tier, fetch->db, bytes_of(fetch->key, fetch->key_len),
                                       fetch->hash, fetch_name(fetch)) == NULL)
        enter_table(fetch);
    else
        fetch->doomed = !fetch->in_table; /* another one fills L1 */
    send_fn(fetch);
    return true;
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
