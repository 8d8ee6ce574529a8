/* Which known name a misspelt one is near to (src/base/nearest.h). */
#include "base/nearest.h"

#include <check.h>
#include <stdlib.h>

START_TEST(limit_grows_with_the_name)
{
    static const size_t limits[] = {0, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4};
    for (size_t len = 0; len < sizeof(limits) / sizeof(limits[0]); len++)
        ck_assert_uint_eq(nearest_limit(bytes_of("abcdefghijkl", len)), limits[len]);
    static char name[NEAREST_NAME_MAX + 1];
    memset(name, 'x', sizeof(name));
    ck_assert_uint_eq(nearest_limit(bytes_of(name, NEAREST_NAME_MAX)), 4);
    ck_assert_uint_eq(nearest_limit(bytes_of(name, sizeof(name))), 0);
}
END_TEST

START_TEST(distance_counts_letters)
{
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } rows[] = {
        {"", "", 0},         {"", "abc", 3},    {"abc", "", 3},
        {"abc", "abc", 0},   {"ABC", "abc", 0}, {"kitten", "sitting", 3},
        {"prot", "port", 2}, {"ttl", "tll", 1}, {"maxmemory", "max-memory", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bytes a = bytes_of_str(rows[i].a);
        struct bytes b = bytes_of_str(rows[i].b);
        ck_assert_uint_eq(nearest_distance(a, b), rows[i].distance);
        ck_assert_uint_eq(nearest_distance(b, a), rows[i].distance);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nearest");
    TCase *tcase = tcase_create("nearest");
    tcase_add_test(tcase, limit_grows_with_the_name);
    tcase_add_test(tcase, distance_counts_letters);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
