/* Cached replies: what is kept, under which name, and for how long. What drops it is in
 * test_tier_reply_drop.c. */
#include "tier_reply_support.h"

/* Tests: what is kept */

START_TEST(a_reply_is_kept)
{
    ck_finds_nothing(0, "hget h f");
    send_read("hget h f");
    ck_finds_nothing(0, "hget h f");
    upstream_say(":-1\r\n$1\r\nv\r\n");
    ck_heard(TIER_REPLY, "$1\r\nv\r\n");
    ck_finds(0, "hget h f", "$1\r\nv\r\n");
    ck_finds_nothing(0, "hget h g");
    ck_finds_nothing(0, "hget h");
    ck_finds_nothing(0, "hlen h f");
    ck_finds_nothing(0, "hget g f");
    ck_finds_nothing(1, "hget h f");
    ck_assert_uint_eq(counters().hits, 1);
    ck_assert_uint_eq(counters().reply_hits, 1);
    ck_assert_uint_eq(counters().reply_fills, 1);
    ck_assert_uint_eq(counters().fills, 1);
    ck_assert_uint_eq(counters().l2_found, 1);
    ck_assert_uint_eq(counters().fetches, 1);
}
END_TEST

START_TEST(a_missing_key_is_known_as_missing)
{
    fetch("hlen h", -2, ":0\r\n");
    ck_assert_int_eq(heard.answer, TIER_ABSENT);
    ck_finds(0, "hlen h", "?:0\r\n");
    ck_assert_uint_eq(counters().l2_absent, 1);
    ck_assert_uint_eq(counters().negative_hits, 1);
    fetch("hget h f", -2, "_\r\n");
    ck_assert_uint_eq(n_replies("h"), 2);
    /* It came, and the push is still to come: what was known of the missing key is not mixed
     * with it. */
    fetch("hkeys h", -1, "*1\r\n$1\r\nf\r\n");
    ck_finds(0, "hkeys h", "*1\r\n$1\r\nf\r\n");
    ck_finds_nothing(0, "hlen h");
    ck_assert_uint_eq(n_replies("h"), 1);
}
END_TEST

START_TEST(errors_are_answered_and_not_kept)
{
    send_read("hget s f");
    upstream_say(":-1\r\n-WRONGTYPE no\r\n");
    ck_heard(TIER_ERROR, "-WRONGTYPE no\r\n");
    ck_finds_nothing(0, "hget s f");
    send_read("hget h f");
    upstream_say("-NOPERM pttl\r\n$1\r\nv\r\n");
    ck_heard(TIER_REPLY, "$1\r\nv\r\n");
    ck_finds_nothing(0, "hget h f");
    ck_assert_uint_eq(n_entries(), 0);
    ck_assert_uint_eq(counters().fetch_errors, 1);
}
END_TEST

START_TEST(a_reply_to_pttl_that_is_none_takes_the_link_down)
{
    send_read("hget h f");
    upstream_say("$1\r\nv\r\n");
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_int_eq(heard.answer, TIER_ERROR);
    ck_assert_int_eq(strncmp(heard.text, "-UPSTREAM ", 10), 0);
    ck_assert_uint_eq(counters().flushes_link, 1);
}
END_TEST

START_TEST(names_are_unambiguous)
{
    static const char *const reads[] = {"hmget h a bc", "hmget h ab c", "hmget h abc",
                                        "hmget ha bc", "hmge th abc"};
    tier_configure(tier,
                   &(struct tier_options){.l1_enabled = true, .n_dbs = N_DBS, .max_variants = 9});
    for (unsigned i = 0; i < 5; i++) {
        char reply[16];
        snprintf(reply, sizeof(reply), ":%u\r\n", i);
        ck_finds_nothing(0, reads[i]);
        fetch(reads[i], -1, reply);
    }
    for (unsigned i = 0; i < 5; i++) {
        char reply[16];
        snprintf(reply, sizeof(reply), ":%u\r\n", i);
        ck_finds(0, reads[i], reply);
    }
}
END_TEST

START_TEST(a_reply_above_the_limit_is_passed_on)
{
    struct tier_options options = usual_options();
    options.policy.max_item_bytes = 5;
    tier_configure(tier, &options);
    fetch("hget h f", -1, "$1\r\nv\r\n");
    ck_finds_nothing(0, "hget h f");
    ck_assert_uint_eq(counters().fills_refused, 1);
    fetch("hlen h", -1, ":10\r\n");
    ck_finds(0, "hlen h", ":10\r\n");
}
END_TEST

START_TEST(what_the_store_refuses_is_passed_on)
{
    tear_down();
    set_up_loop();
    struct store_options store_options = usual_store();
    store_options.max_item_bytes = 80;
    start(usual_options(), store_options);
    fetch("hget h 1234567890123456789012345678901234567890", -1, "$1\r\nv\r\n");
    ck_assert_uint_eq(counters().fills_refused, 1);
    ck_assert_uint_eq(n_entries(), 0);
    fetch("hget h f", -1, "$1\r\nv\r\n");
    ck_assert_uint_eq(n_entries(), 1);
}
END_TEST

