/* The table of tracked keys; see tracking_table.h. */
#include "core/tracking_table.h"

#include "base/mem.h"

#define BUCKETS_MIN 16

void tracking_table_init(struct tracking_table *table)
{
    memset(table, 0, sizeof(*table));
    hash_key_random(&table->hash_key);
    table->n_buckets = table->cap = BUCKETS_MIN;
    table->buckets = mem_zalloc(table->cap * sizeof(struct tracked_key *));
}

void tracking_table_deinit(struct tracking_table *table)
{
    tracking_table_clear(table);
    mem_free(table->buckets);
}

/* Trackers */

struct tracker *tracker_create(struct client *client)
{
    struct tracker *tracker = mem_zalloc(sizeof(*tracker));
    tracker->client = client;
    tracker->n_refs = 1;
    return tracker;
}

struct tracker *tracker_ref(struct tracker *tracker)
{
    tracker->n_refs++;
    return tracker;
}

void tracker_unref(struct tracker *tracker)
{
    if (--tracker->n_refs == 0)
        mem_free(tracker);
}

void tracked_key_free(struct tracked_key *key)
{
    for (size_t i = 0; i < key->n; i++)
        tracker_unref(key->trackers[i]);
    mem_free(key->trackers);
    mem_free(key);
}

/* Buckets */

static size_t bucket_of(const struct tracking_table *table, uint64_t hash)
{
    size_t i = hash & (table->cap - 1);
    return i < table->n_buckets ? i : hash & (table->cap / 2 - 1);
}

/* Splits one bucket when there isn't one for each key. Without memory, chains get longer. */
static void grow(struct tracking_table *table)
{
    if (table->n_keys < table->n_buckets)
        return;
    if (table->n_buckets == table->cap) {
        size_t size;
        if (__builtin_mul_overflow(table->cap, 2 * sizeof(struct tracked_key *), &size))
            return;
        struct tracked_key **buckets = mem_try_resize(table->buckets, size);
        if (buckets == NULL)
            return;
        table->buckets = buckets;
        table->cap *= 2;
    }
    struct tracked_key *key = table->buckets[table->n_buckets - table->cap / 2];
    table->buckets[table->n_buckets - table->cap / 2] = NULL;
    table->buckets[table->n_buckets++] = NULL;
    while (key != NULL) {
        struct tracked_key *next = key->next;
        struct tracked_key **bucket = &table->buckets[bucket_of(table, key->hash)];
        key->next = *bucket;
        *bucket = key;
        key = next;
    }
}

static void resize_down(struct tracking_table *table, size_t cap)
{
    /* Refused, the larger array stays. */
    struct tracked_key **buckets =
        mem_try_resize(table->buckets, cap * sizeof(struct tracked_key *));
    if (buckets != NULL)
        table->buckets = buckets;
    table->cap = cap;
}

/* Joins the last bucket with the one that it was split from. */
static void join(struct tracking_table *table)
{
    struct tracked_key *key = table->buckets[--table->n_buckets];
    struct tracked_key **end = &table->buckets[table->n_buckets - table->cap / 2];
    while (*end != NULL)
        end = &(*end)->next;
    *end = key;
    if (table->n_buckets == table->cap / 2)
        resize_down(table, table->cap / 2);
}

/* Leaves no more than four buckets for each key: what was tracked once costs nothing for ever, and
 * a victim is never far. */
static void shrink(struct tracking_table *table)
{
    while (table->n_buckets > BUCKETS_MIN && table->n_keys < table->n_buckets / 4)
        join(table);
}

static struct tracked_key **find(const struct tracking_table *table, struct bytes name,
                                 uint64_t hash)
{
    struct tracked_key **at = &table->buckets[bucket_of(table, hash)];
    while (*at != NULL &&
           ((*at)->hash != hash || !bytes_equal(bytes_of((*at)->key, (*at)->len), name)))
        at = &(*at)->next;
    return at;
}

static struct tracked_key *insert(struct tracking_table *table, struct bytes name, uint64_t hash)
{
    size_t size;
    if (__builtin_add_overflow(sizeof(struct tracked_key), name.len, &size))
        return NULL;
    struct tracked_key *key = mem_try(size);
    if (key == NULL)
        return NULL;
    grow(table);
    struct tracked_key **bucket = &table->buckets[bucket_of(table, hash)];
    *key = (struct tracked_key){.next = *bucket, .hash = hash, .len = name.len};
    if (name.len > 0)
        memcpy(key->key, name.ptr, name.len);
    *bucket = key;
    table->n_keys++;
    return key;
}

/* Keys */

static bool add_tracker(struct tracked_key *key, struct tracker *tracker, bool *is_new)
{
    size_t low = 0;
    size_t high = key->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)key->trackers[middle] < (uintptr_t)tracker)
            low = middle + 1;
        else
            high = middle;
    }
    *is_new = low == key->n || key->trackers[low] != tracker;
    if (!*is_new)
        return true;
    if (key->n == key->cap) {
        size_t cap = key->cap == 0 ? 1 : key->cap * 2;
        struct tracker **trackers = mem_try_resize(key->trackers, cap * sizeof(struct tracker *));
        if (trackers == NULL)
            return false;
        key->trackers = trackers;
        key->cap = cap;
    }
    memmove(key->trackers + low + 1, key->trackers + low,
            (key->n - low) * sizeof(struct tracker *));
    key->trackers[low] = tracker_ref(tracker);
    key->n++;
    return true;
}

bool tracking_table_add(struct tracking_table *table, struct bytes name, struct tracker *tracker)
{
    uint64_t hash = hash_bytes(&table->hash_key, name.ptr, name.len);
    struct tracked_key *key = *find(table, name, hash);
    bool is_new = false;
    if (key == NULL)
        key = insert(table, name, hash);
    if (key == NULL)
        return false;
    bool ok = add_tracker(key, tracker, &is_new);
    table->n_items += ok && is_new;
    return ok;
}

static struct tracked_key *unlink_at(struct tracking_table *table, struct tracked_key **at)
{
    struct tracked_key *key = *at;
    if (key == NULL)
        return NULL;
    *at = key->next;
    table->n_keys--;
    table->n_items -= key->n;
    shrink(table);
    return key;
}

struct tracked_key *tracking_table_take(struct tracking_table *table, struct bytes name)
{
    return unlink_at(table, find(table, name, hash_bytes(&table->hash_key, name.ptr, name.len)));
}

struct tracked_key *tracking_table_take_any(struct tracking_table *table)
{
    if (table->n_keys == 0)
        return NULL;
    /* There is a key for every four buckets or more, so one is near. */
    table->random = table->random * 6364136223846793005u + 1442695040888963407u;
    size_t i = (size_t)(table->random >> 32) % table->n_buckets;
    while (table->buckets[i] == NULL)
        i = (i + 1) % table->n_buckets;
    return unlink_at(table, &table->buckets[i]);
}

void tracking_table_clear(struct tracking_table *table)
{
    for (size_t i = 0; i < table->n_buckets; i++) {
        struct tracked_key *key;
        while ((key = table->buckets[i]) != NULL) {
            table->buckets[i] = key->next;
            tracked_key_free(key);
        }
    }
    table->n_keys = table->n_items = 0;
    table->n_buckets = BUCKETS_MIN;
    resize_down(table, BUCKETS_MIN);
}
