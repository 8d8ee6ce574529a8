/* Warming (src/tier/warm.h and the sources of keys behind it), against a tier and a link of the
 * test's own: what is asked of L2 is seen, and answered when the test says so. The clock is manual. */
#include "tier/warm.h"

#include "base/mem.h"
#include "tier/tier.h"
#include "tier/warm_source.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PENDING_MAX 2048
#define SECOND_MS 1000

/* The tier of the test */

struct pending {
    char *key;
    size_t len;
    tier_fetch_fn *fn;
    void *ctx;
};

struct tier {
    struct loop loop;
    struct store *store;
    bool has_link;
    enum link_state state;
    bool is_full;
    struct pending pending[PENDING_MAX]; /* fetches not yet answered, oldest first */
    size_t n_pending;
    size_t max_pending;
    size_t n_fetches;
    int64_t ttl_cap_ms; /* of the last fetch */
    tier_reply_fn *scan_fn;
    void *scan_ctx;
    char scan[512]; /* the last SCAN, its line ends as blanks */
    size_t n_scans;
    struct warm_jobs *jobs;
};

struct link {
    struct tier tier;
};

struct store *tier_store(struct tier *tier)
{
    return tier->store;
}

struct link *tier_link(struct tier *tier)
{
    return tier->has_link ? (struct link *)tier : NULL;
}

enum link_state link_get_state(const struct link *link)
{
    return link->tier.state;
}

bool link_is_full(const struct link *link)
{
    return link->tier.is_full;
}

void link_read_figures(const struct link *link, struct link_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
    figures->state = link->tier.state;
    snprintf(figures->last_error, sizeof(figures->last_error), "Connection refused");
}

const struct entry *tier_peek(struct tier *tier, unsigned db, struct bytes key, uint64_t hash)
{
    return store_peek(tier->store, db, key, hash, tier->loop.clock.mono_ms);
}

void tier_fetch_warm(struct tier *tier, unsigned db, struct bytes key, uint64_t hash,
                     int64_t ttl_cap_ms, tier_fetch_fn *fn, void *ctx)
{
    (void)db;
    (void)hash;
    ck_assert_uint_lt(tier->n_pending, PENDING_MAX);
    char *copy = malloc(key.len + 1);
    memcpy(copy, key.ptr, key.len);
    copy[key.len] = '\0';
    tier->pending[tier->n_pending++] = (struct pending){copy, key.len, fn, ctx};
    tier->n_fetches++;
    tier->ttl_cap_ms = ttl_cap_ms;
    if (tier->n_pending > tier->max_pending)
        tier->max_pending = tier->n_pending;
}

void tier_pass(struct tier *tier, unsigned db, struct bytes raw, tier_reply_fn *fn, void *ctx)
{
    (void)db;
    ck_assert_ptr_null(tier->scan_fn);
    ck_assert_uint_lt(raw.len, sizeof(tier->scan));
    for (size_t i = 0; i < raw.len; i++)
        tier->scan[i] = raw.ptr[i] == '\r' || raw.ptr[i] == '\n' ? ' ' : raw.ptr[i];
    tier->scan[raw.len] = '\0';
    tier->scan_fn = fn;
    tier->scan_ctx = ctx;
    tier->n_scans++;
}

/* Fixture */

static struct tier t;
static char dir[64];

