/* The registry of pub/sub (src/tier/pubsub.h) over a scripted upstream: what is said to it, who hears
 * what, and what is left when all have gone. */
#include "pubsub_support.h"

/* Subscribing and unsubscribing */

START_TEST(one_subscription_for_all)
{
    ck_assert_ptr_null(pubsub_link(pubsub));
    subscribe(0, "c");
    subscribe(1, "c");
    wait_said("subscribe.c");
    ck_assert_str_eq(listeners[0].heard, "");
    confirm("subscribe", "c");
    ck_assert_str_eq(listeners[0].heard, "ok");
    ck_assert_str_eq(listeners[1].heard, "ok");
    subscribe(2, "c");
    ck_assert_str_eq(listeners[2].heard, "at once");
    message("c");
    message("d");
    ck_assert_str_eq(listeners[0].heard, "ok[c x]");
    ck_assert_str_eq(listeners[1].heard, "ok[c x]");
    ck_assert_str_eq(listeners[2].heard, "at once[c x]");
    ck_assert_str_eq(fake.said, "");
    ck_assert_uint_eq(pubsub_subscribers(pubsub), 3);
}
END_TEST

START_TEST(all_kinds_are_apart)
{
    change(0, true, PUBSUB_CHANNEL, "c");
    change(0, true, PUBSUB_PATTERN, "c");
    change(0, true, PUBSUB_SHARD, "c");
    settle(&listeners[0]);
    wait_said("subscribe.c psubscribe.c ssubscribe.c");
    confirm("subscribe", "c");
    confirm("psubscribe", "c");
    ck_assert_str_eq(listeners[0].heard, "");
    confirm("ssubscribe", "c");
    ck_assert_str_eq(listeners[0].heard, "ok");
    say(">4\r\n$8\r\npmessage\r\n$1\r\nc\r\n$1\r\nd\r\n$1\r\nx\r\n"
        ">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\ny\r\n");
    turn_times(&loop, 3);
    ck_assert_str_eq(listeners[0].heard, "ok[c d x][c y]");
    ck_assert_uint_eq(pubsub_total(listeners[0].subscriber), 3);
    change(0, false, PUBSUB_PATTERN, "c");
    ck_assert_uint_eq(pubsub_count(listeners[0].subscriber, PUBSUB_PATTERN), 0);
    settle(&listeners[0]);
    wait_said("punsubscribe.c");
}
END_TEST

START_TEST(the_last_one_unsubscribes)
{
    subscribed(0, "c");
    subscribe(1, "c");
    listeners[1].heard[0] = '\0';
    unsubscribe(0, "c");
    wait_said("subscribe.c"); /* L2's answer comes behind what was published before */
    message("c");
    ck_assert_str_eq(listeners[0].heard, "[c x]");
    confirm("subscribe", "c");
    message("c");
    ck_assert_str_eq(listeners[0].heard, "[c x]ok");
    unsubscribe(1, "c");
    wait_said("unsubscribe.c");
    message("c");
    confirm("unsubscribe", "c");
    message("c");
    ck_assert_str_eq(listeners[1].heard, "[c x][c x][c x]ok");
    ck_assert(pubsub_is_empty(pubsub));
}
END_TEST

START_TEST(no_effect_twice)
{
    subscribed(0, "c");
    subscribe(0, "c");
    unsubscribe(0, "d");
    ck_assert_str_eq(listeners[0].heard, "at onceat once");
    ck_assert_uint_eq(pubsub_total(listeners[0].subscriber), 1);
    ck_assert_str_eq(fake.said, "");
}
END_TEST

START_TEST(answers_belong_to_their_commands)
{
    subscribed(0, "c");
    change(0, false, PUBSUB_CHANNEL, "c");
    settle(&listeners[0]);
    subscribe(1, "c");
    subscribe(2, "d");
    wait_said("unsubscribe.c subscribe.c subscribe.d");
    confirm("subscribe", "d"); /* not its turn: nobody asked for this one yet */
    ck_assert_str_eq(listeners[2].heard, "");
    confirm("unsubscribe", "c");
    ck_assert_str_eq(listeners[0].heard, "ok");
    ck_assert_str_eq(listeners[1].heard, "");
    confirm("subscribe", "c");
    confirm("subscribe", "d");
    ck_assert_str_eq(listeners[1].heard, "ok");
    ck_assert_str_eq(listeners[2].heard, "ok");
}
END_TEST

/* Losses */

START_TEST(restored_after_a_loss)
{
    subscribed(0, "c");
    subscribed(1, "d");
    unsubscribe(1, "d");
    wait_said("unsubscribe.d");
    subscribe(2, "e");
    wait_said("subscribe.e");
    fake_hang_up();
    TURN_UNTIL(&loop, fake.n_accepted == 2);
    wait_said("subscribe.c subscribe.e");
    ck_assert_str_eq(listeners[1].heard, "ok"); /* nothing to unsubscribe any more */
    ck_assert_str_eq(listeners[2].heard, "");
    confirm("subscribe", "c");
    confirm("subscribe", "e");
    ck_assert_str_eq(listeners[0].heard, "");
    ck_assert_str_eq(listeners[2].heard, "ok");
    message("c");
    ck_assert_str_eq(listeners[0].heard, "[c x]");
    ck_assert_uint_eq(listeners[2].n_settled, 1);
}
END_TEST

