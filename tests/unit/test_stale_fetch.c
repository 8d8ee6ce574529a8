/* What ends a stale string (src/tier/stale.c, tier_fill.c, tier_drop.c), and what is answered in the
 * place of an error (tier_fetch.c). */
#include "soft_support.h"

#define BOTH "ttl=10s stale-while-revalidate=1h stale-if-error=1h"
#define FRESH_MS 10000

/* A stale "1" in databases 0 and 2, and a fresh "2" of a key without stale answers. */
static void make_stale(void)
{
    set_policy("k", BOTH);
    fill("k", "1");
    fill_in(2, "k", "1", "+OK\r\n");
    clock_advance(&loop.clock, FRESH_MS);
    fill_in(2, "other", "2", "");
    ck_assert_str_eq(l1("k"), "1");
    ck_assert_str_eq(l1_in(2, "k"), "1");
}

/* What is known to have changed is never answered */

START_TEST(test_own_write)
{
    make_stale();
    struct got *item = write_key("k");
    ck_assert_str_eq(read_key("k"), "(none)"); /* before it is sent */
    ck_assert_str_eq(l1_in(2, "k"), "1");
    turns(3);
    upstream_say("+OK\r\n+OK\r\n"); /* of SELECT, too */
    assert_wrote(item, "+OK\r\n");
    ck_assert_str_eq(l1("k"), "(none)");
    ck_assert_uint_eq(counters().dropped_by_write, 1);
}
END_TEST

/* Nor when the write's reply never comes. */
START_TEST(test_own_write_is_lost)
{
    make_stale();
    struct got *item = write_key("k");
    turns(3);
    lose_link();
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert_str_eq(read_in(2, "k"), "1");
}
END_TEST

START_TEST(test_push)
{
    make_stale();
    upstream_say(PUSH("1", "k"));
    TURN_UNTIL(&loop, counters().invalidated > 0);
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert_str_eq(read_in(2, "k"), "(none)");
    ck_assert_str_eq(read_in(2, "other"), "2");
    ck_assert_uint_eq(counters().invalidated, 2);
}
END_TEST

START_TEST(test_push_of_everything)
{
    make_stale();
    upstream_say(PUSH_ALL);
    TURN_UNTIL(&loop, counters().flushes_push > 0);
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert_str_eq(read_in(2, "k"), "(none)");
    ck_assert_str_eq(l1_in(2, "other"), "(none)");
}
END_TEST

START_TEST(test_flush_of_a_database)
{
    make_stale();
    write_in(2, TIER_DATABASE, "k");
    ck_assert_str_eq(read_key("k"), "1");
    ck_assert_str_eq(read_in(2, "k"), "(none)");
    ck_assert_str_eq(l1_in(2, "other"), "(none)");
    turns(3);
    lose_link();
}
END_TEST

START_TEST(test_flush_of_all)
{
    make_stale();
    write_in(0, TIER_ALL, "k");
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert_str_eq(read_in(2, "k"), "(none)");
    turns(3);
    lose_link();
}
END_TEST

START_TEST(test_dropped_by_command)
{
    make_stale();
    ck_assert(tier_drop(tier, 0, BYTES("k")));
    ck_assert_str_eq(read_key("k"), "(none)");
    ck_assert(!tier_drop(tier, 0, BYTES("k")));
    ck_assert_str_eq(l1_in(2, "k"), "1");
    tier_drop_everywhere(tier, BYTES("k"));
    ck_assert_str_eq(l1_in(2, "k"), "(none)");
    fill_in(2, "k", "1", "");
    ck_assert_uint_eq(tier_drop_all(tier), 2); /* and "other" */
    ck_assert_str_eq(l1_in(2, "k"), "(none)");
}
END_TEST

START_TEST(test_l1_switched_off)
{
    make_stale();
    tier_options_now.l1_enabled = false;
    tier_configure(tier, &tier_options_now);
    tier_options_now.l1_enabled = true;
    tier_configure(tier, &tier_options_now);
    ck_assert_str_eq(l1("k"), "(none)");
    ck_assert_str_eq(l1_in(2, "k"), "(none)");
}
END_TEST

/* Refreshes */

/* However many reads there are meanwhile: one fetch. */
START_TEST(test_one_refresh)
{
    make_stale();
    uint64_t n_fetches = counters().fetches;
    for (unsigned i = 0; i < 10; i++)
        ck_assert_str_eq(read_key("k"), "1");
    ck_assert_uint_eq(counters().fetches, n_fetches + 1);
    ck_assert_uint_eq(counters().joins, 0); /* they don't wait for it either */
    ck_assert_uint_eq(counters().stale_while_revalidate, 10);
    ck_assert_uint_eq(counters().hits, 10);
    upstream_expect("SELECT 0; GET k; PTTL k");
    upstream_say("+OK\r\n$1\r\n2\r\n:-1\r\n");
    TURN_UNTIL(&loop, tier_fetches_in_flight(tier) == 0);
    ck_assert_str_eq(read_key("k"), "2");
    ck_assert_uint_eq(counters().stale_while_revalidate, 10); /* that one is fresh */
    ck_assert_str_eq(l1_in(2, "k"), "1");
    ck_assert_uint_eq(n_in(reply_dbs_strings(N_DBS, 0, true)), 1);
}
END_TEST

