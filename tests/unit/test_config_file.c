/* Reading larder.conf, the command line and L2's password (src/core/config_file.h, config_args.h,
 * config_secret.h), and what the table prints (config_print.h). */
#include "core/config_file.h"

#include "core/config_args.h"
#include "core/config_print.h"
#include "core/config_secret.h"
#include "core/config_value.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct config config;
static char err[CONFIG_ERR_SIZE];
static char folder[32];

/* Each test has a folder of its own, which is the current one. */
static void start(void)
{
    config_init(&config);
    memset(err, 0, sizeof(err));
    strcpy(folder, "/tmp/larder-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    unsetenv(CONFIG_SECRET_VARIABLE);
}

static void stop(void)
{
    char command[sizeof(folder) + 16];
    config_deinit(&config);
    ck_assert_int_eq(chdir("/"), 0);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* --- helpers --- */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static bool parse(const char *text)
{
    return config_file_parse(&config, bytes_of_str(text), "x.conf", NULL, NULL, err, sizeof(err));
}

static void parse_refused(const char *text, const char *expected)
{
    ck_assert_msg(!parse(text), "accepted: %s", text);
    ck_assert_str_eq(err, expected);
}

/* Reads a command line of at most nine arguments. */
static bool args(enum config_request *request, const char *const *words)
{
    char *argv[10] = {(char[]){"larder"}};
    int argc = 1;
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = strdup(words[argc - 1]);
    bool good = config_args_load(&config, argc, argv, request, err, sizeof(err));
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    return good;
}

#define ARGS(...) args(&request, (const char *const[]){__VA_ARGS__, NULL})

static void args_refused(const char *expected, const char *const *words)
{
    enum config_request request;
    ck_assert_msg(!args(&request, words), "accepted: %s", words[0]);
    ck_assert_str_eq(err, expected);
}

#define ARGS_REFUSED(expected, ...)                                                                \
    args_refused((expected), (const char *const[]){__VA_ARGS__, NULL})

/* --- text --- */

START_TEST(test_syntax)
{
    ck_assert_msg(parse("# comment\r\n"
                        "\r\n"
                        "   \t# indented comment\n"
                        "  PORT   7000  \r\n"
                        "requirepass \"a b\\x41\\\"\"\n"
                        "unixsocket '/tmp/x y'\n"
                        "maxmemory 1mb\n"
                        "maxmemory 2mb\n"
                        "bind 127.0.0.1 ::1\n"
                        "broadcast-prefix user: \"item:\\x01\"\n"
                        "client-output-buffer-limit normal 1 2 3\n"
                        "client-output-buffer-limit \"pubsub 4 5 6\"\n"
                        "save \"\"\n"
                        "appendonly no\n"
                        "logfile \"\""),
                  "%s", err);
    ck_assert_int_eq(config.port, 7000);
    ck_assert_str_eq(config.requirepass, "a bA\"");
    ck_assert_str_eq(config.unixsocket, "/tmp/x y");
    ck_assert_int_eq(config.maxmemory_bytes, 2 << 20);
    ck_assert_uint_eq(config.bind.n, 2);
    ck_assert_uint_eq(config.broadcast_prefix.n, 2);
    ck_assert_str_eq(config.broadcast_prefix.items[1], "item:\x01");
    ck_assert_int_eq(config.client_output_buffer_limit[CONFIG_CLASS_NORMAL].hard_bytes, 1);
    ck_assert_int_eq(config.client_output_buffer_limit[CONFIG_CLASS_PUBSUB].soft_s, 6);
}
END_TEST

START_TEST(test_text_errors)
{
    parse_refused("\nmaxmemory 12x\n",
                  "x.conf:2: maxmemory: \"12x\" is not a size (bytes, or with kb mb gb)");
    parse_refused("maxmemoryy 1",
                  "x.conf:1: maxmemoryy: unknown directive (did you mean maxmemory?)");
    parse_refused("xyzzy 1", "x.conf:1: xyzzy: unknown directive");
    parse_refused("port", "x.conf:1: port: a value is missing");
    parse_refused("port 1 2",
                  "x.conf:1: port: it takes one value (put quotes around one with blanks)");
    parse_refused("port 65536", "x.conf:1: port: \"65536\" is not a whole number from 0 to 65535");
    parse_refused("port x", "x.conf:1: port: \"x\" is not a whole number from 0 to 65535");
    parse_refused("unixsocketperm 8",
                  "x.conf:1: unixsocketperm: \"8\" is not an octal number from 0 to 777");
    parse_refused("l1-enabled 1", "x.conf:1: l1-enabled: \"1\" is not yes or no");
    parse_refused("loglevel x", "x.conf:1: loglevel: \"x\" is not one of debug, verbose, notice, "
                                "warning, nothing");
    parse_refused("proto-max-bulk-len 1",
                  "x.conf:1: proto-max-bulk-len: \"1\" is not a size from 1mb up");
    parse_refused("maxmemory 9999999999gb", "x.conf:1: maxmemory: \"9999999999gb\" is too large");
    parse_refused("appendonly yes", "x.conf:1: appendonly: \"yes\" is not possible: larder writes "
                                    "no data to disk, so it is always no");
    parse_refused("broadcast-prefix a \"\"",
                  "x.conf:1: broadcast-prefix: \"a\" overlaps with \"\": no "
                  "prefix may begin with another one");
    parse_refused("broadcast-prefix a \"b c\"", "x.conf:1: broadcast-prefix: \"b c\" has a blank, "
                                                "which separates prefixes here");
    parse_refused("bind 300.0.0.1", "x.conf:1: bind: \"300.0.0.1\" is not an address to listen on "
                                    "(such as 127.0.0.1, ::1, *, ::*)");
    parse_refused("bind * * * * * * * * * * * * * * * * *",
                  "x.conf:1: bind: more than 16 addresses");
    parse_refused("client-output-buffer-limit normal 1 2",
                  "x.conf:1: client-output-buffer-limit: four values expected for each class: "
                  "class, size, size, seconds");
    parse_refused("client-output-buffer-limit foo 1 2 3",
                  "x.conf:1: client-output-buffer-limit: \"foo\" is not a class of clients "
                  "(normal, replica, pubsub)");
    parse_refused("client-output-buffer-limit normal 1 x 3",
                  "x.conf:1: client-output-buffer-limit: \"x\" is not a limit (class, size, size, "
                  "seconds)");
    parse_refused("logfile \"a\\x00b\"", "x.conf:1: logfile: a NUL byte in the value");
    parse_refused("upstream host:0",
                  "x.conf:1: upstream: the port must be a number from 1 to 65535");
    parse_refused("logfile \"x", "x.conf:1: unbalanced quotes");
    parse_refused("logfile \"x\"y", "x.conf:1: unbalanced quotes");
    parse_refused("include", "x.conf:1: include: one path expected");
    parse_refused("include x", "x.conf:1: include: not possible here");
    parse_refused("\"a\\nb\" 1", "x.conf:1: \"a\\nb\": unknown directive");
}
END_TEST

START_TEST(test_binary_and_long_lines)
{
    static char text[CONFIG_LINE_MAX + 64];
    struct bytes nul = BYTES("port 7\0000\n");
    ck_assert(!config_file_parse(&config, nul, "x", NULL, NULL, err, sizeof(err)));
    ck_assert_str_eq(err, "x:1: a NUL byte: not a configuration file");
    memset(text, 'a', sizeof(text) - 1);
    parse_refused(text, "x.conf:1: the line is too long");
    memcpy(text, "logfile ", 8);
    text[8 + 8193] = '\0';
    parse_refused(text, "x.conf:1: logfile: longer than 8192 bytes");
    memset(text, 'a', sizeof(text) - 1);
    /* In a message, input is cut. */
    text[CONFIG_LINE_MAX] = '\0';
    ck_assert(!parse(text));
    ck_assert_uint_lt(strlen(err), 120);
}
END_TEST

START_TEST(test_errors_show_no_secret)
{
    static const char *const lines[] = {
        "requirepass pa55 word",      "requirepass\"pa55\"",          "requirepass=pa55",
        "upstream-password \"pa55",   "upstream-password a pa55",     "upstream-passwordpa55",
        "upstream redis://u:pa55@:x", "upstream u:pa55@host:port:99", "port redis://u:pa55@host",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        ck_assert_msg(!parse(lines[i]), "accepted: %s", lines[i]);
        ck_assert_msg(strstr(err, "pa55") == NULL, "%s", err);
    }
    enum config_request request;
    ck_assert(!ARGS("redis://u:pa55@host"));
    ck_assert_msg(strstr(err, "pa55") == NULL, "%s", err);
}
END_TEST

/* --- files --- */

START_TEST(test_file_and_its_path)
{
    char expected[64];
    write_file("larder.conf", "port 7001\n");
    ck_assert(config_file_load(&config, "./larder.conf", err, sizeof(err)));
    ck_assert_int_eq(config.port, 7001);
    snprintf(expected, sizeof(expected), "%s/larder.conf", folder);
    ck_assert_str_eq(config.file, expected);
    ck_assert(!config_file_load(&config, "none.conf", err, sizeof(err)));
    ck_assert_str_eq(err, "can't read none.conf: No such file or directory");
    ck_assert(!config_file_load(&config, ".", err, sizeof(err)));
    ck_assert_str_eq(err, "can't read .: Is a directory");
}
END_TEST

START_TEST(test_include)
{
    write_file("main.conf", "port 1\ninclude a*.conf\ninclude none-*.conf\ninclude \"b c.conf\"\n"
                            "timeout 9\n");
    write_file("a1.conf", "port 2\ntimeout 2\n");
    write_file("a2.conf", "port 3\n");
    write_file("b c.conf", "tcp-backlog 4\n");
    ck_assert_msg(config_file_load(&config, "main.conf", err, sizeof(err)), "%s", err);
    ck_assert_int_eq(config.port, 3);
    ck_assert_int_eq(config.tcp_backlog, 4);
    ck_assert_int_eq(config.timeout_s, 9);
}
END_TEST

START_TEST(test_include_errors)
{
    write_file("gone.conf", "\ninclude none.conf\n");
    ck_assert(!config_file_load(&config, "gone.conf", err, sizeof(err)));
    ck_assert_str_eq(err, "gone.conf:2: include: can't read none.conf: No such file or directory");
    write_file("outer.conf", "include inner.conf\n");
    write_file("inner.conf", "\n\nport x\n");
    ck_assert(!config_file_load(&config, "outer.conf", err, sizeof(err)));
    ck_assert_str_eq(err, "inner.conf:3: port: \"x\" is not a whole number from 0 to 65535");
    write_file("self.conf", "include self.conf\n");
    ck_assert(!config_file_load(&config, "self.conf", err, sizeof(err)));
    ck_assert_str_eq(err, "self.conf:1: include: more than 16 files deep");
    ck_assert_str_eq(config.file, "");
}
END_TEST

START_TEST(test_file_size_is_bounded)
{
    write_file("big.conf", "");
    ck_assert_int_eq(truncate("big.conf", CONFIG_FILE_MAX + 1), 0);
    ck_assert(!config_file_load(&config, "big.conf", err, sizeof(err)));
    ck_assert_str_eq(err, "can't read big.conf: File too large");
}
END_TEST

START_TEST(test_standard_input)
{
    enum config_request request;
    write_file("input", "port 7002\n");
    ck_assert_ptr_nonnull(freopen("input", "r", stdin));
    ck_assert_msg(ARGS("-", "--timeout", "3"), "%s", err);
    ck_assert_int_eq(config.port, 7002);
    ck_assert_int_eq(config.timeout_s, 3);
    ck_assert_str_eq(config.file, "");
}
END_TEST

/* --- the command line --- */

START_TEST(test_flags_override_the_file)
{
    enum config_request request;
    write_file("larder.conf", "port 7001\ntimeout 1\n");
    ck_assert_msg(ARGS("larder.conf", "--port", "7003", "--bind", "127.0.0.1", "::1",
                       "--requirepass=--x=y", "--slowlog-log-slower-than", "-1"),
                  "%s", err);
    ck_assert_int_eq(request, CONFIG_RUN);
    ck_assert_int_eq(config.port, 7003);
    ck_assert_int_eq(config.timeout_s, 1);
    ck_assert_uint_eq(config.bind.n, 2);
    ck_assert_str_eq(config.requirepass, "--x=y");
    ck_assert_int_eq(config.slowlog_log_slower_than_us, -1);
}
END_TEST

START_TEST(test_requests)
{
    enum config_request request;
    write_file("good.conf", "port 1\n");
    ck_assert(ARGS("--help"));
    ck_assert_int_eq(request, CONFIG_HELP);
    ck_assert(ARGS("none.conf", "--port", "x", "--version"));
    ck_assert_int_eq(request, CONFIG_VERSION);
    ck_assert(ARGS("-v"));
    ck_assert_int_eq(request, CONFIG_VERSION);
    ck_assert(ARGS("none.conf", "-h"));
    ck_assert_int_eq(request, CONFIG_HELP);
    ck_assert(ARGS("--print-config", "conf"));
    ck_assert_int_eq(request, CONFIG_PRINT_CONF);
    ck_assert(ARGS("--print-config", "markdown"));
    ck_assert_int_eq(request, CONFIG_PRINT_MARKDOWN);
    ck_assert(ARGS("--check-config", "good.conf", "--timeout", "4"));
    ck_assert_int_eq(request, CONFIG_CHECK);
    ck_assert(ARGS("good.conf", "--timeout=4", "--check-config"));
    ck_assert_int_eq(request, CONFIG_CHECK);
    ck_assert_int_eq(config.timeout_s, 4);
    ck_assert(ARGS("--requirepass", "-h"));
    ck_assert_int_eq(request, CONFIG_RUN);
    ck_assert_str_eq(config.requirepass, "-h");
}
END_TEST

START_TEST(test_command_line_errors)
{
    ARGS_REFUSED("command line: --maxmemoryy: unknown directive (did you mean maxmemory?)",
                 "--maxmemoryy", "1");
    ARGS_REFUSED("command line: --maxmemory: \"12x\" is not a size (bytes, or with kb mb gb)",
                 "--maxmemory", "12x");
    ARGS_REFUSED("command line: --port: a value is missing", "--port", "--timeout", "1");
    ARGS_REFUSED("command line: --port: a value is missing", "--port");
    ARGS_REFUSED("command line: --port: \"\" is not a whole number from 0 to 65535", "--port=");
    ARGS_REFUSED("command line: --\"\": unknown directive", "--");
    ARGS_REFUSED("command line: \"-x\" is not an option", "-x");
    ARGS_REFUSED("command line: \"b\" is a second configuration file", "a", "b");
    ARGS_REFUSED("command line: --print-config: conf or markdown expected", "--print-config");
    ARGS_REFUSED("can't read none.conf: No such file or directory", "none.conf");
    ARGS_REFUSED("upstream-backoff-min: 600 is above upstream-backoff-max (500)",
                 "--upstream-backoff-min", "600");
}
END_TEST

/* --- L2's password --- */

START_TEST(test_password_precedence)
{
    enum config_request request;
    write_file("secret", "of file\n");
    ck_assert(ARGS("--upstream", "redis://u:of-url@host"));
    ck_assert_str_eq(config_secret_password(&config), "");
    ck_assert_int_eq(setenv(CONFIG_SECRET_VARIABLE, "of environment", 1), 0);
    ck_assert(ARGS("--upstream", "redis://u:of-url@host"));
    ck_assert_str_eq(config_secret_password(&config), "of environment");
    ck_assert(ARGS("--upstream-password-file", "secret"));
    ck_assert_str_eq(config_secret_password(&config), "of file");
    ck_assert(ARGS("--upstream-password-file", "secret", "--upstream-password", "of directive"));
    ck_assert_str_eq(config_secret_password(&config), "of directive");
}
END_TEST

START_TEST(test_password_file)
{
    static const struct {
        const char *text;
        const char *password; /* NULL: refused */
    } rows[] = {
        {"a", "a"},     {"a\n", "a"}, {"a\r\n", "a"}, {"a\n\n", "a\n"},
        {" a ", " a "}, {"", NULL},   {"\n", NULL},
    };
    enum config_request request;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        write_file("secret", rows[i].text);
        ck_assert(ARGS("--upstream-password-file", "secret") == (rows[i].password != NULL));
        if (rows[i].password != NULL)
            ck_assert_str_eq(config_secret_password(&config), rows[i].password);
        else
            ck_assert_str_eq(err, "upstream-password-file: can't use \"secret\": it is empty");
    }
    write_file("secret", "");
    ck_assert_int_eq(truncate("secret", 3), 0);
    ARGS_REFUSED("upstream-password-file: can't use \"secret\": it holds a NUL byte",
                 "--upstream-password-file", "secret");
    ARGS_REFUSED("upstream-password-file: can't use \"none\": No such file or directory",
                 "--upstream-password-file", "none");
}
END_TEST

/* --- what is printed --- */

START_TEST(test_printed_conf_is_the_default)
{
    struct buf printed;
    struct config standard;
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    buf_init(&printed);
    config_print_conf(&printed);
    ck_assert(config_assign(&config, BYTES("port"), &BYTES("1"), 1, err, sizeof(err)));
    ck_assert_msg(
        config_file_parse(&config, buf_bytes(&printed), "printed", NULL, NULL, err, sizeof(err)),
        "%s", err);
    config_init(&standard);
    for (size_t i = 0; i < n_rows; i++) {
        union config_value a;
        union config_value b;
        char line[64];
        config_value_borrow(&config, &rows[i], &a);
        config_value_borrow(&standard, &rows[i], &b);
        ck_assert_msg(config_value_equal(&rows[i], &a, &b), "%s", rows[i].name);
        snprintf(line, sizeof(line), "\n%s ", rows[i].name);
        bool there = memmem(printed.data, printed.len, line, strlen(line)) != NULL;
        ck_assert_msg(there == (rows[i].type != CONFIG_FIXED), "%s", rows[i].name);
    }
    config_deinit(&standard);
    buf_deinit(&printed);
}
END_TEST

START_TEST(test_help_and_markdown_name_every_directive)
{
    struct buf help;
    struct buf markdown;
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    buf_init(&help);
    buf_init(&markdown);
    config_print_help(&help);
    config_print_markdown(&markdown);
    for (size_t i = 0; i < n_rows; i++) {
        char text[64];
        if (rows[i].type == CONFIG_FIXED)
            continue;
        snprintf(text, sizeof(text), "  --%s ", rows[i].name);
        ck_assert_msg(memmem(help.data, help.len, text, strlen(text)) != NULL, "%s", text);
        snprintf(text, sizeof(text), "\n| `%s` | `", rows[i].name);
        ck_assert_msg(memmem(markdown.data, markdown.len, text, strlen(text)) != NULL, "%s", text);
    }
    buf_deinit(&help);
    buf_deinit(&markdown);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_file");
    TCase *tcase = tcase_create("config_file");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, test_syntax);
    tcase_add_test(tcase, test_text_errors);
    tcase_add_test(tcase, test_binary_and_long_lines);
    tcase_add_test(tcase, test_errors_show_no_secret);
    tcase_add_test(tcase, test_file_and_its_path);
    tcase_add_test(tcase, test_include);
    tcase_add_test(tcase, test_include_errors);
    tcase_add_test(tcase, test_file_size_is_bounded);
    tcase_add_test(tcase, test_standard_input);
    tcase_add_test(tcase, test_flags_override_the_file);
    tcase_add_test(tcase, test_requests);
    tcase_add_test(tcase, test_command_line_errors);
    tcase_add_test(tcase, test_password_precedence);
    tcase_add_test(tcase, test_password_file);
    tcase_add_test(tcase, test_printed_conf_is_the_default);
    tcase_add_test(tcase, test_help_and_markdown_name_every_directive);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
