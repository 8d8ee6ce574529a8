/* Telling L2 by TOUCH which keys L1 was hit for; see touch.h. */
#include "tier/touch.h"

#include "base/log.h"
#include "base/mem.h"
#include "resp/request.h"
#include "tier/reply_dbs.h"
#include "tier/tier_internal.h"

#include <inttypes.h>

/* Work in slices: so many buckets (of eight entries) between two looks at the time, so long at
 * most, and not more often than that: 2.5 % of a processor. */
#define CHUNK_BUCKETS 16
#define SLICE_US 250
#define TICK_MS 10

/* After a reply, the next batch follows so much later at the earliest, so that clients' commands of
 * many turns lie between two batches. */
#define BATCH_MS 1

/* A batch that isn't full is sent when its first key has waited so long. */
#define HOLD_MS 100

/* When a reply wakes the job. */
#define NO_TIME INT64_MAX

/* In the place of a database: this key is sent. */
#define DB_DONE UINT32_MAX

struct touch_key {
    size_t start; /* in touch->names */
    size_t len;
    uint32_t db; /* the client's */
};

struct touch {
    struct loop *loop;
    struct tier *tier;
    struct touch_options options;
    struct timer timer;
    bool is_closed;        /* destroyed, and freed by the last reply */
    size_t in_flight;      /* commands */
    uint64_t warned_epoch; /* of the link on which L2's refusal was logged */
    /* The round. */
    bool in_round;
    bool is_done; /* with the walk */
    int64_t round_ms;
    uint64_t cursor;
    size_t n_visited; /* buckets */
    /* The batch. */
    bool is_full;    /* an entry of the bucket at the cursor found no room */
    int64_t held_ms; /* since its first key was put */
    size_t n_keys;
    struct touch_key keys[TOUCH_KEYS_MAX];
    struct buf names;
    struct buf command;
};

static int64_t now_of(const struct touch *touch)
{
    return touch->loop->clock.mono_ms;
}

/* When to go on */

/* Whether L2 is there and evicts what it takes for idle. */
static bool is_wanted(const struct touch *touch)
{
    const struct link *link = tier_link(touch->tier);
    enum store_policy policy;
    if (!link_state_is_up(link_get_state(link)) || !link_is_available(link) ||
        !store_policy_parse(bytes_of_str(link_get_policy(link)), &policy))
        return false;
    return policy == STORE_ALLKEYS_LRU || policy == STORE_VOLATILE_LRU ||
           policy == STORE_ALLKEYS_LFU || policy == STORE_VOLATILE_LFU;
}

static size_t n_buckets(const struct touch *touch)
{
    struct store_gauges gauges;
    store_read_gauges(tier_store(touch->tier), &gauges);
    return gauges.buckets;
}

/* How many buckets may have been visited by now: a chunk more than the part of the interval that is
 * over. */
static size_t allowed(const struct touch *touch)
{
    int64_t passed_ms = now_of(touch) - touch->round_ms;
    if (passed_ms >= touch->options.interval_ms)
        return SIZE_MAX; /* the index may have shrunk below what was visited */
    double part = (double)passed_ms / (double)touch->options.interval_ms;
    return CHUNK_BUCKETS + (size_t)(part * (double)n_buckets(touch));
}

/* When one more chunk is allowed, but not before `at_least_ms`. */
static int64_t next_chunk_ms(const struct touch *touch, int64_t at_least_ms)
{
    double part = (double)touch->n_visited / (double)n_buckets(touch);
    int64_t due_ms = touch->round_ms + touch->options.interval_ms;
    if (part < 1)
        due_ms = touch->round_ms + (int64_t)(part * (double)touch->options.interval_ms) + 1;
    return due_ms > at_least_ms ? due_ms : at_least_ms;
}

static void empty_batch(struct touch *touch)
{
    touch->n_keys = 0;
    touch->names.len = 0;
    touch->is_full = false;
}

/* Ends the round, and returns when the next one begins. */
static int64_t end_round(struct touch *touch)
{
    int64_t next_ms = touch->round_ms + touch->options.interval_ms;
    touch->in_round = false;
    empty_batch(touch);
    return next_ms > now_of(touch) ? next_ms : now_of(touch) + TICK_MS;
}

