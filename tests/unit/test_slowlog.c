/* The slow log (src/core/slowlog.h): what is kept, what is cut, what is hidden. */
#include "core/slowlog.h"

#include "base/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct slowlog slowlog;

static void set_up(void)
{
    slowlog_init(&slowlog);
}

static void tear_down(void)
{
    slowlog_reset(&slowlog);
}

/* Notes a command given as words between blanks. */
static const struct slowlog_entry *note(const char *words)
{
    struct bytes argv[64];
    size_t argc = 0;
    for (const char *p = words; *p != '\0' && argc < 64; argc++) {
        size_t len = strcspn(p, " ");
        argv[argc] = bytes_of(p, len);
        p += len + (p[len] == ' ');
    }
    struct slowlog_event event = {.argv = argv,
                                  .argc = argc,
                                  .client_address = BYTES("127.0.0.1:5000"),
                                  .client_name = BYTES("me"),
                                  .duration_us = 42,
                                  .unix_s = 1000};
    slowlog_note(&slowlog, 128, &event);
    return TAILQ_FIRST(&slowlog.entries);
}

static void assert_arg(const struct slowlog_entry *entry, size_t i, const char *text)
{
    ck_assert_uint_lt(i, entry->argc);
    ck_assert_uint_eq(entry->argv[i].len, strlen(text));
    ck_assert_mem_eq(entry->argv[i].ptr, text, strlen(text));
}

START_TEST(test_keeps_what_happened)
{
    const struct slowlog_entry *entry = note("SET key value");
    ck_assert_uint_eq(slowlog.n, 1);
    ck_assert_int_eq(entry->id, 0);
    ck_assert_int_eq(entry->duration_us, 42);
    ck_assert_int_eq(entry->unix_s, 1000);
    ck_assert_uint_eq(entry->argc, 3);
    assert_arg(entry, 0, "SET");
    assert_arg(entry, 2, "value");
    ck_assert(bytes_equal(entry->client_address, BYTES("127.0.0.1:5000")));
    ck_assert(bytes_equal(entry->client_name, BYTES("me")));
}
END_TEST

START_TEST(test_newest_first_and_bounded)
{
    struct bytes argv[] = {BYTES("PING")};
    struct slowlog_event event = {.argv = argv, .argc = 1};
    for (int i = 0; i < 10; i++)
        slowlog_note(&slowlog, 3, &event);
    ck_assert_uint_eq(slowlog.n, 3);
    const struct slowlog_entry *entry = TAILQ_FIRST(&slowlog.entries);
    for (int64_t id = 9; id > 6; id--, entry = TAILQ_NEXT(entry, link))
        ck_assert_int_eq(entry->id, id);
    ck_assert_ptr_null(entry);
    slowlog_note(&slowlog, 1, &event);
    ck_assert_uint_eq(slowlog.n, 1);
    slowlog_note(&slowlog, 0, &event);
    ck_assert_uint_eq(slowlog.n, 0);
}
END_TEST

START_TEST(test_ids_go_on_after_a_reset)
{
    note("A");
    note("B");
    slowlog_reset(&slowlog);
    ck_assert_uint_eq(slowlog.n, 0);
    ck_assert_int_eq(note("C")->id, 2);
}
END_TEST

/* As redis-server 7.0: 128 bytes of an argument, 32 arguments, the last one telling how many
 * more. */
START_TEST(test_cuts_as_redis)
{
    char words[4096] = "SET ";
    memset(words + 4, 'x', 200);
    assert_arg(note(words), 1,
               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
               "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
               "... (72 more bytes)");
    size_t len = (size_t)snprintf(words, sizeof(words), "DEL");
    for (int i = 1; i < 32; i++)
        len += (size_t)snprintf(words + len, sizeof(words) - len, " k%d", i);
    const struct slowlog_entry *entry = note(words);
    ck_assert_uint_eq(entry->argc, 32);
    assert_arg(entry, 31, "k31");
    for (int i = 32; i < 40; i++)
        len += (size_t)snprintf(words + len, sizeof(words) - len, " k%d", i);
    entry = note(words);
    ck_assert_uint_eq(entry->argc, 32);
    assert_arg(entry, 30, "k30");
    assert_arg(entry, 31, "... (9 more arguments)");
}
END_TEST

/* Command, and which arguments may be seen: one letter for each, '-' for one that must not. */
static const struct {
    const char *words;
    const char *seen;
} secrets[] = {
    {"AUTH secret", "y-"},
    {"auth user secret", "y--"},
    {"HELLO 3 AUTH user secret SETNAME name", "yyy--yy"},
    {"HELLO 3 SETNAME name", "yyyy"},
    {"CONFIG SET requirepass secret", "yyy-"},
    {"config set timeout 1 REQUIREPASS secret maxclients 5", "yyyyy-yy"},
    {"CONFIG SET upstream-password secret", "yyy-"},
    {"CONFIG GET requirepass", "yyy"},
    {"CONFIG SET timeout 5", "yyyy"},
    {"MIGRATE host 1 key 0 100 AUTH secret", "yyyyyyy-"},
    {"MIGRATE host 1 key 0 100 COPY AUTH2 user secret", "yyyyyyyy--"},
    {"ACL SETUSER user >secret", "yy--"},
    {"ACL LIST", "yy"},
    {"SET auth value", "yyy"},
};

START_TEST(test_secrets_are_not_kept)
{
    const struct slowlog_entry *entry = note(secrets[_i].words);
    ck_assert_uint_eq(entry->argc, strlen(secrets[_i].seen));
    for (size_t i = 0; i < entry->argc; i++)
        ck_assert_msg(bytes_equal(entry->argv[i], BYTES("(redacted)")) ==
                          (secrets[_i].seen[i] == '-'),
                      "%s: argument %zu is %.*s", secrets[_i].words, i, (int)entry->argv[i].len,
                      entry->argv[i].ptr);
}
END_TEST

START_TEST(test_without_memory_the_entry_is_left_out)
{
    note("A");
    mem_fail_after(1);
    note("B");
    ck_assert_uint_eq(slowlog.n, 1);
    ck_assert_int_eq(note("C")->id, 1);
}
END_TEST

START_TEST(test_threshold)
{
    ck_assert(slowlog_is_slow(0, 0));
    ck_assert(slowlog_is_slow(10, 10));
    ck_assert(!slowlog_is_slow(10, 9));
    ck_assert(!slowlog_is_slow(-1, INT64_MAX));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slowlog");
    TCase *tcase = tcase_create("slowlog");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_keeps_what_happened);
    tcase_add_test(tcase, test_newest_first_and_bounded);
    tcase_add_test(tcase, test_ids_go_on_after_a_reset);
    tcase_add_test(tcase, test_cuts_as_redis);
    tcase_add_loop_test(tcase, test_secrets_are_not_kept, 0, sizeof(secrets) / sizeof(secrets[0]));
    tcase_add_test(tcase, test_without_memory_the_entry_is_left_out);
    tcase_add_test(tcase, test_threshold);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
