/* Cached replies to reads of one key other than GET; see tier.h, and doc/design.md for the proof.
 *
 *     anchors:  key ----------------------> generation 7, 3 replies; the first: "hgetall" "%1..."
 *     replies:  key + "hget" + "f" -------> generation 7, "$1\r\nv\r\n"
 *               key + "hlen" -------------> generation 7, ":1\r\n"
 *               key + "hkeys" ------------> generation 4: left from before a change, never found
 *
 * A reply counts only while its generation is its key's anchor's. So a change of the key is the
 * removal of one entry, whatever replies there are; the next anchor's generation is one that was
 * never used. The first reply, if it is not large, is in the anchor itself: most keys are read by one
 * command, which costs one entry and one lookup so. What the others leave behind is overwritten by
 * the next reply to the same read, as its name is the same, or goes by its deadline or by eviction.
 *
 * Names are unambiguous: the length of the key, the key, the command's name with a NUL, and each
 * argument with its length before it. Knows no commands: a name is bytes.
 *
 * A fetch is PTTL and the read, in this order: a push between the two replies dooms it, so they tell
 * of the same key, and -2 means that the reply is that of a missing key. And when the reply comes,
 * all is known: it goes to the waiters and into L1 from the link's buffer, however long it is. */
#include "tier/tier_reply.h"
#include "tier/reply_dbs.h"

/* Memory for names and replies that is kept between two reads. */
#define NAME_KEPT ((size_t)64 << 10)
#define VALUE_KEPT ((size_t)64 << 10)

/* Longest first reply in an anchor, with its name: it is copied for each further reply of the key. */
#define FIRST_MAX ((size_t)4 << 10)

#define GENERATION_BYTES sizeof(uint64_t)
#define FRESH_MASK ((UINT64_C(1) << 48) - 1)

bool reply_is_on(const struct tier *tier)
{
    return tier->options.l1_enabled && tier->options.max_variants > 0 && tier->n_dbs > 0;
}

