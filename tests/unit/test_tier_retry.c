/* Fetches that are sent once more after the link was lost (src/tier/tier_fetch.c, link_ops.c,
 * link_time.c): when, in which order, by which deadline, and what becomes of L1. Cached replies are in
 * test_tier_retry_reply.c. */
#include "soft_support.h"

#include "base/mem.h"

/* The link is lost, and the next one is up with what was sent again. */
static void lose_and_return(void)
{
    unsigned n = upstream.n_connected;
    uint64_t before = counters().flushes_link;
    turns(3);
    upstream.said.len = 0;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().flushes_link > before);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    ck_assert_uint_eq(upstream.n_connected, n + 1);
}

/* Sent again */

START_TEST(test_sent_again)
{
    struct got *item = fetch("a");
    lose_and_return();
    upstream_expect("GET a; PTTL a");
    ck_assert_uint_eq(item->n, 0);
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "1");
    ck_assert_uint_eq(counters().retries, 1);
    ck_assert_uint_eq(counters().fetches, 1);
    ck_assert_uint_eq(counters().fetch_errors, 1); /* the first time */
    ck_assert_uint_eq(tier_fetches_in_flight(tier), 0);
}
END_TEST

START_TEST(test_in_order)
{
    struct got *items[6];
    static const char *const keys[] = {"a", "b", "c", "d", "e", "f"};
    for (unsigned i = 0; i < 6; i++)
        items[i] = fetch_in(i == 3 ? 2 : 0, keys[i]);
    lose_and_return();
    upstream_expect("GET a; PTTL a; GET b; PTTL b; GET c; PTTL c; SELECT 2; GET d; PTTL d; "
                    "SELECT 0; GET e; PTTL e; GET f; PTTL f");
    upstream_say("$1\r\na\r\n:-1\r\n$1\r\nb\r\n:-1\r\n$1\r\nc\r\n:-1\r\n+OK\r\n$1\r\nd\r\n:-1\r\n"
                 "+OK\r\n$1\r\ne\r\n:-1\r\n$1\r\nf\r\n:-1\r\n");
    for (unsigned i = 0; i < 6; i++) {
        assert_got(items[i], TIER_STRING, keys[i]);
        ck_assert_str_eq(l1_in(i == 3 ? 2 : 0, keys[i]), keys[i]);
    }
}
END_TEST

START_TEST(test_joiners)
{
    struct got *items[10];
    for (unsigned i = 0; i < 8; i++)
        items[i] = fetch("a");
    lose_and_return();
    for (unsigned i = 8; i < 10; i++)
        items[i] = fetch("a"); /* joins what is under way again */
    upstream_expect("GET a; PTTL a");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    for (unsigned i = 0; i < 10; i++)
        assert_got(items[i], TIER_STRING, "1");
    ck_assert_uint_eq(counters().retries, 1);
    ck_assert_uint_eq(counters().joins, 9);
}
END_TEST

