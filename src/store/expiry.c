/* Expiry; see expiry.h. */
#include "store/expiry.h"

#include "base/clock.h"
#include "store/state.h"

/* Buckets between two looks at the time: some 45 entries. */
#define STEP_BUCKETS 8u
/* Pace of the sweep in peace: about 450 entries a millisecond, well below 1 % of the processor. */
#define BUCKETS_PER_MS 64u
/* The share of expired entries above which the sweep hurries, as a divisor (20: 5 %). */
#define HURRY_DIVISOR 20u
/* A window, after which the pace is chosen anew, ends when it has seen this many entries with a
 * deadline or buckets. */
#define WINDOW_LOOKED 64u
#define WINDOW_BUCKETS 1024u

void expiry_sweep_bucket(struct store *store, const struct entry *keep, int64_t now_ms,
                         struct expiry_tally *tally)
{
    if (store->expiry.hand >= store->index.n_buckets)
        store->expiry.hand = 0;
    struct index_at at;
    bool more = index_first(&store->index, store->expiry.hand++, &at);
    while (more) {
        bool is_volatile = index_is_volatile_at(&at);
        if (!is_volatile && store->sum.n_dead == 0) {
            more = index_advance(&at);
            continue;
        }
        const struct entry *entry = index_entry_at(&at);
        bool is_dead = state_is_dead(store, entry);
        bool is_expired = !is_dead && entry_is_expired(entry, now_ms);
        tally->n_looked += is_volatile && !is_dead;
        if (entry == keep || !(is_dead || is_expired)) {
            more = index_advance(&at);
            continue;
        }
        tally->n_expired += is_expired;
        tally->n_dropped++;
        more = state_drop_gone(store, &at);
    }
}

void expiry_purge_slot(struct store *store, unsigned slot)
{
    const struct store_db *db = &store->dbs[slot];
    for (size_t no = 0; no < store->index.n_buckets && db->n_live + db->n_dead > 0; no++) {
        struct index_at at;
        bool more = index_first(&store->index, no, &at);
        while (more) {
            bool is_slots = index_entry_at(&at)->db == slot;
            store->counters.reclaimed += is_slots;
            more = is_slots ? state_drop(store, &at) : index_advance(&at);
        }
    }
}

/* How long a pass takes in peace: a second for small tables, so that DBSIZE is soon right, a minute for large ones. */
static uint64_t pass_ms(const struct store *store)
{
    size_t ms = store->index.n_buckets / BUCKETS_PER_MS;
    return ms < EXPIRY_PASS_MIN_MS ? EXPIRY_PASS_MIN_MS : ms > EXPIRY_PASS_MS ? EXPIRY_PASS_MS : ms;
}

/* Adds what the pace demands for the time since the last slice, at most one pass. */
static void accrue(struct store *store, int64_t now_ms)
{
    struct expiry *expiry = &store->expiry;
    int64_t elapsed_ms =
        expiry->last_ms == 0 || now_ms < expiry->last_ms ? 0 : now_ms - expiry->last_ms;
    expiry->last_ms = now_ms;
    if ((uint64_t)elapsed_ms > pass_ms(store))
        elapsed_ms = (int64_t)pass_ms(store);
    expiry->owed += (uint64_t)elapsed_ms * store->index.n_buckets;
    uint64_t pass = pass_ms(store) * store->index.n_buckets;
    if (expiry->owed > pass)
        expiry->owed = pass;
}

/* Sweeps a few buckets; the owed ones shrink, and at the end of a window the pace is chosen. */
static void sweep_step(struct store *store, int64_t now_ms)
{
    struct expiry *expiry = &store->expiry;
    for (unsigned i = 0; i < STEP_BUCKETS; i++)
        expiry_sweep_bucket(store, NULL, now_ms, &expiry->tally);
    uint64_t paid = STEP_BUCKETS * pass_ms(store);
    expiry->owed -= expiry->owed < paid ? expiry->owed : paid;
    expiry->window += STEP_BUCKETS;
    if (expiry->window < WINDOW_BUCKETS && expiry->tally.n_looked < WINDOW_LOOKED)
        return;
    expiry->hurries = expiry->tally.n_expired * HURRY_DIVISOR > expiry->tally.n_looked;
    expiry->tally = (struct expiry_tally){0};
    expiry->window = 0;
}

static bool has_work(const struct store *store)
{
    if (store->sum.n_dead > 0)
        return true;
    return store->sum.n_volatile > 0 &&
           (store->expiry.hurries || store->expiry.owed >= pass_ms(store));
}

bool expiry_cycle(struct store *store, int64_t now_ms, int64_t end_ns)
{
    accrue(store, now_ms);
    if (store->sum.n_volatile == 0)
        store->expiry.owed = 0;
    for (size_t n_swept = 0; n_swept < store->index.n_buckets && has_work(store);
         n_swept += STEP_BUCKETS) {
        sweep_step(store, now_ms);
        if (clock_read_ns() >= end_ns)
            return has_work(store);
    }
    return false;
}
