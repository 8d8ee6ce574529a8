/* A tier over its real store and link, in front of a fake upstream. The clock is manual. */
#ifndef LARDER_TESTS_TIER_SUPPORT_H
#define LARDER_TESTS_TIER_SUPPORT_H

#include "fake_upstream.h"

#include "base/log.h"
#include "base/mem.h"
#include "tier/tier.h"

#define START_MS 1000000
#define TIMEOUT_MS 5000

static struct loop loop;
static struct tier *tier;
static struct tier_options tier_options_now;

/* What became of a fetch, a write or a pass. */
struct got {
    unsigned n; /* calls */
    enum tier_answer answer;
    char text[128]; /* of the last one, cut */
};

static struct got got[64];
static size_t n_got;

/* Life */

static inline struct link_options tier_link_options(enum link_tracking tracking)
{
    char error[200];
    char address[128];
    struct link_options options = {
        .tracking = tracking,
        .timeout_ms = TIMEOUT_MS,
        .connect_timeout_ms = 1000,
        .ping_interval_ms = 3600000,
        .backoff_min_ms = 10,
        .backoff_max_ms = 10,
        .max_inflight = 65536,
        .max_reply_bytes = 1 << 24,
    };
    snprintf(address, sizeof(address), "unix:%s", upstream.path);
    ck_assert_msg(address_parse(&options.address, address, error, sizeof(error)), "%s", error);
    return options;
}

/* In a mode of coherence; with LINK_TRACKING_BROADCAST for keys that begin with "a" (`narrow`), or all. */
static inline void tier_start_in(enum link_tracking tracking, bool narrow)
{
    struct store_options store;
    log_set_level(LOG_NOTHING);
    memset(got, 0, sizeof(got));
    n_got = 0;
    ck_assert_int_eq(loop_init(&loop), 0);
    clock_init_manual(&loop.clock, START_MS, 0);
    upstream_open();
    upstream_attach(&loop);
    store_options_default(&store);
    struct link_options options = tier_link_options(tracking);
    if (narrow) {
        options.prefixes = mem_alloc(sizeof(*options.prefixes));
        options.prefixes[options.n_prefixes++] = mem_strdup("a");
    }
    memset(&tier_options_now, 0, sizeof(tier_options_now));
    tier_options_now.l1_enabled = true;
    tier_options_now.policy = (struct policy){.negative_ttl_ms = -1, .l2_ttl_factor = 1};
    tier = tier_create(&loop, store_create(&store), &options, &tier_options_now);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
}

static inline void tier_start(bool tracking)
{
    tier_start_in(tracking ? LINK_TRACKING_KEYS : LINK_TRACKING_NONE, false);
}

static inline void tier_set_up(void)
{
    tier_start(true);
}

static inline void tier_tear_down(void)
{
    tier_destroy(tier);
    upstream_close();
    loop_deinit(&loop);
    for (size_t i = 0; i < n_got; i++)
        ck_assert_uint_eq(got[i].n, 1);
}

static inline void turns(unsigned n)
{
    turn_times(&loop, n);
}

static inline void pass_ms(int64_t ms)
{
    clock_advance(&loop.clock, ms);
    turns(3);
}

static inline struct tier_counters counters(void)
{
    struct tier_counters now;
    tier_read_counters(tier, &now);
    return now;
}

/* Reads */

static inline uint64_t hash_of(const char *key)
{
    return store_hash(tier_store(tier), bytes_of_str(key));
}

static inline struct got *new_got(void)
{
    ck_assert_uint_lt(n_got, sizeof(got) / sizeof(got[0]));
    return &got[n_got++];
}

static void note(struct got *item, struct bytes bytes)
{
    size_t len = bytes.len < sizeof(item->text) ? bytes.len : sizeof(item->text) - 1;
    item->n++;
    if (len > 0)
        memcpy(item->text, bytes.ptr, len);
    item->text[len] = '\0';
}

static void on_got(void *ctx, enum tier_answer answer, struct bytes bytes)
{
    struct got *item = ctx;
    item->answer = answer;
    note(item, bytes);
}

