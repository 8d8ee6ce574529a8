/* How a link connects, logs in, goes down and tries again (src/upstream/link.h). */
#include "link_fake.h"

#include <sys/un.h>

#define SECRET "s3cr3t-word"

START_TEST(test_comes_up)
{
    link_start();
    ck_assert_int_eq(link_get_state(link_), LINK_CONNECTING);
    ck_assert_uint_eq(link_get_command_table(link_).len, 0);
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert_int_eq(link_get_state(link_), LINK_READY);
    ck_assert_str_eq(fake.greeting, "HELLO.3.SETNAME.larder CLIENT.SETINFO.LIB-NAME.larder "
                                    "CLIENT.TRACKING.ON CONFIG.GET.databases CONFIG.GET.maxmemory-policy COMMAND");
    ck_assert_str_eq(link_get_version(link_), "7.0.15");
    ck_assert_uint_eq(link_get_databases(link_), 16);
    ck_assert(bytes_equal(link_get_command_table(link_), BYTES(COMMAND_TABLE)));
    ck_assert(figures().tracking);
    ck_assert_uint_eq(figures().epoch, 1);
    turn_times(&loop, 5);
    ck_assert_uint_eq(heard.n_up, 1);
    ck_assert_uint_eq(fake.n_accepted, 1);
    char name[64];
    snprintf(name, sizeof(name), "127.0.0.1:%u", fake.port);
    ck_assert_str_eq(link_get_name(link_), name);
}
END_TEST

START_TEST(test_what_waited_goes_out_in_order)
{
    struct op *ops = new_ops(3);
    link_start();
    send_op(0, "A", &ops[0]);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_HANDSHAKE);
    send_op(0, "B", &ops[1]);
    ck_assert_str_eq(fake.said, "");
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
    send_op(0, "C", &ops[2]);
    TURN_UNTIL(&loop, strcmp(fake.said, "A B C") == 0);
    fake_say("+1\r\n+2\r\n+3\r\n");
    ck_assert_op(&ops[0], LINK_REPLY, "+1");
    ck_assert_op(&ops[2], LINK_REPLY, "+3");
}
END_TEST

/* Login */

START_TEST(test_credentials_of_the_address)
{
    struct link_options options = link_options_for("me:" SECRET "@");
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    ck_assert_ptr_null(options.address.password); /* taken */
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert_ptr_nonnull(strstr(fake.greeting, "HELLO.3.AUTH.me." SECRET ".SETNAME.larder "));
    ck_assert_ptr_null(strstr(link_get_name(link_), SECRET));
}
END_TEST

START_TEST(test_credentials_of_the_options_win)
{
    struct link_options options = link_options_for("me:other@");
    options.username = mem_strdup("you");
    options.password = mem_strdup(SECRET);
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert_ptr_nonnull(strstr(fake.greeting, "HELLO.3.AUTH.you." SECRET ".SETNAME.larder "));
}
END_TEST

START_TEST(test_password_alone_is_the_default_users)
{
    struct link_options options = link_options_for(":" SECRET "@");
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert_ptr_nonnull(strstr(fake.greeting, "HELLO.3.AUTH.default." SECRET ".SETNAME.larder "));
}
END_TEST

/* Errors to HELLO with a password, and what may be shown of them. */
static const struct {
    const char *error;
    const char *shown;
} refusals[] = {
    {"-WRONGPASS invalid username-password pair or user is disabled.\r\n",
     "login: WRONGPASS invalid username-password"},
    {"-NOAUTH HELLO must be called with the client already authenticated\r\n",
     "login: NOAUTH HELLO must be"},
    {"-NOPERM this user has no permissions to run the 'hello' command\r\n",
     "login: NOPERM this user"},
    {"-ERR AUTH 'default' '" SECRET "' is not what I like\r\n", "login: ERR"},
    {"-WRONGPASS 's3cr3t-wo\r\n", "login: WRONGPASS"}, /* cut short, as Redis does with arguments */
};

START_TEST(test_refused_login_is_tried_again_slowly)
{
    struct op *ops = new_ops(2);
    struct link_options options = link_options_for(":" SECRET "@");
    fake.hello = refusals[_i].error;
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    send_op(0, "GET a", &ops[0]);
    ck_assert_op(&ops[0], LINK_REFUSED, "is down: login: ");
    ck_assert_int_eq(link_get_state(link_), LINK_DOWN);
    ck_assert_ptr_nonnull(strstr(figures().last_error, refusals[_i].shown));
    ck_assert_ptr_null(strstr(figures().last_error, "s3cr3t"));
    ck_assert_ptr_null(strstr(ops[0].reply, "s3cr3t"));
    pass_ms(4900); /* far more than the longest back-off */
    ck_assert_uint_eq(fake.n_accepted, 1);
    send_op(0, "GET a", &ops[1]);
    ck_assert_op(&ops[1], LINK_REFUSED, refusals[_i].shown);
    fake.hello = "%0\r\n";
    pass_ms(200);
    TURN_UNTIL(&loop, heard.n_up == 1);
}
END_TEST

