/* What the files of src/store share: the state of a store, and the one way in which entries enter
 * and leave its books.
 *
 * A client's database number is mapped to a slot at the edge of the interface (so that two
 * databases are swapped by swapping two numbers); everything inside, entry->db included, is a slot.
 * An entry is dead when its generation is not its slot's, and gone when it is dead or expired.
 * (slot, key) is unique over all entries, dead ones included.
 *
 * Books, for each slot and in sum: live entries (expired ones not yet dropped included), volatile
 * ones of these, dead ones. Not for use outside src/store. */
#ifndef LARDER_STORE_STATE_H
#define LARDER_STORE_STATE_H

#include "store/access.h"
#include "store/eviction.h"
#include "store/expiry.h"
#include "store/index.h"
#include "store/store.h"

struct store_db {
    size_t n_live;
    size_t n_volatile;
    size_t n_dead;
    uint16_t generation;
};

struct store {
    struct index index;
    bool is_lfu;        /* of the policy */
    bool volatile_only; /* of the policy */
    struct access_rules access_rules;
    uint16_t *slot_of;    /* owned, by database */
    uint16_t *db_of;      /* owned, by slot */
    struct store_db *dbs; /* owned, by slot */
    unsigned n_used;      /* slots from here on never held an entry */
    struct store_db sum;  /* without generation */
    size_t entry_bytes;
    uint64_t random;
    struct eviction eviction;
    struct expiry expiry;
    struct store_counters counters;
    struct store_options options;
};

/* 64 random bits (xorshift64*, Vigna 2016): for sampling, not for secrets. */
static inline uint64_t state_random(struct store *store)
{
    uint64_t x = store->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    store->random = x;
    return x * 0x2545f4914f6cdd1du;
}

/* A random number below n (1 to 2^32). */
static inline size_t state_random_below(struct store *store, size_t n)
{
    return (size_t)((state_random(store) >> 32) * n >> 32);
}

static inline bool state_is_dead(const struct store *store, const struct entry *entry)
{
    return entry->generation != store->dbs[entry->db].generation;
}

static inline bool state_is_gone(const struct store *store, const struct entry *entry,
                                 int64_t now_ms)
{
    return state_is_dead(store, entry) || entry_is_expired(entry, now_ms);
}

/* Writes an entry into the books; its generation is already its slot's. */
void state_enter(struct store *store, const struct entry *entry);

/* Takes an entry, live or dead, out of the books. */
void state_leave(struct store *store, const struct entry *entry);

/* Removes the entry in a place from the index and the books and frees it; the caller counts why.
 * Returns as index_remove. */
bool state_drop(struct store *store, const struct index_at *at);

/* Counts the end of an entry that is gone, as expired or reclaimed. */
void state_count_gone(struct store *store, const struct entry *entry);

/* state_drop for an entry that is gone, counted as expired or reclaimed. */
bool state_drop_gone(struct store *store, const struct index_at *at);

/* Bytes that count against the budget. */
static inline size_t state_used_bytes(const struct store *store)
{
    return store->entry_bytes + store->index.bytes;
}

/* True when `bytes` and `entries` more are within the budget. */
bool state_fits(const struct store *store, size_t bytes, size_t entries);

#endif
