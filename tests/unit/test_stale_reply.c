/* Cached replies that may be answered when they are no longer fresh (src/tier/tier_reply.c,
 * tier_reply_fetch.c): first ones in their anchor and others apart from it, by the rules of
 * test_stale.c. */
/* First: its functions have parameters that are named as variables of tier_reply_support.h. */
#include "tier/tier_reply.h"

#include "tier_reply_support.h"

#define FRESH_MS 10000

static void set_policy(const char *prefix, const char *text)
{
    char error[256];
    struct bytes words[8];
    size_t n = 0;
    for (const char *p = text; *p != '\0';) {
        size_t len = strcspn(p, " ");
        words[n++] = bytes_of(p, len);
        p += len + (p[len] == ' ');
    }
    ck_assert_msg(
        policy_table_set(tier_policies(tier), bytes_of_str(prefix), words, n, error, sizeof(error)),
        "%s", error);
    tier_policies_changed(tier);
}

static void set_up_stale(void)
{
    set_up();
    set_policy("h", "ttl=10s stale-while-revalidate=20s stale-if-error=40s");
}

/* A hash with a first reply, and one apart; or two, so that there is room for no other. */
static void fill_two(void)
{
    fetch("hlen h", -1, ":1\r\n");
    fetch("hget h f", -1, "$1\r\nv\r\n");
}

static void fill_three(void)
{
    fill_two();
    fetch("hkeys h", -1, "*1\r\n$1\r\nf\r\n");
    ck_assert_uint_eq(n_replies("h"), 3);
}

static void ck_finds_three(void)
{
    ck_finds(0, "hlen h", ":1\r\n");
    ck_finds(0, "hget h f", "$1\r\nv\r\n");
    ck_finds(0, "hkeys h", "*1\r\n$1\r\nf\r\n");
}

static void ck_finds_none(void)
{
    ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hget h f");
    ck_finds_nothing(0, "hkeys h");
}

static void renew_link(void)
{
    uint64_t before = counters().flushes_link;
    upstream_hang_up();
    TURN_UNTIL(&loop, counters().flushes_link > before);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
    clock_advance(&loop.clock, 10);
}

static void lose_link(void)
{
    upstream_stop_listening();
    upstream_hang_up();
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_DOWN);
}

/* Time */

START_TEST(stale_while_revalidate)
{
    fill_three();
    clock_advance(&loop.clock, FRESH_MS - 1);
    ck_finds_three();
    ck_assert_uint_eq(counters().fetches, 3);
    clock_advance(&loop.clock, 1);
    ck_finds_three();
    ck_finds_three();
    ck_assert_uint_eq(counters().stale_while_revalidate, 6);
    ck_assert_uint_eq(counters().fetches, 6); /* one for each */
    upstream_expect("PTTL h; hlen h; PTTL h; hget h f; PTTL h; hkeys h");
    upstream_say(":-1\r\n:2\r\n:-1\r\n$1\r\nw\r\n:-1\r\n*0\r\n");
    TURN_UNTIL(&loop, tier_fetches_in_flight(tier) == 0);
    ck_finds(0, "hlen h", ":2\r\n");
    ck_finds(0, "hget h f", "$1\r\nw\r\n");
    ck_finds(0, "hkeys h", "*0\r\n");
    ck_assert_uint_eq(counters().stale_while_revalidate, 6);
    ck_assert_uint_eq(n_replies("h"), 3);
}
END_TEST

START_TEST(no_longer_than_allowed)
{
    fill_three();
    clock_advance(&loop.clock, FRESH_MS + 20000);
    ck_finds_none();
    ck_assert_uint_eq(counters().fetches, 3);
    lose_link();
    ck_finds_three();
    ck_assert_uint_eq(counters().stale_if_error, 3);
    clock_advance(&loop.clock, 20000);
    ck_finds_none();
}
END_TEST

