/* Strings that may be answered when they are no longer fresh (src/tier/stale.c): how long, after what,
 * and what ends it. What fetches do to them is in test_stale_fetch.c, early refreshes in
 * test_stale_early.c, replies in test_stale_reply.c. */
#include "soft_support.h"

#define SWR "ttl=10s stale-while-revalidate=20s"
#define SIE "ttl=10s stale-if-error=20s"
#define BOTH "ttl=10s stale-while-revalidate=20s stale-if-error=40s"
#define NEITHER "ttl=10s"

#define FRESH_MS 10000

/* By time: under a policy, so long after the fill, with the link up or down, what a read gets. */
static const struct {
    const char *policy;
    int64_t at_ms;
    bool is_down; /* from right before the read */
    const char *found;
    unsigned n_swr, n_sie, n_fetches; /* because of the read */
} times[] = {
    {SWR, 0, false, "1", 0, 0, 0},
    {SWR, FRESH_MS - 1, false, "1", 0, 0, 0},
    {SWR, FRESH_MS, false, "1", 1, 0, 1},
    {SWR, FRESH_MS + 19999, false, "1", 1, 0, 1},
    {SWR, FRESH_MS + 20000, false, "(none)", 0, 0, 0},
    {SWR, 0, true, "(none)", 0, 0, 0}, /* L2 can't be asked, and the rule is another one */
    {SWR, FRESH_MS, true, "(none)", 0, 0, 0},
    {SIE, FRESH_MS - 1, false, "1", 0, 0, 0},
    {SIE, FRESH_MS, false, "(none)", 0, 0, 0},
    {SIE, 0, true, "1", 0, 1, 0},
    {SIE, FRESH_MS + 19999, true, "1", 0, 1, 0},
    {SIE, FRESH_MS + 20000, true, "(none)", 0, 0, 0},
    {BOTH, FRESH_MS + 19999, false, "1", 1, 0, 1},
    {BOTH, FRESH_MS + 20000, false, "(none)", 0, 0, 0},
    {BOTH, FRESH_MS + 20000, true, "1", 0, 1, 0},
    {BOTH, FRESH_MS + 39999, true, "1", 0, 1, 0},
    {BOTH, FRESH_MS + 40000, true, "(none)", 0, 0, 0},
    {NEITHER, FRESH_MS - 1, false, "1", 0, 0, 0},
    {NEITHER, FRESH_MS, false, "(none)", 0, 0, 0},
    {NEITHER, 0, true, "(none)", 0, 0, 0},
};

START_TEST(test_times)
{
    set_policy("k", times[_i].policy);
    set_policy("other", SWR); /* so that lookups are by policy in any case */
    fill("k", "1");
    uint64_t n_fetches = counters().fetches;
    clock_advance(&loop.clock, times[_i].at_ms);
    if (times[_i].is_down)
        lose_link();
    ck_assert_str_eq(read_key("k"), times[_i].found);
    bool is_hit = strcmp(times[_i].found, "(none)") != 0;
    ck_assert_uint_eq(counters().hits, is_hit);
    ck_assert_uint_eq(counters().misses, !is_hit);
    ck_assert_uint_eq(counters().stale_while_revalidate, times[_i].n_swr);
    ck_assert_uint_eq(counters().stale_if_error, times[_i].n_sie);
    ck_assert_uint_eq(counters().fetches - n_fetches, times[_i].n_fetches);
}
END_TEST

/* What a peek and a look at the remaining time see is what a read would get. */
START_TEST(test_peeks_see_the_same)
{
    set_policy("k", SWR);
    fill("k", "1");
    clock_advance(&loop.clock, FRESH_MS);
    uint64_t n_fetches = counters().fetches;
    ck_assert_str_eq(l1("k"), "1");
    ck_assert_uint_eq(counters().fetches, n_fetches); /* and starts nothing */
    ck_assert_uint_eq(counters().stale_while_revalidate, 0);
    ck_assert_ptr_nonnull(tier_find_untouched(tier, 0, BYTES("k"), hash_of("k")));
    ck_assert_uint_eq(counters().fetches, n_fetches + 1);
    ck_assert_uint_eq(counters().stale_while_revalidate, 1);
    clock_advance(&loop.clock, 20000);
    ck_assert_str_eq(l1("k"), "(none)");
    ck_assert_ptr_null(tier_find_untouched(tier, 0, BYTES("k"), hash_of("k")));
}
END_TEST

