/* Cached replies: what drops them, and dooms the reads that are under way. */
#include "tier_reply_support.h"

/* Coherence */

START_TEST(a_push_drops_all_replies_of_its_key)
{
    fetch("hlen h", -1, ":1\r\n");
    fetch("hget h f", -1, "$1\r\nv\r\n");
    fetch("hlen k", -1, ":1\r\n");
    push("h");
    turn_times(&loop, 5);
    ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hget h f");
    ck_finds(0, "hlen k", ":1\r\n");
    ck_assert_uint_eq(counters().invalidated, 1);
    fetch("hlen h", -1, ":2\r\n");
    ck_finds(0, "hlen h", ":2\r\n");
    ck_finds_nothing(0, "hget h f"); /* of the generation before */
}
END_TEST

START_TEST(what_a_change_leaves_behind_is_overwritten)
{
    fetch("hlen h", -1, ":1\r\n");
    size_t n = n_entries();
    for (unsigned i = 0; i < 50; i++) {
        push("h");
        fetch("hlen h", -1, ":2\r\n");
        ck_assert_uint_eq(n_entries(), n);
    }
}
END_TEST

START_TEST(a_push_between_the_two_replies_dooms)
{
    send_read("hlen h");
    upstream_say(":-1\r\n");
    turn_times(&loop, 5);
    push("h");
    upstream_say(":1\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    ck_finds_nothing(0, "hlen h");
    ck_assert_uint_eq(counters().fills_doomed_by_push, 1);
}
END_TEST

START_TEST(a_push_before_both_replies_does_not)
{
    send_read("hlen h");
    push("h");
    upstream_say(":-1\r\n:1\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    ck_finds(0, "hlen h", ":1\r\n");
}
END_TEST

START_TEST(a_flush_by_others_drops_and_dooms)
{
    fetch("hlen h", -1, ":1\r\n");
    send_read("hlen k");
    upstream_say(":-1\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n:1\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hlen k");
    ck_assert_uint_eq(n_entries(), 0);
}
END_TEST

START_TEST(a_write_drops_before_it_is_sent_and_behind)
{
    fetch("hlen h", -1, ":1\r\n");
    fetch("hlen k", -1, ":1\r\n");
    write_key(0, TIER_KEYS, "h");
    ck_finds_nothing(0, "hlen h");
    ck_finds(0, "hlen k", ":1\r\n");
    fetch_for(0, "hlen h", &heard);
    upstream_expect("WRITE; PTTL h; hlen h");
    memset(&heard, 0, sizeof(heard));
    upstream_say("+OK\r\n:-1\r\n:2\r\n");
    ck_heard(TIER_REPLY, ":2\r\n");
    ck_finds(0, "hlen h", ":2\r\n");
    ck_assert_uint_eq(counters().dropped_by_write, 1);
}
END_TEST

START_TEST(a_write_dooms_every_read_under_way)
{
    struct heard others[2] = {{0}};
    send_read("hlen h");
    fetch_for(0, "hget h f", &others[0]);
    fetch_for(0, "hlen k", &others[1]);
    write_key(0, TIER_KEYS, "h");
    memset(&heard, 0, sizeof(heard));
    struct heard later = {0};
    fetch_for(0, "hlen h", &later); /* joins none of those before the write */
    upstream_expect("PTTL h; hget h f; PTTL k; hlen k; WRITE; PTTL h; hlen h");
    upstream_say(":-1\r\n:1\r\n:-1\r\n$1\r\nv\r\n:-1\r\n:7\r\n+OK\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    TURN_UNTIL(&loop, others[1].n > 0);
    ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hget h f");
    ck_finds(0, "hlen k", ":7\r\n");
    ck_assert_uint_eq(counters().fills_doomed_by_write, 2);
    upstream_say(":-1\r\n:2\r\n");
    TURN_UNTIL(&loop, later.n > 0);
    ck_finds(0, "hlen h", ":2\r\n");
}
END_TEST

START_TEST(a_get_and_a_read_of_a_key_are_two_fetches)
{
    struct heard got = {0};
    uint64_t hash = store_hash(tier_store(tier), BYTES("k"));
    send_read("bitcount k");
    memset(&heard, 0, sizeof(heard));
    tier_fetch(tier, 0, BYTES("k"), hash, hear, &got);
    upstream_expect("GET k; PTTL k");
    upstream_say(":-1\r\n:4\r\n$1\r\nv\r\n:-1\r\n");
    ck_heard(TIER_REPLY, ":4\r\n");
    TURN_UNTIL(&loop, got.n > 0);
    ck_assert_int_eq(got.answer, TIER_STRING);
    ck_assert_str_eq(got.text, "v");
    ck_finds(0, "bitcount k", ":4\r\n");
    ck_assert_ptr_nonnull(tier_peek(tier, 0, BYTES("k"), hash));
    ck_assert(tier_drop(tier, 0, BYTES("k")));
    ck_finds_nothing(0, "bitcount k");
    ck_assert_ptr_null(tier_peek(tier, 0, BYTES("k"), hash));
    ck_assert(!tier_drop(tier, 0, BYTES("k")));
}
END_TEST

START_TEST(the_same_read_is_sent_once)
{
    struct heard others[20] = {{0}};
    send_read("hlen h");
    for (unsigned i = 0; i < 20; i++)
        fetch_for(0, "hlen h", &others[i]);
    upstream_expect("");
    upstream_say(":-1\r\n:1\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_uint_eq(others[i].n, 1);
        ck_assert_str_eq(others[i].text, ":1\r\n");
    }
    ck_assert_uint_eq(counters().joins, 20);
}
END_TEST

START_TEST(databases_are_dropped_one_by_one)
{
    struct heard got = {0};
    fetch("hlen h", -1, ":1\r\n");
    fetch_for(2, "hlen h", &got);
    upstream_expect("SELECT 2; PTTL h; hlen h");
    upstream_say("+OK\r\n:-1\r\n:2\r\n");
    TURN_UNTIL(&loop, got.n > 0);
    ck_finds(0, "hlen h", ":1\r\n");
    ck_finds(2, "hlen h", ":2\r\n");
    write_key(2, TIER_KEYS, "h");
    ck_finds(0, "hlen h", ":1\r\n");
    ck_finds_nothing(2, "hlen h");
    write_key(2, TIER_DATABASE, "");
    ck_finds(0, "hlen h", ":1\r\n");
    write_key(0, TIER_DATABASE, "");
    ck_finds_nothing(0, "hlen h");
    ck_assert_uint_eq(n_entries(), 0);
}
END_TEST

START_TEST(everything_goes_at_once)
{
    fetch("hlen h", -1, ":1\r\n");
    write_key(1, TIER_ALL, "");
    ck_finds_nothing(0, "hlen h");
    ck_assert_uint_eq(n_entries(), 0);
}
END_TEST

START_TEST(the_loss_of_the_link_drops_and_dooms)
{
    fetch("hlen h", -1, ":1\r\n");
    send_read("hlen k");
    upstream_say(":-1\r\n");
    turn_times(&loop, 5);
    upstream_hang_up();
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_int_eq(heard.answer, TIER_ERROR);
    ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hlen k");
    ck_assert_uint_eq(n_entries(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tier_reply_drop");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_push_drops_all_replies_of_its_key);
    tcase_add_test(tcase, what_a_change_leaves_behind_is_overwritten);
    tcase_add_test(tcase, a_push_between_the_two_replies_dooms);
    tcase_add_test(tcase, a_push_before_both_replies_does_not);
    tcase_add_test(tcase, a_flush_by_others_drops_and_dooms);
    tcase_add_test(tcase, a_write_drops_before_it_is_sent_and_behind);
    tcase_add_test(tcase, a_write_dooms_every_read_under_way);
    tcase_add_test(tcase, a_get_and_a_read_of_a_key_are_two_fetches);
    tcase_add_test(tcase, the_same_read_is_sent_once);
    tcase_add_test(tcase, databases_are_dropped_one_by_one);
    tcase_add_test(tcase, everything_goes_at_once);
    tcase_add_test(tcase, the_loss_of_the_link_drops_and_dooms);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
