/* The tier in the modes of coherence (src/tier/tier.h): what is kept, what a push dooms where pushes
 * come late, and what becomes of L1 when the mode changes. */
#include "tier_support.h"

static void restart(enum link_tracking tracking, bool narrow)
{
    tier_tear_down();
    tier_start_in(tracking, narrow);
}

static void configure(enum link_tracking tracking, bool narrow)
{
    struct link_options options = tier_link_options(tracking);
    address_deinit(&options.address);
    if (narrow) {
        options.prefixes = mem_alloc(sizeof(*options.prefixes));
        options.prefixes[options.n_prefixes++] = mem_strdup("a");
    }
    link_configure(tier_link(tier), &options);
}

static void settle_in(enum link_tracking tracking)
{
    TURN_UNTIL(&loop, link_get_tracking(tier_link(tier)) == tracking);
}

static void set_ttl_ms(int64_t ttl_ms)
{
    tier_options_now.policy.ttl_ms = ttl_ms;
    tier_configure(tier, &tier_options_now);
}

/* Fetches a key whose value is 1; what L1 has afterwards. */
static const char *kept(const char *key)
{
    struct got *item = fetch(key);
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(item, TIER_STRING, "1");
    upstream.said.len = 0;
    return l1(key);
}

/* Each with what L1 has afterwards of "a", whose value is 1. */
static const struct {
    const char *replies;
    const char *l1;
} pushes[] = {
    {"$1\r\n1\r\n" PUSH("1", "a") ":-1\r\n", "(none)"},
    {"$1\r\n1\r\n:-1\r\n" PUSH("1", "a"), "(none)"},
    {PUSH("1", "a") "$1\r\n1\r\n:-1\r\n", "(none)"},
    {PUSH("1", "b") "$1\r\n1\r\n:-1\r\n", "1"},
    {"$1\r\n1\r\n" PUSH("2", "aa") ":-1\r\n", "1"},
    {PUSH_ALL "$1\r\n1\r\n:-1\r\n", "(none)"},
};

START_TEST(test_pushes)
{
    for (int narrow = 0; narrow < 2; narrow++) {
        restart(LINK_TRACKING_BROADCAST, narrow);
        struct got *item = fetch("a");
        upstream_expect("GET a; PTTL a");
        upstream_say(pushes[_i].replies);
        assert_got(item, TIER_STRING, "1");
        turns(3);
        ck_assert_str_eq(l1("a"), pushes[_i].l1);
        ck_assert_uint_eq(tier_fetches_in_flight(tier), 0);
    }
}
END_TEST

/* Who asks behind a push gets what was read behind it. */
START_TEST(test_doomed_is_not_joined)
{
    restart(LINK_TRACKING_BROADCAST, false);
    struct got *before = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say(PUSH("1", "a"));
    turns(3);
    struct got *behind = fetch("a");
    upstream_expect("GET a; PTTL a");
    upstream_say("$1\r\n1\r\n:-1\r\n$1\r\n2\r\n:-1\r\n");
    assert_got(before, TIER_STRING, "1");
    assert_got(behind, TIER_STRING, "2");
    ck_assert_str_eq(l1("a"), "2");
}
END_TEST

/* Of keys that nobody tells of, only what l1-ttl ends is kept. */
START_TEST(test_what_is_kept)
{
    static const struct {
        enum link_tracking tracking;
        bool narrow;
        const char *a, *b; /* without l1-ttl */
    } modes[] = {
        {LINK_TRACKING_NONE, false, "(none)", "(none)"},
        {LINK_TRACKING_KEYS, true, "1", "1"},
        {LINK_TRACKING_BROADCAST, false, "1", "1"},
        {LINK_TRACKING_BROADCAST, true, "1", "(none)"},
    };
    for (size_t i = 0; i < N(modes); i++) {
        restart(modes[i].tracking, modes[i].narrow);
        ck_assert_str_eq(kept("a"), modes[i].a);
        ck_assert_str_eq(kept("b"), modes[i].b);
        tier_drop_all(tier);
        set_ttl_ms(1000);
        ck_assert_str_eq(kept("a"), "1");
        ck_assert_str_eq(kept("b"), "1");
        pass_ms(1000);
        ck_assert_str_eq(l1("a"), "(none)");
        ck_assert_str_eq(l1("b"), "(none)");
    }
}
END_TEST

