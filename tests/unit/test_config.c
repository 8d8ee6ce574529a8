/* The configuration's table, values, CONFIG GET and CONFIG SET (src/core/config.h, config_set.c,
 * config_table.h, config_value.h). Error texts were seen on redis-server 7.0.15. */
#include "core/config.h"

#include "core/config_fault.h"
#include "core/config_format.h"
#include "core/config_table.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* One configuration for each test. */
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

/* Collects "name=value;" of config_get. */
struct collected {
    char text[16384];
    size_t len;
};

static void collect(void *ctx, struct bytes name, struct bytes value)
{
    struct collected *all = ctx;
    size_t left = sizeof(all->text) - all->len;
    int n = snprintf(all->text + all->len, left, "%.*s=%.*s;", (int)name.len, name.ptr,
                     (int)value.len, value.ptr);
    ck_assert(n > 0 && (size_t)n < left);
    all->len += (size_t)n;
}

static const char *got(const char *first, const char *second)
{
    static struct collected all;
    struct bytes patterns[2] = {bytes_of_str(first), BYTES("")};
    size_t n_patterns = 1;
    if (second != NULL)
        patterns[n_patterns++] = bytes_of_str(second);
    memset(&all, 0, sizeof(all));
    size_t n = config_get(&config, patterns, n_patterns, collect, &all);
    ck_assert_uint_eq(n, config_get(&config, patterns, n_patterns, NULL, NULL));
    return all.text;
}

static bool set(const char *name, const char *value)
{
    struct bytes pairs[] = {bytes_of_str(name), bytes_of_str(value)};
    return config_set(&config, pairs, 1, NULL, NULL, err, sizeof(err));
}

static void refused(const char *name, const char *value, const char *expected)
{
    ck_assert_msg(!set(name, value), "%s %s was accepted", name, value);
    ck_assert_str_eq(err, expected);
}

#define FAILED(name) "ERR CONFIG SET failed (possibly related to argument '" name "') - "

/* What a pretended server was told. */
struct applied {
    uint32_t groups;
    unsigned n_calls;
    uint32_t failing; /* the group that can't be applied */
    int64_t port;     /* at the last call */
};

static bool apply(void *ctx, uint32_t group, char *reason, size_t size)
{
    struct applied *applied = ctx;
    applied->groups |= group;
    applied->n_calls++;
    applied->port = config.port;
    if (group != applied->failing)
        return true;
    snprintf(reason, size, "Unable to listen on this port.");
    return false;
}

/* --- the table --- */

START_TEST(test_rows_are_consistent)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    for (size_t i = 0; i < n_rows; i++) {
        ck_assert_ptr_eq(config_table_find(bytes_of_str(rows[i].name)), &rows[i]);
        ck_assert_int_ne(rows[i].group, 0);
        size_t len = strlen(rows[i].text);
        ck_assert_msg(len > 0 && rows[i].text[len - 1] == '.', "%s: no sentence", rows[i].name);
        ck_assert_msg(i == 0 || rows[i].section >= rows[i - 1].section, "%s: order", rows[i].name);
        for (size_t j = 0; j < i; j++)
            ck_assert_msg(rows[j].size == 0 || rows[i].size == 0 ||
                              rows[j].offset + rows[j].size <= rows[i].offset ||
                              rows[i].offset + rows[i].size <= rows[j].offset,
                          "%s and %s share a field", rows[i].name, rows[j].name);
    }
}
END_TEST

START_TEST(test_policies_have_the_names_of_the_store)
{
    const struct config_row *row = config_table_find(BYTES("maxmemory-policy"));
    unsigned n = 0;
    for (const struct config_choice *choice = row->choices; choice->name != NULL; choice++, n++) {
        enum store_policy policy;
        ck_assert_str_eq(choice->name, store_policy_name((enum store_policy)choice->value));
        ck_assert(store_policy_parse(bytes_of_str(choice->name), &policy));
    }
    ck_assert_uint_eq(n, STORE_POLICIES);
}
END_TEST

START_TEST(test_nearest_name)
{
    ck_assert_str_eq(config_table_nearest(BYTES("maxmemoryy"))->name, "maxmemory");
    ck_assert_str_eq(config_table_nearest(BYTES("MaxMemory-Polizy"))->name, "maxmemory-policy");
    ck_assert_str_eq(config_table_nearest(BYTES("prot"))->name, "port");
    ck_assert_ptr_null(config_table_nearest(BYTES("xyzzy")));
    ck_assert_ptr_null(config_table_nearest(BYTES("")));
    char longest[4096];
    memset(longest, 'a', sizeof(longest));
    ck_assert_ptr_null(config_table_nearest(bytes_of(longest, sizeof(longest))));
}
END_TEST

