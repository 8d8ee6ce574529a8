/* The directive `policy` (src/core/config_policy.h) in file, command line, CONFIG GET, SET and
 * REWRITE, and decimal values, which policies brought. */
#include "core/config_policy.h"

#include "core/config_args.h"
#include "core/config_file.h"
#include "core/config_rewrite.h"
#include "core/config_value.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct config config;
static char err[CONFIG_ERR_SIZE];

static void start(void)
{
    config_init(&config);
    memset(err, 0, sizeof(err));
}

static void stop(void)
{
    config_deinit(&config);
}

/* --- helpers --- */

static bool parse(const char *text)
{
    return config_file_parse(&config, bytes_of_str(text), "x.conf", NULL, NULL, err, sizeof(err));
}

static void accepted(const char *text)
{
    ck_assert_msg(parse(text), "%s", err);
}

static void refused(const char *text, const char *expected)
{
    ck_assert_msg(!parse(text), "accepted: %s", text);
    ck_assert_str_eq(err, expected);
}

static void keep_value(void *ctx, struct bytes name, struct bytes value)
{
    (void)name;
    snprintf(ctx, 4096, "%.*s", (int)value.len, value.len > 0 ? value.ptr : "");
}

/* The value that CONFIG GET shows. */
static const char *got(const char *name)
{
    static char value[4096];
    struct bytes pattern = bytes_of_str(name);
    ck_assert_uint_eq(config_get(&config, &pattern, 1, keep_value, value), 1);
    return value;
}

static bool set(const char *name, const char *value)
{
    struct bytes pair[] = {bytes_of_str(name), bytes_of_str(value)};
    return config_set(&config, pair, 1, NULL, NULL, err, sizeof(err));
}

/* Checks that the old text becomes the expected one, and that one itself. */
static void rewritten(const char *old, const char *expected)
{
    const char *text = old;
    for (unsigned i = 0; i < 2; i++, text = expected) {
        struct buf out;
        buf_init(&out);
        ck_assert(config_rewrite_text(&config, bytes_of_str(text), &out));
        ck_assert_msg(bytes_equal(buf_bytes(&out), bytes_of_str(expected)), "%.*s", (int)out.len,
                      out.data);
        buf_deinit(&out);
    }
}

/* --- policies --- */

START_TEST(test_lines_of_a_file)
{
    ck_assert_str_eq(got("policy"), "");
    accepted("policy session: ttl=90 stale-if-error=10m\n"
             "POLICY \"a b\" mode=observe\n"
             "policy \"user: max-item=64kb\"\n" /* one word is a line */
             "policy session: mode=deny ttl=default\n"
             "policy '\"it\\'s\" ttl=1'\n" /* quotes in quotes */
             "policy \"\\x00\\xff\\n\" ttl=2\n");
    ck_assert_str_eq(got("policy"), "\"\\x00\\xff\\n\" ttl=2s\n"
                                    "\"a b\" mode=observe\n"
                                    "\"it's\" ttl=1s\n"
                                    "session: mode=deny stale-if-error=10m\n"
                                    "user: max-item=64kb");
    ck_assert_int_eq(policy_find(config.policies, BYTES("\0\xff\n1"), NULL)->ttl_ms, 2000);
}
END_TEST

START_TEST(test_an_empty_line_drops_those_before)
{
    accepted("policy a ttl=1\npolicy b ttl=1\npolicy \"\"\npolicy c ttl=1\n");
    ck_assert_str_eq(got("policy"), "c ttl=1s");
    accepted("policy ''");
    ck_assert_str_eq(got("policy"), "");
    rewritten("policy \" \"\n", "policy \"\"\n");
    rewritten("policy a ttl=1\npolicy b ttl=1\nport 6380\n", "policy \"\"\n\nport 6380\n");
}
END_TEST

START_TEST(test_errors_name_file_and_line)
{
    refused("\npolicy session: tll=5s",
            "x.conf:2: policy: unknown property 'tll' of a policy (did you mean ttl?)");
    refused("policy", "x.conf:1: policy: a value is missing");
    refused("policy session:", "x.conf:1: policy: a policy needs at least one name=value");
    refused("policy \"\" ttl=5",
            "x.conf:1: policy: the prefix is empty (the default policy is made by directives)");
    refused("policy ttl=5 mode=deny",
            "x.conf:1: policy: the prefix is missing, it comes before name=value");
    refused("policy \"'a ttl=5\"", "x.conf:1: policy: unbalanced quotes");
    refused("policy a ttl=5 ttl=6", "x.conf:1: policy: ttl is given twice");
    refused("policy a ttl=5 write-allocate=\xc3",
            "x.conf:1: policy: write-allocate must be yes or no; not '?'");
    ck_assert_uint_eq(policy_table_count(config.policies), 0);
    accepted("policy a=b ttl=5\n"); /* no name of a property */
}
END_TEST

