/* L1 by its interface (src/store/store.h): single entries, databases, limits, failures. Eviction,
 * expiry and the index have files of their own. */
#include "base/mem.h"
#include "store_support.h"

#include <stdlib.h>
#include <string.h>

static struct store *store;

static void start(void)
{
    store = support_create(STORE_ALLKEYS_LRU, 0);
}

static void stop(void)
{
    mem_fail_after(0);
    store_destroy(store);
}

/* --- single entries --- */

START_TEST(put_then_find)
{
    support_put(store, 0, "a", "1", 0, START_MS);
    support_is(store, 0, "a", "1", START_MS);
    ck_assert_ptr_null(support_find(store, 1, "a", START_MS));
    ck_assert_ptr_null(support_find(store, 0, "b", START_MS));
    support_put(store, 1, "a", "other", 0, START_MS);
    support_is(store, 0, "a", "1", START_MS);
    support_is(store, 1, "a", "other", START_MS);
}
END_TEST

START_TEST(keys_and_values_are_any_bytes)
{
    static const char zeros[300];
    for (size_t key_len = 0; key_len < 140; key_len++) {
        struct bytes key = bytes_of(key_len == 0 ? NULL : zeros, key_len);
        struct store_item item = {.value = bytes_of(zeros, 299 - key_len)};
        ck_assert_int_eq(store_put(store, 3, key, store_hash(store, key), &item, START_MS), 0);
    }
    ck_assert_uint_eq(store_db_entries(store, 3), 140);
    for (size_t key_len = 0; key_len < 140; key_len++) {
        struct bytes key = bytes_of(zeros, key_len);
        const struct entry *entry = store_find(store, 3, key, store_hash(store, key), START_MS);
        ck_assert_ptr_nonnull(entry);
        ck_assert_uint_eq(entry->key_len, key_len);
        ck_assert_uint_eq(entry->value_len, 299 - key_len);
    }
}
END_TEST

/* Keys that differ in one byte only must be told apart at every length and place. */
START_TEST(every_byte_of_a_key_counts)
{
    char key[80];
    for (size_t len = 1; len <= sizeof(key); len++) {
        memset(key, 'x', sizeof(key));
        struct bytes name = bytes_of(key, len);
        uint64_t hash = store_hash(store, name);
        struct store_item item = {.value = BYTES("v")};
        ck_assert_int_eq(store_put(store, 0, name, hash, &item, START_MS), STORE_OK);
        for (size_t i = 0; i < len; i++) {
            key[i] = 'y';
            ck_assert_ptr_null(store_find(store, 0, name, hash, START_MS));
            key[i] = 'x';
        }
        ck_assert_ptr_nonnull(store_find(store, 0, name, hash, START_MS));
    }
}
END_TEST

START_TEST(kind_flags_and_deadline_are_kept)
{
    struct store_item item = {
        .deadline_ms = START_MS + 50, .kind = ENTRY_ABSENT, .flags = ENTRY_CAPPED | ENTRY_PERSIST};
    ck_assert_int_eq(support_put_item(store, 0, "gone", &item, START_MS), STORE_OK);
    const struct entry *entry = support_find(store, 0, "gone", START_MS);
    ck_assert_int_eq(entry->kind, ENTRY_ABSENT);
    ck_assert_int_eq(entry->flags, ENTRY_CAPPED | ENTRY_PERSIST | ENTRY_HIT);
    ck_assert_int_eq((int64_t)entry->deadline_ms, START_MS + 50);
    ck_assert_uint_eq(store_db_of(store, entry), 0);

    item = (struct store_item){.value = BYTES("*0\r\n"), .kind = ENTRY_REPLY};
    ck_assert_int_eq(support_put_item(store, 0, "gone", &item, START_MS), STORE_OK);
    entry = support_find(store, 0, "gone", START_MS);
    ck_assert_int_eq(entry->kind, ENTRY_REPLY);
    ck_assert_int_eq(entry->flags, ENTRY_HIT);
    ck_assert(entry->deadline_ms == 0);
}
END_TEST

