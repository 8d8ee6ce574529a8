/* Cached replies to reads of one key other than GET; see tier.h, and doc/design.md for the proof.
 *
 *     anchors:  key ----------------------> generation 7, 2 replies, deadline of the longest
 *     replies:  key + "hget" + "f" -------> generation 7, "$1\r\nv\r\n"
 *               key + "hgetall" ----------> generation 7, "%1\r\n..."
 *               key + "hlen" -------------> generation 4: left from before a change, never found
 *
 * A reply counts only while its generation is its key's anchor's. So a change of the key is the
 * removal of one entry, whatever replies there are; the next anchor's generation is one that was
 * never used. What was left behind is overwritten by the next reply to the same read, as its name
 * is the same, or goes by its deadline or by eviction.
 *
 * Names are unambiguous: the length of the key, the key, the command's name with a NUL, and each
 * argument with its length before it. Knows no commands: a name is bytes.
 *
 * A fetch is PTTL and the read, in this order: a push between the two replies dooms it, so they tell
 * of the same key, and -2 means that the reply is that of a missing key. And when the reply comes, all
 * is known: it goes to the waiters and into L1 from the link's buffer, however long it is. */
#include "tier/reply_dbs.h"
#include "tier/tier_internal.h"

/* Longest life of a reply, even where l1-ttl sets no limit: what a change has left behind must end
 * under a policy that evicts nothing, too. */
#define LIFE_MAX_MS ((int64_t)3600 * 1000)

/* Memory for names and replies that is kept between two reads. */
#define NAME_KEPT ((size_t)64 << 10)
#define VALUE_KEPT ((size_t)64 << 10)

struct anchor {
    uint64_t generation;
    uint32_t n_replies; /* kept since it has this generation */
    uint32_t is_absent; /* the key does not exist */
};

#define GENERATION_BYTES sizeof(uint64_t)

static bool is_on(const struct tier *tier)
{
    return tier->options.l1_enabled && tier->options.max_variants > 0 && tier->n_dbs > 0;
}

static int64_t now_ms(const struct tier *tier)
{
    return tier->loop->clock.mono_ms;
}

/* Dropping */

/* A database without anchors, as most are, costs a write no lookup. */
unsigned tier_reply_drop(struct tier *tier, unsigned db, struct bytes key, uint64_t hash)
{
    if (tier->n_dbs == 0)
        return 0;
    unsigned anchors = reply_dbs_anchors(tier->n_dbs, db);
    if (__builtin_expect(store_db_entries(tier->store, anchors) == 0, 1))
        return 0;
    return store_remove(tier->store, anchors, key, hash, now_ms(tier));
}

size_t tier_reply_flush(struct tier *tier, unsigned db)
{
    if (tier->n_dbs == 0)
        return 0;
    return store_flush(tier->store, reply_dbs_anchors(tier->n_dbs, db)) +
           store_flush(tier->store, reply_dbs_replies(tier->n_dbs, db));
}

/* Names */

static char *put_counted(char *at, struct bytes bytes)
{
    uint32_t len = (uint32_t)bytes.len;
    memcpy(at, &len, sizeof(len));
    if (len > 0)
        memcpy(at + sizeof(len), bytes.ptr, len);
    return at + sizeof(len) + len;
}

/* Writes the name of a read's reply into tier->reply_name. Returns false when there is no memory or
 * the store would not take it. */
static bool make_name(struct tier *tier, const struct tier_read *read)
{
    size_t size = sizeof(uint32_t) + read->key.len + read->name.len + 1;
    for (size_t i = 0; i < read->n_args; i++)
        size += sizeof(uint32_t) + read->args[i].len; /* slices of one buffer */
    struct buf *name = &tier->reply_name;
    name->len = 0;
    buf_trim(name, NAME_KEPT);
    if (size > ENTRY_LEN_MAX || !buf_reserve(name, size))
        return false;
    char *at = put_counted(name->data, read->key);
    memcpy(at, read->name.ptr, read->name.len);
    at += read->name.len;
    *at++ = '\0';
    for (size_t i = 0; i < read->n_args; i++)
        at = put_counted(at, read->args[i]);
    name->len = size;
    return true;
}

