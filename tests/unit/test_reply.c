/* The reply writer (src/resp/reply.h): each function's bytes in both protocols, as redis-server
 * 7.0.15 writes them, and that nothing can make what is written malformed. */
#include "resp/reply.h"

#include "base/mem.h"
#include "resp/walk.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

typedef void write_fn(struct reply *reply);

static void write_raw(struct reply *reply)
{
    reply_raw(reply, BYTES("+raw\r\n"));
}

static void write_ok(struct reply *reply)
{
    reply_ok(reply);
}

static void write_status(struct reply *reply)
{
    reply_status(reply, "a\r\nb\n");
}

static void write_empty_status(struct reply *reply)
{
    reply_status(reply, "");
}

static void write_error(struct reply *reply)
{
    reply_error(reply, "ERR %s %d%%", "fo\r\n+OK", 5);
}

static void write_ints(struct reply *reply)
{
    reply_array(reply, 4);
    reply_int(reply, 0);
    reply_int(reply, -1);
    reply_int(reply, INT64_MAX);
    reply_int(reply, INT64_MIN);
}

static void write_bulks(struct reply *reply)
{
    reply_array(reply, 5);
    reply_bulk(reply, BYTES("a\r\n\0b"));
    reply_bulk(reply, bytes_of(NULL, 0));
    reply_bulk_str(reply, "text");
    reply_bulk_i64(reply, INT64_MIN);
    reply_bulk_printf(reply, "%d,%s", 7, "x");
}

static void write_nulls(struct reply *reply)
{
    reply_array(reply, 2);
    reply_null(reply);
    reply_null_array(reply);
}

static void write_bools(struct reply *reply)
{
    reply_array(reply, 2);
    reply_bool(reply, true);
    reply_bool(reply, false);
}

static void write_doubles(struct reply *reply)
{
    reply_array(reply, 6);
    reply_double(reply, 3.0);
    reply_double(reply, 0.1);
    reply_double(reply, 1e300);
    reply_double(reply, -0.0);
    reply_double(reply, INFINITY);
    reply_double(reply, -INFINITY);
}

static void write_verbatim(struct reply *reply)
{
    reply_verbatim(reply, BYTES("a\r\nb"));
}

static void write_map(struct reply *reply)
{
    reply_map(reply, 1);
    reply_ok(reply);
    reply_set(reply, 2);
    reply_int(reply, 1);
    reply_int(reply, 2);
}

static void write_empty_aggregates(struct reply *reply)
{
    reply_array(reply, 3);
    reply_array(reply, 0);
    reply_map(reply, 0);
    reply_set(reply, 0);
}

static void write_push(struct reply *reply)
{
    reply_push(reply, 2);
    reply_bulk_str(reply, "message");
    reply_null(reply);
}

static const struct {
    write_fn *fn;
    struct bytes resp2;
    struct bytes resp3;
} rows[] = {
    {write_raw, BYTES("+raw\r\n"), BYTES("+raw\r\n")},
    {write_ok, BYTES("+OK\r\n"), BYTES("+OK\r\n")},
    {write_status, BYTES("+a  b \r\n"), BYTES("+a  b \r\n")},
    {write_empty_status, BYTES("+\r\n"), BYTES("+\r\n")},
    {write_error, BYTES("-ERR fo  +OK 5%\r\n"), BYTES("-ERR fo  +OK 5%\r\n")},
    {write_ints, BYTES("*4\r\n:0\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n"),
     BYTES("*4\r\n:0\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n")},
    {write_bulks,
     BYTES("*5\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n$4\r\ntext\r\n$20\r\n-9223372036854775808\r\n$3\r\n7,"
           "x\r\n"),
     BYTES("*5\r\n$5\r\na\r\n\0b\r\n$0\r\n\r\n$4\r\ntext\r\n$20\r\n-9223372036854775808\r\n$3\r\n7,"
           "x\r\n")},
    {write_nulls, BYTES("*2\r\n$-1\r\n*-1\r\n"), BYTES("*2\r\n_\r\n_\r\n")},
    {write_bools, BYTES("*2\r\n:1\r\n:0\r\n"), BYTES("*2\r\n#t\r\n#f\r\n")},
    {write_doubles,
     BYTES("*6\r\n$1\r\n3\r\n$19\r\n0.10000000000000001\r\n$23\r\n1.0000000000000001e+300\r\n$"
           "2\r\n-0\r\n$3\r\ninf\r\n$4\r\n-inf"
           "\r\n"),
     BYTES("*6\r\n,3\r\n,0.10000000000000001\r\n,1.0000000000000001e+300\r\n,-0\r\n,inf\r\n,-"
           "inf\r\n")},
    {write_verbatim, BYTES("$4\r\na\r\nb\r\n"), BYTES("=8\r\ntxt:a\r\nb\r\n")},
    {write_map, BYTES("*2\r\n+OK\r\n*2\r\n:1\r\n:2\r\n"), BYTES("%1\r\n+OK\r\n~2\r\n:1\r\n:2\r\n")},
    {write_empty_aggregates, BYTES("*3\r\n*0\r\n*0\r\n*0\r\n"), BYTES("*3\r\n*0\r\n%0\r\n~0\r\n")},
    {write_push, BYTES("*2\r\n$7\r\nmessage\r\n$-1\r\n"), BYTES(">2\r\n$7\r\nmessage\r\n_\r\n")},
};