/* A refresh that brings nothing leaves things as they are, and the next read tries again. It is no
 * answer to anybody, so none is counted. */
START_TEST(test_refresh_fails)
{
    make_stale();
    ck_assert_str_eq(read_key("k"), "1");
    upstream_say("+OK\r\n-LOADING data\r\n-LOADING data\r\n");
    TURN_UNTIL(&loop, tier_fetches_in_flight(tier) == 0);
    turns(3);
    ck_assert_uint_eq(counters().stale_if_error, 0);
    uint64_t n_fetches = counters().fetches;
    ck_assert_str_eq(read_key("k"), "1");
    ck_assert_uint_eq(counters().fetches, n_fetches + 1);
}
END_TEST

/* The value of a refresh is newer than the stale one, also when the link is lost before PTTL's reply:
 * who has seen it never sees the old one again. */
START_TEST(test_lost_between_the_two_replies)
{
    make_stale();
    renew_link();
    struct got *item = fetch("k");
    turns(3);
    upstream_say("$1\r\n2\r\n");
    turns(3);
    lose_link();
    assert_got(item, TIER_STRING, "2");
    ck_assert_str_eq(read_key("k"), "(none)");
}
END_TEST

/* Definite answers */

static const struct {
    const char *policy; /* beside BOTH */
    const char *replies;
    enum tier_answer answer;
    const char *text;
    const char *left; /* in L1 */
} answers[] = {
    {"max-item=0", "$1\r\n2\r\n:-1\r\n", TIER_STRING, "2", "2"},
    {"max-item=0", "_\r\n:-2\r\n", TIER_ABSENT, "", "(absent)"},
    {"negative-ttl=0", "_\r\n:-2\r\n", TIER_ABSENT, "", "(none)"},
    {"max-item=1", "$2\r\n22\r\n:-1\r\n", TIER_STRING, "22", "(none)"},
    {"max-item=0", "-WRONGTYPE no\r\n:-1\r\n", TIER_ERROR, "-WRONGTYPE no\r\n", "(none)"},
    {"max-item=0", "-NOPERM no\r\n-NOPERM no\r\n", TIER_ERROR, "-NOPERM no\r\n", "(none)"},
    {"max-item=0", "$1\r\n2\r\n:-2\r\n", TIER_STRING, "2", "(none)"},
    {"max-item=0", "_\r\n:-1\r\n", TIER_ABSENT, "", "(none)"},
    {"max-item=0", "$1\r\n2\r\n-ERR no\r\n", TIER_STRING, "2", "(none)"},
    {"max-item=0", "$1\r\n2\r\n" PUSH("1", "k") ":-1\r\n", TIER_STRING, "2", "(none)"},
    /* Errors that pass say nothing, and the old value is better than they are. */
    {"max-item=0", "-LOADING a\r\n-LOADING a\r\n", TIER_STRING, "1", "1"},
    {"max-item=0", "-BUSY a\r\n-BUSY a\r\n", TIER_STRING, "1", "1"},
    {"max-item=0", "-MASTERDOWN a\r\n-MASTERDOWN a\r\n", TIER_STRING, "1", "1"},
    {"max-item=0", "-CLUSTERDOWN a\r\n-CLUSTERDOWN a\r\n", TIER_STRING, "1", "1"},
    {"max-item=0", "-TRYAGAIN a\r\n-TRYAGAIN a\r\n", TIER_STRING, "1", "1"},
    /* They are whole words. */
    {"max-item=0", "-BUSYKEY a\r\n:-1\r\n", TIER_ERROR, "-BUSYKEY a\r\n", "(none)"},
    {"max-item=0", "-ERR LOADING \r\n:-1\r\n", TIER_ERROR, "-ERR LOADING \r\n", "(none)"},
};

START_TEST(test_answers)
{
    set_policy("k", BOTH);
    set_policy("k", answers[_i].policy);
    fill("k", "1");
    clock_advance(&loop.clock, FRESH_MS);
    fetch_saying("k", answers[_i].replies, answers[_i].answer, answers[_i].text);
    ck_assert_str_eq(l1("k"), answers[_i].left);
}
END_TEST

