/* What the history checker makes of replies, and of many numbers. */
#include "history_check.h"
#include "history_mix.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static struct history history;

static void set_up(void)
{
    history_init(&history, 3);
    history_begin(&history, 7, 12, 42);
}

static void tear_down(void)
{
    history_deinit(&history);
}

static void add(enum op_kind kind, int64_t value)
{
    struct op op = {.end_ns = OP_NEVER, .value = value, .kind = (uint8_t)kind, .view = 1};
    history_add(&history, &op);
}

/* Enters a reply to a command with two operations, a read and a write. */
static void take(enum rule rule, unsigned n_ops, const char *text)
{
    redisReader *reader = redisReaderCreate();
    void *reply = NULL;
    struct pending pending = {.op = 0, .n_ops = (uint16_t)n_ops, .rule = (uint8_t)rule};
    int64_t value = history_new_value(&history);
    add(OP_VALUE_READ, 0);
    add(OP_VALUE_WRITE, value);
    redisReaderFeed(reader, text, strlen(text));
    ck_assert_int_eq(redisReaderGetReply(reader, &reply), REDIS_OK);
    ck_assert_ptr_nonnull(reply);
    mix_take_reply(&history, &pending, reply, 100);
    freeReplyObject(reply);
    redisReaderFree(reader);
}

START_TEST(test_errors_of_larder_leave_writes_open)
{
    take(RULE_OLD, 2, "-UPSTREAM it is down\r\n");
    ck_assert_int_eq(history.ops[0].state, OP_NOTHING);
    ck_assert_int_eq(history.ops[1].state, OP_UNKNOWN);
    ck_assert_uint_eq(history.n_oddities, 0);
}
END_TEST

START_TEST(test_errors_of_l2)
{
    take(RULE_DONE, 2, _i == 0 ? "-ERR no such key\r\n" : "-WRONGTYPE what\r\n");
    ck_assert_int_eq(history.ops[1].state, _i == 0 ? OP_NOTHING : OP_UNKNOWN);
    ck_assert_uint_eq(history.n_oddities, _i);
}
END_TEST

START_TEST(test_a_value_that_nobody_wrote)
{
    take(RULE_OLD, 2, _i == 0 ? "$3\r\nfoo\r\n" : "$20\r\nv000007:000000000009\r\n");
    ck_assert_int_eq(history.ops[0].value, VALUE_STRANGE);
    ck_assert_int_eq(history.ops[1].state, OP_DONE);
    ck_assert_uint_eq(history.n_oddities, 1);
}
END_TEST

START_TEST(test_a_value_that_somebody_wrote)
{
    take(RULE_OLD, 2, "$20\r\nv000007:000000000001\r\n");
    ck_assert_int_eq(history.ops[0].value, 1);
    ck_assert_uint_eq(history.n_oddities, 0);
}
END_TEST

START_TEST(test_a_reply_of_another_shape)
{
    take(RULE_VALUES, 2, _i == 0 ? ":1\r\n" : "*1\r\n$-1\r\n");
    ck_assert_uint_eq(history.n_oddities, 1);
}
END_TEST

START_TEST(test_an_exec_that_was_given_up)
{
    take(RULE_EXEC, 2, "*-1\r\n");
    ck_assert_int_eq(history.ops[1].state, OP_NOTHING);
    ck_assert_uint_eq(history.n_oddities, 0);
}
END_TEST

/* Spreads */

START_TEST(test_spreads)
{
    struct spread spread = {.n = 0};
    for (int64_t i = 1; i <= 1000; i++)
        spread_add(&spread, i * 1000);
    ck_assert_int_eq(spread.max_ns, 1000000);
    ck_assert_int_ge(spread_at(&spread, 0.5), 500000);
    ck_assert_int_le(spread_at(&spread, 0.5), 500000 * 17 / 16);
    ck_assert_int_ge(spread_at(&spread, 0.99), 990000);
    ck_assert_int_eq(spread_at(&spread, 1), 1000000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history_replies");
    TCase *tcase = tcase_create("replies");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    suite_add_tcase(suite, tcase);
    tcase_add_test(tcase, test_errors_of_larder_leave_writes_open);
    tcase_add_loop_test(tcase, test_errors_of_l2, 0, 2);
    tcase_add_loop_test(tcase, test_a_value_that_nobody_wrote, 0, 2);
    tcase_add_test(tcase, test_a_value_that_somebody_wrote);
    tcase_add_loop_test(tcase, test_a_reply_of_another_shape, 0, 2);
    tcase_add_test(tcase, test_an_exec_that_was_given_up);
    tcase_add_test(tcase, test_spreads);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
