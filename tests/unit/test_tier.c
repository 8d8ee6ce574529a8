/* Reading through (src/tier/tier.c, tier_fetch.c): every rule of coherence that doc/design.md lists
 * for fetches, against an upstream that says what it wants when it wants. Writes are in
 * test_tier_write.c. */
#include "tier_support.h"

#include "base/mem.h"

/* Filling */

START_TEST(test_value_is_kept)
{
    struct got *item = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say("$1\r\n1\r\n");
    turns(3);
    ck_assert_uint_eq(item->n, 0); /* not before the PTTL */
    upstream_say(":-1\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "1");
    const struct entry *entry = tier_find(tier, 0, BYTES("a"), hash_of("a"));
    ck_assert_uint_eq(entry->deadline_ms, 0);
    ck_assert_uint_eq(entry->flags, ENTRY_PERSIST);
    ck_assert_uint_eq(counters().hits, 1);
    ck_assert_uint_eq(counters().fills, 1);
    ck_assert_uint_eq(counters().l2_found, 1);
}
END_TEST

START_TEST(test_absence_is_kept)
{
    struct got *item = fetch("a");
    upstream_say("_\r\n:-2\r\n");
    assert_got(item, TIER_ABSENT, "");
    ck_assert_str_eq(l1("a"), "(absent)");
    ck_assert_ptr_nonnull(tier_find(tier, 0, BYTES("a"), hash_of("a")));
    ck_assert_uint_eq(counters().negative_hits, 1);
    upstream_say(PUSH("1", "a"));
    turns(3);
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

START_TEST(test_empty_and_binary)
{
    struct got *empty = fetch("");
    struct got *binary = fetch("k");
    upstream_say("$0\r\n\r\n:-1\r\n");
    upstream_say_bytes("$4\r\n\0\r\n\xff\r\n:-1\r\n", 15);
    assert_got(empty, TIER_STRING, "");
    TURN_UNTIL(&loop, binary->n > 0);
    ck_assert_mem_eq(binary->text, "\0\r\n\xff", 5);
    ck_assert_uint_eq(tier_peek(tier, 0, BYTES("k"), hash_of("k"))->value_len, 4);
    ck_assert_str_eq(l1(""), "");
}
END_TEST

/* Time */

/* What PTTL says: the deadline counts from the sending, 30 ms before the reply. */
static const struct {
    const char *replies;
    int64_t l1_ttl_ms;
    const char *l1;
    int64_t deadline_ms; /* after the sending */
    unsigned flags;
} times[] = {
    {"$1\r\n1\r\n:-1\r\n", 0, "1", 0, ENTRY_PERSIST},
    {"$1\r\n1\r\n:1000\r\n", 0, "1", 1000, 0},
    {"$1\r\n1\r\n:31\r\n", 0, "1", 31, 0},
    {"$1\r\n1\r\n:30\r\n", 0, "(none)", 0, 0},
    {"$1\r\n1\r\n:0\r\n", 0, "(none)", 0, 0},
    {"$1\r\n1\r\n:-2\r\n", 0, "(none)", 0, 0}, /* expired between the two */
    {"_\r\n:-2\r\n", 0, "(absent)", 0, 0},
    {"_\r\n:-1\r\n", 0, "(none)", 0, 0}, /* came between the two */
    {"_\r\n:1000\r\n", 0, "(none)", 0, 0},
    {"$1\r\n1\r\n-ERR no\r\n", 0, "(none)", 0, 0},
    /* larder's own cap counts from the filling */
    {"$1\r\n1\r\n:-1\r\n", 500, "1", 530, ENTRY_PERSIST | ENTRY_CAPPED},
    {"$1\r\n1\r\n:1000\r\n", 500, "1", 530, ENTRY_CAPPED},
    {"$1\r\n1\r\n:531\r\n", 500, "1", 530, ENTRY_CAPPED},
    {"$1\r\n1\r\n:530\r\n", 500, "1", 530, 0},
    {"$1\r\n1\r\n:400\r\n", 500, "1", 400, 0},
    {"_\r\n:-2\r\n", 500, "(absent)", 530, ENTRY_CAPPED},
};

START_TEST(test_times)
{
    tier_options_now.l1_ttl_ms = times[_i].l1_ttl_ms;
    tier_configure(tier, &tier_options_now);
    struct got *item = fetch("a");
    int64_t sent_ms = loop.clock.mono_ms;
    upstream_expect("GET a; PTTL a");
    clock_advance(&loop.clock, 30);
    upstream_say(times[_i].replies);
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_str_eq(l1("a"), times[_i].l1);
    const struct entry *entry = tier_peek(tier, 0, BYTES("a"), hash_of("a"));
    if (entry == NULL)
        return;
    int64_t deadline_ms = times[_i].deadline_ms;
    ck_assert_int_eq((int64_t)entry->deadline_ms, deadline_ms == 0 ? 0 : sent_ms + deadline_ms);
    ck_assert_uint_eq(entry->flags, times[_i].flags);
    if (deadline_ms == 0)
        return;
    clock_advance(&loop.clock, deadline_ms - 31);
    ck_assert_str_eq(l1("a"), times[_i].l1);
    clock_advance(&loop.clock, 1);
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* Times that no Redis tells neither overflow nor live for ever by mistake. */
START_TEST(test_odd_times)
{
    struct got *item = fetch("a");
    upstream_say("$1\r\n1\r\n:9223372036854775807\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "1");
    item = fetch("b");
    upstream_say("$1\r\n1\r\n:-3\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("b"), "(none)");
    item = fetch("c");
    upstream_say("$1\r\n1\r\n:-9223372036854775808\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("c"), "(none)");
}
END_TEST

START_TEST(test_warming_has_a_cap_of_its_own)
{
    static const int64_t caps[][3] = {{0, 300, 300}, {500, 300, 300}, {200, 300, 200}, {200, 0, 200}};
    for (size_t i = 0; i < 4; i++) {
        tier_options_now.l1_ttl_ms = caps[i][0];
        tier_configure(tier, &tier_options_now);
        struct got *item = new_got();
        tier_fetch_warm(tier, 0, BYTES("a"), hash_of("a"), caps[i][1], on_got, item);
        upstream_say("$1\r\n1\r\n:-1\r\n");
        assert_got(item, TIER_STRING, "1");
        const struct entry *entry = tier_peek(tier, 0, BYTES("a"), hash_of("a"));
        ck_assert_int_eq((int64_t)entry->deadline_ms, loop.clock.mono_ms + caps[i][2]);
    }
}
END_TEST

/* Pushes */

/* Each with what L1 has afterwards of "a", whose value is 1, and whether who asks then joins. */
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

/* Options */

START_TEST(test_l1_off)
{
    fill("a", "1");
    struct got *item = fetch("b");
    upstream_expect("GET b; PTTL b");
    tier_options_now.l1_enabled = false;
    tier_configure(tier, &tier_options_now);
    ck_assert_str_eq(l1("a"), "(none)");
    ck_assert_ptr_null(tier_find(tier, 0, BYTES("a"), hash_of("a")));
    tier_options_now.l1_enabled = true;
    tier_configure(tier, &tier_options_now);
    ck_assert_str_eq(l1("a"), "(none)");
    upstream_say("$1\r\n1\r\n:-1\r\n"); /* sent before: it may not have been tracked */
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("b"), "(none)");
    tier_options_now.l1_enabled = false;
    tier_configure(tier, &tier_options_now);
    item = fetch("c");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(item, TIER_STRING, "1");
    tier_options_now.l1_enabled = true;
    tier_configure(tier, &tier_options_now);
    ck_assert_str_eq(l1("c"), "(none)");
}
END_TEST

START_TEST(test_max_item)
{
    tier_options_now.max_item_bytes = 3;
    tier_configure(tier, &tier_options_now);
    struct got *small = fetch("a");
    struct got *large = fetch("b");
    upstream_say("$3\r\n123\r\n:-1\r\n$4\r\n1234\r\n:-1\r\n");
    assert_got(small, TIER_STRING, "123");
    assert_got(large, TIER_STRING, "1234");
    ck_assert_str_eq(l1("a"), "123");
    ck_assert_str_eq(l1("b"), "(none)");
}
END_TEST

/* Without invalidations only a cap bounds how stale L1 may be: without one it keeps nothing. */
static void check_untracked(void)
{
    struct got *item = fetch("a");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "(none)");
    tier_options_now.l1_ttl_ms = 1000;
    tier_configure(tier, &tier_options_now);
    item = fetch("a");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(item, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "1");
    pass_ms(1000);
    ck_assert_str_eq(l1("a"), "(none)");
}

START_TEST(test_without_tracking)
{
    tier_tear_down();
    tier_start(false);
    check_untracked();
}
END_TEST

START_TEST(test_tracking_is_refused)
{
    upstream.refuses_tracking = true;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().flushes_link > 0);
    clock_advance(&loop.clock, 100);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    check_untracked();
}
END_TEST

/* Memory */

/* Whichever allocation fails, all who wait are answered once (tier_tear_down looks). */
START_TEST(test_no_memory)
{
    mem_fail_after((unsigned)_i);
    fetch("a");
    turns(3);
    if (upstream.said.len > 0)
        upstream_say("$1\r\n1\r\n:-1\r\n");
    turns(5);
    mem_fail_after(0);
    ck_assert(strcmp(l1("a"), "1") == 0 || strcmp(l1("a"), "(none)") == 0);
}
END_TEST

/* A large key leaves nothing behind. */
START_TEST(test_scratch_is_given_back)
{
    static char key[1 << 20];
    memset(key, 'k', sizeof(key) - 1);
    struct got *item = fetch(key);
    TURN_UNTIL(&loop, upstream.said.len > 2 * sizeof(key));
    upstream_say("_\r\n:-2\r\n");
    assert_got(item, TIER_ABSENT, "");
    upstream.said.len = 0;
}
END_TEST

#define N(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
    Suite *suite = suite_create("tier");
    TCase *tcase = tcase_create("fetch");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, tier_set_up, tier_tear_down);
    tcase_add_test(tcase, test_value_is_kept);
    tcase_add_test(tcase, test_absence_is_kept);
    tcase_add_test(tcase, test_empty_and_binary);
    tcase_add_loop_test(tcase, test_times, 0, N(times));
    tcase_add_test(tcase, test_odd_times);
    tcase_add_test(tcase, test_warming_has_a_cap_of_its_own);
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
    tcase_add_test(tcase, test_l1_off);
    tcase_add_test(tcase, test_max_item);
    tcase_add_test(tcase, test_without_tracking);
    tcase_add_test(tcase, test_tracking_is_refused);
    tcase_add_loop_test(tcase, test_no_memory, 1, 12);
    tcase_add_test(tcase, test_scratch_is_given_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
