/* What the tests of pub/sub share: four listeners on a registry over the fake upstream, or on one
 * without an upstream. */
#ifndef LARDER_TESTS_PUBSUB_SUPPORT_H
#define LARDER_TESTS_PUBSUB_SUPPORT_H

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

static inline void hear(struct listener *listener, const char *text, size_t len)
{
    size_t end = strlen(listener->heard);
    snprintf(listener->heard + end, sizeof(listener->heard) - end, "%.*s", (int)len, text);
}

static inline void leave(struct listener *listener)
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

static inline void flush_pubsub(struct loop *on, void *ctx)
{
    (void)ctx;
    if (pubsub != NULL)
        pubsub_flush(on, pubsub);
}

static inline void set_up(void)
{
    fixture_set_up();
    memset(listeners, 0, sizeof(listeners));
    pubsub = pubsub_create(&loop, &pubsub_handlers, listeners, true);
    loop_add_hook(&loop, flush_pubsub, NULL);
    for (size_t i = 0; i < 4; i++)
        listeners[i].subscriber = pubsub_join(&listeners[i]);
}

static inline void set_up_alone(void)
{
    set_up();
    pubsub_destroy(pubsub);
    pubsub = pubsub_create(&loop, &pubsub_handlers, listeners, false);
}

static inline void tear_down(void)
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

static inline void on_settled(void *ctx, struct bytes error)
{
    struct listener *listener = ctx;
    listener->n_settled++;
    const char *blank = error.len > 0 ? memchr(error.ptr, ' ', error.len) : NULL;
    if (blank != NULL)
        hear(listener, error.ptr, (size_t)(blank - error.ptr));
    else
        hear(listener, "ok", 2);
}

static inline void settle(struct listener *listener)
{
    if (pubsub_settle(pubsub, listener->subscriber, on_settled, listener))
        hear(listener, "at once", 7);
}

static inline void change(size_t who, bool subscribes, enum pubsub_kind kind, const char *name)
{
    struct pubsub_subscriber *subscriber = listeners[who].subscriber;
    if (subscribes)
        ck_assert(pubsub_subscribe(pubsub, subscriber, kind, bytes_of_str(name)));
    else
        pubsub_unsubscribe(pubsub, subscriber, kind, bytes_of_str(name));
}

static inline void subscribe(size_t who, const char *name)
{
    change(who, true, PUBSUB_CHANNEL, name);
    settle(&listeners[who]);
}

static inline void unsubscribe(size_t who, const char *name)
{
    change(who, false, PUBSUB_CHANNEL, name);
    settle(&listeners[who]);
}

/* Says something that must arrive in the next turns, whatever was said before. */
static inline void say(const char *text)
{
    int on = 1;
    ck_assert_int_eq(setsockopt(fake.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    fake_say(text);
}

static inline void say_push(const char *type, const char *name, const char *last)
{
    char text[300];
    snprintf(text, sizeof(text), ">3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n%s\r\n", strlen(type), type,
             strlen(name), name, last);
    say(text);
}

static inline void confirm(const char *type, const char *name)
{
    say_push(type, name, ":1");
    turn_times(&loop, 3);
}

static inline void message(const char *name)
{
    say_push("message", name, "$1\r\nx");
    turn_times(&loop, 3);
}

/* Waits until the fake has got `commands` since the last call. */
static inline void wait_said(const char *commands)
{
    TURN_UNTIL(&loop, strcmp(fake.said, commands) == 0);
    fake.said[0] = '\0';
}

static inline void subscribed(size_t who, const char *name)
{
    char said[100];
    subscribe(who, name);
    snprintf(said, sizeof(said), "subscribe.%s", name);
    wait_said(said);
    confirm("subscribe", name);
    ck_assert_str_eq(listeners[who].heard, "ok");
    listeners[who].heard[0] = '\0';
}

/* Runs a suite of one case. */
static inline int run_pubsub_suite(const char *name, void (*set)(void),
                                   void (*add_tests)(TCase *tcase))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, set, tear_down);
    tcase_set_timeout(tcase, 30);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
