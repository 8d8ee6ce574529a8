/* Coherence of fetches (src/tier/tier_fetch.c): every rule that doc/design.md lists for them,
 * against an upstream that says what it wants when it wants. */
#include "tier_support.h"

/* Pushes */

/* Each with what L1 has afterwards of "a", whose value is 1. */
static const struct {
    const char *replies;
    const char *l1;
} pushes[] = {
    {"$1\r\n1\r\n" PUSH("1", "a") ":-1\r\n", "(none)"},
    {"$1\r\n1\r\n:-1\r\n" PUSH("1", "a"), "(none)"},
    {PUSH("1", "a") "$1\r\n1\r\n:-1\r\n", "1"},
    {PUSH("1", "a") "$1\r\n1\r\n" PUSH("1", "a") ":-1\r\n", "(none)"},
    {"$1\r\n1\r\n" PUSH("1", "b") ":-1\r\n", "1"},
    {"$1\r\n1\r\n" PUSH("2", "aa") ":-1\r\n", "1"},
    {"$1\r\n1\r\n>2\r\n$10\r\ninvalidate\r\n*3\r\n$1\r\nx\r\n$1\r\na\r\n$1\r\ny\r\n:-1\r\n",
     "(none)"},
    {"$1\r\n1\r\n" PUSH_ALL ":-1\r\n", "(none)"},
    {"$1\r\n1\r\n:-1\r\n" PUSH_ALL, "(none)"},
    {PUSH_ALL "$1\r\n1\r\n:-1\r\n", "1"},
    {"$1\r\n1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n:-1\r\n", "1"},
};

START_TEST(test_pushes)
{
    struct got *item = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say(pushes[_i].replies);
    assert_got(item, TIER_STRING, "1"); /* whoever waits gets what was there when it asked */
    turns(3);
    ck_assert_str_eq(l1("a"), pushes[_i].l1);
    ck_assert_uint_eq(tier_fetches_in_flight(tier), 0);
}
END_TEST

/* The same in pieces: a fetch that a push has doomed is not joined any more. */
START_TEST(test_doomed_is_not_joined)
{
    struct got *first = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say("$1\r\n1\r\n" PUSH("1", "a"));
    turns(3);
    struct got *second = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say(":-1\r\n$1\r\n2\r\n:-1\r\n");
    assert_got(first, TIER_STRING, "1");
    assert_got(second, TIER_STRING, "2");
    ck_assert_str_eq(l1("a"), "2");
    ck_assert_uint_eq(counters().fills_doomed_by_push, 1);
}
END_TEST

START_TEST(test_push_drops_in_every_database)
{
    fill("a", "1");
    fill_in(3, "a", "2", "+OK\r\n");
    fill_in(3, "b", "3", "");
    upstream_say(PUSH("1", "a"));
    TURN_UNTIL(&loop, counters().invalidated > 0);
    ck_assert_str_eq(l1_in(0, "a"), "(none)");
    ck_assert_str_eq(l1_in(3, "a"), "(none)");
    ck_assert_str_eq(l1_in(3, "b"), "3");
    ck_assert_uint_eq(counters().invalidated, 2);
}
END_TEST

START_TEST(test_null_push_flushes)
{
    fill("a", "1");
    fill_in(3, "b", "2", "+OK\r\n");
    struct got *with_value = fetch_in(3, "c");
    struct got *without = fetch_in(3, "d");
    upstream_say("$1\r\n3\r\n" PUSH_ALL);
    turns(3);
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_str_eq(l1_in(3, "b"), "(none)");
    upstream_say(":-1\r\n$1\r\n4\r\n:-1\r\n");
    assert_got(with_value, TIER_STRING, "3");
    assert_got(without, TIER_STRING, "4");
    ck_assert_str_eq(l1_in(3, "c"), "(none)");
    ck_assert_str_eq(l1_in(3, "d"), "4");
    ck_assert_uint_eq(counters().flushes_push, 1);
}
END_TEST

