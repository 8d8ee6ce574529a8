/* Early refreshes (src/tier/stale.c), by XFetch: the later, and the dearer the fetch was, the likelier.
 * The seed is fixed, so that the draws are the same in every run; bounds are far wider than chance. */
#include "soft_support.h"

#define DRAWS 20000
#define COST_MS 100
#define FRESH_MS 100000

/* Draws lots for an entry that has so much time left; how often in DRAWS it is to be fetched anew. */
static unsigned draw(int64_t left_ms, unsigned cost_ms, bool can_ask)
{
    struct shelf shelf = stale_shelf(tier, BYTES("k"));
    struct entry_soft soft = {
        .fresh_until_ms = (uint64_t)(loop.clock.mono_ms + left_ms) & ((UINT64_C(1) << 48) - 1),
        .policy = shelf.policy_id,
        .epoch = tier_epoch(tier),
        .cost_ms = cost_ms,
    };
    unsigned n = 0;
    for (unsigned i = 0; i < DRAWS; i++) {
        enum verdict verdict = stale_judge(tier, &soft, &shelf, can_ask);
        n += verdict == VERDICT_REFRESH;
        if (verdict != VERDICT_REFRESH && verdict != VERDICT_FRESH)
            ck_abort_msg("neither fresh nor to be fetched: %d", verdict);
    }
    return n;
}

/* A lot is at most `share` of DRAWS with a standard deviation below 71: nine of them either way. */
static void assert_share(unsigned n, double share)
{
    ck_assert_msg(n > DRAWS * share - 640 && n < DRAWS * share + 640, "%u draws for %g", n, share);
}

/* exp(-left / (cost * beta)) */
START_TEST(test_likelihood)
{
    set_policy("k", "ttl=100s early-refresh=1");
    assert_share(draw(COST_MS, COST_MS, true), 0.3679);
    assert_share(draw(2 * COST_MS, COST_MS, true), 0.1353);
    assert_share(draw(COST_MS / 10, COST_MS, true), 0.9048);
    assert_share(draw(COST_MS, 2 * COST_MS, true), 0.6065);
    set_policy("k", "early-refresh=2");
    assert_share(draw(COST_MS, COST_MS, true), 0.6065);
    set_policy("k", "early-refresh=0.5");
    assert_share(draw(COST_MS, COST_MS, true), 0.1353);
}
END_TEST

START_TEST(test_grows_towards_the_end)
{
    set_policy("k", "ttl=100s early-refresh=1");
    unsigned before = 0;
    for (int64_t left_ms = 5 * COST_MS; left_ms > 0; left_ms -= COST_MS) {
        unsigned n = draw(left_ms, COST_MS, true);
        ck_assert_uint_gt(n, before);
        before = n;
    }
    ck_assert_uint_eq(draw(46 * COST_MS, COST_MS, true), 0); /* no lot is that high */
    ck_assert_uint_eq(draw(FRESH_MS, COST_MS, true), 0);
    ck_assert_uint_eq(draw(20 * COST_MS, COST_MS, true), 0); /* 2e-9 */
}
END_TEST

/* Without a cost, what ends is the key itself, and reading it early brings nothing. */
START_TEST(test_without_cost)
{
    set_policy("k", "ttl=100s early-refresh=1");
    ck_assert_uint_eq(draw(1, 0, true), 0);
}
END_TEST

START_TEST(test_never)
{
    set_policy("k", "ttl=100s early-refresh=1");
    ck_assert_uint_eq(draw(1, COST_MS, false), 0); /* L2 can't be asked */
    set_policy("k", "early-refresh=0 stale-if-error=1s");
    ck_assert_uint_eq(draw(1, COST_MS, true), 0);
}
END_TEST

/* What has no end is never fetched anew, as long as its link lives. */
START_TEST(test_without_end)
{
    set_policy("k", "ttl=0 early-refresh=100");
    fill("k", "1");
    uint64_t n_fetches = counters().fetches;
    for (unsigned i = 0; i < 1000; i++)
        ck_assert_str_eq(read_key("k"), "1");
    ck_assert_uint_eq(counters().fetches, n_fetches);
}
END_TEST

/* The reader who draws it gets the value that is there; one fetch, however many draw it. */
START_TEST(test_refresh)
{
    set_policy("k", "ttl=100s early-refresh=1");
    struct got *item = fetch("k");
    turns(3);
    clock_advance(&loop.clock, COST_MS);
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(item, TIER_STRING, "1");
    upstream.said.len = 0;
    clock_advance(&loop.clock, FRESH_MS - 50 * COST_MS);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_str_eq(read_key("k"), "1");
    upstream_expect("");
    clock_advance(&loop.clock, 50 * COST_MS - 1);
    for (unsigned i = 0; i < 100; i++)
        ck_assert_str_eq(read_key("k"), "1");
    upstream_expect("GET k; PTTL k");
    ck_assert_uint_gt(counters().early_refreshes, 0);
    ck_assert_uint_eq(counters().stale_while_revalidate, 0);
    ck_assert_uint_eq(counters().hits, 200);
    upstream_say("$1\r\n2\r\n:-1\r\n");
    TURN_UNTIL(&loop, tier_fetches_in_flight(tier) == 0);
    ck_assert_str_eq(read_key("k"), "2");
    upstream_expect("");
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_likelihood);
    tcase_add_test(tcase, test_grows_towards_the_end);
    tcase_add_test(tcase, test_without_cost);
    tcase_add_test(tcase, test_never);
    tcase_add_test(tcase, test_without_end);
    tcase_add_test(tcase, test_refresh);
}

int main(void)
{
    return soft_run("stale_early", add_tests);
}
