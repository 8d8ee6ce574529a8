/* The history checker's own tests: small records in which something is wrong, each beside one that is right and differs as
 * little as possible. Times are milliseconds. */
#include "history_check.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

/* Allowed in these tests: a second of staleness, 10 ms behind a deadline. */
#define BOUND 1000
#define SLACK 10

/* Keys of a round with 12 registers and 4 counters. */
enum { STRING = 0, HASH = 1, OTHER_STRING = 2, COUNTER = 12 };
/* Views. */
enum { L2, ONE, TWO };

static struct history history;
static struct check_sums sums;

static void set_up(void)
{
    history_init(&history, 3);
    history_begin(&history, 7, 12, 42);
    history.start_ns = 0;
    memset(&sums, 0, sizeof(sums));
}

static void tear_down(void)
{
    history_deinit(&history);
}

/* Adds an operation. A write without an end has an unknown outcome. */
static struct op *add(enum op_kind kind, unsigned view, unsigned conn, int64_t begin, int64_t end,
                      int64_t value)
{
    struct op op = {.begin_ns = begin * NS_PER_MS,
                    .end_ns = end == OP_NEVER ? OP_NEVER : end * NS_PER_MS,
                    .value = value,
                    .conn = (uint16_t)conn,
                    .key = STRING,
                    .kind = (uint8_t)kind,
                    .state = end == OP_NEVER ? OP_UNKNOWN : OP_DONE,
                    .view = (uint8_t)view,
                    .verb = "test"};
    op.command = (uint32_t)history.n_ops;
    size_t at = history_add(&history, &op);
    return &history.ops[at];
}

/* Writes a new value and returns it. */
static int64_t writes(unsigned view, int64_t begin, int64_t end)
{
    int64_t value = history_new_value(&history);
    add(OP_VALUE_WRITE, view, 0, begin, end, value);
    return value;
}

static int64_t writes_for(unsigned view, int64_t begin, int64_t end, int ttl_ms)
{
    int64_t value = history_new_value(&history);
    add(OP_VALUE_WRITE, view, 0, begin, end, value)->extra = ttl_ms;
    return value;
}

static void reads(unsigned view, int64_t begin, int64_t end, int64_t value)
{
    add(OP_VALUE_READ, view, 1, begin, end, value);
}

static void finds(unsigned view, int64_t begin, int64_t end, bool there)
{
    add(OP_PRESENCE_READ, view, 1, begin, end, there);
}

static void removes(unsigned view, int64_t begin, int64_t end)
{
    add(OP_NIL_WRITE, view, 0, begin, end, 0);
}

static uint64_t violations(void)
{
    static const struct check_options options = {BOUND * NS_PER_MS, SLACK * NS_PER_MS, 0};
    check_history(&history, &options, &sums);
    return sums.n_violations;
}

#define ck_right() ck_assert_uint_eq(violations(), 0)
#define ck_wrong() ck_assert_uint_gt(violations(), 0)
#define ck_wrong_if(wrong) ck_assert_int_eq(violations() > 0, wrong)

/* Order */

START_TEST(test_read_your_writes)
{
    int64_t first = writes(ONE, 0, 10);
    writes(ONE, 20, 30);
    reads(ONE, _i == 0 ? 31 : 29, 40, first);
    ck_wrong_if(_i == 0);
}
END_TEST

START_TEST(test_writes_that_overlap_may_be_in_any_order)
{
    int64_t first = writes(ONE, 0, 21);
    writes(ONE, 20, 30);
    reads(ONE, 31, 40, first);
    ck_right();
}
END_TEST

START_TEST(test_a_write_at_l2_may_be_seen_late)
{
    int64_t first = writes(L2, 0, 10);
    writes(L2, 20, 30);
    reads(ONE, 30 + BOUND - (_i == 1), 2000, first);
    reads(ONE, 30 + BOUND + 1 - (_i == 1), 2000, first);
    ck_wrong_if(_i == 0);
    ck_assert_uint_eq(sums.stale[ONE].n, 2);
    ck_assert_int_eq(spread_at(&sums.stale[ONE], 1), (BOUND + (_i == 0)) * NS_PER_MS);
}
END_TEST

START_TEST(test_a_write_through_the_other_larder_may_be_seen_late)
{
    int64_t first = writes(ONE, 0, 10);
    writes(TWO, 20, 30);
    reads(ONE, 100, 110, first);
    if (_i == 0)
        reads(TWO, 100, 110, first);
    ck_wrong_if(_i == 0);
}
END_TEST

