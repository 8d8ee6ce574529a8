/* Helpers for the tests of src/store: entries by NUL-terminated key and value, time as an argument.
 * Knows store.h only. */
#ifndef LARDER_TESTS_UNIT_STORE_SUPPORT_H
#define LARDER_TESTS_UNIT_STORE_SUPPORT_H

#include "store/store.h"

#include <check.h>
#include <stdio.h>

/* As ck_assert, without a message to Check's parent for each one that holds: for long loops. */
#define support_assert(condition)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            ck_abort_msg("%s", #condition);                                                        \
    } while (0)

/* A small budget: about 1000 entries of support_fill and their index. */
#define SMALL_BUDGET ((size_t)64 << 10)
/* What the index may take at once beside an item: a segment, or the doubling of its first one. */
#define BUDGET_SLACK ((size_t)64 << 10)

/* Manual time starts here. */
#define START_MS 10000000

static inline struct store *support_create(enum store_policy policy, size_t max_bytes)
{
    struct store_options options;
    store_options_default(&options);
    options.policy = policy;
    options.max_bytes = max_bytes;
    options.seed = 20231117;
    return store_create(&options);
}

static inline enum store_result support_put_item(struct store *store, unsigned db, const char *key,
                                                 const struct store_item *item, int64_t now_ms)
{
    struct bytes name = bytes_of_str(key);
    return store_put(store, db, name, store_hash(store, name), item, now_ms);
}

/* Puts a string with a deadline (0: none) and returns what store_put says. */
static inline enum store_result support_try(struct store *store, unsigned db, const char *key,
                                            const char *value, int64_t deadline_ms, int64_t now_ms)
{
    struct store_item item = {.value = bytes_of_str(value), .deadline_ms = deadline_ms};
    return support_put_item(store, db, key, &item, now_ms);
}

static inline void support_put(struct store *store, unsigned db, const char *key, const char *value,
                               int64_t deadline_ms, int64_t now_ms)
{
    support_assert(support_try(store, db, key, value, deadline_ms, now_ms) == STORE_OK);
}

static inline const struct entry *support_find(struct store *store, unsigned db, const char *key,
                                               int64_t now_ms)
{
    struct bytes name = bytes_of_str(key);
    return store_find(store, db, name, store_hash(store, name), now_ms);
}

static inline bool support_has(struct store *store, unsigned db, const char *key, int64_t now_ms)
{
    struct bytes name = bytes_of_str(key);
    return store_peek(store, db, name, store_hash(store, name), now_ms) != NULL;
}

static inline bool support_remove(struct store *store, unsigned db, const char *key, int64_t now_ms)
{
    struct bytes name = bytes_of_str(key);
    return store_remove(store, db, name, store_hash(store, name), now_ms);
}

/* Asserts that a key has a value. */
static inline void support_is(struct store *store, unsigned db, const char *key, const char *value,
                              int64_t now_ms)
{
    const struct entry *entry = support_find(store, db, key, now_ms);
    if (entry == NULL)
        ck_abort_msg("%s is missing", key);
    support_assert(bytes_equal(entry_key(entry), bytes_of_str(key)));
    if (!bytes_equal(entry_value(entry), bytes_of_str(value)))
        ck_abort_msg("%s is %.*s", key, (int)entry->value_len, entry_value(entry).ptr);
}

/* Puts "cold:<n>" with `len` bytes (at most 1 MiB); returns what store_put says. */
static inline enum store_result support_put_cold(struct store *store, unsigned n, size_t len,
                                                 int64_t deadline_ms, int64_t now_ms)
{
    static const char value[1 << 20];
    char key[32];
    snprintf(key, sizeof(key), "cold:%u", n);
    struct store_item item = {.value = bytes_of(value, len), .deadline_ms = deadline_ms};
    return support_put_item(store, 0, key, &item, now_ms);
}

/* Another policy and budget at run time. */
static inline void support_reconfigure(struct store *store, enum store_policy policy,
                                       size_t max_bytes)
{
    struct store_options options = *store_get_options(store);
    options.policy = policy;
    options.max_bytes = max_bytes;
    store_configure(store, &options);
}

/* "key:<n>", borrowed until the next call. */
static inline const char *support_key(unsigned n)
{
    static char text[32];
    snprintf(text, sizeof(text), "key:%u", n);
    return text;
}

/* Puts "key:<first>" to "key:<last - 1>" in database 0. */
static inline void support_fill(struct store *store, unsigned first, unsigned last,
                                int64_t deadline_ms, int64_t now_ms)
{
    for (unsigned i = first; i < last; i++)
        support_put(store, 0, support_key(i), "value", deadline_ms, now_ms);
}

/* How many of "key:<first>" to "key:<last - 1>" are there. */
static inline unsigned support_count(struct store *store, unsigned first, unsigned last,
                                     int64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = first; i < last; i++)
        n += support_has(store, 0, support_key(i), now_ms);
    return n;
}

static inline struct store_gauges support_gauges(const struct store *store)
{
    struct store_gauges gauges;
    store_read_gauges(store, &gauges);
    return gauges;
}

static inline struct store_counters support_counters(const struct store *store)
{
    struct store_counters counters;
    store_read_counters(store, &counters);
    return counters;
}

static inline size_t support_used(const struct store *store)
{
    struct store_gauges gauges = support_gauges(store);
    return gauges.entry_bytes + gauges.index_bytes;
}

/* Runs the tests as one suite, each with the fixture; returns the exit status. */
static inline int support_run(const char *name, const TTest *const *tests, size_t n_tests,
                              SFun start, SFun stop)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_set_timeout(tcase, 60);
    for (size_t i = 0; i < n_tests; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}

#endif