/* The loss of the link */

/* Stale from the moment of the loss, not from the end of its time. */
START_TEST(test_stale_since_the_loss)
{
    set_policy("k", "ttl=1h stale-while-revalidate=20s stale-if-error=20s");
    fill("k", "1");
    clock_advance(&loop.clock, 5000);
    renew_link(); /* 20 ms later, and up for 20 ms */
    ck_assert_str_eq(read_key("k"), "1");
    ck_assert_uint_eq(counters().stale_while_revalidate, 1);
    clock_advance(&loop.clock, 20000 - 40 - 1);
    ck_assert_str_eq(read_key("k"), "1");
    clock_advance(&loop.clock, 1);
    ck_assert_str_eq(read_key("k"), "(none)");
}
END_TEST

/* A value whose time was over before the loss is stale since then. */
START_TEST(test_stale_since_its_end)
{
    set_policy("k", BOTH);
    fill("k", "1");
    clock_advance(&loop.clock, FRESH_MS + 15000);
    renew_link();
    ck_assert_str_eq(read_key("k"), "1");
    clock_advance(&loop.clock, 5000 - 40);
    ck_assert_str_eq(read_key("k"), "(none)");
    clock_advance(&loop.clock, 15000);
    lose_link();
    ck_assert_str_eq(read_key("k"), "1");
    clock_advance(&loop.clock, 5000);
    ck_assert_str_eq(read_key("k"), "(none)");
}
END_TEST

/* Without any end of its own, too; and it is not fresh again when the link is back. */
START_TEST(test_no_end_but_the_loss)
{
    set_policy("k", "stale-if-error=20s");
    fill("k", "1");
    clock_advance(&loop.clock, 3600000);
    ck_assert_str_eq(read_key("k"), "1");
    renew_link();
    ck_assert_str_eq(read_key("k"), "(none)");
    lose_link();
    ck_assert_str_eq(read_key("k"), "1");
    clock_advance(&loop.clock, 20000 - 40);
    ck_assert_str_eq(read_key("k"), "(none)");
}
END_TEST

/* Each entry counts from the loss of its own link, as far as that is known. */
START_TEST(test_many_losses)
{
    set_policy("k", "stale-while-revalidate=1d");
    fill("k0", "1");
    for (unsigned i = 1; i <= TIER_EPOCHS; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%u", i);
        renew_link();
        ck_assert_str_eq(l1("k0"), "1");
        fill(key, "1");
    }
    renew_link();
    ck_assert_str_eq(l1("k0"), "(none)"); /* lost too often since */
    ck_assert_str_eq(l1("k1"), "1");
    ck_assert_str_eq(l1("k16"), "1");
    renew_link();
    ck_assert_str_eq(l1("k1"), "(none)");
    ck_assert_str_eq(l1("k2"), "1");
}
END_TEST

START_TEST(test_many_losses_have_many_times)
{
    set_policy("k", "stale-while-revalidate=100s");
    fill("ka", "1");
    renew_link();
    fill("kb", "1");
    clock_advance(&loop.clock, 60000);
    renew_link();
    fill("kc", "1");
    clock_advance(&loop.clock, 30000);
    ck_assert_str_eq(l1("ka"), "1");
    clock_advance(&loop.clock, 10000);
    ck_assert_str_eq(l1("ka"), "(none)");
    ck_assert_str_eq(l1("kb"), "1");
    clock_advance(&loop.clock, 60000);
    ck_assert_str_eq(l1("kb"), "(none)");
    ck_assert_str_eq(read_key("kc"), "1");
    ck_assert_uint_eq(counters().stale_while_revalidate, 0); /* its link is still up */
}
END_TEST

/* Hard entries know no such thing. */
START_TEST(test_others_go_with_the_link)
{
    set_policy("k", SWR);
    fill("k", "1");
    fill("h", "1");
    fill_in(2, "h", "2", "+OK\r\n");
    renew_link();
    ck_assert_str_eq(l1("k"), "1");
    ck_assert_str_eq(l1("h"), "(none)");
    ck_assert_str_eq(l1_in(2, "h"), "(none)");
    ck_assert_uint_eq(n_in(reply_dbs_strings(N_DBS, 2, false)), 0);
}
END_TEST

