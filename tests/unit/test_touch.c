/* TOUCH for L2 (src/tier/touch.h): which keys are named, and to whom. When, is in test_touch_pace.c. */
#include "touch_support.h"

/* Keys */

START_TEST(test_what_was_hit_is_named_once)
{
    put_in(0, "a", ENTRY_STRING);
    put_in(0, "b", ENTRY_STRING);
    put_in(0, "c", ENTRY_STRING);
    hit_in(0, "a");
    hit_in(0, "a");
    hit_in(0, "c");
    ck_assert_ptr_nonnull(tier_peek(tier, 0, BYTES("b"), store_hash(tier_store(tier), BYTES("b"))));
    pass_ms(INTERVAL_MS - 1);
    upstream_expect("");
    ck_names("0/a 0/c");
    ck_assert_uint_eq(counters().touches, 2);
    ck_assert_uint_eq(counters().touch_commands, 1);
    ck_names("");
    hit_in(0, "b");
    ck_names("0/b");
    ck_assert_uint_eq(counters().touches, 3);
    ck_assert_uint_eq(counters().touch_commands, 2);
    ck_assert_uint_eq(counters().touch_rounds, 3);
    ck_assert_uint_eq(counters().touch_errors, 0);
}
END_TEST

START_TEST(test_what_does_not_exist_is_not_named)
{
    put_in(0, "absent", ENTRY_ABSENT);
    hit_in(0, "absent");
    fetch("hgetall nothing", -2, "%0\r\n");
    ck_finds(0, "hgetall nothing", "?%0\r\n");
    ck_names("");
}
END_TEST

START_TEST(test_replies_are_named_by_their_key)
{
    fetch("hgetall h", -1, "%0\r\n");
    fetch("hlen h", -1, ":0\r\n");
    fetch("hlen g", -1, ":0\r\n");
    ck_names("");
    ck_finds(0, "hgetall h", "%0\r\n");
    ck_finds(0, "hlen h", ":0\r\n");
    ck_names("0/h");
    fetch("hkeys h", -1, "*0\r\n"); /* L2 was asked for it just now */
    ck_names("");
    ck_finds(0, "hlen h", ":0\r\n");
    ck_names("0/h");
}
END_TEST

START_TEST(test_each_database_has_its_command)
{
    put_and_hit("a");
    put_and_hit("b");
    put_in(3, "a", ENTRY_STRING);
    hit_in(3, "a");
    pass_ms(INTERVAL_MS);
    ck_names("0/a 0/b 3/a");
    ck_assert_uint_eq(counters().touch_commands, 2);
}
END_TEST

START_TEST(test_long_keys)
{
    static char key[TOUCH_BYTES_MAX + 2];
    static const size_t lens[] = {40000, TOUCH_BYTES_MAX, 30000, TOUCH_BYTES_MAX + 1};
    for (size_t i = 0; i < 4; i++) {
        memset(key, 'a' + (int)i, lens[i]);
        key[lens[i]] = '\0';
        put_and_hit(key);
    }
    answer_for_ms(2 * INTERVAL_MS - 1);
    ck_assert_uint_eq(n_named, 3);
    ck_assert_uint_eq(n_commands, 3);
    qsort(named, n_named, sizeof(named[0]), compare);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(named[i][2], 'a' + (int)i);
    ck_assert_uint_eq(counters().touch_rounds, 1);
}
END_TEST

START_TEST(test_without_memory_nothing_is_named)
{
    static char key[10001];
    memset(key, 'a', sizeof(key) - 1);
    put_and_hit("a"); /* from now on, only longer keys need memory */
    pass_ms(INTERVAL_MS);
    ck_names("0/a");
    for (unsigned n = 1; n <= 2; n++) { /* for the key; for the command */
        put_and_hit(key);
        mem_fail_after(n);
        ck_names("");
        mem_fail_after(0);
    }
    hit_in(0, key);
    answer_for_ms(INTERVAL_MS);
    ck_assert_uint_eq(n_named, 1);
    ck_assert_uint_eq(counters().touches, 2);
}
END_TEST

