/* The index of L1 (src/store/index.h) by itself: growth and shrinking by single buckets, chains,
 * the scan's promise, failing allocations. The books are recomputed from the buckets each time. */
#include "store/index.h"

#include "base/mem.h"
#include "store_support.h"

#include <stdlib.h>

static const struct hash_key secret = {1, 2};
static struct index index_;
static unsigned fail_after; /* the allocation of index_insert that fails; 0: none */

static void start(void)
{
    fail_after = 0;
    index_init(&index_, &secret);
}

static void stop(void)
{
    mem_fail_after(0);
    for (size_t no = 0; no < index_.n_buckets; no++) {
        struct index_at at;
        for (bool more = index_first(&index_, no, &at); more; more = index_advance(&at))
            entry_destroy(index_entry_at(&at));
    }
    index_deinit(&index_);
}

/* --- helpers --- */

static uint64_t hash_of(struct bytes key)
{
    return index_hash(hash_bytes(&secret, key.ptr, key.len), 0);
}

static bool insert(const char *name, bool is_volatile)
{
    struct bytes key = bytes_of_str(name);
    struct entry *entry = entry_create(key, BYTES("v"), 0);
    support_assert(entry != NULL);
    mem_fail_after(fail_after);
    bool done = index_insert(&index_, entry, hash_of(key), is_volatile);
    mem_fail_after(0);
    if (!done)
        entry_destroy(entry);
    return done;
}

static void insert_range(unsigned first, unsigned last)
{
    for (unsigned i = first; i < last; i++)
        support_assert(insert(support_key(i), i % 3 == 0));
}

static struct entry *find(const char *name)
{
    struct bytes key = bytes_of_str(name);
    return index_find(&index_, 0, key, hash_of(key));
}

static void remove_key(const char *name)
{
    struct bytes key = bytes_of_str(name);
    struct index_at at;
    struct entry *entry = index_locate(&index_, 0, key, hash_of(key), &at);
    support_assert(entry != NULL);
    support_assert(index_entry_at(&at) == entry);
    index_remove(&index_, &at);
    entry_destroy(entry);
}

static unsigned number_of(const struct entry *entry)
{
    return (unsigned)atoi(entry->data + 4); /* "key:<n>" and then "v" */
}

/* Every invariant of index.h, and the mark of insert_range when `marked`. */
static void check(bool marked)
{
    size_t n_entries = 0;
    size_t n_overflow = 0;
    support_assert((index_.mask >> 1) < index_.n_buckets);
    support_assert(index_.mask + 1 >= index_.n_buckets);
    for (size_t no = 0; no < index_.n_buckets; no++) {
        const struct index_bucket *bucket = index_bucket(&index_, no);
        for (bool is_first = true; bucket != NULL; is_first = false) {
            unsigned count = index_bucket_count(bucket);
            for (unsigned i = 0; i < INDEX_SLOTS; i++)
                support_assert(((bucket->tags >> (8 * i) & 0xff) != 0) == (i < count));
            support_assert((index_volatile_slots(bucket) >> count) == 0);
            for (unsigned i = 0; i < count; i++) {
                const struct entry *entry = index_slot_entry(bucket, i);
                support_assert((index_bucket_no(&index_, hash_of(entry_key(entry)))) == no);
                if (marked)
                    support_assert((index_volatile_slots(bucket) >> i & 1) ==
                                   (number_of(entry) % 3 == 0));
            }
            n_entries += count;
            n_overflow += !is_first;
            support_assert(is_first || count > 0);
            bucket = index_next_bucket(bucket);
            support_assert(bucket == NULL || count == INDEX_SLOTS);
        }
    }
    support_assert(n_entries == index_.n_entries);
    support_assert(n_overflow == index_.n_overflow);
}

/* --- growth and shrinking --- */