static void wake(struct touch *touch, int64_t at_ms)
{
    if (!timer_is_armed(&touch->timer) || at_ms < touch->timer.at_ms)
        timer_arm(&touch->loop->timers, &touch->timer, at_ms);
}

/* Sending */

static void log_refusal(struct touch *touch, struct bytes reply)
{
    struct link_figures figures;
    link_read_figures(tier_link(touch->tier), &figures);
    if (figures.epoch == touch->warned_epoch)
        return;
    touch->warned_epoch = figures.epoch;
    size_t len = reply.len > 3 ? reply.len - 3 : 0;
    LOG(LOG_WARNING, "Upstream %s refuses TOUCH (%.*s): its eviction doesn't know what L1 answers",
        link_get_name(tier_link(touch->tier)), (int)(len > 100 ? 100 : len), reply.ptr + 1);
}

static void on_touched(void *ctx, enum link_outcome outcome, struct bytes reply)
{
    struct touch *touch = ctx;
    touch->in_flight--;
    if (touch->is_closed) {
        if (touch->in_flight == 0)
            mem_free(touch);
        return;
    }
    bool is_error = reply.len > 0 && reply.ptr[0] == '-';
    touch->tier->counters.touch_errors += is_error;
    if (is_error && outcome == LINK_REPLY)
        log_refusal(touch, reply);
    if (!touch->in_round)
        return;
    if (is_error)
        timer_arm(&touch->loop->timers, &touch->timer, end_round(touch));
    else if (touch->in_flight == 0)
        wake(touch, touch->n_keys > 0 ? now_of(touch) + BATCH_MS
                                      : next_chunk_ms(touch, now_of(touch) + BATCH_MS));
}

/* Sends those keys of the batch that are of one database. What there is no memory for isn't named. */
static void send_db(struct touch *touch, uint32_t db)
{
    struct bytes argv[1 + TOUCH_KEYS_MAX] = {BYTES("TOUCH")};
    size_t argc = 1;
    for (size_t i = 0; i < touch->n_keys; i++) {
        struct touch_key *key = &touch->keys[i];
        if (key->db != db)
            continue;
        argv[argc++] = bytes_of(touch->names.data + key->start, key->len);
        key->db = DB_DONE;
    }
    touch->command.len = 0;
    if (!request_encode(argv, argc, &touch->command))
        return;
    touch->in_flight++;
    touch->tier->counters.touch_commands++;
    touch->tier->counters.touches += argc - 1;
    link_send(tier_link(touch->tier), db, buf_bytes(&touch->command), on_touched, touch);
}

static void send(struct touch *touch)
{
    for (size_t i = 0; i < touch->n_keys; i++)
        if (touch->keys[i].db != DB_DONE)
            send_db(touch, touch->keys[i].db);
    empty_batch(touch);
}

/* Walking */

/* Whether an entry says of a key of clients that it exists. */
static bool is_of_key(const struct touch *touch, const struct entry *entry)
{
    unsigned db = store_db_of(tier_store(touch->tier), entry);
    if (!reply_dbs_has_keys(touch->options.n_dbs, db) || entry->kind == ENTRY_ABSENT)
        return false;
    return entry->kind != ENTRY_REPLY || !tier_reply_is_absent(entry);
}

static bool visit(void *ctx, const struct entry *entry)
{
    struct touch *touch = ctx;
    struct bytes name = entry_key(entry);
    if (!(entry->flags & ENTRY_HIT) || name.len > TOUCH_BYTES_MAX || !is_of_key(touch, entry))
        return true;
    size_t start = touch->names.len;
    touch->is_full = touch->n_keys == TOUCH_KEYS_MAX || name.len > TOUCH_BYTES_MAX - start;
    if (touch->is_full)
        return false;
    struct store *store = tier_store(touch->tier);
    if (!store_take_hit(store, entry) || !buf_append(&touch->names, name.ptr, name.len))
        return true;
    if (touch->n_keys == 0)
        touch->held_ms = now_of(touch);
    touch->keys[touch->n_keys++] = (struct touch_key){
        start, name.len, reply_dbs_client(touch->options.n_dbs, store_db_of(store, entry))};
    return true;
}

