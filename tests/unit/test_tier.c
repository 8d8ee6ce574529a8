/* Reading through (src/tier/tier.c, tier_fetch.c): what a fetch leaves in L1, and for how long.
 * What pushes, errors and the loss of the link do to it is in test_tier_push.c, writes in
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
    ck_assert_uint_eq(entry->flags, ENTRY_PERSIST | ENTRY_HIT);
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
    tier_options_now.policy.ttl_ms = times[_i].l1_ttl_ms;
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
    static const int64_t caps[][3] = {
        {0, 300, 300}, {500, 300, 300}, {200, 300, 200}, {200, 0, 200}};
    for (size_t i = 0; i < 4; i++) {
        tier_options_now.policy.ttl_ms = caps[i][0];
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
    tier_options_now.policy.max_item_bytes = 3;
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
    tier_options_now.policy.ttl_ms = 1000;
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

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_value_is_kept);
    tcase_add_test(tcase, test_absence_is_kept);
    tcase_add_test(tcase, test_empty_and_binary);
    tcase_add_loop_test(tcase, test_times, 0, N(times));
    tcase_add_test(tcase, test_odd_times);
    tcase_add_test(tcase, test_warming_has_a_cap_of_its_own);
    tcase_add_test(tcase, test_l1_off);
    tcase_add_test(tcase, test_max_item);
    tcase_add_test(tcase, test_without_tracking);
    tcase_add_test(tcase, test_tracking_is_refused);
    tcase_add_loop_test(tcase, test_no_memory, 1, 12);
    tcase_add_test(tcase, test_scratch_is_given_back);
}

int main(void)
{
    return tier_run("tier", add_tests);
}