/* Finding */

static bool read_anchor(const struct entry *entry, struct anchor *anchor)
{
    if (entry == NULL || entry->value_len != sizeof(*anchor))
        return false;
    memcpy(anchor, entry_value(entry).ptr, sizeof(*anchor));
    return true;
}

static bool is_of_generation(const struct entry *entry, uint64_t generation)
{
    return entry != NULL && entry->value_len > GENERATION_BYTES &&
           memcmp(entry_value(entry).ptr, &generation, GENERATION_BYTES) == 0;
}

static const struct entry *find(struct tier *tier, const struct tier_read *read,
                                struct anchor *anchor)
{
    unsigned n = tier->n_dbs;
    unsigned anchors = reply_dbs_anchors(n, read->db);
    unsigned replies = reply_dbs_replies(n, read->db);
    const struct entry *entry =
        store_find(tier->store, anchors, read->key, read->hash, now_ms(tier));
    if (!read_anchor(entry, anchor) || !make_name(tier, read))
        return NULL;
    struct bytes name = buf_bytes(&tier->reply_name);
    entry = store_find(tier->store, replies, name, store_hash(tier->store, name), now_ms(tier));
    return is_of_generation(entry, anchor->generation) ? entry : NULL;
}

bool tier_reply_find(struct tier *tier, const struct tier_read *read, struct tier_reply *reply)
{
    struct anchor anchor;
    if (!is_on(tier))
        return false;
    const struct entry *entry = find(tier, read, &anchor);
    if (entry == NULL) {
        tier->counters.misses++;
        return false;
    }
    struct bytes value = entry_value(entry);
    reply->resp3 = bytes_of(value.ptr + GENERATION_BYTES, value.len - GENERATION_BYTES);
    reply->is_absent = anchor.is_absent;
    tier->counters.hits++;
    tier->counters.reply_hits++;
    tier->counters.negative_hits += reply->is_absent;
    return true;
}

const struct entry *tier_reply_peek(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                                    unsigned *n, bool *is_absent)
{
    struct anchor anchor;
    if (!is_on(tier))
        return NULL;
    unsigned anchors = reply_dbs_anchors(tier->n_dbs, db);
    const struct entry *entry = store_peek(tier->store, anchors, key, hash, now_ms(tier));
    if (!read_anchor(entry, &anchor))
        return NULL;
    *n = anchor.n_replies;
    *is_absent = anchor.is_absent;
    return entry;
}

/* Filling */

/* The anchor that a new reply belongs to, and its deadline; a new one where there is none, where the
 * one has all the replies that it may, or where it says otherwise whether the key exists. */
static struct anchor choose_anchor(struct tier *tier, const struct fetch *fetch,
                                   int64_t *deadline_ms)
{
    bool is_absent = fetch->pttl == -2;
    unsigned anchors = reply_dbs_anchors(tier->n_dbs, fetch->db);
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    const struct entry *entry = store_peek(tier->store, anchors, key, fetch->hash, now_ms(tier));
    struct anchor anchor;
    bool has_one = read_anchor(entry, &anchor);
    bool is_full = has_one && anchor.n_replies >= tier->options.max_variants;
    if (has_one && !is_full && (anchor.is_absent != 0) == is_absent) {
        if ((int64_t)entry->deadline_ms > *deadline_ms)
            *deadline_ms = (int64_t)entry->deadline_ms;
        return anchor;
    }
    tier->counters.reply_resets += is_full;
    return (struct anchor){++tier->last_generation, 0, is_absent};
}

/* Puts the reply, then the anchor. Where it is the anchor that is refused, either there is one of the
 * same generation already, or the reply is never found. */
