/* Where a warming job's keys come from (src/tier/warm_source.h): replies to SCAN, key files, and
 * which files may be opened. */
#include "tier/warm_source.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static void make_dir(void)
{
    snprintf(dir, sizeof(dir), "/tmp/test_warm.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static struct warm_source match_source(void)
{
    struct warm_source source;
    char error[WARM_ERROR_SIZE];
    struct warm_spec spec = {.kind = WARM_MATCH, .text = BYTES("p*")};
    ck_assert(warm_source_init(&source, &spec, "", error));
    return source;
}

START_TEST(scan_progress_is_the_reversed_cursor)
{
    struct warm_source source = match_source();
    char error[WARM_ERROR_SIZE];
    ck_assert_double_eq(warm_source_progress(&source), 0);
    ck_assert(warm_scan_accept(&source, BYTES("*2\r\n$1\r\n2\r\n*0\r\n"), error));
    ck_assert_double_eq(warm_source_progress(&source), 0.25);
    ck_assert(
        warm_scan_accept(&source, BYTES("*2\r\n$20\r\n18446744073709551615\r\n*0\r\n"), error));
    ck_assert_double_gt(warm_source_progress(&source), 0.999);
    ck_assert_uint_eq(source.cursor, UINT64_MAX);
    warm_source_deinit(&source);
}
END_TEST

START_TEST(scan_counts_more_where_few_match)
{
    struct warm_source source = match_source();
    char error[WARM_ERROR_SIZE];
    unsigned counts[] = {200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < 5; i++) {
        ck_assert(warm_scan_accept(&source, BYTES("*2\r\n$1\r\n2\r\n*0\r\n"), error));
        ck_assert_uint_eq(source.count, counts[i]);
    }
    warm_source_deinit(&source);
}
END_TEST

/* Replies that are no reply to SCAN, and every part of one: an error or keys, but no crash. */
START_TEST(hostile_scan_replies_are_refused)
{
    const char *bad[] = {"+OK\r\n",
                         "*0\r\n",
                         "*2\r\n:0\r\n*0\r\n",
                         "*2\r\n$1\r\nx\r\n*0\r\n",
                         "*2\r\n$0\r\n\r\n*0\r\n",
                         "*2\r\n$1\r\n0\r\n$1\r\na\r\n",
                         "_\r\n",
                         "*2\r\n$20\r\n18446744073709551616\r\n*0\r\n",
                         "*3\r\n$1\r\n0\r\n*0\r\n"};
    char error[WARM_ERROR_SIZE];
    struct bytes key;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct warm_source source = match_source();
        ck_assert(!warm_scan_accept(&source, bytes_of_str(bad[i]), error));
        warm_source_deinit(&source);
    }
    static const char good[] = "*2\r\n$1\r\n0\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n";
    for (size_t len = 0; len + 1 < sizeof(good); len++) {
        struct warm_source source = match_source();
        char *cut = malloc(len + 1);
        memcpy(cut, good, len);
        enum warm_next next = WARM_NEXT_FAIL;
        if (warm_scan_accept(&source, bytes_of(cut, len), error))
            do
                next = warm_source_next(&source, &key, error);
            while (next == WARM_NEXT_KEY);
        ck_assert_int_eq(next, WARM_NEXT_FAIL);
        free(cut);
        warm_source_deinit(&source);
    }
}
END_TEST

static void write_file(const char *name, const void *data, size_t len)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static void init_file(struct warm_source *source, const void *data, size_t len)
{
    write_file("keys", data, len);
    char error[WARM_ERROR_SIZE] = "";
    struct warm_spec spec = {.kind = WARM_FILE, .text = BYTES("keys")};
    ck_assert_msg(warm_source_init(source, &spec, dir, error), "%s", error);
}

/* The next key of a file, however many reads it takes. */
static enum warm_next next_line(struct warm_source *source, struct bytes *key, char *error)
{
    enum warm_next next;
    while ((next = warm_source_next(source, key, error)) == WARM_NEXT_MORE)
        ck_assert_int_eq(warm_file_read(source), 0);
    return next;
}

#define CHECK_LINE(source, literal)                                                                \
    do {                                                                                           \
        struct bytes wanted = BYTES(literal);                                                      \
        struct bytes found;                                                                        \
        char why[WARM_ERROR_SIZE];                                                                 \
        ck_assert_int_eq(next_line(source, &found, why), WARM_NEXT_KEY);                           \
        ck_assert(bytes_equal(found, wanted));                                                     \
    } while (0)

START_TEST(lines_are_keys)
{
    static const char text[] = "plain\n\nwith blank \r\n\r\na\\nb\\r\\t\\\\c\\x00\\xfF\n#hash\n"
                               "nul\0inside\nlast";
    struct warm_source source;
    struct bytes key;
    char error[WARM_ERROR_SIZE];
    init_file(&source, text, sizeof(text) - 1);
    CHECK_LINE(&source, "plain");
    CHECK_LINE(&source, "with blank ");
    CHECK_LINE(&source, "a\nb\r\t\\c\0\xff");
    CHECK_LINE(&source, "#hash");
    CHECK_LINE(&source, "nul\0inside");
    CHECK_LINE(&source, "last");
    ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_END);
    ck_assert_double_eq(warm_source_progress(&source), 1);
    warm_source_deinit(&source);
}
END_TEST