START_TEST(grows_by_single_buckets_and_finds)
{
    for (unsigned n = 0; n < 40000; n++) {
        size_t before = index_.n_buckets;
        support_assert(insert(support_key(n), n % 3 == 0));
        support_assert(index_.n_buckets <= before + 1);
        if (n % 3000 == 0 || n < 200)
            check(true);
        support_assert(index_.n_entries * 100 <=
                       (index_.n_buckets + 1) * INDEX_SLOTS * INDEX_LOAD_PERCENT);
    }
    for (unsigned n = 0; n < 40000; n++) {
        struct entry *entry = find(support_key(n));
        support_assert(entry != NULL);
        support_assert(number_of(entry) == n);
    }
    for (unsigned n = 40000; n < 50000; n++)
        support_assert(find(support_key(n)) == NULL);
    support_assert(index_.n_buckets > 3 * INDEX_SEGMENT_BUCKETS);
}
END_TEST

START_TEST(shrinks_to_the_start)
{
    size_t bytes = index_.bytes;
    insert_range(0, 30000);
    support_assert(!index_load_is_below(&index_, 30));
    for (unsigned n = 100; n < 30000; n++)
        remove_key(support_key(n));
    support_assert(index_load_is_below(&index_, 30));
    for (unsigned n = 0; index_load_is_below(&index_, 30); n++) {
        support_assert(index_shrink(&index_));
        if (n % 500 == 0)
            check(true);
    }
    check(true);
    for (unsigned n = 0; n < 100; n++)
        support_assert(find(support_key(n)) != NULL);
    /* And on to the smallest, where chains must form. */
    while (index_shrink(&index_))
        check(true);
    support_assert(index_.n_buckets == INDEX_FIRST_BUCKETS);
    for (unsigned n = 0; n < 100; n++)
        remove_key(support_key(n));
    support_assert(index_.n_overflow == 0);
    /* The first segment and the directory keep their room. */
    support_assert(index_.bytes <= bytes + INDEX_SEGMENT_BUCKETS * sizeof(struct index_bucket));
}
END_TEST

START_TEST(grows_again_after_shrinking)
{
    for (unsigned round = 0; round < 4; round++) {
        insert_range(0, 9000);
        for (unsigned n = 0; n < 9000; n++)
            remove_key(support_key(n));
        while (index_shrink(&index_))
            ;
        check(true);
    }
    insert_range(0, 9000);
    check(true);
}
END_TEST

/* --- collisions --- */

#define N_COLLIDING 50

/* Keys whose hashes agree in the top byte and the lowest 9 bits, by trying. */
static void find_colliding(char names[N_COLLIDING][32])
{
    unsigned found = 0;
    for (unsigned n = 0; found < N_COLLIDING; n++) {
        uint64_t hash = hash_of(bytes_of_str(support_key(n)));
        if (hash >> 56 == 0xa5 && (hash & 0x1ff) == 0x5a)
            strcpy(names[found++], support_key(n));
    }
}

START_TEST(one_bucket_holds_any_number)
{
    static char names[N_COLLIDING][32];
    find_colliding(names);
    for (unsigned i = 0; i < N_COLLIDING; i++) {
        support_assert(insert(names[i], false));
        check(false);
    }
    support_assert(index_.n_overflow >= 5);
    for (unsigned i = 0; i < N_COLLIDING; i++)
        support_assert(bytes_equal(entry_key(find(names[i])), bytes_of_str(names[i])));
    /* First from the middle, then all others. */
    for (unsigned i = 10; i < N_COLLIDING; i += 3)
        remove_key(names[i]);
    check(false);
    for (unsigned i = 0; i < N_COLLIDING; i++)
        if (i < 10 || i % 3 != 1)
            remove_key(names[i]);
    support_assert(index_.n_overflow == 0);
    support_assert(index_.n_entries == 0);
}
END_TEST

START_TEST(chains_split_and_merge)
{
    static char names[N_COLLIDING][32];
    find_colliding(names);
    for (unsigned i = 0; i < N_COLLIDING; i++)
        support_assert(insert(names[i], false));
    for (unsigned n = 0; n < 20000; n++) /* keys of other names than the colliding ones */
        if (find(support_key(n)) == NULL)
            support_assert(insert(support_key(n), false));
    check(false);
    for (unsigned i = 0; i < N_COLLIDING; i++)
        support_assert(find(names[i]) != NULL);
    while (index_shrink(&index_))
        ;
    check(false);
    for (unsigned i = 0; i < N_COLLIDING; i++)
        support_assert(find(names[i]) != NULL);
}
END_TEST