/* Single flight */

START_TEST(test_joiners_share_a_fetch)
{
    struct got *items[20];
    for (int i = 0; i < 10; i++)
        items[i] = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say(PUSH("1", "a")); /* older than the value */
    turns(3);
    for (int i = 10; i < 15; i++)
        items[i] = fetch("a");
    upstream_say("$1\r\n1\r\n");
    turns(3);
    for (int i = 15; i < 20; i++)
        items[i] = fetch("a");
    upstream_expect("");
    upstream_say(":-1\r\n");
    for (int i = 0; i < 20; i++)
        assert_got(items[i], TIER_STRING, "1");
    ck_assert_uint_eq(counters().fetches, 1);
    ck_assert_uint_eq(counters().joins, 19);
}
END_TEST

/* A key in two databases is two keys. */
START_TEST(test_databases)
{
    struct got *zero = fetch_in(0, "a");
    struct got *three = fetch_in(3, "a");
    struct got *again = fetch_in(3, "b");
    upstream_expect("GET a; PTTL a; SELECT 3; GET a; PTTL a; GET b; PTTL b");
    upstream_say("$1\r\n0\r\n:-1\r\n+OK\r\n$1\r\n3\r\n:-1\r\n_\r\n:-2\r\n");
    assert_got(zero, TIER_STRING, "0");
    assert_got(three, TIER_STRING, "3");
    assert_got(again, TIER_ABSENT, "");
    ck_assert_str_eq(l1_in(0, "a"), "0");
    ck_assert_str_eq(l1_in(3, "a"), "3");
    ck_assert_str_eq(l1_in(0, "b"), "(none)");
    fetch_in(0, "c");
    upstream_expect("SELECT 0; GET c; PTTL c");
    upstream_say("+OK\r\n_\r\n:-2\r\n");
}
END_TEST

struct nested {
    struct got *inner;
    unsigned n;
};

static void fetch_again(void *ctx, enum tier_answer answer, struct bytes bytes)
{
    struct nested *nested = ctx;
    (void)answer;
    (void)bytes;
    nested->n++;
    nested->inner = fetch("a");
}

/* Who asks again when it is answered starts anew. */
START_TEST(test_fetch_inside_an_answer)
{
    struct nested nested = {NULL, 0};
    tier_fetch(tier, 0, BYTES("a"), hash_of("a"), fetch_again, &nested);
    upstream_expect("GET a; PTTL a");
    upstream_say("-ERR no\r\n:-1\r\n");
    upstream_expect("GET a; PTTL a");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(nested.inner, TIER_STRING, "1");
    ck_assert_uint_eq(nested.n, 1);
}
END_TEST

/* Errors, and replies that can't be */

START_TEST(test_errors_are_passed_on)
{
    struct got *first = fetch("a");
    struct got *second = fetch("a");
    upstream_say("-WRONGTYPE of a kind\r\n:-1\r\n");
    assert_got(first, TIER_ERROR, "-WRONGTYPE of a kind\r\n");
    assert_got(second, TIER_ERROR, "-WRONGTYPE of a kind\r\n");
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_uint_eq(counters().fetch_errors, 1);
    ck_assert_int_eq(link_get_state(tier_link(tier)), LINK_READY);
}
END_TEST

static const struct {
    const char *replies;
    enum tier_answer answer;
} impossible[] = {
    {":1\r\n:-1\r\n", TIER_ERROR},
    {"+OK\r\n:-1\r\n", TIER_ERROR},
    {"*1\r\n$1\r\n1\r\n:-1\r\n", TIER_ERROR},
    {"%1\r\n+a\r\n+b\r\n:-1\r\n", TIER_ERROR},
    {"#t\r\n:-1\r\n", TIER_ERROR},
    {",1.5\r\n:-1\r\n", TIER_ERROR},
    {"$1\r\n1\r\n$2\r\n-1\r\n", TIER_STRING},
    {"$1\r\n1\r\n+OK\r\n", TIER_STRING},
    {"$1\r\n1\r\n_\r\n", TIER_STRING},
};

