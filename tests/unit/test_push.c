/* What comes to a client unasked (src/core/push.h): its place among the replies that wait. */
#include "pinned_support.h"

#include "core/push.h"

#define MESSAGE ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
#define MESSAGE2 "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n"
#define SUBSCRIBED "3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
#define UNSUBSCRIBED "3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:0\r\n"

static void set_up_with_a_limit(void)
{
    pinned_set_up_with("client-output-buffer-limit normal 1000 0 0\n");
}

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

static struct reply_slot *defer_blocking(void)
{
    struct reply_slot *slot = client_defer(peer.client);
    client_block(slot);
    return slot;
}

static void say_message(void)
{
    push_message(peer.client, BYTES(MESSAGE));
}

/* Nothing waits */

START_TEST(test_at_once)
{
    say_message();
    push_raw(peer.client, BYTES("+line\r\n"));
    push_in_order(peer.client, BYTES("+in order\r\n"));
    peer_expect(&peer, MESSAGE2 "+line\r\n+in order\r\n");
    peer.client->proto = 3;
    say_message();
    push_raw(peer.client, BYTES("+line\r\n"));
    push_in_order(peer.client, BYTES("+in order\r\n"));
    peer_expect(&peer, MESSAGE "+line\r\n+in order\r\n");
}
END_TEST

/* Replies wait */

START_TEST(test_resp3_between_replies)
{
    peer.client->proto = 3;
    struct reply_slot *slot = client_defer(peer.client);
    reply_now("2");
    say_message();
    push_raw(peer.client, BYTES("+line\r\n"));
    peer_expect(&peer, MESSAGE "+line\r\n");
    finish(slot, "1");
    peer_expect(&peer, "+1\r\n+2\r\n");
}
END_TEST

START_TEST(test_resp2_behind_replies)
{
    struct reply_slot *slot = client_defer(peer.client);
    reply_now("2");
    say_message();
    push_raw(peer.client, BYTES("+line\r\n"));
    push_in_order(peer.client, BYTES("+in order\r\n"));
    reply_now("3");
    peer_expect(&peer, "");
    finish(slot, "1");
    peer_expect(&peer, "+1\r\n+2\r\n" MESSAGE2 "+line\r\n+in order\r\n+3\r\n");
    ck_assert_uint_eq(peer.client->n_slots, 0);
    ck_assert_uint_eq(larder->n_slots, 0);
}
END_TEST

/* Subscriptions */

START_TEST(test_behind_the_confirmation_of_a_subscribe)
{
    peer.client->proto = 3;
    peer_say(&peer, "SUBSCRIBE c\r\n");
    pin_expect(0, "subscribe c");
    say_message();
    peer_expect(&peer, "");
    pin_say(0, ">" SUBSCRIBED);
    peer_expect(&peer, ">" SUBSCRIBED MESSAGE);
    struct reply_slot *slot = client_defer(peer.client);
    say_message(); /* it has joined: between replies again */
    peer_expect(&peer, MESSAGE);
    finish(slot, "1");
    peer_expect(&peer, "+1\r\n");
}
END_TEST

/* What L2 said before it confirmed the end belongs before it. */
START_TEST(test_before_the_confirmation_of_an_unsubscribe)
{
    for (int proto = 2; proto <= 3; proto++) {
        peer.client->proto = proto;
        peer_say(&peer, "SUBSCRIBE c\r\n");
        pin_expect(0, "subscribe c");
        pin_say(0, ">" SUBSCRIBED);
        peer_expect(&peer, proto == 3 ? ">" SUBSCRIBED : "*" SUBSCRIBED);
        peer_say(&peer, "UNSUBSCRIBE c\r\n");
        pin_expect(0, "unsubscribe c");
        pin_say(0, MESSAGE ">" UNSUBSCRIBED);
        peer_expect(&peer, proto == 3 ? MESSAGE ">" UNSUBSCRIBED : MESSAGE2 "*" UNSUBSCRIBED);
    }
}
END_TEST

/* Who hears nothing else */

START_TEST(test_not_silenced)
{
    peer_say(&peer, "CLIENT REPLY OFF\r\nPING\r\n");
    peer_expect(&peer, "");
    say_message();
    peer_expect(&peer, MESSAGE2);
    struct reply_slot *slot = client_defer(peer.client);
    say_message(); /* behind a reply that nobody will hear */
    peer_expect(&peer, "");
    finish(slot, "1");
    peer_expect(&peer, MESSAGE2);
}
END_TEST

START_TEST(test_nothing_for_who_is_ending)
{
    for (int proto = 2; proto <= 3; proto++) {
        struct peer ending = peer_open();
        struct client *client = ending.client;
        client->proto = proto;
        struct reply_slot *slot = client_defer(client);
        client_end(client);
        push_message(client, BYTES(MESSAGE));
        push_raw(client, BYTES("+line\r\n"));
        push_in_order(client, BYTES("+in order\r\n"));
        ck_assert_uint_eq(client->n_slots, 1);
        finish(slot, "1");
        peer_expect_end(&ending, "+1\r\n");
        peer_close(&ending);
    }
}
END_TEST