START_TEST(unknown_escapes_are_told_by_line)
{
    static const char *const lines[] = {"a\\",    "a\\q",   "a\\x", "a\\x1",
                                        "a\\xg0", "a\\x0g", "\\X00"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[64];
        int len = snprintf(text, sizeof(text), "ok\n%s\nalso", lines[i]);
        struct warm_source source;
        struct bytes key;
        char error[WARM_ERROR_SIZE];
        init_file(&source, text, (size_t)len);
        CHECK_LINE(&source, "ok");
        ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_BAD);
        ck_assert_str_eq(error, "line 2 has an unknown escape");
        CHECK_LINE(&source, "also");
        warm_source_deinit(&source);
    }
}
END_TEST

START_TEST(long_lines_have_a_limit)
{
    char *text = malloc(2 * WARM_LINE_MAX + 10);
    memset(text, 'k', 2 * WARM_LINE_MAX + 10);
    text[WARM_LINE_MAX] = '\n';
    text[2 * WARM_LINE_MAX + 2] = '\n';
    struct warm_source source;
    struct bytes key;
    char error[WARM_ERROR_SIZE];
    init_file(&source, text, 2 * WARM_LINE_MAX + 10);
    ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_KEY);
    ck_assert_uint_eq(key.len, WARM_LINE_MAX);
    ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_FAIL);
    ck_assert_str_eq(error, "line 2 is longer than 65536 bytes");
    warm_source_deinit(&source);
    free(text);
}
END_TEST

START_TEST(lines_across_pieces_come_whole)
{
    struct buf text;
    buf_init(&text);
    for (int i = 0; i < 30000; i++)
        ck_assert(buf_printf(&text, "key:%07d%s", i, i % 2 ? "\r\n" : "\n"));
    struct warm_source source;
    init_file(&source, text.data, text.len);
    for (int i = 0; i < 30000; i++) {
        struct bytes key;
        char error[WARM_ERROR_SIZE];
        char wanted[16];
        snprintf(wanted, sizeof(wanted), "key:%07d", i);
        ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_KEY);
        ck_assert(bytes_equal(key, bytes_of_str(wanted)));
        ck_assert_uint_le(source.bytes.cap, 2 * (WARM_FILE_PIECE + WARM_LINE_MAX));
    }
    warm_source_deinit(&source);
    buf_deinit(&text);
}
END_TEST

/* Paths: what may be opened, and what leads outside. */

