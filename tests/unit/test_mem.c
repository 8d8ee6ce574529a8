/* Memory (src/base/mem.h): the hook that tests rely on, and sizes as the allocator counts. */
#include "base/mem.h"

#include <check.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Too large a request returns NULL under AddressSanitizer too, as it does without. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

START_TEST(the_nth_try_fails_once)
{
    for (unsigned n = 1; n < 5; n++) {
        mem_fail_after(n);
        for (unsigned i = 1; i < 10; i++) {
            void *ptr = i % 2 ? mem_try(10) : mem_try_resize(NULL, 10);
            ck_assert_int_eq(ptr == NULL, i == n);
            mem_free(ptr);
        }
    }
    mem_fail_after(1);
    mem_fail_after(0);
    void *ptr = mem_try(10);
    ck_assert_ptr_nonnull(ptr);
    mem_fail_after(1);
    ck_assert_ptr_null(mem_try_resize(ptr, 1000));
    mem_free(ptr); /* is still there */
}
END_TEST

START_TEST(allocating)
{
    unsigned char *zeros = mem_zalloc(1000);
    for (unsigned i = 0; i < 1000; i++)
        if (zeros[i] != 0)
            ck_abort();
    mem_free(zeros);
    char *text = mem_strdup("text");
    ck_assert_str_eq(text, "text");
    text = mem_try_resize(text, 100000);
    ck_assert_str_eq(text, "text");
    mem_free(text);
    mem_free(NULL);
    mem_free(mem_alloc(1));
}
END_TEST

START_TEST(without_memory_mem_alloc_aborts)
{
    volatile size_t size = SIZE_MAX / 2;
    mem_free(mem_alloc(size));
}
END_TEST

START_TEST(classes_cover_the_request)
{
    size_t last = 0;
    for (size_t size = 1; size < 100000; size += size / 7 + 1) {
        size_t class = mem_class(size);
        ck_assert_uint_ge(class, size);
        ck_assert_uint_le(class, size + size / 4 + 24);
        ck_assert_uint_ge(class, last);
        last = class;
    }
}
END_TEST

START_TEST(figures)
{
    struct mem_figures before;
    struct mem_figures after;
    mem_read_figures(&before);
    ck_assert_ptr_nonnull(before.allocator);
    if (before.allocated == 0) {
        ck_assert_str_eq(before.allocator, "libc");
        return;
    }
    ck_assert_int_eq(strncmp(before.allocator, "jemalloc-", 9), 0);
    void *ptr = mem_alloc(10 << 20);
    mem_read_figures(&after);
    ck_assert_uint_eq(after.allocated - before.allocated, mem_class(10 << 20));
    ck_assert_uint_ge(after.mapped, after.active);
    ck_assert_uint_ge(after.active, after.allocated);
    mem_free(ptr);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mem");
    TCase *tcase = tcase_create("mem");
    tcase_add_test(tcase, the_nth_try_fails_once);
    tcase_add_test(tcase, allocating);
    tcase_add_test_raise_signal(tcase, without_memory_mem_alloc_aborts, SIGABRT);
    tcase_add_test(tcase, classes_cover_the_request);
    tcase_add_test(tcase, figures);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
