/* Name resolution (src/upstream/resolve.h) against a name server of the test's own, on the same
 * loop: no question leaves the machine. */
#include "upstream/resolve.h"

#include "name_server.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static struct loop loop;
static struct resolver *resolver;

/* What a callback was told. */
struct outcome {
    unsigned n_calls;
    int error;
    char error_text[128];
    char addresses[RESOLVE_ADDRESSES_MAX + 1][64];
    size_t n;
};

static void on_resolved(void *ctx, int error, const char *error_text, const char *const *addresses,
                        size_t n)
{
    struct outcome *outcome = ctx;
    outcome->n_calls++;
    outcome->error = error;
    outcome->n = n;
    snprintf(outcome->error_text, sizeof(outcome->error_text), "%s",
             error_text != NULL ? error_text : "");
    ck_assert((error == 0) == (error_text == NULL));
    ck_assert((error == 0) == (n > 0));
    ck_assert_uint_le(n, RESOLVE_ADDRESSES_MAX);
    for (size_t i = 0; i < n; i++)
        snprintf(outcome->addresses[i], sizeof(outcome->addresses[i]), "%s", addresses[i]);
}

static bool has_address(const struct outcome *outcome, const char *address)
{
    for (size_t i = 0; i < outcome->n; i++)
        if (strcmp(outcome->addresses[i], address) == 0)
            return true;
    return false;
}

static void set_up(void)
{
    ck_assert_int_eq(loop_init(&loop), 0);
    server_start(&loop);
    resolver = resolver_create(&loop);
    resolver_set_servers(resolver, server.name);
}

static void tear_down(void)
{
    if (resolver != NULL)
        resolver_destroy(resolver);
    server_stop(&loop);
    loop_deinit(&loop);
}

/* The test moves time itself from here on. */
static void stop_clock(void)
{
    clock_init_manual(&loop.clock, loop.clock.mono_ms, 0);
}

static unsigned count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned n = 0;
    ck_assert_ptr_nonnull(folder);
    while (readdir(folder) != NULL)
        n++;
    closedir(folder);
    return n;
}

START_TEST(test_numeric_addresses_need_no_lookup)
{
    static const char *const texts[] = {"127.0.0.1",    "10.1.2.3",   "::1",
                                        "2001:db8::17", "fe80::1%lo", "::ffff:127.0.0.1"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct outcome outcome = {0};
        ck_assert_uint_gt(resolver_resolve(resolver, texts[i], on_resolved, &outcome), 0);
        ck_assert_msg(outcome.n_calls == 0, "called inside the call");
        TURN_UNTIL(&loop, outcome.n_calls > 0);
        ck_assert_int_eq(outcome.error, 0);
        ck_assert_uint_eq(outcome.n, 1);
        ck_assert_str_eq(outcome.addresses[0], texts[i]);
    }
    ck_assert_uint_eq(server.n_questions, 0);
}
END_TEST

START_TEST(test_localhost_is_both_loopback_addresses)
{
    static const char *const texts[] = {"localhost", "LocalHost"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct outcome outcome = {0};
        resolver_resolve(resolver, texts[i], on_resolved, &outcome);
        ck_assert_uint_eq(outcome.n_calls, 0);
        TURN_UNTIL(&loop, outcome.n_calls > 0);
        ck_assert_uint_eq(outcome.n, 2);
        ck_assert_str_eq(outcome.addresses[0], "127.0.0.1");
        ck_assert_str_eq(outcome.addresses[1], "::1");
    }
    ck_assert_uint_eq(server.n_questions, 0);
}
END_TEST

START_TEST(test_name_is_asked_for)
{
    struct outcome outcome = {0};
    unsigned n_descriptors = count_descriptors();
    server.mode = SERVER_NAMES;
    server.n_v4 = 2;
    server.n_v6 = 1;
    resolver_resolve(resolver, "cache.example", on_resolved, &outcome);
    TURN_UNTIL(&loop, outcome.n_calls > 0);
    ck_assert_msg(outcome.error == 0, "%s", outcome.error_text);
    ck_assert_uint_eq(outcome.n, 3);
    ck_assert(has_address(&outcome, "127.0.0.1"));
    ck_assert(has_address(&outcome, "127.0.0.2"));
    ck_assert(has_address(&outcome, "fd00::1"));
    turn_times(&loop, 5);
    ck_assert_uint_eq(outcome.n_calls, 1);
    ck_assert_uint_eq(count_descriptors(), n_descriptors);
}
END_TEST