START_TEST(waits_for_the_link_and_no_longer)
{
    fake_stop_listening();
    subscribe(0, "c");
    subscribe(1, "c");
    change(1, true, PUBSUB_CHANNEL, "d");
    turn_times(&loop, 3);
    pass_ms(TIMEOUT_MS / 2);
    ck_assert_str_eq(listeners[0].heard, "");
    pass_ms(TIMEOUT_MS / 2 + 1);
    ck_assert_str_eq(listeners[0].heard, "-UPSTREAM");
    ck_assert_str_eq(listeners[1].heard, "-UPSTREAM");
    ck_assert_uint_eq(pubsub_total(listeners[1].subscriber), 0);
    subscribe(2, "e");
    unsubscribe(0, "c");
    ck_assert_str_eq(listeners[0].heard, "-UPSTREAMat once");
    fake_listen();
    clock_advance(&loop.clock, BACKOFF_MAX_MS);
    wait_said("subscribe.e"); /* what failed is not asked for again */
    confirm("subscribe", "e");
    ck_assert_str_eq(listeners[2].heard, "ok");
}
END_TEST

START_TEST(a_failure_undoes_only_its_own)
{
    subscribed(0, "c");
    subscribe(0, "d");
    wait_said("subscribe.d");
    pass_ms(TIMEOUT_MS + 1);
    ck_assert_str_eq(listeners[0].heard, "-UPSTREAM");
    ck_assert_uint_eq(pubsub_total(listeners[0].subscriber), 1);
    message("c");
    ck_assert_str_eq(listeners[0].heard, "-UPSTREAM[c x]");
    wait_said("unsubscribe.d");
}
END_TEST

START_TEST(refused_by_the_upstream)
{
    subscribed(0, "c");
    change(1, true, PUBSUB_CHANNEL, "c");
    change(1, true, PUBSUB_CHANNEL, "denied");
    settle(&listeners[1]);
    subscribe(2, "d");
    wait_said("subscribe.denied subscribe.d");
    say("-NOPERM no such channel for you\r\n");
    confirm("subscribe", "d");
    ck_assert_str_eq(listeners[1].heard, "-NOPERM");
    ck_assert_uint_eq(pubsub_total(listeners[1].subscriber), 0);
    ck_assert_str_eq(listeners[2].heard, "ok");
    message("c");
    ck_assert_str_eq(listeners[0].heard, "[c x]");
    ck_assert_uint_eq(fake.n_accepted, 1);
}
END_TEST

START_TEST(leaving_ends_the_wait)
{
    subscribe(0, "c");
    wait_said("subscribe.c");
    leave(&listeners[0]);
    ck_assert_uint_eq(listeners[0].n_settled, 1);
    wait_said("unsubscribe.c");
    confirm("subscribe", "c");
    confirm("unsubscribe", "c");
    message("c");
    ck_assert_uint_eq(listeners[0].n_settled, 1);
    ck_assert(pubsub_is_empty(pubsub));
}
END_TEST

START_TEST(the_link_goes_with_the_last_topic)
{
    subscribed(0, "c");
    unsubscribe(0, "c");
    wait_said("unsubscribe.c");
    confirm("unsubscribe", "c");
    ck_assert_ptr_nonnull(pubsub_link(pubsub));
    pass_ms(1000);
    subscribed(1, "d"); /* found it up */
    pass_ms(PING_INTERVAL_MS);
    ck_assert_ptr_nonnull(pubsub_link(pubsub));
    leave(&listeners[1]);
    turn_times(&loop, 3);
    confirm("unsubscribe", "d");
    pass_ms(2001);
    ck_assert_ptr_null(pubsub_link(pubsub));
    TURN_UNTIL(&loop, fake.n_lost == 1);
}
END_TEST

/* Counting */

START_TEST(counts_as_if_they_were_l2s)
{
    subscribed(0, "ab");
    for (size_t i = 1; i < 3; i++)
        subscribe(i, "ab");
    change(0, true, PUBSUB_PATTERN, "a*");
    change(1, true, PUBSUB_PATTERN, "a*");
    change(1, true, PUBSUB_PATTERN, "x*");
    wait_said("psubscribe.a* psubscribe.x*");
    confirm("psubscribe", "a*");
    confirm("psubscribe", "x*");
    /* L2 has counted our channel, our pattern, and five of others. */
    ck_assert_int_eq(pubsub_correct_receivers(pubsub, PUBSUB_CHANNEL, BYTES("ab"), 7), 10);
    ck_assert_int_eq(pubsub_correct_receivers(pubsub, PUBSUB_CHANNEL, BYTES("a"), 1), 2);
    ck_assert_int_eq(pubsub_correct_receivers(pubsub, PUBSUB_CHANNEL, BYTES("none"), 4), 4);
    ck_assert_int_eq(pubsub_correct_receivers(pubsub, PUBSUB_SHARD, BYTES("ab"), 4), 4);
    ck_assert_int_eq(pubsub_correct_subscribers(pubsub, PUBSUB_CHANNEL, BYTES("ab"), 1), 3);
    ck_assert_int_eq(pubsub_correct_subscribers(pubsub, PUBSUB_CHANNEL, BYTES("a"), 0), 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, one_subscription_for_all);
    tcase_add_test(tcase, all_kinds_are_apart);
    tcase_add_test(tcase, the_last_one_unsubscribes);
    tcase_add_test(tcase, no_effect_twice);
    tcase_add_test(tcase, answers_belong_to_their_commands);
    tcase_add_test(tcase, restored_after_a_loss);
    tcase_add_test(tcase, waits_for_the_link_and_no_longer);
    tcase_add_test(tcase, a_failure_undoes_only_its_own);
    tcase_add_test(tcase, refused_by_the_upstream);
    tcase_add_test(tcase, leaving_ends_the_wait);
    tcase_add_test(tcase, the_link_goes_with_the_last_topic);
    tcase_add_test(tcase, counts_as_if_they_were_l2s);
}

int main(void)
{
    return run_pubsub_suite("pubsub", set_up, add_tests);
}