START_TEST(test_upstream_that_loads_is_tried_again_soon)
{
    fake.hello = "-LOADING Redis is loading the dataset in memory\r\n";
    link_start();
    TURN_UNTIL(&loop, figures().connects_failed == 2);
    fake.hello = "%0\r\n";
    pass_ms(BACKOFF_MIN_MS);
    TURN_UNTIL(&loop, heard.n_up == 1);
}
END_TEST

/* RESP2 */

static const char *const no_resp3[] = {
    "-NOPROTO unsupported protocol version\r\n",
    "-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `me`, `" SECRET "`, \r\n",
};

START_TEST(test_upstream_without_resp3)
{
    struct op *op = new_ops(1);
    struct link_options options = link_options_for("me:" SECRET "@");
    fake.hello = no_resp3[_i];
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    send_op(0, "GET a", op);
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert_uint_eq(fake.n_accepted,
                      1); /* on the same connection, and nothing that waits fails */
    const char *again = strstr(fake.greeting, "COMMAND");
    ck_assert_str_eq(again, "COMMAND AUTH.me." SECRET
                            " CLIENT.SETNAME.larder CLIENT.SETINFO.LIB-NAME.larder "
                            "CONFIG.GET.databases CONFIG.GET.maxmemory-policy COMMAND");
    ck_assert(!figures().tracking);
    ck_assert_str_eq(link_get_version(link_), "");
    ck_assert_uint_eq(link_get_databases(link_), 16);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a") == 0);
    fake_say("$-1\r\n");
    ck_assert_op(op, LINK_REPLY, "_");
    ck_assert_str_eq(op->reply, "_");
    ck_assert_ptr_null(strstr(figures().last_error, "s3cr3t"));
    /* After a loss, RESP3 is asked for again. */
    fake.hello = "%0\r\n";
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_up == 2);
    ck_assert(figures().tracking);
}
END_TEST

START_TEST(test_tracking_that_is_refused)
{
    fake.tracking = "-ERR Client tracking is not what this proxy does\r\n";
    link_start_and_wait();
    ck_assert(!figures().tracking);
}
END_TEST

START_TEST(test_tracking_that_is_not_wanted)
{
    struct link_options options = link_options_for("");
    options.tracking = false;
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert(!figures().tracking);
    ck_assert_ptr_null(strstr(fake.greeting, "TRACKING"));
}
END_TEST

START_TEST(test_strange_answers_to_the_handshake)
{
    static const char *const hellos[] = {
        "+OK\r\n",
        "*0\r\n",
        "$-1\r\n",
        "%1\r\n*1\r\n+version\r\n+1\r\n",
        "%1\r\n$7\r\nversion\r\n*1\r\n$1\r\n7\r\n",
        ("*14\r\n$7\r\nversion\r\n$40\r\n1234567890123456789012345678901234567890\r\n"
         "+1\r\n+2\r\n+3\r\n+4\r\n+5\r\n+6\r\n+7\r\n+8\r\n+9\r\n+a\r\n+b\r\n+c\r\n")};
    fake.command = "-ERR unknown command 'COMMAND'\r\n";
    fake.tracking = ":1\r\n";
    for (size_t i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++) {
        fake.hello = hellos[i];
        link_start();
        TURN_UNTIL(&loop, heard.n_up == i + 1);
        ck_assert_uint_lt(strlen(link_get_version(link_)), 32);
        ck_assert_uint_eq(link_get_command_table(link_).len, 0);
        link_destroy(link_);
        link_ = NULL;
        TURN_UNTIL(&loop, fake.fd < 0);
    }
}
END_TEST

/* Attempts */