START_TEST(test_an_undeclared_write_may_be_seen_late)
{
    int64_t first = writes(ONE, 0, 10);
    int64_t second = history_new_value(&history);
    add(OP_VALUE_WRITE, ONE, 0, 20, 30, second)->is_loose = _i == 1;
    reads(ONE, 40, 50, first);
    ck_wrong_if(_i == 0);
}
END_TEST

START_TEST(test_reads_do_not_go_back)
{
    int64_t first = writes(L2, 0, 10);
    int64_t second = writes(L2, 20, 30);
    reads(ONE, 40, 50, second);
    reads(_i == 0 ? ONE : TWO, 60, 70, first);
    ck_wrong_if(_i == 0);
}
END_TEST

START_TEST(test_a_connection_sees_its_own_pipelined_writes)
{
    int64_t first = writes(ONE, 0, 10);
    writes(ONE, 20, 90);
    add(OP_VALUE_READ, ONE, _i == 0 ? 0 : 1, 21, 80, first);
    ck_wrong_if(_i == 0);
}
END_TEST

START_TEST(test_l2_itself_is_held_to_all_of_it)
{
    int64_t first = writes(ONE, 0, 10);
    writes(TWO, 20, 30);
    reads(L2, _i == 0 ? 31 : 29, 40, first);
    ck_wrong_if(_i == 0);
}
END_TEST

/* A write whose outcome is unknown may be executed at any time, but not before it began, and once it is seen, it
 * was. */
START_TEST(test_an_unknown_write_may_come_late)
{
    int64_t unknown = writes(ONE, 0, OP_NEVER);
    int64_t second = writes(ONE, 20, 30);
    reads(ONE, 40, 50, second);
    reads(ONE, 60, 70, unknown);
    ck_right();
}
END_TEST

START_TEST(test_an_unknown_write_that_was_seen_is_known)
{
    int64_t unknown = writes(ONE, 0, OP_NEVER);
    reads(ONE, 5, 10, unknown);
    int64_t second = writes(ONE, 20, 30);
    reads(ONE, 40, 50, second);
    reads(ONE, 60, 70, unknown);
    ck_wrong();
}
END_TEST

/* Origin */

START_TEST(test_a_value_of_the_future)
{
    int64_t value = writes(ONE, 20, 30);
    reads(ONE, 0, _i == 0 ? 19 : 21, value);
    ck_wrong_if(_i == 0);
}
END_TEST

START_TEST(test_a_value_of_another_key)
{
    int64_t value = writes(ONE, 0, 10);
    add(OP_VALUE_READ, ONE, 1, 20, 30, value)->key = OTHER_STRING;
    ck_wrong();
}
END_TEST

START_TEST(test_a_value_whose_write_was_refused)
{
    int64_t value = history_new_value(&history);
    add(OP_VALUE_WRITE, ONE, 0, 0, 10, value)->state = OP_NOTHING;
    reads(ONE, 20, 30, value);
    ck_wrong();
}
END_TEST

/* Absence and presence */

START_TEST(test_nothing_needs_a_reason)
{
    writes(ONE, 0, 10);
    if (_i == 1)
        removes(L2, 5, 15);
    if (_i == 2)
        add(OP_NIL_WRITE, TWO, 0, 5, OP_NEVER, 0);
    if (_i == 3)
        add(OP_NIL_WRITE, ONE, 0, 5, 10, 0)->state = OP_MAYBE;
    if (_i < 4)
        reads(ONE, 20, 30, VALUE_NIL);
    else
        finds(ONE, 20, 30, false);
    ck_wrong_if(_i == 0 || _i == 4);
}
END_TEST

START_TEST(test_a_deletion_is_seen)
{
    int64_t value = writes(ONE, 0, 10);
    removes(_i < 2 ? ONE : L2, 20, 30);
    if (_i == 0)
        reads(ONE, 31, 40, value);
    else
        finds(ONE, 31, 40, true);
    ck_wrong_if(_i < 2);
}
END_TEST

START_TEST(test_a_key_that_a_later_write_brings_back_is_there)
{
    writes(ONE, 0, 10);
    removes(ONE, 20, 30);
    writes(L2, 25, OP_NEVER);
    finds(ONE, 31, 40, true);
    ck_right();
}
END_TEST

START_TEST(test_a_key_that_expires_is_not_there)
{
    writes_for(ONE, 0, 10, 100);
    if (_i == 0)
        reads(ONE, 20, 94, VALUE_NIL);
    else
        reads(ONE, 20, 101, VALUE_NIL);
    ck_wrong_if(_i == 0);
}
END_TEST

/* Zones: the writes overlap, so only what was read tells their order. */

START_TEST(test_a_value_does_not_come_back)
{
    int64_t a = writes(L2, 0, 100);
    int64_t b = writes(L2, 0, 100);
    reads(ONE, 10, 20, a);
    reads(ONE, 30, 40, b);
    reads(_i == 0 ? ONE : TWO, 50, 60, a);
    ck_wrong_if(_i == 0);
}
END_TEST