/* Visits what is allowed, as long as the batch has room. A bucket that did not find room for all is
 * visited again: what the batch has of it is no longer marked. */
static void walk(struct touch *touch)
{
    size_t n_allowed = allowed(touch);
    int64_t end_ns = clock_read_ns() + SLICE_US * 1000;
    while (!touch->is_done && touch->n_visited < n_allowed) {
        touch->is_full = false;
        uint64_t next =
            store_scan(tier_store(touch->tier), touch->cursor, 1, now_of(touch), visit, touch);
        if (touch->is_full)
            return;
        touch->cursor = next;
        touch->is_done = next == 0;
        if (++touch->n_visited % CHUNK_BUCKETS == 0 && clock_read_ns() >= end_ns)
            return;
    }
}

/* Rounds */

static bool begin(struct touch *touch)
{
    struct store_gauges gauges;
    store_read_gauges(tier_store(touch->tier), &gauges);
    touch->round_ms = now_of(touch);
    touch->cursor = 0;
    touch->n_visited = 0;
    touch->is_done = false;
    if (gauges.entries == 0)
        return false;
    touch->in_round = is_wanted(touch);
    link_ask_policy(tier_link(touch->tier)); /* for the next slice, or the next round */
    return touch->in_round;
}

/* A slice of a round. Returns when the next one is due. */
static int64_t go_on(struct touch *touch)
{
    int64_t now_ms = now_of(touch);
    if (!is_wanted(touch))
        return end_round(touch);
    if (link_is_full(tier_link(touch->tier)))
        return now_ms + TICK_MS;
    walk(touch);
    bool is_due = touch->is_full || touch->is_done || now_ms - touch->held_ms >= HOLD_MS;
    if (touch->n_keys > 0 && is_due) {
        if (touch->in_flight > 0)
            return NO_TIME;
        send(touch);
    }
    if (touch->is_done && touch->n_keys == 0) {
        touch->tier->counters.touch_rounds++;
        return end_round(touch);
    }
    int64_t next_ms = next_chunk_ms(touch, now_ms + TICK_MS);
    int64_t send_ms = touch->held_ms + HOLD_MS;
    return touch->n_keys > 0 && send_ms < next_ms ? send_ms : next_ms;
}

static void take_turn(struct timer *timer, void *ctx)
{
    struct touch *touch = ctx;
    int64_t next_ms = touch->in_round || begin(touch) ? go_on(touch) : end_round(touch);
    if (next_ms != NO_TIME)
        timer_arm(&touch->loop->timers, timer, next_ms);
}

/* Life cycle */

static void start(struct touch *touch)
{
    touch->in_round = false;
    empty_batch(touch);
    timer_disarm(&touch->loop->timers, &touch->timer);
    if (touch->options.interval_ms > 0 && tier_link(touch->tier) != NULL)
        timer_arm(&touch->loop->timers, &touch->timer, now_of(touch) + touch->options.interval_ms);
}

struct touch *touch_create(struct loop *loop, struct tier *tier,
                           const struct touch_options *options)
{
    struct touch *touch = mem_zalloc(sizeof(*touch));
    touch->loop = loop;
    touch->tier = tier;
    touch->options = *options;
    timer_init(&touch->timer, take_turn, touch);
    buf_init(&touch->names);
    buf_init(&touch->command);
    start(touch);
    return touch;
}

void touch_destroy(struct touch *touch)
{
    if (touch == NULL)
        return;
    timer_disarm(&touch->loop->timers, &touch->timer);
    buf_deinit(&touch->names);
    buf_deinit(&touch->command);
    touch->is_closed = true;
    if (touch->in_flight == 0)
        mem_free(touch);
}

void touch_configure(struct touch *touch, const struct touch_options *options)
{
    bool is_same = touch->options.interval_ms == options->interval_ms;
    touch->options = *options;
    if (!is_same)
        start(touch);
}