/* L2's push for the write itself would drop what was fetched behind it. */
START_TEST(test_write_allocate)
{
    struct bytes raw = BYTES("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n2\r\n");
    for (int narrow = 0; narrow < 2; narrow++) {
        restart(narrow ? LINK_TRACKING_BROADCAST : LINK_TRACKING_KEYS, narrow);
        struct got *wrote = new_got();
        tier_write_allocate(tier, 0, raw, BYTES("a"), hash_of("a"), on_wrote, wrote);
        upstream_expect(narrow ? "SET a 2" : "SET a 2; GET a; PTTL a");
        upstream_say(narrow ? "+OK\r\n" PUSH("1", "a") : "+OK\r\n$1\r\n2\r\n:-1\r\n");
        assert_wrote(wrote, "+OK\r\n");
    }
}
END_TEST

/* Changes */

static unsigned n_told;

static void on_changed(void *ctx, struct bytes key)
{
    (void)ctx;
    (void)key;
}

static void on_all_changed(void *ctx)
{
    (void)ctx;
    n_told++;
}

START_TEST(test_changes_of_the_mode_drop_all)
{
    static const struct {
        enum link_tracking to;
        bool narrow;
        unsigned n_told;
    } changes[] = {
        {LINK_TRACKING_BROADCAST, false, 2}, {LINK_TRACKING_BROADCAST, true, 2},
        {LINK_TRACKING_NONE, false, 1},      {LINK_TRACKING_KEYS, false, 1},
        {LINK_TRACKING_KEYS, true, 0},
    };
    n_told = 0;
    set_ttl_ms(100000);
    tier_on_invalidate(tier, on_changed, on_all_changed, NULL);
    for (size_t i = 0; i < N(changes); i++) {
        n_told = 0;
        uint64_t before = counters().flushes_mode;
        ck_assert_str_eq(kept("a"), "1");
        configure(changes[i].to, changes[i].narrow);
        settle_in(changes[i].to);
        turns(5);
        ck_assert_str_eq(l1("a"), changes[i].n_told > 0 ? "(none)" : "1");
        ck_assert_uint_eq(n_told, changes[i].n_told);
        ck_assert_uint_eq(counters().flushes_mode - before, changes[i].n_told);
        ck_assert_str_eq(kept("a"), "1");
    }
    ck_assert_uint_eq(counters().flushes_link, 0);
}
END_TEST

/* What was read before L2's yes is not tracked: it goes when the yes comes. */
START_TEST(test_fetches_around_a_change)
{
    configure(LINK_TRACKING_NONE, false);
    turns(5);
    set_ttl_ms(100000);
    upstream.leaves_tracking = true;
    struct got *before = fetch("a");
    configure(LINK_TRACKING_KEYS, false);
    struct got *behind = fetch("b");
    upstream_expect("GET a; PTTL a; CLIENT TRACKING OFF; CLIENT TRACKING ON; GET b; PTTL b");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(before, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "1"); /* until l1-ttl, as without tracking */
    upstream_say("+OK\r\n+OK\r\n");
    settle_in(LINK_TRACKING_KEYS);
    ck_assert_str_eq(l1("a"), "(none)");
    upstream_say("$1\r\n2\r\n:-1\r\n");
    assert_got(behind, TIER_STRING, "2");
    ck_assert_str_eq(kept("c"), "1");
}
END_TEST

/* As soon as another mode is asked for, the old one is not believed any more: without l1-ttl, what is
 * read meanwhile is not kept. */
START_TEST(test_fetches_before_a_change)
{
    upstream.leaves_tracking = true;
    struct got *before = fetch("a");
    configure(LINK_TRACKING_BROADCAST, true);
    upstream_expect("GET a; PTTL a; CLIENT TRACKING OFF; CLIENT TRACKING ON BCAST PREFIX a");
    upstream_say("$1\r\n1\r\n:-1\r\n");
    assert_got(before, TIER_STRING, "1");
    ck_assert_str_eq(l1("a"), "(none)");
    upstream_say("+OK\r\n-NOPERM no\r\n");
    upstream_expect("CLIENT TRACKING ON");
    upstream_say("-NOPERM no\r\n");
    ck_assert_str_eq(kept("a"), "(none)");
}
END_TEST

static void add_tests(TCase *tcase)
{
    tcase_add_loop_test(tcase, test_pushes, 0, N(pushes));
    tcase_add_test(tcase, test_doomed_is_not_joined);
    tcase_add_test(tcase, test_what_is_kept);
    tcase_add_test(tcase, test_write_allocate);
    tcase_add_test(tcase, test_changes_of_the_mode_drop_all);
    tcase_add_test(tcase, test_fetches_around_a_change);
    tcase_add_test(tcase, test_fetches_before_a_change);
}

int main(void)
{
    return tier_run("tier_modes", add_tests);
}