START_TEST(tag_matching_is_exact)
{
    for (unsigned tag = 1; tag < 256; tag++) {
        uint64_t wanted = index_tags_of((uint64_t)tag << 56);
        for (unsigned other = 0; other < 256; other++) {
            for (unsigned slot = 0; slot < INDEX_SLOTS; slot++) {
                uint64_t tags = (uint64_t)other << (8 * slot);
                uint64_t expected = other == tag ? (uint64_t)0x80 << (8 * slot) : 0;
                support_assert(index_match(tags, wanted) == expected);
            }
        }
    }
    support_assert(index_tags_of(0) == INDEX_EACH_BYTE);
}
END_TEST

START_TEST(databases_are_apart)
{
    struct bytes key = BYTES("k");
    for (unsigned db = 0; db < 40; db++) {
        struct entry *entry = entry_create(key, BYTES("v"), 0);
        entry->db = (uint16_t)db;
        uint64_t hash = index_hash(hash_bytes(&secret, key.ptr, key.len), db);
        support_assert(index_insert(&index_, entry, hash, false));
    }
    for (unsigned db = 0; db < 40; db++) {
        uint64_t hash = index_hash(hash_bytes(&secret, key.ptr, key.len), db);
        support_assert((index_find(&index_, db, key, hash)->db) == db);
    }
}
END_TEST

/* --- walking --- */

START_TEST(removing_while_walking)
{
    insert_range(0, 5000);
    unsigned n_left = 0;
    for (size_t no = 0; no < index_.n_buckets; no++) {
        struct index_at at;
        bool more = index_first(&index_, no, &at);
        while (more) {
            struct entry *entry = index_entry_at(&at);
            if (number_of(entry) % 5 == 0) {
                n_left++;
                more = index_advance(&at);
                continue;
            }
            more = index_remove(&index_, &at);
            entry_destroy(entry);
        }
    }
    support_assert(n_left == 1000);
    check(true);
    for (unsigned n = 0; n < 5000; n++)
        support_assert((find(support_key(n)) != NULL) == (n % 5 == 0));
}
END_TEST

START_TEST(collect_and_locate)
{
    insert_range(0, 2000);
    unsigned n_all = 0;
    unsigned n_volatile = 0;
    struct entry *entries[64];
    struct index_at at;
    for (size_t no = 0; no < index_.n_buckets; no++) {
        unsigned n = index_collect(&index_, no, false, entries, 64);
        for (unsigned i = 0; i < n; i++) {
            support_assert(index_locate_entry(&index_, no, entries[i], &at));
            support_assert(index_entry_at(&at) == entries[i]);
            support_assert(index_is_volatile_at(&at) == (number_of(entries[i]) % 3 == 0));
            support_assert(
                !index_locate_entry(&index_, (no + 1) % index_.n_buckets, entries[i], &at));
        }
        n_all += n;
        n_volatile += index_collect(&index_, no, true, entries, 64);
        support_assert(index_collect(&index_, no, false, entries, 3) <= 3);
    }
    support_assert(n_all == 2000);
    support_assert(n_volatile == 667);
    support_assert(!index_locate_entry(&index_, index_.n_buckets, find("key:1"), &at));
}
END_TEST

/* --- the scan's promise --- */

#define N_KEPT 600

static unsigned seen[N_KEPT];

/* Visits one bucket and counts the kept keys. */
static uint64_t visit(uint64_t cursor)
{
    size_t no;
    struct index_at at;
    cursor = index_scan(&index_, cursor, &no);
    for (bool more = index_first(&index_, no, &at); more; more = index_advance(&at))
        if (number_of(index_entry_at(&at)) < N_KEPT)
            seen[number_of(index_entry_at(&at))]++;
    return cursor;
}

static void check_seen(unsigned at_most)
{
    for (unsigned n = 0; n < N_KEPT; n++) {
        ck_assert_msg(seen[n] > 0, "key:%u was not visited", n);
        support_assert(seen[n] <= at_most);
    }
}

START_TEST(scan_visits_each_once)
{
    for (unsigned n = N_KEPT; n < 6000; n += 500) {
        memset(seen, 0, sizeof(seen));
        insert_range(n == N_KEPT ? 0 : n - 500, n);
        size_t n_visits = 1;
        for (uint64_t cursor = 0; (cursor = visit(cursor)) != 0; n_visits++)
            support_assert(cursor < 2 * index_.n_buckets);
        support_assert(n_visits == index_.n_buckets);
        check_seen(1);
    }
}
END_TEST

