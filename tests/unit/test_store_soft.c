/* What the store keeps for others with an entry: struct entry_soft behind the value, and when it was
 * put (src/store/entry.h). */
#include "store_support.h"

#include "base/mem.h"

static struct store *store;

static void set_up(void)
{
    store = support_create(STORE_ALLKEYS_LRU, 0);
}

static void tear_down(void)
{
    store_destroy(store);
}

static const struct entry_soft one = {
    .fresh_until_ms = (UINT64_C(1) << 48) - 1, .policy = 65535, .epoch = 4000000000u, .cost_ms = 7};
static const struct entry_soft two = {
    .fresh_until_ms = 12345, .policy = 2, .epoch = 3, .cost_ms = 4000000000u};

static void put_soft(const char *value, const struct entry_soft *soft)
{
    struct store_item item = {.value = bytes_of_str(value), .flags = ENTRY_PERSIST, .soft = soft};
    ck_assert_int_eq(support_put_item(store, 0, "k", &item, START_MS), STORE_OK);
}

static void assert_soft(const char *value, const struct entry_soft *soft)
{
    const struct entry *entry = support_find(store, 0, "k", START_MS);
    support_is(store, 0, "k", value, START_MS);
    ck_assert_uint_eq(entry->flags & (ENTRY_SOFT | ENTRY_PERSIST), ENTRY_SOFT | ENTRY_PERSIST);
    struct entry_soft found = entry_soft_of(entry);
    ck_assert_uint_eq(found.fresh_until_ms, soft->fresh_until_ms);
    ck_assert_uint_eq(found.policy, soft->policy);
    ck_assert_uint_eq(found.epoch, soft->epoch);
    ck_assert_uint_eq(found.cost_ms, soft->cost_ms);
}

START_TEST(test_kept)
{
    put_soft("value", &one);
    assert_soft("value", &one);
    put_soft("", &two);
    assert_soft("", &two);
}
END_TEST

/* Replaced by a value of any other length, in place or not, soft or not. */
START_TEST(test_replaced)
{
    static const char value[] = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    char before[64];
    char after[64];
    for (size_t from = 0; from < sizeof(value); from++) {
        for (size_t to = 0; to < sizeof(value); to++) {
            snprintf(before, sizeof(before), "%.*s", (int)from, value);
            snprintf(after, sizeof(after), "%.*s", (int)to, value);
            put_soft(before, &one);
            support_put(store, 0, "k", after, 0, START_MS);
            support_is(store, 0, "k", after, START_MS);
            support_assert(!(support_find(store, 0, "k", START_MS)->flags & ENTRY_SOFT));
            put_soft(before, &two);
            assert_soft(before, &two);
            put_soft(after, &one);
            assert_soft(after, &one);
        }
    }
}
END_TEST

/* The value may be part of the entry that is replaced. */
START_TEST(test_value_of_the_old_one)
{
    put_soft("0123456789", &one);
    struct bytes value = entry_value(support_find(store, 0, "k", START_MS));
    struct store_item item = {
        .value = bytes_of(value.ptr + 4, 6), .flags = ENTRY_PERSIST, .soft = &two};
    ck_assert_int_eq(support_put_item(store, 0, "k", &item, START_MS), STORE_OK);
    assert_soft("456789", &two);
}
END_TEST

/* It counts as what it takes: in the entry's footprint, in the store's, and against its limits. */
START_TEST(test_counted)
{
    put_soft("value", &one);
    const struct entry *entry = support_find(store, 0, "k", START_MS);
    ck_assert_uint_eq(entry_footprint(entry), mem_class(ENTRY_HEADER + 1 + 5 + sizeof(one)));
    ck_assert_uint_eq(support_gauges(store).entry_bytes, entry_footprint(entry));
    support_put(store, 0, "k", "value", 0, START_MS);
    entry = support_find(store, 0, "k", START_MS);
    ck_assert_uint_eq(entry_footprint(entry), mem_class(ENTRY_HEADER + 1 + 5));
    ck_assert_uint_eq(support_gauges(store).entry_bytes, entry_footprint(entry));
    put_soft("value", &one);
    ck_assert(support_remove(store, 0, "k", START_MS));
    ck_assert_uint_eq(support_gauges(store).entry_bytes, 0);
}
END_TEST

/* A flag for it without one is no soft entry's. */
START_TEST(test_only_with_one)
{
    struct store_item item = {.value = BYTES("v")};
    ck_assert_int_eq(support_put_item(store, 0, "k", &item, START_MS), STORE_OK);
    ck_assert_uint_eq(support_find(store, 0, "k", START_MS)->flags & ENTRY_SOFT, 0);
}
END_TEST

START_TEST(test_no_memory)
{
    put_soft("old", &one);
    struct store_item item = {.value = BYTES("a longer value than the old"), .soft = &two};
    mem_fail_after(1);
    ck_assert_int_eq(support_put_item(store, 0, "k", &item, START_MS), STORE_NO_MEMORY);
    mem_fail_after(0);
    assert_soft("old", &one);
}
END_TEST

/* Age */

static int64_t age(int64_t now_ms)
{
    struct bytes key = BYTES("k");
    return entry_age_ms(store_peek(store, 0, key, store_hash(store, key), now_ms), now_ms);
}

START_TEST(test_age)
{
    support_put(store, 0, "k", "v", 0, START_MS); /* a multiple of 16 */
    ck_assert_int_eq(age(START_MS), 0);
    ck_assert_int_eq(age(START_MS + 15), 0);
    ck_assert_int_eq(age(START_MS + 16), 16);
    ck_assert_int_eq(age(START_MS + 86400000), 86400000);
    support_find(store, 0, "k", START_MS + 3200); /* use is no birth, nor is another deadline */
    struct bytes key = BYTES("k");
    ck_assert(store_set_deadline(store, 0, key, store_hash(store, key), START_MS + 100000000,
                                 START_MS + 3200));
    ck_assert_int_eq(age(START_MS + 6400), 6400);
    support_put(store, 0, "k", "w", 0, START_MS + 6400); /* in place */
    ck_assert_int_eq(age(START_MS + 6400), 0);
    support_put(store, 0, "k", "a longer one than before", 0, START_MS + 12800);
    ck_assert_int_eq(age(START_MS + 12800), 0);
}
END_TEST

/* The count of steps has 32 bits. */
START_TEST(test_age_wraps)
{
    int64_t late_ms = (INT64_C(1) << 36) - 32;
    support_put(store, 0, "k", "v", 0, late_ms);
    ck_assert_int_eq(age(late_ms + 64), 64);
    support_put(store, 0, "k", "v", 0, late_ms + 64);
    ck_assert_int_eq(age(late_ms + 128), 64);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        test_kept,    test_replaced,      test_value_of_the_old_one,
        test_counted, test_only_with_one, test_no_memory,
        test_age,     test_age_wraps,
    };
    return support_run("store_soft", tests, sizeof(tests) / sizeof(tests[0]), set_up, tear_down);
}
