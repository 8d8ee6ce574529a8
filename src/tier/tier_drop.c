/* Dropping from L1: keys and databases, wherever what is known of them is kept. */
#include "tier/reply_dbs.h"
#include "tier/tier_internal.h"

static int64_t now_ms(const struct tier *tier)
{
    return tier->loop->clock.mono_ms;
}

/* Most databases have no replies, and no soft entries: then it costs no lookup. */
static unsigned drop_if_any(struct tier *tier, unsigned store_db, struct bytes key, uint64_t hash)
{
    if (__builtin_expect(store_db_entries(tier->store, store_db) == 0, 1))
        return 0;
    return store_remove(tier->store, store_db, key, hash, now_ms(tier));
}

unsigned tier_drop_key(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                       enum drop_reason why)
{
    unsigned n = store_remove(tier->store, db, key, hash, now_ms(tier));
    unsigned n_dbs = tier->n_dbs;
    if (n_dbs > 0) {
        n += drop_if_any(tier, reply_dbs_anchors(n_dbs, db, false), key, hash);
        if (__builtin_expect(tier->has_soft, 0)) {
            n += drop_if_any(tier, reply_dbs_strings(n_dbs, db, true), key, hash);
            n += drop_if_any(tier, reply_dbs_anchors(n_dbs, db, true), key, hash);
        }
    }
    if (n > 0)
        drops_note(&tier->drops, db, hash, why, now_ms(tier));
    return n;
}

unsigned tier_drop_key_everywhere(struct tier *tier, struct bytes key, uint64_t hash)
{
    unsigned n = store_remove_everywhere(tier->store, key, hash, now_ms(tier));
    if (n > 0)
        drops_note(&tier->drops, TIER_EVERY_DB, hash, DROP_INVALIDATION, now_ms(tier));
    return n;
}

void tier_note_flush(struct tier *tier, enum drop_reason why)
{
    tier->last_flush = (struct drop){.reason = (uint8_t)why, .at_ms = now_ms(tier)};
}

void tier_flush_db(struct tier *tier, unsigned db)
{
    unsigned n_dbs = tier->n_dbs;
    store_flush(tier->store, db);
    tier_note_flush(tier, DROP_FLUSH);
    for (int soft = 0; soft < 2 && n_dbs > 0; soft++) {
        if (soft)
            store_flush(tier->store, reply_dbs_strings(n_dbs, db, true));
        store_flush(tier->store, reply_dbs_anchors(n_dbs, db, soft));
        store_flush(tier->store, reply_dbs_replies(n_dbs, db, soft));
    }
}

size_t tier_flush_all(struct tier *tier, enum drop_reason why)
{
    tier_note_flush(tier, why);
    return store_flush_all(tier->store);
}

size_t tier_flush_hard(struct tier *tier)
{
    if (tier->n_dbs == 0)
        return tier_flush_all(tier, DROP_LINK);
    size_t n = 0;
    for (unsigned store_db = 0; store_db < reply_dbs_strings(tier->n_dbs, 0, true); store_db++)
        n += store_flush(tier->store, store_db);
    tier_note_flush(tier, DROP_LINK);
    return n;
}

const struct drop *tier_last_drop(const struct tier *tier, unsigned db, uint64_t hash)
{
    const struct drop *here = drops_find(&tier->drops, db, hash);
    return here != NULL ? here : drops_find(&tier->drops, TIER_EVERY_DB, hash);
}

const struct drop *tier_last_flush(const struct tier *tier)
{
    return tier->last_flush.reason != DROP_NONE ? &tier->last_flush : NULL;
}
