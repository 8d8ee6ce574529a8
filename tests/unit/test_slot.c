/* The ordered queue of a client's replies (src/core/slot.c). */
#include "larder_support.h"

#include "base/mem.h"

static struct peer peer;

static void set_up(void)
{
    larder_start(false, "");
    peer = peer_open();
}

static void tear_down(void)
{
    peer_close(&peer);
    larder_end();
}

/* Answers at once. */
static void reply_now(const char *text)
{
    struct reply reply = client_begin_reply(peer.client);
    reply_status(&reply, text);
    client_end_reply(peer.client, &reply);
}

static void finish(struct reply_slot *slot, const char *text)
{
    struct reply reply = slot_begin(slot);
    reply_status(&reply, text);
    slot_finish(slot, &reply);
}

static void finish_resp3(struct reply_slot *slot, const char *reply)
{
    slot_finish_resp3(slot, bytes_of_str(reply));
}

START_TEST(test_order)
{
    struct reply_slot *first = client_defer(peer.client);
    reply_now("2");
    reply_now("3");
    struct reply_slot *second = client_defer(peer.client);
    reply_now("5");
    ck_assert_uint_eq(peer.client->n_slots, 4); /* 2 and 3 share one */
    finish(second, "4");
    peer_expect(&peer, "");
    ck_assert_uint_eq(peer.client->slot_bytes, 16);
    finish(first, "1");
    ck_assert_uint_eq(peer.client->slot_bytes, 0);
    ck_assert_uint_eq(peer.client->n_slots, 0);
    reply_now("6");
    peer_expect(&peer, "+1\r\n+2\r\n+3\r\n+4\r\n+5\r\n+6\r\n");
}
END_TEST

/* A schedule */

struct schedule {
    uint64_t random;
    struct reply_slot *open[64];
    int number[64]; /* of the reply that the slot is for */
    size_t n_open;
    int next; /* number of the next command */
    char expected[16384];
};

static unsigned pick(struct schedule *s, unsigned below)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(s->random >> 33) % below;
}

static void finish_any(struct schedule *s)
{
    char text[32];
    unsigned i = pick(s, (unsigned)s->n_open);
    snprintf(text, sizeof(text), "%d", s->number[i]);
    finish(s->open[i], text);
    s->n_open--;
    s->open[i] = s->open[s->n_open];
    s->number[i] = s->number[s->n_open];
}

/* A command comes, or an open slot is finished, or the loop turns. */
static void step(struct schedule *s)
{
    char text[32];
    unsigned what = pick(s, 8);
    snprintf(text, sizeof(text), "%d", s->next);
    if (what < 4) {
        size_t len = strlen(s->expected);
        snprintf(s->expected + len, sizeof(s->expected) - len, "+%d\r\n", s->next);
        if (what < 2 || s->n_open == 64) {
            reply_now(text);
        } else {
            s->number[s->n_open] = s->next;
            s->open[s->n_open++] = client_defer(peer.client);
        }
        s->next++;
    } else if (what < 7 && s->n_open > 0) {
        finish_any(s);
    } else {
        turns(1);
    }
}

START_TEST(test_any_schedule_keeps_the_order)
{
    struct schedule s = {.random = 1234567u + (unsigned)_i};
    while (s.next < 500)
        step(&s);
    while (s.n_open > 0)
        finish_any(&s);
    peer_expect(&peer, s.expected);
    ck_assert_uint_eq(peer.client->slot_bytes, 0);
    ck_assert_uint_eq(peer.client->n_slots, 0);
}
END_TEST

/* Orphans */

START_TEST(test_orphans)
{
    struct reply_slot *first = client_defer(peer.client);
    reply_now("2");
    struct reply_slot *third = client_defer(peer.client);
    finish(third, "3");
    struct reply_slot *fourth = client_defer(peer.client);
    client_close(peer.client, "test");
    ck_assert_uint_eq(larder->n_clients, 0);
    finish(first, "1"); /* in the same turn */
    turns(2);
    finish_resp3(fourth, "*1\r\n:1\r\n"); /* and when the client is freed */
    peer_expect_end(&peer, "");
}
END_TEST

