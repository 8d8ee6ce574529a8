/* Where an upstream is (src/upstream/address.h). */
#include "upstream/address.h"

#include "base/mem.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

/* A password that no error may show; its parts in encoded form are not shown either. */
#define SECRET "s3cr3t"

static const struct {
    const char *text;
    const char *host; /* NULL: a unix socket */
    const char *path;
    unsigned port;
    unsigned db;
    const char *username;
    const char *password;
    const char *formatted;
} good[] = {
    {"localhost", "localhost", NULL, 6379, 0, NULL, NULL, "localhost:6379"},
    {"cache.example:7000", "cache.example", NULL, 7000, 0, NULL, NULL, "cache.example:7000"},
    {"under_score-1:1", "under_score-1", NULL, 1, 0, NULL, NULL, "under_score-1:1"},
    {"10.0.0.1:65535", "10.0.0.1", NULL, 65535, 0, NULL, NULL, "10.0.0.1:65535"},
    {"[::1]:6380", "::1", NULL, 6380, 0, NULL, NULL, "[::1]:6380"},
    {"[2001:DB8::1]", "2001:DB8::1", NULL, 6379, 0, NULL, NULL, "[2001:DB8::1]:6379"},
    {"[fe80::1%eth0]:2", "fe80::1%eth0", NULL, 2, 0, NULL, NULL, "[fe80::1%eth0]:2"},
    {"unix:/run/redis.sock", NULL, "/run/redis.sock", 0, 0, NULL, NULL, "unix:/run/redis.sock"},
    {"unix:///run/a b@c", NULL, "///run/a b@c", 0, 0, NULL, NULL, "unix:///run/a b@c"},
    {"redis://h", "h", NULL, 6379, 0, NULL, NULL, "h:6379"},
    {"redis://h/", "h", NULL, 6379, 0, NULL, NULL, "h:6379"},
    {"redis://h:1/15", "h", NULL, 1, 15, NULL, NULL, "h:1"},
    {"redis://[::1]:5/65534", "::1", NULL, 5, 65534, NULL, NULL, "[::1]:5"},
    {"redis://[::1]", "::1", NULL, 6379, 0, NULL, NULL, "[::1]:6379"},
    {"redis://me@h", "h", NULL, 6379, 0, "me", NULL, "h:6379"},
    {"redis://me:@h", "h", NULL, 6379, 0, "me", NULL, "h:6379"},
    {"redis://:@h", "h", NULL, 6379, 0, NULL, NULL, "h:6379"},
    {"redis://@h", "h", NULL, 6379, 0, NULL, NULL, "h:6379"},
    {"redis://:" SECRET "@h:1", "h", NULL, 1, 0, NULL, SECRET, "h:1"},
    {"redis://me:" SECRET "@h:1/3", "h", NULL, 1, 3, "me", SECRET, "h:1"},
    {"redis://m%65:a%3Ab%40%2f%25%C3%A9@h", "h", NULL, 6379, 0, "me", "a:b@/%\xc3\xa9", "h:6379"},
    /* Bytes that should have been encoded and can still be told apart. */
    {"redis://me:a:b@c/d@h:1/2", "h", NULL, 1, 2, "me", "a:b@c/d", "h:1"},
};

static void check_text(const char *got, const char *expected)
{
    if (expected == NULL)
        ck_assert_ptr_null(got);
    else
        ck_assert_str_eq(got, expected);
}

START_TEST(test_every_form)
{
    char text[ADDRESS_TEXT_MAX];
    char error[200] = "";
    struct address address;
    ck_assert_msg(address_parse(&address, good[_i].text, error, sizeof(error)), "%s: %s",
                  good[_i].text, error);
    check_text(address.host, good[_i].host);
    check_text(address.path, good[_i].path);
    check_text(address.username, good[_i].username);
    check_text(address.password, good[_i].password);
    ck_assert_uint_eq(address.db, good[_i].db);
    if (address.host != NULL)
        ck_assert_uint_eq(address.port, good[_i].port);
    address_format(&address, text, sizeof(text));
    ck_assert_str_eq(text, good[_i].formatted);
    address_deinit(&address);
    ck_assert_ptr_null(address.password);
    address_deinit(&address); /* twice does no harm */
}
END_TEST

