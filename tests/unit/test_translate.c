/* RESP3 to RESP2 (src/resp/translate.h). The vectors are what redis-server itself said in both
 * protocols (tests/tools/resp2_resp3_table.py); what it never says is tested by hand here. */
#include "resp/translate.h"

#include "base/mem.h"
#include "resp/walk.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define VECTORS "tests/unit/data/translate_vectors.txt"
#define N_VECTORS_MIN 900
#define ARGS_MAX 32
#define QUEUED_MAX 8
#define INPUT_MAX 65536

/* --- inputs that end where reading ends --- */

static char *guarded_end;

static void map_guard(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (INPUT_MAX + page - 1) / page * page;
    char *area = mmap(NULL, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                      0);
    if (area == MAP_FAILED || mprotect(area + usable, page, PROT_NONE) != 0)
        abort();
    guarded_end = area + usable;
}

static const char *guarded(struct bytes input)
{
    ck_assert_uint_le(input.len, INPUT_MAX);
    memcpy(guarded_end - input.len, input.ptr, input.len);
    return guarded_end - input.len;
}

/* --- one reply and the rules that it is translated by --- */

struct request {
    enum translate_rule rule;
    enum translate_rule queued[QUEUED_MAX]; /* for EXEC */
    size_t n_queued;
};

static bool translate(struct bytes resp3, const struct request *request, struct buf *out)
{
    const char *input = guarded(resp3);
    if (request->rule == TRANSLATE_EXEC)
        return translate_exec_to_resp2(input, resp3.len, request->queued, request->n_queued, out);
    return translate_to_resp2(input, resp3.len, request->rule, out);
}

/* True when the translation succeeds and is `resp2`; says so when not. */
static bool gives(struct bytes resp3, const struct request *request, struct bytes resp2)
{
    struct buf out;
    buf_init(&out);
    bool ok = translate(resp3, request, &out) && bytes_equal(buf_bytes(&out), resp2);
    if (!ok) {
        fprintf(stderr, "rule %d: %.*s\nexpected: %.*s\ngot: %.*s\n", request->rule,
                (int)resp3.len, resp3.ptr, (int)resp2.len, resp2.ptr, (int)out.len, out.data);
    }
    buf_deinit(&out);
    return ok;
}

/* True when the translation fails and leaves the output's bytes alone. */
static bool refuses(struct bytes resp3, const struct request *request)
{
    struct buf out;
    buf_init(&out);
    bool ok = buf_append(&out, "before", 6) && !translate(resp3, request, &out) &&
              bytes_equal(buf_bytes(&out), BYTES("before"));
    buf_deinit(&out);
    return ok;
}

static bool rule_gives(enum translate_rule rule, struct bytes resp3, struct bytes resp2)
{
    struct request request = {.rule = rule};
    return gives(resp3, &request, resp2);
}

/* --- the vectors --- */

static struct buf read_vectors(void)
{
    const char *top = getenv("LARDER_SRCDIR");
    char path[4096];
    struct buf text;
    buf_init(&text);
    snprintf(path, sizeof(path), "%s/%s", top == NULL ? "." : top, VECTORS);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "can't open %s", path);
    size_t n;
    do {
        ck_assert(buf_reserve(&text, 65536));
        n = fread(text.data + text.len, 1, 65536, file);
        text.len += n;
    } while (n > 0);
    fclose(file);
    return text;
}

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : bytes_lower(c) - 'a' + 10);
}

/* Undoes the escapes of the text in place; returns its new length. */
static size_t unescape(char *text, size_t len)
{
    size_t to = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '\\') {
            c = text[++i];
            if (c == 'x') {
                c = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
                i += 2;
            } else if (c == 'r' || c == 'n') {
                c = c == 'r' ? '\r' : '\n';
            }
        }
        text[to++] = c;
    }
    return to;
}

/* Splits a command at its blanks, which may be quoted; changes the text. */
static size_t split(char *text, char *end, struct bytes *argv)
{
    size_t argc = 0;
    while (text < end) {
        bool quoted = *text == '"';
        char *start = quoted ? ++text : text;
        while (text < end && *text != (quoted ? '"' : ' '))
            text += *text == '\\' ? 2 : 1;
        ck_assert_uint_lt(argc, ARGS_MAX);
        argv[argc++] = bytes_of(start, unescape(start, (size_t)(text - start)));
        text += quoted ? 2 : 1;
    }
    return argc;
}

static enum translate_rule rule_of_line(char *text, char *end)
{
    struct bytes argv[ARGS_MAX];
    size_t argc = split(text, end, argv);
    return translate_rule_for(argv, argc);
}

