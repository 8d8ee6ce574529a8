/* The reader over serialised RESP3 (src/resp/walk.h): every type, every prefix, hostile bytes, and
 * always with an unreadable page right behind the input. */
#include "resp/walk.h"

#include <check.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT_MAX 65536

/* Memory that ends where reading ends. */
static char *guarded_end;

static void map_guard(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (INPUT_MAX + page - 1) / page * page;
    char *area =
        mmap(NULL, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED || mprotect(area + usable, page, PROT_NONE) != 0)
        abort();
    guarded_end = area + usable;
}

static struct walk guarded_walk(struct bytes input)
{
    ck_assert_uint_le(input.len, INPUT_MAX);
    memcpy(guarded_end - input.len, input.ptr, input.len);
    return walk_over(guarded_end - input.len, input.len);
}

static enum walk_status guarded_len(struct bytes input, unsigned max_depth, size_t *len)
{
    struct walk walk = guarded_walk(input);
    return walk_reply_len(walk.pos, input.len, max_depth, len);
}

/* What walk_next must say to each input. */
static const struct {
    struct bytes input;
    struct bytes text;
    size_t n_items;
    enum walk_type type;
} items[] = {
    {BYTES("+OK\r\n"), BYTES("OK"), 0, WALK_STATUS},
    {BYTES("+\r\n"), BYTES(""), 0, WALK_STATUS},
    {BYTES("+a\rb\r\n"), BYTES("a\rb"), 0, WALK_STATUS},
    {BYTES("-ERR no\r\n"), BYTES("ERR no"), 0, WALK_ERROR},
    {BYTES(":0\r\n"), BYTES("0"), 0, WALK_INTEGER},
    {BYTES(":-9223372036854775808\r\n"), BYTES("-9223372036854775808"), 0, WALK_INTEGER},
    {BYTES("$0\r\n\r\n"), BYTES(""), 0, WALK_BULK},
    {BYTES("$3\r\na\r\n\r\n"), BYTES("a\r\n"), 0, WALK_BULK},
    {BYTES("$-1\r\n"), BYTES(""), 0, WALK_NULL},
    {BYTES("*-1\r\n"), BYTES(""), 0, WALK_NULL},
    {BYTES("_\r\n"), BYTES(""), 0, WALK_NULL},
    {BYTES("#t\r\n"), BYTES("t"), 0, WALK_BOOL},
    {BYTES("#f\r\n"), BYTES("f"), 0, WALK_BOOL},
    {BYTES(",1.5\r\n"), BYTES("1.5"), 0, WALK_DOUBLE},
    {BYTES(",-inf\r\n"), BYTES("-inf"), 0, WALK_DOUBLE},
    {BYTES("(12345678901234567890123\r\n"), BYTES("12345678901234567890123"), 0, WALK_BIG_NUMBER},
    {BYTES("=7\r\ntxt:abc\r\n"), BYTES("txt:abc"), 0, WALK_VERBATIM},
    {BYTES("=4\r\nmkd:\r\n"), BYTES("mkd:"), 0, WALK_VERBATIM},
    {BYTES("*0\r\n"), BYTES(""), 0, WALK_ARRAY},
    {BYTES("*10\r\n"), BYTES(""), 10, WALK_ARRAY},
    {BYTES("*4294967295\r\n"), BYTES(""), 4294967295, WALK_ARRAY},
    {BYTES("~2\r\n"), BYTES(""), 2, WALK_SET},
    {BYTES(">3\r\n"), BYTES(""), 3, WALK_PUSH},
    {BYTES("%2\r\n"), BYTES(""), 4, WALK_MAP},
    {BYTES("%4294967295\r\n"), BYTES(""), 8589934590, WALK_MAP},
    {BYTES("|1\r\n"), BYTES(""), 2, WALK_ATTRIBUTE},
};

START_TEST(test_next_reads_every_type)
{
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        struct walk walk = guarded_walk(items[i].input);
        const char *start = walk.pos;
        struct walk_item item;
        ck_assert_int_eq(walk_next(&walk, &item), WALK_OK);
        ck_assert_ptr_eq(walk.pos, walk.end);
        ck_assert_ptr_eq(item.start, start);
        ck_assert_int_eq(item.type, items[i].type);
        ck_assert_uint_eq(item.n_items, items[i].n_items);
        ck_assert_msg(bytes_equal(item.text, items[i].text), "%s", items[i].input.ptr);
    }
}
END_TEST

START_TEST(test_next_wants_more_at_every_byte)
{
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        for (size_t len = 0; len < items[i].input.len; len++) {
            struct walk walk = guarded_walk(bytes_of(items[i].input.ptr, len));
            const char *start = walk.pos;
            struct walk_item item;
            ck_assert_msg(walk_next(&walk, &item) == WALK_MORE, "%zu of %s", len,
                          items[i].input.ptr);
            ck_assert_ptr_eq(walk.pos, start);
        }
    }
}
END_TEST