/* The answer was there, only not how long it lives: it is given, and not asked for again. */
START_TEST(test_value_was_there)
{
    struct got *item = fetch("a");
    turns(3);
    upstream_say("$1\r\n1\r\n");
    turns(3);
    lose_and_return();
    assert_got(item, TIER_STRING, "1");
    upstream_expect("");
    ck_assert_uint_eq(counters().retries, 0);
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* A late reply is no lost link, an error of L2 is an answer. */
START_TEST(test_answered_is_not_sent_again)
{
    fetch_saying("a", "-LOADING a\r\n-LOADING a\r\n", TIER_ERROR, "-LOADING a\r\n");
    struct got *item = fetch("a");
    turns(3);
    upstream_say("-ERR no\r\n");
    turns(3);
    lose_and_return();
    assert_got(item, TIER_ERROR, "-ERR no\r\n");
    ck_assert_uint_eq(counters().retries, 0);
}
END_TEST

/* Not again */

START_TEST(test_second_loss)
{
    struct got *item = fetch("a");
    lose_and_return();
    upstream_expect("GET a; PTTL a");
    clock_advance(&loop.clock, 20); /* or the next attempt would wait, and that would be why */
    lose_and_return();
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_int_eq(item->answer, TIER_ERROR);
    ck_assert_mem_eq(item->text, "-UPSTREAM ", 10);
    upstream_expect("");
    ck_assert_uint_eq(counters().retries, 1);
}
END_TEST

START_TEST(test_no_link_to_be_had)
{
    struct got *item = fetch("a");
    turns(3);
    lose_link();
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_int_eq(item->answer, TIER_ERROR);
    ck_assert_mem_eq(item->text, "-UPSTREAM ", 10);
    ck_assert_uint_eq(counters().retries, 0); /* and costs nothing of the budget */
}
END_TEST

/* The budget: 100 at first, then the share of the fetches. */
static unsigned lose_some(unsigned n)
{
    static struct got items[128];
    unsigned n_failed = 0;
    ck_assert_uint_le(n, N(items));
    memset(items, 0, sizeof(items));
    for (unsigned i = 0; i < n; i++) {
        char key[16];
        snprintf(key, sizeof(key), "b%u", i);
        tier_fetch(tier, 0, bytes_of_str(key), hash_of(key), on_got, &items[i]);
    }
    lose_and_return();
    turns(10);
    for (unsigned i = 0; i < n; i++)
        n_failed += items[i].n > 0;
    for (unsigned i = n_failed; i < n; i++)
        upstream_say("_\r\n:-2\r\n");
    TURN_UNTIL(&loop, tier_fetches_in_flight(tier) == 0);
    for (unsigned i = 0; i < n; i++)
        ck_assert_uint_eq(items[i].n, 1);
    clock_advance(&loop.clock, 20);
    return n_failed;
}

START_TEST(test_budget)
{
    tier_options_now.retry_percent = 10;
    tier_configure(tier, &tier_options_now);
    ck_assert_uint_eq(lose_some(120), 20);
    ck_assert_uint_eq(lose_some(100), 90); /* no more than 100 had been saved up */
    ck_assert_uint_eq(lose_some(20), 18);
    ck_assert_uint_eq(counters().retries, 112);
}
END_TEST

START_TEST(test_no_budget)
{
    tier_options_now.retry_percent = 0;
    tier_configure(tier, &tier_options_now);
    ck_assert_uint_eq(lose_some(1), 1);
}
END_TEST

/* Deadlines */

/* They count from the first sending, however long the next link takes to answer. */
START_TEST(test_deadline)
{
    struct got *item = fetch_in((unsigned)_i, "a");
    turns(3);
    clock_advance(&loop.clock, 3000);
    lose_and_return();
    upstream_expect(_i == 0 ? "GET a; PTTL a" : "SELECT 1; GET a; PTTL a");
    struct got *other = fetch("b");
    pass_ms(1999);
    ck_assert_uint_eq(item->n, 0);
    pass_ms(2);
    ck_assert_uint_eq(item->n, 1);
    ck_assert_int_eq(item->answer, TIER_ERROR);
    ck_assert_uint_eq(other->n, 0);
}
END_TEST

START_TEST(test_no_time_left)
{
    upstream_say(PUSH("1", "x"));
    struct got *item = fetch("a");
    pass_ms(3000);
    upstream_say(PUSH("1", "x")); /* not silent */
    pass_ms(TIMEOUT_MS - 3000 + 1);
    TURN_UNTIL(&loop, item->n > 0);
    lose_and_return();
    upstream_expect("");
    ck_assert_uint_eq(counters().retries, 0);
}
END_TEST

/* A read whose time ends while the link is on its way up fails alone: what has time to wait goes on
 * to wait. */
START_TEST(test_deadline_on_the_way_up)
{
    struct got *item = fetch_in(2, "a");
    turns(3);
    clock_advance(&loop.clock, TIMEOUT_MS - 50);
    struct got *later = fetch_in(2, "b");
    turns(3);
    loop_unwatch(&loop, &upstream.accept_watch); /* the kernel takes it, nobody else does */
    uint64_t before = counters().flushes_link;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().flushes_link > before);
    ck_assert_uint_eq(counters().retries, 2);
    pass_ms(60);
    ck_assert_uint_eq(item->n, 1);
    ck_assert_int_eq(item->answer, TIER_ERROR);
    ck_assert_uint_eq(later->n, 0);
    upstream.said.len = 0;
    upstream_attach(&loop);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    upstream_expect("SELECT 2; GET a; PTTL a; GET b; PTTL b");
    upstream_say("+OK\r\n$1\r\na\r\n:-1\r\n$1\r\nb\r\n:-1\r\n");
    assert_got(later, TIER_STRING, "b");
    ck_assert_str_eq(l1_in(2, "a"), "(none)");
    struct link_figures figures;
    link_read_figures(tier_link(tier), &figures);
    ck_assert_uint_eq(figures.connects_failed, 0);
}
END_TEST

/* L1 */

/* A write that comes between the two sendings, or after, dooms as ever: no resurrection. */
START_TEST(test_write_after_the_loss)
{
    struct got *item = fetch("a");
    turns(3);
    loop_unwatch(&loop, &upstream.accept_watch);
    uint64_t before = counters().flushes_link;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().flushes_link > before);
    struct got *written = write_key("a"); /* behind the fetch in the backlog */
    upstream_attach(&loop);
    upstream.said.len = 0;
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    upstream_expect("GET a; PTTL a; SET a 2");
    upstream_say("$1\r\n1\r\n:-1\r\n+OK\r\n");
    assert_got(item, TIER_STRING, "1");
    assert_wrote(written, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_uint_eq(counters().fills, 0);
}
END_TEST

/* A client sends GET a, SET a 2 in one go: read again, the GET would have the value of the SET, which L2
 * may have run. So it fails, as the SET does. */