START_TEST(test_command_line_adds)
{
    enum config_request request;
    char file[] = "/tmp/larder-test-XXXXXX";
    char *words[] = {(char[]){"larder"},
                     file,
                     (char[]){"--policy"},
                     (char[]){"b ttl=2"},
                     (char[]){"--policy"},
                     (char[]){"c"},
                     (char[]){"ttl=3"},
                     (char[]){"mode=deny"},
                     (char[]){"--policy=a mode=observe"}};
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dprintf(fd, "policy a ttl=1\n"), 15);
    ck_assert_msg(config_args_load(&config, 9, words, &request, err, sizeof(err)), "%s", err);
    ck_assert_str_eq(got("policy"), "a mode=observe ttl=1s\nb ttl=2s\nc mode=deny ttl=3s");
    words[3] = (char[]){"b ttl=x"};
    ck_assert(!config_args_load(&config, 4, words, &request, err, sizeof(err)));
    ck_assert_str_eq(err, "command line: --policy: ttl must be a time such as 500ms, 30s, 5m, 2h "
                          "or 1d, up to 3650d; 0: no cap; not 'x'");
    ck_assert_int_eq(remove(file), 0);
    close(fd);
}
END_TEST

START_TEST(test_config_set_points_to_the_command)
{
    ck_assert(!set("policy", "a ttl=1"));
    ck_assert_str_eq(err, "ERR CONFIG SET failed (possibly related to argument 'policy') - use "
                          "CACHE POLICY SET and CACHE POLICY DEL");
}
END_TEST

START_TEST(test_rewrite_keeps_lines_in_place)
{
    accepted("policy a ttl=1\npolicy b ttl=2\npolicy \"c d\" ttl=3\npolicy e ttl=4\n");
    ck_assert(policy_table_remove(config.policies, BYTES("b")));
    rewritten("# mine\n"
              "policy \"c d\" ttl=9\n"
              "policy b ttl=2\n" /* no longer there */
              "# of a\n"
              "policy 'a ttl=7'\n"
              "policy a mode=deny\n" /* a second line */
              "policy\n"
              "port 6380\n",
              "# mine\n"
              "policy \"c d\" ttl=3s\n"
              "\n"
              "# of a\n"
              "policy a ttl=1s\n"
              "\n"
              "port 6380\n"
              "\n# Generated by CONFIG REWRITE\n"
              "policy e ttl=4s\n");
}
END_TEST

START_TEST(test_what_is_written_is_read_again)
{
    static char prefix[POLICY_PREFIX_MAX];
    struct bytes words[2] = {bytes_of(prefix, sizeof(prefix)), BYTES("early-refresh=0.125")};
    struct config again;
    struct buf out;
    for (size_t i = 0; i < sizeof(prefix); i++)
        prefix[i] = (char)i;
    ck_assert(config_assign(&config, BYTES("policy"), words, 2, err, sizeof(err)));
    accepted("policy \"#x\" mode=default\npolicy a mode=deny ttl=1500ms ttl-jitter=0 "
             "negative-ttl=-1 stale-while-revalidate=3650d stale-if-error=0 early-refresh=99.5 "
             "max-item=1023 write-allocate=no l2-ttl-factor=1.0001\n");
    buf_init(&out);
    ck_assert(config_rewrite_text(&config, BYTES(""), &out));
    config_init(&again);
    ck_assert_msg(config_file_parse(&again, buf_bytes(&out), "x", NULL, NULL, err, sizeof(err)),
                  "%s", err);
    ck_assert(config_policy_equal(config.policies, again.policies));
    ck_assert_uint_eq(policy_table_count(again.policies), 3);
    config_deinit(&again);
    buf_deinit(&out);
}
END_TEST

/* --- decimals --- */

START_TEST(test_decimals)
{
    ck_assert_str_eq(got("early-refresh"), "0");
    ck_assert_str_eq(got("l2-ttl-factor"), "1");
    accepted("early-refresh 1.50\nl2-ttl-factor 2\n");
    ck_assert(config.early_refresh == 1.5 && config.l2_ttl_factor == 2);
    ck_assert_str_eq(got("early-refresh"), "1.5");
    ck_assert(set("l2-ttl-factor", "1000"));
    rewritten("early-refresh 7\n",
              "early-refresh 1.5\n\n# Generated by CONFIG REWRITE\nl2-ttl-factor 1000\n");
    refused("early-refresh 100.1",
            "x.conf:1: early-refresh: \"100.1\" is not a decimal number from 0 to 100");
    refused("l2-ttl-factor x",
            "x.conf:1: l2-ttl-factor: \"x\" is not a decimal number from 1 to 1000");
    ck_assert(!set("l2-ttl-factor", "0.5"));
    ck_assert_str_eq(err, "ERR CONFIG SET failed (possibly related to argument 'l2-ttl-factor') - "
                          "argument must be between 1 and 1000 inclusive");
    ck_assert(!set("l2-ttl-factor", "-1"));
    ck_assert_str_eq(err, "ERR CONFIG SET failed (possibly related to argument 'l2-ttl-factor') - "
                          "argument couldn't be parsed as a decimal number");
    ck_assert(config.l2_ttl_factor == 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config_policy");
    TCase *tcase = tcase_create("config_policy");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, test_lines_of_a_file);
    tcase_add_test(tcase, test_an_empty_line_drops_those_before);
    tcase_add_test(tcase, test_errors_name_file_and_line);
    tcase_add_test(tcase, test_command_line_adds);
    tcase_add_test(tcase, test_config_set_points_to_the_command);
    tcase_add_test(tcase, test_rewrite_keeps_lines_in_place);
    tcase_add_test(tcase, test_what_is_written_is_read_again);
    tcase_add_test(tcase, test_decimals);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
