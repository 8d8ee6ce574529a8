/* The interface of L1: life cycle, lookups and changes of single entries; see store.h. What
 * concerns whole databases is in database.c.
 *
 * A put builds the new entry before it evicts anything and links it last. So its key and value may
 * come from any entry, and every failure leaves the previous entry as it was. The price is that
 * memory passes the budget by the new item for the time of the call. */
#include "store/store.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/state.h"

#define DEADLINE_MAX (((int64_t)1 << 48) - 1)

/* Evictions of one put: what the item may need if the smallest go, and some more. At most as many
 * as take a few ms, with which 1 MiB finds room among entries of 128 bytes. */
#define PUT_EVICTIONS_MIN 16u
#define PUT_EVICTIONS_MAX 8192u
#define FOOTPRINT_MIN 32u
/* A put also makes up for the index's last step (a segment, its directory). What is further over
 * the budget was configured, and is left to store_cycle. */
#define INDEX_STEP_MAX ((size_t)128 << 10)

#define SAMPLES_MAX 64u

/* The index shrinks below this load, so many buckets between two looks at the time. */
#define SHRINK_PERCENT 30u
#define SHRINK_STEPS 16u

/* Life cycle */

void store_options_default(struct store_options *options)
{
    *options = (struct store_options){
        .policy = STORE_ALLKEYS_LRU,
        .samples = 5,
        .lfu_log_factor = 10,
        .lfu_decay_minutes = 1,
        .n_dbs = 16,
    };
}

struct store *store_create(const struct store_options *options)
{
    struct store *store = mem_zalloc(sizeof(*store));
    struct hash_key key = {options->seed, ~options->seed};
    struct hash_key random = {options->seed, 0};
    if (options->seed == 0) {
        hash_key_random(&key);
        hash_key_random(&random);
    }
    index_init(&store->index, &key);
    store->random = random.k0 | 1; /* xorshift never leaves 0 */
    store->slot_of = mem_alloc(options->n_dbs * sizeof(store->slot_of[0]));
    store->db_of = mem_alloc(options->n_dbs * sizeof(store->db_of[0]));
    store->dbs = mem_zalloc(options->n_dbs * sizeof(store->dbs[0]));
    for (unsigned i = 0; i < options->n_dbs; i++)
        store->slot_of[i] = store->db_of[i] = (uint16_t)i;
    store_configure(store, options);
    return store;
}

void store_destroy(struct store *store)
{
    if (store == NULL)
        return;
    for (size_t no = 0; no < store->index.n_buckets; no++) {
        struct index_at at;
        for (bool more = index_first(&store->index, no, &at); more; more = index_advance(&at))
            entry_destroy(index_entry_at(&at));
    }
    index_deinit(&store->index);
    mem_free(store->slot_of);
    mem_free(store->db_of);
    mem_free(store->dbs);
    mem_free(store);
}

void store_configure(struct store *store, const struct store_options *options)
{
    if (options->policy != store->options.policy)
        eviction_reset(&store->eviction);
    store->options = *options;
    if (store->options.samples < 1)
        store->options.samples = 1;
    if (store->options.samples > SAMPLES_MAX)
        store->options.samples = SAMPLES_MAX;
    store->is_lfu = options->policy == STORE_ALLKEYS_LFU || options->policy == STORE_VOLATILE_LFU;
    store->volatile_only = options->policy >= STORE_VOLATILE_LRU;
    store->access_rules =
        (struct access_rules){options->lfu_log_factor, options->lfu_decay_minutes};
}

const struct store_options *store_get_options(const struct store *store)
{
    return &store->options;
}

/* Lookup */

uint64_t store_hash(const struct store *store, struct bytes key)
{
    return hash_bytes(&store->index.hash_key, key.ptr, key.len);
}

void store_prefetch_bucket(const struct store *store, unsigned db, uint64_t hash)
{
    hash = index_hash(hash, store->slot_of[db]);
    __builtin_prefetch(index_bucket(&store->index, index_bucket_no(&store->index, hash)));
}

