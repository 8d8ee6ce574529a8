/* CACHE EXPLAIN: what L1 knows of a key, without asking L2 and without a trace in counters or in
 * the access history. */
#include "command/cache_handlers.h"
#include "core/stats_table.h"

#define KEY_FIELDS 4
#define ENTRY_FIELDS 12
#define LINK_FIELDS 8

static const char *kind_name(enum entry_kind kind)
{
    switch (kind) {
    case ENTRY_STRING: return "string";
    case ENTRY_ABSENT: return "absent";
    case ENTRY_REPLY: break;
    }
    return "reply";
}

/* Whose deadline the entry lives by. */
static const char *deadline_name(const struct larder *larder, const struct entry *entry)
{
    if (entry->deadline_ms == 0)
        return "none";
    if (larder->link == NULL)
        return "key";
    return entry->flags & ENTRY_CAPPED ? "larder" : "key";
}

/* What is known of the key's own deadline: without an upstream the entry is the key. */
static const char *key_expires(const struct larder *larder, const struct entry *entry,
                               bool is_absent)
{
    if (is_absent)
        return "absent";
    bool never =
        larder->link == NULL ? entry->deadline_ms == 0 : (entry->flags & ENTRY_PERSIST) != 0;
    return never ? "never" : "yes";
}

/* What L1 knows of the time that L2 gives the key; -1: for ever, -2: there is no such key, -3: not known. */
static int64_t key_ttl_ms(const struct larder *larder, const struct entry *entry, bool is_absent)
{
    if (is_absent)
        return -2;
    if (entry->flags & ENTRY_PERSIST)
        return -1;
    if (entry->flags & ENTRY_CAPPED)
        return -3;
    return entry->deadline_ms == 0 ? -1 : (int64_t)entry->deadline_ms - larder_now_ms(larder);
}

static void add_entry(struct reply *reply, const struct larder *larder,
                      const struct tier_explanation *seen)
{
    const struct entry *entry = seen->entry;
    int64_t now_ms = larder_now_ms(larder);
    enum store_policy policy = store_get_options(larder->store)->policy;
    cache_reply_text(reply, "kind", kind_name((enum entry_kind)entry->kind));
    cache_reply_number(reply, "value_bytes", entry->value_len);
    cache_reply_number(reply, "bytes", entry_footprint(entry));
    cache_reply_number(reply, "age_ms", (uint64_t)entry_age_ms(entry, now_ms));
    reply_bulk_str(reply, "ttl_ms");
    reply_int(reply, entry->deadline_ms == 0 ? -1 : (int64_t)entry->deadline_ms - now_ms);
    reply_bulk_str(reply, "fresh_ms");
    reply_int(reply, seen->is_fresh ? seen->fresh_ms : 0);
    cache_reply_text(reply, "state",
                     seen->is_fresh      ? "fresh"
                     : seen->is_answered ? "stale"
                                         : "useless");
    cache_reply_text(reply, "deadline", deadline_name(larder, entry));
    cache_reply_text(reply, "key_expires", key_expires(larder, entry, seen->is_absent));
    reply_bulk_str(reply, "key_ttl_ms");
    reply_int(reply, key_ttl_ms(larder, entry, seen->is_absent));
    if (policy == STORE_ALLKEYS_LFU || policy == STORE_VOLATILE_LFU)
        cache_reply_number(reply, "frequency", store_frequency(larder->store, entry, now_ms));
    else
        cache_reply_number(reply, "idle_ms", (uint64_t)store_idle_ms(larder->store, entry, now_ms));
    cache_reply_text(reply, "policy", store_policy_name(policy));
}

static const char *drop_name(const struct drop *drop)
{
    if (drop == NULL)
        return "none";
    switch ((enum drop_reason)drop->reason) {
    case DROP_WRITE: return "write";
    case DROP_INVALIDATION: return "invalidation";
    case DROP_COMMAND: return "command";
    case DROP_FLUSH: return "flush";
    case DROP_LINK: return "link";
    case DROP_NONE: break;
    }
    return "none";
}

static void add_drop(struct reply *reply, const struct larder *larder, const char *name,
                     const char *age_name, const struct drop *drop)
{
    cache_reply_text(reply, name, drop_name(drop));
    reply_bulk_str(reply, age_name);
    reply_int(reply, drop == NULL ? -1 : larder_now_ms(larder) - drop->at_ms);
}

/* Whether L2 tells of changes, on which link the entry was read, and why it was dropped before. */
static void add_link(struct reply *reply, const struct larder *larder,
                     const struct tier_explanation *seen, struct bytes key, uint64_t hash,
                     unsigned db)
{
    struct link_figures figures = {0};
    if (larder->link != NULL)
        link_read_figures(larder->link, &figures);
    bool is_current = seen->entry != NULL && seen->epoch == tier_epoch(larder->tier);
    reply_bulk_str(reply, "tracked");
    reply_bool(reply, is_current && larder->link != NULL && link_tracks(larder->link, key));
    cache_reply_text(reply, "link",
                     larder->link == NULL ? "none" : stats_link_state_name(figures.state));
    cache_reply_number(reply, "link_epoch", figures.epoch);
    reply_bulk_str(reply, "links_lost_since");
    reply_int(reply, seen->entry == NULL ? 0 : (int64_t)(tier_epoch(larder->tier) - seen->epoch));
    add_drop(reply, larder, "last_drop", "last_drop_age_ms",
             tier_last_drop(larder->tier, db, hash));
    add_drop(reply, larder, "last_flush", "last_flush_age_ms", tier_last_flush(larder->tier));
}

static const char *why_none(const struct larder *larder, const struct policy *policy)
{
    if (!larder->config.l1_enabled)
        return "L1 is switched off";
    if (larder->link != NULL && policy->mode == POLICY_DENY)
        return "its policy is mode=deny";
    return larder->link == NULL ? "there is no such key" : "not cached, the next read asks L2";
}

void cache_explain(struct call *call)
{
    const struct larder *larder = call->larder;
    struct bytes key = call->argv[2];
    uint64_t hash = call_hash(call, 2);
    struct tier_explanation seen;
    tier_explain(larder->tier, call->client->db, key, hash, &seen);
    struct reply *reply = &call->reply;
    reply_map(reply, KEY_FIELDS + (seen.entry != NULL ? ENTRY_FIELDS : 1) + LINK_FIELDS);
    reply_bulk_str(reply, "key");
    reply_bulk(reply, key);
    cache_reply_number(reply, "db", call->client->db);
    cache_reply_text(reply, "tier", seen.entry != NULL ? "L1" : "none");
    cache_reply_number(reply, "replies", seen.n_replies);
    if (seen.entry != NULL)
        add_entry(reply, larder, &seen);
    else
        cache_reply_text(reply, "reason", why_none(larder, seen.policy));
    add_link(reply, larder, &seen, key, hash, call->client->db);
}
