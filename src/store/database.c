/* What concerns whole databases and all entries: flush, swap, scan, counts; see store.h.
 *
 * A flush gives the database the next generation, and every entry of the old one is dead.
 * Generations have 16 bits: before the count starts again at 0, all entries of that slot are freed
 * at once, in one walk over the table. That is one flush in 65,536 of a database that wasn't
 * empty. */
#include "store/state.h"

/* Buckets that store_random looks at: at random, then in a row. */
#define RANDOM_TRIES 64u
#define RANDOM_WALK 4096u

/* Entries of one bucket's chain among which store_random chooses. */
#define CHAIN_MAX 64u

static size_t flush_slot(struct store *store, unsigned slot)
{
    struct store_db *db = &store->dbs[slot];
    size_t n = db->n_live;
    if (n == 0)
        return 0;
    if (db->generation == UINT16_MAX) {
        expiry_purge_slot(store, slot);
        db->generation = 0;
        return n;
    }
    db->n_dead += n;
    store->sum.n_dead += n;
    store->sum.n_live -= n;
    store->sum.n_volatile -= db->n_volatile;
    db->n_live = 0;
    db->n_volatile = 0;
    db->generation++;
    return n;
}

size_t store_flush(struct store *store, unsigned db)
{
    return flush_slot(store, store->slot_of[db]);
}

size_t store_flush_all(struct store *store)
{
    size_t n = 0;
    for (unsigned slot = 0; slot < store->n_used; slot++)
        n += flush_slot(store, slot);
    return n;
}

bool store_swap(struct store *store, unsigned a, unsigned b)
{
    uint16_t slot_a = store->slot_of[a];
    uint16_t slot_b = store->slot_of[b];
    store->slot_of[a] = slot_b;
    store->slot_of[b] = slot_a;
    store->db_of[slot_a] = (uint16_t)b;
    store->db_of[slot_b] = (uint16_t)a;
    return true;
}

size_t store_db_entries(const struct store *store, unsigned db)
{
    return store->dbs[store->slot_of[db]].n_live;
}

size_t store_db_volatile(const struct store *store, unsigned db)
{
    return store->dbs[store->slot_of[db]].n_volatile;
}

unsigned store_db_of(const struct store *store, const struct entry *entry)
{
    return store->db_of[entry->db];
}

uint64_t store_scan(struct store *store, uint64_t cursor, unsigned budget, int64_t now_ms,
                    store_visit_fn *fn, void *ctx)
{
    bool goes_on = true;
    do {
        size_t bucket_no;
        struct index_at at;
        cursor = index_scan(&store->index, cursor, &bucket_no);
        for (bool more = index_first(&store->index, bucket_no, &at); more;
             more = index_advance(&at)) {
            const struct entry *entry = index_entry_at(&at);
            if (!state_is_gone(store, entry, now_ms) && !fn(ctx, entry))
                goes_on = false;
        }
    } while (goes_on && cursor != 0 && budget-- > 1);
    return cursor;
}

/* A random live entry of a slot from one bucket, or NULL. */
static const struct entry *pick(struct store *store, size_t bucket_no, unsigned slot,
                                int64_t now_ms)
{
    struct entry *entries[CHAIN_MAX];
    unsigned n = index_collect(&store->index, bucket_no, false, entries, CHAIN_MAX);
    if (n == 0)
        return NULL;
    unsigned first = (unsigned)state_random_below(store, n);
    for (unsigned i = 0; i < n; i++) {
        const struct entry *entry = entries[(first + i) % n];
        if (entry->db == slot && !state_is_gone(store, entry, now_ms))
            return entry;
    }
    return NULL;
}

const struct entry *store_random(struct store *store, unsigned db, int64_t now_ms)
{
    unsigned slot = store->slot_of[db];
    if (store->dbs[slot].n_live == 0)
        return NULL;
    size_t n_buckets = store->index.n_buckets;
    for (unsigned i = 0; i < RANDOM_TRIES; i++) {
        const struct entry *entry = pick(store, state_random_below(store, n_buckets), slot, now_ms);
        if (entry != NULL)
            return entry;
    }
    size_t first = state_random_below(store, n_buckets);
    for (size_t i = 0; i < RANDOM_WALK && i < n_buckets; i++) {
        const struct entry *entry = pick(store, (first + i) % n_buckets, slot, now_ms);
        if (entry != NULL)
            return entry;
    }
    return NULL;
}

/* Figures */

void store_read_counters(const struct store *store, struct store_counters *counters)
{
    *counters = store->counters;
}

void store_reset_counters(struct store *store)
{
    store->counters = (struct store_counters){0};
}

void store_read_gauges(const struct store *store, struct store_gauges *gauges)
{
    *gauges = (struct store_gauges){
        .entries = store->sum.n_live,
        .volatile_entries = store->sum.n_volatile,
        .dead_entries = store->sum.n_dead,
        .entry_bytes = store->entry_bytes,
        .index_bytes = store->index.bytes,
        .max_bytes = store->options.max_bytes,
        .buckets = store->index.n_buckets,
    };
}