static void set_up_with(const struct store_options *options)
{
    memset(&t, 0, sizeof(t));
    ck_assert_int_eq(loop_init(&t.loop), 0);
    clock_init_manual(&t.loop.clock, 1000000, 1700000000000);
    t.store = store_create(options);
    t.has_link = true;
    t.state = LINK_READY;
    snprintf(dir, sizeof(dir), "/tmp/test_warm.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    struct warm_options warm;
    warm_options_default(&warm);
    warm.dir = dir;
    t.jobs = warm_jobs_create(&t.loop, &t, &warm);
}

static void set_up(void)
{
    struct store_options options;
    store_options_default(&options);
    set_up_with(&options);
}

/* Takes the oldest fetch in flight. */
static struct pending take(void)
{
    ck_assert_uint_gt(t.n_pending, 0);
    struct pending pending = t.pending[0];
    t.n_pending--;
    memmove(&t.pending[0], &t.pending[1], t.n_pending * sizeof(t.pending[0]));
    return pending;
}

static void put(const char *key, size_t len, const char *value, size_t value_len)
{
    struct bytes name = bytes_of(key, len);
    struct store_item item = {.value = bytes_of(value, value_len), .kind = ENTRY_STRING};
    ck_assert_int_eq(
        store_put(t.store, 0, name, store_hash(t.store, name), &item, t.loop.clock.mono_ms),
        STORE_OK);
}

/* Answers the oldest fetch: with a value that L1 keeps ... */
static void answer_value(const char *value)
{
    struct pending pending = take();
    put(pending.key, pending.len, value, strlen(value));
    pending.fn(pending.ctx, TIER_STRING, bytes_of_str(value));
    free(pending.key);
}

/* ... or otherwise. */
static void answer(enum tier_answer what, const char *bytes)
{
    struct pending pending = take();
    pending.fn(pending.ctx, what, bytes_of_str(bytes));
    free(pending.key);
}

static void answer_scan(const char *reply)
{
    ck_assert_ptr_nonnull(t.scan_fn);
    tier_reply_fn *fn = t.scan_fn;
    t.scan_fn = NULL;
    fn(t.scan_ctx, bytes_of_str(reply));
}

static void turns(int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(&t.loop, 0);
}

static void pass_ms(int64_t ms)
{
    clock_advance(&t.loop.clock, ms);
    loop_turn(&t.loop, 0);
}

static void remove_dir(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static void tear_down(void)
{
    warm_jobs_destroy(t.jobs);
    while (t.n_pending > 0)
        answer(TIER_ERROR, "-UPSTREAM closed\r\n");
    if (t.scan_fn != NULL)
        answer_scan("-UPSTREAM closed\r\n");
    store_destroy(t.store);
    timers_deinit(&t.loop.timers);
    remove_dir();
}

/* Jobs */

static struct warm_spec keys_spec(const struct bytes *keys, size_t n)
{
    return (struct warm_spec){.kind = WARM_KEYS, .keys = keys, .n_keys = n, .concurrency = 10};
}

static uint64_t start(const struct warm_spec *spec)
{
    char error[WARM_ERROR_SIZE] = "";
    uint64_t id = warm_start(t.jobs, spec, error);
    ck_assert_msg(id != 0, "%s", error);
    return id;
}

/* Starts a job for n keys "k0" ... */
static uint64_t start_n(size_t n, struct warm_spec more)
{
    struct bytes *keys = calloc(n, sizeof(*keys));
    char *names = calloc(n, 16);
    for (size_t i = 0; i < n; i++)
        keys[i] = bytes_of(names + 16 * i, (size_t)snprintf(names + 16 * i, 16, "k%zu", i));
    more.kind = WARM_KEYS;
    more.keys = keys;
    more.n_keys = n;
    if (more.concurrency == 0)
        more.concurrency = 10;
    uint64_t id = start(&more);
    free(keys);
    free(names);
    return id;
}

static struct warm_figures figures_of(uint64_t id)
{
    struct warm_figures figures;
    ck_assert(warm_read(t.jobs, id, &figures));
    return figures;
}

static void check_sum(const struct warm_figures *f)
{
    const struct warm_counts *c = &f->counts;
    ck_assert_uint_eq(c->asked, c->warmed + c->skipped + c->missing + c->failed + f->in_flight);
}

static void check_state(uint64_t id, enum warm_state state, const char *reason)
{
    struct warm_figures figures = figures_of(id);
    ck_assert_str_eq(warm_state_name(figures.state), warm_state_name(state));
    ck_assert_str_eq(figures.reason, reason);
    check_sum(&figures);
}

START_TEST(keys_are_counted_by_what_became_of_them)
{
    struct bytes keys[] = {BYTES("one"), BYTES("have"), BYTES("gone"), BYTES("list"), BYTES("big")};
    put("have", 4, "x", 1);
    struct warm_spec spec = keys_spec(keys, 5);
    spec.ttl_ms = 60000;
    uint64_t id = start(&spec);
    ck_assert_uint_eq(id, 1);
    ck_assert_uint_eq(t.n_fetches, 0); /* not inside the call */
    turns(1);
    ck_assert_uint_eq(t.n_pending, 4);
    ck_assert_int_eq(t.ttl_cap_ms, 60000);
    check_state(id, WARM_RUNNING, "");
    answer_value("value");
    answer(TIER_ABSENT, "");
    answer(TIER_ERROR, "-WRONGTYPE Operation against a key\r\n");
    answer(TIER_STRING, "not kept");
    pass_ms(500);
    check_state(id, WARM_DONE, "");
    struct warm_figures f = figures_of(id);
    ck_assert_uint_eq(f.counts.asked, 5);
    ck_assert_uint_eq(f.counts.warmed, 1);
    ck_assert_uint_eq(f.counts.skipped, 1);
    ck_assert_uint_eq(f.counts.missing, 1);
    ck_assert_uint_eq(f.counts.failed, 2);
    ck_assert_uint_eq(f.counts.wrong_type, 1);
    ck_assert_uint_eq(f.counts.not_kept, 1);
    ck_assert_uint_eq(f.counts.bytes, 5);
    ck_assert_int_eq(f.elapsed_ms, 500);
    ck_assert_double_eq(f.rate, 10);
    ck_assert_int_eq(f.left_ms, 0);
    ck_assert_str_eq(f.last_error, "L1 did not keep a value: too big, or changed or expired "
                                   "meanwhile");
}
END_TEST

START_TEST(concurrency_and_turns_bound_what_is_in_flight)
{
    uint64_t id = start_n(100, (struct warm_spec){.concurrency = 20});
    turns(1);
    ck_assert_uint_le(t.n_pending, 8);
    turns(10);
    ck_assert_uint_eq(t.n_pending, 20);
    while (t.n_pending > 0) {
        answer_value("v");
        turns(1);
    }
    ck_assert_uint_eq(t.max_pending, 20);
    ck_assert_uint_eq(figures_of(id).counts.warmed, 100);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(two_jobs_share_the_turns)
{
    uint64_t a = start_n(1000, (struct warm_spec){.concurrency = 500});
    uint64_t b = start_n(1000, (struct warm_spec){.concurrency = 500, .db = 1});
    turns(20);
    ck_assert_uint_eq(t.n_pending, 160);
    ck_assert_uint_eq(figures_of(a).in_flight, 80);
    ck_assert_uint_eq(figures_of(b).in_flight, 80);
}
END_TEST

START_TEST(many_known_keys_take_several_turns)
{
    for (int i = 0; i < 2000; i++) {
        char key[16];
        put(key, (size_t)snprintf(key, sizeof(key), "k%d", i), "v", 1);
    }
    uint64_t id = start_n(2000, (struct warm_spec){0});
    turns(1);
    ck_assert_uint_le(figures_of(id).counts.skipped, 256);
    check_state(id, WARM_RUNNING, "");
    turns(10);
    ck_assert_uint_eq(figures_of(id).counts.skipped, 2000);
    ck_assert_uint_eq(t.n_fetches, 0);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(a_full_link_gets_nothing_more)
{
    t.is_full = true;
    uint64_t id = start_n(3, (struct warm_spec){0});
    for (int i = 0; i < 20; i++)
        pass_ms(5);
    ck_assert_uint_eq(t.n_fetches, 0);
    check_state(id, WARM_RUNNING, "");
    t.is_full = false;
    pass_ms(5);
    ck_assert_uint_eq(t.n_fetches, 3);
}
END_TEST

START_TEST(rate_is_kept)
{
    start_n(500, (struct warm_spec){.rate = 50, .concurrency = 1000});
    for (int i = 0; i < 200; i++)
        pass_ms(5);
    ck_assert_uint_ge(t.n_fetches, 48);
    ck_assert_uint_le(t.n_fetches, 52);
}
END_TEST

START_TEST(a_high_rate_is_reached_in_steps)
{
    start_n(2000, (struct warm_spec){.rate = 1000, .concurrency = 1000});
    for (int i = 0; i < 50; i++) {
        pass_ms(10);
        turns(3);
    }
    ck_assert_uint_ge(t.n_fetches, 480);
    ck_assert_uint_le(t.n_fetches, 521);
}
END_TEST

START_TEST(limit_bounds_the_keys)
{
    uint64_t id = start_n(50, (struct warm_spec){.limit = 3});
    turns(1);
    ck_assert_uint_eq(t.n_pending, 3);
    while (t.n_pending > 0)
        answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.asked, 3);
}
END_TEST

START_TEST(time_left_is_estimated)
{
    uint64_t id = start_n(40, (struct warm_spec){.concurrency = 1});
    ck_assert_int_eq(figures_of(id).left_ms, -1);
    turns(1);
    for (int i = 0; i < 9; i++) {
        pass_ms(100);
        answer_value("v");
        turns(1);
    }
    struct warm_figures f = figures_of(id); /* the tenth is under way after 900 ms */
    ck_assert_int_eq(f.left_ms, 2700);
    ck_assert_double_eq(f.rate, 10);
}
END_TEST

/* Trouble */

START_TEST(a_job_waits_for_the_link_and_goes_on)
{
    t.state = LINK_DOWN;
    uint64_t id = start_n(2, (struct warm_spec){0});
    pass_ms(1);
    check_state(id, WARM_PAUSED, "waiting for L2");
    ck_assert_str_eq(figures_of(id).last_error, "Connection refused");
    for (int i = 0; i < 50; i++)
        pass_ms(1 * SECOND_MS);
    check_state(id, WARM_PAUSED, "waiting for L2");
    ck_assert_uint_eq(t.n_fetches, 0);
    t.state = LINK_READY;
    pass_ms(SECOND_MS);
    ck_assert_uint_eq(t.n_pending, 1); /* one, to see */
    answer_value("v");
    turns(1);
    check_state(id, WARM_RUNNING, "");
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(a_job_gives_the_link_up_after_a_minute)
{
    t.state = LINK_CONNECTING;
    uint64_t id = start_n(2, (struct warm_spec){0});
    for (int i = 0; i < 59; i++)
        pass_ms(1 * SECOND_MS);
    check_state(id, WARM_PAUSED, "waiting for L2");
    pass_ms(1 * SECOND_MS);
    pass_ms(1 * SECOND_MS);
    check_state(id, WARM_FAILED, "L2 did not answer for 60 s");
}
END_TEST

START_TEST(a_lost_link_costs_no_key)
{
    uint64_t id = start_n(5, (struct warm_spec){.concurrency = 3});
    turns(1);
    t.state = LINK_DOWN;
    for (int i = 0; i < 3; i++)
        answer(TIER_ERROR, "-UPSTREAM link lost\r\n");
    turns(2);
    ck_assert_uint_eq(t.n_pending, 0);
    check_state(id, WARM_PAUSED, "waiting for L2");
    ck_assert_uint_eq(figures_of(id).in_flight, 3); /* they wait */
    t.state = LINK_READY;
    pass_ms(200);
    while (t.n_pending > 0) {
        answer_value("v");
        turns(1);
    }
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.warmed, 5);
    ck_assert_uint_eq(figures_of(id).counts.retried, 3);
}
END_TEST

START_TEST(a_key_that_is_cut_off_three_times_has_failed)
{
    uint64_t id = start_n(2, (struct warm_spec){.concurrency = 1});
    turns(1);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(t.n_pending, 1);
        answer(TIER_ERROR, "-UPSTREAM reply too big\r\n");
        turns(2);
        ck_assert_uint_eq(t.n_pending, 0); /* a wait comes first */
        for (int j = 0; j < 3 && t.n_pending == 0; j++)
            pass_ms(SECOND_MS);
    }
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.failed, 1);
    ck_assert_uint_eq(figures_of(id).counts.warmed, 1);
    ck_assert_str_eq(figures_of(id).last_error, "UPSTREAM reply too big");
}
END_TEST

START_TEST(an_l2_that_loads_is_waited_for)
{
    uint64_t id = start_n(1, (struct warm_spec){0});
    turns(1);
    for (int i = 0; i < 20; i++) {
        answer(TIER_ERROR, "-LOADING Redis is loading the dataset in memory\r\n");
        turns(1);
        check_state(id, WARM_PAUSED, "waiting for L2");
        ck_assert_uint_eq(t.n_pending, 0);
        pass_ms(1 * SECOND_MS);
        ck_assert_uint_eq(t.n_pending, 1);
    }
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.failed, 0);
}
END_TEST

