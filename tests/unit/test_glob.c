/* Glob matching (src/base/glob.h). The rows are what redis-server 7.0.15 says: KEYS for those that
 * mind the case, COMMAND LIST FILTERBY PATTERN for the others. */
#include "base/glob.h"

#include "base/clock.h"

#include <check.h>
#include <stdlib.h>

struct row {
    struct bytes pattern;
    struct bytes text;
    bool matches;
};

#define ROW(pattern, text, matches)                                                                \
    {                                                                                              \
        BYTES(pattern), BYTES(text), matches                                                       \
    }

static const struct row rows[] = {
    ROW("", "", true),
    ROW("", "a", false),
    ROW("a", "", false),
    ROW("*", "", false), /* sic; KEYS and SCAN take a lone star for "all" before they match */
    ROW("**", "", false),
    ROW("*", "a", true),
    ROW("**", "abc", true),
    ROW("a*", "a", true),
    ROW("a**", "a", true),
    ROW("*a", "ba", true),
    ROW("*a", "ab", false),
    ROW("a*c*e", "abcde", true),
    ROW("a*c*e", "abcdef", false),
    ROW("*ab", "aab", true),
    ROW("*aab", "aaab", true),
    ROW("a*b*c", "a-b-b-c", true),
    ROW("?", "a", true),
    ROW("?", "", false),
    ROW("?", "ab", false),
    ROW("h?llo", "hello", true),
    ROW("h?llo", "hllo", false),
    ROW("h[ae]llo", "hallo", true),
    ROW("h[ae]llo", "hillo", false),
    ROW("h[^e]llo", "hallo", true),
    ROW("h[^e]llo", "hello", false),
    ROW("[a-c]", "b", true),
    ROW("[a-c]", "d", false),
    ROW("[c-a]", "b", true),
    ROW("[^a-c]", "b", false),
    ROW("[^a-c]", "d", true),
    ROW("[]", "]", false),
    ROW("[]a]", "a", false),
    ROW("[\\]]", "]", true),
    ROW("[\\a-c]", "-", true),
    ROW("[\\a-c]", "b", false),
    ROW("[a-]", "-", false), /* from "]" to "a", and not closed */
    ROW("[a-]", "a", true),
    ROW("[a-", "a", true),
    ROW("[a-", "-", true),
    ROW("[abc", "c", true),
    ROW("[abc", "d", false),
    ROW("[", "[", false),
    ROW("[^", "x", true),
    ROW("[^", "^", true),
    ROW("[a-\xff]", "\xff", true), /* bytes are signed there: from -1 to 'a' */
    ROW("[a-\xff]", "b", false),
    ROW("[a-\xff]", "A", true),
    ROW("\\*", "*", true),
    ROW("\\*", "a", false),
    ROW("\\", "\\", true),
    ROW("a\\", "a\\", true),
    ROW("\\a", "a", true),
    ROW("\\\\", "\\", true),
    ROW("a\0b", "a\0b", true),
    ROW("a\0b", "a\0c", false),
    ROW("a?b", "a\0b", true),
    ROW("A", "a", false),
};

static const struct row nocase_rows[] = {
    ROW("A", "a", true),
    ROW("*LeN", "hlen", true),
    ROW("[H]len", "hlen", true),
    ROW("[G-I]len", "hlen", true),
    ROW("[^H]len", "hlen", false),
    ROW("\\Hlen", "hlen", true),
    ROW("[\\H]len", "hlen", false), /* an escape in a class minds the case */
    ROW("[h-Z]len", "hlen", false), /* the ends are put in order first: from 'z' to 'h' */
    ROW("[h-z]len", "hlen", true),
};

/* Copies to the end of an allocation, so that a sanitizer sees a read too many. */
static bool match(const struct row *row, bool nocase)
{
    char *pattern = malloc(row->pattern.len + 1);
    char *text = malloc(row->text.len + 1);
    ck_assert(pattern != NULL && text != NULL);
    memcpy(pattern + 1, row->pattern.ptr, row->pattern.len);
    memcpy(text + 1, row->text.ptr, row->text.len);
    bool matches = glob_match(bytes_of(pattern + 1, row->pattern.len),
                              bytes_of(text + 1, row->text.len), nocase);
    free(pattern);
    free(text);
    return matches;
}

START_TEST(as_redis)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ck_assert_msg(match(&rows[i], false) == rows[i].matches, "row %zu: %s %s", i,
                      rows[i].pattern.ptr, rows[i].text.ptr);
}
END_TEST

START_TEST(as_redis_without_case)
{
    for (size_t i = 0; i < sizeof(nocase_rows) / sizeof(nocase_rows[0]); i++)
        ck_assert_msg(match(&nocase_rows[i], true) == nocase_rows[i].matches, "row %zu: %s %s", i,
                      nocase_rows[i].pattern.ptr, nocase_rows[i].text.ptr);
}
END_TEST

/* With backtracking over every star this would take longer than the universe has. */
START_TEST(many_stars_cost_little)
{
    static char pattern[2001];
    static char text[20000];
    for (size_t i = 0; i < 2000; i++)
        pattern[i] = i % 2 == 0 ? 'a' : '*';
    pattern[2000] = 'b';
    memset(text, 'a', sizeof(text));
    int64_t start = clock_read_ns();
    ck_assert(!glob_match(bytes_of(pattern, 2001), bytes_of(text, sizeof(text)), false));
    ck_assert(clock_read_ns() - start < 5000000000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("glob");
    TCase *tcase = tcase_create("glob");
    tcase_add_test(tcase, as_redis);
    tcase_add_test(tcase, as_redis_without_case);
    tcase_add_test(tcase, many_stars_cost_little);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