void store_prefetch_entry(const struct store *store, unsigned db, uint64_t hash)
{
    hash = index_hash(hash, store->slot_of[db]);
    const struct index_bucket *bucket =
        index_bucket(&store->index, index_bucket_no(&store->index, hash));
    uint64_t hits = index_match(bucket->tags, index_tags_of(hash));
    if (hits != 0) {
        const struct entry *entry = index_slot_entry(bucket, (unsigned)__builtin_ctzll(hits) >> 3);
        __builtin_prefetch(entry);
        __builtin_prefetch((const char *)entry + 64);
        /* An entry of 112 bytes straddles three lines half the time. (Seen: 18 % of the CPU of a hit at P=100.) */
        __builtin_prefetch((const char *)entry + 111);
    }
}

/* Frees what a lookup met. */
static __attribute__((noinline)) void drop_gone(struct store *store, unsigned slot,
                                                struct bytes key, uint64_t hash)
{
    struct index_at at;
    if (index_locate(&store->index, slot, key, hash, &at) != NULL)
        state_drop_gone(store, &at);
}

static inline struct entry *find_live(struct store *store, unsigned slot, struct bytes key,
                                      uint64_t hash, int64_t now_ms)
{
    hash = index_hash(hash, slot);
    struct entry *entry = index_find(&store->index, slot, key, hash);
    if (entry != NULL && __builtin_expect(state_is_gone(store, entry, now_ms), 0)) {
        drop_gone(store, slot, key, hash);
        return NULL;
    }
    return entry;
}

static inline void touch(struct store *store, struct entry *entry, int64_t now_ms)
{
    uint32_t word;
    if (store->is_lfu)
        word = access_lfu_touch(entry->access, &store->access_rules, now_ms,
                                (uint32_t)(state_random(store) >> 32));
    else
        word = access_lru_word(now_ms);
    if (word != entry->access) /* a hot entry's line stays clean */
        entry->access = word;
}

const struct entry *store_find(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                               int64_t now_ms)
{
    struct entry *entry = find_live(store, store->slot_of[db], key, hash, now_ms);
    if (entry == NULL)
        return NULL;
    touch(store, entry, now_ms);
    if (!(entry->flags & ENTRY_HIT)) /* as above */
        entry->flags |= ENTRY_HIT;
    return entry;
}

bool store_take_hit(struct store *store, const struct entry *entry)
{
    struct entry *own = (struct entry *)entry; /* of this store, which the caller may change */
    bool is_hit = (own->flags & ENTRY_HIT) != 0;
    (void)store;
    if (is_hit)
        own->flags &= (uint8_t)~ENTRY_HIT;
    return is_hit;
}

const struct entry *store_peek(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                               int64_t now_ms)
{
    return find_live(store, store->slot_of[db], key, hash, now_ms);
}

/* Put */

static enum store_result refuse(struct store *store, enum store_result result)
{
    store->counters.refused++;
    return result;
}

/* Bytes of what is put behind the key. */
static size_t space_of(const struct store_item *item)
{
    return item->value.len + (item->soft != NULL ? sizeof(*item->soft) : 0);
}

/* The same of what is there. */
static size_t space_in(const struct entry *entry)
{
    return entry->value_len + (entry->flags & ENTRY_SOFT ? sizeof(struct entry_soft) : 0);
}

static bool is_too_big(const struct store *store, struct bytes key, const struct store_item *item)
{
    const struct store_options *options = &store->options;
    if (key.len > ENTRY_LEN_MAX || item->value.len > ENTRY_LEN_MAX)
        return true;
    if (options->max_item_bytes != 0 && key.len + item->value.len > options->max_item_bytes)
        return true;
    return options->max_bytes != 0 &&
           entry_class(key.len, space_of(item)) + store->index.bytes > options->max_bytes;
}

/* Key and value are in the entry already. */
static void describe(const struct store *store, struct entry *entry, const struct store_item *item,
                     int64_t now_ms)
{
    int64_t deadline_ms = item->deadline_ms < DEADLINE_MAX ? item->deadline_ms : DEADLINE_MAX;
    entry->deadline_ms = (uint64_t)deadline_ms & DEADLINE_MAX;
    entry->generation = store->dbs[entry->db].generation;
    entry->kind = (uint8_t)item->kind;
    entry->flags = (uint8_t)item->flags;
    entry->born = (uint32_t)(now_ms / ENTRY_BORN_MS);
    if (item->soft == NULL)
        return;
    entry->flags |= ENTRY_SOFT;
    memcpy(entry->data + entry->key_len + entry->value_len, item->soft, sizeof(*item->soft));
}