START_TEST(test_defaults)
{
    ck_assert_str_eq(got("bind", "port"), "bind=127.0.0.1 -::1;port=6380;");
    ck_assert_uint_eq(config.bind.n, 2);
    ck_assert_str_eq(config.bind.items[1], "-::1");
    ck_assert_int_eq(config.maxmemory_bytes, 256 << 20);
    ck_assert_int_eq(config.maxmemory_policy, STORE_ALLKEYS_LRU);
    ck_assert_int_eq(config.loglevel, LOG_NOTICE);
    ck_assert_int_eq(config.coherence, CONFIG_COHERENCE_TRACKING);
    ck_assert(config.protected_mode && config.l1_enabled && !config.allow_admin);
    ck_assert_str_eq(config.requirepass, "");
    ck_assert_int_eq(config.client_output_buffer_limit[CONFIG_CLASS_NORMAL].hard_bytes, 256 << 20);
    ck_assert_int_eq(config.client_output_buffer_limit[CONFIG_CLASS_PUBSUB].soft_s, 60);
    ck_assert_ptr_null(config_check(&config, err, sizeof(err)));
}
END_TEST

/* --- CONFIG GET --- */

START_TEST(test_get_patterns)
{
    ck_assert_str_eq(got("nosuch", NULL), "");
    ck_assert_str_eq(got("PORT", "p[o]rt"), "PORT=6380;");
    ck_assert_str_eq(got("LFU-*", "lfu*"), "lfu-log-factor=10;lfu-decay-time=1;");
    ck_assert_str_eq(got("save", "appendonly"), "save=;appendonly=no;");
    ck_assert_str_eq(got("unixsocketperm", "maxmemory"), "unixsocketperm=0;maxmemory=268435456;");
    ck_assert_str_eq(got("client-output*", NULL),
                     "client-output-buffer-limit=normal 268435456 67108864 60 "
                     "slave 268435456 67108864 60 pubsub 33554432 8388608 60;");
    size_t n_rows;
    (void)config_table(&n_rows);
    struct bytes all = BYTES("*");
    ck_assert_uint_eq(config_get(&config, &all, 1, NULL, NULL), n_rows);
}
END_TEST

START_TEST(test_get_shows_no_secret)
{
    struct bytes url = BYTES("redis://me:pa55@host:1/2");
    ck_assert_str_eq(got("requirepass", "upstream-password"), "requirepass=;upstream-password=;");
    ck_assert(set("requirepass", "pa55"));
    ck_assert(set("upstream-password", "pa55"));
    ck_assert(config_assign(&config, BYTES("upstream"), &url, 1, err, sizeof(err)));
    ck_assert_str_eq(got("requirepass", "upstream-password"),
                     "requirepass=***;upstream-password=***;");
    ck_assert_str_eq(got("upstream", NULL), "upstream=redis://me@host:1/2;");
    ck_assert_ptr_null(strstr(got("*", NULL), "pa55"));
    char shown[64];
    config_upstream_shown(&config, shown, sizeof(shown));
    ck_assert_str_eq(shown, "redis://me@host:1/2");
    ck_assert_str_eq(config.upstream, "redis://me:pa55@host:1/2");
    ck_assert(config_is_sensitive(BYTES("RequirePass")));
    ck_assert(config_is_sensitive(BYTES("upstream")));
    ck_assert(!config_is_sensitive(BYTES("port")));
}
END_TEST

