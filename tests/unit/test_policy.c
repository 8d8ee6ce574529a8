/* The table of policies (src/tier/policy.h): which prefix wins, what words mean, what ids promise. */
#include "tier/policy.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define WORDS_MAX 16

static struct policy_table *table;
static char error[256];

static void setup(void)
{
    table = policy_table_create();
    error[0] = '\0';
}

static void teardown(void)
{
    policy_table_destroy(table);
}

/* Sets words that are separated by blanks. */
static bool set_words(struct bytes prefix, const char *text)
{
    struct bytes words[WORDS_MAX];
    size_t n = 0;
    while (*text != '\0' && n < WORDS_MAX) {
        size_t len = strcspn(text, " ");
        words[n++] = bytes_of(text, len);
        text += len + (text[len] == ' ');
    }
    return policy_table_set(table, prefix, words, n, error, sizeof(error));
}

static void set(const char *prefix, const char *text)
{
    ck_assert_msg(set_words(bytes_of_str(prefix), text), "%s: %s", text, error);
}

static const struct policy *find(const char *key)
{
    return policy_find(table, bytes_of_str(key), NULL);
}

static uint16_t id_of(const char *key)
{
    uint16_t id;
    policy_find(table, bytes_of_str(key), &id);
    return id;
}

/* What `policy` line would give the i-th prefix again. */
static void assert_words(size_t i, const char *prefix, const char *expected)
{
    struct bytes found;
    struct buf words;
    buf_init(&words);
    policy_table_at(table, i, &found, &words);
    ck_assert(bytes_equal(found, bytes_of_str(prefix)));
    ck_assert_msg(bytes_equal(buf_bytes(&words), bytes_of_str(expected)), "%.*s instead of %s",
                  (int)words.len, words.data, expected);
    buf_deinit(&words);
}

START_TEST(default_caches_without_limit)
{
    const struct policy *policy = find("any");
    ck_assert_int_eq(policy->mode, POLICY_CACHE);
    ck_assert_int_eq(policy->ttl_ms, 0);
    ck_assert_uint_eq(policy->ttl_jitter, 0);
    ck_assert_int_eq(policy->negative_ttl_ms, -1);
    ck_assert_int_eq(policy->swr_ms, 0);
    ck_assert_int_eq(policy->sie_ms, 0);
    ck_assert(policy->early_refresh == 0);
    ck_assert_uint_eq(policy->max_item_bytes, 0);
    ck_assert(!policy->write_allocate);
    ck_assert(policy->l2_ttl_factor == 1);
    ck_assert(!policy_table_is_special(table));
    ck_assert_uint_eq(policy_table_count(table), 0);
}
END_TEST

