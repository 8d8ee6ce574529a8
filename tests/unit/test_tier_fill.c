/* What of a fetch is kept, where, and how long (src/tier/tier_fill.c): caps, jitter, missing keys,
 * sizes, l2-ttl-factor, and what a soft entry knows. Deadlines without policies are in test_tier.c. */
#include "soft_support.h"

/* A key's entry, on either shelf. */
static const struct entry *entry_of(const char *key, bool is_soft)
{
    return store_peek(tier_store(tier), reply_dbs_strings(N_DBS, 0, is_soft), bytes_of_str(key),
                      hash_of(key), loop.clock.mono_ms);
}

static int64_t left_ms(const struct entry *entry)
{
    ck_assert_ptr_nonnull(entry);
    return entry->deadline_ms == 0 ? 0 : (int64_t)entry->deadline_ms - loop.clock.mono_ms;
}

/* Caps: what is left of an entry's time at the fill, for a policy and what L2 says. */
static const struct {
    const char *policy;
    const char *replies;
    int64_t left_ms; /* 0: for ever; -1: not kept */
    unsigned flags;
} caps[] = {
    {"ttl=10s", "$1\r\n1\r\n:-1\r\n", 10000, ENTRY_PERSIST | ENTRY_CAPPED},
    {"ttl=10s", "$1\r\n1\r\n:10000\r\n", 10000, 0},
    {"ttl=10s", "$1\r\n1\r\n:10001\r\n", 10000, ENTRY_CAPPED},
    {"ttl=10s", "_\r\n:-2\r\n", 10000, ENTRY_CAPPED},
    {"ttl=0", "$1\r\n1\r\n:-1\r\n", 0, ENTRY_PERSIST},
    {"negative-ttl=3s", "_\r\n:-2\r\n", 3000, ENTRY_CAPPED},
    {"ttl=1s negative-ttl=3s", "_\r\n:-2\r\n", 3000, ENTRY_CAPPED},
    {"ttl=1s negative-ttl=3s", "$1\r\n1\r\n:-1\r\n", 1000, ENTRY_PERSIST | ENTRY_CAPPED},
    {"ttl=1s negative-ttl=-1", "_\r\n:-2\r\n", 1000, ENTRY_CAPPED},
    {"negative-ttl=0", "_\r\n:-2\r\n", -1, 0},
    {"negative-ttl=0", "$1\r\n1\r\n:-1\r\n", 0, ENTRY_PERSIST},
    {"max-item=3", "$3\r\n123\r\n:-1\r\n", 0, ENTRY_PERSIST},
    {"max-item=3", "$4\r\n1234\r\n:-1\r\n", -1, 0},
    {"mode=deny", "$1\r\n1\r\n:-1\r\n", -1, 0},
    /* L2 keeps it three times as long as it is fresh. */
    {"l2-ttl-factor=3", "$1\r\n1\r\n:3000\r\n", 1000, ENTRY_CAPPED},
    {"l2-ttl-factor=2.5", "$1\r\n1\r\n:1000\r\n", 400, ENTRY_CAPPED},
    {"l2-ttl-factor=3", "$1\r\n1\r\n:-1\r\n", 0, ENTRY_PERSIST},
    {"l2-ttl-factor=3", "_\r\n:-2\r\n", 0, 0},
    {"l2-ttl-factor=3 ttl=500ms", "$1\r\n1\r\n:3000\r\n", 500, ENTRY_CAPPED},
    {"l2-ttl-factor=1", "$1\r\n1\r\n:3000\r\n", 3000, 0},
    {"l2-ttl-factor=1000", "$1\r\n1\r\n:999\r\n", -1, 0},
};

START_TEST(test_caps)
{
    set_policy("k", caps[_i].policy);
    struct got *item = fetch("k");
    turns(3);
    upstream_say(caps[_i].replies);
    TURN_UNTIL(&loop, item->n > 0);
    const struct entry *entry = entry_of("k", false);
    ck_assert_uint_eq(n_in(reply_dbs_strings(N_DBS, 0, true)), 0); /* none of these is special */
    if (caps[_i].left_ms < 0) {
        ck_assert_ptr_null(entry);
        return;
    }
    ck_assert_int_eq(left_ms(entry), caps[_i].left_ms);
    ck_assert_uint_eq(entry->flags, caps[_i].flags);
}
END_TEST

START_TEST(test_too_big_is_counted)
{
    set_policy("k", "max-item=3");
    fetch_saying("k", "$4\r\n1234\r\n:-1\r\n", TIER_STRING, "1234");
    ck_assert_uint_eq(counters().fills_refused, 1);
    ck_assert_uint_eq(counters().fills, 0);
}
END_TEST