static int open_path(const char *path)
{
    int fd = warm_file_open(dir, bytes_of_str(path));
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static void make_tree(void)
{
    char text[128], target[128];
    write_file("keys", "a\n", 2);
    snprintf(text, sizeof(text), "%s/sub", dir);
    ck_assert_int_eq(mkdir(text, 0700), 0);
    write_file("sub/keys", "a\n", 2);
    snprintf(text, sizeof(text), "%s/inner", dir);
    ck_assert_int_eq(symlink("sub/keys", text), 0);
    snprintf(text, sizeof(text), "%s/outer", dir);
    ck_assert_int_eq(symlink("/etc/passwd", text), 0);
    snprintf(text, sizeof(text), "%s/up", dir);
    ck_assert_int_eq(symlink("..", text), 0);
    snprintf(text, sizeof(text), "%s/self", dir);
    snprintf(target, sizeof(target), "%s/keys", dir);
    ck_assert_int_eq(symlink(target, text), 0);
    snprintf(text, sizeof(text), "%s/fifo", dir);
    ck_assert_int_eq(mkfifo(text, 0600), 0);
}

START_TEST(only_regular_files_inside_are_opened)
{
    char path[128];
    make_tree();
    ck_assert_int_eq(open_path("keys"), 0);
    ck_assert_int_eq(open_path("./keys"), 0);
    ck_assert_int_eq(open_path("sub//keys"), 0);
    snprintf(path, sizeof(path), "%s/sub/keys", dir);
    ck_assert_int_eq(open_path(path), 0);
    snprintf(path, sizeof(path), "%sx/keys", dir);
    ck_assert_int_eq(open_path(path), -EXDEV);
    ck_assert_int_eq(open_path("/etc/passwd"), -EXDEV);
    ck_assert_int_eq(open_path("../keys"), -EXDEV);
    ck_assert_int_eq(open_path("sub/../keys"), -EXDEV);
    ck_assert_int_eq(open_path("sub/.."), -EXDEV);
    ck_assert_int_lt(open_path("outer"), 0);
    ck_assert_int_lt(open_path("up/etc/passwd"), 0);
    ck_assert_int_lt(open_path("self"), 0); /* absolute, though it comes back */
    ck_assert_int_eq(open_path("fifo"), -EINVAL);
    ck_assert_int_eq(open_path("sub"), -EINVAL);
    ck_assert_int_eq(open_path(dir), -EXDEV);
    ck_assert_int_eq(open_path(""), -EINVAL);
    ck_assert_int_eq(open_path("none"), -ENOENT);
    ck_assert_int_eq(open_path("keys/x"), -ENOTDIR);
    ck_assert_int_eq(warm_file_open(dir, BYTES("keys\0x")), -EINVAL);
    char *longest = malloc(10000);
    memset(longest, 'x', 10000);
    ck_assert_int_eq(warm_file_open(dir, bytes_of(longest, 10000)), -ENAMETOOLONG);
    ck_assert_int_eq(warm_file_open(dir, bytes_of(longest, 300)), -ENAMETOOLONG);
    free(longest);
    ck_assert_int_eq(warm_file_open("/nowhere at all", BYTES("keys")), -ENOENT);
}
END_TEST

START_TEST(without_openat2_no_link_is_followed)
{
    make_tree();
    int dir_fd = open(dir, O_PATH | O_DIRECTORY);
    ck_assert_int_ge(dir_fd, 0);
    static const struct {
        const char *path;
        int code;
    } rows[] = {
        {"keys", 0},         {"sub/keys", 0},  {"./sub//keys", 0}, {"inner", -ELOOP},
        {"outer", -ELOOP},   {"self", -ELOOP}, {"none", -ENOENT},  {"up/etc/passwd", -ENOTDIR},
        {"keys/x", -ENOTDIR}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = warm_file_open_plain(dir_fd, rows[i].path);
        if (fd >= 0)
            close(fd);
        ck_assert_msg((fd < 0 ? fd : 0) == rows[i].code, "%s: %d", rows[i].path, fd);
    }
    close(dir_fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("warm_source");
    TCase *tcase = tcase_create("warm_source");
    tcase_add_checked_fixture(tcase, make_dir, remove_dir);
    tcase_add_test(tcase, scan_progress_is_the_reversed_cursor);
    tcase_add_test(tcase, scan_counts_more_where_few_match);
    tcase_add_test(tcase, hostile_scan_replies_are_refused);
    tcase_add_test(tcase, lines_are_keys);
    tcase_add_test(tcase, unknown_escapes_are_told_by_line);
    tcase_add_test(tcase, long_lines_have_a_limit);
    tcase_add_test(tcase, lines_across_pieces_come_whole);
    tcase_add_test(tcase, only_regular_files_inside_are_opened);
    tcase_add_test(tcase, without_openat2_no_link_is_followed);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
