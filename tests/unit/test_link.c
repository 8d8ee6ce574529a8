/* What goes over a link that is up (src/upstream/link.h): replies in order, databases, pushes, and
 * what a hostile upstream says instead. */
#include "link_fake.h"

START_TEST(test_replies_in_order)
{
    struct op *ops = new_ops(3);
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    send_op(0, "GET b", &ops[1]);
    send_op(0, "GET c", &ops[2]);
    ck_assert_uint_eq(figures().inflight, 3);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a GET.b GET.c") == 0);
    ck_assert_uint_eq(ops[0].n_calls, 0);
    fake_say("$1\r\nA\r\n-ERR no\r\n_\r\n");
    ck_assert_op(&ops[0], LINK_REPLY, "$1\r\nA");
    ck_assert_op(&ops[1], LINK_REPLY, "-ERR no");
    ck_assert_op(&ops[2], LINK_REPLY, "_");
    struct link_figures now = figures();
    ck_assert_uint_eq(now.inflight, 0);
    ck_assert_uint_eq(now.commands, 3);
    ck_assert_uint_eq(now.replies, 3);
    ck_assert_uint_eq(now.errors, 1);
    ck_assert_uint_eq(now.failures + now.timeouts, 0);
    link_reset_counters(link_);
    ck_assert_uint_eq(figures().commands + figures().replies + figures().bytes_in, 0);
    ck_assert_uint_eq(figures().epoch, 1);
}
END_TEST

START_TEST(test_one_write_for_all_commands_of_a_turn)
{
    struct op *ops = new_ops(100);
    link_start_and_wait();
    uint64_t writes = figures().writes;
    for (int i = 0; i < 100; i++)
        send_op(0, "GET a", &ops[i]);
    loop_turn(&loop, 0);
    ck_assert_uint_eq(figures().writes, writes + 1);
}
END_TEST

START_TEST(test_reply_byte_by_byte)
{
    static const char reply[] = "*3\r\n$5\r\nhe\r\no\r\n:-12\r\n*1\r\n+x\r\n";
    struct op *op = new_ops(1);
    link_start_and_wait();
    send_op(0, "GET a", op);
    TURN_UNTIL(&loop, fake.said[0] != '\0');
    for (size_t i = 0; i < sizeof(reply) - 1; i++) {
        ck_assert_uint_eq(op->n_calls, 0);
        fake_say_bytes(reply + i, 1);
        loop_turn(&loop, 10);
    }
    TURN_UNTIL(&loop, op->n_calls > 0);
    ck_assert_uint_eq(op->reply_len, sizeof(reply) - 1);
    ck_assert_op(op, LINK_REPLY, "*3\r\n$5\r\nhe\r\no\r\n:-12\r\n*1\r\n+x");
}
END_TEST

START_TEST(test_large_command_and_reply)
{
    enum { COMMAND_LEN = 20000000, REPLY_LEN = 1000000 };
    struct op *op = new_ops(1);
    struct buf raw;
    char header[32];
    char *value = mem_alloc(COMMAND_LEN);
    memset(value, 'v', COMMAND_LEN);
    struct bytes argv[] = {BYTES("ECHO"), bytes_of(value, COMMAND_LEN)};
    link_start_and_wait();
    fake.is_deaf = true;
    buf_init(&raw);
    ck_assert(request_encode(argv, 2, &raw));
    uint64_t end = figures().bytes_out + raw.len;
    link_send(link_, 0, buf_bytes(&raw), on_reply, op);
    TURN_UNTIL(&loop, figures().bytes_out == end); /* more than the socket takes at once */
    snprintf(header, sizeof(header), "$%d\r\n", REPLY_LEN);
    fake_say(header);
    fake_say_bytes(value, REPLY_LEN);
    fake_say("\r\n");
    TURN_UNTIL(&loop, op->n_calls > 0);
    ck_assert_int_eq(op->outcomes[0], LINK_REPLY);
    ck_assert_uint_eq(op->reply_len, REPLY_LEN + strlen(header) + 2);
    buf_deinit(&raw);
    mem_free(value);
}
END_TEST

/* The upstream may answer one command while the next, a large one, is still on its way. */
START_TEST(test_reply_while_output_waits)
{
    struct op *ops = new_ops(2);
    struct buf raw;
    static char value[20000000];
    struct bytes argv[] = {BYTES("ECHO"), bytes_of(value, sizeof(value))};
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a") == 0);
    fake.is_deaf = true;
    loop_rewatch(&loop, &fake.conn_watch, 0); /* and reads nothing */
    buf_init(&raw);
    ck_assert(request_encode(argv, 2, &raw));
    link_send(link_, 0, buf_bytes(&raw), on_reply, &ops[1]);
    turn_times(&loop, 3);
    fake_say("+1\r\n");
    ck_assert_op(&ops[0], LINK_REPLY, "+1");
    fake_say("+2\r\n"); /* but not the one that has not even left */
    TURN_UNTIL(&loop, heard.n_down == 1);
    ck_assert_op(&ops[1], LINK_FAILED, "a reply that no command asked for");
    buf_deinit(&raw);
}
END_TEST