/* Calls `check` with each vector; returns how many there are. */
static size_t for_each_vector(bool (*check)(struct bytes resp3, struct bytes resp2,
                                            const struct request *request),
                              size_t *n_failed)
{
    struct buf text = read_vectors();
    struct request request = {.n_queued = 0};
    struct bytes resp3 = {NULL, 0};
    size_t n_vectors = 0;
    char *end = text.data + text.len;
    *n_failed = 0;
    for (char *line = text.data; line < end;) {
        char *line_end = memchr(line, '\n', (size_t)(end - line));
        line_end = line_end == NULL ? end : line_end;
        if (line_end - line >= 2 && line[0] != '#') {
            char *rest = line + 2;
            if (line[0] == 'q') {
                ck_assert_uint_lt(request.n_queued, QUEUED_MAX);
                request.queued[request.n_queued++] = rule_of_line(rest, line_end);
            } else if (line[0] == 'c') {
                request.rule = rule_of_line(rest, line_end);
            } else if (line[0] == '3') {
                resp3 = bytes_of(rest, unescape(rest, (size_t)(line_end - rest)));
            } else {
                struct bytes resp2 = bytes_of(rest, unescape(rest, (size_t)(line_end - rest)));
                if (!check(resp3, resp2, &request))
                    ++*n_failed;
                n_vectors++;
                request.n_queued = 0;
            }
        }
        line = line_end + 1;
    }
    buf_deinit(&text);
    return n_vectors;
}

static bool vector_matches(struct bytes resp3, struct bytes resp2, const struct request *request)
{
    return gives(resp3, request, resp2);
}

START_TEST(test_vectors_of_redis)
{
    size_t n_failed;
    ck_assert_uint_ge(for_each_vector(vector_matches, &n_failed), N_VECTORS_MIN);
    ck_assert_uint_eq(n_failed, 0);
}
END_TEST

/* What is RESP2 already stays as it is, under every command's rule. */
static bool vector_is_stable(struct bytes resp3, struct bytes resp2, const struct request *request)
{
    (void)resp3;
    return gives(resp2, request, resp2);
}

START_TEST(test_vectors_already_in_resp2)
{
    size_t n_failed;
    for_each_vector(vector_is_stable, &n_failed);
    ck_assert_uint_eq(n_failed, 0);
}
END_TEST

/* Cut off anywhere, or with a byte too many, a reply is refused. */
static bool vector_cut_is_refused(struct bytes resp3, struct bytes resp2,
                                  const struct request *request)
{
    (void)resp2;
    char longer[INPUT_MAX];
    for (size_t len = 0; len < resp3.len; len++)
        if (!refuses(bytes_of(resp3.ptr, len), request))
            return false;
    memcpy(longer, resp3.ptr, resp3.len);
    longer[resp3.len] = '+';
    return refuses(bytes_of(longer, resp3.len + 1), request);
}

START_TEST(test_vectors_cut_at_every_byte)
{
    size_t n_failed;
    for_each_vector(vector_cut_is_refused, &n_failed);
    ck_assert_uint_eq(n_failed, 0);
}
END_TEST

/* --- rules by name --- */

static enum translate_rule rule_of(const char *command)
{
    char text[256];
    size_t len = strlen(command);
    memcpy(text, command, len);
    return rule_of_line(text, text + len);
}

START_TEST(test_rule_for_names)
{
    ck_assert_int_eq(translate_rule_for(NULL, 0), TRANSLATE_GENERIC);
    ck_assert_int_eq(rule_of("\"\""), TRANSLATE_GENERIC);
    ck_assert_int_eq(rule_of("GET k"), TRANSLATE_GENERIC);
    ck_assert_int_eq(rule_of("zrange z 0 -1"), TRANSLATE_FLAT);
    ck_assert_int_eq(rule_of("ZrAnGe z 0 -1"), TRANSLATE_FLAT);
    ck_assert_int_eq(rule_of("ZRANGEX z 0 -1"), TRANSLATE_GENERIC);
    ck_assert_int_eq(rule_of("ZRANG z 0 -1"), TRANSLATE_GENERIC);
    ck_assert_int_eq(rule_of("zrange\\x00 z 0 -1"), TRANSLATE_GENERIC);
    ck_assert_int_eq(rule_of("zrevrangebyscore z 0 1"), TRANSLATE_FLAT);
    ck_assert_int_eq(rule_of("zrevrangebyscorex z 0 1"), TRANSLATE_GENERIC);
    ck_assert_int_eq(rule_of("EXEC"), TRANSLATE_EXEC);
    ck_assert_int_eq(rule_of("LPOP l"), TRANSLATE_GENERIC);
    ck_assert_int_eq(rule_of("LPOP l 1"), TRANSLATE_NULL_ARRAY);
    ck_assert_int_eq(rule_of("BRPOPLPUSH a b 0"), TRANSLATE_NULL_ARRAY_BLOCKING);
    ck_assert_int_eq(rule_of("XREADGROUP GROUP g c STREAMS s >"), TRANSLATE_PAIRS);
    ck_assert_int_eq(rule_of("XPENDING s g"), TRANSLATE_LAST_NULL_ARRAY);
}
END_TEST