START_TEST(test_two_values_do_not_take_turns)
{
    int64_t a = writes(L2, 0, 100);
    int64_t b = writes(L2, 0, 100);
    reads(ONE, 10, 20, a);
    reads(ONE, 30, 40, b);
    reads(ONE, 35, 60, a);
    if (_i == 0)
        reads(ONE, 65, 70, b);
    if (_i == 0)
        reads(ONE, 80, 90, a);
    ck_wrong_if(_i == 0);
}
END_TEST

START_TEST(test_a_value_does_not_outlive_nothing)
{
    int64_t a = writes(L2, 0, 100);
    if (_i == 0)
        add(OP_NIL_WRITE, L2, 2, 0, 100, 0);
    else
        add(OP_NIL_WRITE, ONE, 2, 30, 40, 0);
    reads(ONE, 10, 20, a);
    if (_i == 0)
        reads(ONE, 30, 40, VALUE_NIL);
    reads(ONE, 50, 60, a);
    ck_wrong();
}
END_TEST

/* L2 ends a deadline by its own clock, a little before the larder does. */
START_TEST(test_a_value_may_outlive_its_deadline_by_the_slack)
{
    int64_t a = writes_for(ONE, 0, 10, 100);
    reads(ONE, 20, 30, a);
    reads(ONE, 109, 111, VALUE_NIL);
    reads(ONE, _i == 0 ? 130 : 112, 140, a);
    ck_wrong_if(_i == 0);
}
END_TEST

/* Deadlines */

START_TEST(test_a_deadline_ends_a_value)
{
    int64_t value = writes_for(L2, 0, 10, 100);
    reads(ONE, 110 + SLACK + (_i == 0), 200, value);
    ck_wrong_if(_i == 0);
    ck_assert_uint_eq(sums.late.n, 1);
}
END_TEST

START_TEST(test_a_deadline_that_was_set_later)
{
    int64_t value = writes(ONE, 0, 10);
    add(OP_TTL_WRITE, _i == 1 ? L2 : ONE, 0, 20, 30, 0)->extra = 100;
    if (_i == 2)
        add(OP_TTL_WRITE, ONE, 0, 40, 50, 0)->extra = TTL_PERSIST;
    if (_i == 3)
        add(OP_TTL_WRITE, ONE, 0, 40, OP_NEVER, 0)->extra = 50;
    reads(ONE, 130 + SLACK + 1, 300, value);
    if (_i == 4)
        reads(ONE, 130 + SLACK + BOUND + 1, 2000, value);
    ck_wrong_if(_i == 0 || _i == 4);
}
END_TEST

/* HSET keeps the key's deadline: then only a deadline that is set behind a value's write tells something of it. */
START_TEST(test_a_hash_keeps_its_deadline)
{
    int64_t value = history_new_value(&history);
    add(OP_VALUE_WRITE, ONE, 0, 0, 10, value)->key = HASH;
    struct op *op = add(OP_TTL_WRITE, ONE, 0, _i == 0 ? 20 : 5, 30, 0);
    op->key = HASH;
    op->extra = 100;
    add(OP_VALUE_READ, ONE, 1, 150, 160, value)->key = HASH;
    ck_wrong_if(_i == 0);
}
END_TEST

/* Halves: MSET through the first larder, then MGET through a larder. */

START_TEST(test_a_command_is_seen_whole)
{
    int64_t old = history_new_value(&history);
    add(OP_VALUE_WRITE, ONE, 0, 0, 10, old)->key = OTHER_STRING;
    size_t mset = history.n_ops;
    int64_t first = writes(_i % 2 == 1 ? L2 : ONE, 20, 100);
    int64_t second = history_new_value(&history);
    struct op *half = add(OP_VALUE_WRITE, _i % 2 == 1 ? L2 : ONE, 0, 20, 100, second);
    half->key = OTHER_STRING;
    half->command = history.ops[mset].command = (uint32_t)mset;
    size_t mget = history.n_ops;
    reads(ONE, 30, 40, first);
    half = add(OP_VALUE_READ, ONE, 1, 30, 40, _i == 2 ? second : old);
    half->key = OTHER_STRING;
    half->command = history.ops[mget].command = (uint32_t)mget;
    if (_i == 3)
        history.ops[mget].verb = half->verb = "multi-get";
    ck_wrong_if(_i == 0 || _i == 3);
}
END_TEST

/* Counters */