/* The first reply is in the anchor, others are beside it; large ones never are in it. */
START_TEST(the_first_reply_may_be_of_any_length)
{
    char long_reply[8200];
    unsigned head = (unsigned)snprintf(long_reply, sizeof(long_reply), "$8000\r\n");
    memset(long_reply + head, 'x', 8000);
    memcpy(long_reply + head + 8000, "\r\n", 3);
    send_read("hget h long");
    upstream_say(":-1\r\n");
    upstream_say(long_reply);
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_uint_eq(n_entries(), 2);
    ck_assert_uint_eq(n_replies("h"), 1);
    ck_assert_int_eq(strncmp(find(0, "hget h long"), long_reply, 500), 0);
    fetch("hget h short", -1, "$1\r\ns\r\n"); /* into the anchor */
    ck_assert_uint_eq(n_entries(), 2);
    fetch("hget h more", -1, "$1\r\nm\r\n"); /* beside it */
    ck_assert_uint_eq(n_entries(), 3);
    ck_assert_uint_eq(n_replies("h"), 3);
    ck_finds(0, "hget h short", "$1\r\ns\r\n");
    ck_finds(0, "hget h more", "$1\r\nm\r\n");
    ck_assert_int_eq(strncmp(find(0, "hget h long"), long_reply, 500), 0);
}
END_TEST

START_TEST(the_place_of_an_expired_first_reply_is_used_again)
{
    fetch("hlen h", 100, ":1\r\n");
    fetch("hget h f", -1, "$1\r\nv\r\n");
    clock_advance(&loop.clock, 100);
    ck_finds_nothing(0, "hlen h");
    ck_finds(0, "hget h f", "$1\r\nv\r\n");
    size_t n = n_entries();
    fetch("hlen h", -1, ":2\r\n");
    fetch("hkeys h", -1, "*0\r\n");
    ck_finds(0, "hlen h", ":2\r\n");
    ck_finds(0, "hget h f", "$1\r\nv\r\n");
    ck_finds(0, "hkeys h", "*0\r\n");
    ck_assert_uint_eq(n_entries(), n + 1);
}
END_TEST

/* Limits */

START_TEST(a_key_has_so_many_replies_at_most)
{
    fetch("lindex l 0", -1, "$1\r\n0\r\n");
    fetch("lindex l 1", -1, "$1\r\n1\r\n");
    fetch("lindex l 2", -1, "$1\r\n2\r\n");
    fetch("lindex k 0", -1, "$1\r\n9\r\n");
    ck_assert_uint_eq(n_replies("l"), VARIANTS);
    ck_finds(0, "lindex l 0", "$1\r\n0\r\n");
    fetch("lindex l 3", -1, "$1\r\n3\r\n");
    ck_finds_nothing(0, "lindex l 0");
    ck_assert_uint_eq(n_replies("l"), 1);
    ck_finds(0, "lindex l 3", "$1\r\n3\r\n");
    ck_finds(0, "lindex k 0", "$1\r\n9\r\n");
    ck_assert_uint_eq(counters().reply_resets, 1);
}
END_TEST

START_TEST(an_expired_reply_is_not_counted_twice)
{
    fetch("lindex l 0", 1000, "$1\r\n0\r\n");
    for (unsigned i = 0; i < 10; i++) {
        fetch("lindex l 1", -1,
              "$1\r\n1\r\n"); /* without a deadline of the key's, so the anchor stays */
        ck_assert_uint_eq(n_replies("l"), 2);
    }
    ck_assert_uint_eq(counters().reply_resets, 0);
}
END_TEST

START_TEST(without_variants_nothing_is_found)
{
    struct tier_options options = usual_options();
    fetch("hlen h", -1, ":1\r\n");
    fetch("hlen k", -1, ":7\r\n");
    options.max_variants = 0;
    tier_configure(tier, &options);
    ck_finds_nothing(0, "hlen h");
    fetch("hlen h", -1, ":2\r\n");
    push("h"); /* is heard nevertheless */
    turn_times(&loop, 5);
    options.max_variants = VARIANTS;
    tier_configure(tier, &options);
    ck_finds_nothing(0, "hlen h");
    ck_finds(0, "hlen k", ":7\r\n");
}
END_TEST

START_TEST(a_store_without_room_for_replies_keeps_none)
{
    tear_down();
    set_up_loop();
    struct store_options store_options = usual_store();
    store_options.n_dbs = N_DBS;
    start(usual_options(), store_options);
    fetch("hlen h", -1, ":1\r\n");
    ck_finds_nothing(0, "hlen h");
    ck_assert(!tier_drop(tier, N_DBS - 1, BYTES("h")));
    write_key(N_DBS - 1, TIER_DATABASE, "");
    upstream_expect("SELECT 3; WRITE");
}
END_TEST

/* Time */