static uint32_t first_access(const struct store *store, int64_t now_ms)
{
    return store->is_lfu ? access_lfu_word(now_ms) : access_lru_word(now_ms);
}

/* Writes what needs no more space over an entry of the same footprint. The value may be part of
 * the old one. */
static void overwrite(struct store *store, const struct index_at *at, const struct store_item *item,
                      int64_t now_ms)
{
    struct entry *entry = index_entry_at(at);
    bool was_gone = state_is_gone(store, entry, now_ms);
    if (was_gone)
        state_count_gone(store, entry);
    state_leave(store, entry);
    if (item->value.len > 0)
        memmove(entry->data + entry->key_len, item->value.ptr, item->value.len);
    entry->value_len = (uint32_t)item->value.len;
    describe(store, entry, item, now_ms);
    if (was_gone)
        entry->access = first_access(store, now_ms);
    else
        touch(store, entry, now_ms);
    index_mark(at, entry->deadline_ms != 0);
    state_enter(store, entry);
}

/* Evicts until the item fits beside what stays. */
static bool make_room(struct store *store, const struct entry *old, size_t bytes, int64_t now_ms)
{
    struct eviction_goal goal = {bytes, old == NULL || state_is_dead(store, old), old};
    if (old != NULL) {
        size_t freed = entry_footprint(old);
        if (bytes <= freed && goal.entries == 0)
            return true;
        goal.bytes = bytes > freed ? bytes - freed : 0;
    }
    if (state_fits(store, goal.bytes, goal.entries))
        return true;
    size_t used = state_used_bytes(store);
    size_t max = store->options.max_bytes;
    size_t over = max != 0 && used > max ? used - max : 0;
    size_t wanted = goal.bytes + (over <= INDEX_STEP_MAX ? over : 0);
    size_t limit = PUT_EVICTIONS_MIN + wanted / FOOTPRINT_MIN;
    if (limit > PUT_EVICTIONS_MAX)
        limit = PUT_EVICTIONS_MAX;
    return eviction_make_room(store, &goal, (unsigned)limit, now_ms);
}

/* Links a new entry, in the place of the old one (NULL: none), which is freed. */
static bool link_entry(struct store *store, struct entry *entry, uint64_t hash, bool has_old,
                       int64_t now_ms)
{
    bool is_volatile = entry->deadline_ms != 0;
    if (!has_old) {
        if (!index_insert(&store->index, entry, hash, is_volatile))
            return false;
        state_enter(store, entry);
        return true;
    }
    struct index_at at;
    struct entry *old = index_locate(&store->index, entry->db, entry_key(entry), hash, &at);
    if (state_is_gone(store, old, now_ms))
        state_count_gone(store, old);
    state_leave(store, old);
    index_replace(&at, entry, is_volatile);
    state_enter(store, entry);
    entry_destroy(old);
    return true;
}

static enum store_result put_new(struct store *store, unsigned slot, struct bytes key,
                                 uint64_t hash, const struct store_item *item, struct entry *old,
                                 int64_t now_ms)
{
    struct entry *entry =
        entry_create(key, item->value, item->soft != NULL ? sizeof(*item->soft) : 0);
    if (entry == NULL)
        return refuse(store, STORE_NO_MEMORY);
    entry->db = (uint16_t)slot;
    describe(store, entry, item, now_ms);
    entry->access = first_access(store, now_ms);
    if (old != NULL && store->is_lfu && !state_is_gone(store, old, now_ms)) {
        entry->access = old->access;
        touch(store, entry, now_ms);
    }
    enum store_result result = STORE_OK;
    if (!make_room(store, old, entry_footprint(entry), now_ms))
        result = STORE_OVER_BUDGET;
    else if (!link_entry(store, entry, hash, old != NULL, now_ms))
        result = STORE_NO_MEMORY;
    if (result == STORE_OK)
        return result;
    entry_destroy(entry);
    return refuse(store, result);
}

