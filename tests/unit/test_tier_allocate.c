/* write-allocate (src/tier/tier_write.c): the value is fetched back behind the write, and the write's
 * reply waits for that; each writer is answered once (tier_tear_down looks), whatever happens in between. */
#include "soft_support.h"

#include "base/mem.h"

#define SET_A "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n"

static struct got *allocate_in(unsigned db)
{
    struct got *item = new_got();
    tier_write_allocate(tier, db, BYTES(SET_A), BYTES("a"), hash_of("a"), on_wrote, item);
    ck_assert_uint_eq(item->n, 0); /* never inside the call */
    return item;
}

static struct got *allocate(void)
{
    return allocate_in(0);
}

START_TEST(test_kept_when_the_reply_leaves)
{
    fill("a", "1");
    struct got *item = allocate();
    ck_assert_str_eq(l1("a"), "(none)"); /* as for any write */
    upstream_expect("SET a 2; GET a; PTTL a");
    upstream_say("+OK\r\n");
    turns(5);
    ck_assert_uint_eq(item->n, 0);
    upstream_say("$1\r\n2\r\n");
    turns(5);
    ck_assert_uint_eq(item->n, 0);
    upstream_say(":-1\r\n");
    assert_wrote(item, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "2");
    ck_assert_uint_eq(counters().fills_allocated, 1);
    ck_assert_uint_eq(counters().writes, 1);
}
END_TEST

START_TEST(test_in_its_database)
{
    struct got *item = allocate_in(3);
    upstream_expect("SELECT 3; SET a 2; GET a; PTTL a");
    upstream_say("+OK\r\n+OK\r\n$1\r\n2\r\n:5000\r\n");
    assert_wrote(item, "+OK\r\n");
    ck_assert_str_eq(l1_in(3, "a"), "2");
    ck_assert_str_eq(l1("a"), "(none)");
    clock_advance(&loop.clock, 5000);
    ck_assert_str_eq(l1_in(3, "a"), "(none)");
}
END_TEST

/* Who reads meanwhile waits for the same fetch; one that was sent before is not joined. */
START_TEST(test_readers)
{
    struct got *before = fetch("a");
    struct got *item = allocate();
    struct got *behind = fetch("a");
    upstream_expect("GET a; PTTL a; SET a 2; GET a; PTTL a");
    upstream_say("$1\r\n1\r\n:-1\r\n+OK\r\n$1\r\n2\r\n:-1\r\n");
    assert_got(before, TIER_STRING, "1");
    assert_got(behind, TIER_STRING, "2");
    assert_wrote(item, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "2");
}
END_TEST

/* Two writes in a row: the fetch of the first is doomed by the second. */
START_TEST(test_overtaken)
{
    struct got *first = allocate();
    struct got *second = allocate();
    upstream_expect("SET a 2; GET a; PTTL a; SET a 2; GET a; PTTL a");
    upstream_say("+OK\r\n$1\r\n1\r\n:-1\r\n");
    assert_wrote(first, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "(none)");
    upstream_say("+OK\r\n$1\r\n2\r\n:-1\r\n");
    assert_wrote(second, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "2");
}
END_TEST