/* Replies and commands may be out of step: nothing that came this way is trusted. */
START_TEST(test_impossible_replies_take_the_link_down)
{
    fill("b", "2");
    struct got *item = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say(impossible[_i].replies);
    TURN_UNTIL(&loop, counters().flushes_link > 0);
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_int_eq(item->answer, impossible[_i].answer);
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_str_eq(l1("b"), "(none)");
}
END_TEST

/* The link */

START_TEST(test_loss_drops_all_and_fails_fetches)
{
    fill("a", "1");
    fill_in(3, "b", "2", "+OK\r\n");
    struct got *with_value = fetch_in(3, "c");
    struct got *without = fetch_in(3, "d");
    upstream_expect("GET c; PTTL c; GET d; PTTL d");
    upstream_say("$1\r\n3\r\n");
    turns(3);
    upstream_hang_up();
    assert_got(with_value, TIER_STRING, "3");
    TURN_UNTIL(&loop, without->n > 0);
    ck_assert_int_eq(without->answer, TIER_ERROR);
    ck_assert_mem_eq(without->text, "-UPSTREAM ", 10);
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_str_eq(l1_in(3, "b"), "(none)");
    ck_assert_str_eq(l1_in(3, "c"), "(none)");
    ck_assert_uint_eq(counters().flushes_link, 1);
    ck_assert_uint_eq(tier_fetches_in_flight(tier), 0);
}
END_TEST

START_TEST(test_silent_link_drops_all)
{
    fill("a", "1");
    struct got *item = fetch("b");
    upstream_expect("GET b; PTTL b");
    pass_ms(TIMEOUT_MS + 10);
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_int_eq(item->answer, TIER_ERROR);
    TURN_UNTIL(&loop, counters().flushes_link > 0);
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* The reply that comes too late fills nothing, whoever has asked meanwhile. */
START_TEST(test_late_reply_fills_nothing)
{
    struct got *late = fetch("a");
    upstream_expect("GET a; PTTL a");
    pass_ms(TIMEOUT_MS - 10);
    struct got *behind = fetch("b");
    upstream_expect("GET b; PTTL b");
    upstream_say(PUSH("5", "other")); /* not silent */
    turns(3);
    pass_ms(20);
    TURN_UNTIL(&loop, late->n > 0);
    ck_assert_int_eq(late->answer, TIER_ERROR);
    ck_assert_uint_eq(behind->n, 0);
    upstream_say("$1\r\n1\r\n:-1\r\n$1\r\n2\r\n:-1\r\n");
    assert_got(behind, TIER_STRING, "2");
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_str_eq(l1("b"), "2");
}
END_TEST

START_TEST(test_refused_while_down)
{
    upstream_stop_listening();
    upstream_hang_up();
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_DOWN);
    struct got *item = fetch("a");
    turns(2);
    ck_assert_uint_eq(item->n, 1);
    ck_assert_int_eq(item->answer, TIER_ERROR);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, test_pushes, 0, N(pushes));
    tcase_add_test(tcase, test_doomed_is_not_joined);
    tcase_add_test(tcase, test_push_drops_in_every_database);
    tcase_add_test(tcase, test_null_push_flushes);
    tcase_add_test(tcase, test_joiners_share_a_fetch);
    tcase_add_test(tcase, test_databases);
    tcase_add_test(tcase, test_fetch_inside_an_answer);
    tcase_add_test(tcase, test_errors_are_passed_on);
    tcase_add_loop_test(tcase, test_impossible_replies_take_the_link_down, 0, N(impossible));
    tcase_add_test(tcase, test_loss_drops_all_and_fails_fetches);
    tcase_add_test(tcase, test_silent_link_drops_all);
    tcase_add_test(tcase, test_late_reply_fills_nothing);
    tcase_add_test(tcase, test_refused_while_down);
}

int main(void)
{
    return tier_run("tier_push", add_tests);
}