/* A policy is that of the longest prefix, else the default one. */
START_TEST(test_default_and_prefix)
{
    tier_options_now.policy.ttl_ms = 7000;
    tier_configure(tier, &tier_options_now);
    set_policy("k:", "ttl=5s");
    fill("k", "1");
    fill("k:1", "1");
    ck_assert_int_eq(left_ms(entry_of("k", false)), 7000);
    ck_assert_int_eq(left_ms(entry_of("k:1", false)), 5000);
}
END_TEST

/* Jitter */

#define FILLS 400

/* Fills one key again and again, and says what the shortest and the longest time were. */
static void measure(const char *replies, int64_t *min, int64_t *max)
{
    *min = INT64_MAX;
    *max = 0;
    for (unsigned i = 0; i < FILLS; i++) {
        struct got item = {0};
        tier_fetch(tier, 0, BYTES("k"), hash_of("k"), on_got, &item);
        upstream_say(replies);
        TURN_UNTIL(&loop, item.n > 0);
        int64_t left = left_ms(entry_of("k", false));
        *min = left < *min ? left : *min;
        *max = left > *max ? left : *max;
    }
}

/* Between cap * (1 - j / 100) and the cap, and all over that: with 400 draws the outer tenths on both
 * sides are met but for a chance of 10^-18, and the seed is fixed. */
static const struct {
    const char *policy;
    const char *replies;
    int64_t low, high;
} jitters[] = {
    {"ttl=100s ttl-jitter=10", "$1\r\n1\r\n:-1\r\n", 90000, 100000},
    {"ttl=100s ttl-jitter=100", "$1\r\n1\r\n:-1\r\n", 1, 100000},
    {"ttl=100s ttl-jitter=10 negative-ttl=10s", "_\r\n:-2\r\n", 9000, 10000},
    {"ttl=100s ttl-jitter=50", "$1\r\n1\r\n:1000000\r\n", 50000, 100000},
};

START_TEST(test_jitter)
{
    int64_t min;
    int64_t max;
    int64_t low = jitters[_i].low;
    int64_t high = jitters[_i].high;
    set_policy("k", jitters[_i].policy);
    measure(jitters[_i].replies, &min, &max);
    ck_assert_int_ge(min, low);
    ck_assert_int_le(max, high);
    ck_assert_int_lt(min, low + (high - low) / 10);
    ck_assert_int_gt(max, high - (high - low) / 10);
}
END_TEST

/* It shortens larder's cap, never the key's own time, and nothing where there is no cap. */
static const struct {
    const char *policy;
    const char *replies;
    int64_t left;
} steady[] = {
    {"ttl=100s ttl-jitter=0", "$1\r\n1\r\n:-1\r\n", 100000},
    {"ttl=0 ttl-jitter=50", "$1\r\n1\r\n:-1\r\n", 0},
    {"ttl=0 ttl-jitter=50", "$1\r\n1\r\n:5000\r\n", 5000},
    {"ttl=100s ttl-jitter=50", "$1\r\n1\r\n:50000\r\n", 50000},
    {"ttl=1ms ttl-jitter=100", "$1\r\n1\r\n:-1\r\n", 1},
};

START_TEST(test_no_jitter)
{
    int64_t min;
    int64_t max;
    set_policy("k", steady[_i].policy);
    measure(steady[_i].replies, &min, &max);
    ck_assert_int_eq(min, steady[_i].left);
    ck_assert_int_eq(max, steady[_i].left);
}
END_TEST

/* Soft entries */

/* What a soft entry knows, and how long it stays: for the longer of the two times. */
static const struct {
    const char *policy;
    const char *replies;
    int64_t fresh_ms; /* 0: for ever */
    int64_t left_ms;
} softs[] = {
    {"ttl=10s stale-while-revalidate=20s", "$1\r\n1\r\n:-1\r\n", 10000, 30000},
    {"ttl=10s stale-if-error=20s", "$1\r\n1\r\n:-1\r\n", 10000, 30000},
    {"ttl=10s stale-if-error=20s stale-while-revalidate=5s", "$1\r\n1\r\n:-1\r\n", 10000, 30000},
    {"ttl=10s stale-if-error=5s stale-while-revalidate=20s", "$1\r\n1\r\n:-1\r\n", 10000, 30000},
    {"stale-if-error=20s", "$1\r\n1\r\n:5000\r\n", 5000, 25000},
    {"stale-if-error=20s", "$1\r\n1\r\n:-1\r\n", 0, 0},
    {"stale-if-error=20s negative-ttl=1s", "_\r\n:-2\r\n", 1000, 21000},
    {"ttl=10s early-refresh=1", "$1\r\n1\r\n:-1\r\n", 10000, 10000},
    {"ttl=10s mode=observe", "$1\r\n1\r\n:-1\r\n", 10000, 10000},
    {"stale-if-error=20s l2-ttl-factor=2", "$1\r\n1\r\n:5000\r\n", 2500, 22500},
};

