/* The event loop (src/net/loop.h): events, timers, hooks and retirement, and what callbacks may do
 * to each other. */
#include "net/loop.h"

#include "base/mem.h"
#include "loop_support.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop loop;

/* What happened, one letter each. */
static char happened[64];

static void note(char what)
{
    size_t len = strlen(happened);
    ck_assert_uint_lt(len + 1, sizeof(happened));
    happened[len] = what;
    happened[len + 1] = '\0';
}

static void set_up(void)
{
    happened[0] = '\0';
    ck_assert_int_eq(loop_init(&loop), 0);
}

static void tear_down(void)
{
    loop_deinit(&loop);
}

/* One end is watched, the other one is the test's. */
struct pair {
    struct loop_watch watch;
    int fd;
    int peer;
    unsigned n_calls;
    unsigned events;     /* of the last call */
    struct pair *victim; /* its watch is removed in the callback */
};

static void on_event(struct loop *on, struct loop_watch *watch, unsigned events)
{
    struct pair *pair = watch->ctx;
    ck_assert_ptr_eq(on, &loop);
    pair->n_calls++;
    pair->events = events;
    if (pair->victim != NULL)
        loop_unwatch(on, &pair->victim->watch);
}

static void pair_open(struct pair *pair, unsigned events)
{
    int fds[2];
    memset(pair, 0, sizeof(*pair));
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    pair->fd = fds[0];
    pair->peer = fds[1];
    ck_assert_int_eq(loop_watch(&loop, &pair->watch, pair->fd, events, on_event, pair), 0);
}

static void pair_close(struct pair *pair)
{
    loop_unwatch(&loop, &pair->watch);
    close(pair->fd);
    if (pair->peer >= 0)
        close(pair->peer);
}

START_TEST(test_events_as_asked_for)
{
    struct pair pair;
    pair_open(&pair, LOOP_READ);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(pair.n_calls, 0);
    ck_assert_int_eq(write(pair.peer, "x", 1), 1);
    loop_turn(&loop, -1);
    ck_assert_uint_eq(pair.events, LOOP_READ);
    loop_turn(&loop, 0); /* still unread */
    ck_assert_uint_eq(pair.n_calls, 2);
    loop_rewatch(&loop, &pair.watch, LOOP_WRITE);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(pair.events, LOOP_WRITE);
    loop_rewatch(&loop, &pair.watch, LOOP_READ | LOOP_WRITE);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(pair.events, LOOP_READ | LOOP_WRITE);
    loop_rewatch(&loop, &pair.watch, 0);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(pair.n_calls, 4);
    pair_close(&pair);
}
END_TEST

START_TEST(test_hang_up_is_reported_as_both_whatever_was_asked_for)
{
    static const unsigned asked[] = {0, LOOP_READ, LOOP_WRITE};
    for (size_t i = 0; i < 3; i++) {
        struct pair pair;
        pair_open(&pair, asked[i]);
        close(pair.peer);
        pair.peer = -1;
        loop_turn(&loop, 0);
        ck_assert_uint_eq(pair.n_calls, 1);
        ck_assert_uint_eq(pair.events, LOOP_READ | LOOP_WRITE);
        pair_close(&pair);
    }
}
END_TEST

START_TEST(test_watch_errors)
{
    struct pair pair;
    struct loop_watch other = {0};
    pair_open(&pair, LOOP_READ);
    ck_assert_int_eq(loop_watch(&loop, &other, pair.fd, LOOP_READ, on_event, NULL), -EEXIST);
    ck_assert_int_eq(loop_watch(&loop, &other, -1, LOOP_READ, on_event, NULL), -EBADF);
    ck_assert_ptr_null(other.fn);
    loop_rewatch(&loop, &other, LOOP_READ); /* not watched: no effect */
    loop_unwatch(&loop, &other);
    pair_close(&pair);
    loop_unwatch(&loop, &pair.watch);
}
END_TEST

/* Two descriptors are ready in the same turn, and whichever is served first removes the other. */
START_TEST(test_unwatch_inside_a_callback_drops_what_the_kernel_reported)
{
    struct pair a;
    struct pair b;
    pair_open(&a, LOOP_READ);
    pair_open(&b, LOOP_READ);
    a.victim = &b;
    b.victim = &a;
    ck_assert_int_eq(write(a.peer, "x", 1), 1);
    ck_assert_int_eq(write(b.peer, "x", 1), 1);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(a.n_calls + b.n_calls, 1);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(a.n_calls + b.n_calls, 2);
    pair_close(&a);
    pair_close(&b);
}
END_TEST

START_TEST(test_unwatch_inside_the_own_callback)
{
    struct pair pair;
    pair_open(&pair, LOOP_READ);
    pair.victim = &pair;
    ck_assert_int_eq(write(pair.peer, "x", 1), 1);
    turn_times(&loop, 3);
    ck_assert_uint_eq(pair.n_calls, 1);
    ck_assert_int_eq(loop_watch(&loop, &pair.watch, pair.fd, LOOP_READ, on_event, &pair), 0);
    turn_times(&loop, 1);
    ck_assert_uint_eq(pair.n_calls, 2);
    pair_close(&pair);
}
END_TEST

