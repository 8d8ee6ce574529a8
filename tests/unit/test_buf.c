/* The output buffer (src/base/buf.h): growth, failing allocations, formatted text. */
#include "base/buf.h"

#include "base/mem.h"

#include <check.h>
#include <stdlib.h>

/* Too large a request returns NULL under AddressSanitizer too, as it does without. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static struct buf buf;

static void start(void)
{
    buf_init(&buf);
}

static void stop(void)
{
    mem_fail_after(0);
    buf_deinit(&buf);
}

START_TEST(empty_holds_nothing)
{
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.cap, 0);
    ck_assert(buf_append(&buf, NULL, 0));
    ck_assert_uint_eq(buf_bytes(&buf).len, 0);
    buf_deinit(&buf);
    buf_deinit(&buf);
    ck_assert(buf_append(&buf, "x", 1));
    ck_assert(bytes_equal(buf_bytes(&buf), BYTES("x")));
}
END_TEST

START_TEST(appended_bytes_stay_in_order)
{
    for (unsigned i = 0; i < 100000; i++) {
        unsigned char bytes[3] = {i & 0xff, i >> 8 & 0xff, i >> 16 & 0xff};
        if (!buf_append(&buf, bytes, i % 4))
            ck_abort();
    }
    size_t at = 0;
    for (unsigned i = 0; i < 100000; i++) {
        unsigned char bytes[3] = {i & 0xff, i >> 8 & 0xff, i >> 16 & 0xff};
        if (memcmp(buf.data + at, bytes, i % 4) != 0)
            ck_abort_msg("at %zu", at);
        at += i % 4;
    }
    ck_assert_uint_eq(at, buf.len);
    ck_assert_uint_le(buf.len, buf.cap);
}
END_TEST

/* Doubling, so that a byte costs constant time; by a quarter where doubling would hurt. */
START_TEST(growth)
{
    size_t cap = 0;
    unsigned n_growths = 0;
    while (buf.cap < BUF_DOUBLE_MAX) {
        ck_assert(buf_reserve(&buf, buf.cap - buf.len + 1));
        ck_assert_uint_ge(buf.cap, 2 * cap);
        cap = buf.cap;
        buf.len = buf.cap;
        n_growths++;
    }
    ck_assert_uint_le(n_growths, 20);
    ck_assert(buf_reserve(&buf, 1));
    ck_assert_uint_le(buf.cap, cap + cap / 4);
    ck_assert_uint_ge(buf.cap, cap + 1);
}
END_TEST

START_TEST(a_large_reservation_is_exact)
{
    ck_assert(buf_append(&buf, "abc", 3));
    ck_assert(buf_reserve(&buf, 1000000));
    ck_assert_uint_eq(buf.cap, 1000003);
    ck_assert(bytes_equal(buf_bytes(&buf), BYTES("abc")));
}
END_TEST

START_TEST(no_memory_changes_nothing)
{
    ck_assert(buf_append(&buf, "abc", 3));
    struct buf before = buf;
    ck_assert(!buf_reserve(&buf, SIZE_MAX));
    ck_assert(!buf_reserve(&buf, SIZE_MAX - 3));
    mem_fail_after(1);
    /* As much as it needs is asked for where twice as much fails; here both are the same. */
    ck_assert(!buf_reserve(&buf, 100000));
    ck_assert(buf.data == before.data && buf.len == before.len && buf.cap == before.cap);
    ck_assert(bytes_equal(buf_bytes(&buf), BYTES("abc")));
}
END_TEST

START_TEST(less_is_tried_when_twice_fails)
{
    static const char filler[1000];
    ck_assert(buf_append(&buf, filler, sizeof(filler)));
    size_t len = buf.cap;
    buf.len = len;
    mem_fail_after(1);
    ck_assert(buf_append(&buf, "x", 1));
    ck_assert_uint_eq(buf.cap, len + 1);
}
END_TEST

START_TEST(formatted_text_of_any_length)
{
    static char text[3000];
    for (size_t len = 0; len < sizeof(text) - 1; len += 37) {
        memset(text, 'x', len);
        text[len] = '\0';
        buf.len = 0;
        ck_assert(buf_printf(&buf, "<%s|%d>", text, 42));
        ck_assert_uint_eq(buf.len, len + 5);
        ck_assert(memcmp(buf.data + 1, text, len) == 0);
        ck_assert(memcmp(buf.data + 1 + len, "|42>", 4) == 0);
    }
}
END_TEST

START_TEST(formatting_without_memory)
{
    static char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    mem_fail_after(1);
    ck_assert(!buf_printf(&buf, "%s", text));
    ck_assert_uint_eq(buf.len, 0);
    ck_assert(buf_printf(&buf, "%s", text));
}
END_TEST

START_TEST(trimming)
{
    ck_assert(buf_reserve(&buf, 5000));
    buf_trim(&buf, 5000);
    ck_assert_uint_ge(buf.cap, 5000);
    ck_assert(buf_append(&buf, "x", 1));
    buf_trim(&buf, 100); /* not empty */
    ck_assert_uint_eq(buf.len, 1);
    buf.len = 0;
    buf_trim(&buf, 100);
    ck_assert_uint_eq(buf.cap, 0);
    ck_assert_ptr_null(buf.data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("buf");
    TCase *tcase = tcase_create("buf");
    tcase_add_checked_fixture(tcase, start, stop);
    tcase_add_test(tcase, empty_holds_nothing);
    tcase_add_test(tcase, appended_bytes_stay_in_order);
    tcase_add_test(tcase, growth);
    tcase_add_test(tcase, a_large_reservation_is_exact);
    tcase_add_test(tcase, no_memory_changes_nothing);
    tcase_add_test(tcase, less_is_tried_when_twice_fails);
    tcase_add_test(tcase, formatted_text_of_any_length);
    tcase_add_test(tcase, formatting_without_memory);
    tcase_add_test(tcase, trimming);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
