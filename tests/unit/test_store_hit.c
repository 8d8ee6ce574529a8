/* The mark of what was hit (store_take_hit in src/store/store.h). */
#include "store_support.h"

static struct store *store;

static void start(void)
{
    store = support_create(STORE_ALLKEYS_LRU, 0);
}

static void stop(void)
{
    store_destroy(store);
}

static const struct entry *peek(unsigned db, const char *key)
{
    struct bytes name = bytes_of_str(key);
    return store_peek(store, db, name, store_hash(store, name), START_MS);
}

static bool take_hit(const char *key)
{
    return store_take_hit(store, peek(0, key));
}

START_TEST(only_finding_marks)
{
    support_put(store, 0, "k", "v", 0, START_MS);
    ck_assert(!take_hit("k"));
    for (unsigned i = 0; i < 3; i++) {
        support_find(store, 0, "k", START_MS);
        support_find(store, 0, "k", START_MS);
        ck_assert(take_hit("k"));
        ck_assert(!take_hit("k"));
    }
    support_put(store, 0, "other", "v", 0, START_MS);
    ck_assert(store_set_deadline(store, 0, BYTES("k"), store_hash(store, BYTES("k")), START_MS + 9,
                                 START_MS));
    ck_assert_ptr_nonnull(store_random(store, 0, START_MS));
    ck_assert(!take_hit("k"));
    ck_assert(!take_hit("other"));
}
END_TEST

/* L2 was read for the new value just now. */
START_TEST(what_is_put_anew_is_not_marked)
{
    static const char *const values[] = {"a", "b", "a longer value that needs another entry"};
    for (int policy = STORE_ALLKEYS_LRU; policy <= STORE_ALLKEYS_LFU; policy++) {
        support_reconfigure(store, (enum store_policy)policy, 0);
        for (size_t i = 0; i < 3; i++) {
            support_put(store, 0, "k", values[i], 0, START_MS + 1000 * (int64_t)i);
            ck_assert(!take_hit("k"));
            support_find(store, 0, "k", START_MS + 1000 * (int64_t)i);
        }
    }
}
END_TEST

START_TEST(the_mark_stays_with_the_entry)
{
    support_put(store, 0, "k", "v", 0, START_MS);
    support_find(store, 0, "k", START_MS);
    store_swap(store, 0, 1);
    ck_assert(store_take_hit(store, peek(1, "k")));
    support_find(store, 1, "k", START_MS);
    ck_assert(store_set_deadline(store, 1, BYTES("k"), store_hash(store, BYTES("k")), START_MS + 9,
                                 START_MS));
    ck_assert(store_take_hit(store, peek(1, "k")));
}
END_TEST

static bool count_hits(void *ctx, const struct entry *entry)
{
    *(unsigned *)ctx += store_take_hit(store, entry);
    return true;
}

START_TEST(marks_are_taken_while_walking)
{
    unsigned n = 0;
    support_fill(store, 0, 1000, 0, START_MS);
    for (unsigned i = 0; i < 1000; i += 4)
        support_find(store, 0, support_key(i), START_MS);
    for (unsigned round = 0; round < 2; round++)
        for (uint64_t cursor = 0, more = 1; more; more = cursor != 0)
            cursor = store_scan(store, cursor, 7, START_MS, count_hits, &n);
    ck_assert_uint_eq(n, 250);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        only_finding_marks,
        what_is_put_anew_is_not_marked,
        the_mark_stays_with_the_entry,
        marks_are_taken_while_walking,
    };
    return support_run("store_hit", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