START_TEST(test_masking)
{
    static const struct {
        const char *url;
        const char *shown;
    } rows[] = {
        {"", ""},
        {"host:6379", "host:6379"},
        {"unix:/tmp/a:b@c", "unix:/tmp/a:b@c"},
        {"redis://host", "redis://host"},
        {"redis://user@host", "redis://user@host"},
        {"redis://:p@host", "redis://@host"},
        {"redis://u:p@q:r@host/1", "redis://u@host/1"},
        {"redis://u:p://q@host", "redis://u@host"},
        {"u:p@host:1", "u@host:1"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf out;
        buf_init(&out);
        config_format_masked(bytes_of_str(rows[i].url), &out);
        ck_assert_msg(bytes_equal(buf_bytes(&out), bytes_of_str(rows[i].shown)), "%s: %.*s",
                      rows[i].url, (int)out.len, out.data);
        buf_deinit(&out);
    }
}
END_TEST

/* --- CONFIG SET --- */

START_TEST(test_set_values)
{
    static const struct {
        const char *name;
        const char *value;
        const char *shown;
    } rows[] = {
        {"maxmemory", "5B", "maxmemory=5;"},
        {"maxmemory", "5k", "maxmemory=5000;"},
        {"maxmemory", "5Kb", "maxmemory=5120;"},
        {"maxmemory", "5m", "maxmemory=5000000;"},
        {"maxmemory", "1gb", "maxmemory=1073741824;"},
        {"maxmemory", "017", "maxmemory=17;"},
        {"maxmemory", "9223372036854775807", "maxmemory=9223372036854775807;"},
        {"MAXMEMORY-policy", "VOLATILE-TTL", "maxmemory-policy=volatile-ttl;"},
        {"protected-mode", "NO", "protected-mode=no;"},
        {"slowlog-log-slower-than", "-1", "slowlog-log-slower-than=-1;"},
        {"port", "0", "port=0;"},
        {"bind", "", "bind=;"},
        {"bind", "* ::* -192.0.2.1 localhost", "bind=* ::* -192.0.2.1 localhost;"},
        {"loglevel", "nothing", "loglevel=nothing;"},
        {"coherence", "Broadcast", "coherence=broadcast;"},
        {"broadcast-prefix", "b:", "broadcast-prefix=b:;"},
        {"broadcast-prefix", " user:  item:\t ", "broadcast-prefix=user: item:\t;"},
        {"broadcast-prefix", "", "broadcast-prefix=;"},
        {"coherence-retry-interval", "0", "coherence-retry-interval=0;"},
        {"client-output-buffer-limit", "",
         "client-output-buffer-limit=normal 268435456 67108864 60 "
         "slave 268435456 67108864 60 pubsub 33554432 8388608 60;"},
        {"client-output-buffer-limit", "NORMAL 1mb 2k 3 replica 0 0 0",
         "client-output-buffer-limit=normal 1048576 2000 3 slave 0 0 0 pubsub 33554432 8388608 "
         "60;"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ck_assert_msg(set(rows[i].name, rows[i].value), "%s", err);
        char name[64];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(rows[i].shown, "="), rows[i].shown);
        ck_assert_str_eq(got(name, NULL), rows[i].shown);
    }
    ck_assert_int_eq(config.client_output_buffer_limit[CONFIG_CLASS_NORMAL].soft_bytes, 2000);
    ck_assert_int_eq(config.maxmemory_policy, STORE_VOLATILE_TTL);
}
END_TEST

START_TEST(test_set_refuses_as_redis)
{
    static const char *const sizes[] = {"12x", "-1", "1tb", "1.5mb", "+5", " 5", "5 kb", "kb", ""};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        refused("MAXMEMORY", sizes[i], FAILED("maxmemory") "argument must be a memory value");
    static const char *const integers[] = {"x", "007", " 7", "99999999999999999999", ""};
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++)
        refused("timeout", integers[i],
                FAILED("timeout") "argument couldn't be parsed into an integer");
    refused("timeout", "-1",
            FAILED("timeout") "argument must be between 0 and 2147483647 inclusive");
    refused("proto-max-bulk-len", "1",
            FAILED("proto-max-bulk-len") "argument must be between 1048576 and 9223372036854775807 "
                                         "inclusive");
    refused("protected-mode", "", FAILED("protected-mode") "argument must be 'yes' or 'no'");
    refused("maxmemory-policy", "foo",
            FAILED("maxmemory-policy") "argument(s) must be one of the following: volatile-lru, "
                                       "volatile-lfu, "
                                       "volatile-random, volatile-ttl, allkeys-lru, allkeys-lfu, "
                                       "allkeys-random, "
                                       "noeviction");
    refused("bind", "300.0.0.1", FAILED("bind") "Failed to bind to specified addresses.");
    refused("bind",
            "1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 "
            "1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1 1.1.1.1",
            FAILED("bind") "Too many bind addresses specified.");
    refused("broadcast-prefix", "b: abc ab",
            FAILED("broadcast-prefix") "\"abc\" overlaps with \"ab\": no prefix may begin with "
                                       "another one");
    refused(
        "broadcast-prefix", "a b a",
        FAILED("broadcast-prefix") "\"a\" overlaps with \"a\": no prefix may begin with another "
                                   "one");
    char many[65 * 5 + 1];
    for (unsigned i = 0; i < 65; i++)
        snprintf(many + (size_t)i * 5, 6, " k%03u", i);
    refused("broadcast-prefix", many, FAILED("broadcast-prefix") "more than 64 prefixes");
    many[64 * 5] = '\0';
    ck_assert(set("broadcast-prefix", many));
    ck_assert_uint_eq(config.broadcast_prefix.n, 64);
    refused("client-output-buffer-limit", "normal 1 2",
            FAILED("client-output-buffer-limit") "Wrong number of arguments in buffer limit "
                                                 "configuration.");
    refused("client-output-buffer-limit", "master 1 2 3",
            FAILED("client-output-buffer-limit") "Invalid client class specified in buffer limit "
                                                 "configuration.");
    refused("client-output-buffer-limit", "normal 1 2 -3",
            FAILED("client-output-buffer-limit") "Error in hard, soft or soft_seconds setting in "
                                                 "buffer limit configuration.");
    refused("DATABASES", "1", FAILED("DATABASES") "can't set immutable config");
    refused("save", "", FAILED("save") "can't set immutable config");
    refused("foo\r\nbar", "1",
            "ERR Unknown option or number of arguments for CONFIG SET - 'foo  bar'");
    refused("maxmemory", "9223372036854775808",
            FAILED("maxmemory") "argument must be between 0 and 9223372036854775807 inclusive");
    refused("maxmemory", "9007199254740993kb",
            FAILED("maxmemory") "argument must be between 0 and 9223372036854775807 inclusive");
}
END_TEST