/* The same after a loss, when no push can tell. */
START_TEST(test_answers_on_the_next_link)
{
    set_policy("k", BOTH);
    set_policy("k", answers[_i].policy);
    fill("k", "1");
    renew_link();
    fetch_saying("k", answers[_i].replies, answers[_i].answer, answers[_i].text);
    ck_assert_str_eq(l1("k"), answers[_i].left);
}
END_TEST

/* In the place of errors */

START_TEST(test_rescue_counts_answers)
{
    make_stale();
    lose_link();
    struct got *items[3];
    for (unsigned i = 0; i < 3; i++)
        items[i] = fetch("k"); /* refused, each by itself */
    for (unsigned i = 0; i < 3; i++)
        assert_got(items[i], TIER_STRING, "1");
    ck_assert_uint_eq(counters().stale_if_error, 3);
}
END_TEST

START_TEST(test_rescue_of_joiners)
{
    make_stale();
    struct got *items[3];
    for (unsigned i = 0; i < 3; i++)
        items[i] = fetch("k");
    upstream_say("+OK\r\n-LOADING a\r\n-LOADING a\r\n");
    for (unsigned i = 0; i < 3; i++)
        assert_got(items[i], TIER_STRING, "1");
    ck_assert_uint_eq(counters().stale_if_error, 3);
}
END_TEST

START_TEST(test_rescue_of_the_absent)
{
    set_policy("k", BOTH);
    fetch_saying("k", "_\r\n:-2\r\n", TIER_ABSENT, "");
    lose_link();
    assert_got(fetch("k"), TIER_ABSENT, "");
    ck_assert_uint_eq(counters().stale_if_error, 1);
    ck_assert_uint_eq(counters().failed_as_missing, 0);
}
END_TEST

START_TEST(test_rescue_only_in_its_time)
{
    set_policy("k", "ttl=10s stale-if-error=10s stale-while-revalidate=1h");
    fill("k", "1");
    clock_advance(&loop.clock, 20000);
    fetch_saying("k", "-LOADING a\r\n-LOADING a\r\n", TIER_ERROR, "-LOADING a\r\n");
    ck_assert_uint_eq(counters().stale_if_error, 0);
}
END_TEST

START_TEST(test_time_out_is_rescued)
{
    make_stale();
    struct got *item = fetch("k");
    turns(3);
    pass_ms(TIMEOUT_MS + 1);
    assert_got(item, TIER_STRING, "1");
    ck_assert_uint_eq(counters().stale_if_error, 1);
}
END_TEST

/* upstream-fail-mode miss: what can't be asked is missing; a definite error is one. */
START_TEST(test_fail_mode_miss)
{
    tier_options_now.fail_mode = TIER_FAIL_MISS;
    tier_configure(tier, &tier_options_now);
    fetch_saying("a", "-WRONGTYPE no\r\n:-1\r\n", TIER_ERROR, "-WRONGTYPE no\r\n");
    struct got *first = fetch("a");
    struct got *second = fetch("a");
    upstream_say("-LOADING a\r\n-LOADING a\r\n");
    assert_got(first, TIER_ABSENT, "");
    assert_got(second, TIER_ABSENT, "");
    ck_assert_uint_eq(counters().failed_as_missing, 2);
    ck_assert_str_eq(l1("a"), "(none)"); /* and that is not kept */
    make_stale();
    lose_link();
    assert_got(fetch("k"), TIER_STRING, "1"); /* a stale value is better */
    assert_got(fetch("b"), TIER_ABSENT, "");
    ck_assert_uint_eq(counters().failed_as_missing, 3);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_own_write);
    tcase_add_test(tcase, test_own_write_is_lost);
    tcase_add_test(tcase, test_push);
    tcase_add_test(tcase, test_push_of_everything);
    tcase_add_test(tcase, test_flush_of_a_database);
    tcase_add_test(tcase, test_flush_of_all);
    tcase_add_test(tcase, test_dropped_by_command);
    tcase_add_test(tcase, test_l1_switched_off);
    tcase_add_test(tcase, test_one_refresh);
    tcase_add_test(tcase, test_refresh_fails);
    tcase_add_test(tcase, test_lost_between_the_two_replies);
    tcase_add_loop_test(tcase, test_answers, 0, N(answers));
    tcase_add_loop_test(tcase, test_answers_on_the_next_link, 0, N(answers));
    tcase_add_test(tcase, test_rescue_counts_answers);
    tcase_add_test(tcase, test_rescue_of_joiners);
    tcase_add_test(tcase, test_rescue_of_the_absent);
    tcase_add_test(tcase, test_rescue_only_in_its_time);
    tcase_add_test(tcase, test_time_out_is_rescued);
    tcase_add_test(tcase, test_fail_mode_miss);
}

int main(void)
{
    return soft_run("stale_fetch", add_tests);
}