/* The reply of an orphan needs memory only while it is written. */
START_TEST(test_orphans_keep_no_memory)
{
    struct reply_slot *slot = client_defer(peer.client);
    client_close(peer.client, "test");
    struct reply reply = slot_begin(slot);
    static char big[1 << 20];
    reply_bulk(&reply, bytes_of(big, sizeof(big)));
    ck_assert_uint_gt(larder->discard.cap, sizeof(big));
    slot_finish(slot, &reply);
    ck_assert_uint_le(larder->discard.cap, CONN_OUT_KEEP);
}
END_TEST

/* CLIENT REPLY */

START_TEST(test_skip)
{
    struct reply_slot *first = client_defer(peer.client);
    peer.client->reply_skip = true;
    struct reply_slot *second = client_defer(peer.client);
    reply_now("3");
    peer.client->reply_skip = false;
    finish(second, "2");
    reply_now("4");
    finish(first, "1");
    peer_expect(&peer, "+1\r\n+4\r\n");
}
END_TEST

START_TEST(test_off)
{
    peer_ask(&peer, "CLIENT REPLY SKIP", "");
    peer_ask(&peer, "PING skipped", "");
    peer_ask(&peer, "PING", "+PONG\r\n");
    peer_ask(&peer, "CLIENT REPLY OFF\r\nPING\r\nNONSENSE\r\nCLIENT REPLY SKIP\r\nPING", "");
    peer_ask(&peer, "CLIENT REPLY ON", "+OK\r\n");
    peer_ask(&peer, "CLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nPING\r\nPING", "+PONG\r\n");
    ck_assert_uint_eq(larder->stats.error_replies, 1);
}
END_TEST

/* What stands in the output already is not the reply of the command that switches replies on. */
START_TEST(test_on_behind_an_error)
{
    peer_ask(&peer, "NONSENSE\r\nCLIENT REPLY OFF\r\nCLIENT REPLY ON",
             "-ERR unknown command 'NONSENSE', with args beginning with: \r\n+OK\r\n");
    ck_assert_uint_eq(larder->stats.error_replies, 1);
}
END_TEST

/* A finished slot without a reply is taken for the next command that waits: nothing of the old one
 * may stick to it. */
START_TEST(test_empty_slot_is_new_again)
{
    struct reply_slot *first = client_defer(peer.client);
    peer.client->reply_off = true;
    struct reply_slot *second = client_defer(peer.client);
    second->rule = TRANSLATE_FLAT;
    client_note_script(second);
    client_block(second);
    finish(second, "2");
    ck_assert_uint_eq(peer.client->n_scripts, 0);
    ck_assert_uint_eq(peer.client->n_blocking, 0);
    peer.client->reply_off = false;
    struct reply_slot *third = client_defer(peer.client);
    finish_resp3(third, "*1\r\n*1\r\n:3\r\n");
    ck_assert_uint_eq(peer.client->n_scripts, 0);
    ck_assert_uint_eq(peer.client->n_blocking, 0);
    finish(first, "1");
    peer_expect(&peer, "+1\r\n*1\r\n*1\r\n:3\r\n");
}
END_TEST

/* Protocols */

START_TEST(test_translates_by_the_protocol_of_the_command)
{
    struct reply_slot *slots[4];
    for (int i = 0; i < 4; i++) {
        peer.client->proto = i < 2 ? 2 : 3;
        slots[i] = client_defer(peer.client);
    }
    slots[1]->rule = TRANSLATE_FLAT;
    slots[3]->rule = TRANSLATE_FLAT;
    peer.client->proto = 2;
    for (int i = 0; i < 4; i++)
        finish_resp3(slots[i], "%1\r\n+a\r\n_\r\n");
    peer_expect(&peer, "*2\r\n+a\r\n$-1\r\n*2\r\n+a\r\n$-1\r\n%1\r\n+a\r\n_\r\n%1\r\n+a\r\n_\r\n");
}
END_TEST

START_TEST(test_untranslatable)
{
    finish_resp3(client_defer(peer.client), "%1\r\n+a\r\n");
    peer_expect(&peer, "-ERR larder can't translate this reply to RESP2\r\n");
}
END_TEST

START_TEST(test_errors_of_l2_are_counted)
{
    finish_resp3(client_defer(peer.client), "-WRONGTYPE of a kind\r\n");
    peer_expect(&peer, "-WRONGTYPE of a kind\r\n");
    ck_assert_uint_eq(larder->stats.error_replies, 1);
    ck_assert_str_eq(larder->errorstats.items[0].code, "WRONGTYPE");
}
END_TEST

/* What comes unasked */