START_TEST(replacing_changes_value_and_books)
{
    char text[600];
    for (size_t len = 0; len < sizeof(text) - 1; len += 7) {
        memset(text, 'a' + (int)(len % 26), len);
        text[len] = '\0';
        support_put(store, 0, "k", text, len % 2 == 0 ? 0 : START_MS + 1000, START_MS);
        support_is(store, 0, "k", text, START_MS);
        struct store_gauges gauges = support_gauges(store);
        ck_assert_uint_eq(gauges.entries, 1);
        ck_assert_uint_eq(gauges.volatile_entries, len % 2);
        ck_assert_uint_eq(gauges.entry_bytes,
                          entry_footprint(support_find(store, 0, "k", START_MS)));
    }
    ck_assert(support_remove(store, 0, "k", START_MS));
    ck_assert_uint_eq(support_gauges(store).entry_bytes, 0);
}
END_TEST

/* SETRANGE, APPEND and COPY build values from the store's own bytes. */
START_TEST(bytes_may_come_from_the_store)
{
    support_put(store, 0, "source", "0123456789", 0, START_MS);
    for (unsigned skip = 0; skip <= 10; skip++) {
        support_put(store, 0, "target", "abcdefghij", 0, START_MS);
        const struct entry *target = support_find(store, 0, "target", START_MS);
        struct bytes value = entry_value(target);
        struct store_item item = {.value = bytes_of(value.ptr + skip, value.len - skip)};
        struct bytes key = entry_key(target);
        ck_assert_int_eq(store_put(store, 0, key, store_hash(store, key), &item, START_MS), 0);
        support_is(store, 0, "target", &"abcdefghij"[skip], START_MS);

        item.value = entry_value(support_find(store, 0, "source", START_MS));
        ck_assert_int_eq(support_put_item(store, 0, "target", &item, START_MS), STORE_OK);
        support_is(store, 0, "target", "0123456789", START_MS);
    }
}
END_TEST

/* The source of a copy may be what the policy would evict first. */
START_TEST(bytes_may_come_from_an_entry_that_is_evicted)
{
    char big[2000];
    memset(big, 'b', sizeof(big));
    big[sizeof(big) - 1] = '\0';
    support_put(store, 0, "source", big, 0, START_MS);
    struct store_options options = *store_get_options(store);
    options.max_bytes = support_used(store) + 100;
    store_configure(store, &options);
    struct store_item item = {.value = entry_value(support_find(store, 0, "source", START_MS))};
    ck_assert_int_eq(support_put_item(store, 0, "copy", &item, START_MS + 1000), STORE_OK);
    support_is(store, 0, "copy", big, START_MS + 1000);
    ck_assert(!support_has(store, 0, "source", START_MS + 1000));
}
END_TEST

START_TEST(remove_and_remove_everywhere)
{
    ck_assert(!support_remove(store, 0, "k", START_MS));
    for (unsigned db = 0; db < 16; db += 3)
        support_put(store, db, "k", "v", db == 3 ? START_MS + 10 : 0, START_MS);
    ck_assert(support_remove(store, 0, "k", START_MS));
    ck_assert(!support_remove(store, 0, "k", START_MS));
    struct bytes key = BYTES("k");
    uint64_t hash = store_hash(store, key);
    /* Databases 3 (expired by now), 6, 9, 12, 15. */
    ck_assert_uint_eq(store_remove_everywhere(store, key, hash, START_MS + 10), 4);
    ck_assert_uint_eq(store_remove_everywhere(store, key, hash, START_MS + 10), 0);
    ck_assert_uint_eq(support_gauges(store).entries, 0);
}
END_TEST

START_TEST(removing_by_the_entrys_own_key)
{
    support_put(store, 0, "k", "v", 0, START_MS);
    struct bytes key = entry_key(support_find(store, 0, "k", START_MS));
    ck_assert(store_remove(store, 0, key, store_hash(store, key), START_MS));
}
END_TEST

/* --- databases --- */