START_TEST(test_refused_connection_is_tried_with_growing_waits)
{
    struct op *ops = new_ops(2);
    fake_stop_listening();
    link_start();
    send_op(0, "GET a", &ops[0]);
    ck_assert_op(&ops[0], LINK_REFUSED, "is down: Connection refused");
    TURN_UNTIL(&loop, figures().connects_failed >= 2);
    send_op(0, "GET a", &ops[1]);
    ck_assert_uint_eq(ops[1].n_calls, 0);
    ck_assert(loop.again); /* at once, not when something else happens */
    ck_assert_op(&ops[1], LINK_REFUSED, "Connection refused");
    /* Each wait is twice the one before, less at most a quarter, up to the longest. */
    int64_t wait = BACKOFF_MIN_MS;
    for (uint64_t n = figures().connects_failed; n < 12; n++) {
        pass_ms(wait - wait / 4 - 1);
        ck_assert_uint_eq(figures().connects_failed, n);
        pass_ms(wait / 4 + 1);
        TURN_UNTIL(&loop, figures().connects_failed == n + 1);
        wait = wait * 2 < BACKOFF_MAX_MS ? wait * 2 : BACKOFF_MAX_MS;
    }
    fake_listen();
    pass_ms(BACKOFF_MAX_MS);
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert_uint_eq(heard.n_down, 0); /* it never was up before */
}
END_TEST

START_TEST(test_lost_link_is_tried_at_once)
{
    struct op *op = new_ops(1);
    link_start_and_wait();
    pass_ms(BACKOFF_MAX_MS);
    fake_hang_up();
    TURN_UNTIL(&loop, heard.n_down == 1);
    send_op(0, "GET a", op); /* waits for the new connection */
    TURN_UNTIL(&loop, heard.n_up == 2);
    TURN_UNTIL(&loop, strcmp(fake.said, "GET.a") == 0);
    ck_assert_uint_eq(figures().connects_failed, 0);
}
END_TEST

START_TEST(test_link_that_is_lost_as_soon_as_it_is_up_is_not_tried_without_a_pause)
{
    fake.behind = "+OK\r\n"; /* nobody asked for it */
    link_start();
    TURN_UNTIL(&loop, heard.n_down >= 2);
    turn_times(&loop, 20);
    ck_assert_uint_eq(heard.n_down, 2);
    ck_assert_uint_le(fake.n_accepted, 3);
    fake.behind = NULL;
    pass_ms(BACKOFF_MIN_MS);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_READY);
}
END_TEST

START_TEST(test_upstream_that_never_answers_the_handshake)
{
    struct op *ops = new_ops(2);
    fake.is_mute = true;
    link_start();
    TURN_UNTIL(&loop, strstr(fake.greeting, "COMMAND") != NULL);
    pass_ms(CONNECT_TIMEOUT_MS - TIMEOUT_MS / 2);
    send_write(0, "SET a b", &ops[0]);
    turn_times(&loop, 3);
    ck_assert_int_eq(link_get_state(link_), LINK_HANDSHAKE);
    pass_ms(TIMEOUT_MS / 2);
    ck_assert_op(&ops[0], LINK_REFUSED, "no answer to the handshake within 3000 ms");
    TURN_UNTIL(&loop, fake.n_lost == 1);
    /* What waits for longer than its own deadline is refused before. */
    TURN_UNTIL(&loop, figures().connects_failed == 1);
    ck_assert_int_ne(link_get_state(link_), LINK_READY);
    send_op(0, "GET a", &ops[1]);
    ck_assert_op(&ops[1], LINK_REFUSED, "no answer");
}
END_TEST

START_TEST(test_deadline_of_what_waits)
{
    struct op *op = new_ops(1);
    fake.is_mute = true;
    link_start();
    send_op(0, "GET a", op);
    TURN_UNTIL(&loop, link_get_state(link_) == LINK_HANDSHAKE);
    pass_ms(TIMEOUT_MS);
    ck_assert_uint_eq(op->n_calls, 0);
    pass_ms(2);
    ck_assert_op(op, LINK_REFUSED, "no answer to the handshake within 1000 ms");
}
END_TEST

START_TEST(test_hang_up_during_the_handshake)
{
    fake.is_mute = true;
    link_start();
    TURN_UNTIL(&loop, fake.greeting[0] != '\0');
    fake_hang_up();
    TURN_UNTIL(&loop, figures().connects_failed == 1);
    ck_assert_str_eq(figures().last_error, "connection closed by the upstream");
    fake.is_mute = false;
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert_uint_eq(heard.n_down, 0);
}
END_TEST

START_TEST(test_garbage_during_the_handshake)
{
    fake.hello = "SSH-2.0-OpenSSH_9.2p1\r\n";
    link_start();
    TURN_UNTIL(&loop, figures().connects_failed == 1);
    ck_assert_ptr_nonnull(strstr(figures().last_error, "malformed reply"));
    ck_assert_uint_eq(heard.n_up, 0);
}
END_TEST

