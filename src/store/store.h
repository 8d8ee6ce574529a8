/* L1: a bounded, in-memory store of entries by (database, key), with deadlines and eviction.
 *
 * Owns every entry. Knows no protocol, no clock (the time is an argument, monotonic milliseconds,
 * never running backwards) and no L2. Single-threaded. Pointers to entries are borrowed until the
 * next call that takes a non-const store.
 *
 * Work that grows with the number of entries (index growth, reclaiming what a flush or a deadline
 * made dead, shrinking to a smaller budget) is done in slices: a bounded part with each put, the
 * rest in store_cycle. */
#ifndef LARDER_STORE_STORE_H
#define LARDER_STORE_STORE_H

#include "base/bytes.h"
#include "base/hash.h"
#include "store/entry.h"

/* Eviction policies, by Redis's names. */
enum store_policy {
    STORE_NOEVICTION,
    STORE_ALLKEYS_LRU,
    STORE_ALLKEYS_LFU,
    STORE_ALLKEYS_RANDOM,
    STORE_VOLATILE_LRU,
    STORE_VOLATILE_LFU,
    STORE_VOLATILE_RANDOM,
    STORE_VOLATILE_TTL,
    STORE_POLICIES
};

/* The name of a policy ("allkeys-lru"), borrowed for ever. */
const char *store_policy_name(enum store_policy policy);

/* Finds a policy by name (any case). Returns false when there is none of that name. */
bool store_policy_parse(struct bytes name, enum store_policy *policy);

struct store_options {
    size_t max_bytes;   /* budget as the allocator counts entries and index; 0: none */
    size_t max_entries; /* 0: no limit */
    enum store_policy policy;
    unsigned samples; /* entries looked at per eviction, 1 to 64; Redis's maxmemory-samples */
    unsigned lfu_log_factor;    /* as Redis's lfu-log-factor */
    unsigned lfu_decay_minutes; /* as Redis's lfu-decay-time */
    unsigned n_dbs;             /* databases, 1 to 65535 */
    size_t max_item_bytes;      /* of key and value; larger: STORE_TOO_BIG; 0: no limit */
    uint64_t seed; /* of hash and sampling, used at creation, for repeatable tests; 0: random */
};

/* Options with every default: no budget, allkeys-lru, 5 samples, LFU 10 and 1, 16 databases, no
 * item limit. */
void store_options_default(struct store_options *options);

/* Counters since the last store_reset_counters, and gauges. */
struct store_counters {
    uint64_t puts;
    uint64_t evictions;
    uint64_t expirations; /* entries dropped because of their deadline, lazily or by the sweep */
    uint64_t refused;     /* puts refused: too big, over budget under noeviction, or no memory */
    uint64_t reclaimed;   /* dead-generation entries freed by the sweep */
};
struct store_gauges {
    size_t entries;          /* reachable ones, expired ones not yet dropped included */
    size_t volatile_entries; /* of these, with a deadline */
    size_t dead_entries;     /* of flushed generations, not yet freed */
    size_t entry_bytes;      /* as the allocator counts, dead ones included */
    size_t index_bytes;
    size_t max_bytes;
    size_t buckets;
};

struct store;

/* Creates a store; aborts when there is no memory for the empty one. Returns owned, for
 * store_destroy. */
struct store *store_create(const struct store_options *options) __attribute__((returns_nonnull));
void store_destroy(struct store *store);

/* Takes new options; a smaller budget is reached in slices. n_dbs must be as at creation. */
void store_configure(struct store *store, const struct store_options *options);
const struct store_options *store_get_options(const struct store *store);

/* The hash of a key under this store's secret; pass it to the calls below with the same key. */
uint64_t store_hash(const struct store *store, struct bytes key);

/* Brings the index bucket, then the candidate entry, of a key into the processor's cache. Hints
 * without effect on the state. */
void store_prefetch_bucket(const struct store *store, unsigned db, uint64_t hash);
void store_prefetch_entry(const struct store *store, unsigned db, uint64_t hash);

/* Finds a live entry and counts the access for the policy. An expired one is dropped. NULL: nothing
 * there. */
const struct entry *store_find(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                               int64_t now_ms);