START_TEST(test_replies_for_fixed_directives)
{
    /* CONFIG SET can't reach them today; the texts are Redis's all the same. */
    const struct config_row *row = config_table_find(BYTES("unixsocketperm"));
    struct config_fault fault = {.problem = CONFIG_BAD_RANGE, .word = BYTES("1000")};
    struct buf out;
    buf_init(&out);
    config_fault_reply(row, &fault, &out);
    ck_assert(bytes_equal(buf_bytes(&out), BYTES("argument must be between 0 and 777 inclusive")));
    buf_deinit(&out);
}
END_TEST

START_TEST(test_set_text_limits)
{
    static char text[8193];
    struct bytes pairs[] = {BYTES("requirepass"), bytes_of(text, sizeof(text))};
    memset(text, 'a', sizeof(text));
    ck_assert(!config_set(&config, pairs, 1, NULL, NULL, err, sizeof(err)));
    ck_assert_str_eq(err, FAILED("requirepass") "argument is too long");
    pairs[1].len--;
    ck_assert(config_set(&config, pairs, 1, NULL, NULL, err, sizeof(err)));
    ck_assert_uint_eq(strlen(config.requirepass), 8192);
    pairs[1] = BYTES("a\0b");
    ck_assert(!config_set(&config, pairs, 1, NULL, NULL, err, sizeof(err)));
    ck_assert_str_eq(err, FAILED("requirepass") "argument must not contain NUL bytes");
}
END_TEST

START_TEST(test_set_is_all_or_nothing)
{
    struct bytes bad_last[] = {BYTES("timeout"), BYTES("5"),         BYTES("requirepass"),
                               BYTES("x"),       BYTES("maxmemory"), BYTES("12x")};
    struct applied applied = {0};
    ck_assert(!config_set(&config, bad_last, 3, apply, &applied, err, sizeof(err)));
    ck_assert_str_eq(err, FAILED("maxmemory") "argument must be a memory value");
    ck_assert_str_eq(got("timeout", "requirepass"), "timeout=0;requirepass=;");
    struct bytes twice[] = {BYTES("timeout"), BYTES("1"), BYTES("TIMEOUT"), BYTES("2")};
    ck_assert(!config_set(&config, twice, 2, apply, &applied, err, sizeof(err)));
    ck_assert_str_eq(err, FAILED("TIMEOUT") "duplicate parameter");
    struct bytes order[] = {BYTES("databases"), BYTES("2"), BYTES("foo"), BYTES("3")};
    ck_assert(!config_set(&config, order, 2, apply, &applied, err, sizeof(err)));
    ck_assert_str_eq(err, FAILED("databases") "can't set immutable config");
    ck_assert_uint_eq(applied.n_calls, 0);
    ck_assert_int_eq(config.timeout_s, 0);
}
END_TEST