static const struct bytes bad_inputs[] = {
    BYTES("x\r\n"),
    BYTES("\r\n"),
    BYTES("\0"),
    BYTES("\xff\r\n"),
    BYTES("!3\r\nabc\r\n"),
    BYTES("$?\r\n"),
    BYTES("*?\r\n"),
    BYTES("%?\r\n"),
    BYTES(".\r\n"),
    BYTES("PING\r\n"),
    /* lengths and counts */
    BYTES("$\r\n"),
    BYTES("$-\r\n"),
    BYTES("$-2\r\n"),
    BYTES("$-10\r\n"),
    BYTES("$-0\r\n"),
    BYTES("$+1\r\n"),
    BYTES("$01\r\n"),
    BYTES("$00\r\n"),
    BYTES("$ 1\r\n"),
    BYTES("$1 \r\n"),
    BYTES("$1\n"),
    BYTES("$1\rx"),
    BYTES("$9223372036854775808\r\n"),
    BYTES("$18446744073709551616\r\n"),
    BYTES("$99999999999999999999"),
    BYTES("*abc\r\n"),
    BYTES("*-2\r\n"),
    BYTES("*4294967296\r\n"),
    BYTES("*9999999999999999999999\r\n"),
    BYTES("%-1\r\n"),
    BYTES("~-1\r\n"),
    BYTES(">-1\r\n"),
    BYTES("|-1\r\n"),
    BYTES("=-1\r\n"),
    BYTES("%4294967296\r\n"),
    /* contents */
    BYTES("$1\r\nabc"),
    BYTES("$1\r\na\rb"),
    BYTES("$0\r\nx"),
    BYTES("=3\r\nabc\r\n"),
    BYTES("=5\r\nabcde\r\n"),
    BYTES("=5\r\nabcd"),
    BYTES("_x\r\n"),
    BYTES("#\r\n"),
    BYTES("#x\r\n"),
    BYTES("#tt\r\n"),
    BYTES(":\r\n"),
    BYTES(",\r\n"),
    BYTES("(\r\n"),
};

START_TEST(test_next_refuses_what_is_not_resp)
{
    for (size_t i = 0; i < sizeof(bad_inputs) / sizeof(bad_inputs[0]); i++) {
        struct walk walk = guarded_walk(bad_inputs[i]);
        const char *start = walk.pos;
        struct walk_item item;
        ck_assert_msg(walk_next(&walk, &item) == WALK_BAD, "%s", bad_inputs[i].ptr);
        ck_assert_ptr_eq(walk.pos, start);
    }
}
END_TEST

START_TEST(test_huge_length_wants_more)
{
    size_t len;
    ck_assert_int_eq(guarded_len(BYTES("$9223372036854775807\r\nabc"), 8, &len), WALK_MORE);
    ck_assert_int_eq(guarded_len(BYTES("=9223372036854775807\r\ntxt:"), 8, &len), WALK_MORE);
    ck_assert_int_eq(guarded_len(BYTES("%4294967295\r\n:1\r\n"), 8, &len), WALK_MORE);
    ck_assert_int_eq(walk_reply_len(NULL, 0, 8, &len), WALK_MORE);
}
END_TEST

/* Whole replies: the length is that of the first one. */
static const struct bytes replies[] = {
    BYTES("+OK\r\n"),
    BYTES("*0\r\n"),
    BYTES("*2\r\n:1\r\n$1\r\na\r\n"),
    BYTES("%2\r\n+a\r\n:1\r\n+b\r\n*2\r\n_\r\n#t\r\n"),
    BYTES("*3\r\n*0\r\n%0\r\n~1\r\n*1\r\n,1\r\n"),
    BYTES("|1\r\n+ttl\r\n:3600\r\n*2\r\n:1\r\n|0\r\n:2\r\n"),
    BYTES("|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n:1\r\n+OK\r\n"),
    BYTES(">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nfoo\r\n"),
};

START_TEST(test_reply_len_whole_and_at_every_byte)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        struct bytes reply = replies[i];
        char twice[256];
        size_t len = 12345;
        ck_assert_int_eq(guarded_len(reply, 4, &len), WALK_OK);
        ck_assert_uint_eq(len, reply.len);
        memcpy(twice, reply.ptr, reply.len);
        memcpy(twice + reply.len, reply.ptr, reply.len);
        ck_assert_int_eq(guarded_len(bytes_of(twice, 2 * reply.len), 4, &len), WALK_OK);
        ck_assert_uint_eq(len, reply.len);
        for (size_t cut = 0; cut < reply.len; cut++) {
            len = 12345;
            ck_assert_int_eq(guarded_len(bytes_of(reply.ptr, cut), 4, &len), WALK_MORE);
            ck_assert_uint_eq(len, 12345);
        }
    }
}
END_TEST