START_TEST(an_l2_that_loads_for_ever_is_given_up)
{
    uint64_t id = start_n(1, (struct warm_spec){0});
    turns(1);
    for (int i = 0; i < 61 && t.n_pending > 0; i++) {
        answer(TIER_ERROR, "-LOADING\r\n");
        turns(1);
        pass_ms(1 * SECOND_MS);
    }
    check_state(id, WARM_FAILED, "L2 did not answer for 60 s");
    ck_assert_uint_eq(figures_of(id).counts.failed, 1);
}
END_TEST

/* A full L1 */

START_TEST(a_full_l1_ends_the_job_and_evicts_nothing)
{
    tear_down();
    struct store_options options;
    store_options_default(&options);
    options.max_bytes = 100000;
    set_up_with(&options);
    uint64_t id = start_n(1000, (struct warm_spec){.concurrency = 4});
    char value[1001];
    memset(value, 'v', 1000);
    value[1000] = '\0';
    turns(1);
    while (t.n_pending > 0) {
        answer_value(value);
        turns(1);
    }
    check_state(id, WARM_STOPPED, "L1 is full");
    struct warm_figures f = figures_of(id);
    ck_assert_uint_gt(f.counts.warmed, 50);
    ck_assert_uint_lt(f.counts.warmed, 100);
    struct store_counters counters;
    store_read_counters(t.store, &counters);
    ck_assert_uint_eq(counters.evictions, 0);
}
END_TEST