START_TEST(test_sending_inside_a_callback)
{
    struct op *ops = new_ops(2);
    ops[0].then = "GET b";
    ops[0].then_op = &ops[1];
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    TURN_UNTIL(&loop, fake.said[0] != '\0');
    fake_say("+1\r\n");
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a GET.b") == 0);
    fake_say("+2\r\n");
    ck_assert_op(&ops[1], LINK_REPLY, "+2");
    ck_assert_uint_eq(ops[0].n_calls, 1);
}
END_TEST

/* More in flight than the first ring holds, with replies in between. */
START_TEST(test_many_in_flight)
{
    enum { N = 700 };
    struct op *ops = new_ops(N);
    link_start_and_wait();
    for (int i = 0; i < N; i++) {
        send_op(0, "G", &ops[i]);
        if (i == 200) {
            TURN_UNTIL(&loop, strlen(fake.said) == 2 * 201 - 1);
            for (int j = 0; j < 150; j++)
                fake_say(":0\r\n");
            TURN_UNTIL(&loop, ops[149].n_calls == 1);
        }
    }
    TURN_UNTIL(&loop, strlen(fake.said) == 2 * N - 1);
    for (int i = 150; i < N; i++) {
        char reply[32];
        snprintf(reply, sizeof(reply), ":%d\r\n", i);
        fake_say(reply);
    }
    TURN_UNTIL(&loop, ops[N - 1].n_calls == 1);
    for (int i = 150; i < N; i++)
        ck_assert_int_eq(atoi(ops[i].reply + 1), i);
}
END_TEST

/* Databases */

START_TEST(test_database_is_selected_when_it_changes)
{
    struct op *op = new_ops(5);
    link_start_and_wait();
    send_op(0, "A", &op[0]);
    send_op(5, "B", &op[1]);
    send_op(5, "C", &op[2]);
    send_op(0, "D", &op[3]);
    TURN_UNTIL(&loop, strcmp(fake.said, "A SELECT.5 B C SELECT.0 D") == 0);
    fake_say(":1\r\n+OK\r\n:2\r\n:3\r\n+OK\r\n:4\r\n");
    ck_assert_op(&op[3], LINK_REPLY, ":4");
    ck_assert_op(&op[1], LINK_REPLY, ":2");
    link_forget_db(link_);
    send_op(0, "E", &op[4]);
    TURN_UNTIL(&loop, strcmp(fake.said, "A SELECT.5 B C SELECT.0 D SELECT.0 E") == 0);
}
END_TEST

START_TEST(test_database_of_what_waited)
{
    struct op *op = new_ops(3);
    link_start();
    send_op(5, "A", &op[0]); /* before the link has begun to connect */
    TURN_UNTIL(&loop, link_get_state(link_) >= LINK_HANDSHAKE);
    send_op(0, "B", &op[1]);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
    send_op(5, "C", &op[2]);
    TURN_UNTIL(&loop, strcmp(fake.said, "SELECT.5 A SELECT.0 B SELECT.5 C") == 0);
    /* A new connection starts in database 0 again. */
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_up == 2);
    send_op(5, "D", &op[2]);
    TURN_UNTIL(&loop, strcmp(fake.said, "SELECT.5 D") == 0);
}
END_TEST

START_TEST(test_select_that_fails_takes_the_link_down)
{
    struct op *op = new_ops(1);
    link_start_and_wait();
    send_op(20, "GET a", op);
    TURN_UNTIL(&loop, fake.said[0] != '\0');
    fake_say("-ERR DB index is out of range\r\n$5\r\nwrong\r\n");
    ck_assert_op(op, LINK_FAILED, "SELECT failed: ERR DB index is out of range");
    ck_assert_uint_eq(heard.n_down, 1);
}
END_TEST

/* Pushes */

START_TEST(test_invalidations)
{
    link_start_and_wait();
    fake_say(">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\none\r\n");
    TURN_UNTIL(&loop, strcmp(heard.keys, "one ") == 0);
    fake_say(">2\r\n$10\r\ninvalidate\r\n*3\r\n$1\r\na\r\n$0\r\n\r\n$2\r\nbc\r\n");
    TURN_UNTIL(&loop, strcmp(heard.keys, "one a  bc ") == 0);
    fake_say(">2\r\n$10\r\ninvalidate\r\n*0\r\n");
    fake_say(">2\r\n$10\r\ninvalidate\r\n_\r\n");
    TURN_UNTIL(&loop, heard.n_all == 1);
    ck_assert_uint_eq(figures().invalidations, 4);
    ck_assert_uint_eq(figures().invalidations_all, 1);
    ck_assert_uint_eq(figures().replies, 0);
    ck_assert_int_eq(link_get_state(link_), LINK_READY);
}
END_TEST