START_TEST(test_value_passes_over_attributes)
{
    struct bytes input = BYTES("|1\r\n+a\r\n*1\r\n:1\r\n|0\r\n"
                               "%1\r\n+k\r\n|1\r\n:1\r\n:2\r\n+v\r\n");
    struct walk walk = guarded_walk(input);
    struct walk_item item;
    ck_assert_int_eq(walk_value(&walk, &item, 2), WALK_OK);
    ck_assert_int_eq(item.type, WALK_MAP);
    ck_assert_int_eq(*item.start, '%');
    ck_assert_int_eq(walk_value(&walk, &item, 2), WALK_OK);
    ck_assert(bytes_equal(item.text, BYTES("k")));
    ck_assert_int_eq(walk_value(&walk, &item, 2), WALK_OK);
    ck_assert(bytes_equal(item.text, BYTES("v")));
    ck_assert_ptr_eq(walk.pos, walk.end);
    ck_assert_int_eq(walk_value(&walk, &item, 2), WALK_MORE);

    walk = guarded_walk(input);
    ck_assert_int_eq(walk_value(&walk, &item, 1), WALK_BAD);
    ck_assert_int_eq(walk_value(&walk, &item, 0), WALK_BAD);
    ck_assert_ptr_eq(walk.pos, walk.end - input.len);
}
END_TEST

START_TEST(test_skip_goes_over_as_many_as_asked)
{
    struct bytes input = BYTES("*2\r\n:1\r\n:2\r\n%1\r\n+k\r\n+v\r\n|1\r\n+a\r\n+b\r\n:3\r\n");
    struct walk walk = guarded_walk(input);
    const char *start = walk.pos;
    ck_assert_int_eq(walk_skip(&walk, 0, 1), WALK_OK);
    ck_assert_ptr_eq(walk.pos, start);
    ck_assert_int_eq(walk_skip(&walk, 4, 1), WALK_MORE);
    ck_assert_ptr_eq(walk.pos, start);
    ck_assert_int_eq(walk_skip(&walk, 2, 1), WALK_OK);
    ck_assert_int_eq(*walk.pos, '|');
    ck_assert_int_eq(walk_skip(&walk, 1, 1), WALK_OK);
    ck_assert_ptr_eq(walk.pos, walk.end);
}
END_TEST

/* `depth` headers of `header`, then `leaf`. */
static struct bytes nested(struct bytes header, size_t depth, struct bytes leaf, char *out)
{
    size_t len = 0;
    for (size_t i = 0; i < depth; i++) {
        memcpy(out + len, header.ptr, header.len);
        len += header.len;
    }
    memcpy(out + len, leaf.ptr, leaf.len);
    return bytes_of(out, len + leaf.len);
}

START_TEST(test_depth_is_limited)
{
    char input[INPUT_MAX];
    size_t len;
    struct bytes leaf = BYTES(":1\r\n");
    static const unsigned limits[] = {
        0,   1,   2,    WALK_LEVELS_SMALL - 2, WALK_LEVELS_SMALL - 1, WALK_LEVELS_SMALL, 127,
        128, 129, 1000, WALK_DEPTH_MAX - 1,    WALK_DEPTH_MAX};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        unsigned limit = limits[i];
        struct bytes fits = nested(BYTES("*1\r\n"), limit, leaf, input);
        ck_assert_int_eq(guarded_len(fits, limit, &len), WALK_OK);
        ck_assert_uint_eq(len, fits.len);
        struct bytes deeper = nested(BYTES("*1\r\n"), limit + 1, leaf, input);
        ck_assert_int_eq(guarded_len(deeper, limit, &len), WALK_BAD);
    }
    struct bytes deep = nested(BYTES("*1\r\n"), WALK_DEPTH_MAX + 1, leaf, input);
    ck_assert_int_eq(guarded_len(deep, 1000000, &len), WALK_BAD);
    deep = nested(BYTES("|1\r\n"), 9000, leaf, input);
    ck_assert_int_eq(guarded_len(deep, WALK_DEPTH_MAX, &len), WALK_BAD);
    /* Empty aggregates hold nothing, so they are no level. */
    ck_assert_int_eq(guarded_len(BYTES("*0\r\n"), 0, &len), WALK_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("walk");
    TCase *tcase = tcase_create("walk");
    tcase_add_unchecked_fixture(tcase, map_guard, NULL);
    tcase_add_test(tcase, test_next_reads_every_type);
    tcase_add_test(tcase, test_next_wants_more_at_every_byte);
    tcase_add_test(tcase, test_next_refuses_what_is_not_resp);
    tcase_add_test(tcase, test_huge_length_wants_more);
    tcase_add_test(tcase, test_reply_len_whole_and_at_every_byte);
    tcase_add_test(tcase, test_value_passes_over_attributes);
    tcase_add_test(tcase, test_skip_goes_over_as_many_as_asked);
    tcase_add_test(tcase, test_depth_is_limited);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