START_TEST(scan_while_growing)
{
    for (unsigned pace = 1; pace <= 64; pace *= 4) {
        memset(seen, 0, sizeof(seen));
        insert_range(0, N_KEPT);
        unsigned next = N_KEPT;
        uint64_t cursor = 0;
        do {
            cursor = visit(cursor);
            unsigned last = next + pace < 60000 ? next + pace : 60000;
            insert_range(next, last);
            next = last;
        } while (cursor != 0);
        check_seen(UINT32_MAX);
        stop();
        start();
    }
}
END_TEST

START_TEST(scan_while_shrinking)
{
    for (unsigned pace = 1; pace <= 16; pace *= 4) {
        memset(seen, 0, sizeof(seen));
        insert_range(0, 20000);
        for (unsigned n = N_KEPT; n < 20000; n++)
            remove_key(support_key(n));
        uint64_t cursor = 0;
        do {
            cursor = visit(cursor);
            for (unsigned i = 0; i < pace; i++)
                index_shrink(&index_);
        } while (cursor != 0);
        check_seen(UINT32_MAX);
        stop();
        start();
    }
}
END_TEST

START_TEST(scan_takes_any_cursor)
{
    insert_range(0, 1000);
    for (unsigned i = 0; i < 100000; i++) {
        size_t no;
        uint64_t next = index_scan(&index_, i * (uint64_t)0x9e3779b97f4a7c15 >> i % 64, &no);
        support_assert(no < index_.n_buckets);
        support_assert(next == 0 || index_scan(&index_, next, &no) != next);
    }
}
END_TEST

/* --- no memory --- */

START_TEST(insert_without_memory_changes_nothing)
{
    static char names[N_COLLIDING][32];
    find_colliding(names);
    unsigned n_refused = 0;
    for (unsigned i = 0; i < N_COLLIDING; i++) {
        size_t n = index_.n_entries;
        fail_after = 1;
        bool done = insert(names[i], false);
        fail_after = 0;
        support_assert(index_.n_entries == n + done);
        n_refused += !done;
        check(false);
        support_assert(done || insert(names[i], false));
    }
    support_assert(n_refused >= 5);
}
END_TEST

/* Growth that fails is made up for later. */
START_TEST(growth_without_memory_is_left_for_later)
{
    for (unsigned n = 0; n < 12000; n++) {
        fail_after = 1; /* a segment's, an overflow bucket's, or the directory's */
        bool done = insert(support_key(n), n % 3 == 0);
        fail_after = 0;
        support_assert(done || insert(support_key(n), n % 3 == 0));
    }
    check(true);
    insert_range(12000, 20000);
    check(true);
    support_assert(index_.n_entries * 100 <=
                   (index_.n_buckets + 1) * INDEX_SLOTS * INDEX_LOAD_PERCENT);
}
END_TEST

START_TEST(shrinking_without_memory_changes_nothing)
{
    insert_range(0, 3000);
    unsigned n_refused = 0;
    for (;;) {
        size_t n_buckets = index_.n_buckets;
        mem_fail_after(1);
        bool done = index_shrink(&index_);
        mem_fail_after(0);
        check(true);
        if (done)
            continue;
        n_refused++;
        support_assert(index_.n_buckets == n_buckets);
        if (!index_shrink(&index_))
            break;
    }
    support_assert(n_refused > 1);
    for (unsigned n = 0; n < 3000; n++)
        support_assert(find(support_key(n)) != NULL);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        grows_by_single_buckets_and_finds,
        shrinks_to_the_start,
        grows_again_after_shrinking,
        one_bucket_holds_any_number,
        chains_split_and_merge,
        tag_matching_is_exact,
        databases_are_apart,
        removing_while_walking,
        collect_and_locate,
        scan_visits_each_once,
        scan_while_growing,
        scan_while_shrinking,
        scan_takes_any_cursor,
        insert_without_memory_changes_nothing,
        growth_without_memory_is_left_for_later,
        shrinking_without_memory_changes_nothing,
    };
    return support_run("index", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