START_TEST(flush_makes_one_database_empty)
{
    support_fill(store, 0, 1000, 0, START_MS);
    support_put(store, 1, "stays", "v", 0, START_MS);
    ck_assert_uint_eq(store_flush(store, 0), 1000);
    ck_assert_uint_eq(store_flush(store, 0), 0);
    ck_assert_uint_eq(store_db_entries(store, 0), 0);
    ck_assert_uint_eq(support_gauges(store).dead_entries, 1000);
    ck_assert_uint_eq(support_count(store, 500, 600, START_MS), 0);
    support_is(store, 1, "stays", "v", START_MS);
    /* Dead keys come back as new ones. */
    support_fill(store, 0, 100, 0, START_MS);
    ck_assert_uint_eq(support_count(store, 0, 1000, START_MS), 100);
    ck_assert_uint_eq(store_db_entries(store, 0), 100);
    while (store_cycle(store, START_MS, 1000))
        ;
    struct store_gauges gauges = support_gauges(store);
    ck_assert_uint_eq(gauges.dead_entries, 0);
    ck_assert_uint_eq(gauges.entries, 101);
    /* Lookups above have freed what they met, as did the puts. */
    ck_assert_uint_eq(support_counters(store).reclaimed, 1000);
}
END_TEST

/* Constant time is: no entry is touched, and the number of entries changes no step. */
START_TEST(flush_frees_nothing_itself)
{
    support_fill(store, 0, 50000, 0, START_MS);
    size_t used = support_used(store);
    ck_assert_uint_eq(store_flush_all(store), 50000);
    ck_assert_uint_eq(support_used(store), used);
    ck_assert_uint_eq(support_gauges(store).dead_entries, 50000);
    while (store_cycle(store, START_MS, 500))
        ;
    ck_assert_uint_eq(support_gauges(store).entry_bytes, 0);
    ck_assert_msg(support_used(store) < used / 20, "the index shrinks: %zu", support_used(store));
}
END_TEST

START_TEST(flush_all_leaves_no_database)
{
    for (unsigned db = 0; db < 16; db++)
        support_put(store, db, "k", "v", db % 2 ? START_MS + 1000 : 0, START_MS);
    ck_assert_uint_eq(store_db_volatile(store, 1), 1);
    ck_assert_uint_eq(store_flush_all(store), 16);
    for (unsigned db = 0; db < 16; db++) {
        ck_assert(!support_has(store, db, "k", START_MS));
        ck_assert_uint_eq(store_db_entries(store, db), 0);
        ck_assert_uint_eq(store_db_volatile(store, db), 0);
    }
}
END_TEST

static bool count_entry(void *ctx, const struct entry *entry)
{
    support_assert(bytes_equal(entry_value(entry), BYTES("v")));
    ++*(unsigned *)ctx;
    return true;
}

/* 65,536 flushes and more: no entry of any earlier generation may come back to life. */
START_TEST(generations_wrap)
{
    support_put(store, 0, "old", "from generation 0", 0, START_MS);
    for (unsigned i = 1; i <= 70000; i++) {
        support_assert(store_flush(store, 0) == 1);
        support_put(store, 0, i % 1000 == 0 ? support_key(i) : "k", "v", 0, START_MS);
        /* Looked for by a scan, as a lookup would free it. */
        if (i < 65500 && i % 1000 != 0)
            continue;
        unsigned n = 0;
        store_scan(store, 0, UINT32_MAX, START_MS, count_entry, &n);
        support_assert(n == 1 && store_db_entries(store, 0) == 1);
    }
    ck_assert(!support_has(store, 0, "old", START_MS));
    for (unsigned i = 1000; i < 70000; i += 1000)
        ck_assert(!support_has(store, 0, support_key(i), START_MS));
    support_is(store, 0, support_key(70000), "v", START_MS);
    ck_assert_uint_eq(support_gauges(store).entries, 1);
}
END_TEST