static const struct {
    const char *text;
    const char *error; /* what it must say */
} bad[] = {
    {"", "the host must have"},
    {":6379", "the host must have"},
    {"h:", "expected host:port"},
    {"h:0", "port"},
    {"h:65536", "port"},
    {"h:-1", "port"},
    {"h:+1", "port"},
    {"h:01", "port"},
    {"h:1 ", "port"},
    {"h: 1", "port"},
    {"h:18446744073709551617", "port"},
    {"h:port", "port"},
    {"h:1:2", "brackets"},
    {"::1", "brackets"},
    {"fe80::1:6379", "brackets"},
    {"[::1", "[v6]:port"},
    {"[::1]6379", "[v6]:port"},
    {"[::1]:", "no port"},
    {"[]:1", "no IPv6"},
    {"[h]:1", "no IPv6"},
    {"[127.0.0.1]:1", "no IPv6"},
    {"[::1%]:1", "no IPv6"},
    {"[::1%a b]:1", "no IPv6"},
    {"[::1%aninterfacethatistoolong]", "no IPv6"},
    {"[1:2:3:4:5:6:7:8:9]:1", "no IPv6"},
    {"[0000000000000000000000000000000000000000000000000000000000000000]:1", "no IPv6"},
    {"a b", "character"},
    {"h\r\n", "character"},
    {"h\x80", "character"},
    {"me@h", "character"},
    {"h%41", "character"},
    {"unix:", "absolute path"},
    {"unix:relative", "absolute path"},
    {"http://h", "expected host:port, unix:/path"},
    {"redis:/h", "expected host:port, unix:/path"},
    {"h/0", "expected host:port, unix:/path"},
    {"/run/redis.sock", "expected host:port, unix:/path"},
    {"rediss://:" SECRET "@h", "TLS"},
    {"redis://", "the host must have"},
    {"redis://:" SECRET "@", "the host must have"},
    {"redis:///0", "the host must have"},
    {"redis://h/x", "database"},
    {"redis://h/-1", "database"},
    {"redis://h/01", "database"},
    {"redis://h/65535", "database"},
    {"redis://h/0/1", "database"},
    {"redis://h/0?x=1", "database"},
    {"redis://:" SECRET "%@h", "percent-encoding in the password"},
    {"redis://:" SECRET "%4@h", "percent-encoding in the password"},
    {"redis://:" SECRET "%4g@h", "percent-encoding in the password"},
    {"redis://:" SECRET "%00@h", "percent-encoding in the password"},
    {"redis://m%:" SECRET "@h", "percent-encoding in the user name"},
    {"redis://m%00:" SECRET "@h", "percent-encoding in the user name"},
    {"redis://me:" SECRET "@h:x", "port"},
    {"redis://me:" SECRET "@a b", "character"},
    {"redis://me:" SECRET "@h/db", "database"},
    {"redis:me:" SECRET "@h", "brackets"},
    {"redis:/me:" SECRET "@h", "expected host:port, unix:/path"},
};

START_TEST(test_every_fault)
{
    char error[200] = "";
    struct address address;
    struct address zero;
    memset(&zero, 0, sizeof(zero));
    ck_assert_msg(!address_parse(&address, bad[_i].text, error, sizeof(error)), "%s", bad[_i].text);
    ck_assert_msg(strstr(error, bad[_i].error) != NULL, "%s: %s", bad[_i].text, error);
    ck_assert_msg(strstr(error, SECRET) == NULL, "%s", error);
    ck_assert_ptr_null(strchr(error, '\n'));
    ck_assert_mem_eq(&address, &zero, sizeof(zero));
}
END_TEST

/* Parses `prefix` and `len` times 'a'. */
static bool parse_long(const char *prefix, size_t len)
{
    char error[200];
    char text[600];
    char formatted[ADDRESS_TEXT_MAX];
    struct address address;
    size_t at = (size_t)snprintf(text, sizeof(text), "%s", prefix);
    ck_assert_uint_lt(at + len, sizeof(text));
    memset(text + at, 'a', len);
    text[at + len] = '\0';
    if (!address_parse(&address, text, error, sizeof(error)))
        return false;
    address_format(&address, formatted, sizeof(formatted));
    ck_assert_uint_ge(strlen(formatted), len); /* not cut */
    address_deinit(&address);
    return true;
}

START_TEST(test_longest_texts)
{
    ck_assert(parse_long("", 253));
    ck_assert(!parse_long("", 254));
    ck_assert(parse_long("redis://", 253));
    ck_assert(!parse_long("redis://", 254));
    ck_assert(parse_long("unix:/", 106));
    ck_assert(!parse_long("unix:/", 107));
}
END_TEST

START_TEST(test_short_error_buffer)
{
    char error[8] = "0123456";
    struct address address;
    ck_assert(!address_parse(&address, "h:0", error, sizeof(error)));
    ck_assert_str_eq(error, "the por");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("address");
    TCase *tcase = tcase_create("address");
    tcase_add_loop_test(tcase, test_every_form, 0, sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tcase, test_every_fault, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tcase, test_longest_texts);
    tcase_add_test(tcase, test_short_error_buffer);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