START_TEST(entries_are_a_limit_too)
{
    tear_down();
    struct store_options options;
    store_options_default(&options);
    options.max_entries = 20;
    set_up_with(&options);
    uint64_t id = start_n(30, (struct warm_spec){0});
    turns(1);
    while (t.n_pending > 0) {
        answer_value("v");
        turns(1);
    }
    check_state(id, WARM_STOPPED, "L1 is full");
    ck_assert_uint_eq(figures_of(id).counts.warmed, 20);
}
END_TEST

START_TEST(what_a_flush_left_is_room_to_come)
{
    tear_down();
    struct store_options options;
    store_options_default(&options);
    options.max_entries = 20;
    set_up_with(&options);
    for (int i = 0; i < 20; i++) {
        char key[16];
        put(key, (size_t)snprintf(key, sizeof(key), "old%d", i), "v", 1);
    }
    store_flush_all(t.store);
    uint64_t id = start_n(1, (struct warm_spec){0});
    turns(3);
    check_state(id, WARM_RUNNING, "");
    ck_assert_uint_eq(t.n_pending, 0);
    while (store_cycle(t.store, t.loop.clock.mono_ms, 1000))
        ;
    pass_ms(20);
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
}
END_TEST

/* MATCH */

static uint64_t start_match(const char *pattern, struct warm_spec more)
{
    more.kind = WARM_MATCH;
    more.text = bytes_of_str(pattern);
    if (more.concurrency == 0)
        more.concurrency = 10;
    return start(&more);
}

START_TEST(match_scans_page_by_page)
{
    uint64_t id = start_match("user:*", (struct warm_spec){.concurrency = 2});
    turns(1);
    ck_assert_str_eq(t.scan, "*8  $4  SCAN  $1  0  $5  COUNT  $3  100  $4  TYPE  $6  string  "
                             "$5  MATCH  $6  user:*  ");
    answer_scan("*2\r\n$2\r\n40\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    turns(1);
    ck_assert_uint_eq(t.n_scans, 1); /* its keys come first */
    answer_value("v");
    turns(1);
    ck_assert_uint_eq(t.n_scans, 1);
    answer_value("v");
    turns(1);
    ck_assert_uint_eq(t.n_scans, 2);
    ck_assert_ptr_nonnull(strstr(t.scan, "SCAN  $2  40  $5  COUNT  $3  200  "));
    answer_value("v");
    turns(1);
    answer_scan("*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
    turns(2);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.warmed, 3);
    ck_assert_uint_eq(figures_of(id).counts.skipped, 1);
}
END_TEST

START_TEST(an_l2_without_type_is_asked_without)
{
    uint64_t id = start_match("*", (struct warm_spec){0});
    turns(1);
    answer_scan("-ERR syntax error\r\n");
    turns(1);
    ck_assert_str_eq(t.scan, "*6  $4  SCAN  $1  0  $5  COUNT  $3  100  $5  MATCH  $1  *  ");
    answer_scan("*2\r\n$1\r\n0\r\n*0\r\n");
    turns(2);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(a_refused_scan_fails_the_job)
{
    uint64_t id = start_match("*", (struct warm_spec){0});
    turns(1);
    answer_scan("-NOPERM no\r\n");
    turns(1);
    answer_scan("-NOPERM no\r\n");
    turns(2);
    check_state(id, WARM_FAILED, "L2 refused SCAN: NOPERM no");
}
END_TEST

START_TEST(a_scan_that_is_cut_off_comes_again)
{
    uint64_t id = start_match("*", (struct warm_spec){0});
    turns(1);
    answer_scan("*2\r\n$1\r\n7\r\n*0\r\n");
    turns(1);
    answer_scan("-UPSTREAM link lost\r\n");
    turns(1);
    check_state(id, WARM_PAUSED, "waiting for L2");
    pass_ms(200);
    ck_assert_ptr_nonnull(strstr(t.scan, "SCAN  $1  7  "));
    answer_scan("*2\r\n$1\r\n0\r\n*0\r\n");
    turns(2);
    check_state(id, WARM_DONE, "");
}
END_TEST

START_TEST(a_limit_ends_the_scan)
{
    uint64_t id = start_match("*", (struct warm_spec){.limit = 2});
    turns(1);
    answer_scan("*2\r\n$1\r\n7\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n");
    turns(1);
    ck_assert_uint_eq(t.n_pending, 2);
    answer_value("v");
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(t.n_scans, 1);
}
END_TEST

static struct warm_source match_source(void)
{
    struct warm_source source;
    char error[WARM_ERROR_SIZE];
    struct warm_spec spec = {.kind = WARM_MATCH, .text = BYTES("p*")};
    ck_assert(warm_source_init(&source, &spec, "", error));
    return source;
}

START_TEST(scan_progress_is_the_reversed_cursor)
{
    struct warm_source source = match_source();
    char error[WARM_ERROR_SIZE];
    ck_assert_double_eq(warm_source_progress(&source), 0);
    ck_assert(warm_scan_accept(&source, BYTES("*2\r\n$1\r\n2\r\n*0\r\n"), error));
    ck_assert_double_eq(warm_source_progress(&source), 0.25);
    ck_assert(
        warm_scan_accept(&source, BYTES("*2\r\n$20\r\n18446744073709551615\r\n*0\r\n"), error));
    ck_assert_double_gt(warm_source_progress(&source), 0.999);
    ck_assert_uint_eq(source.cursor, UINT64_MAX);
    warm_source_deinit(&source);
}
END_TEST

START_TEST(scan_counts_more_where_few_match)
{
    struct warm_source source = match_source();
    char error[WARM_ERROR_SIZE];
    unsigned counts[] = {200, 400, 800, 1000, 1000};
    for (size_t i = 0; i < 5; i++) {
        ck_assert(warm_scan_accept(&source, BYTES("*2\r\n$1\r\n2\r\n*0\r\n"), error));
        ck_assert_uint_eq(source.count, counts[i]);
    }
    warm_source_deinit(&source);
}
END_TEST

/* Replies that are no reply to SCAN, and every part of one: an error or keys, but no crash. */
START_TEST(hostile_scan_replies_are_refused)
{
    const char *bad[] = {"+OK\r\n",
                         "*0\r\n",
                         "*2\r\n:0\r\n*0\r\n",
                         "*2\r\n$1\r\nx\r\n*0\r\n",
                         "*2\r\n$0\r\n\r\n*0\r\n",
                         "*2\r\n$1\r\n0\r\n$1\r\na\r\n",
                         "_\r\n",
                         "*2\r\n$20\r\n18446744073709551616\r\n*0\r\n",
                         "*3\r\n$1\r\n0\r\n*0\r\n"};
    char error[WARM_ERROR_SIZE];
    struct bytes key;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct warm_source source = match_source();
        ck_assert(!warm_scan_accept(&source, bytes_of_str(bad[i]), error));
        warm_source_deinit(&source);
    }
    static const char good[] = "*2\r\n$1\r\n0\r\n*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n";
    for (size_t len = 0; len + 1 < sizeof(good); len++) {
        struct warm_source source = match_source();
        char *cut = malloc(len + 1);
        memcpy(cut, good, len);
        enum warm_next next = WARM_NEXT_FAIL;
        if (warm_scan_accept(&source, bytes_of(cut, len), error))
            do
                next = warm_source_next(&source, &key, error);
            while (next == WARM_NEXT_KEY);
        ck_assert_int_eq(next, WARM_NEXT_FAIL);
        free(cut);
        warm_source_deinit(&source);
    }
}
END_TEST

/* FILE */

static void write_file(const char *name, const void *data, size_t len)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    close(fd);
}

