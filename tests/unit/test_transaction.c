/* Queued commands (src/core/transaction.h): copies, keys, scopes, and memory that runs out. */
#include "base/mem.h"
#include "core/transaction.h"

#include <check.h>
#include <stdlib.h>

static const struct command set_row = {
    .name = "set", .flags = COMMAND_WRITE, .first = 1, .last = 1, .step = 1};
static const struct command mset_row = {
    .name = "mset", .flags = COMMAND_WRITE, .first = 1, .last = -1, .step = 2};
static const struct command get_row = {
    .name = "get", .flags = COMMAND_READONLY, .first = 1, .last = 1, .step = 1};
static const struct command flush_row = {.name = "flushall", .flags = COMMAND_WRITES_ALL};
static const struct command script_row = {
    .name = "eval", .flags = COMMAND_WRITE | COMMAND_SCRIPT | COMMAND_MOVABLE};
static const struct command select_row = {.name = "select", .flags = COMMAND_LOCAL};

static struct transaction *transaction;

static bool add(const struct command *row, const struct bytes *argv, size_t argc, bool is_local)
{
    struct call call = {
        .command = row, .argv = argv, .argc = argc, .raw = BYTES("*1\r\n$1\r\nx\r\n")};
    return transaction_add(transaction, &call, is_local);
}

static void set_up(void)
{
    transaction = transaction_create();
}

static void tear_down(void)
{
    mem_fail_after(0);
    transaction_destroy(transaction);
}

START_TEST(test_keys_of_writes_are_kept)
{
    struct bytes set[] = {BYTES("SET"), BYTES("k"), BYTES("v")};
    struct bytes mset[] = {BYTES("MSET"), BYTES("a"), BYTES("1"), BYTES(""), BYTES("2")};
    struct bytes get[] = {BYTES("GET"), BYTES("read")};
    struct bytes keys[3];
    ck_assert(add(&set_row, set, 3, false));
    ck_assert(add(&get_row, get, 2, false));
    ck_assert(add(&mset_row, mset, 5, false));
    ck_assert_uint_eq(transaction->n, 3);
    ck_assert_uint_eq(transaction->n_keys, 3);
    transaction_keys(transaction, keys);
    ck_assert(bytes_equal(keys[0], BYTES("k")));
    ck_assert(bytes_equal(keys[1], BYTES("a")));
    ck_assert(bytes_equal(keys[2], BYTES("")));
    ck_assert(bytes_equal(transaction_raw(transaction, 2), BYTES("*1\r\n$1\r\nx\r\n")));
    ck_assert(!transaction->is_dirty && !transaction->writes_db && !transaction->writes_all);
}
END_TEST

START_TEST(test_scopes)
{
    struct bytes flush[] = {BYTES("FLUSHALL")};
    struct bytes script[] = {BYTES("EVAL"), BYTES("return 1"), BYTES("0")};
    struct bytes select[] = {BYTES("SELECT"), BYTES("3")};
    ck_assert(add(&script_row, script, 3, false));
    ck_assert(transaction->has_script && transaction->writes_db && !transaction->writes_all);
    ck_assert(add(&flush_row, flush, 1, false));
    ck_assert(transaction->writes_all);
    ck_assert(!transaction->has_select && !transaction->has_local);
    ck_assert(add(&select_row, select, 2, false));
    ck_assert(add(&select_row, select, 2, true));
    ck_assert(transaction->has_select && transaction->has_local);
    ck_assert(transaction->items[3].is_local && transaction->items[3].is_select);
}
END_TEST

/* A command that could not be kept makes EXEC fail, and leaves nothing of itself behind. */
START_TEST(test_no_memory)
{
    struct bytes set[] = {BYTES("SET"), BYTES("k"), BYTES("v")};
    mem_fail_after(1);
    ck_assert(!add(&set_row, set, 3, false));
    mem_fail_after(0);
    ck_assert(transaction->is_dirty);
    ck_assert_uint_eq(transaction->n, 0);
    ck_assert_uint_eq(transaction->raw.len, 0);
    ck_assert(add(&set_row, set, 3, false));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("transaction");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_keys_of_writes_are_kept);
    tcase_add_test(tcase, test_scopes);
    tcase_add_test(tcase, test_no_memory);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