START_TEST(longest_prefix_wins)
{
    set("a", "ttl=1s");
    set("a:b:c", "ttl=3s");
    set("a:b", "ttl=2s");
    set("a:d", "ttl=4s");
    set("b", "ttl=5s");
    static const struct {
        const char *key;
        int64_t ttl_s;
    } rows[] = {
        {"", 0},     {"A", 0},     {"a", 1},     {"a:", 1},       {"a:a", 1},   {"a:b", 2},
        {"a:b:", 2}, {"a:b:b", 2}, {"a:b:c", 3}, {"a:b:cc", 3},   {"a:b:d", 2}, {"a:bz", 2},
        {"a:c", 1},  {"a:d", 4},   {"a:dz", 4},  {"a:e", 1},      {"az", 1},    {"b", 5},
        {"bb", 5},   {"c", 0},     {"\xff", 0},  {"a:b:\xff", 2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(find(rows[i].key)->ttl_ms == rows[i].ttl_s * 1000, "%s", rows[i].key);
}
END_TEST

struct plain {
    char text[6];
    size_t len; /* 0: removed again */
};

static struct bytes plain_prefix(const struct plain *plain)
{
    return bytes_of(plain->text, plain->len);
}

/* Removes a prefix from the table, and all that are equal from the plain list. */
static void remove_plain(struct plain *all, size_t n, struct plain victim)
{
    if (victim.len == 0)
        return;
    ck_assert(policy_table_remove(table, plain_prefix(&victim)));
    for (size_t i = 0; i < n; i++)
        if (bytes_equal(plain_prefix(&all[i]), plain_prefix(&victim)))
            all[i].len = 0;
}

/* Prefixes of a small alphabet, deep below each other, against a search of them all. */
START_TEST(agrees_with_a_plain_search)
{
    static struct plain all[300];
    unsigned seed = 1;
    for (size_t n = 0; n < 300; n++) {
        char text[32];
        all[n].len = 1 + (size_t)rand_r(&seed) % 6;
        for (size_t i = 0; i < all[n].len; i++)
            all[n].text[i] = (char)(rand_r(&seed) % 3 - 1); /* NUL and 0xff, too */
        snprintf(text, sizeof(text), "ttl=%zus", n + 1);
        ck_assert(set_words(plain_prefix(&all[n]), text));
        if (n % 5 == 4)
            remove_plain(all, n + 1, all[n - 2]);
    }
    for (unsigned round = 0; round < 20000; round++) {
        char text[9];
        struct bytes key = bytes_of(text, (size_t)rand_r(&seed) % sizeof(text));
        for (size_t i = 0; i < key.len; i++)
            text[i] = (char)(rand_r(&seed) % 3 - 1);
        size_t best = 0;
        int64_t ttl_ms = 0;
        for (size_t i = 0; i < 300; i++) {
            struct bytes prefix = plain_prefix(&all[i]);
            if (prefix.len == 0 || prefix.len < best || !bytes_starts_with(key, prefix))
                continue;
            best = prefix.len;
            ttl_ms = (int64_t)(i + 1) * 1000; /* of equal ones, the last one set */
        }
        ck_assert_int_eq(policy_find(table, key, NULL)->ttl_ms, ttl_ms);
    }
}
END_TEST

START_TEST(words_set_and_print)
{
    set("p",
        "mode=Observe ttl=90 ttl-jitter=15 negative-ttl=-1 stale-while-revalidate=1500ms "
        "stale-if-error=1d early-refresh=0.5 max-item=64kb write-allocate=YES l2-ttl-factor=2.50");
    const struct policy *policy = find("p");
    ck_assert_int_eq(policy->mode, POLICY_OBSERVE);
    ck_assert_int_eq(policy->ttl_ms, 90000);
    ck_assert_uint_eq(policy->ttl_jitter, 15);
    ck_assert_int_eq(policy->negative_ttl_ms, -1);
    ck_assert_int_eq(policy->swr_ms, 1500);
    ck_assert_int_eq(policy->sie_ms, 86400000);
    ck_assert(policy->early_refresh == 0.5);
    ck_assert_uint_eq(policy->max_item_bytes, 65536);
    ck_assert(policy->write_allocate);
    ck_assert(policy->l2_ttl_factor == 2.5);
    assert_words(0, "p",
                 "mode=observe ttl=90s ttl-jitter=15 negative-ttl=-1 stale-while-revalidate=1500ms "
                 "stale-if-error=1d early-refresh=0.5 max-item=64kb write-allocate=yes "
                 "l2-ttl-factor=2.5");
    set("p", "TTL=0 negative-ttl=2m"); /* the others stay */
    ck_assert_int_eq(find("p")->ttl_ms, 0);
    ck_assert_int_eq(find("p")->negative_ttl_ms, 120000);
    ck_assert_int_eq(find("p")->mode, POLICY_OBSERVE);
}
END_TEST

START_TEST(default_takes_a_property_back)
{
    set("p", "mode=deny ttl=1h");
    set("p", "mode=default");
    ck_assert_int_eq(find("p")->mode, POLICY_CACHE);
    assert_words(0, "p", "ttl=1h");
    set("p", "ttl=default max-item=default");
    assert_words(0, "p", "mode=default");
    set("q", "mode=deny");
    set("q:none", "mode=default"); /* shields keys from the shorter prefix */
    ck_assert_int_eq(find("q:x")->mode, POLICY_DENY);
    ck_assert_int_eq(find("q:none")->mode, POLICY_CACHE);
}
END_TEST

START_TEST(what_is_left_out_follows_the_default)
{
    set("p", "ttl=5s");
    set("q", "negative-ttl=0");
    struct policy standard = *find("other");
    uint16_t old_p = id_of("p");
    uint16_t old_other = id_of("other");
    standard.ttl_ms = 60000;
    policy_table_set_default(table, &standard);
    ck_assert_int_eq(find("other")->ttl_ms, 60000);
    ck_assert_int_eq(find("p")->ttl_ms, 5000);
    ck_assert_int_eq(find("q")->ttl_ms, 60000);
    ck_assert_uint_eq(id_of("p"), old_p); /* nothing has changed for it */
    ck_assert_uint_ne(id_of("other"), old_other);
    standard.sie_ms = 1;
    policy_table_set_default(table, &standard);
    ck_assert_int_eq(find("p")->sie_ms, 1);
    ck_assert_uint_ne(id_of("p"), old_p);
    ck_assert(policy_table_is_special(table));
}
END_TEST

struct bad_row {
    const char *words;
    const char *message;
};

static const struct bad_row bad_rows[] = {
    {"", "a policy needs at least one name=value"},
    {"ttl", "'ttl' is not of the form name=value"},
    {"=5", "unknown property '' of a policy"},
    {"tll=5", "unknown property 'tll' of a policy (did you mean ttl?)"},
    {"stale-iferror=5s",
     "unknown property 'stale-iferror' of a policy (did you mean stale-if-error?)"},
    {"colour=5", "unknown property 'colour' of a policy"},
    {"x\r\ny=5", "unknown property 'x??y' of a policy"},
    {"ttl=5 ttl=5", "ttl is given twice"},
    {"ttl=default TTL=5", "ttl is given twice"},
    {"mode=", "mode must be cache, observe or deny; not ''"},
    {"mode=cached", "mode must be cache, observe or deny; not 'cached'"},
    {"ttl=5w",
     "ttl must be a time such as 500ms, 30s, 5m, 2h or 1d, up to 3650d; 0: no cap; not '5w'"},
    {"ttl=-1",
     "ttl must be a time such as 500ms, 30s, 5m, 2h or 1d, up to 3650d; 0: no cap; not '-1'"},
    {"negative-ttl=-2", "negative-ttl must be a time such as 500ms, 30s, 5m, 2h or 1d, up to "
                        "3650d; 0: not kept, -1: as ttl; not '-2'"},
    {"stale-if-error=3651d", "stale-if-error must be a time such as 500ms, 30s, 5m, 2h or 1d, up "
                             "to 3650d; 0: never; not '3651d'"},
    {"ttl-jitter=101", "ttl-jitter must be a percentage from 0 to 100; not '101'"},
    {"ttl-jitter=10%", "ttl-jitter must be a percentage from 0 to 100; not '10%'"},
    {"early-refresh=100.1",
     "early-refresh must be a decimal number from 0 to 100; 0: off; not '100.1'"},
    {"early-refresh=1e1",
     "early-refresh must be a decimal number from 0 to 100; 0: off; not '1e1'"},
    {"early-refresh=nan",
     "early-refresh must be a decimal number from 0 to 100; 0: off; not 'nan'"},
    {"l2-ttl-factor=0.9", "l2-ttl-factor must be a decimal number from 1 to 1000; not '0.9'"},
    {"max-item=1tb", "max-item must be a size (bytes, or with kb mb gb); 0: no limit; not '1tb'"},
    {"max-item=9223372036854775808",
     "max-item must be a size (bytes, or with kb mb gb); 0: no limit; not '9223372036854775808'"},
    {"write-allocate=1", "write-allocate must be yes or no; not '1'"},
};

START_TEST(bad_words_change_nothing)
{
    const struct bad_row *row = &bad_rows[_i];
    set("p", "ttl=7s");
    uint16_t id = id_of("p");
    char text[512];
    ck_assert(!set_words(BYTES("new"), row->words));
    ck_assert_str_eq(error, row->message);
    snprintf(text, sizeof(text), "mode=deny%s%s", row->words[0] != '\0' ? " " : "", row->words);
    if (row->words[0] != '\0')
        ck_assert(!set_words(BYTES("p"), text));
    ck_assert_uint_eq(policy_table_count(table), 1);
    assert_words(0, "p", "ttl=7s");
    ck_assert_uint_eq(id_of("p"), id);
}
END_TEST

START_TEST(long_input_is_cut_in_errors)
{
    static char word[5000];
    memset(word, 'x', sizeof(word));
    struct bytes words[] = {bytes_of(word, sizeof(word))};
    ck_assert(!policy_table_set(table, BYTES("p"), words, 1, error, sizeof(error)));
    ck_assert_uint_lt(strlen(error), 120);
    memcpy(word, "ttl=", 4);
    ck_assert(!policy_table_set(table, BYTES("p"), words, 1, error, sizeof(error)));
    ck_assert_uint_lt(strlen(error), 200);
    char small[10] = "";
    ck_assert(!policy_table_set(table, BYTES("p"), words, 1, small, sizeof(small)));
    ck_assert_uint_eq(strlen(small), sizeof(small) - 1);
}
END_TEST

START_TEST(prefixes_have_bounds)
{
    static char prefix[POLICY_PREFIX_MAX + 1];
    memset(prefix, 'x', sizeof(prefix));
    ck_assert(!set_words(bytes_of("", 0), "ttl=1"));
    ck_assert_str_eq(error, "the prefix is empty (the default policy is made by directives)");
    ck_assert(!set_words(bytes_of(prefix, sizeof(prefix)), "ttl=1"));
    ck_assert_str_eq(error, "a prefix may have 512 bytes at most");
    ck_assert(set_words(bytes_of(prefix, POLICY_PREFIX_MAX), "ttl=1"));
    ck_assert_int_eq(policy_find(table, bytes_of(prefix, sizeof(prefix)), NULL)->ttl_ms, 1000);
    ck_assert_int_eq(policy_find(table, bytes_of(prefix, POLICY_PREFIX_MAX - 1), NULL)->ttl_ms, 0);
}
END_TEST

START_TEST(a_thousand_prefixes)
{
    char prefix[16];
    for (int i = 0; i < POLICY_MAX; i++) {
        snprintf(prefix, sizeof(prefix), "p:%d:", i);
        set(prefix, "mode=observe");
    }
    ck_assert(!set_words(BYTES("q"), "ttl=1"));
    ck_assert_str_eq(error, "there are 1000 policies already, as many as there can be");
    set("p:5:", "ttl=1"); /* a known one may change */
    ck_assert(policy_table_remove(table, BYTES("p:5:")));
    ck_assert(!policy_table_remove(table, BYTES("p:5:")));
    set("q", "ttl=1");
    ck_assert_uint_eq(policy_table_count(table), POLICY_MAX);
    ck_assert_int_eq(find("p:5:x")->mode, POLICY_CACHE);
    ck_assert_int_eq(find("p:55:x")->mode, POLICY_OBSERVE);
    struct bytes last = bytes_of("", 0);
    for (size_t i = 0; i < POLICY_MAX; i++) {
        struct bytes next;
        policy_table_at(table, i, &next, NULL);
        size_t len = last.len < next.len ? last.len : next.len;
        int order = len > 0 ? memcmp(last.ptr, next.ptr, len) : 0;
        ck_assert(order < 0 || (order == 0 && last.len < next.len));
        last = next;
    }
}
END_TEST

START_TEST(special_follows_the_policies)
{
    static const char *const words[] = {"mode=observe", "mode=deny", "stale-while-revalidate=1s",
                                        "stale-if-error=1ms", "early-refresh=0.1"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        set("p", words[i]);
        ck_assert_msg(policy_table_is_special(table), "%s", words[i]);
        ck_assert(policy_table_remove(table, BYTES("p")));
        ck_assert(!policy_table_is_special(table));
    }
    set("p", "ttl=1 ttl-jitter=5 negative-ttl=0 max-item=1 write-allocate=yes l2-ttl-factor=2");
    ck_assert(!policy_table_is_special(table));
}
END_TEST

/* More changes than there are ids: none is that of another policy that is in force, none is 0. */
START_TEST(ids_are_never_shared)
{
    set("a", "ttl=1");
    set("b", "ttl=1");
    uint16_t id_a = id_of("a");
    for (unsigned i = 0; i < 140000; i++) {
        uint16_t old = id_of("b");
        set("b", i % 2 == 0 ? "ttl=2" : "ttl=3");
        uint16_t new = id_of("b");
        ck_assert(new != old &&new != id_a &&new != id_of("other") && new != 0);
    }
    ck_assert_uint_eq(id_of("a"), id_a);
    uint16_t id = id_of("b");
    set("b", "ttl=3");
    ck_assert_uint_eq(id_of("b"), id); /* the same as before: no change */
    ck_assert(policy_table_remove(table, BYTES("b")));
    set("b", "ttl=3");
    ck_assert_uint_ne(id_of("b"), id);
}
END_TEST

START_TEST(a_copy_has_the_same_prefixes)
{
    struct policy_table *copy = policy_table_create();
    struct policy standard = *find("any");
    standard.ttl_ms = 9000;
    policy_table_set_default(copy, &standard);
    ck_assert(policy_table_set(copy, BYTES("gone"), &BYTES("ttl=1"), 1, error, sizeof(error)));
    set("a", "mode=deny");
    set("a:b", "stale-if-error=1h");
    policy_table_copy(copy, table);
    ck_assert_uint_eq(policy_table_count(copy), 2);
    ck_assert_int_eq(policy_find(copy, BYTES("gone"), NULL)->ttl_ms, 9000);
    ck_assert_int_eq(policy_find(copy, BYTES("a:"), NULL)->mode, POLICY_DENY);
    ck_assert_int_eq(policy_find(copy, BYTES("a:b:"), NULL)->sie_ms, 3600000);
    ck_assert_int_eq(policy_find(copy, BYTES("a:b:"), NULL)->ttl_ms, 9000);
    ck_assert(policy_table_is_special(copy));
    ck_assert(policy_table_remove(table, BYTES("a"))); /* its own */
    ck_assert_int_eq(policy_find(copy, BYTES("a:"), NULL)->mode, POLICY_DENY);
    policy_table_destroy(copy);
    policy_table_destroy(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy");
    TCase *tcase = tcase_create("policy");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, default_caches_without_limit);
    tcase_add_test(tcase, longest_prefix_wins);
    tcase_add_test(tcase, agrees_with_a_plain_search);
    tcase_add_test(tcase, words_set_and_print);
    tcase_add_test(tcase, default_takes_a_property_back);
    tcase_add_test(tcase, what_is_left_out_follows_the_default);
    tcase_add_loop_test(tcase, bad_words_change_nothing, 0,
                        (int)(sizeof(bad_rows) / sizeof(bad_rows[0])));
    tcase_add_test(tcase, long_input_is_cut_in_errors);
    tcase_add_test(tcase, prefixes_have_bounds);
    tcase_add_test(tcase, a_thousand_prefixes);
    tcase_add_test(tcase, special_follows_the_policies);
    tcase_add_test(tcase, ids_are_never_shared);
    tcase_add_test(tcase, a_copy_has_the_same_prefixes);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