/* Each by its own time: one that was fetched later is fresh for longer. */
START_TEST(each_by_its_own_time)
{
    fetch("hlen h", -1, ":1\r\n");
    clock_advance(&loop.clock, 5000);
    fetch("hget h f", -1, "$1\r\nv\r\n");
    clock_advance(&loop.clock, 5000);
    ck_finds(0, "hget h f", "$1\r\nv\r\n");
    ck_assert_uint_eq(counters().fetches, 2);
    ck_finds(0, "hlen h", ":1\r\n");
    ck_assert_uint_eq(counters().fetches, 3);
    clock_advance(&loop.clock, 5000);
    ck_finds(0, "hget h f", "$1\r\nv\r\n");
    ck_assert_uint_eq(counters().fetches, 4);
    clock_advance(&loop.clock, 15000);
    ck_finds_nothing(0, "hlen h");
    ck_finds(0, "hget h f", "$1\r\nv\r\n");
}
END_TEST

/* CACHE EXPLAIN: as fresh as the first reply, there for as long as the last one. */
START_TEST(explained)
{
    struct tier_explanation seen;
    uint64_t hash = store_hash(tier_store(tier), BYTES("h"));
    fetch("hlen h", -1, ":1\r\n");
    clock_advance(&loop.clock, 4000);
    fetch("hget h f", -1, "$1\r\nv\r\n");
    tier_explain(tier, 0, BYTES("h"), hash, &seen);
    ck_assert_int_eq(seen.entry->kind, ENTRY_REPLY);
    ck_assert_uint_eq(seen.n_replies, 2);
    ck_assert(seen.is_fresh && seen.is_answered && !seen.is_absent);
    ck_assert_int_eq(seen.fresh_ms, 6000);
    ck_assert_int_eq((int64_t)seen.entry->deadline_ms - loop.clock.mono_ms, FRESH_MS + 40000);
    renew_link();
    tier_explain(tier, 0, BYTES("h"), hash, &seen);
    ck_assert(!seen.is_fresh && seen.is_answered);
    ck_assert_uint_eq(seen.epoch + 1, tier_epoch(tier));
}
END_TEST

/* The loss of the link */

START_TEST(stale_since_the_loss)
{
    fill_three();
    renew_link(); /* 10 ms ago */
    ck_finds_three();
    ck_assert_uint_eq(counters().stale_while_revalidate, 3);
    clock_advance(&loop.clock, 20000 - 11);
    ck_finds_three();
    clock_advance(&loop.clock, 1);
    ck_finds_none();
}
END_TEST

/* A reply that is read on the new link begins a new generation: those of the old one would pass for as
 * fresh. */
START_TEST(the_first_on_a_new_link_begins_anew)
{
    fill_two();
    renew_link();
    fetch("hkeys h", -1, "*0\r\n");
    ck_finds(0, "hkeys h", "*0\r\n");
    ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hget h f");
    ck_assert_uint_eq(n_replies("h"), 1);
    ck_assert_uint_eq(counters().stale_while_revalidate, 0);
    fetch("hlen h", -1, ":2\r\n");
    ck_finds(0, "hlen h", ":2\r\n");
    ck_finds(0, "hkeys h", "*0\r\n");
}
END_TEST

START_TEST(the_first_by_a_new_policy_begins_anew)
{
    fill_two();
    set_policy("h", "stale-while-revalidate=30s");
    ck_finds_none();
    fetch("hkeys h", -1, "*0\r\n");
    ck_finds(0, "hkeys h", "*0\r\n");
    ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hget h f");
}
END_TEST

/* What is known to have changed */

static void change(int how)
{
    switch (how) {
    case 0: push("h"); break;
    case 1: write_key(0, TIER_KEYS, "h"); break;
    case 2: write_key(0, TIER_DATABASE, "h"); break;
    case 3: write_key(0, TIER_ALL, "h"); break;
    case 4: ck_assert(tier_drop(tier, 0, BYTES("h"))); break;
    case 5: tier_drop_everywhere(tier, BYTES("h")); break;
    case 6: ck_assert_uint_ge(tier_drop_all(tier), 3); break;
    default: upstream_say(">2\r\n$10\r\ninvalidate\r\n_\r\n"); break;
    }
    turn_times(&loop, 5);
}

START_TEST(a_change_drops_all)
{
    fill_three();
    clock_advance(&loop.clock, FRESH_MS);
    change(_i);
    ck_finds_none();
    ck_assert_uint_eq(n_replies("h"), 0);
    lose_link();
    ck_finds_none();
}
END_TEST