static int64_t now_ms(const struct tier *tier)
{
    return tier->loop->clock.mono_ms;
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

bool reply_make_name(struct tier *tier, const struct tier_read *read)
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

struct bytes reply_name_behind_key(struct bytes name, size_t key_len)
{
    size_t start = sizeof(uint32_t) + key_len;
    return bytes_of(name.ptr + start, name.len - start);
}

/* True when make_name would make that name behind the key. */
static bool is_name_of(const struct tier_read *read, struct bytes name)
{
    size_t size = read->name.len + 1;
    if (name.len < size || memcmp(name.ptr, read->name.ptr, size - 1) != 0 ||
        name.ptr[size - 1] != '\0')
        return false;
    for (size_t i = 0; i < read->n_args; i++) {
        uint32_t len;
        if (name.len - size < sizeof(len))
            return false;
        memcpy(&len, name.ptr + size, sizeof(len));
        size += sizeof(len);
        if (len != read->args[i].len || name.len - size < len ||
            (len > 0 && memcmp(name.ptr + size, read->args[i].ptr, len) != 0))
            return false;
        size += len;
    }
    return size == name.len;
}

/* Finding */

unsigned tier_reply_db(const struct tier *tier, unsigned db)
{
    return tier->n_dbs > 0 ? reply_dbs_anchors(tier->n_dbs, db, false) : db;
}

/* Reads an anchor; `first` gets the first reply with its name before it. */
static bool read_anchor(const struct entry *entry, struct anchor *anchor, struct bytes *first)
{
    if (entry == NULL)
        return false;
    struct bytes value = entry_value(entry);
    memcpy(anchor, value.ptr, sizeof(*anchor));
    *first = bytes_of(value.ptr + sizeof(*anchor), value.len - sizeof(*anchor));
    return true;
}

bool tier_reply_is_absent(const struct entry *entry)
{
    struct anchor anchor;
    struct bytes first;
    return read_anchor(entry, &anchor, &first) && anchor.is_absent != 0;
}

static bool is_of_generation(const struct entry *entry, uint64_t generation)
{
    return entry != NULL && memcmp(entry_value(entry).ptr, &generation, GENERATION_BYTES) == 0;
}

/* The key's anchor, with the first reply in it. False: there is none. */
static bool find_anchor(struct tier *tier, const struct tier_read *read, bool is_soft,
                        struct reply_found *found, struct bytes *first)
{
    unsigned anchors = reply_dbs_anchors(tier->n_dbs, read->db, is_soft);
    const struct entry *entry =
        store_find(tier->store, anchors, read->key, read->hash, now_ms(tier));
    if (!read_anchor(entry, &found->anchor, first))
        return false;
    if (is_soft) {
        found->soft = entry_soft_of(entry);
        found->soft.fresh_until_ms = (uint64_t)found->anchor.first_fresh_ms & FRESH_MASK;
    }
    return true;
}

bool reply_find(struct tier *tier, const struct tier_read *read, bool is_soft,
                struct reply_found *found)
{
    struct bytes first;
    if (!find_anchor(tier, read, is_soft, found, &first))
        return false;
    size_t name_len = found->anchor.first_name_len;
    int64_t first_ends_ms = found->anchor.first_deadline_ms;
    if (name_len > 0 && (first_ends_ms == 0 || first_ends_ms > now_ms(tier)) &&
        is_name_of(read, bytes_of(first.ptr, name_len))) {
        found->resp3 = bytes_of(first.ptr + name_len, first.len - name_len);
        return true;
    }
    if (found->anchor.n_replies == (name_len > 0) || !reply_make_name(tier, read))
        return false;
    struct bytes name = buf_bytes(&tier->reply_name);
    const struct entry *entry =
        store_find(tier->store, reply_dbs_replies(tier->n_dbs, read->db, is_soft), name,
                   store_hash(tier->store, name), now_ms(tier));
    if (!is_of_generation(entry, found->anchor.generation))
        return false;
    struct bytes value = entry_value(entry);
    found->resp3 = bytes_of(value.ptr + GENERATION_BYTES, value.len - GENERATION_BYTES);
    if (is_soft)
        found->soft = entry_soft_of(entry);
    return true;
}

/* What a reply of a soft shelf is good for. A refresh starts here, unless one is under way. */
static bool judge(struct tier *tier, const struct tier_read *read, const struct shelf *shelf,
                  const struct reply_found *found)
{
    bool can_ask = link_is_available(tier->link);
    enum verdict verdict = stale_judge(tier, &found->soft, shelf, can_ask);
    if (verdict == VERDICT_USELESS)
        return false;
    if (shelf->policy->mode == POLICY_OBSERVE) {
        tier->counters.observed_hits += verdict == VERDICT_FRESH;
        return false;
    }
    stale_count(tier, &found->soft, verdict, 1);
    if (verdict == VERDICT_REFRESH && reply_make_name(tier, read) &&
        fetch_find(tier, read->db, read->key, read->hash, buf_bytes(&tier->reply_name)) == NULL)
        tier_reply_fetch(tier, read, stale_on_refreshed, NULL); /* moves no entry */
    return true;
}

bool tier_reply_find(struct tier *tier, const struct tier_read *read, struct tier_reply *reply)
{
    struct reply_found found;
    if (!reply_is_on(tier))
        return false;
    struct shelf shelf = {.policy = NULL, .is_soft = false};
    if (__builtin_expect(tier->is_special, 0)) {
        shelf = stale_shelf(tier, read->key);
        if (shelf.policy->mode == POLICY_DENY) {
            tier->counters.denied++;
            return false;
        }
    }
    if (!reply_find(tier, read, shelf.is_soft, &found) ||
        (shelf.is_soft && !judge(tier, read, &shelf, &found))) {
        tier->counters.misses++;
        return false;
    }
    reply->resp3 = found.resp3;
    reply->is_absent = found.anchor.is_absent;
    tier->counters.hits++;
    tier->counters.reply_hits++;
    tier->counters.negative_hits += reply->is_absent;
    return true;
}

const struct entry *tier_reply_peek(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                                    unsigned *n, bool *is_absent)
{
    struct anchor anchor;
    struct bytes first;
    if (!reply_is_on(tier))
        return NULL;
    struct shelf shelf = stale_shelf(tier, key);
    unsigned anchors = reply_dbs_anchors(tier->n_dbs, db, shelf.is_soft);
    const struct entry *entry = store_peek(tier->store, anchors, key, hash, now_ms(tier));
    if (!read_anchor(entry, &anchor, &first))
        return NULL;
    *n = anchor.n_replies;
    *is_absent = anchor.is_absent;
    return entry;
}

/* Filling */

/* A reply on its way into L1. */
struct filling {
    struct tier *tier;
    const struct fetch *fetch;
    struct bytes resp3;
    struct fill_plan plan; /* of the reply */
    struct anchor anchor;  /* as it will be */
    int64_t anchor_deadline_ms;
    struct bytes first; /* what follows in the anchor now; borrowed from the store */
};

/* Chooses the anchor that a reply belongs to: a new one where there is none, where the one has all
 * the replies that it may, or where it says otherwise whether the key exists. */
static void choose_anchor(struct filling *filling)
{
    struct tier *tier = filling->tier;
    const struct fetch *fetch = filling->fetch;
    bool is_absent = fetch->pttl == -2;
    const struct fill_plan *plan = &filling->plan;
    unsigned anchors = reply_dbs_anchors(tier->n_dbs, fetch->db, plan->is_soft);
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    const struct entry *entry = store_peek(tier->store, anchors, key, fetch->hash, now_ms(tier));
    bool has_one = read_anchor(entry, &filling->anchor, &filling->first);
    if (has_one && plan->is_soft) {
        /* Replies of another link or under other rules would pass for as fresh as this one. */
        struct entry_soft soft = entry_soft_of(entry);
        has_one = soft.epoch == plan->soft.epoch && soft.policy == plan->soft.policy;
    }
    bool is_full = has_one && filling->anchor.n_replies >= tier->options.max_variants;
    filling->anchor_deadline_ms = plan->item.deadline_ms;
    if (has_one && !is_full && (filling->anchor.is_absent != 0) == is_absent) {
        if ((int64_t)entry->deadline_ms > filling->anchor_deadline_ms)
            filling->anchor_deadline_ms = (int64_t)entry->deadline_ms;
        return;
    }
    tier->counters.reply_resets += is_full;
    filling->anchor =
        (struct anchor){.generation = ++tier->last_generation, .is_absent = is_absent};
    filling->first = bytes_of(NULL, 0);
}

static bool append(struct buf *buf, struct bytes bytes)
{
    return buf_append(buf, bytes.ptr, bytes.len);
}

/* Makes the reply the first one, in the anchor, if its place is free. */
static bool make_first(struct filling *filling, struct bytes name)
{
    struct anchor *anchor = &filling->anchor;
    struct bytes name_now = bytes_of(filling->first.ptr, anchor->first_name_len);
    bool is_free = anchor->first_name_len == 0 || bytes_equal(name_now, name) ||
                   anchor->first_deadline_ms <= now_ms(filling->tier);
    if (!is_free)
        return false;
    if (name.len + filling->resp3.len > FIRST_MAX) {
        /* What is there has ended, or is this reply as it was before. */
        anchor->n_replies -= anchor->first_name_len > 0;
        anchor->first_name_len = 0;
        filling->first = bytes_of(NULL, 0);
        return false;
    }
    anchor->n_replies += anchor->first_name_len == 0;
    anchor->first_name_len = (uint32_t)name.len;
    anchor->first_deadline_ms = filling->plan.item.deadline_ms;
    anchor->first_fresh_ms = filling->plan.fresh_until_ms;
    return true;
}

/* Puts the reply as an entry of its own. */
static bool put_apart(struct filling *filling, struct bytes name)
{
    struct tier *tier = filling->tier;
    unsigned replies = reply_dbs_replies(tier->n_dbs, filling->fetch->db, filling->plan.is_soft);
    uint64_t hash = store_hash(tier->store, name);
    const struct entry *old = store_peek(tier->store, replies, name, hash, now_ms(tier));
    filling->anchor.n_replies += !is_of_generation(old, filling->anchor.generation);
    struct buf *value = &tier->reply_value;
    value->len = 0;
    if (!buf_append(value, &filling->anchor.generation, GENERATION_BYTES) ||
        !append(value, filling->resp3))
        return false;
    filling->plan.item.value = buf_bytes(value);
    return store_put(tier->store, replies, name, hash, &filling->plan.item, now_ms(tier)) ==
           STORE_OK;
}

/* Puts the reply and its anchor. Where it is the anchor that is refused, either there is one of the
 * same generation already, or the reply is never found. */
static bool put(struct filling *filling)
{
    struct tier *tier = filling->tier;
    const struct fetch *fetch = filling->fetch;
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    struct bytes name = bytes_of(fetch->key + fetch->key_len, fetch->name_len);
    struct bytes short_name = reply_name_behind_key(name, key.len);
    struct buf *value = &tier->reply_anchor;
    struct store_item item = filling->plan.item;
    choose_anchor(filling);
    bool is_first = make_first(filling, short_name);
    /* The rest of the anchor is copied before the store may move it. */
    value->len = 0;
    if (!buf_append(value, &filling->anchor, sizeof(filling->anchor)) ||
        !append(value, is_first ? short_name : filling->first) ||
        (is_first && !append(value, filling->resp3)))
        return false;
    if (!is_first && !put_apart(filling, name))
        return false;
    memcpy(value->data, &filling->anchor, sizeof(filling->anchor));
    item.value = buf_bytes(value);
    item.deadline_ms = filling->anchor_deadline_ms;
    unsigned anchors = reply_dbs_anchors(tier->n_dbs, fetch->db, filling->plan.is_soft);
    return store_put(tier->store, anchors, key, fetch->hash, &item, now_ms(tier)) == STORE_OK;
}

/* What can't be kept is not even copied. */
static bool is_too_big(const struct tier *tier, struct bytes resp3)
{
    size_t max = store_get_options(tier->store)->max_bytes;
    return max != 0 && resp3.len > max;
}

void reply_forget(struct fetch *fetch)
{
    struct tier *tier = fetch->tier;
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    if (tier->is_special)
        store_remove(tier->store, reply_dbs_anchors(tier->n_dbs, fetch->db, true), key, fetch->hash,
                     now_ms(tier));
}

/* Drops what a stale string says otherwise. A read that strings answer, too, says nothing against one,
 * unless only one of them knows of the key. */
static void contradict_string(const struct fetch *fetch)
{
    struct tier *tier = fetch->tier;
    unsigned strings = reply_dbs_strings(tier->n_dbs, fetch->db, true);
    struct bytes key = bytes_of(fetch->key, fetch->key_len);
    const struct entry *entry = store_peek(tier->store, strings, key, fetch->hash, now_ms(tier));
    bool is_absent = fetch->pttl == -2;
    if (entry != NULL && (fetch->derive == NULL || (entry->kind == ENTRY_ABSENT) != is_absent))
        stale_contradict(tier, strings, key, fetch->hash);
}

void reply_fill(struct fetch *fetch, struct bytes resp3)
{
    struct tier *tier = fetch->tier;
    struct filling filling = {.tier = tier, .fetch = fetch, .resp3 = resp3};
    if (!fetch->doomed && tier->is_special)
        contradict_string(fetch);
    if (!reply_is_on(tier) || !fetch_plan(fetch, fetch->pttl, resp3.len, &filling.plan) ||
        filling.plan.item.deadline_ms <= now_ms(tier)) {
        reply_forget(fetch);
        return;
    }
    filling.plan.item.kind = ENTRY_REPLY;
    bool is_kept = !is_too_big(tier, resp3) && put(&filling);
    tier->reply_value.len = 0;
    buf_trim(&tier->reply_value, VALUE_KEPT);
    tier->counters.fills += is_kept;
    tier->counters.reply_fills += is_kept;
    tier->counters.fills_refused += !is_kept;
    if (!is_kept)
        reply_forget(fetch);
}
