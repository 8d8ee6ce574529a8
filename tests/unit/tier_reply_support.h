/* A tier whose L2 is played by the test, and what the tests of cached replies ask of it; shared by
 * test_tier_reply*.c. */
#ifndef LARDER_TESTS_TIER_REPLY_SUPPORT_H
#define LARDER_TESTS_TIER_REPLY_SUPPORT_H

#include "tier/reply_dbs.h"
#include "tier/tier.h"

#include "base/log.h"
#include "base/mem.h"
#include "fake_upstream.h"

#define N_DBS 4
#define VARIANTS 3
#define L1_TTL_MS 300000
#define HOUR_MS 3600000

static struct loop loop;
static struct tier *tier;

static void start(struct tier_options options, struct store_options store_options)
{
    char url[200];
    char error[200];
    struct link_options link_options = {
        .tracking = LINK_TRACKING_KEYS,
        .timeout_ms = 1000,
        .connect_timeout_ms = 1000,
        .ping_interval_ms = 10 * HOUR_MS,
        .backoff_min_ms = 1,
        .backoff_max_ms = 1,
        .max_inflight = 1000,
        .max_reply_bytes = 1u << 24,
    };
    snprintf(url, sizeof(url), "unix:%s", upstream.path);
    ck_assert_msg(address_parse(&link_options.address, url, error, sizeof(error)), "%s", error);
    tier = tier_create(&loop, store_create(&store_options), &link_options, &options);
    TURN_UNTIL(&loop, link_get_state(tier_link(tier)) == LINK_READY);
}

static inline struct tier_options usual_options(void)
{
    return (struct tier_options){
        .l1_enabled = true,
        .policy = {.ttl_ms = L1_TTL_MS, .negative_ttl_ms = -1, .l2_ttl_factor = 1},
        .n_dbs = N_DBS,
        .max_variants = VARIANTS};
}

static inline struct store_options usual_store(void)
{
    struct store_options options;
    store_options_default(&options);
    options.n_dbs = reply_dbs_total(N_DBS);
    options.seed = 1;
    return options;
}

static void set_up_loop(void)
{
    log_set_level(LOG_NOTHING);
    ck_assert_int_eq(loop_init(&loop), 0);
    clock_init_manual(&loop.clock, 1000000, 0);
    upstream_open();
    upstream_attach(&loop);
}

static inline void set_up(void)
{
    set_up_loop();
    start(usual_options(), usual_store());
}

static void tear_down(void)
{
    tier_destroy(tier);
    upstream_close();
    loop_deinit(&loop);
}

/* Reads */

/* A command of up to 7 words, the key in the second place. */
struct command {
    struct bytes argv[8];
    size_t argc;
    struct buf raw;
    struct tier_read read;
};

static inline struct tier_read *parse(struct command *command, unsigned db, const char *text)
{
    memset(command, 0, sizeof(*command));
    for (const char *p = text; *p != '\0';) {
        size_t len = strcspn(p, " ");
        command->argv[command->argc++] = bytes_of(p, len);
        p += len + (p[len] == ' ');
    }
    ck_assert(request_encode(command->argv, command->argc, &command->raw));
    command->read = (struct tier_read){
        .db = db,
        .key = command->argv[1],
        .hash = store_hash(tier_store(tier), command->argv[1]),
        .name = command->argv[0],
        .args = command->argv + 2,
        .n_args = command->argc - 2,
        .raw = buf_bytes(&command->raw),
    };
    return &command->read;
}

/* What the tier finds in L1: the reply, "" when nothing; absent ones with a "?" before them. */
static inline const char *find(unsigned db, const char *text)
{
    static char found[512];
    struct command command;
    struct tier_reply reply;
    found[0] = '\0';
    if (tier_reply_find(tier, parse(&command, db, text), &reply))
        snprintf(found, sizeof(found), "%s%.*s", reply.is_absent ? "?" : "", (int)reply.resp3.len,
                 reply.resp3.ptr);
    buf_deinit(&command.raw);
    return found;
}

#define ck_finds(db, command, reply) ck_assert_str_eq(find(db, command), reply)
#define ck_finds_nothing(db, command) ck_finds(db, command, "")

/* What a waiter heard. */
static struct heard {
    unsigned n;
    enum tier_answer answer;
    char text[512];
} heard;

static void hear(void *ctx, enum tier_answer answer, struct bytes bytes)
{
    struct heard *to = ctx;
    to->n++;
    to->answer = answer;
    snprintf(to->text, sizeof(to->text), "%.*s", (int)bytes.len, bytes.ptr);
}

static void fetch_for(unsigned db, const char *text, struct heard *to)
{
    struct command command;
    tier_reply_fetch(tier, parse(&command, db, text), hear, to);
    buf_deinit(&command.raw);
}

static inline void ck_heard(enum tier_answer answer, const char *text)
{
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_uint_eq(heard.n, 1);
    ck_assert_int_eq(heard.answer, answer);
    ck_assert_str_eq(heard.text, text);
    memset(&heard, 0, sizeof(heard));
}

/* Sends a read, and waits until L2 has it. */
static void send_read(const char *text)
{
    char expected[512];
    char key[256];
    ck_assert_int_eq(sscanf(text, "%*s %255s", key), 1);
    snprintf(expected, sizeof(expected), "PTTL %s; %s", key, text);
    memset(&heard, 0, sizeof(heard));
    fetch_for(0, text, &heard);
    upstream_expect(expected);
}

/* A read of database 0 whose reply is `reply`, from a key with that much left. */
static inline void fetch(const char *text, int64_t pttl, const char *reply)
{
    char said[512];
    send_read(text);
    snprintf(said, sizeof(said), ":%lld\r\n%s", (long long)pttl, reply);
    upstream_say(said);
    TURN_UNTIL(&loop, heard.n > 0);
    ck_assert_str_eq(heard.text, reply);
}

static inline void push(const char *key)
{
    char said[256];
    snprintf(said, sizeof(said), ">2\r\n$10\r\ninvalidate\r\n*1\r\n$%zu\r\n%s\r\n", strlen(key),
             key);
    upstream_say(said);
}

static void ignore_reply(void *ctx, struct bytes reply)
{
    (void)reply;
    ++*(unsigned *)ctx;
}

static unsigned n_written;

/* Gives a write of a key, or of more by `scope`, and lets L2 confirm it. */
static inline void write_key(unsigned db, enum tier_scope scope, const char *key)
{
    struct bytes keys[1] = {bytes_of_str(key)};
    tier_write(tier, db, BYTES("*1\r\n$5\r\nWRITE\r\n"), scope, keys, scope == TIER_KEYS,
               ignore_reply, &n_written);
}

static inline struct tier_counters counters(void)
{
    struct tier_counters now;
    tier_read_counters(tier, &now);
    return now;
}

static inline size_t n_entries(void)
{
    struct store_gauges gauges;
    store_read_gauges(tier_store(tier), &gauges);
    return gauges.entries;
}

static inline unsigned n_replies(const char *key)
{
    unsigned n = 0;
    bool is_absent;
    uint64_t hash = store_hash(tier_store(tier), bytes_of_str(key));
    return tier_reply_peek(tier, 0, bytes_of_str(key), hash, &n, &is_absent) == NULL ? 0 : n;
}

#endif