/* Also what a lost link has read. */
START_TEST(a_change_drops_what_a_lost_link_has_read)
{
    fill_three();
    renew_link();
    change(_i);
    ck_finds_none();
}
END_TEST

/* Definite answers */

static const struct {
    const char *policy;
    const char *replies;
    const char *heard;
} answers[] = {
    {"max-item=0", ":-1\r\n-WRONGTYPE no\r\n", "-WRONGTYPE no\r\n"},
    {"max-item=0", "-NOPERM no\r\n-NOPERM no\r\n", "-NOPERM no\r\n"},
    {"max-item=0", "-ERR no\r\n:2\r\n", ":2\r\n"},
    {"max-item=0", ":0\r\n:2\r\n", ":2\r\n"},
    {"negative-ttl=0", ":-2\r\n:0\r\n", ":0\r\n"},
    {"max-item=20", ":-1\r\n$26\r\nabcdefghijklmnopqrstuvwxyz\r\n",
     "$26\r\nabcdefghijklmnopqrstuvwxyz\r\n"},
    {"max-item=0",
     ":-1\r\n"
     ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nh\r\n"
     ":2\r\n",
     ":2\r\n"},
};

START_TEST(a_definite_answer_drops_all)
{
    set_policy("h", "stale-while-revalidate=0 stale-if-error=1h");
    set_policy("h", answers[_i].policy);
    fill_three();
    renew_link();
    send_read("hlen h");
    upstream_say(answers[_i].replies);
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_str_eq(heard.text, answers[_i].heard);
    lose_link();
    if (_i == 3) /* kept, and its time is over already */
        ck_finds(0, "hlen h", ":2\r\n");
    else
        ck_finds_nothing(0, "hlen h");
    ck_finds_nothing(0, "hget h f");
    ck_finds_nothing(0, "hkeys h");
}
END_TEST

/* A store without room for the new one has none for the old one either. */
START_TEST(a_refused_one_drops_all)
{
    fill_three();
    renew_link();
    struct store_options options = usual_store();
    options.max_item_bytes = 16;
    store_configure(tier_store(tier), &options);
    fetch("hlen h", -1, "$26\r\nabcdefghijklmnopqrstuvwxyz\r\n");
    ck_assert_uint_eq(counters().fills_refused, 1);
    ck_finds_none();
}
END_TEST

/* Where L2 tells of no change, a first reply may have grown too large for its anchor. */
START_TEST(a_reply_that_has_grown_takes_the_first_ones_place)
{
    static char reply[6000];
    int len = snprintf(reply, sizeof(reply), "$5000\r\n%05000d\r\n", 7);
    fetch("hget h f", -1, "$1\r\nv\r\n");
    fetch("hlen h", -1, ":1\r\n");
    clock_advance(&loop.clock, FRESH_MS);
    send_read("hget h f");
    upstream_say(":-1\r\n");
    upstream_say_bytes(reply, (size_t)len);
    TURN_UNTIL(&loop, heard.n > 0);
    struct command command;
    struct tier_reply found;
    ck_assert(tier_reply_find(tier, parse(&command, 0, "hget h f"), &found));
    ck_assert_uint_eq(found.resp3.len, (size_t)len);
    buf_deinit(&command.raw);
    ck_assert_uint_eq(n_replies("h"), 2);
    ck_finds(0, "hlen h", ":1\r\n");
}
END_TEST

/* In the place of an error */

START_TEST(rescued_after_an_error_that_passes)
{
    struct heard joined = {0};
    fill_three();
    clock_advance(&loop.clock, FRESH_MS + 20000);
    send_read("hget h f");
    fetch_for(0, "hget h f", &joined);
    upstream_say("-LOADING a\r\n-LOADING a\r\n");
    ck_heard(TIER_REPLY, "$1\r\nv\r\n");
    ck_assert_str_eq(joined.text, "$1\r\nv\r\n");
    ck_assert_uint_eq(counters().stale_if_error, 2);
    send_read("hlen h");
    upstream_say("-LOADING a\r\n-LOADING a\r\n");
    ck_heard(TIER_REPLY, ":1\r\n");
    send_read("hvals h"); /* there is none */
    upstream_say("-LOADING a\r\n-LOADING a\r\n");
    ck_heard(TIER_ERROR, "-LOADING a\r\n");
    ck_assert_uint_eq(counters().stale_if_error, 3);
}
END_TEST