/* Fetches a key whether L1 has it or not. */
static inline struct got *fetch_in(unsigned db, const char *key)
{
    struct got *item = new_got();
    tier_fetch(tier, db, bytes_of_str(key), hash_of(key), on_got, item);
    ck_assert_uint_eq(item->n, 0); /* never inside the call */
    return item;
}

static inline struct got *fetch(const char *key)
{
    return fetch_in(0, key);
}

/* What L1 has: the value, "(absent)", or "(none)". */
static inline const char *l1_in(unsigned db, const char *key)
{
    static char text[128];
    const struct entry *entry = tier_peek(tier, db, bytes_of_str(key), hash_of(key));
    if (entry == NULL)
        return "(none)";
    if (entry->kind == ENTRY_ABSENT)
        return "(absent)";
    struct bytes value = entry_value(entry);
    snprintf(text, sizeof(text), "%.*s", (int)value.len, value.ptr);
    return text;
}

static inline const char *l1(const char *key)
{
    return l1_in(0, key);
}

/* Puts an entry without L2's knowledge. */
static inline void put_in(unsigned db, const char *key, const char *value)
{
    struct store_item item = {.value = bytes_of_str(value), .kind = ENTRY_STRING};
    ck_assert_int_eq(
        store_put(tier_store(tier), db, bytes_of_str(key), hash_of(key), &item, loop.clock.mono_ms),
        STORE_OK);
}

/* Fetches a key, and answers it with `value` and no deadline; `select` is said before (the reply to
 * SELECT, or ""). */
static inline void fill_in(unsigned db, const char *key, const char *value, const char *select)
{
    char reply[256];
    struct got *item = fetch_in(db, key);
    turns(3);
    snprintf(reply, sizeof(reply), "%s$%zu\r\n%s\r\n:-1\r\n", select, strlen(value), value);
    upstream_say(reply);
    TURN_UNTIL(&loop, item->n > 0);
    upstream.said.len = 0;
    ck_assert_str_eq(l1_in(db, key), value);
}

static inline void fill(const char *key, const char *value)
{
    fill_in(0, key, value, "");
}

#define PUSH(len, key) ">2\r\n$10\r\ninvalidate\r\n*1\r\n$" len "\r\n" key "\r\n"
#define PUSH_ALL ">2\r\n$10\r\ninvalidate\r\n_\r\n"

/* The fetch's answer is there, and only once. */
static inline void assert_got(const struct got *item, enum tier_answer answer, const char *text)
{
    TURN_UNTIL(&loop, item->n > 0);
    turns(2);
    ck_assert_uint_eq(item->n, 1);
    ck_assert_int_eq(item->answer, answer);
    ck_assert_str_eq(item->text, text);
}

/* Writes */

static void on_wrote(void *ctx, struct bytes reply)
{
    note(ctx, reply);
}

/* Sends "SET <key> 2" as something that may change what `scope` says. */
static inline struct got *write_in(unsigned db, enum tier_scope scope, const char *key)
{
    struct bytes argv[3] = {BYTES("SET"), bytes_of_str(key), BYTES("2")};
    struct buf raw;
    struct got *item = new_got();
    buf_init(&raw);
    ck_assert(request_encode(argv, 3, &raw));
    tier_write(tier, db, buf_bytes(&raw), scope, &argv[1], scope == TIER_KEYS ? 1 : 0, on_wrote,
               item);
    buf_deinit(&raw);
    ck_assert_uint_eq(item->n, 0);
    return item;
}

static inline struct got *write_key(const char *key)
{
    return write_in(0, TIER_KEYS, key);
}

static inline void assert_wrote(const struct got *item, const char *reply)
{
    TURN_UNTIL(&loop, item->n > 0);
    turns(2);
    ck_assert_uint_eq(item->n, 1);
    ck_assert_str_eq(item->text, reply);
}

/* Running */

#define N(array) (sizeof(array) / sizeof((array)[0]))

static inline int tier_run(const char *name, void (*add_tests)(TCase *tcase))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 30);
    tcase_add_checked_fixture(tcase, tier_set_up, tier_tear_down);
    add_tests(tcase);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