START_TEST(test_long_answer_is_cut)
{
    struct outcome outcome = {0};
    server.mode = SERVER_NAMES;
    server.n_v4 = RESOLVE_ADDRESSES_MAX + 5;
    resolver_resolve(resolver, "many.example", on_resolved, &outcome);
    TURN_UNTIL(&loop, outcome.n_calls > 0);
    ck_assert_uint_eq(outcome.n, RESOLVE_ADDRESSES_MAX);
}
END_TEST

START_TEST(test_unknown_name_is_an_error)
{
    struct outcome outcome = {0};
    server.mode = SERVER_UNKNOWN;
    resolver_resolve(resolver, "nohost.invalid", on_resolved, &outcome);
    TURN_UNTIL(&loop, outcome.n_calls > 0);
    ck_assert_int_lt(outcome.error, 0);
    ck_assert_str_eq(outcome.error_text, "Domain name not found");
    ck_assert_uint_ge(server.n_questions, 1);
}
END_TEST

START_TEST(test_name_without_addresses_is_an_error)
{
    struct outcome outcome = {0};
    server.mode = SERVER_NAMES;
    resolver_resolve(resolver, "empty.example", on_resolved, &outcome);
    TURN_UNTIL(&loop, outcome.n_calls > 0);
    ck_assert_int_lt(outcome.error, 0);
    ck_assert_str_ne(outcome.error_text, "");
}
END_TEST

START_TEST(test_no_server_listens)
{
    /* Bound and closed again: nobody answers there but the kernel, with a refusal. */
    struct outcome outcome = {0};
    server_stop(&loop);
    resolver_resolve(resolver, "nohost.invalid", on_resolved, &outcome);
    TURN_UNTIL(&loop, outcome.n_calls > 0);
    ck_assert_int_lt(outcome.error, 0);
    ck_assert_uint_eq(outcome.n_calls, 1);
}
END_TEST

START_TEST(test_silent_server_is_not_waited_for_longer_than_the_bound)
{
    struct outcome outcome = {0};
    stop_clock();
    resolver_resolve(resolver, "nohost.invalid", on_resolved, &outcome);
    TURN_UNTIL(&loop, server.n_questions > 0);
    clock_advance(&loop.clock, RESOLVE_TIMEOUT_MS - 1);
    turn_times(&loop, 3);
    ck_assert_uint_eq(outcome.n_calls, 0);
    clock_advance(&loop.clock, 1);
    turn_times(&loop, 3);
    ck_assert_uint_eq(outcome.n_calls, 1);
    ck_assert_int_lt(outcome.error, 0);
    ck_assert_str_eq(outcome.error_text, "no name server answered in time");
}
END_TEST

START_TEST(test_question_is_repeated)
{
    /* In real time: the first question is lost, the second one is answered. */
    struct outcome outcome = {0};
    resolver_resolve(resolver, "cache.example", on_resolved, &outcome);
    TURN_UNTIL(&loop, server.n_questions >= 2);
    server.mode = SERVER_NAMES;
    server.n_v4 = 1;
    TURN_UNTIL(&loop, outcome.n_calls > 0);
    ck_assert_msg(outcome.error == 0, "%s", outcome.error_text);
    ck_assert_str_eq(outcome.addresses[0], "127.0.0.1");
}
END_TEST

START_TEST(test_garbage_from_the_server)
{
    struct outcome outcome = {0};
    stop_clock();
    server.mode = SERVER_GARBAGE;
    resolver_resolve(resolver, "cache.example", on_resolved, &outcome);
    TURN_UNTIL(&loop, server.n_questions > 0);
    turn_times(&loop, 5);
    clock_advance(&loop.clock, RESOLVE_TIMEOUT_MS);
    turn_times(&loop, 3);
    ck_assert_uint_eq(outcome.n_calls, 1);
    ck_assert_int_lt(outcome.error, 0);
}
END_TEST