START_TEST(a_reply_lives_as_long_as_its_key)
{
    send_read("hlen h");
    clock_advance(&loop.clock, 40);
    upstream_say(":100\r\n:1\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    clock_advance(&loop.clock, 59);
    ck_finds(0, "hlen h", ":1\r\n");
    clock_advance(&loop.clock, 1); /* counted from when it was sent */
    ck_finds_nothing(0, "hlen h");
    send_read("hlen k");
    clock_advance(&loop.clock, 100);
    upstream_say(":100\r\n:1\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    ck_finds_nothing(0, "hlen k");
    ck_assert_uint_eq(counters().fills, 1);
}
END_TEST

START_TEST(a_reply_lives_no_longer_than_l1_ttl)
{
    fetch("hlen h", 10 * L1_TTL_MS, ":1\r\n");
    fetch("hlen k", -1, ":1\r\n");
    fetch("hlen no", -2, ":0\r\n");
    clock_advance(&loop.clock, L1_TTL_MS - 1);
    ck_finds(0, "hlen h", ":1\r\n");
    ck_finds(0, "hlen k", ":1\r\n");
    ck_finds(0, "hlen no", "?:0\r\n");
    clock_advance(&loop.clock, 1);
    ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hlen k");
    ck_finds_nothing(0, "hlen no");
}
END_TEST

/* So that nothing unreachable stays for ever where nothing is evicted. */
START_TEST(without_l1_ttl_a_reply_lives_for_an_hour)
{
    struct tier_options options = usual_options();
    options.policy.ttl_ms = 0;
    tier_configure(tier, &options);
    fetch("hlen h", -1, ":1\r\n");
    clock_advance(&loop.clock, HOUR_MS - 1);
    ck_finds(0, "hlen h", ":1\r\n");
    clock_advance(&loop.clock, 1);
    ck_finds_nothing(0, "hlen h");
}
END_TEST

START_TEST(an_anchor_outlives_each_of_its_replies)
{
    fetch("hlen h", -1, ":1\r\n");
    clock_advance(&loop.clock, L1_TTL_MS / 2);
    fetch("hkeys h", -1, "*0\r\n");
    clock_advance(&loop.clock, L1_TTL_MS - 10);
    ck_finds(0, "hkeys h", "*0\r\n");
    ck_finds_nothing(0, "hlen h");
    fetch("hvals h", 5, "*0\r\n"); /* a shorter one does not shorten it */
    clock_advance(&loop.clock, 5);
    ck_finds_nothing(0, "hvals h");
    ck_finds(0, "hkeys h", "*0\r\n");
}
END_TEST

/* Memory */

START_TEST(without_memory_a_read_is_answered)
{
    for (uint64_t n = 1; n < 12; n++) {
        char reply[64];
        snprintf(reply, sizeof(reply), ":%u\r\n", (unsigned)n);
        mem_fail_after(n);
        memset(&heard, 0, sizeof(heard));
        fetch_for(0, "hlen h", &heard);
        mem_fail_after(0);
        TURN_UNTIL(&loop, upstream.said.len > 0 || heard.n > 0);
        turn_times(&loop, 3);
        upstream.said.len = 0;
        if (heard.n == 0)
            upstream_say(":-1\r\n");
        mem_fail_after(n);
        upstream_say(heard.n == 0 ? reply : "");
        turn_times(&loop, 5);
        mem_fail_after(0);
        TURN_UNTIL(&loop, heard.n > 0);
        ck_assert_uint_eq(heard.n, 1);
        const char *found = find(0, "hlen h");
        ck_assert(found[0] == '\0' || strcmp(found, reply) == 0);
        tier_drop(tier, 0, BYTES("h"));
        TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tier_reply");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_reply_is_kept);
    tcase_add_test(tcase, a_missing_key_is_known_as_missing);
    tcase_add_test(tcase, errors_are_answered_and_not_kept);
    tcase_add_test(tcase, a_reply_to_pttl_that_is_none_takes_the_link_down);
    tcase_add_test(tcase, names_are_unambiguous);
    tcase_add_test(tcase, a_reply_above_the_limit_is_passed_on);
    tcase_add_test(tcase, what_the_store_refuses_is_passed_on);
    tcase_add_test(tcase, the_first_reply_may_be_of_any_length);
    tcase_add_test(tcase, the_place_of_an_expired_first_reply_is_used_again);
    tcase_add_test(tcase, a_key_has_so_many_replies_at_most);
    tcase_add_test(tcase, an_expired_reply_is_not_counted_twice);
    tcase_add_test(tcase, without_variants_nothing_is_found);
    tcase_add_test(tcase, a_store_without_room_for_replies_keeps_none);
    tcase_add_test(tcase, a_reply_lives_as_long_as_its_key);
    tcase_add_test(tcase, a_reply_lives_no_longer_than_l1_ttl);
    tcase_add_test(tcase, without_l1_ttl_a_reply_lives_for_an_hour);
    tcase_add_test(tcase, an_anchor_outlives_each_of_its_replies);
    tcase_add_test(tcase, without_memory_a_read_is_answered);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