START_TEST(swap_exchanges_two_databases)
{
    support_put(store, 0, "a", "zero", 0, START_MS);
    support_put(store, 1, "b", "one", START_MS + 100, START_MS);
    ck_assert(store_swap(store, 0, 1));
    support_is(store, 1, "a", "zero", START_MS);
    support_is(store, 0, "b", "one", START_MS);
    ck_assert(!support_has(store, 0, "a", START_MS));
    ck_assert_uint_eq(store_db_volatile(store, 0), 1);
    ck_assert_uint_eq(store_db_of(store, support_find(store, 1, "a", START_MS)), 1);
    ck_assert(store_swap(store, 1, 2));
    support_is(store, 2, "a", "zero", START_MS);
    ck_assert_uint_eq(store_db_of(store, support_find(store, 2, "a", START_MS)), 2);
    ck_assert(store_swap(store, 2, 2));
    support_is(store, 2, "a", "zero", START_MS);
    ck_assert_uint_eq(store_flush(store, 2), 1);
    support_is(store, 0, "b", "one", START_MS);
}
END_TEST

/* --- random --- */

START_TEST(random_reaches_every_entry)
{
    unsigned seen[100] = {0};
    ck_assert_ptr_null(store_random(store, 0, START_MS));
    support_fill(store, 0, 100, 0, START_MS);
    for (unsigned i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "other:%u", i);
        support_put(store, 1, key, "v", 0, START_MS);
    }
    for (unsigned i = 0; i < 20000; i++) {
        const struct entry *entry = store_random(store, 0, START_MS);
        ck_assert_ptr_nonnull(entry);
        seen[atoi(entry_key(entry).ptr + 4)]++; /* "key:<n>" and then "value" */
    }
    for (unsigned i = 0; i < 100; i++)
        ck_assert_msg(seen[i] > 0, "key:%u never came", i);
}
END_TEST

START_TEST(random_skips_what_is_expired)
{
    support_fill(store, 0, 50, START_MS + 10, START_MS);
    ck_assert_ptr_null(store_random(store, 0, START_MS + 10));
    support_put(store, 0, "live", "v", 0, START_MS);
    for (unsigned i = 0; i < 100; i++)
        ck_assert(bytes_equal(entry_key(store_random(store, 0, START_MS + 10)), BYTES("live")));
}
END_TEST

/* --- limits and failures --- */

START_TEST(too_big_is_refused)
{
    struct store_options options = *store_get_options(store);
    options.max_item_bytes = 10;
    store_configure(store, &options);
    support_put(store, 0, "key", "1234567", 0, START_MS);
    ck_assert_int_eq(support_try(store, 0, "key", "12345678", 0, START_MS), STORE_TOO_BIG);
    support_is(store, 0, "key", "1234567", START_MS);

    options.max_item_bytes = 0;
    options.max_bytes = 4000;
    store_configure(store, &options);
    char text[5000];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    ck_assert_int_eq(support_try(store, 0, "key", text, 0, START_MS), STORE_TOO_BIG);
    support_is(store, 0, "key", "1234567", START_MS);
    ck_assert_uint_eq(support_counters(store).refused, 2);
}
END_TEST

/* Lengths that an entry's 32 bits could hold but larder doesn't; the bytes are never read. */
START_TEST(huge_lengths_are_refused)
{
    struct bytes huge = bytes_of("x", (size_t)600 << 20);
    struct store_item item = {.value = huge};
    ck_assert_int_eq(support_put_item(store, 0, "k", &item, START_MS), STORE_TOO_BIG);
    item.value = bytes_of("x", SIZE_MAX);
    ck_assert_int_eq(support_put_item(store, 0, "k", &item, START_MS), STORE_TOO_BIG);
    item.value = BYTES("v");
    ck_assert_int_eq(store_put(store, 0, huge, 0, &item, START_MS), STORE_TOO_BIG);
    ck_assert_uint_eq(support_gauges(store).entries, 0);
}
END_TEST

