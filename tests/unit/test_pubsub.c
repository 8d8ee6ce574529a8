/* The registry of pub/sub over a scripted upstream: what is said to it, who hears what, and what is
 * left when all have gone. */
#include "link_fake.h"

#include "tier/pubsub.h"

#include <netinet/tcp.h>

static struct pubsub *pubsub;

/* A subscriber and what it has heard: messages as "[channel payload]", its confirmation as "ok" or
 * the error's first word. */
struct listener {
    struct pubsub_subscriber *subscriber;
    char heard[4096];
    unsigned n_settled;
    bool leaves_on_message;
};

static struct listener listeners[4];

static void hear(struct listener *listener, const char *text, size_t len)
{
    size_t end = strlen(listener->heard);
    snprintf(listener->heard + end, sizeof(listener->heard) - end, "%.*s", (int)len, text);
}

static void leave(struct listener *listener)
{
    struct pubsub_subscriber *subscriber = listener->subscriber;
    listener->subscriber = NULL;
    if (subscriber != NULL)
        pubsub_leave(pubsub, subscriber);
}

/* The words of a push behind its type, in brackets. */
static void deliver(void *ctx, struct bytes push)
{
    struct listener *listener = ctx;
    ck_assert_ptr_nonnull(listener->subscriber);
    ck_assert_int_eq(push.ptr[0], '>');
    char words[200] = "";
    size_t n = 0;
    for (const char *p = memchr(push.ptr, '$', push.len); p != NULL && p < push.ptr + push.len;) {
        size_t len = strtoul(p + 1, NULL, 10);
        p = strchr(p, '\n') + 1;
        if (n++ > 0)
            snprintf(words + strlen(words), sizeof(words) - strlen(words), "%s%.*s",
                     n > 2 ? " " : "", (int)len, p);
        p += len + 2;
    }
    hear(listener, "[", 1);
    hear(listener, words, strlen(words));
    hear(listener, "]", 1);
    if (listener->leaves_on_message)
        leave(listener);
}

static bool tell_options(void *owner, struct link_options *options)
{
    ck_assert_ptr_eq(owner, listeners);
    *options = link_options_for("");
    return true;
}

static const struct pubsub_handlers pubsub_handlers = {deliver, tell_options};

static void flush_pubsub(struct loop *on, void *ctx)
{
    (void)ctx;
    if (pubsub != NULL)
        pubsub_flush(on, pubsub);
}

static void set_up(void)
{
    fixture_set_up();
    memset(listeners, 0, sizeof(listeners));
    pubsub = pubsub_create(&loop, &pubsub_handlers, listeners, true);
    loop_add_hook(&loop, flush_pubsub, NULL);
    for (size_t i = 0; i < 4; i++)
        listeners[i].subscriber = pubsub_join(&listeners[i]);
}

static void set_up_alone(void)
{
    set_up();
    pubsub_destroy(pubsub);
    pubsub = pubsub_create(&loop, &pubsub_handlers, listeners, false);
}

static void tear_down(void)
{
    for (size_t i = 0; i < 4; i++)
        leave(&listeners[i]);
    turn_times(&loop, 3);
    for (int kind = 0; kind < PUBSUB_KINDS; kind++)
        ck_assert_uint_eq(pubsub_topics(pubsub, (enum pubsub_kind)kind), 0);
    ck_assert_uint_eq(pubsub_subscribers(pubsub), 0);
    pubsub_destroy(pubsub);
    pubsub = NULL;
    fixture_tear_down();
}

static void on_settled(void *ctx, struct bytes error)
{
    struct listener *listener = ctx;
    listener->n_settled++;
    const char *blank = error.len > 0 ? memchr(error.ptr, ' ', error.len) : NULL;
    if (blank != NULL)
        hear(listener, error.ptr, (size_t)(blank - error.ptr));
    else
        hear(listener, "ok", 2);
}

static void settle(struct listener *listener)
{
    if (pubsub_settle(pubsub, listener->subscriber, on_settled, listener))
        hear(listener, "at once", 7);
}

static void change(size_t who, bool subscribes, enum pubsub_kind kind, const char *name)
{
    struct pubsub_subscriber *subscriber = listeners[who].subscriber;
    if (subscribes)
        ck_assert(pubsub_subscribe(pubsub, subscriber, kind, bytes_of_str(name)));
    else
        pubsub_unsubscribe(pubsub, subscriber, kind, bytes_of_str(name));
}

static void subscribe(size_t who, const char *name)
{
    change(who, true, PUBSUB_CHANNEL, name);
    settle(&listeners[who]);
}

static void unsubscribe(size_t who, const char *name)
{
    change(who, false, PUBSUB_CHANNEL, name);
    settle(&listeners[who]);
}

/* Says something that must arrive in the next turns, whatever was said before. */
static void say(const char *text)
{
    int on = 1;
    ck_assert_int_eq(setsockopt(fake.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    fake_say(text);
}

static void say_push(const char *type, const char *name, const char *last)
{
    char text[300];
    snprintf(text, sizeof(text), ">3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n%s\r\n", strlen(type), type,
             strlen(name), name, last);
    say(text);
}

static void confirm(const char *type, const char *name)
{
    say_push(type, name, ":1");
    turn_times(&loop, 3);
}

static void message(const char *name)
{
    say_push("message", name, "$1\r\nx");
    turn_times(&loop, 3);
}

/* Waits until the fake has got `commands` since the last call. */
static void wait_said(const char *commands)
{
    TURN_UNTIL(&loop, strcmp(fake.said, commands) == 0);
    fake.said[0] = '\0';
}

static void subscribed(size_t who, const char *name)
{
    char said[100];
    subscribe(who, name);
    snprintf(said, sizeof(said), "subscribe.%s", name);
    wait_said(said);
    confirm("subscribe", name);
    ck_assert_str_eq(listeners[who].heard, "ok");
    listeners[who].heard[0] = '\0';
}

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

/* Without an upstream */

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
    mem_fail_after(2); /* the first is for the head */
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

int main(void)
{
    Suite *suite = suite_create("pubsub");
    TCase *upstream = tcase_create("upstream");
    tcase_add_checked_fixture(upstream, set_up, tear_down);
    tcase_add_test(upstream, one_subscription_for_all);
    tcase_add_test(upstream, all_kinds_are_apart);
    tcase_add_test(upstream, the_last_one_unsubscribes);
    tcase_add_test(upstream, no_effect_twice);
    tcase_add_test(upstream, answers_belong_to_their_commands);
    tcase_add_test(upstream, restored_after_a_loss);
    tcase_add_test(upstream, waits_for_the_link_and_no_longer);
    tcase_add_test(upstream, a_failure_undoes_only_its_own);
    tcase_add_test(upstream, leaving_ends_the_wait);
    tcase_add_test(upstream, the_link_goes_with_the_last_topic);
    tcase_add_test(upstream, counts_as_if_they_were_l2s);
    suite_add_tcase(suite, upstream);
    TCase *alone = tcase_create("alone");
    tcase_add_checked_fixture(alone, set_up_alone, tear_down);
    tcase_add_test(alone, alone_at_once);
    tcase_add_test(alone, leaving_inside_a_message);
    tcase_add_test(alone, without_memory);
    tcase_add_test(alone, many);
    suite_add_tcase(suite, alone);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