START_TEST(test_names_that_are_none)
{
    static char long_name[300];
    const char *const names[] = {"", ".", "a..b", long_name};
    memset(long_name, 'a', sizeof(long_name) - 1);
    stop_clock();
    server.mode = SERVER_UNKNOWN;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct outcome outcome = {0};
        resolver_resolve(resolver, names[i], on_resolved, &outcome);
        ck_assert_uint_eq(outcome.n_calls, 0);
        turn_times(&loop, 3);
        clock_advance(&loop.clock, RESOLVE_TIMEOUT_MS);
        TURN_UNTIL(&loop, outcome.n_calls > 0);
        ck_assert_int_lt(outcome.error, 0);
    }
}
END_TEST

START_TEST(test_servers_that_are_none)
{
    struct outcome outcome = {0};
    resolver_set_servers(resolver, "what is this");
    resolver_resolve(resolver, "cache.example", on_resolved, &outcome);
    TURN_UNTIL(&loop, outcome.n_calls > 0);
    ck_assert_int_lt(outcome.error, 0);
}
END_TEST

START_TEST(test_no_descriptors_left)
{
    /* c-ares can open no socket: an error at once or at the bound, never silence. */
    struct outcome outcome = {0};
    struct rlimit limit;
    stop_clock();
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlim_t usual = limit.rlim_cur;
    limit.rlim_cur = 3;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    resolver_resolve(resolver, "cache.example", on_resolved, &outcome);
    turn_times(&loop, 3);
    clock_advance(&loop.clock, RESOLVE_TIMEOUT_MS);
    turn_times(&loop, 3);
    limit.rlim_cur = usual;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(outcome.n_calls, 1);
    ck_assert_int_lt(outcome.error, 0);
}
END_TEST

START_TEST(test_cancel_while_pending)
{
    struct outcome cancelled = {0};
    struct outcome kept = {0};
    unsigned n_descriptors = count_descriptors();
    stop_clock();
    uint64_t token = resolver_resolve(resolver, "one.example", on_resolved, &cancelled);
    uint64_t other = resolver_resolve(resolver, "two.example", on_resolved, &kept);
    ck_assert_uint_ne(token, other);
    TURN_UNTIL(&loop, server.n_questions >= 2);
    resolver_cancel(resolver, token);
    resolver_cancel(resolver, token);
    resolver_cancel(resolver, 12345);
    clock_advance(&loop.clock, RESOLVE_TIMEOUT_MS);
    turn_times(&loop, 3);
    ck_assert_uint_eq(cancelled.n_calls, 0);
    ck_assert_uint_eq(kept.n_calls, 1);
    ck_assert_uint_eq(count_descriptors(), n_descriptors);
    resolver_cancel(resolver, other);
}
END_TEST

START_TEST(test_cancel_before_the_loop_turns)
{
    struct outcome outcome = {0};
    resolver_cancel(resolver, resolver_resolve(resolver, "::1", on_resolved, &outcome));
    resolver_cancel(resolver, resolver_resolve(resolver, "one.example", on_resolved, &outcome));
    turn_times(&loop, 5);
    ck_assert_uint_eq(outcome.n_calls, 0);
}
END_TEST

START_TEST(test_destroy_while_pending)
{
    struct outcome outcome = {0};
    unsigned n_descriptors = count_descriptors();
    resolver_resolve(resolver, "one.example", on_resolved, &outcome);
    resolver_resolve(resolver, "::1", on_resolved, &outcome);
    resolver_resolve(resolver, "two.example", on_resolved, &outcome);
    TURN_UNTIL(&loop, server.n_questions > 0);
    resolver_resolve(resolver, "three.example", on_resolved, &outcome);
    outcome.n_calls = 0;
    resolver_destroy(resolver);
    resolver = NULL;
    turn_times(&loop, 5);
    ck_assert_uint_eq(outcome.n_calls, 0);
    ck_assert_uint_eq(count_descriptors(), n_descriptors);
}
END_TEST

static void destroy_resolver(void *ctx, int error, const char *error_text,
                             const char *const *addresses, size_t n)
{
    on_resolved(ctx, error, error_text, addresses, n);
    resolver_destroy(resolver);
    resolver = NULL;
    if (n > 0)
        ck_assert_str_eq(addresses[0], "127.0.0.1"); /* still there */
}