/* While the link is on its way up a read waits for it; when that fails it gets the stale value. */
START_TEST(test_while_connecting)
{
    set_policy("k", SIE);
    fill("k", "1");
    upstream_hang_up();
    upstream_stop_listening();
    TURN_UNTIL(&loop, counters().flushes_link > 0);
    struct got *item = fetch("k");
    assert_got(item, TIER_STRING, "1");
    ck_assert_uint_eq(counters().stale_if_error, 1);
}
END_TEST

/* Policies */

START_TEST(test_policy_changed)
{
    set_policy("k", SWR);
    fill("k", "1");
    set_policy("k", "ttl=10s"); /* says the same again */
    ck_assert_str_eq(read_key("k"), "1");
    set_policy("k", "stale-while-revalidate=30s");
    ck_assert_str_eq(read_key("k"), "(none)");
    set_policy("k", "stale-while-revalidate=20s"); /* as before, and yet another one */
    ck_assert_str_eq(read_key("k"), "(none)");
    set_policy("ka", SWR);
    fill("ka", "1");
    set_policy("ka", "ttl=default stale-while-revalidate=default");
    ck_assert_str_eq(read_key("ka"), "(none)");
    ck_assert_str_eq(l1("ka"), "(none)");
}
END_TEST

START_TEST(test_observe)
{
    set_policy("k", "mode=observe ttl=10s");
    fetch_saying("k", "$1\r\n1\r\n:-1\r\n", TIER_STRING, "1");
    ck_assert_uint_eq(counters().fills, 1);
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert_ptr_null(tier_find_untouched(tier, 0, BYTES("k"), hash_of("k")));
    ck_assert_str_eq(l1("k"), "(none)");
    ck_assert_uint_eq(counters().observed_hits, 2); /* a peek is none */
    ck_assert_uint_eq(counters().misses, 2);
    clock_advance(&loop.clock, FRESH_MS);
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert_uint_eq(counters().observed_hits, 2);
    set_policy("k", "stale-while-revalidate=1h");
    fetch_saying("k", "$1\r\n1\r\n:-1\r\n", TIER_STRING, "1");
    clock_advance(&loop.clock, FRESH_MS);
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert_uint_eq(counters().observed_hits, 2); /* nor is what is stale */
    upstream_expect("");
}
END_TEST

/* What is observed is never answered, not even in place of an error. */
START_TEST(test_observe_does_not_rescue)
{
    set_policy("k", "mode=observe stale-if-error=1h");
    fetch_saying("k", "$1\r\n1\r\n:-1\r\n", TIER_STRING, "1");
    fetch_saying("k", "-LOADING data\r\n-LOADING data\r\n", TIER_ERROR, "-LOADING data\r\n");
    ck_assert_uint_eq(counters().stale_if_error, 0);
}
END_TEST

START_TEST(test_deny)
{
    set_policy("k", "mode=deny stale-if-error=1h");
    fetch_saying("k", "$1\r\n1\r\n:-1\r\n", TIER_STRING, "1");
    ck_assert_uint_eq(counters().fills, 0);
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert_str_eq(l1("k"), "(none)");
    ck_assert_uint_eq(counters().denied, 1); /* a peek is none */
    ck_assert_uint_eq(n_in(reply_dbs_strings(N_DBS, 0, true)), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, test_times, 0, N(times));
    tcase_add_test(tcase, test_peeks_see_the_same);
    tcase_add_test(tcase, test_stale_since_the_loss);
    tcase_add_test(tcase, test_stale_since_its_end);
    tcase_add_test(tcase, test_no_end_but_the_loss);
    tcase_add_test(tcase, test_many_losses);
    tcase_add_test(tcase, test_many_losses_have_many_times);
    tcase_add_test(tcase, test_others_go_with_the_link);
    tcase_add_test(tcase, test_while_connecting);
    tcase_add_test(tcase, test_policy_changed);
    tcase_add_test(tcase, test_observe);
    tcase_add_test(tcase, test_observe_does_not_rescue);
    tcase_add_test(tcase, test_deny);
}

int main(void)
{
    return soft_run("stale", add_tests);
}