START_TEST(test_invalidations_keep_their_place_between_replies)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    send_op(0, "GET a", &ops[1]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a GET.a") == 0);
    fake_say("+1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n+2\r\n>2\r\n$10\r\ninvalidate\r\n*"
             "1\r\n$1\r\nb\r\n");
    TURN_UNTIL(&loop, strcmp(heard.order, "=+1!a=+2!b") == 0);
}
END_TEST

START_TEST(test_other_pushes_concern_nobody)
{
    struct op *op = new_ops(1);
    link_start_and_wait();
    send_op(0, "GET a", op);
    TURN_UNTIL(&loop, fake.said[0] != '\0');
    fake_say(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n>1\r\n+hm\r\n");
    turn_times(&loop, 3);
    ck_assert_uint_eq(op->n_calls, 0);
    fake_say("+OK\r\n");
    ck_assert_op(op, LINK_REPLY, "+OK");
}
END_TEST

static const char *const bad_pushes[] = {
    ">0\r\n",
    ">2\r\n$10\r\ninvalidate\r\n$3\r\nkey\r\n",
    ">2\r\n$10\r\ninvalidate\r\n:1\r\n",
    ">2\r\n$10\r\ninvalidate\r\n*1\r\n:1\r\n",
    ">2\r\n$10\r\ninvalidate\r\n*1\r\n*1\r\n$1\r\na\r\n",
    ">2\r\n$10\r\ninvalidate\r\n%1\r\n$1\r\na\r\n$1\r\nb\r\n",
};

START_TEST(test_malformed_pushes)
{
    for (size_t i = 0; i < sizeof(bad_pushes) / sizeof(bad_pushes[0]); i++) {
        TURN_UNTIL(&loop, link_ == NULL || link_get_state(link_) == LINK_READY);
        if (link_ == NULL)
            link_start_and_wait();
        fake_say(bad_pushes[i]);
        TURN_UNTIL(&loop, heard.n_down == i + 1);
        ck_assert_str_eq(figures().last_error, "malformed push");
        pass_ms(BACKOFF_MAX_MS);
    }
}
END_TEST

/* What takes the link down */

static const struct {
    const char *said;
    const char *why;
    bool is_owed; /* a command waits for it */
} fatal[] = {
    {"+OK\r\n", "a reply that no command asked for", false},
    {"+1\r\n+2\r\n", "a reply that no command asked for", true},
    {"hello\r\n", "malformed reply", true},
    {"\r\n", "malformed reply", true},
    {"$abc\r\n", "malformed reply", true},
    {"$-2\r\n", "malformed reply", true},
    {"*-2\r\n", "malformed reply", true},
    {":1x\r\n", "malformed reply", true},
    {"(\r\n", "malformed reply: a number without digits", true},
    {"$3\r\nabcde\r\n", "malformed reply", true},
    {"*9999999999\r\n", "malformed reply", true},
    {"*67108865\r\n", "malformed reply", true},
    {"HTTP/1.1 400 Bad Request\r\n", "malformed reply", true},
};

START_TEST(test_fatal_replies)
{
    struct op *op = new_ops(1);
    link_start_and_wait();
    if (fatal[_i].is_owed) {
        send_write(0, "SET a b", op);
        TURN_UNTIL(&loop, fake.said[0] != '\0');
    }
    fake_say(fatal[_i].said);
    TURN_UNTIL(&loop, heard.n_down == 1);
    ck_assert_msg(strstr(figures().last_error, fatal[_i].why) != NULL, "%s", figures().last_error);
    if (op->n_calls > 0 && op->outcomes[0] == LINK_FAILED) { /* and it may still have run */
        ck_assert_uint_eq(op->n_calls, 2);
        ck_assert_int_eq(op->outcomes[1], LINK_LATE);
    }
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert_uint_eq(fake.n_accepted, 2);
}
END_TEST

/* A reply that comes before its command has left belongs to no command: it must not be taken for
 * the answer to what waited. */
START_TEST(test_reply_behind_the_handshake_is_nobodys)
{
    struct op *op = new_ops(1);
    fake.behind = "$6\r\nstolen\r\n";
    link_start();
    send_op(0, "GET a", op);
    TURN_UNTIL(&loop, heard.n_down > 0);
    ck_assert_op(op, LINK_FAILED, "a reply that no command asked for");
}
END_TEST

START_TEST(test_end_in_the_middle_of_a_reply)
{
    struct op *ops = new_ops(2);
    link_start_and_wait();
    send_op(0, "GET a", &ops[0]);
    send_write(0, "SET b c", &ops[1]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a SET.b.c") == 0);
    fake_say("$100\r\nhalf");
    turn_times(&loop, 3);
    fake_hang_up();
    ck_assert_op(&ops[0], LINK_FAILED, "is down: connection closed by the upstream");
    ck_assert_uint_eq(ops[1].n_calls, 2);
    ck_assert_int_eq(ops[1].outcomes[0], LINK_FAILED);
    ck_assert_int_eq(ops[1].outcomes[1], LINK_LATE);
    ck_assert_uint_eq(heard.n_down, 1);
    ck_assert_uint_eq(figures().failures, 2);
    ck_assert(!figures().tracking || figures().state == LINK_READY);
    TURN_UNTIL(&loop, heard.n_up == 2); /* by itself, and at once */
    ck_assert_uint_eq(figures().epoch, 2);
}
END_TEST

START_TEST(test_distrust)
{
    struct op *op = new_ops(1);
    link_start_and_wait();
    send_op(0, "GET a", op);
    link_distrust(link_, "it lies");
    ck_assert_uint_eq(op->n_calls, 0);
    ck_assert_op(op, LINK_FAILED, "it lies");
    ck_assert_uint_eq(heard.n_down, 1);
}
END_TEST

START_TEST(test_full)
{
    struct op *op = new_ops(3);
    struct link_options options = link_options_for("");
    options.max_inflight = 2;
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
    send_op(0, "A", &op[0]);
    ck_assert(!link_is_full(link_));
    send_op(0, "B", &op[1]);
    ck_assert(link_is_full(link_));
    TURN_UNTIL(&loop, strcmp(fake.said, "A B") == 0);
    fake_say("+1\r\n");
    ck_assert_op(&op[0], LINK_REPLY, "+1");
    ck_assert(!link_is_full(link_));
}
END_TEST

/* The end */

START_TEST(test_destroy_fails_everything_once)
{
    enum { IN_FLIGHT, WRITE, UNSENT, SENDS_AGAIN, SENT_BY_CALLBACK, N };
    struct op *ops = new_ops(N);
    ops[SENDS_AGAIN].then = "GET x";
    ops[SENDS_AGAIN].then_op = &ops[SENT_BY_CALLBACK];
    link_start_and_wait();
    send_op(0, "GET a", &ops[IN_FLIGHT]);
    send_write(0, "SET a b", &ops[WRITE]);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a SET.a.b") == 0);
    send_op(0, "GET b", &ops[UNSENT]);
    send_op(0, "GET c", &ops[SENDS_AGAIN]);
    link_destroy(link_);
    link_ = NULL;
    for (int i = 0; i < N; i++) {
        ck_assert_uint_eq(ops[i].n_calls, i == WRITE ? 2 : 1);
        ck_assert_int_eq(ops[i].outcomes[0], i == SENT_BY_CALLBACK ? LINK_REFUSED : LINK_FAILED);
    }
    ck_assert_int_eq(ops[WRITE].outcomes[1], LINK_LATE);
    turn_times(&loop, 3);
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_replies_in_order);
    tcase_add_test(tcase, test_one_write_for_all_commands_of_a_turn);
    tcase_add_test(tcase, test_reply_byte_by_byte);
    tcase_add_test(tcase, test_large_command_and_reply);
    tcase_add_test(tcase, test_reply_while_output_waits);
    tcase_add_test(tcase, test_sending_inside_a_callback);
    tcase_add_test(tcase, test_many_in_flight);
    tcase_add_test(tcase, test_database_is_selected_when_it_changes);
    tcase_add_test(tcase, test_database_of_what_waited);
    tcase_add_test(tcase, test_select_that_fails_takes_the_link_down);
    tcase_add_test(tcase, test_invalidations);
    tcase_add_test(tcase, test_invalidations_keep_their_place_between_replies);
    tcase_add_test(tcase, test_other_pushes_concern_nobody);
    tcase_add_test(tcase, test_malformed_pushes);
    tcase_add_loop_test(tcase, test_fatal_replies, 0, sizeof(fatal) / sizeof(fatal[0]));
    tcase_add_test(tcase, test_reply_behind_the_handshake_is_nobodys);
    tcase_add_test(tcase, test_end_in_the_middle_of_a_reply);
    tcase_add_test(tcase, test_distrust);
    tcase_add_test(tcase, test_full);
    tcase_add_test(tcase, test_destroy_fails_everything_once);
}

int main(void)
{
    return run_suite("link", add_tests);
}