static void check_written(write_fn *fn, int proto, struct bytes expected)
{
    struct buf out;
    struct reply reply = {.out = &out, .proto = proto};
    size_t len = 0;
    buf_init(&out);
    fn(&reply);
    ck_assert(!reply.failed);
    ck_assert_msg(bytes_equal(buf_bytes(&out), expected), "%.*s", (int)out.len, out.data);
    ck_assert_int_eq(walk_reply_len(out.data, out.len, WALK_DEPTH_MAX, &len), WALK_OK);
    ck_assert_uint_eq(len, out.len);
    buf_deinit(&out);
}

START_TEST(test_both_protocols)
{
    check_written(rows[_i].fn, 2, rows[_i].resp2);
    check_written(rows[_i].fn, 3, rows[_i].resp3);
}
END_TEST

START_TEST(test_long_texts_are_cut)
{
    struct buf out;
    struct reply reply = {.out = &out, .proto = 3};
    size_t len = 0;
    buf_init(&out);
    reply_error(&reply, "ERR %05000d", 1);
    ck_assert_uint_eq(out.len, 1 + 1023 + 2);
    ck_assert_int_eq(walk_reply_len(out.data, out.len, 1, &len), WALK_OK);
    out.len = 0;
    reply_bulk_printf(&reply, "%05000d", 1);
    ck_assert_int_eq(walk_reply_len(out.data, out.len, 1, &len), WALK_OK);
    ck_assert_uint_eq(len, out.len);
    ck_assert(!reply.failed);
    buf_deinit(&out);
}
END_TEST

/* More than the buffer's first size, so that there is one attempt to allocate and no second one. */
static char large[1000];

static void write_large_bulk(struct reply *reply)
{
    reply_bulk(reply, bytes_of(large, sizeof(large)));
}

static void write_large_verbatim(struct reply *reply)
{
    reply_verbatim(reply, bytes_of(large, sizeof(large)));
}

static void write_large_error(struct reply *reply)
{
    reply_error(reply, "ERR %0900d", 1);
}

static void write_large_raw(struct reply *reply)
{
    reply_raw(reply, bytes_of(large, sizeof(large)));
}

START_TEST(test_no_memory)
{
    static write_fn *const fns[] = {write_large_bulk, write_large_error, write_large_raw};
    for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
        struct buf out;
        struct reply reply = {.out = &out, .proto = 3};
        buf_init(&out);
        mem_fail_after(1);
        fns[i](&reply);
        mem_fail_after(0);
        ck_assert(reply.failed);
        /* There is memory again, but what came now would be taken for the reply that is missing. */
        for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++)
            rows[j].fn(&reply);
        write_large_verbatim(&reply);
        ck_assert_uint_eq(out.len, 0);
        ck_assert(reply.failed);
        buf_deinit(&out);
    }
}
END_TEST

START_TEST(test_impossible_length)
{
    struct buf out;
    struct reply reply = {.out = &out, .proto = 2};
    buf_init(&out);
    reply_bulk(&reply, bytes_of("", SIZE_MAX - 3));
    ck_assert(reply.failed);
    ck_assert_uint_eq(out.len, 0);
    buf_deinit(&out);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reply");
    TCase *tcase = tcase_create("reply");
    tcase_add_loop_test(tcase, test_both_protocols, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, test_long_texts_are_cut);
    tcase_add_test(tcase, test_no_memory);
    tcase_add_test(tcase, test_impossible_length);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