START_TEST(test_set_applies_changed_groups_once)
{
    struct applied applied = {0};
    struct bytes pairs[] = {BYTES("port"),      BYTES("7000"),      BYTES("bind"),
                            BYTES("127.0.0.1"), BYTES("maxmemory"), BYTES("1mb"),
                            BYTES("loglevel"),  BYTES("notice")};
    ck_assert(config_set(&config, pairs, 4, apply, &applied, err, sizeof(err)));
    ck_assert_uint_eq(applied.groups, CONFIG_LISTEN | CONFIG_STORE);
    ck_assert_uint_eq(applied.n_calls, 2);
    ck_assert_int_eq(applied.port, 7000);
    ck_assert(config_set(&config, pairs, 4, apply, &applied, err, sizeof(err)));
    ck_assert_uint_eq(applied.n_calls, 2);
}
END_TEST

START_TEST(test_set_takes_back_what_can_not_be_applied)
{
    struct applied applied = {.failing = CONFIG_STORE};
    struct bytes pairs[] = {BYTES("port"),   BYTES("7000"),      BYTES("upstream-timeout"),
                            BYTES("1"),      BYTES("maxmemory"), BYTES("1mb"),
                            BYTES("l1-ttl"), BYTES("1")};
    ck_assert(!config_set(&config, pairs, 4, apply, &applied, err, sizeof(err)));
    ck_assert_str_eq(err, FAILED("maxmemory") "Unable to listen on this port.");
    /* The listeners twice, the store twice; the upstream, behind the store, was never reached. */
    ck_assert_uint_eq(applied.n_calls, 4);
    ck_assert_uint_eq(applied.groups, CONFIG_LISTEN | CONFIG_STORE);
    ck_assert_int_eq(applied.port, 6380);
    ck_assert_str_eq(got("port", "l1-ttl"), "port=6380;l1-ttl=300;");
}
END_TEST

START_TEST(test_set_checks_across_rows)
{
    struct bytes pairs[] = {BYTES("upstream-backoff-min"), BYTES("700"),
                            BYTES("upstream-backoff-max"), BYTES("900")};
    refused("upstream-backoff-min", "600",
            FAILED("upstream-backoff-min") "600 is above upstream-backoff-max (500)");
    ck_assert_int_eq(config.upstream_backoff_min_ms, 50);
    ck_assert(config_set(&config, pairs, 2, NULL, NULL, err, sizeof(err)));
    ck_assert_int_eq(config.upstream_backoff_min_ms, 700);
}
END_TEST

START_TEST(test_store_options)
{
    struct store_options options;
    ck_assert(set("maxmemory", "1mb"));
    ck_assert(set("l1-max-item", "1kb"));
    ck_assert(set("maxmemory-policy", "allkeys-lfu"));
    config_store_options(&config, &options);
    ck_assert_uint_eq(options.max_bytes, 1 << 20);
    ck_assert_uint_eq(options.max_item_bytes, 1024);
    ck_assert_int_eq(options.policy, STORE_ALLKEYS_LFU);
    ck_assert_uint_eq(options.n_dbs, 16);
    ck_assert_uint_eq(options.samples, 5);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, test_rows_are_consistent);
    tcase_add_test(tcase, test_policies_have_the_names_of_the_store);
    tcase_add_test(tcase, test_nearest_name);
    tcase_add_test(tcase, test_defaults);
    tcase_add_test(tcase, test_get_patterns);
    tcase_add_test(tcase, test_get_shows_no_secret);
    tcase_add_test(tcase, test_masking);
    tcase_add_test(tcase, test_set_values);
    tcase_add_test(tcase, test_set_refuses_as_redis);
    tcase_add_test(tcase, test_replies_for_fixed_directives);
    tcase_add_test(tcase, test_set_text_limits);
    tcase_add_test(tcase, test_set_is_all_or_nothing);
    tcase_add_test(tcase, test_set_applies_changed_groups_once);
    tcase_add_test(tcase, test_set_takes_back_what_can_not_be_applied);
    tcase_add_test(tcase, test_set_checks_across_rows);
    tcase_add_test(tcase, test_store_options);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