static bool put(struct tier *tier, const struct fetch *fetch, struct store_item *item,
                struct bytes resp3)
{
    unsigned n = tier->n_dbs;
    unsigned replies = reply_dbs_replies(n, fetch->db);
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    struct bytes name = bytes_of(fetch->key + fetch->key_len, fetch->name_len);
    uint64_t name_hash = store_hash(tier->store, name);
    int64_t deadline_ms = item->deadline_ms;
    struct anchor anchor = choose_anchor(tier, fetch, &deadline_ms);
    const struct entry *old = store_peek(tier->store, replies, name, name_hash, now_ms(tier));
    anchor.n_replies += !is_of_generation(old, anchor.generation);
    struct buf *value = &tier->reply_value;
    value->len = 0;
    if (!buf_append(value, &anchor.generation, GENERATION_BYTES) ||
        !buf_append(value, resp3.ptr, resp3.len))
        return false;
    item->kind = ENTRY_REPLY;
    item->value = buf_bytes(value);
    if (store_put(tier->store, replies, name, name_hash, item, now_ms(tier)) != STORE_OK)
        return false;
    item->value = bytes_of((const char *)&anchor, sizeof(anchor));
    item->deadline_ms = deadline_ms;
    return store_put(tier->store, reply_dbs_anchors(n, fetch->db), key, fetch->hash, item,
                     now_ms(tier)) == STORE_OK;
}

/* What neither limit allows is not even copied. */
static bool is_too_big(const struct tier *tier, struct bytes resp3)
{
    size_t max_item = tier->options.max_item_bytes;
    size_t max = store_get_options(tier->store)->max_bytes;
    return (max_item != 0 && resp3.len > max_item) || (max != 0 && resp3.len > max);
}

static void fill(struct fetch *fetch, struct bytes resp3)
{
    struct tier *tier = fetch->tier;
    struct store_item item;
    if (!is_on(tier) || !fetch_plan(fetch, fetch->pttl, &item) || item.deadline_ms <= now_ms(tier))
        return;
    bool is_kept = !is_too_big(tier, resp3) && put(tier, fetch, &item, resp3);
    tier->reply_value.len = 0;
    buf_trim(&tier->reply_value, VALUE_KEPT);
    tier->counters.fills += is_kept;
    tier->counters.reply_fills += is_kept;
    tier->counters.fills_refused += !is_kept;
}

/* Fetching */

static void on_pttl(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct fetch *fetch = ctx;
    fetch->has_value = fetch_read_pttl(fetch, outcome, reply, &fetch->pttl);
}

static void on_reply(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct fetch *fetch = ctx;
    struct tier_counters *counters = &fetch->tier->counters;
    enum tier_answer answer = TIER_REPLY;
    if (reply.ptr[0] == '-') {
        counters->fetch_errors++;
        answer = TIER_ERROR;
    } else if (outcome == LINK_REPLY && fetch->has_value) {
        if (fetch->pttl == -2)
            answer = TIER_ABSENT;
        counters->l2_found += answer == TIER_REPLY;
        counters->l2_absent += answer == TIER_ABSENT;
        fill(fetch, reply);
    }
    fetch_finish(fetch, answer, reply);
}

void tier_reply_fetch(struct tier *tier, const struct tier_read *read, tier_fetch_fn *fn, void *ctx)
{
    bool has_name = make_name(tier, read);
    struct bytes name = buf_bytes(&tier->reply_name);
    struct fetch *fetch = has_name ? fetch_find(tier, read->db, read->key, read->hash, name) : NULL;
    if (fetch != NULL) {
        fetch_join(fetch, fn, ctx);
        return;
    }
    fetch = fetch_open(tier, read->db, read->key, read->hash, name, fn, ctx);
    fetch->ttl_cap_ms = LIFE_MAX_MS;
    if (!has_name)
        fetch_forgo(fetch);
    fetch_send_pttl(fetch, read->key, on_pttl);
    link_send(tier->link, read->db, read->raw, on_reply, fetch);
}