static void init_file(struct warm_source *source, const void *data, size_t len)
{
    write_file("keys", data, len);
    char error[WARM_ERROR_SIZE] = "";
    struct warm_spec spec = {.kind = WARM_FILE, .text = BYTES("keys")};
    ck_assert_msg(warm_source_init(source, &spec, dir, error), "%s", error);
}

/* The next key of a file, however many reads it takes. */
static enum warm_next next_line(struct warm_source *source, struct bytes *key, char *error)
{
    enum warm_next next;
    while ((next = warm_source_next(source, key, error)) == WARM_NEXT_MORE)
        ck_assert_int_eq(warm_file_read(source), 0);
    return next;
}

#define CHECK_LINE(source, literal)                                                                \
    do {                                                                                           \
        struct bytes wanted = BYTES(literal);                                                      \
        struct bytes found;                                                                        \
        char why[WARM_ERROR_SIZE];                                                                 \
        ck_assert_int_eq(next_line(source, &found, why), WARM_NEXT_KEY);                           \
        ck_assert(bytes_equal(found, wanted));                                                     \
    } while (0)

START_TEST(lines_are_keys)
{
    static const char text[] = "plain\n\nwith blank \r\n\r\na\\nb\\r\\t\\\\c\\x00\\xfF\n#hash\n"
                               "nul\0inside\nlast";
    struct warm_source source;
    struct bytes key;
    char error[WARM_ERROR_SIZE];
    init_file(&source, text, sizeof(text) - 1);
    CHECK_LINE(&source, "plain");
    CHECK_LINE(&source, "with blank ");
    CHECK_LINE(&source, "a\nb\r\t\\c\0\xff");
    CHECK_LINE(&source, "#hash");
    CHECK_LINE(&source, "nul\0inside");
    CHECK_LINE(&source, "last");
    ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_END);
    ck_assert_double_eq(warm_source_progress(&source), 1);
    warm_source_deinit(&source);
}
END_TEST

START_TEST(unknown_escapes_are_told_by_line)
{
    static const char *const lines[] = {"a\\",    "a\\q",   "a\\x", "a\\x1",
                                        "a\\xg0", "a\\x0g", "\\X00"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char text[64];
        int len = snprintf(text, sizeof(text), "ok\n%s\nalso", lines[i]);
        struct warm_source source;
        struct bytes key;
        char error[WARM_ERROR_SIZE];
        init_file(&source, text, (size_t)len);
        CHECK_LINE(&source, "ok");
        ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_BAD);
        ck_assert_str_eq(error, "line 2 has an unknown escape");
        CHECK_LINE(&source, "also");
        warm_source_deinit(&source);
    }
}
END_TEST