static void counts(enum op_kind kind, unsigned view, unsigned conn, int64_t begin, int64_t end,
                   int64_t value)
{
    struct op *op = add(kind, view, conn, begin, end, value);
    op->key = COUNTER;
    op->extra = kind == OP_COUNT_WRITE ? 1 : 0;
}

START_TEST(test_counters)
{
    bool is_wrong = _i < 5;
    counts(OP_COUNT_WRITE, ONE, 0, 0, 10, 1);
    counts(OP_COUNT_WRITE, L2, 0, 20, 30, 2);
    switch (_i) {
    case 0: counts(OP_COUNT_READ, ONE, 1, 11, 15, 0); break;
    case 1: counts(OP_COUNT_READ, ONE, 1, 40, 50, 3); break;
    case 2: counts(OP_COUNT_READ, ONE, 1, 31 + BOUND, 2000, 1); break;
    case 3: counts(OP_COUNT_READ, ONE, 0, 5, 50, 0); break;
    case 4: counts(OP_COUNT_READ, L2, 1, 31, 50, 1); break;
    case 5: counts(OP_COUNT_READ, ONE, 1, 5, 50, 0); break;
    case 6: counts(OP_COUNT_READ, ONE, 1, 31, 50, 1); break;
    default: counts(OP_COUNT_READ, ONE, 1, 25, 50, 2); break;
    }
    ck_wrong_if(is_wrong);
}
END_TEST

START_TEST(test_a_lost_increment)
{
    counts(OP_COUNT_WRITE, ONE, 0, 0, 10, 1);
    counts(OP_COUNT_WRITE, ONE, 1, 20, 30, 1);
    ck_wrong();
}
END_TEST

static TCase *make_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    suite_add_tcase(suite, tcase);
    return tcase;
}

static void add_order(Suite *suite)
{
    TCase *tcase = make_case(suite, "order");
    tcase_add_loop_test(tcase, test_read_your_writes, 0, 2);
    tcase_add_test(tcase, test_writes_that_overlap_may_be_in_any_order);
    tcase_add_loop_test(tcase, test_a_write_at_l2_may_be_seen_late, 0, 2);
    tcase_add_loop_test(tcase, test_a_write_through_the_other_larder_may_be_seen_late, 0, 2);
    tcase_add_loop_test(tcase, test_an_undeclared_write_may_be_seen_late, 0, 2);
    tcase_add_loop_test(tcase, test_reads_do_not_go_back, 0, 2);
    tcase_add_loop_test(tcase, test_a_connection_sees_its_own_pipelined_writes, 0, 2);
    tcase_add_loop_test(tcase, test_l2_itself_is_held_to_all_of_it, 0, 2);
    tcase_add_test(tcase, test_an_unknown_write_may_come_late);
    tcase_add_test(tcase, test_an_unknown_write_that_was_seen_is_known);
    tcase = make_case(suite, "origin");
    tcase_add_loop_test(tcase, test_a_value_of_the_future, 0, 2);
    tcase_add_test(tcase, test_a_value_of_another_key);
    tcase_add_test(tcase, test_a_value_whose_write_was_refused);
}

static void add_states(Suite *suite)
{
    TCase *tcase = make_case(suite, "absence and presence");
    tcase_add_loop_test(tcase, test_nothing_needs_a_reason, 0, 5);
    tcase_add_loop_test(tcase, test_a_deletion_is_seen, 0, 3);
    tcase_add_test(tcase, test_a_key_that_a_later_write_brings_back_is_there);
    tcase_add_loop_test(tcase, test_a_key_that_expires_is_not_there, 0, 2);
    tcase = make_case(suite, "zones");
    tcase_add_loop_test(tcase, test_a_value_does_not_come_back, 0, 2);
    tcase_add_loop_test(tcase, test_two_values_do_not_take_turns, 0, 2);
    tcase_add_loop_test(tcase, test_a_value_does_not_outlive_nothing, 0, 2);
    tcase_add_loop_test(tcase, test_a_value_may_outlive_its_deadline_by_the_slack, 0, 2);
    tcase = make_case(suite, "deadlines");
    tcase_add_loop_test(tcase, test_a_deadline_ends_a_value, 0, 2);
    tcase_add_loop_test(tcase, test_a_deadline_that_was_set_later, 0, 5);
    tcase_add_loop_test(tcase, test_a_hash_keeps_its_deadline, 0, 2);
    tcase = make_case(suite, "halves");
    tcase_add_loop_test(tcase, test_a_command_is_seen_whole, 0, 4);
    tcase = make_case(suite, "counters");
    tcase_add_loop_test(tcase, test_counters, 0, 8);
    tcase_add_test(tcase, test_a_lost_increment);
}

int main(void)
{
    Suite *suite = suite_create("history");
    add_order(suite);
    add_states(suite);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