/* To whom */

static const struct {
    const char *policy;
    bool is_told;
} policies[] = {
    {"allkeys-lru", true},   {"volatile-lru", true},     {"allkeys-lfu", true},
    {"volatile-lfu", true},  {"noeviction", false},      {"allkeys-random", false},
    {"volatile-ttl", false}, {"volatile-random", false}, {"something-else", false},
    {NULL, false},
};

START_TEST(test_policies)
{
    start_again(policies[_i].policy);
    put_and_hit("a");
    pass_ms(INTERVAL_MS);
    ck_names(policies[_i].is_told ? "0/a" : "");
    ck_assert_uint_eq(counters().touch_rounds > 0, policies[_i].is_told);
    ck_assert_uint_eq(upstream.n_policy_asked > 0, policies[_i].policy != NULL);
}
END_TEST

START_TEST(test_policy_that_changes)
{
    put_and_hit("a");
    upstream.policy = "noeviction";
    answer_for_ms(2 * INTERVAL_MS);
    n_named = 0;
    hit_in(0, "a");
    ck_names("");
    ck_names("");
    uint64_t n_rounds = counters().touch_rounds;
    upstream.policy = "volatile-lfu";
    answer_for_ms(2 * INTERVAL_MS);
    ck_assert_str_eq(all_named(), "0/a");
    ck_assert_uint_gt(counters().touch_rounds, n_rounds);
}
END_TEST

START_TEST(test_an_empty_l1_asks_nothing)
{
    answer_for_ms(5 * INTERVAL_MS);
    ck_assert_uint_eq(upstream.n_policy_asked, 0);
    ck_assert_uint_eq(counters().touch_rounds, 0);
}
END_TEST

START_TEST(test_interval_at_run_time)
{
    configure(0);
    put_and_hit("a");
    answer_for_ms(5 * INTERVAL_MS);
    ck_assert_uint_eq(n_named, 0);
    ck_assert_uint_eq(upstream.n_policy_asked, 0);
    configure(2 * INTERVAL_MS);
    ck_names("");
    configure(2 * INTERVAL_MS); /* what doesn't change begins nothing anew */
    pass_ms(INTERVAL_MS);
    ck_names("0/a");
    put_and_hit_many(500);
    pass_ms(2 * INTERVAL_MS);
    ck_assert(answer());
    configure(0); /* in the middle of a round */
    n_named = 0;
    ck_names("");
    configure(INTERVAL_MS);
    pass_ms(INTERVAL_MS);
    answer_for_ms(INTERVAL_MS);
    ck_assert_uint_ge(n_named, 500 - 2 * TOUCH_KEYS_MAX);
}
END_TEST

START_TEST(test_without_a_link)
{
    struct tier_options options = usual_options();
    struct store_options store = usual_store();
    struct tier *alone = tier_create(&loop, store_create(&store), NULL, &options);
    struct touch *none = touch_create(&loop, alone, &touch_options);
    touch_configure(none, &(struct touch_options){.interval_ms = 1, .n_dbs = N_DBS});
    pass_ms(INTERVAL_MS);
    touch_destroy(none);
    touch_destroy(NULL);
    tier_destroy(alone);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_what_was_hit_is_named_once);
    tcase_add_test(tcase, test_what_does_not_exist_is_not_named);
    tcase_add_test(tcase, test_replies_are_named_by_their_key);
    tcase_add_test(tcase, test_each_database_has_its_command);
    tcase_add_test(tcase, test_long_keys);
    tcase_add_test(tcase, test_without_memory_nothing_is_named);
    tcase_add_loop_test(tcase, test_policies, 0, sizeof(policies) / sizeof(policies[0]));
    tcase_add_test(tcase, test_policy_that_changes);
    tcase_add_test(tcase, test_an_empty_l1_asks_nothing);
    tcase_add_test(tcase, test_interval_at_run_time);
    tcase_add_test(tcase, test_without_a_link);
}

int main(void)
{
    return touch_run("touch", add_tests);
}