START_TEST(test_destroy_inside_the_callback)
{
    static const char *const names[] = {"127.0.0.1", "one.example"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct outcome outcome = {0};
        if (resolver == NULL)
            resolver = resolver_create(&loop);
        resolver_set_servers(resolver, server.name);
        stop_clock();
        resolver_resolve(resolver, names[i], destroy_resolver, &outcome);
        resolver_resolve(resolver, names[i], destroy_resolver, &outcome);
        turn_times(&loop, 3);
        clock_advance(&loop.clock, RESOLVE_TIMEOUT_MS);
        turn_times(&loop, 3);
        ck_assert_uint_eq(outcome.n_calls, 1); /* the other one was cancelled */
    }
}
END_TEST

static struct outcome again;

static void resolve_again(void *ctx, int error, const char *error_text,
                          const char *const *addresses, size_t n)
{
    on_resolved(ctx, error, error_text, addresses, n);
    resolver_resolve(resolver, "::1", on_resolved, &again);
    ck_assert_uint_eq(again.n_calls, 0);
}

START_TEST(test_resolve_inside_the_callback)
{
    struct outcome outcome = {0};
    memset(&again, 0, sizeof(again));
    resolver_resolve(resolver, "127.0.0.1", resolve_again, &outcome);
    TURN_UNTIL(&loop, again.n_calls > 0);
    ck_assert_uint_eq(outcome.n_calls, 1);
    ck_assert_str_eq(again.addresses[0], "::1");
}
END_TEST

/* Finds a name in /etc/hosts that no shortcut knows. */
static bool find_hosts_entry(char *address, char *name)
{
    FILE *file = fopen("/etc/hosts", "r");
    char line[1024];
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL)
        found = sscanf(line, "%63s %255s", address, name) == 2 && strchr(address, '#') == NULL &&
                strchr(address, ':') == NULL && strstr(name, "local") == NULL;
    if (file != NULL)
        fclose(file);
    return found;
}

START_TEST(test_hosts_file_is_asked_first)
{
    char address[64];
    char name[256];
    struct outcome outcome = {0};
    if (!find_hosts_entry(address, name))
        return; /* a machine whose hosts file names nothing has nothing to be honoured */
    server.mode = SERVER_UNKNOWN;
    resolver_resolve(resolver, name, on_resolved, &outcome);
    ck_assert_uint_eq(outcome.n_calls, 0);
    TURN_UNTIL(&loop, outcome.n_calls > 0);
    ck_assert_msg(outcome.error == 0, "%s: %s", name, outcome.error_text);
    ck_assert(has_address(&outcome, address));
    ck_assert_uint_eq(server.n_questions, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("resolve");
    TCase *tcase = tcase_create("resolve");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, test_numeric_addresses_need_no_lookup);
    tcase_add_test(tcase, test_localhost_is_both_loopback_addresses);
    tcase_add_test(tcase, test_name_is_asked_for);
    tcase_add_test(tcase, test_long_answer_is_cut);
    tcase_add_test(tcase, test_unknown_name_is_an_error);
    tcase_add_test(tcase, test_name_without_addresses_is_an_error);
    tcase_add_test(tcase, test_no_server_listens);
    tcase_add_test(tcase, test_silent_server_is_not_waited_for_longer_than_the_bound);
    tcase_add_test(tcase, test_question_is_repeated);
    tcase_add_test(tcase, test_garbage_from_the_server);
    tcase_add_test(tcase, test_names_that_are_none);
    tcase_add_test(tcase, test_servers_that_are_none);
    tcase_add_test(tcase, test_no_descriptors_left);
    tcase_add_test(tcase, test_cancel_while_pending);
    tcase_add_test(tcase, test_cancel_before_the_loop_turns);
    tcase_add_test(tcase, test_destroy_while_pending);
    tcase_add_test(tcase, test_destroy_inside_the_callback);
    tcase_add_test(tcase, test_resolve_inside_the_callback);
    tcase_add_test(tcase, test_hosts_file_is_asked_first);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