/* Whichever allocation fails, the put is refused whole or done whole. */
START_TEST(every_allocation_may_fail)
{
    for (unsigned n = 1; n <= 4; n++) {
        for (unsigned i = 0; i < 300; i++) {
            const char *key = support_key(i);
            mem_fail_after(n);
            enum store_result result = support_try(store, 0, key, "new", 0, START_MS);
            mem_fail_after(0);
            ck_assert(result == STORE_OK || result == STORE_NO_MEMORY);
            ck_assert_int_eq(support_has(store, 0, key, START_MS), result == STORE_OK);
            if (result == STORE_OK) {
                /* Now in the way of the old value. */
                mem_fail_after(1);
                result = support_try(store, 0, key, "a value that is much longer", 0, START_MS);
                mem_fail_after(0);
                ck_assert_int_eq(result, STORE_NO_MEMORY);
                support_is(store, 0, key, "new", START_MS);
            }
        }
        ck_assert_uint_eq(support_gauges(store).entries, support_count(store, 0, 300, START_MS));
        store_flush_all(store);
    }
}
END_TEST

START_TEST(refused_without_memory_is_counted)
{
    mem_fail_after(1);
    ck_assert_int_eq(support_try(store, 0, "k", "v", 0, START_MS), STORE_NO_MEMORY);
    struct store_counters counters = support_counters(store);
    ck_assert_uint_eq(counters.refused, 1);
    ck_assert_uint_eq(counters.puts, 0);
    store_reset_counters(store);
    ck_assert_uint_eq(support_counters(store).refused, 0);
}
END_TEST

/* --- the rest of the interface --- */

START_TEST(policy_names)
{
    for (int i = 0; i < STORE_POLICIES; i++) {
        enum store_policy policy;
        struct bytes name = bytes_of_str(store_policy_name((enum store_policy)i));
        ck_assert(store_policy_parse(name, &policy));
        ck_assert_int_eq((int)policy, i);
    }
    enum store_policy policy = STORE_NOEVICTION;
    ck_assert(store_policy_parse(BYTES("Volatile-LFU"), &policy));
    ck_assert_int_eq(policy, STORE_VOLATILE_LFU);
    ck_assert(!store_policy_parse(BYTES("lru"), &policy));
    ck_assert(!store_policy_parse(BYTES(""), &policy));
}
END_TEST

START_TEST(two_stores_share_nothing)
{
    struct store *other = support_create(STORE_ALLKEYS_LRU, 0);
    support_put(store, 0, "k", "v", 0, START_MS);
    ck_assert(!support_has(other, 0, "k", START_MS));
    ck_assert_uint_eq(support_gauges(other).entries, 0);
    store_destroy(other);
}
END_TEST

START_TEST(hashes_differ_without_a_seed)
{
    struct store_options options;
    store_options_default(&options);
    struct store *a = store_create(&options);
    struct store *b = store_create(&options);
    ck_assert(store_hash(a, BYTES("k")) != store_hash(b, BYTES("k")));
    store_destroy(a);
    store_destroy(b);
    store_destroy(NULL);
}
END_TEST

START_TEST(prefetching_changes_nothing)
{
    struct bytes key = BYTES("k");
    uint64_t hash = store_hash(store, key);
    for (unsigned i = 0; i < 2; i++) {
        store_prefetch_bucket(store, 0, hash);
        store_prefetch_entry(store, 0, hash);
        support_put(store, 0, "k", "v", 0, START_MS);
    }
    support_is(store, 0, "k", "v", START_MS);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        put_then_find,
        keys_and_values_are_any_bytes,
        every_byte_of_a_key_counts,
        kind_flags_and_deadline_are_kept,
        replacing_changes_value_and_books,
        bytes_may_come_from_the_store,
        bytes_may_come_from_an_entry_that_is_evicted,
        remove_and_remove_everywhere,
        removing_by_the_entrys_own_key,
        flush_makes_one_database_empty,
        flush_frees_nothing_itself,
        flush_all_leaves_no_database,
        generations_wrap,
        swap_exchanges_two_databases,
        random_reaches_every_entry,
        random_skips_what_is_expired,
        too_big_is_refused,
        huge_lengths_are_refused,
        every_allocation_may_fail,
        refused_without_memory_is_counted,
        policy_names,
        two_stores_share_nothing,
        hashes_differ_without_a_seed,
        prefetching_changes_nothing,
    };
    return support_run("store", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