START_TEST(rescued_missing_key)
{
    fetch("hlen h", -2, ":0\r\n");
    lose_link();
    memset(&heard, 0, sizeof(heard));
    fetch_for(0, "hlen h", &heard);
    ck_heard(TIER_ABSENT, ":0\r\n");
}
END_TEST

/* A refresh that nobody has joined is no answer. */
START_TEST(a_refresh_that_fails_counts_nothing)
{
    fill_three();
    clock_advance(&loop.clock, FRESH_MS);
    ck_finds(0, "hlen h", ":1\r\n");
    upstream_say("-LOADING a\r\n-LOADING a\r\n");
    TURN_UNTIL(&loop, tier_fetches_in_flight(tier) == 0);
    ck_assert_uint_eq(counters().stale_if_error, 0);
    ck_finds_three();
}
END_TEST

START_TEST(fail_mode_miss)
{
    struct command command;
    struct tier_options options = usual_options();
    options.fail_mode = TIER_FAIL_MISS;
    tier_configure(tier, &options);
    lose_link();
    memset(&heard, 0, sizeof(heard));
    struct tier_read *read = parse(&command, 0, "hgetall x");
    tier_reply_fetch(tier, read, hear, &heard);
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_int_eq(heard.answer, TIER_ERROR); /* nobody knows what a missing key's reply is */
    memset(&heard, 0, sizeof(heard));
    read->missing = "%0\r\n";
    tier_reply_fetch(tier, read, hear, &heard);
    ck_heard(TIER_ABSENT, "%0\r\n");
    ck_assert_uint_eq(counters().failed_as_missing, 1);
    buf_deinit(&command.raw);
}
END_TEST

/* Modes */

START_TEST(observed_and_denied)
{
    set_policy("h", "mode=observe");
    fill_three();
    ck_finds_none();
    ck_assert_uint_eq(counters().observed_hits, 3);
    lose_link();
    memset(&heard, 0, sizeof(heard));
    fetch_for(0, "hlen h", &heard);
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_int_eq(heard.answer, TIER_ERROR);
    set_policy("h", "mode=deny");
    ck_finds_none();
    ck_assert_uint_eq(counters().denied, 3);
    ck_assert_uint_eq(counters().observed_hits, 3);
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_test(tcase, stale_while_revalidate);
    tcase_add_test(tcase, no_longer_than_allowed);
    tcase_add_test(tcase, each_by_its_own_time);
    tcase_add_test(tcase, explained);
    tcase_add_test(tcase, stale_since_the_loss);
    tcase_add_test(tcase, the_first_on_a_new_link_begins_anew);
    tcase_add_test(tcase, the_first_by_a_new_policy_begins_anew);
    tcase_add_loop_test(tcase, a_change_drops_all, 0, 8);
    tcase_add_loop_test(tcase, a_change_drops_what_a_lost_link_has_read, 0, 8);
    tcase_add_loop_test(tcase, a_definite_answer_drops_all, 0,
                        (int)(sizeof(answers) / sizeof(answers[0])));
    tcase_add_test(tcase, a_refused_one_drops_all);
    tcase_add_test(tcase, a_reply_that_has_grown_takes_the_first_ones_place);
    tcase_add_test(tcase, rescued_after_an_error_that_passes);
    tcase_add_test(tcase, rescued_missing_key);
    tcase_add_test(tcase, a_refresh_that_fails_counts_nothing);
    tcase_add_test(tcase, fail_mode_miss);
    tcase_add_test(tcase, observed_and_denied);
}

int main(void)
{
    Suite *suite = suite_create("stale_reply");
    TCase *tcase = tcase_create("stale_reply");
    tcase_add_checked_fixture(tcase, set_up_stale, tear_down);
    tcase_set_timeout(tcase, 30);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