START_TEST(test_invalidation_before_the_link_is_up)
{
    fake.tracking = ">2\r\n$10\r\ninvalidate\r\n_\r\n+OK\r\n";
    link_start_and_wait();
    ck_assert_uint_eq(heard.n_all, 1);
    ck_assert(figures().tracking);
}
END_TEST

START_TEST(test_unix_socket)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/larder-link-XXXXXX";
    char url[200];
    char error[100];
    struct link_options options = link_options_for("");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(where.sun_path, sizeof(where.sun_path), "%s/socket", folder);
    snprintf(url, sizeof(url), "unix:%s", where.sun_path);
    address_deinit(&options.address);
    ck_assert(address_parse(&options.address, url, error, sizeof(error)));
    fake_stop_listening();
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, figures().connects_failed >= 1); /* nobody is there yet */
    ck_assert_str_eq(link_get_name(link_), url);
    fake.listening = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fake.listening, (struct sockaddr *)&where, sizeof(where)), 0);
    ck_assert_int_eq(listen(fake.listening, 10), 0);
    ck_assert_int_eq(
        loop_watch(&loop, &fake.watch, fake.listening, LOOP_READ, on_fake_acceptable, NULL), 0);
    pass_ms(BACKOFF_MAX_MS);
    TURN_UNTIL(&loop, heard.n_up == 1);
    unlink(where.sun_path);
    rmdir(folder);
}
END_TEST

START_TEST(test_name_that_can_not_be_resolved)
{
    struct op *op = new_ops(1);
    struct link_options options = link_options_for("");
    mem_free(options.address.host);
    options.address.host = mem_strdup("a..b"); /* no name server is asked about such a name */
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    send_op(0, "GET a", op);
    ck_assert_op(op, LINK_REFUSED, "can't resolve a..b: ");
}
END_TEST

START_TEST(test_localhost_tries_both_families)
{
    struct link_options options = link_options_for("");
    mem_free(options.address.host);
    options.address.host = mem_strdup("localhost");
    link_ = link_create(&loop, &options, &link_handlers, &heard);
    TURN_UNTIL(&loop, heard.n_up == 1);
    ck_assert_uint_eq(fake.n_accepted, 1);
}
END_TEST

START_TEST(test_destroy_at_every_stage)
{
    for (int turns = 0; turns < 12; turns++) {
        struct op *ops = new_ops(2);
        link_start();
        send_op(3, "GET a", &ops[0]);
        send_write(0, "SET a b", &ops[1]);
        turn_times(&loop, (unsigned)turns);
        link_destroy(link_);
        link_ = NULL;
        ck_assert_uint_eq(ops[0].n_calls, 1);
        ck_assert_int_eq(ops[0].outcomes[0], LINK_FAILED);
        ck_assert_uint_eq(ops[1].n_calls, 2);
        turn_times(&loop, 5);
    }
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, test_comes_up);
    tcase_add_test(tcase, test_what_waited_goes_out_in_order);
    tcase_add_test(tcase, test_credentials_of_the_address);
    tcase_add_test(tcase, test_credentials_of_the_options_win);
    tcase_add_test(tcase, test_password_alone_is_the_default_users);
    tcase_add_loop_test(tcase, test_refused_login_is_tried_again_slowly, 0,
                        sizeof(refusals) / sizeof(refusals[0]));
    tcase_add_test(tcase, test_upstream_that_loads_is_tried_again_soon);
    tcase_add_loop_test(tcase, test_upstream_without_resp3, 0, 2);
    tcase_add_test(tcase, test_tracking_that_is_refused);
    tcase_add_test(tcase, test_tracking_that_is_not_wanted);
    tcase_add_test(tcase, test_strange_answers_to_the_handshake);
    tcase_add_test(tcase, test_refused_connection_is_tried_with_growing_waits);
    tcase_add_test(tcase, test_lost_link_is_tried_at_once);
    tcase_add_test(tcase, test_link_that_is_lost_as_soon_as_it_is_up_is_not_tried_without_a_pause);
    tcase_add_test(tcase, test_upstream_that_never_answers_the_handshake);
    tcase_add_test(tcase, test_deadline_of_what_waits);
    tcase_add_test(tcase, test_hang_up_during_the_handshake);
    tcase_add_test(tcase, test_garbage_during_the_handshake);
    tcase_add_test(tcase, test_invalidation_before_the_link_is_up);
    tcase_add_test(tcase, test_unix_socket);
    tcase_add_test(tcase, test_name_that_can_not_be_resolved);
    tcase_add_test(tcase, test_localhost_tries_both_families);
    tcase_add_test(tcase, test_destroy_at_every_stage);
}

int main(void)
{
    return run_suite("link_connect", add_tests);
}