START_TEST(long_lines_have_a_limit)
{
    char *text = malloc(2 * WARM_LINE_MAX + 10);
    memset(text, 'k', 2 * WARM_LINE_MAX + 10);
    text[WARM_LINE_MAX] = '\n';
    text[2 * WARM_LINE_MAX + 2] = '\n';
    struct warm_source source;
    struct bytes key;
    char error[WARM_ERROR_SIZE];
    init_file(&source, text, 2 * WARM_LINE_MAX + 10);
    ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_KEY);
    ck_assert_uint_eq(key.len, WARM_LINE_MAX);
    ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_FAIL);
    ck_assert_str_eq(error, "line 2 is longer than 65536 bytes");
    warm_source_deinit(&source);
    free(text);
}
END_TEST

START_TEST(lines_across_pieces_come_whole)
{
    struct buf text;
    buf_init(&text);
    for (int i = 0; i < 30000; i++)
        ck_assert(buf_printf(&text, "key:%07d%s", i, i % 2 ? "\r\n" : "\n"));
    struct warm_source source;
    init_file(&source, text.data, text.len);
    for (int i = 0; i < 30000; i++) {
        struct bytes key;
        char error[WARM_ERROR_SIZE];
        char wanted[16];
        snprintf(wanted, sizeof(wanted), "key:%07d", i);
        ck_assert_int_eq(next_line(&source, &key, error), WARM_NEXT_KEY);
        ck_assert(bytes_equal(key, bytes_of_str(wanted)));
        ck_assert_uint_le(source.bytes.cap, 2 * (WARM_FILE_PIECE + WARM_LINE_MAX));
    }
    warm_source_deinit(&source);
    buf_deinit(&text);
}
END_TEST

START_TEST(a_file_is_warmed)
{
    write_file("list", "a\nbad\\q\nb\n", 10);
    struct warm_spec spec = {.kind = WARM_FILE, .text = BYTES("list"), .concurrency = 10};
    uint64_t id = start(&spec);
    turns(2);
    ck_assert_uint_eq(t.n_pending, 2);
    answer_value("v");
    answer(TIER_ABSENT, "");
    turns(2);
    check_state(id, WARM_DONE, "");
    struct warm_figures f = figures_of(id);
    ck_assert_uint_eq(f.counts.asked, 3);
    ck_assert_uint_eq(f.counts.bad_lines, 1);
    ck_assert_uint_eq(f.counts.failed, 1);
    ck_assert(bytes_equal(f.text, BYTES("list")));
    ck_assert_str_eq(f.last_error, "line 2 has an unknown escape");
}
END_TEST

START_TEST(a_long_line_fails_the_job)
{
    char *text = malloc(WARM_LINE_MAX + 100);
    memset(text, 'k', WARM_LINE_MAX + 100);
    memcpy(text, "a\n", 2);
    write_file("list", text, WARM_LINE_MAX + 100);
    free(text);
    struct warm_spec spec = {.kind = WARM_FILE, .text = BYTES("list"), .concurrency = 10};
    uint64_t id = start(&spec);
    turns(4);
    answer_value("v");
    turns(1);
    check_state(id, WARM_FAILED, "line 2 is longer than 65536 bytes");
    ck_assert_uint_eq(figures_of(id).counts.warmed, 1);
}
END_TEST

/* Paths: what may be opened, and what leads outside. */

