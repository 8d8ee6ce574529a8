/* Links of clients (src/upstream/pinned.h): taken, given back, kept, lost, and never too many. The
 * test moves the clock. */
#include "fake_pins.h"

#include "base/log.h"
#include "upstream/pinned.h"

#define TIMEOUT_MS 1000
#define CONNECT_TIMEOUT_MS 3000
#define PING_INTERVAL_MS 15000 /* whatever the other links' is */
#define IDLE_MAX 16
#define CONNECTING_MAX 128
#define MAX 150

static struct loop loop;
static struct pinned_pool *pool;

/* Operations and what became of them */

struct op {
    unsigned n_calls;
    enum link_outcome outcome;
    char reply[200];
};

static struct op ops[PINS_MAX];

static void on_reply(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct op *op = ctx;
    op->n_calls++;
    op->outcome = outcome;
    snprintf(op->reply, sizeof(op->reply), "%.*s", (int)reply.len, reply.ptr);
}

static void send_to(struct pinned *pinned, unsigned db, struct op *op)
{
    pinned_send(pinned, db, BYTES("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), false, on_reply, op);
}

static void block_on(struct pinned *pinned, struct op *op)
{
    pinned_send(pinned, 0, BYTES("*3\r\n$5\r\nBLPOP\r\n$1\r\nq\r\n$1\r\n0\r\n"), true, on_reply,
                op);
}

static void expect_op(const struct op *op, enum link_outcome outcome, const char *text)
{
    TURN_UNTIL(&loop, op->n_calls > 0);
    turn_times(&loop, 3);
    ck_assert_uint_eq(op->n_calls, 1);
    ck_assert_int_eq(op->outcome, outcome);
    ck_assert_msg(strstr(op->reply, text) != NULL, "%s", op->reply);
}

static struct pinned_figures figures(void)
{
    struct pinned_figures now;
    pinned_read_figures(pool, &now);
    return now;
}

static struct pinned *acquire(void)
{
    struct pinned *pinned = pinned_acquire(pool);
    ck_assert_ptr_nonnull(pinned);
    return pinned;
}

static void pass_ms(int64_t ms)
{
    clock_advance(&loop.clock, ms);
    turn_times(&loop, 3);
}

/* Set-up */

static struct link_options options_now(void)
{
    char url[200];
    char error[200];
    struct link_options options = {
        .tracking = true, /* of the template: no link of the pool does */
        .timeout_ms = TIMEOUT_MS,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .ping_interval_ms = 100,
        .backoff_min_ms = 50,
        .backoff_max_ms = 800,
        .max_inflight = 1000,
        .max_reply_bytes = 1u << 20,
    };
    snprintf(url, sizeof(url), "unix:%s", upstream.path);
    ck_assert_msg(address_parse(&options.address, url, error, sizeof(error)), "%s", error);
    return options;
}

static void set_up(void)
{
    log_set_level(LOG_NOTHING);
    memset(ops, 0, sizeof(ops));
    ck_assert_int_eq(loop_init(&loop), 0);
    clock_init_manual(&loop.clock, 1000000, 0);
    upstream_open();
    pins_open(true);
    upstream_attach(&loop);
    struct link_options options = options_now();
    pool = pinned_pool_create(&loop, &options, MAX);
    loop_add_hook(&loop, pinned_pool_flush, pool);
}

static void tear_down(void)
{
    loop.n_hooks = 0;
    pinned_pool_destroy(pool);
    pool = NULL;
    pins_close();
    upstream_close();
    loop_deinit(&loop);
}

/* Life of a link */

START_TEST(test_says_only_who_it_is)
{
    struct pinned *pinned = acquire();
    ck_assert_int_eq(pinned_client_id(pinned), 0);
    send_to(pinned, 0, &ops[0]);
    pin_expect(0, "GET k");
    ck_assert_int_eq(pinned_client_id(pinned), 1000);
    upstream_expect_in(&pins.items[0].greeting, "HELLO 3 SETNAME larder");
    pin_say(0, "$1\r\nv\r\n");
    expect_op(&ops[0], LINK_REPLY, "$1\r\nv\r\n");
    ck_assert_uint_eq(figures().in_use, 1);
    ck_assert_uint_eq(figures().created, 1);
    pinned_release(pinned, false);
}
END_TEST

START_TEST(test_waits_until_it_is_up)
{
    struct pinned *pinned = acquire();
    pins.is_mute = true;
    send_to(pinned, 0, &ops[0]);
    pins_expect(1);
    pin_expect(0, "");
    ck_assert_int_eq(pinned_client_id(pinned), 0);
    pin_greet(0);
    pin_expect(0, "GET k");
    ck_assert_uint_eq(ops[0].n_calls, 0);
    pinned_release(pinned, false);
}
END_TEST

START_TEST(test_clean_ones_serve_others)
{
    struct pinned *first = acquire();
    struct pinned *second = acquire();
    block_on(first, &ops[0]);
    block_on(second, &ops[1]);
    pins_expect(2);
    pin_say(0, ":1\r\n");
    pin_say(1, ":2\r\n");
    expect_op(&ops[0], LINK_REPLY, ":1");
    expect_op(&ops[1], LINK_REPLY, ":2");
    pinned_release(first, true);
    pinned_release(second, true);
    ck_assert_uint_eq(figures().in_use, 0);
    ck_assert_uint_eq(figures().idle, 2);
    turn_times(&loop, 3);
    ck_assert_uint_eq(pins_count_open(), 2);
    /* The one that was used last is the likeliest to be up. */
    ck_assert_ptr_eq(acquire(), second);
    ck_assert_ptr_eq(acquire(), first);
    ck_assert_uint_eq(figures().idle, 0);
    ck_assert_uint_eq(figures().created, 2);
    pins_expect(2);
    pinned_release(first, false);
    pinned_release(second, false);
}
END_TEST

START_TEST(test_others_are_closed)
{
    struct pinned *pinned = acquire();
    block_on(pinned, &ops[0]);
    pin_expect(0, "BLPOP q 0");
    pinned_release(pinned, false);
    ck_assert_uint_eq(ops[0].n_calls, 0); /* not inside the call */
    pin_expect_end(0);
    expect_op(&ops[0], LINK_FAILED, "-UPSTREAM");
    ck_assert_uint_eq(figures().in_use, 0);
    ck_assert_uint_eq(figures().idle, 0);
    pinned_release(acquire(), false);
    ck_assert_uint_eq(figures().created, 2);
}
END_TEST

START_TEST(test_lost_ones_are_not_kept)
{
    struct pinned *pinned = acquire();
    send_to(pinned, 0, &ops[0]);
    pins_expect(1);
    pin_hang_up(0);
    expect_op(&ops[0], LINK_FAILED, "-UPSTREAM");
    pinned_release(pinned, true); /* lost: whatever is said of it */
    ck_assert_uint_eq(figures().idle, 0);
    ck_assert_uint_eq(figures().in_use, 0);
}
END_TEST

START_TEST(test_only_some_are_kept)
{
    struct pinned *taken[IDLE_MAX + 4];
    for (size_t i = 0; i < IDLE_MAX + 4; i++)
        taken[i] = acquire();
    pins_expect(IDLE_MAX + 4);
    for (size_t i = 0; i < IDLE_MAX + 4; i++)
        pinned_release(taken[i], true);
    TURN_UNTIL(&loop, pins_count_open() <= IDLE_MAX);
    turn_times(&loop, 3);
    ck_assert_uint_eq(pins_count_open(), IDLE_MAX);
    ck_assert_uint_eq(figures().idle, IDLE_MAX);
    ck_assert_uint_eq(figures().in_use, 0);
}
END_TEST

/* Limits */

START_TEST(test_never_more_than_max)
{
    struct pinned *taken[MAX];
    for (size_t i = 0; i < MAX; i++)
        taken[i] = acquire();
    ck_assert_ptr_null(pinned_acquire(pool));
    ck_assert_ptr_null(pinned_acquire(pool));
    ck_assert_uint_eq(figures().in_use, MAX);
    ck_assert_uint_eq(figures().max, MAX);
    ck_assert_uint_eq(figures().refused, 2);
    pinned_release(taken[0], false);
    taken[0] = acquire();
    ck_assert_ptr_null(pinned_acquire(pool));
    pinned_reset_counters(pool);
    ck_assert_uint_eq(figures().refused, 0);
    ck_assert_uint_eq(figures().created, 0);
    ck_assert_uint_eq(figures().in_use, MAX);
    for (size_t i = 0; i < MAX; i++)
        pinned_release(taken[i], false);
    turn_times(&loop, 3);
}
END_TEST

START_TEST(test_connects_some_at_a_time)
{
    struct pinned *taken[CONNECTING_MAX + 10];
    pins.is_mute = true;
    for (size_t i = 0; i < CONNECTING_MAX + 10; i++) {
        taken[i] = acquire();
        send_to(taken[i], 0, &ops[i]);
    }
    pins_expect(CONNECTING_MAX);
    pin_greet(7);
    pins_expect(CONNECTING_MAX + 1);
    pin_hang_up(8); /* who fails makes room, too */
    pins_expect(CONNECTING_MAX + 2);
    pinned_release(taken[20], false); /* who is given back while connecting */
    pins_expect(CONNECTING_MAX + 3);
    pinned_release(taken[CONNECTING_MAX + 9], false); /* has not begun: nothing to make room for */
    pins_expect(CONNECTING_MAX + 3);
    expect_op(&ops[CONNECTING_MAX + 9], LINK_FAILED, "-UPSTREAM");
    for (size_t i = 0; i < CONNECTING_MAX + 3; i++)
        if (pin_is_open(i) && i != 7)
            pin_greet(i);
    pins_expect(CONNECTING_MAX + 9);
    for (size_t i = 0; i < CONNECTING_MAX + 9; i++)
        if (i != 20)
            pinned_release(taken[i], false);
    turn_times(&loop, 3);
    ck_assert_uint_eq(figures().in_use, 0);
}
END_TEST

START_TEST(test_no_connection_in_time)
{
    struct pinned *pinned = acquire();
    pins.is_mute = true;
    pins_expect(1);
    block_on(pinned, &ops[0]);
    pass_ms(CONNECT_TIMEOUT_MS + 1);
    expect_op(&ops[0], LINK_REFUSED, "-UPSTREAM");
    ck_assert(pinned_is_lost(pinned));
    pass_ms(10000);
    pins_expect(1); /* never a second time */
    pinned_release(pinned, true);
}
END_TEST

/* Loss */

START_TEST(test_lost_in_use)
{
    struct pinned *pinned = acquire();
    block_on(pinned, &ops[0]);
    pin_expect(0, "BLPOP q 0");
    ck_assert(!pinned_is_lost(pinned));
    pin_hang_up(0);
    expect_op(&ops[0], LINK_FAILED, "-UPSTREAM");
    ck_assert(pinned_is_lost(pinned));
    ck_assert_uint_eq(figures().in_use, 1); /* until it is given back */
    send_to(pinned, 0, &ops[1]);
    expect_op(&ops[1], LINK_REFUSED, "-UPSTREAM");
    pass_ms(10000);
    pins_expect(1);
    pinned_release(pinned, false);
    ck_assert_uint_eq(figures().in_use, 0);
}
END_TEST

START_TEST(test_lost_while_idle)
{
    struct pinned *pinned = acquire();
    pins_expect(1);
    pinned_release(pinned, true);
    ck_assert_uint_eq(figures().idle, 1);
    pin_hang_up(0);
    TURN_UNTIL(&loop, figures().idle == 0);
    pinned = acquire();
    pins_expect(2);
    ck_assert(!pinned_is_lost(pinned));
    pinned_release(pinned, false);
}
END_TEST

/* Time */

START_TEST(test_who_blocks_has_no_deadline)
{
    struct pinned *blocks = acquire();
    block_on(blocks, &ops[0]);
    pin_expect(0, "BLPOP q 0");
    for (int i = 0; i < 100; i++)
        pass_ms(PING_INTERVAL_MS);
    pin_expect(0, "");
    ck_assert_uint_eq(ops[0].n_calls, 0);
    ck_assert(!pinned_is_lost(blocks));
    struct pinned *other = acquire();
    send_to(other, 0, &ops[1]);
    pin_expect(1, "GET k");
    pass_ms(TIMEOUT_MS + 2);
    expect_op(&ops[1], LINK_FAILED, "gave no reply");
    pinned_release(blocks, false);
    pinned_release(other, false);
}
END_TEST

/* A link that nobody has sent anything on for long is pinged, which is written at once: a client
 * may think for a minute between WATCH and EXEC. */
START_TEST(test_who_is_silent_is_pinged)
{
    struct pinned *watches = acquire();
    struct pinned *idle = acquire();
    pins_expect(2);
    pinned_release(idle, true);
    for (int i = 0; i < 5; i++) {
        pass_ms(PING_INTERVAL_MS - 1);
        pin_expect(0, "");
        pin_expect(1, "");
        pass_ms(1);
        pin_expect(0, "PING");
        pin_expect(1, "PING");
        pin_say(0, "+PONG\r\n");
        pin_say(1, "+PONG\r\n");
        turn_times(&loop, 3);
    }
    ck_assert(!pinned_is_lost(watches));
    ck_assert_uint_eq(figures().idle, 1);
    pass_ms(PING_INTERVAL_MS);
    pin_expect(0, "PING");
    pass_ms(TIMEOUT_MS + 1); /* nobody there any more */
    pass_ms(1);
    ck_assert(pinned_is_lost(watches));
    ck_assert_uint_eq(figures().idle, 0);
    pinned_release(watches, false);
}
END_TEST

/* Databases and settings */

START_TEST(test_database)
{
    struct pinned *pinned = acquire();
    send_to(pinned, 0, &ops[0]);
    send_to(pinned, 3, &ops[1]);
    send_to(pinned, 3, &ops[2]);
    pin_expect(0, "GET k; SELECT 3; GET k; GET k");
    pinned_forget_db(pinned);
    send_to(pinned, 3, &ops[3]);
    pin_expect(0, "SELECT 3; GET k");
    pinned_release(pinned, false);
}
END_TEST

START_TEST(test_new_settings)
{
    struct pinned *old = acquire();
    pins_expect(1);
    struct link_options options = options_now();
    address_deinit(&options.address);
    memset(&options.address, 0, sizeof(options.address));
    options.username = strdup("me");
    options.password = strdup("secret");
    options.timeout_ms = 5000;
    pinned_pool_configure(pool, &options, 2);
    ck_assert_ptr_null(options.password);
    ck_assert_uint_eq(figures().max, 2);
    struct pinned *fresh = acquire();
    ck_assert_ptr_null(pinned_acquire(pool));
    pins_expect(2); /* where the others went */
    upstream_expect_in(&pins.items[0].greeting, "HELLO 3 SETNAME larder");
    upstream_expect_in(&pins.items[1].greeting, "HELLO 3 AUTH me secret SETNAME larder");
    send_to(fresh, 0, &ops[0]);
    pass_ms(TIMEOUT_MS + 2);
    ck_assert_uint_eq(ops[0].n_calls, 0);
    pass_ms(4000);
    expect_op(&ops[0], LINK_FAILED, "gave no reply within 5000 ms");
    pinned_release(old, false);
    pinned_release(fresh, false);
}
END_TEST

/* The end of the pool: what is in flight fails, whatever state its link is in. */
START_TEST(test_end)
{
    struct pinned *taken[CONNECTING_MAX + 2];
    pins.is_mute = true;
    for (size_t i = 0; i < CONNECTING_MAX + 2; i++) {
        taken[i] = acquire();
        block_on(taken[i], &ops[i]);
    }
    pins_expect(CONNECTING_MAX);
    pin_greet(0);
    pin_expect(0, "BLPOP q 0");
    pinned_release(taken[1], false);
    pinned_pool_destroy(pool);
    loop.n_hooks = 0;
    pool = NULL;
    turn_times(&loop, 3);
    for (size_t i = 0; i < CONNECTING_MAX + 2; i++)
        expect_op(&ops[i], LINK_FAILED, "larder is shutting down");
    turn_times(&loop, 3);
    ck_assert_uint_eq(pins_count_open(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pinned");
    TCase *tcase = tcase_create("pinned");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_says_only_who_it_is);
    tcase_add_test(tcase, test_waits_until_it_is_up);
    tcase_add_test(tcase, test_clean_ones_serve_others);
    tcase_add_test(tcase, test_others_are_closed);
    tcase_add_test(tcase, test_lost_ones_are_not_kept);
    tcase_add_test(tcase, test_only_some_are_kept);
    tcase_add_test(tcase, test_never_more_than_max);
    tcase_add_test(tcase, test_connects_some_at_a_time);
    tcase_add_test(tcase, test_no_connection_in_time);
    tcase_add_test(tcase, test_lost_in_use);
    tcase_add_test(tcase, test_lost_while_idle);
    tcase_add_test(tcase, test_who_blocks_has_no_deadline);
    tcase_add_test(tcase, test_who_is_silent_is_pinged);
    tcase_add_test(tcase, test_database);
    tcase_add_test(tcase, test_new_settings);
    tcase_add_test(tcase, test_end);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