/* A plain write of the key behind it, too. */
START_TEST(test_overtaken_by_a_plain_write)
{
    struct got *item = allocate();
    struct got *plain = write_key("a");
    upstream_expect("SET a 2; GET a; PTTL a; SET a 2");
    upstream_say("+OK\r\n$1\r\n1\r\n:-1\r\n+OK\r\n");
    assert_wrote(item, "+OK\r\n");
    assert_wrote(plain, "+OK\r\n");
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* Others write, too */

/* What L2 says, and what L1 has then. The value of this writer is 2, that of another 3. */
static const struct {
    const char *replies;
    const char *l1;
} foreign[] = {
    {"+OK\r\n$1\r\n3\r\n:-1\r\n", "3"},                   /* between SET and GET */
    {"+OK\r\n" PUSH("1", "a") "$1\r\n3\r\n:-1\r\n", "3"}, /* of the own write, or that one */
    {"+OK\r\n$1\r\n2\r\n" PUSH("1", "a") ":-1\r\n", "(none)"},
    {"+OK\r\n$1\r\n2\r\n:-1\r\n" PUSH("1", "a"), "(none)"},
    {"+OK\r\n_\r\n:-2\r\n", "(absent)"},
    {"+OK\r\n-WRONGTYPE no\r\n:-1\r\n", "(none)"},
    {"+OK\r\n$1\r\n2\r\n:-2\r\n", "(none)"}, /* expired between the two */
    {PUSH_ALL "+OK\r\n$1\r\n2\r\n:-1\r\n", "2"},
};

START_TEST(test_foreign_writes)
{
    struct got *item = allocate();
    turns(3);
    upstream_say(foreign[_i].replies);
    assert_wrote(item, "+OK\r\n");
    turns(3);
    ck_assert_str_eq(l1("a"), foreign[_i].l1);
}
END_TEST

/* The reply is L2's own, whatever the fetch brings. */
START_TEST(test_error_of_the_write)
{
    struct got *item = allocate();
    turns(3);
    upstream_say("-OOM no\r\n$1\r\n1\r\n:-1\r\n");
    assert_wrote(item, "-OOM no\r\n");
    ck_assert_str_eq(l1("a"), "1"); /* what L2 has */
}
END_TEST

START_TEST(test_long_reply)
{
    struct got *item = allocate();
    turns(3);
    upstream_say("$26\r\nabcdefghijklmnopqrstuvwxyz\r\n$1\r\n2\r\n:-1\r\n"); /* SET ... GET */
    assert_wrote(item, "$26\r\nabcdefghijklmnopqrstuvwxyz\r\n");
}
END_TEST

/* The link */

/* Lost before so many of the three replies were there. Without retries. */
static const struct {
    const char *replies;
    const char *answer;
} losses[] = {
    {"", "-UPSTREAM "},
    {"+OK\r\n", "+OK\r\n"},
    {"+OK\r\n$1\r\n2\r\n", "+OK\r\n"},
};

START_TEST(test_lost)
{
    tier_options_now.retry_percent = 0;
    tier_configure(tier, &tier_options_now);
    struct got *item = allocate();
    turns(3);
    upstream_say(losses[_i].replies);
    turns(3);
    lose_link();
    TURN_UNTIL(&loop, item->n > 0);
    turns(3);
    ck_assert_mem_eq(item->text, losses[_i].answer, strlen(losses[_i].answer));
    ck_assert_str_eq(l1("a"), "(none)");
}
END_TEST

/* With retries the value is fetched on the next link, and the reply waits for that, or for its
 * deadline. */
START_TEST(test_lost_and_fetched_again)
{
    struct got *item = allocate();
    turns(3);
    upstream_say(losses[_i].replies);
    turns(3);
    upstream.said.len = 0;
    renew_link();
    if (_i < 2) {
        upstream_expect("GET a; PTTL a");
        ck_assert_uint_eq(item->n, 0);
        upstream_say("$1\r\n2\r\n:-1\r\n");
    }
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_mem_eq(item->text, losses[_i].answer, strlen(losses[_i].answer));
    ck_assert_str_eq(l1("a"), _i < 2 ? "2" : "(none)");
}
END_TEST

START_TEST(test_refused)
{
    lose_link();
    struct got *item = allocate();
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_mem_eq(item->text, "-UPSTREAM ", 10);
    ck_assert_uint_eq(counters().fills_allocated, 0);
}
END_TEST

/* A write that has timed out drops its key once more when its reply comes after all. */
START_TEST(test_late)
{
    upstream_say(PUSH("1", "x"));
    struct got *item = allocate();
    pass_ms(3000);
    upstream_say(PUSH("1", "x")); /* not silent */
    pass_ms(TIMEOUT_MS - 3000 + 1);
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert_mem_eq(item->text, "-UPSTREAM ", 10);
    put_in(0, "a", "old");
    upstream_say("+OK\r\n");
    TURN_UNTIL(&loop, strcmp(l1("a"), "(none)") == 0);
    upstream_say("$1\r\n2\r\n:-1\r\n");
    turns(5);
    ck_assert_uint_eq(item->n, 1);
    ck_assert_str_eq(l1("a"), "(none)"); /* the fetch had been given up */
}
END_TEST

/* The write in time, the fetch not: the writer hears of the write. */
START_TEST(test_fetch_times_out)
{
    struct got *item = allocate();
    turns(3);
    upstream_say("+OK\r\n");
    turns(3);
    pass_ms(TIMEOUT_MS + 1);
    assert_wrote(item, "+OK\r\n");
}
END_TEST

/* Shelves */

START_TEST(test_soft)
{
    set_policy("a", "ttl=10s stale-if-error=1h");
    struct got *item = allocate();
    turns(3);
    upstream_say("+OK\r\n$1\r\n2\r\n:-1\r\n");
    assert_wrote(item, "+OK\r\n");
    ck_assert_uint_eq(n_in(reply_dbs_strings(N_DBS, 0, true)), 1);
    ck_assert_str_eq(read_key("a"), "2");
}
END_TEST

START_TEST(test_no_memory)
{
    mem_fail_after((unsigned)_i);
    struct got *item = allocate();
    mem_fail_after(0);
    turns(3);
    mem_fail_after((unsigned)_i);
    upstream_say("+OK\r\n$1\r\n2\r\n:-1\r\n");
    turns(5);
    mem_fail_after(0);
    TURN_UNTIL(&loop, item->n > 0);
    ck_assert(strcmp(l1("a"), "2") == 0 || strcmp(l1("a"), "(none)") == 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_kept_when_the_reply_leaves);
    tcase_add_test(tcase, test_in_its_database);
    tcase_add_test(tcase, test_readers);
    tcase_add_test(tcase, test_overtaken);
    tcase_add_test(tcase, test_overtaken_by_a_plain_write);
    tcase_add_loop_test(tcase, test_foreign_writes, 0, N(foreign));
    tcase_add_test(tcase, test_error_of_the_write);
    tcase_add_test(tcase, test_long_reply);
    tcase_add_loop_test(tcase, test_lost, 0, N(losses));
    tcase_add_loop_test(tcase, test_lost_and_fetched_again, 0, N(losses));
    tcase_add_test(tcase, test_refused);
    tcase_add_test(tcase, test_late);
    tcase_add_test(tcase, test_fetch_times_out);
    tcase_add_test(tcase, test_soft);
    tcase_add_loop_test(tcase, test_no_memory, 1, 12);
}

int main(void)
{
    return soft_run("tier_allocate", add_tests);
}