static int open_path(const char *path)
{
    int fd = warm_file_open(dir, bytes_of_str(path));
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static void make_tree(void)
{
    char text[128], target[128];
    write_file("keys", "a\n", 2);
    snprintf(text, sizeof(text), "%s/sub", dir);
    ck_assert_int_eq(mkdir(text, 0700), 0);
    write_file("sub/keys", "a\n", 2);
    snprintf(text, sizeof(text), "%s/inner", dir);
    ck_assert_int_eq(symlink("sub/keys", text), 0);
    snprintf(text, sizeof(text), "%s/outer", dir);
    ck_assert_int_eq(symlink("/etc/passwd", text), 0);
    snprintf(text, sizeof(text), "%s/up", dir);
    ck_assert_int_eq(symlink("..", text), 0);
    snprintf(text, sizeof(text), "%s/self", dir);
    snprintf(target, sizeof(target), "%s/keys", dir);
    ck_assert_int_eq(symlink(target, text), 0);
    snprintf(text, sizeof(text), "%s/fifo", dir);
    ck_assert_int_eq(mkfifo(text, 0600), 0);
}

START_TEST(only_regular_files_inside_are_opened)
{
    char path[128];
    make_tree();
    ck_assert_int_eq(open_path("keys"), 0);
    ck_assert_int_eq(open_path("./keys"), 0);
    ck_assert_int_eq(open_path("sub//keys"), 0);
    snprintf(path, sizeof(path), "%s/sub/keys", dir);
    ck_assert_int_eq(open_path(path), 0);
    snprintf(path, sizeof(path), "%sx/keys", dir);
    ck_assert_int_eq(open_path(path), -EXDEV);
    ck_assert_int_eq(open_path("/etc/passwd"), -EXDEV);
    ck_assert_int_eq(open_path("../keys"), -EXDEV);
    ck_assert_int_eq(open_path("sub/../keys"), -EXDEV);
    ck_assert_int_eq(open_path("sub/.."), -EXDEV);
    ck_assert_int_lt(open_path("outer"), 0);
    ck_assert_int_lt(open_path("up/etc/passwd"), 0);
    ck_assert_int_lt(open_path("self"), 0); /* absolute, though it comes back */
    ck_assert_int_eq(open_path("fifo"), -EINVAL);
    ck_assert_int_eq(open_path("sub"), -EINVAL);
    ck_assert_int_eq(open_path(dir), -EXDEV);
    ck_assert_int_eq(open_path(""), -EINVAL);
    ck_assert_int_eq(open_path("none"), -ENOENT);
    ck_assert_int_eq(open_path("keys/x"), -ENOTDIR);
    ck_assert_int_eq(warm_file_open(dir, BYTES("keys\0x")), -EINVAL);
    char *longest = malloc(10000);
    memset(longest, 'x', 10000);
    ck_assert_int_eq(warm_file_open(dir, bytes_of(longest, 10000)), -ENAMETOOLONG);
    ck_assert_int_eq(warm_file_open(dir, bytes_of(longest, 300)), -ENAMETOOLONG);
    free(longest);
    ck_assert_int_eq(warm_file_open("/nowhere at all", BYTES("keys")), -ENOENT);
}
END_TEST

START_TEST(without_openat2_no_link_is_followed)
{
    make_tree();
    int dir_fd = open(dir, O_PATH | O_DIRECTORY);
    ck_assert_int_ge(dir_fd, 0);
    static const struct {
        const char *path;
        int code;
    } rows[] = {
        {"keys", 0},         {"sub/keys", 0},  {"./sub//keys", 0}, {"inner", -ELOOP},
        {"outer", -ELOOP},   {"self", -ELOOP}, {"none", -ENOENT},  {"up/etc/passwd", -ENOTDIR},
        {"keys/x", -ENOTDIR}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = warm_file_open_plain(dir_fd, rows[i].path);
        if (fd >= 0)
            close(fd);
        ck_assert_msg((fd < 0 ? fd : 0) == rows[i].code, "%s: %d", rows[i].path, fd);
    }
    close(dir_fd);
}
END_TEST

START_TEST(bad_files_are_refused_at_the_start)
{
    struct warm_spec spec = {.kind = WARM_FILE, .text = BYTES("../x"), .concurrency = 1};
    char error[WARM_ERROR_SIZE];
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR can't open '../x' in warm-dir: it leads out of warm-dir");
    spec.text = BYTES("none");
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR can't open 'none' in warm-dir: No such file or directory");
    struct warm_options options;
    warm_options_default(&options);
    struct warm_jobs *closed = warm_jobs_create(&t.loop, &t, &options);
    ck_assert_uint_eq(warm_start(closed, &spec, error), 0);
    ck_assert_str_eq(error, "ERR CACHE WARM FILE is off, set warm-dir to the directory of the key "
                            "files");
    warm_jobs_destroy(closed);
}
END_TEST

/* The list of jobs */

START_TEST(without_an_upstream_nothing_is_warmed)
{
    t.has_link = false;
    struct bytes key = BYTES("k");
    struct warm_spec spec = keys_spec(&key, 1);
    char error[WARM_ERROR_SIZE];
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR there is no upstream to warm from, larder serves L1 alone");
    t.has_link = true;
}
END_TEST

START_TEST(a_cancelled_job_ends_with_its_fetches)
{
    uint64_t id = start_n(50, (struct warm_spec){0});
    turns(2);
    ck_assert_uint_eq(t.n_pending, 10);
    ck_assert_int_eq(warm_cancel(t.jobs, id), WARM_CANCEL_OK);
    ck_assert_int_eq(warm_cancel(t.jobs, id), WARM_CANCEL_ENDED);
    ck_assert_int_eq(warm_cancel(t.jobs, 99), WARM_CANCEL_UNKNOWN);
    ck_assert_int_eq(warm_cancel(t.jobs, 0), WARM_CANCEL_UNKNOWN);
    while (t.n_pending > 0) {
        answer_value("v");
        turns(1);
    }
    check_state(id, WARM_CANCELLED, "");
    ck_assert_uint_eq(t.n_fetches, 10);
    ck_assert_uint_eq(figures_of(id).counts.warmed, 10);
}
END_TEST

static void note_id(void *ctx, const struct warm_figures *figures)
{
    uint64_t **at = ctx;
    *(*at)++ = figures->id;
}

START_TEST(the_last_32_ended_jobs_stay_listed)
{
    struct warm_figures figures;
    ck_assert(!warm_read(t.jobs, 0, &figures));
    put("k0", 2, "v", 1);
    for (int i = 0; i < 40; i++) {
        start_n(1, (struct warm_spec){0});
        turns(1);
    }
    uint64_t ids[64];
    uint64_t *end = ids;
    ck_assert_uint_eq(warm_each(t.jobs, note_id, &end), WARM_ENDED_KEPT);
    ck_assert_int_eq(end - ids, WARM_ENDED_KEPT);
    ck_assert_uint_eq(ids[0], 9);
    ck_assert_uint_eq(ids[WARM_ENDED_KEPT - 1], 40);
    ck_assert(!warm_read(t.jobs, 8, &figures));
    ck_assert_uint_eq(figures_of(0).id, 40);
}
END_TEST

START_TEST(jobs_under_way_are_bounded)
{
    for (int i = 0; i < WARM_JOBS_MAX; i++)
        start_n(1, (struct warm_spec){0});
    struct bytes key = BYTES("k");
    struct warm_spec spec = keys_spec(&key, 1);
    char error[WARM_ERROR_SIZE];
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR 16 warming jobs are under way, wait for one or cancel one");
    warm_cancel_all(t.jobs);
    turns(1);
    ck_assert_uint_eq(start(&spec), WARM_JOBS_MAX + 1);
}
END_TEST

START_TEST(keys_have_a_limit_in_bytes)
{
    size_t n = 1024;
    char *key = malloc(WARM_KEYS_BYTES_MAX / n);
    memset(key, 'k', WARM_KEYS_BYTES_MAX / n);
    struct bytes *keys = calloc(n, sizeof(*keys));
    for (size_t i = 0; i < n; i++)
        keys[i] = bytes_of(key, WARM_KEYS_BYTES_MAX / n - 4 + (i == n - 1));
    struct warm_spec spec = keys_spec(keys, n);
    char error[WARM_ERROR_SIZE];
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error,
                     "ERR the keys of one warming job may take 64 MB at most, use CACHE WARM "
                     "FILE");
    keys[n - 1].len--;
    mem_fail_after(1);
    ck_assert_uint_eq(warm_start(t.jobs, &spec, error), 0);
    ck_assert_str_eq(error, "ERR out of memory");
    mem_fail_after(0);
    warm_cancel(t.jobs, start(&spec));
    free(keys);
    free(key);
}
END_TEST

