/* CACHE EXPLAIN: what L1 knows of a key, without asking L2 and without a trace in counters or in
 * the access history. */
#include "command/cache_handlers.h"
#include "core/stats_table.h"

#define KEY_FIELDS 4
#define ENTRY_FIELDS 8
#define LINK_FIELDS 3

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

static void add_entry(struct reply *reply, const struct larder *larder, const struct entry *entry,
                      bool is_absent)
{
    int64_t now_ms = larder_now_ms(larder);
    enum store_policy policy = store_get_options(larder->store)->policy;
    cache_reply_text(reply, "kind", kind_name((enum entry_kind)entry->kind));
    cache_reply_number(reply, "value_bytes", entry->value_len);
    cache_reply_number(reply, "bytes", entry_footprint(entry));
    reply_bulk_str(reply, "ttl_ms");
    reply_int(reply, entry->deadline_ms == 0 ? -1 : (int64_t)entry->deadline_ms - now_ms);
    cache_reply_text(reply, "deadline", deadline_name(larder, entry));
    cache_reply_text(reply, "key_expires", key_expires(larder, entry, is_absent));
    if (policy == STORE_ALLKEYS_LFU || policy == STORE_VOLATILE_LFU)
        cache_reply_number(reply, "frequency", store_frequency(larder->store, entry, now_ms));
    else
        cache_reply_number(reply, "idle_ms", (uint64_t)store_idle_ms(larder->store, entry, now_ms));
    cache_reply_text(reply, "policy", store_policy_name(policy));
}

/* Entries come and go with the link that they were read on, so they are tracked when it is. */
static void add_link(struct reply *reply, const struct larder *larder, bool has_entry)
{
    struct link_figures figures = {0};
    if (larder->link != NULL)
        link_read_figures(larder->link, &figures);
    reply_bulk_str(reply, "tracked");
    reply_bool(reply, has_entry && figures.tracking && link_state_is_up(figures.state));
    cache_reply_text(reply, "link",
                     larder->link == NULL ? "none" : stats_link_state_name(figures.state));
    cache_reply_number(reply, "link_epoch", figures.epoch);
}

static const char *why_none(const struct larder *larder)
{
    if (!larder->config.l1_enabled)
        return "L1 is switched off";
    return larder->link == NULL ? "there is no such key" : "not cached, the next read asks L2";
}

void cache_explain(struct call *call)
{
    const struct larder *larder = call->larder;
    struct bytes key = call->argv[2];
    uint64_t hash = call_hash(call, 2);
    unsigned n_replies = 0;
    bool is_absent = false;
    const struct entry *anchor =
        tier_reply_peek(larder->tier, call->client->db, key, hash, &n_replies, &is_absent);
    const struct entry *entry = tier_peek(larder->tier, call->client->db, key, hash);
    if (entry != NULL)
        is_absent = entry->kind == ENTRY_ABSENT;
    else
        entry = anchor; /* of kind "reply" */
    struct reply *reply = &call->reply;
    reply_map(reply, KEY_FIELDS + (entry != NULL ? ENTRY_FIELDS : 1) + LINK_FIELDS);
    reply_bulk_str(reply, "key");
    reply_bulk(reply, key);
    cache_reply_number(reply, "db", call->client->db);
    cache_reply_text(reply, "tier", entry != NULL ? "L1" : "none");
    cache_reply_number(reply, "replies", n_replies);
    if (entry != NULL)
        add_entry(reply, larder, entry, is_absent);
    else
        cache_reply_text(reply, "reason", why_none(larder));
    add_link(reply, larder, entry != NULL);
}