START_TEST(test_nothing_for_who_is_closed)
{
    client_close(other.client, "test");
    push_message(other.client, BYTES(MESSAGE)); /* it is freed at the end of the turn */
    push_in_order(other.client, BYTES("+in order\r\n"));
    ck_assert_uint_eq(larder->n_slots, 0);
    peer_expect_end(&other, "");
}
END_TEST

/* In order */

START_TEST(test_in_order_behind_all_that_wait)
{
    peer.client->proto = 3;
    struct reply_slot *first = client_defer(peer.client);
    struct reply_slot *second = client_defer(peer.client);
    push_in_order(peer.client, BYTES("+in order\r\n"));
    reply_now("3");
    finish(second, "2");
    peer_expect(&peer, "");
    finish(first, "1");
    peer_expect(&peer, "+1\r\n+2\r\n+in order\r\n+3\r\n");
}
END_TEST

START_TEST(test_in_order_before_what_blocks)
{
    peer.client->proto = 3;
    struct reply_slot *blocks = defer_blocking();
    push_in_order(peer.client, BYTES("+at once\r\n"));
    peer_expect(&peer, "+at once\r\n");
    finish(blocks, "0");
    peer_expect(&peer, "+0\r\n");
    struct reply_slot *first = client_defer(peer.client);
    blocks = defer_blocking();
    push_in_order(peer.client, BYTES("+in order\r\n"));
    peer_expect(&peer, "");
    finish(first, "1");
    peer_expect(&peer, "+1\r\n+in order\r\n");
    finish(blocks, "2");
    peer_expect(&peer, "+2\r\n");
}
END_TEST

START_TEST(test_in_order_behind_what_has_blocked)
{
    peer.client->proto = 3;
    struct reply_slot *first = client_defer(peer.client);
    struct reply_slot *blocked = defer_blocking();
    finish(blocked, "2");
    push_in_order(peer.client, BYTES("+in order\r\n"));
    finish(first, "1");
    peer_expect(&peer, "+1\r\n+2\r\n+in order\r\n");
}
END_TEST

/* In RESP2 nothing stands before the reply to what was asked earlier. */
START_TEST(test_in_order_in_resp2)
{
    struct reply_slot *first = client_defer(peer.client);
    struct reply_slot *blocks = defer_blocking();
    push_in_order(peer.client, BYTES("+in order\r\n"));
    finish(first, "1");
    peer_expect(&peer, "+1\r\n");
    finish(blocks, "2");
    peer_expect(&peer, "+2\r\n+in order\r\n");
}
END_TEST

/* Limits */

START_TEST(test_output_limit)
{
    char text[1103] = "+";
    memset(text + 1, 'x', 1100);
    memcpy(text + 1100, "\r\n", 3);
    for (int proto = 2; proto <= 3; proto++) {
        struct peer slow = peer_open();
        slow.client->proto = proto;
        struct reply_slot *slot = client_defer(slow.client);
        uint64_t before = larder->stats.clients_closed_output;
        push_in_order(slow.client, BYTES("+in order\r\n"));
        ck_assert(!slow.client->conn.closed);
        if (proto == 2)
            push_raw(slow.client, bytes_of_str(text)); /* counts while it waits */
        else
            push_in_order(slow.client, bytes_of_str(text));
        ck_assert(slow.client->conn.closed);
        ck_assert_uint_eq(larder->stats.clients_closed_output, before + 1);
        peer_expect_end(&slow, "");
        finish(slot, "1");
        peer_close(&slow);
    }
    push_raw(other.client, bytes_of_str(text));
    ck_assert(other.client->conn.closed);
    peer_expect_end(&other, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("push");
    TCase *tcase = pinned_case(suite, "push", pinned_set_up);
    tcase_add_test(tcase, test_at_once);
    tcase_add_test(tcase, test_resp3_between_replies);
    tcase_add_test(tcase, test_resp2_behind_replies);
    tcase_add_test(tcase, test_behind_the_confirmation_of_a_subscribe);
    tcase_add_test(tcase, test_before_the_confirmation_of_an_unsubscribe);
    tcase_add_test(tcase, test_not_silenced);
    tcase_add_test(tcase, test_nothing_for_who_is_ending);
    tcase_add_test(tcase, test_nothing_for_who_is_closed);
    tcase_add_test(tcase, test_in_order_behind_all_that_wait);
    tcase_add_test(tcase, test_in_order_before_what_blocks);
    tcase_add_test(tcase, test_in_order_behind_what_has_blocked);
    tcase_add_test(tcase, test_in_order_in_resp2);
    TCase *limit = pinned_case(suite, "limit", set_up_with_a_limit);
    tcase_add_test(limit, test_output_limit);
    return dispatch_run(suite);
}