START_TEST(no_memory_for_a_key_fails_the_key)
{
    uint64_t id = start_n(2, (struct warm_spec){0});
    mem_fail_after(1);
    turns(1);
    mem_fail_after(0);
    answer_value("v");
    turns(1);
    check_state(id, WARM_DONE, "");
    ck_assert_uint_eq(figures_of(id).counts.failed, 1);
    ck_assert_str_eq(figures_of(id).last_error, "out of memory for a key");
}
END_TEST

/* Waiting */

struct heard {
    unsigned n;
    enum warm_state state;
    uint64_t warmed;
};

static void hear(void *ctx, const struct warm_figures *figures)
{
    struct heard *heard = ctx;
    heard->n++;
    heard->state = figures->state;
    heard->warmed = figures->counts.warmed;
}

START_TEST(waiters_hear_of_the_end_or_of_the_time)
{
    struct heard patient = {0}, hasty = {0}, late = {0};
    uint64_t id = start_n(1, (struct warm_spec){0});
    ck_assert(!warm_wait(t.jobs, 77, 1, hear, &late));
    ck_assert(warm_wait(t.jobs, id, 0, hear, &patient));
    ck_assert(warm_wait(t.jobs, id, 50, hear, &hasty));
    turns(2);
    pass_ms(49);
    ck_assert_uint_eq(hasty.n, 0);
    pass_ms(1);
    ck_assert_uint_eq(hasty.n, 1);
    ck_assert_int_eq(hasty.state, WARM_RUNNING);
    ck_assert_uint_eq(patient.n, 0);
    answer_value("v");
    turns(1);
    ck_assert_uint_eq(patient.n, 1);
    ck_assert_int_eq(patient.state, WARM_DONE);
    ck_assert_uint_eq(patient.warmed, 1);
    ck_assert(warm_wait(t.jobs, id, 1000, hear, &late));
    ck_assert_uint_eq(late.n, 0); /* never inside the call */
    turns(1);
    ck_assert_uint_eq(late.n, 1);
    ck_assert_uint_eq(hasty.n, 1);
}
END_TEST

START_TEST(the_end_of_the_list_cancels_and_tells)
{
    struct heard first = {0}, second = {0};
    uint64_t id = start_n(20, (struct warm_spec){0});
    uint64_t other = start_match("*", (struct warm_spec){0});
    ck_assert(warm_wait(t.jobs, id, 0, hear, &first));
    ck_assert(warm_wait(t.jobs, other, 100, hear, &second));
    turns(2);
    ck_assert_uint_eq(t.n_pending, 10);
    ck_assert_ptr_nonnull(t.scan_fn);
    warm_jobs_destroy(t.jobs);
    t.jobs = NULL;
    ck_assert_uint_eq(first.n, 1);
    ck_assert_uint_eq(second.n, 1);
    ck_assert_int_eq(first.state, WARM_CANCELLED);
    ck_assert_int_eq(timers_next_ms(&t.loop.timers), INT64_MAX);
    /* What is in flight comes back to nobody: tear_down sees to it, under the sanitizer's eyes. */
}
END_TEST

static Suite *suite_of_warm(void)
{
    static const TTest *const tests[] = {keys_are_counted_by_what_became_of_them,
                                         concurrency_and_turns_bound_what_is_in_flight,
                                         two_jobs_share_the_turns,
                                         many_known_keys_take_several_turns,
                                         a_full_link_gets_nothing_more,
                                         rate_is_kept,
                                         a_high_rate_is_reached_in_steps,
                                         limit_bounds_the_keys,
                                         time_left_is_estimated,
                                         a_job_waits_for_the_link_and_goes_on,
                                         a_job_gives_the_link_up_after_a_minute,
                                         a_lost_link_costs_no_key,
                                         a_key_that_is_cut_off_three_times_has_failed,
                                         an_l2_that_loads_is_waited_for,
                                         an_l2_that_loads_for_ever_is_given_up,
                                         a_full_l1_ends_the_job_and_evicts_nothing,
                                         entries_are_a_limit_too,
                                         what_a_flush_left_is_room_to_come,
                                         match_scans_page_by_page,
                                         an_l2_without_type_is_asked_without,
                                         a_refused_scan_fails_the_job,
                                         a_scan_that_is_cut_off_comes_again,
                                         a_limit_ends_the_scan,
                                         scan_progress_is_the_reversed_cursor,
                                         scan_counts_more_where_few_match,
                                         hostile_scan_replies_are_refused,
                                         lines_are_keys,
                                         unknown_escapes_are_told_by_line,
                                         long_lines_have_a_limit,
                                         lines_across_pieces_come_whole,
                                         a_file_is_warmed,
                                         a_long_line_fails_the_job,
                                         only_regular_files_inside_are_opened,
                                         without_openat2_no_link_is_followed,
                                         bad_files_are_refused_at_the_start,
                                         without_an_upstream_nothing_is_warmed,
                                         a_cancelled_job_ends_with_its_fetches,
                                         the_last_32_ended_jobs_stay_listed,
                                         jobs_under_way_are_bounded,
                                         keys_have_a_limit_in_bytes,
                                         no_memory_for_a_key_fails_the_key,
                                         waiters_hear_of_the_end_or_of_the_time,
                                         the_end_of_the_list_cancels_and_tells};
    TCase *tcase = tcase_create("warm");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
        tcase_add_test(tcase, tests[i]);
    Suite *suite = suite_create("warm");
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    SRunner *runner = srunner_create(suite_of_warm());
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
