/* What the tests of warming share: a tier and a link of their own, which show what is asked of L2
 * and answer when the test says so. They take the place of those that src/tier/tier.h and
 * src/upstream/link.h declare in the program that includes this. The clock is manual. */
#ifndef LARDER_TESTS_WARM_SUPPORT_H
#define LARDER_TESTS_WARM_SUPPORT_H

#include "base/log.h"
#include "base/mem.h"
#include "tier/tier.h"
#include "tier/warm.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

static inline void set_up_with(const struct store_options *options)
{
    log_set_level(LOG_NOTHING);
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

static inline void set_up(void)
{
    struct store_options options;
    store_options_default(&options);
    set_up_with(&options);
}

/* Takes the oldest fetch in flight. */
static inline struct pending take(void)
{
    ck_assert_uint_gt(t.n_pending, 0);
    struct pending pending = t.pending[0];
    t.n_pending--;
    memmove(&t.pending[0], &t.pending[1], t.n_pending * sizeof(t.pending[0]));
    return pending;
}

static inline void put(const char *key, size_t len, const char *value, size_t value_len)
{
    struct bytes name = bytes_of(key, len);
    struct store_item item = {.value = bytes_of(value, value_len), .kind = ENTRY_STRING};
    ck_assert_int_eq(
        store_put(t.store, 0, name, store_hash(t.store, name), &item, t.loop.clock.mono_ms),
        STORE_OK);
}

/* Answers the oldest fetch: with a value that L1 keeps ... */
static inline void answer_value(const char *value)
{
    struct pending pending = take();
    put(pending.key, pending.len, value, strlen(value));
    pending.fn(pending.ctx, TIER_STRING, bytes_of_str(value));
    free(pending.key);
}

/* ... or otherwise. */
static inline void answer(enum tier_answer what, const char *bytes)
{
    struct pending pending = take();
    pending.fn(pending.ctx, what, bytes_of_str(bytes));
    free(pending.key);
}

static inline void answer_scan(const char *reply)
{
    ck_assert_ptr_nonnull(t.scan_fn);
    tier_reply_fn *fn = t.scan_fn;
    t.scan_fn = NULL;
    fn(t.scan_ctx, bytes_of_str(reply));
}

static inline void turns(int n)
{
    for (int i = 0; i < n; i++)
        loop_turn(&t.loop, 0);
}

static inline void pass_ms(int64_t ms)
{
    clock_advance(&t.loop.clock, ms);
    loop_turn(&t.loop, 0);
}

static inline void remove_dir(void)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static inline void tear_down(void)
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

static inline struct warm_spec keys_spec(const struct bytes *keys, size_t n)
{
    return (struct warm_spec){.kind = WARM_KEYS, .keys = keys, .n_keys = n, .concurrency = 10};
}

static inline uint64_t start(const struct warm_spec *spec)
{
    char error[WARM_ERROR_SIZE] = "";
    uint64_t id = warm_start(t.jobs, spec, error);
    ck_assert_msg(id != 0, "%s", error);
    return id;
}

/* Starts a job for n keys "k0" ... */
static inline uint64_t start_n(size_t n, struct warm_spec more)
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

static inline struct warm_figures figures_of(uint64_t id)
{
    struct warm_figures figures;
    ck_assert(warm_read(t.jobs, id, &figures));
    return figures;
}

static inline void check_sum(const struct warm_figures *f)
{
    const struct warm_counts *c = &f->counts;
    ck_assert_uint_eq(c->asked, c->warmed + c->skipped + c->missing + c->failed + f->in_flight);
}

static inline void check_state(uint64_t id, enum warm_state state, const char *reason)
{
    struct warm_figures figures = figures_of(id);
    ck_assert_str_eq(warm_state_name(figures.state), warm_state_name(state));
    ck_assert_str_eq(figures.reason, reason);
    check_sum(&figures);
}

static inline uint64_t start_match(const char *pattern, struct warm_spec more)
{
    more.kind = WARM_MATCH;
    more.text = bytes_of_str(pattern);
    if (more.concurrency == 0)
        more.concurrency = 10;
    return start(&more);
}

static inline void write_file(const char *name, const void *data, size_t len)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, data, len), (ssize_t)len);
    close(fd);
}

#endif