enum store_result store_put(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                            const struct store_item *item, int64_t now_ms)
{
    unsigned slot = store->slot_of[db];
    if (item->deadline_ms != 0 && item->deadline_ms <= now_ms) {
        store_remove(store, db, key, hash, now_ms);
        store->counters.puts++;
        return STORE_OK;
    }
    if (is_too_big(store, key, item))
        return refuse(store, STORE_TOO_BIG);
    hash = index_hash(hash, slot);
    struct index_at at;
    struct entry *old = index_locate(&store->index, slot, key, hash, &at);
    enum store_result result = STORE_OK;
    if (old != NULL && space_of(item) <= space_in(old) && !state_is_dead(store, old) &&
        entry_footprint(old) == entry_class(key.len, space_of(item)))
        overwrite(store, &at, item, now_ms);
    else
        result = put_new(store, slot, key, hash, item, old, now_ms);
    if (result == STORE_OK)
        store->counters.puts++;
    return result;
}

/* Other changes */

static bool remove_from_slot(struct store *store, unsigned slot, struct bytes key, uint64_t hash,
                             int64_t now_ms)
{
    struct index_at at;
    struct entry *entry = index_locate(&store->index, slot, key, index_hash(hash, slot), &at);
    if (entry == NULL)
        return false;
    bool is_live = !state_is_gone(store, entry, now_ms);
    if (is_live)
        state_drop(store, &at);
    else
        state_drop_gone(store, &at);
    return is_live;
}

bool store_remove(struct store *store, unsigned db, struct bytes key, uint64_t hash, int64_t now_ms)
{
    return remove_from_slot(store, store->slot_of[db], key, hash, now_ms);
}

unsigned store_remove_everywhere(struct store *store, struct bytes key, uint64_t hash,
                                 int64_t now_ms)
{
    unsigned n = 0;
    for (unsigned slot = 0; slot < store->n_used; slot++)
        if (store->dbs[slot].n_live > 0)
            n += remove_from_slot(store, slot, key, hash, now_ms);
    return n;
}

bool store_set_deadline(struct store *store, unsigned db, struct bytes key, uint64_t hash,
                        int64_t deadline_ms, int64_t now_ms)
{
    unsigned slot = store->slot_of[db];
    struct index_at at;
    struct entry *entry = index_locate(&store->index, slot, key, index_hash(hash, slot), &at);
    if (entry == NULL || state_is_gone(store, entry, now_ms))
        return false;
    if (deadline_ms != 0 && deadline_ms <= now_ms) {
        state_drop(store, &at);
        store->counters.expirations++;
        return true;
    }
    state_leave(store, entry);
    entry->deadline_ms =
        (uint64_t)(deadline_ms < DEADLINE_MAX ? deadline_ms : DEADLINE_MAX) & DEADLINE_MAX;
    index_mark(&at, deadline_ms != 0);
    state_enter(store, entry);
    return true;
}

/* Background work */

bool store_cycle(struct store *store, int64_t now_ms, int64_t budget_us)
{
    int64_t end_ns = clock_read_ns() + budget_us * 1000;
    if (eviction_cycle(store, now_ms, end_ns))
        return true;
    if (expiry_cycle(store, now_ms, end_ns))
        return true;
    while (index_load_is_below(&store->index, SHRINK_PERCENT)) {
        for (unsigned i = 0; i < SHRINK_STEPS && index_load_is_below(&store->index, SHRINK_PERCENT);
             i++)
            if (!index_shrink(&store->index))
                return false;
        if (clock_read_ns() >= end_ns)
            return index_load_is_below(&store->index, SHRINK_PERCENT);
    }
    return false;
}

/* Figures */

int64_t store_idle_ms(const struct store *store, const struct entry *entry, int64_t now_ms)
{
    return store->is_lfu ? 0 : access_idle_ms(entry->access, now_ms);
}

unsigned store_frequency(const struct store *store, const struct entry *entry, int64_t now_ms)
{
    return store->is_lfu ? access_frequency(entry->access, &store->access_rules, now_ms) : 0;
}