static void push(const char *text)
{
    struct reply reply = client_begin_push(peer.client);
    reply_push(&reply, 1);
    reply_bulk_str(&reply, text);
    client_end_push(peer.client, &reply);
}

START_TEST(test_push)
{
    peer.client->proto = 3;
    struct reply_slot *slot = client_defer(peer.client);
    push("a");
    peer_expect(&peer, ">1\r\n$1\r\na\r\n");
    finish(slot, "1");
    push("b");
    peer_expect(&peer, "+1\r\n>1\r\n$1\r\nb\r\n");
    peer.client->proto = 2;
    slot = client_defer(peer.client);
    push("c");
    peer_expect(&peer, "");
    finish(slot, "2");
    peer_expect(&peer, "+2\r\n*1\r\n$1\r\nc\r\n");
    ck_assert_uint_eq(peer.client->slot_bytes, 0);
}
END_TEST

/* Limits */

static void limit_output(int64_t bytes)
{
    larder->config.client_output_buffer_limit[CONFIG_CLASS_NORMAL].hard_bytes = bytes;
}

static void finish_big(struct reply_slot *slot, size_t len)
{
    static char big[1 << 20];
    struct reply reply = slot_begin(slot);
    reply_bulk(&reply, bytes_of(big, len));
    slot_finish(slot, &reply);
}

/* Replies that wait for others count. */
START_TEST(test_output_limit)
{
    limit_output(300000);
    struct reply_slot *first = client_defer(peer.client);
    finish_big(client_defer(peer.client), 100000);
    finish_big(client_defer(peer.client), 100000);
    ck_assert(!peer.client->conn.closed);
    finish_big(client_defer(peer.client), 100000);
    ck_assert(peer.client->conn.closed);
    ck_assert_uint_eq(larder->stats.clients_closed_output, 1);
    finish(first, "1");
    peer_expect_end(&peer, "");
}
END_TEST

START_TEST(test_output_limit_of_immediate_replies)
{
    limit_output(300000);
    static char big[200000];
    struct reply_slot *first = client_defer(peer.client);
    for (int i = 0; i < 2; i++) {
        ck_assert(!peer.client->conn.closed);
        struct reply reply = client_begin_reply(peer.client);
        reply_bulk(&reply, bytes_of(big, sizeof(big)));
        client_end_reply(peer.client, &reply);
    }
    ck_assert(peer.client->conn.closed);
    finish(first, "1");
    peer_expect_end(&peer, "");
}
END_TEST

/* One allocation fails: of a reply that waits (1), of its way into the output (3); smaller ones are
 * tried again. */
START_TEST(test_no_memory)
{
    struct reply_slot *first = client_defer(peer.client);
    struct reply_slot *second = client_defer(peer.client);
    mem_fail_after((unsigned)_i);
    finish_big(second, 100000);
    finish(first, "1");
    mem_fail_after(0);
    bool closes = _i == 1 || _i == 3;
    ck_assert_int_eq(peer.client->conn.closed, closes);
    if (closes)
        peer_expect_end(&peer, "");
    else
        ck_assert_uint_eq(peer.client->n_slots, 0);
}
END_TEST

/* What is written to a connection that is gone already is freed with it. */
START_TEST(test_reply_behind_the_end)
{
    client_close(peer.client, "test");
    reply_now("1");
    push("2");
    peer_expect_end(&peer, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("slot");
    TCase *tcase = tcase_create("slot");
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, test_order);
    tcase_add_loop_test(tcase, test_any_schedule_keeps_the_order, 0, 50);
    tcase_add_test(tcase, test_orphans);
    tcase_add_test(tcase, test_orphans_keep_no_memory);
    tcase_add_test(tcase, test_skip);
    tcase_add_test(tcase, test_off);
    tcase_add_test(tcase, test_on_behind_an_error);
    tcase_add_test(tcase, test_empty_slot_is_new_again);
    tcase_add_test(tcase, test_translates_by_the_protocol_of_the_command);
    tcase_add_test(tcase, test_untranslatable);
    tcase_add_test(tcase, test_errors_of_l2_are_counted);
    tcase_add_test(tcase, test_push);
    tcase_add_test(tcase, test_output_limit);
    tcase_add_test(tcase, test_output_limit_of_immediate_replies);
    tcase_add_loop_test(tcase, test_no_memory, 1, 6);
    tcase_add_test(tcase, test_reply_behind_the_end);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