static void note_letter(struct loop *on, struct loop_watch *watch, unsigned events)
{
    (void)on;
    (void)events;
    note(*(const char *)watch->ctx);
}

/* The kernel reports in the order in which they became ready. */
START_TEST(test_first_watches_come_first)
{
    struct pair pairs[3];
    for (unsigned i = 0; i < 3; i++) {
        pair_open(&pairs[i], LOOP_READ);
        pairs[i].watch.fn = note_letter;
        pairs[i].watch.ctx = (void *)&"abc"[i];
    }
    pairs[1].watch.is_first = true;
    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_eq(write(pairs[i].peer, "x", 1), 1);
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "bac");
    for (unsigned i = 0; i < 3; i++)
        pair_close(&pairs[i]);
}
END_TEST

/* More ready descriptors than one turn takes: none is forgotten. */
START_TEST(test_many_ready_at_once)
{
    enum { N = 600 }; /* copies of one descriptor, below the usual limit of 1024 */
    static struct pair copies[N];
    struct pair pair;
    unsigned n_called = 0;
    pair_open(&pair, 0);
    ck_assert_int_eq(write(pair.peer, "x", 1), 1);
    for (int i = 0; i < N; i++) {
        memset(&copies[i], 0, sizeof(copies[i]));
        copies[i].fd = dup(pair.fd);
        ck_assert_int_eq(
            loop_watch(&loop, &copies[i].watch, copies[i].fd, LOOP_READ, on_event, &copies[i]), 0);
    }
    turn_times(&loop, 2);
    for (int i = 0; i < N; i++) {
        n_called += copies[i].n_calls > 0;
        loop_unwatch(&loop, &copies[i].watch);
        close(copies[i].fd);
    }
    ck_assert_uint_eq(n_called, N);
    pair_close(&pair);
}
END_TEST

/* Timers */

struct marked_timer {
    struct timer timer;
    char mark;
    struct marked_timer *arms; /* in the callback, for now */
    struct marked_timer *disarms;
};

static void on_timer(struct timer *timer, void *ctx)
{
    struct marked_timer *marked = ctx;
    ck_assert_ptr_eq(timer, &marked->timer);
    note(marked->mark);
    if (marked->arms != NULL)
        timer_arm(&loop.timers, &marked->arms->timer, loop.clock.mono_ms);
    if (marked->disarms != NULL)
        timer_disarm(&loop.timers, &marked->disarms->timer);
}

static void timer_prepare(struct marked_timer *marked, char mark)
{
    memset(marked, 0, sizeof(*marked));
    marked->mark = mark;
    timer_init(&marked->timer, on_timer, marked);
}

START_TEST(test_timers_run_in_order_when_due)
{
    struct marked_timer timers[3];
    clock_init_manual(&loop.clock, 1000, 0);
    for (int i = 0; i < 3; i++)
        timer_prepare(&timers[i], (char)('a' + i));
    timer_arm(&loop.timers, &timers[0].timer, 1030);
    timer_arm(&loop.timers, &timers[1].timer, 1010);
    timer_arm(&loop.timers, &timers[2].timer, 1020);
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "");
    clock_advance(&loop.clock, 10);
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "b");
    clock_advance(&loop.clock, 100);
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "bca");
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "bca");
}
END_TEST

START_TEST(test_timer_callbacks_arm_and_disarm)
{
    struct marked_timer a;
    struct marked_timer b;
    clock_init_manual(&loop.clock, 1000, 0);
    timer_prepare(&a, 'a');
    timer_prepare(&b, 'b');
    a.disarms = &b;
    timer_arm(&loop.timers, &a.timer, 1000);
    timer_arm(&loop.timers, &b.timer, 1000 + 1);
    clock_advance(&loop.clock, 5);
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "a");
    ck_assert(!timer_is_armed(&b.timer));
    /* One that always arms itself for now leaves the turn all the same. */
    a.disarms = NULL;
    a.arms = &a;
    timer_arm(&loop.timers, &a.timer, 0);
    loop_turn(&loop, 0);
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "aaa");
    timer_disarm(&loop.timers, &a.timer);
}
END_TEST

START_TEST(test_turn_waits_for_the_earliest_timer_only)
{
    struct marked_timer soon;
    struct marked_timer late;
    timer_prepare(&soon, 's');
    timer_prepare(&late, 'l');
    int64_t start_ms = loop.clock.mono_ms;
    timer_arm(&loop.timers, &late.timer, start_ms + 3600 * 1000);
    timer_arm(&loop.timers, &soon.timer, start_ms + 20);
    loop_turn(&loop, -1);
    ck_assert_str_eq(happened, "s");
    ck_assert_int_ge(loop.clock.mono_ms, start_ms + 20);
    ck_assert_int_lt(loop.clock.mono_ms, start_ms + TURN_LIMIT_MS);
    timer_disarm(&loop.timers, &late.timer);
}
END_TEST

/* Hooks, work that goes on, the end */