START_TEST(test_overtaken_by_a_write)
{
    struct got *item = fetch("a");
    struct got *other = fetch("b");
    struct got *written = write_key("a");
    struct got *behind = fetch("a");
    lose_and_return();
    TURN_UNTIL(&loop, item->n > 0 && written->n > 0);
    ck_assert_int_eq(item->answer, TIER_ERROR);
    ck_assert_mem_eq(written->text, "-UPSTREAM ", 10);
    upstream_expect("GET b; PTTL b; GET a; PTTL a");
    upstream_say("$1\r\nb\r\n:-1\r\n$1\r\n2\r\n:-1\r\n");
    assert_got(other, TIER_STRING, "b");
    assert_got(behind, TIER_STRING, "2");
    ck_assert_str_eq(l1("a"), "2");
}
END_TEST

/* The same for pushes on the new link: between value and PTTL they doom. */
START_TEST(test_push_on_the_next_link)
{
    struct got *item = fetch("a");
    lose_and_return();
    upstream_expect("GET a; PTTL a");
    upstream_say("$1\r\n1\r\n" PUSH("1", "a") ":-1\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "(none)");
    item = fetch("b");
    clock_advance(&loop.clock, 20);
    lose_and_return();
    upstream_say(PUSH("1", "b") "$1\r\n1\r\n:-1\r\n"); /* before the value: it has seen that */
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("b"), "1");
}
END_TEST

/* Two fetches of one key, since the first was doomed by a push: both are answered, the first that is
 * sent again fills L1. */
START_TEST(test_two_of_a_key)
{
    struct got *first = fetch("a");
    struct got *second = NULL;
    turns(3);
    fetch_doom_all(tier, -1, DOOM_BY_LOSS);
    second = fetch("a");
    lose_and_return();
    upstream_expect("GET a; PTTL a; GET a; PTTL a");
    struct got *third = fetch("a");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(first, TIER_STRING, "1");
    assert_got(third, TIER_STRING, "1"); /* has joined the first */
    ck_assert_str_eq(l1("a"), "1");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(second, TIER_STRING, "1");
    ck_assert_uint_eq(counters().fills, 1);
}
END_TEST

/* The key's time counts from the second sending. */
START_TEST(test_time_counts_from_the_second)
{
    struct got *item = fetch("a");
    turns(3);
    clock_advance(&loop.clock, 2000);
    lose_and_return();
    int64_t sent_ms = loop.clock.mono_ms;
    clock_advance(&loop.clock, 100);
    upstream_say("$1\r\n1\r\n:1000\r\n");
    assert_got(item, TIER_STRING, "1");
    const struct entry *entry = tier_peek(tier, 0, BYTES("a"), hash_of("a"));
    ck_assert_int_eq((int64_t)entry->deadline_ms, sent_ms + 1000);
}
END_TEST

/* A soft shelf: what is sent again is read on the next link, so it is fresh there. */
START_TEST(test_soft)
{
    set_policy("k", "stale-while-revalidate=1h");
    struct got *item = fetch("k");
    lose_and_return();
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(read_key("k"), "1");
    ck_assert_uint_eq(counters().stale_while_revalidate, 0);
}
END_TEST

/* Memory */

/* Whichever allocation fails while the link is on its way up: each waiter is answered once, and each
 * with what is its own. */
START_TEST(test_no_memory_on_the_way_up)
{
    loop_unwatch(&loop, &upstream.accept_watch);
    uint64_t before = counters().flushes_link;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().flushes_link > before);
    buf_deinit(&tier->scratch);
    mem_fail_after((unsigned)_i);
    struct got *first = fetch("a");
    mem_fail_after(0);
    struct got *second = fetch_in(2, "b");
    turns(3);
    upstream_attach(&loop);
    clock_advance(&loop.clock, 100);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    turns(5);
    if (first->n == 0)
        upstream_say("$1\r\na\r\n:-1\r\n");
    if (second->n == 0)
        upstream_say("+OK\r\n$1\r\nb\r\n:-1\r\n");
    TURN_UNTIL(&loop, first->n > 0 && second->n > 0);
    ck_assert(first->answer == TIER_ERROR || strcmp(first->text, "a") == 0);
    ck_assert(second->answer == TIER_ERROR || strcmp(second->text, "b") == 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_sent_again);
    tcase_add_test(tcase, test_in_order);
    tcase_add_test(tcase, test_joiners);
    tcase_add_test(tcase, test_value_was_there);
    tcase_add_test(tcase, test_answered_is_not_sent_again);
    tcase_add_test(tcase, test_second_loss);
    tcase_add_test(tcase, test_no_link_to_be_had);
    tcase_add_test(tcase, test_budget);
    tcase_add_test(tcase, test_no_budget);
    tcase_add_loop_test(tcase, test_deadline, 0, 2);
    tcase_add_test(tcase, test_no_time_left);
    tcase_add_test(tcase, test_deadline_on_the_way_up);
    tcase_add_test(tcase, test_write_after_the_loss);
    tcase_add_test(tcase, test_overtaken_by_a_write);
    tcase_add_test(tcase, test_push_on_the_next_link);
    tcase_add_test(tcase, test_two_of_a_key);
    tcase_add_test(tcase, test_time_counts_from_the_second);
    tcase_add_test(tcase, test_soft);
    tcase_add_loop_test(tcase, test_no_memory_on_the_way_up, 1, 8);
}

int main(void)
{
    return soft_run("tier_retry", add_tests);
}
