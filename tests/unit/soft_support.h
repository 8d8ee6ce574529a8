/* A tier whose store has the soft shelves, too, with policies by words; on top of tier_support.h. */
#ifndef LARDER_TESTS_SOFT_SUPPORT_H
#define LARDER_TESTS_SOFT_SUPPORT_H

/* First: its functions have parameters that are named as variables of tier_support.h. */
#include "tier/stale.h"

#include "tier/reply_dbs.h"
#include "tier_support.h"

#define N_DBS 4
#define VARIANTS 3

/* Without policies; one retry for each fetch is allowed. */
static inline void soft_start(bool tracking)
{
    struct store_options store;
    log_set_level(LOG_NOTHING);
    memset(got, 0, sizeof(got));
    n_got = 0;
    ck_assert_int_eq(loop_init(&loop), 0);
    clock_init_manual(&loop.clock, START_MS, 0);
    upstream_open();
    upstream_attach(&loop);
    store_options_default(&store);
    store.n_dbs = reply_dbs_total(N_DBS);
    struct link_options options = tier_link_options(tracking);
    memset(&tier_options_now, 0, sizeof(tier_options_now));
    tier_options_now.l1_enabled = true;
    tier_options_now.n_dbs = N_DBS;
    tier_options_now.max_variants = VARIANTS;
    tier_options_now.retry_percent = 100;
    tier_options_now.policy = (struct policy){.negative_ttl_ms = -1, .l2_ttl_factor = 1};
    tier = tier_create(&loop, store_create(&store), &options, &tier_options_now);
    tier->random = 20231117;
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
}

static inline void soft_set_up(void)
{
    soft_start(true);
}

/* Sets a prefix's policy from words with blanks between them. */
static inline void set_policy(const char *prefix, const char *text)
{
    char error[256];
    struct bytes words[8];
    size_t n = 0;
    for (const char *p = text; *p != '\0';) {
        size_t len = strcspn(p, " ");
        words[n++] = bytes_of(p, len);
        p += len + (p[len] == ' ');
    }
    ck_assert_msg(
        policy_table_set(tier_policies(tier), bytes_of_str(prefix), words, n, error, sizeof(error)),
        "%s", error);
    tier_policies_changed(tier);
}

/* The link is lost, and stays down. */
static inline void lose_link(void)
{
    upstream_stop_listening();
    upstream_hang_up();
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_DOWN);
}

/* The link is lost, and back. What was in flight may be sent again. */
static inline void renew_link(void)
{
    uint64_t before = counters().flushes_link;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().flushes_link > before);
    clock_advance(&loop.clock, 20);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    clock_advance(&loop.clock,
                  20); /* so long up that the next loss is followed by an attempt at once */
}

/* What a read gets of L1: as l1_in, but it counts, and may start a refresh. */
static inline const char *read_in(unsigned db, const char *key)
{
    static char text[128];
    const struct entry *entry = tier_find(tier, db, bytes_of_str(key), hash_of(key));
    if (entry == NULL)
        return "(none)";
    if (entry->kind == ENTRY_ABSENT)
        return "(absent)";
    struct bytes value = entry_value(entry);
    snprintf(text, sizeof(text), "%.*s", (int)value.len, value.ptr);
    return text;
}

static inline const char *read_key(const char *key)
{
    return read_in(0, key);
}

/* Fetches a key, L2 saying `replies`; and what its waiter got. */
static inline void fetch_saying(const char *key, const char *replies, enum tier_answer answer,
                                const char *text)
{
    struct got *item = fetch(key);
    turns(3);
    upstream_say(replies);
    assert_got(item, answer, text);
    upstream.said.len = 0;
}

/* Entries that a database of the store has. */
static inline size_t n_in(unsigned store_db)
{
    return store_db_entries(tier_store(tier), store_db);
}

/* As tier_run, with soft_set_up. */
static inline int soft_run(const char *name, void (*add_tests)(TCase *tcase))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, soft_set_up, tier_tear_down);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