static void hook_a(struct loop *on, void *ctx)
{
    ck_assert_ptr_eq(on, &loop);
    ck_assert_ptr_eq(ctx, happened);
    note('A');
}

static void hook_b(struct loop *on, void *ctx)
{
    (void)ctx;
    note('B');
    if (on->turns == 1)
        loop_again(on);
    if (on->turns == 2)
        loop_stop(on);
}

START_TEST(test_hooks_run_in_order_at_the_end_of_each_turn)
{
    struct marked_timer timer;
    timer_prepare(&timer, 't');
    timer_arm(&loop.timers, &timer.timer, 0);
    loop_add_hook(&loop, hook_a, happened);
    loop_add_hook(&loop, hook_b, NULL);
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "tAB");
    ck_assert_uint_eq(loop.turns, 1);
    /* hook_b asks for another turn in the second one, so that the third does not wait for ever, and
     * stops there. */
    timer_arm(&loop.timers, &timer.timer, loop.clock.mono_ms);
    loop_run(&loop);
    ck_assert_str_eq(happened, "tABtABAB");
}
END_TEST

START_TEST(test_longest_turn_is_measured)
{
    loop_turn(&loop, 0);
    ck_assert_int_ge(loop.longest_turn_us, 0);
    ck_assert_int_lt(loop.longest_turn_us, TURN_LIMIT_MS * 1000);
}
END_TEST

/* Retirement */

static char *freed_order;

static void free_and_note(void *ptr)
{
    note(*(char *)ptr);
    mem_free(ptr);
}

static void free_and_retire_more(void *ptr)
{
    note('m');
    loop_retire(&loop, free_and_note, ptr);
}

static char *letter(char c)
{
    char *ptr = mem_alloc(1);
    *ptr = c;
    return ptr;
}

static void hook_retired_is_alive(struct loop *on, void *ctx)
{
    (void)on;
    (void)ctx;
    if (freed_order != NULL)
        note((char)(*freed_order - 'a' + 'A')); /* AddressSanitizer would see it freed */
    freed_order = NULL;
}

static void retire_in_timer(struct timer *timer, void *ctx)
{
    (void)timer;
    freed_order = ctx;
    loop_retire(&loop, free_and_note, ctx);
    loop_retire(&loop, free_and_retire_more, letter('y'));
    loop_retire(&loop, free_and_note, letter('z'));
}

START_TEST(test_retired_memory_is_freed_after_the_hooks)
{
    struct timer timer;
    timer_init(&timer, retire_in_timer, letter('x'));
    loop_add_hook(&loop, hook_retired_is_alive, NULL);
    timer_arm(&loop.timers, &timer, 0);
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "Xxmzy");
    loop_turn(&loop, 0);
    ck_assert_str_eq(happened, "Xxmzy");
}
END_TEST

START_TEST(test_many_are_retired_at_once)
{
    for (int i = 0; i < 1000; i++)
        loop_retire(&loop, mem_free, mem_alloc(1));
    loop_turn(&loop, 0);
    ck_assert_uint_eq(loop.n_retired, 0);
}
END_TEST

START_TEST(test_deinit_frees_what_is_retired)
{
    struct loop other;
    ck_assert_int_eq(loop_init(&other), 0);
    loop_retire(&other, free_and_note, letter('x'));
    loop_deinit(&other);
    ck_assert_str_eq(happened, "x");
}
END_TEST

START_TEST(test_two_loops_know_nothing_of_each_other)
{
    struct loop other;
    struct pair pair;
    ck_assert_int_eq(loop_init(&other), 0);
    pair_open(&pair, LOOP_READ);
    ck_assert_int_eq(write(pair.peer, "x", 1), 1);
    loop_turn(&other, 0);
    ck_assert_uint_eq(pair.n_calls, 0);
    pair_close(&pair);
    loop_deinit(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("loop");
    TCase *tcase = tcase_create("loop");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_events_as_asked_for);
    tcase_add_test(tcase, test_hang_up_is_reported_as_both_whatever_was_asked_for);
    tcase_add_test(tcase, test_watch_errors);
    tcase_add_test(tcase, test_unwatch_inside_a_callback_drops_what_the_kernel_reported);
    tcase_add_test(tcase, test_unwatch_inside_the_own_callback);
    tcase_add_test(tcase, test_first_watches_come_first);
    tcase_add_test(tcase, test_many_ready_at_once);
    tcase_add_test(tcase, test_timers_run_in_order_when_due);
    tcase_add_test(tcase, test_timer_callbacks_arm_and_disarm);
    tcase_add_test(tcase, test_turn_waits_for_the_earliest_timer_only);
    tcase_add_test(tcase, test_hooks_run_in_order_at_the_end_of_each_turn);
    tcase_add_test(tcase, test_longest_turn_is_measured);
    tcase_add_test(tcase, test_retired_memory_is_freed_after_the_hooks);
    tcase_add_test(tcase, test_many_are_retired_at_once);
    tcase_add_test(tcase, test_deinit_frees_what_is_retired);
    tcase_add_test(tcase, test_two_loops_know_nothing_of_each_other);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