/* Redis 7.2 and newer: a missing member is a null array with WITHSCORE, a null bulk without. */
START_TEST(test_rank_with_score)
{
    struct bytes found = BYTES("*2\r\n:1\r\n,2.5\r\n");
    struct bytes found_resp2 = BYTES("*2\r\n:1\r\n$3\r\n2.5\r\n");
    ck_assert(rule_gives(rule_of("ZRANK z m WITHSCORE"), BYTES("_\r\n"), BYTES("*-1\r\n")));
    ck_assert(rule_gives(rule_of("ZREVRANK z m WITHSCORE"), BYTES("_\r\n"), BYTES("*-1\r\n")));
    ck_assert(rule_gives(rule_of("ZRANK z m WITHSCORE"), found, found_resp2));
    ck_assert(rule_gives(rule_of("ZRANK z m"), BYTES("_\r\n"), BYTES("$-1\r\n")));
    ck_assert(rule_gives(rule_of("ZREVRANK z m"), BYTES("_\r\n"), BYTES("$-1\r\n")));
}
END_TEST

/* --- shapes that Redis 7.0 does not send --- */

START_TEST(test_attributes_are_dropped)
{
    struct bytes scores = BYTES("|1\r\n+a\r\n_\r\n*2\r\n"
                                "|1\r\n+a\r\n%0\r\n*2\r\n|0\r\n$1\r\nm\r\n,1\r\n"
                                "|1\r\n+a\r\n+b\r\n*2\r\n$1\r\nn\r\n|1\r\n+a\r\n+b\r\n,2\r\n");
    struct bytes flat = BYTES("*4\r\n$1\r\nm\r\n$1\r\n1\r\n$1\r\nn\r\n$1\r\n2\r\n");
    struct bytes nested = BYTES("*2\r\n*2\r\n$1\r\nm\r\n$1\r\n1\r\n*2\r\n$1\r\nn\r\n$1\r\n2\r\n");
    struct bytes read = BYTES("|1\r\n+a\r\n+b\r\n%1\r\n|1\r\n+a\r\n+b\r\n$1\r\ns\r\n"
                              "|1\r\n+a\r\n+b\r\n*1\r\n|1\r\n+a\r\n+b\r\n_\r\n");
    ck_assert(rule_gives(TRANSLATE_GENERIC, BYTES("|1\r\n+a\r\n*1\r\n:1\r\n|0\r\n+OK\r\n"),
                         BYTES("+OK\r\n")));
    ck_assert(rule_gives(TRANSLATE_GENERIC, scores, nested));
    ck_assert(rule_gives(TRANSLATE_FLAT, scores, flat));
    ck_assert(rule_gives(TRANSLATE_PAIRS, read,
                         BYTES("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*-1\r\n")));
    ck_assert(rule_gives(TRANSLATE_LAST_NULL_ARRAY,
                         BYTES("|0\r\n*2\r\n|0\r\n_\r\n|1\r\n+a\r\n+b\r\n_\r\n"),
                         BYTES("*2\r\n$-1\r\n*-1\r\n")));
    ck_assert(rule_gives(TRANSLATE_EXEC, BYTES("|0\r\n*1\r\n|0\r\n#t\r\n"),
                         BYTES("*1\r\n:1\r\n")));
}
END_TEST

START_TEST(test_flat_by_the_first_element)
{
    ck_assert(rule_gives(TRANSLATE_FLAT, BYTES("*2\r\n*0\r\n*0\r\n"), BYTES("*0\r\n")));
    ck_assert(rule_gives(TRANSLATE_FLAT, BYTES("*3\r\n*1\r\n_\r\n#t\r\n*2\r\n*1\r\n:1\r\n%0\r\n"),
                         BYTES("*4\r\n$-1\r\n:1\r\n*1\r\n:1\r\n*0\r\n")));
    ck_assert(rule_gives(TRANSLATE_FLAT, BYTES("*2\r\n:1\r\n*1\r\n_\r\n"),
                         BYTES("*2\r\n:1\r\n*1\r\n$-1\r\n")));
    ck_assert(rule_gives(TRANSLATE_FLAT, BYTES("~1\r\n*1\r\n:1\r\n"),
                         BYTES("*1\r\n*1\r\n:1\r\n")));
    ck_assert(rule_gives(TRANSLATE_FLAT, BYTES("_\r\n"), BYTES("$-1\r\n")));
}
END_TEST

