/* The registry of pub/sub (src/tier/pubsub.h) without an upstream: publishing reaches the subscribers
 * here. */
#include "pubsub_support.h"

START_TEST(alone_at_once)
{
    subscribe(0, "ab");
    change(0, true, PUBSUB_PATTERN, "a*");
    change(1, true, PUBSUB_PATTERN, "a*");
    change(2, true, PUBSUB_SHARD, "ab");
    settle(&listeners[2]);
    ck_assert_str_eq(listeners[0].heard, "at once");
    ck_assert_str_eq(listeners[2].heard, "at once");
    ck_assert_int_eq(pubsub_publish(pubsub, PUBSUB_CHANNEL, BYTES("ab"), BYTES("x")), 3);
    ck_assert_int_eq(pubsub_publish(pubsub, PUBSUB_SHARD, BYTES("ab"), BYTES("y")), 1);
    ck_assert_int_eq(pubsub_publish(pubsub, PUBSUB_CHANNEL, BYTES("b"), BYTES("z")), 0);
    ck_assert_str_eq(listeners[0].heard, "at once[ab x][a* ab x]");
    ck_assert_str_eq(listeners[1].heard, "[a* ab x]");
    ck_assert_str_eq(listeners[2].heard, "at once[ab y]");
    ck_assert_ptr_null(pubsub_link(pubsub));
}
END_TEST

START_TEST(leaving_inside_a_message)
{
    for (size_t i = 0; i < 3; i++) {
        change(i, true, PUBSUB_CHANNEL, "c");
        change(i, true, PUBSUB_PATTERN, "c*");
        change(i, true, PUBSUB_PATTERN, "?");
        settle(&listeners[i]);
        listeners[i].heard[0] = '\0';
    }
    listeners[0].leaves_on_message = listeners[2].leaves_on_message = true;
    ck_assert_int_eq(pubsub_publish(pubsub, PUBSUB_CHANNEL, BYTES("c"), BYTES("x")), 5);
    ck_assert_str_eq(listeners[0].heard, "[c x]");
    ck_assert_str_eq(listeners[1].heard, "[c x][c* c x][? c x]");
    listeners[1].leaves_on_message = true;
    ck_assert_int_eq(pubsub_publish(pubsub, PUBSUB_CHANNEL, BYTES("c"), BYTES("y")), 1);
    turn_times(&loop, 2);
    ck_assert(pubsub_is_empty(pubsub));
}
END_TEST

START_TEST(without_memory)
{
    for (unsigned n = 1; n <= 3; n++) {
        mem_fail_after(n);
        bool ok = pubsub_subscribe(pubsub, listeners[0].subscriber, PUBSUB_CHANNEL, BYTES("c"));
        mem_fail_after(0);
        ck_assert(!ok);
        ck_assert_uint_eq(pubsub_total(listeners[0].subscriber), 0);
        ck_assert_int_eq(pubsub_publish(pubsub, PUBSUB_CHANNEL, BYTES("c"), BYTES("x")), 0);
        turn_times(&loop, 2);
        ck_assert(pubsub_is_empty(pubsub));
    }
    subscribe(0, "c");
    static char big[1 << 17]; /* more than the buffer for messages keeps */
    mem_fail_after(2);        /* the first is for the head */
    struct bytes payload = bytes_of(big, sizeof(big));
    ck_assert_int_eq(pubsub_publish(pubsub, PUBSUB_CHANNEL, BYTES("c"), payload), -1);
    mem_fail_after(0);
}
END_TEST

START_TEST(many)
{
    char name[20];
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "c%u", i / 2);
        change(i % 2, true, PUBSUB_CHANNEL, name);
    }
    settle(&listeners[0]);
    ck_assert_uint_eq(pubsub_topics(pubsub, PUBSUB_CHANNEL), 2500);
    for (unsigned i = 0; i < 2500; i++) {
        snprintf(name, sizeof(name), "c%u", i);
        ck_assert_int_eq(pubsub_correct_subscribers(pubsub, PUBSUB_CHANNEL, bytes_of_str(name), 0),
                         2);
        change(0, false, PUBSUB_CHANNEL, name);
    }
    ck_assert_uint_eq(pubsub_total(listeners[0].subscriber), 0);
    struct bytes first = pubsub_first(listeners[1].subscriber, PUBSUB_CHANNEL);
    ck_assert(bytes_equal(first, BYTES("c0")));
    leave(&listeners[1]);
    turn_times(&loop, 2);
    ck_assert(pubsub_is_empty(pubsub));
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, alone_at_once);
    tcase_add_test(tcase, leaving_inside_a_message);
    tcase_add_test(tcase, without_memory);
    tcase_add_test(tcase, many);
}

int main(void)
{
    return run_pubsub_suite("pubsub_alone", set_up_alone, add_tests);
}
