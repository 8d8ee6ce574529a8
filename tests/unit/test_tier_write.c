/* Writing through (src/tier/tier_write.c): what leaves L1, when, and which fetches are doomed, by
 * the rules that doc/design.md lists. */
#include "tier_support.h"

#include "base/mem.h"

/* One key */

START_TEST(test_drops_before_sending)
{
    fill("a", "1");
    fill("b", "1");
    struct got *item = write_key("a");
    ck_assert_str_eq(l1("a"), "(none)"); /* before anything has left */
    ck_assert_str_eq(l1("b"), "1");
    upstream_expect("SET a 2");
    upstream_say("+OK\r\n");
    assert_wrote(item, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_uint_eq(counters().writes, 1);
    ck_assert_uint_eq(counters().dropped_by_write, 1);
}
END_TEST

struct seen {
    char at_reply[128];
};

static void on_reply_look(void *ctx, struct bytes reply)
{
    (void)reply;
    snprintf(((struct seen *)ctx)->at_reply, 128, "%s", l1("a"));
}

/* Whatever came into L1 meanwhile is gone when the writer hears. */
START_TEST(test_drops_again_before_the_reply)
{
    struct seen seen;
    struct bytes key = BYTES("a");
    tier_write(tier, 0, BYTES("*1\r\n$4\r\nPING\r\n"), TIER_KEYS, &key, 1, on_reply_look, &seen);
    upstream_expect("PING");
    put_in(0, "a", "stale");
    upstream_say("+PONG\r\n");
    TURN_UNTIL(&loop, strcmp(l1("a"), "stale") != 0);
    turns(2);
    ck_assert_str_eq(seen.at_reply, "(none)");
}
END_TEST

/* A fetch that was sent before: its waiters are served, L1 keeps nothing; who asks behind the write
 * reads behind it, from a fetch of its own that is kept. */
START_TEST(test_dooms_earlier_fetches)
{
    struct got *before = fetch("a");
    struct got *other = fetch("b");
    struct got *wrote = write_key("a");
    struct got *behind = fetch("a");
    upstream_expect("GET a; PTTL a; GET b; PTTL b; SET a 2; GET a; PTTL a");
    upstream_say("$1\r\n1\r\n:-1\r\n$1\r\n9\r\n:-1\r\n");
    assert_got(before, TIER_STRING, "1");
    assert_got(other, TIER_STRING, "9");
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_str_eq(l1("b"), "9");
    ck_assert_uint_eq(counters().fills_doomed_by_write, 1);
    upstream_say("+OK\r\n$1\r\n2\r\n:-1\r\n");
    assert_wrote(wrote, "+OK\r\n");
    assert_got(behind, TIER_STRING, "2");
    ck_assert_str_eq(l1("a"), "2");
}
END_TEST

/* The same when the value, but not the PTTL, had come. */
START_TEST(test_dooms_a_fetch_that_has_its_value)
{
    struct got *before = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say("$1\r\n1\r\n");
    turns(3);
    struct got *wrote = write_key("a");
    struct got *behind = fetch("a");
    upstream_expect("SET a 2; GET a; PTTL a");
    upstream_say(":-1\r\n");
    assert_got(before, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "(none)");
    upstream_say("+OK\r\n$1\r\n2\r\n:-1\r\n");
    assert_wrote(wrote, "+OK\r\n");
    assert_got(behind, TIER_STRING, "2");
}
END_TEST

/* The write's own push comes behind its reply: it does not hurt who has read behind the write. */
START_TEST(test_push_of_the_write)
{
    fill("a", "1");
    struct got *wrote = write_key("a");
    struct got *behind = fetch("a");
    upstream_expect("SET a 2; GET a; PTTL a");
    upstream_say("+OK\r\n" PUSH("1", "a") "$1\r\n2\r\n:-1\r\n");
    assert_wrote(wrote, "+OK\r\n");
    assert_got(behind, TIER_STRING, "2");
    ck_assert_str_eq(l1("a"), "2");
}
END_TEST

START_TEST(test_only_in_its_database)
{
    fill("a", "1");
    fill_in(3, "a", "3", "+OK\r\n");
    struct got *three = fetch_in(3, "b");
    struct got *wrote = write_in(0, TIER_KEYS, "a");
    struct got *also = write_in(0, TIER_KEYS, "b");
    ck_assert_str_eq(l1_in(0, "a"), "(none)");
    ck_assert_str_eq(l1_in(3, "a"), "3");
    upstream_expect("GET b; PTTL b; SELECT 0; SET a 2; SET b 2");
    upstream_say("$1\r\n4\r\n:-1\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_wrote(wrote, "+OK\r\n");
    assert_wrote(also, "+OK\r\n");
    assert_got(three, TIER_STRING, "4");
    ck_assert_str_eq(l1_in(3, "a"), "3");
    ck_assert_str_eq(l1_in(3, "b"), "4");
}
END_TEST

/* Errors */

START_TEST(test_error_of_l2)
{
    struct got *item = write_key("a");
    upstream_expect("SET a 2");
    put_in(0, "a", "stale");
    upstream_say("-OOM no\r\n");
    assert_wrote(item, "-OOM no\r\n");
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* A write that timed out may take effect at any time until its reply: it drops once more then. */
START_TEST(test_late_reply_drops_again)
{
    struct got *item = write_key("a");
    upstream_expect("SET a 2");
    pass_ms(TIMEOUT_MS - 10);
    upstream_say(PUSH("5", "other")); /* not silent */
    turns(3);
    put_in(0, "a", "1");
    pass_ms(20);
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_mem_eq(item->text, "-UPSTREAM ", 10);
    ck_assert_str_eq(l1("a"), "(none)");
    put_in(0, "a", "stale");
    put_in(0, "b", "1");
    upstream_say("+OK\r\n");
    TURN_UNTIL(&loop, strcmp(l1("a"), "(none)") == 0);
    turns(2);
    ck_assert_uint_eq(item->n, 1); /* the client heard already */
    ck_assert_str_eq(l1("b"), "1");
    ck_assert_int_eq(link_get_state(tier_link(tier)), LINK_READY);
}
END_TEST

/* The same when the link is lost first. */
START_TEST(test_late_and_lost)
{
    struct got *item = write_key("a");
    upstream_expect("SET a 2");
    pass_ms(TIMEOUT_MS + 10);
    TURN_UNTIL(&loop, item->n > 0 && counters().flushes_link > 0);
    ck_assert_mem_eq(item->text, "-UPSTREAM ", 10);
    turns(5);
    ck_assert_uint_eq(item->n, 1);
}
END_TEST

START_TEST(test_lost)
{
    struct got *item = write_key("a");
    upstream_expect("SET a 2");
    upstream_hang_up();
    TURN_UNTIL(&loop, item->n > 0);
    turns(5);
    ck_assert_uint_eq(item->n, 1);
    ck_assert_mem_eq(item->text, "-UPSTREAM ", 10);
}
END_TEST

START_TEST(test_refused)
{
    upstream_stop_listening();
    upstream_hang_up();
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_DOWN);
    struct got *item = write_key("a");
    turns(2);
    ck_assert_uint_eq(item->n, 1);
    ck_assert_mem_eq(item->text, "-UPSTREAM ", 10);
}
END_TEST

/* Scopes */

static void fill_three(void)
{
    fill("a", "1");
    fill("b", "1");
    fill_in(3, "a", "3", "+OK\r\n");
}

START_TEST(test_database)
{
    fill_three();
    struct got *zero = fetch_in(0, "c");
    struct got *three = fetch_in(3, "c");
    struct got *wrote = write_in(0, TIER_DATABASE, "x");
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_str_eq(l1("b"), "(none)");
    ck_assert_str_eq(l1_in(3, "a"), "3");
    upstream_expect("SELECT 0; GET c; PTTL c; SELECT 3; GET c; PTTL c; SELECT 0; SET x 2");
    upstream_say("+OK\r\n$1\r\n0\r\n:-1\r\n+OK\r\n$1\r\n3\r\n:-1\r\n");
    assert_got(zero, TIER_STRING, "0");
    assert_got(three, TIER_STRING, "3");
    ck_assert_str_eq(l1("c"), "(none)");
    ck_assert_str_eq(l1_in(3, "c"), "3");
    put_in(0, "a", "stale");
    upstream_say("+OK\r\n+OK\r\n");
    assert_wrote(wrote, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_str_eq(l1_in(3, "a"), "3");
    ck_assert_uint_eq(counters().flushes_write, 1);
}
END_TEST

START_TEST(test_all)
{
    fill_three();
    struct got *three = fetch_in(3, "c");
    struct got *wrote = write_in(3, TIER_ALL, "x");
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_str_eq(l1_in(3, "a"), "(none)");
    upstream_expect("GET c; PTTL c; SET x 2");
    upstream_say("$1\r\n3\r\n:-1\r\n");
    assert_got(three, TIER_STRING, "3");
    ck_assert_str_eq(l1_in(3, "c"), "(none)");
    put_in(0, "a", "stale");
    upstream_say("+OK\r\n");
    assert_wrote(wrote, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* Writes on another link */

START_TEST(test_guard)
{
    struct bytes key = BYTES("a");
    fill("a", "1");
    struct got *before = fetch("a");
    struct tier_guard *guard = tier_guard_begin(tier, 0, TIER_KEYS, &key, 1);
    ck_assert_str_eq(l1("a"), "(none)");
    struct got *meanwhile = fetch("a"); /* may be ahead of the write or behind it */
    upstream_expect("GET a; PTTL a; GET a; PTTL a");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(before, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "(none)");
    tier_guard_end(guard);
    struct got *behind = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(meanwhile, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "(none)");
    upstream_say("$1\r\n2\r\n:-1\r\n");
    assert_got(behind, TIER_STRING, "2");
    ck_assert_str_eq(l1("a"), "2");
    guard = tier_guard_begin(tier, 0, TIER_KEYS, &key, 1);
    put_in(0, "a", "stale");
    tier_guard_end(guard);
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* L1 only */

START_TEST(test_drop)
{
    fill("a", "1");
    struct got *item = fetch("b");
    upstream_expect("GET b; PTTL b");
    ck_assert(tier_drop(tier, 0, BYTES("a")));
    ck_assert(!tier_drop(tier, 0, BYTES("a")));
    ck_assert(!tier_drop(tier, 0, BYTES("b")));
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("b"), "(none)");
}
END_TEST

START_TEST(test_drop_all)
{
    fill_three();
    struct got *first = fetch_in(3, "c");
    ck_assert_uint_eq(tier_drop_all(tier), 3);
    struct got *second = fetch_in(3, "d");
    tier_doom_fetches(tier);
    upstream_expect("GET c; PTTL c; GET d; PTTL d");
    upstream_say("$1\r\n1\r\n:-1\r\n$1\r\n1\r\n:-1\r\n");
    assert_got(first, TIER_STRING, "1");
    assert_got(second, TIER_STRING, "1");
    ck_assert_str_eq(l1_in(3, "c"), "(none)");
    ck_assert_str_eq(l1_in(3, "d"), "(none)");
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* Memory */

/* Without memory for the keys, the whole database goes: more than is needed, never less. */
START_TEST(test_no_memory_for_keys)
{
    fill_three();
    struct bytes key = BYTES("x");
    struct got *wrote = new_got();
    mem_fail_after(1);
    tier_write(tier, 3, BYTES("*1\r\n$4\r\nPING\r\n"), TIER_KEYS, &key, 1, on_wrote, wrote);
    mem_fail_after(0);
    ck_assert_str_eq(l1_in(3, "a"), "(none)");
    ck_assert_str_eq(l1("a"), "1");
    upstream_expect("PING");
    put_in(3, "a", "stale");
    upstream_say("+PONG\r\n");
    assert_wrote(wrote, "+PONG\r\n");
    ck_assert_str_eq(l1_in(3, "a"), "(none)");
}
END_TEST

/* What neither reads nor writes keys is passed on as it is. */
START_TEST(test_pass)
{
    fill("a", "1");
    struct got *item = new_got();
    tier_pass(tier, 0, BYTES("*1\r\n$4\r\nTIME\r\n"), on_wrote, item);
    upstream_expect("TIME");
    upstream_say("*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    assert_wrote(item, "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");
    ck_assert_str_eq(l1("a"), "1");
    ck_assert_uint_eq(counters().passes, 1);
}
END_TEST

/* All that is in flight at the end is answered (tier_tear_down looks). */
START_TEST(test_destroyed_with_all_in_flight)
{
    fetch("a");
    fetch("a");
    write_key("a");
    fetch("a");
    write_in(3, TIER_ALL, "x");
    tier_pass(tier, 0, BYTES("*1\r\n$4\r\nTIME\r\n"), on_wrote, new_got());
    turns(3);
    upstream_say("$1\r\n1\r\n");
    turns(3);
    write_key("b"); /* not even sent */
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_drops_before_sending);
    tcase_add_test(tcase, test_drops_again_before_the_reply);
    tcase_add_test(tcase, test_dooms_earlier_fetches);
    tcase_add_test(tcase, test_dooms_a_fetch_that_has_its_value);
    tcase_add_test(tcase, test_push_of_the_write);
    tcase_add_test(tcase, test_only_in_its_database);
    tcase_add_test(tcase, test_error_of_l2);
    tcase_add_test(tcase, test_late_reply_drops_again);
    tcase_add_test(tcase, test_late_and_lost);
    tcase_add_test(tcase, test_lost);
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_database);
    tcase_add_test(tcase, test_all);
    tcase_add_test(tcase, test_guard);
    tcase_add_test(tcase, test_drop);
    tcase_add_test(tcase, test_drop_all);
    tcase_add_test(tcase, test_no_memory_for_keys);
    tcase_add_test(tcase, test_pass);
    tcase_add_test(tcase, test_destroyed_with_all_in_flight);
}

int main(void)
{
    return tier_run("tier_write", add_tests);
}