START_TEST(test_soft)
{
    set_policy("k", softs[_i].policy);
    struct got *item = fetch("k");
    int64_t sent_ms = loop.clock.mono_ms;
    turns(3);
    upstream_say(softs[_i].replies);
    TURN_UNTIL(&loop, item->n > 0);
    const struct entry *entry = entry_of("k", true);
    ck_assert_ptr_null(entry_of("k", false));
    ck_assert_int_eq(left_ms(entry), softs[_i].left_ms);
    struct entry_soft soft = entry_soft_of(entry);
    ck_assert_int_eq((int64_t)soft.fresh_until_ms,
                     softs[_i].fresh_ms == 0 ? 0 : sent_ms + softs[_i].fresh_ms);
    ck_assert_uint_eq(soft.epoch, tier_epoch(tier));
    uint16_t id;
    policy_find(tier_policies(tier), BYTES("k"), &id);
    ck_assert_uint_eq(soft.policy, id);
    /* TTL must not take the entry's deadline for L2's. */
    ck_assert_uint_eq(entry->flags & (ENTRY_SOFT | ENTRY_CAPPED), ENTRY_SOFT | ENTRY_CAPPED);
}
END_TEST

/* The key's own time counts from the sending; the cost from there to the reply, where a cap ends it. */
START_TEST(test_cost)
{
    static const struct {
        const char *policy;
        unsigned cost_ms;
        int64_t fresh_ms; /* from the sending */
    } rows[] = {{"early-refresh=1", 0, 1000}, {"early-refresh=1 ttl=100ms", 70, 170}};
    set_policy("k", rows[_i].policy);
    struct got *item = fetch("k");
    int64_t sent_ms = loop.clock.mono_ms;
    turns(3);
    clock_advance(&loop.clock, 70);
    upstream_say("$1\r\n1\r\n:1000\r\n");
    assert_got(item, TIER_STRING, "1");
    struct entry_soft soft = entry_soft_of(entry_of("k", true));
    ck_assert_uint_eq(soft.cost_ms, rows[_i].cost_ms);
    ck_assert_int_eq((int64_t)soft.fresh_until_ms, sent_ms + rows[_i].fresh_ms);
}
END_TEST

/* Times that no Redis tells do not overflow. */
START_TEST(test_soft_for_very_long)
{
    set_policy("k", "stale-if-error=3650d");
    fetch_saying("k", "$1\r\n1\r\n:9223372036854775807\r\n", TIER_STRING, "1");
    ck_assert_str_eq(read_key("k"), "1");
    clock_advance(&loop.clock, INT64_C(3650) * 86400 * 1000);
    ck_assert_str_eq(read_key("k"), "1");
}
END_TEST

/* The clients' database is the fetch's. */
START_TEST(test_soft_databases)
{
    set_policy("k", "stale-if-error=20s");
    fill_in(3, "k", "3", "+OK\r\n");
    ck_assert_uint_eq(n_in(reply_dbs_strings(N_DBS, 3, true)), 1);
    ck_assert_str_eq(l1_in(3, "k"), "3");
    ck_assert_str_eq(l1_in(0, "k"), "(none)");
    ck_assert_str_eq(l1_in(2, "k"), "(none)");
}
END_TEST

/* Without tracking nothing but the cap ends an entry: without one nothing is kept, soft or not. */
START_TEST(test_untracked)
{
    tier_tear_down();
    soft_start(false);
    set_policy("k", "stale-if-error=20s");
    fetch_saying("k", "$1\r\n1\r\n:-1\r\n", TIER_STRING, "1");
    ck_assert_str_eq(l1("k"), "(none)");
    set_policy("k", "negative-ttl=1s");
    fetch_saying("k", "$1\r\n1\r\n:-1\r\n", TIER_STRING, "1");
    ck_assert_str_eq(l1("k"), "(none)");
    fetch_saying("k", "_\r\n:-2\r\n", TIER_ABSENT, "");
    ck_assert_str_eq(l1("k"), "(absent)");
    set_policy("k", "ttl=1s");
    fill("k", "1");
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, test_caps, 0, N(caps));
    tcase_add_test(tcase, test_too_big_is_counted);
    tcase_add_test(tcase, test_default_and_prefix);
    tcase_add_loop_test(tcase, test_jitter, 0, N(jitters));
    tcase_add_loop_test(tcase, test_no_jitter, 0, N(steady));
    tcase_add_loop_test(tcase, test_soft, 0, N(softs));
    tcase_add_loop_test(tcase, test_cost, 0, 2);
    tcase_add_test(tcase, test_soft_for_very_long);
    tcase_add_test(tcase, test_soft_databases);
    tcase_add_test(tcase, test_untracked);
}

int main(void)
{
    return soft_run("tier_fill", add_tests);
}
