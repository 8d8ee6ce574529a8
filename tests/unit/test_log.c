/* The log (src/base/log.h): levels, the line's form, escaping, files and rotation. */
#include "base/log.h"

#include <check.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[32];
static char path[64];
static char text[65536]; /* of the log file, by read_log */

static void start(void)
{
    strcpy(folder, "/tmp/larder-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/larder.log", folder);
    ck_assert_int_eq(log_open(path), 0);
    log_set_level(LOG_DEBUG);
}

static void stop(void)
{
    char command[sizeof(folder) + 16];
    ck_assert_int_eq(log_open(NULL), 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static size_t read_log(const char *file)
{
    FILE *stream = fopen(file, "r");
    ck_assert_ptr_nonnull(stream);
    size_t len = fread(text, 1, sizeof(text) - 1, stream);
    fclose(stream);
    text[len] = '\0';
    return len;
}

static unsigned n_lines(void)
{
    unsigned n = 0;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        n++;
    return n;
}

/* "4242:L 17 Nov 2023 10:00:00.123 * message", as Redis with another role letter. */
START_TEST(the_lines_form)
{
    static const char *const patterns[] = {". debug", "- verbose", "\\* notice 7", "# warning"};
    LOG(LOG_DEBUG, "debug");
    LOG(LOG_VERBOSE, "verbose");
    LOG(LOG_NOTICE, "%s %d", "notice", 7);
    LOG(LOG_WARNING, "warning");
    read_log(path);
    char *line = text;
    for (unsigned i = 0; i < 4; i++) {
        char pattern[128];
        snprintf(pattern, sizeof(pattern),
                 "^%d:L [0-3][0-9] [A-Z][a-z]{2} 20[0-9]{2} [0-9:]{8}\\.[0-9]{3} %s$",
                 (int)getpid(), patterns[i]);
        char *end = strchr(line, '\n');
        ck_assert_ptr_nonnull(end);
        *end = '\0';
        regex_t regex;
        ck_assert_int_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
        ck_assert_msg(regexec(&regex, line, 0, NULL, 0) == 0, "%s", line);
        regfree(&regex);
        line = end + 1;
    }
    ck_assert_str_eq(line, "");
}
END_TEST

START_TEST(lines_below_the_level_are_dropped)
{
    log_set_level(LOG_WARNING);
    ck_assert_int_eq(log_get_level(), LOG_WARNING);
    LOG(LOG_NOTICE, "dropped");
    LOG(LOG_WARNING, "kept");
    log_set_level(LOG_NOTHING);
    LOG(LOG_WARNING, "dropped");
    read_log(path);
    ck_assert_uint_eq(n_lines(), 1);
    ck_assert_ptr_nonnull(strstr(text, "kept\n"));
}
END_TEST

/* What a client sends can neither begin a line nor speak to a terminal. */
START_TEST(input_is_escaped)
{
    LOG(LOG_NOTICE, "name=%s", "a\r\n1:L forged\x1b[31m\x7f\xc3\xa9\x01 z~");
    read_log(path);
    ck_assert_uint_eq(n_lines(), 1);
    ck_assert_ptr_nonnull(
        strstr(text, "name=a\\x0d\\x0a1:L forged\\x1b[31m\\x7f\\xc3\\xa9\\x01 z~\n"));
}
END_TEST

START_TEST(long_messages_are_cut)
{
    static char message[5000];
    memset(message, '\n', sizeof(message) - 1);
    LOG(LOG_NOTICE, "%s", message);
    memset(message, 'x', sizeof(message) - 1);
    LOG(LOG_NOTICE, "%s", message);
    size_t len = read_log(path);
    ck_assert_uint_eq(n_lines(), 2);
    ck_assert_uint_le(len, 5 * 1024 + 200);
    ck_assert_int_eq(text[len - 1], '\n');
}
END_TEST

START_TEST(rotation)
{
    char rotated[80];
    snprintf(rotated, sizeof(rotated), "%s.1", path);
    LOG(LOG_NOTICE, "before");
    ck_assert_int_eq(rename(path, rotated), 0);
    LOG(LOG_NOTICE, "between");
    ck_assert_int_eq(log_reopen(), 0);
    LOG(LOG_NOTICE, "after");
    read_log(rotated);
    ck_assert_uint_eq(n_lines(), 2);
    read_log(path);
    ck_assert_uint_eq(n_lines(), 1);
    ck_assert_ptr_nonnull(strstr(text, "after\n"));
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07137,
                      0); /* neither written by a group nor seen by others */
}
END_TEST

START_TEST(a_file_that_cant_be_opened_changes_nothing)
{
    char other[80];
    snprintf(other, sizeof(other), "%s/missing/larder.log", folder);
    ck_assert_int_eq(log_open(other), -ENOENT);
    ck_assert_int_eq(log_open(folder), -EISDIR);
    LOG(LOG_NOTICE, "still here");
    read_log(path);
    ck_assert_ptr_nonnull(strstr(text, "still here\n"));
    ck_assert_int_eq(log_reopen(), 0);
}
END_TEST

START_TEST(files_are_appended_to)
{
    LOG(LOG_NOTICE, "one");
    ck_assert_int_eq(log_open(path), 0);
    LOG(LOG_NOTICE, "two");
    read_log(path);
    ck_assert_uint_eq(n_lines(), 2);
    ck_assert_int_eq(log_open(""), 0);
    ck_assert_int_eq(log_reopen(), 0); /* standard output stays as it is */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("log");
    TCase *tcase = tcase_create("log");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, the_lines_form);
    tcase_add_test(tcase, lines_below_the_level_are_dropped);
    tcase_add_test(tcase, input_is_escaped);
    tcase_add_test(tcase, long_messages_are_cut);
    tcase_add_test(tcase, rotation);
    tcase_add_test(tcase, a_file_that_cant_be_opened_changes_nothing);
    tcase_add_test(tcase, files_are_appended_to);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