START_TEST(test_rules_on_other_shapes)
{
    struct bytes error = BYTES("-ERR no\r\n");
    for (int i = TRANSLATE_GENERIC; i <= TRANSLATE_EXEC; i++) {
        enum translate_rule rule = (enum translate_rule)i;
        ck_assert(rule_gives(rule, error, error));
        ck_assert(rule_gives(rule, BYTES("+QUEUED\r\n"), BYTES("+QUEUED\r\n")));
        ck_assert(rule_gives(rule, BYTES(",-nan\r\n"), BYTES("$4\r\n-nan\r\n")));
        ck_assert(rule_gives(rule, BYTES("*0\r\n"), BYTES("*0\r\n")));
    }
    ck_assert(rule_gives(TRANSLATE_NULL_ARRAY, BYTES("$-1\r\n"), BYTES("*-1\r\n")));
    ck_assert(rule_gives(TRANSLATE_NULL_ARRAY_BLOCKING, BYTES("_\r\n"), BYTES("*-1\r\n")));
    ck_assert(rule_gives(TRANSLATE_GENERIC, BYTES("*-1\r\n"), BYTES("*-1\r\n")));
    ck_assert(rule_gives(TRANSLATE_LAST_NULL_ARRAY, BYTES("%1\r\n_\r\n_\r\n"),
                         BYTES("*2\r\n$-1\r\n$-1\r\n")));
}
END_TEST

START_TEST(test_exec_elements_have_their_own_rules)
{
    struct bytes nulls = BYTES("*4\r\n_\r\n_\r\n_\r\n_\r\n");
    struct request request = {TRANSLATE_EXEC,
                              {TRANSLATE_NULL_ARRAY, TRANSLATE_NULL_ARRAY_BLOCKING, TRANSLATE_EXEC},
                              3};
    ck_assert(gives(nulls, &request, BYTES("*4\r\n*-1\r\n$-1\r\n$-1\r\n$-1\r\n")));
    ck_assert(gives(BYTES("*1\r\n_\r\n"), &request, BYTES("*1\r\n*-1\r\n")));
    ck_assert(gives(BYTES("_\r\n"), &request, BYTES("*-1\r\n")));
    ck_assert(gives(BYTES("*0\r\n"), &request, BYTES("*0\r\n")));
    ck_assert(gives(BYTES("-EXECABORT\r\n"), &request, BYTES("-EXECABORT\r\n")));
    struct buf out;
    buf_init(&out);
    ck_assert(translate_to_resp2(nulls.ptr, nulls.len, TRANSLATE_EXEC, &out));
    ck_assert(bytes_equal(buf_bytes(&out), BYTES("*4\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n")));
    buf_deinit(&out);
    ck_assert(refuses(BYTES("*2\r\n_\r\n"), &request));
    ck_assert(refuses(BYTES("*1\r\n_\r\n_\r\n"), &request));
}
END_TEST

START_TEST(test_malformed_is_refused)
{
    static const struct bytes inputs[] = {
        BYTES(""), BYTES("x"), BYTES("+OK"), BYTES("+OK\r\n+OK\r\n"), BYTES("$3\r\nab\r\n"),
        BYTES("$2\r\nabc\r\n"), BYTES("$9223372036854775807\r\n\r\n"), BYTES("*4294967295\r\n"),
        BYTES("%4294967295\r\n:1\r\n"), BYTES("%1\r\n:1\r\n"), BYTES("*2\r\n*4294967295\r\n:1\r\n"),
        BYTES("=3\r\ntxt\r\n"), BYTES("#x\r\n"), BYTES("*1\r\n|0\r\n"), BYTES("|1\r\n:1\r\n:2\r\n"),
        BYTES("*?\r\n:1\r\n.\r\n"), BYTES("!3\r\nERR\r\n"), BYTES("*1\r\n*2\r\n:1\r\n"),
    };
    for (int rule = TRANSLATE_GENERIC; rule <= TRANSLATE_EXEC; rule++) {
        struct request request = {.rule = (enum translate_rule)rule};
        for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
            ck_assert_msg(refuses(inputs[i], &request), "%d: %s", rule, inputs[i].ptr);
    }
}
END_TEST