/* As store_find without counting the access, or leaving any trace of it (for EXPLAIN, TTL, OBJECT and
 * the like). */
const struct entry *store_peek(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                               int64_t now_ms);

enum store_result {
    STORE_OK,
    STORE_TOO_BIG,     /* over max_item_bytes, the whole budget, or what an entry can hold */
    STORE_OVER_BUDGET, /* nothing may be evicted, or not enough was found in a bounded effort */
    STORE_NO_MEMORY,
};

/* What is put. `value` and `key` are copied; they may point into the entry that is replaced, or
 * into any other. */
struct store_item {
    struct bytes value;
    int64_t deadline_ms; /* monotonic; 0: none; at or before now: the key is removed, STORE_OK */
    enum entry_kind kind;
    unsigned flags;                /* enum entry_flag but ENTRY_SOFT and ENTRY_HIT */
    const struct entry_soft *soft; /* makes the entry a soft one; NULL: it is none */
};

/* Puts an entry in the place of any other of its key, evicting within a bounded effort when over
 * budget. On any result but STORE_OK the previous entry of the key is untouched. The key keeps its
 * access history when it is replaced. */
enum store_result store_put(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                            const struct store_item *item, int64_t now_ms)
    __attribute__((warn_unused_result));

/* Sets the deadline (0: none) of a live entry; false when there is no such entry. */
bool store_set_deadline(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                        int64_t deadline_ms, int64_t now_ms);

/* Removes the key's entry. Returns true when a live entry was there. */
bool store_remove(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                  int64_t now_ms);

/* Removes the key's entries in all databases. Returns how many live entries there were. */
unsigned store_remove_everywhere(struct store *store, struct bytes key, uint64_t hash,
                                 int64_t now_ms);

/* Makes every entry of a database (or of all) unreachable in constant time; memory follows in
 * slices. Returns how many entries there were. */
size_t store_flush(struct store *store, unsigned db);
size_t store_flush_all(struct store *store);

/* Swaps two databases in constant time, or drops both where that can't be done: false. */
bool store_swap(struct store *store, unsigned a, unsigned b);

/* Entries of a database (as Redis's DBSIZE: expired ones not yet dropped included). */
size_t store_db_entries(const struct store *store, unsigned db);
size_t store_db_volatile(const struct store *store, unsigned db);

/* Visits live entries: starts at cursor 0, visits about `budget` buckets, returns the next cursor,
 * 0 when done. An entry that is there from the first call to the last is visited at least once.
 * `fn` must not change the store; a false return ends the call after this bucket. */
/* entry->db is internal: store_db_of says which database it is. */
typedef bool store_visit_fn(void *ctx, const struct entry *entry);
uint64_t store_scan(struct store *store, uint64_t cursor, unsigned budget, int64_t now_ms,
                    store_visit_fn *fn, void *ctx);

/* True when store_find has found the entry since it was put, and since this was asked last. May be
 * called in a store_visit_fn. */
bool store_take_hit(struct store *store, const struct entry *entry);

/* The database that an entry is seen in now (store_swap changes it for all entries of two databases
 * at once). */
unsigned store_db_of(const struct store *store, const struct entry *entry);

/* A random live entry of a database, or NULL when there is none (or none was found within a bounded
 * effort). */
const struct entry *store_random(struct store *store, unsigned db, int64_t now_ms);

/* One slice of background work: drops expired and dead entries, evicts down to the budget. Stops
 * after about budget_us microseconds (real time, checked by the step) or when a full slice found
 * nothing to do. Returns true when it should be called again soon, because it ended by its budget
 * with work left. */
bool store_cycle(struct store *store, int64_t now_ms, int64_t budget_us);

void store_read_counters(const struct store *store, struct store_counters *counters);
void store_reset_counters(struct store *store);
void store_read_gauges(const struct store *store, struct store_gauges *gauges);

/* Access figures of an entry under the current policy: idle time in ms (LRU) and frequency counter
 * 0 to 255 (LFU); the one that the policy doesn't keep is 0. */
int64_t store_idle_ms(const struct store *store, const struct entry *entry, int64_t now_ms);
unsigned store_frequency(const struct store *store, const struct entry *entry, int64_t now_ms);

#endif