START_TEST(test_depth_is_limited)
{
    char input[INPUT_MAX];
    struct request generic = {.rule = TRANSLATE_GENERIC};
    size_t len = 0;
    for (int i = 0; i < WALK_DEPTH_MAX; i++, len += 4)
        memcpy(input + len, "*1\r\n", 4);
    memcpy(input + len, "*0\r\n", 4);
    ck_assert(gives(bytes_of(input, len + 4), &generic, bytes_of(input, len + 4)));
    for (int rule = TRANSLATE_GENERIC; rule <= TRANSLATE_EXEC; rule++) {
        struct request request = {.rule = (enum translate_rule)rule};
        for (len = 0; len < INPUT_MAX; len += 4)
            memcpy(input + len, "*1\r\n", 4);
        ck_assert(refuses(bytes_of(input, len), &request));
        for (len = 0; len < INPUT_MAX; len += 4)
            memcpy(input + len, "|1\r\n", 4);
        ck_assert(refuses(bytes_of(input, len), &request));
    }
}
END_TEST

/* Each bulk more than doubles the output, so that each is one allocation that can fail for good. */
START_TEST(test_lack_of_memory_undoes_everything)
{
    static const int sizes[] = {500, 2500, 12000, 48000};
    static const struct {
        const char *header, *prefix;
        enum translate_rule rule;
    } shapes[] = {
        {"*8", "", TRANSLATE_GENERIC},      {"*4", "*2\r\n", TRANSLATE_FLAT},
        {"%4", "", TRANSLATE_PAIRS},        {"*8", "", TRANSLATE_EXEC},
        {"*8", "", TRANSLATE_NULL_ARRAY},   {"*8", "", TRANSLATE_LAST_NULL_ARRAY},
        {"*4", "|0\r\n%1\r\n", TRANSLATE_FLAT},
    };
    char input[INPUT_MAX];
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct request request = {.rule = shapes[i].rule};
        size_t len = (size_t)snprintf(input, sizeof(input), "%s\r\n", shapes[i].header);
        for (size_t j = 0; j < 4; j++)
            len += (size_t)snprintf(input + len, sizeof(input) - len, "%s$%d\r\n%0*d\r\n_\r\n",
                                    shapes[i].prefix, sizes[j], sizes[j], 0);
        unsigned n_failures = 0;
        for (unsigned nth = 1; nth <= 12; nth++) {
            struct buf out;
            buf_init(&out);
            mem_fail_after(nth);
            bool ok = translate(bytes_of(input, len), &request, &out);
            mem_fail_after(0);
            ck_assert(ok || out.len == 0);
            n_failures += ok ? 0 : 1;
            buf_deinit(&out);
        }
        ck_assert_msg(n_failures >= 4, "%zu: %u", i, n_failures);
        ck_assert_uint_lt(n_failures, 12);
    }
}
END_TEST

START_TEST(test_appends_to_what_is_there)
{
    struct request request = {.rule = TRANSLATE_GENERIC};
    struct buf out;
    buf_init(&out);
    ck_assert(translate(BYTES("#f\r\n"), &request, &out));
    ck_assert(translate(BYTES("+OK\r\n"), &request, &out));
    ck_assert(!translate(BYTES("*2\r\n_\r\n"), &request, &out));
    ck_assert(translate(BYTES("%0\r\n"), &request, &out));
    ck_assert(bytes_equal(buf_bytes(&out), BYTES(":0\r\n+OK\r\n*0\r\n")));
    buf_deinit(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("translate");
    TCase *tcase = tcase_create("translate");
    tcase_add_unchecked_fixture(tcase, map_guard, NULL);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_vectors_of_redis);
    tcase_add_test(tcase, test_vectors_already_in_resp2);
    tcase_add_test(tcase, test_vectors_cut_at_every_byte);
    tcase_add_test(tcase, test_rule_for_names);
    tcase_add_test(tcase, test_rank_with_score);
    tcase_add_test(tcase, test_attributes_are_dropped);
    tcase_add_test(tcase, test_flat_by_the_first_element);
    tcase_add_test(tcase, test_rules_on_other_shapes);
    tcase_add_test(tcase, test_exec_elements_have_their_own_rules);
    tcase_add_test(tcase, test_malformed_is_refused);
    tcase_add_test(tcase, test_depth_is_limited);
    tcase_add_test(tcase, test_lack_of_memory_undoes_everything);
    tcase_add_test(tcase, test_appends_to_what_is_there);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
