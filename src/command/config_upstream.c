/* CONFIG GET of what larder and L2 have together, and CONFIG SET of parameters of both; see
 * config_upstream.h.
 *
 *     CONFIG GET p -> larder's pairs, serialised -> "CONFIG GET p" to L2
 *                  -> L2's pairs but those that larder has, or none after L2_WAIT_MS -> reply
 *
 * The command goes to L2 as it came. Must not know: how larder's directives are set, sockets. */
#include "command/config_upstream.h"

#include "base/mem.h"
#include "command/subcommand.h"
#include "resp/walk.h"

/* CONFIG GET is asked when something is wrong: it doesn't wait as long as other commands. */
#define L2_WAIT_MS 1000

/* One CONFIG GET that waits for L2. Freed when both L2's reply has come and the client has its own.
 */
struct waiting {
    struct larder *larder;   /* borrowed */
    struct reply_slot *slot; /* NULL: already answered */
    struct timer timer;
    struct buf own; /* pairs of larder, bulk strings */
    size_t n_own;
    struct buf fallback; /* pairs of which L2's win; used without L2's answer */
    size_t n_fallback;
    bool failed; /* no memory for the pairs */
};

static void add_own(void *ctx, struct bytes name, struct bytes value)
{
    struct waiting *waiting = ctx;
    bool is_own = config_is_own(name);
    struct reply reply = {.out = is_own ? &waiting->own : &waiting->fallback, .proto = 2};
    reply_bulk(&reply, name);
    reply_bulk(&reply, value);
    *(is_own ? &waiting->n_own : &waiting->n_fallback) += 1;
    waiting->failed |= reply.failed;
}

/* Begins a walk over the names and values in L2's reply. Returns how many pairs there are, 0 for
 * what is no reply to CONFIG GET. */
static size_t begin_pairs(struct walk *walk, struct bytes raw)
{
    struct walk_item item;
    *walk = walk_over(raw.ptr, raw.len);
    if (walk_value(walk, &item, WALK_DEPTH_MAX) != WALK_OK ||
        (item.type != WALK_MAP && item.type != WALK_ARRAY))
        return 0;
    return item.n_items / 2;
}

static bool next_pair(struct walk *walk, struct bytes *name, struct bytes *value)
{
    struct walk_item item;
    if (walk_value(walk, &item, WALK_DEPTH_MAX) != WALK_OK || item.type != WALK_BULK)
        return false;
    *name = item.text;
    if (walk_value(walk, &item, WALK_DEPTH_MAX) != WALK_OK || item.type != WALK_BULK)
        return false;
    *value = item.text;
    return true;
}

static size_t count_others(struct bytes raw)
{
    struct walk walk;
    struct bytes name;
    struct bytes value;
    size_t n_others = 0;
    for (size_t n = begin_pairs(&walk, raw); n > 0 && next_pair(&walk, &name, &value); n--)
        n_others += !config_is_own(name);
    return n_others;
}

/* Adds L2's pairs that larder doesn't have. */
static void add_others(struct reply *reply, struct bytes raw)
{
    struct walk walk;
    struct bytes name;
    struct bytes value;
    for (size_t n = begin_pairs(&walk, raw); n > 0 && next_pair(&walk, &name, &value); n--) {
        if (config_is_own(name))
            continue;
        reply_bulk(reply, name);
        reply_bulk(reply, value.len > 0 && config_is_sensitive(name) ? BYTES("***") : value);
    }
}

/* `raw` is L2's reply, or an error. */
static void answer(struct waiting *waiting, struct bytes raw)
{
    struct reply reply = slot_begin(waiting->slot);
    bool is_answer = raw.ptr[0] == '%' || raw.ptr[0] == '*';
    if (waiting->failed) {
        reply_error(&reply, "ERR larder has no memory for this reply");
    } else if (is_answer) {
        reply_map(&reply, waiting->n_own + count_others(raw));
        reply_raw(&reply, buf_bytes(&waiting->own));
        add_others(&reply, raw);
    } else {
        reply_map(&reply, waiting->n_own + waiting->n_fallback);
        reply_raw(&reply, buf_bytes(&waiting->own));
        reply_raw(&reply, buf_bytes(&waiting->fallback));
    }
    slot_finish(waiting->slot, &reply);
    waiting->slot = NULL;
}

static void on_timer(struct timer *timer, void *ctx)
{
    (void)timer;
    answer(ctx, BYTES("-late"));
}

static void on_reply(void *ctx, struct bytes raw)
{
    struct waiting *waiting = ctx;
    if (waiting->slot != NULL) {
        timer_disarm(&waiting->larder->loop.timers, &waiting->timer);
        answer(waiting, raw);
    }
    buf_deinit(&waiting->own);
    buf_deinit(&waiting->fallback);
    mem_free(waiting);
}

void config_upstream_get(struct call *call)
{
    struct waiting *waiting = mem_zalloc(sizeof(*waiting));
    waiting->larder = call->larder;
    config_get(&call->larder->config, call->argv + 2, call->argc - 2, add_own, waiting);
    waiting->slot = call_defer(call);
    timer_init(&waiting->timer, on_timer, waiting);
    timer_arm(&call->larder->loop.timers, &waiting->timer,
              larder_now_ms(call->larder) + L2_WAIT_MS);
    tier_pass(call->larder->tier, 0, call->raw, on_reply, waiting);
}

/* CONFIG SET of both */

struct setting {
    struct reply_slot *slot;
    const struct command *command;
    struct buf own; /* CONFIG SET of what is larder's, a RESP array */
};

static void free_setting(struct setting *setting)
{
    buf_deinit(&setting->own);
    mem_free(setting);
}

static void on_set(void *ctx, struct bytes raw)
{
    struct setting *setting = ctx;
    struct reply_slot *slot = setting->slot;
    struct reply reply = slot_begin(slot);
    if (raw.ptr[0] == '-') {
        larder_count_error(slot->larder, raw);
        reply_raw(&reply, raw);
    } else {
        /* Also when the client is gone: L2 has set its part. */
        larder_execute_queued(slot->larder, slot->client, setting->command,
                              buf_bytes(&setting->own), &reply);
    }
    slot_finish(slot, &reply);
    free_setting(setting);
}

/* Appends CONFIG SET with the pairs that are larder's, or the others. */
static bool encode_part(const struct call *call, bool is_own, struct bytes *argv, struct buf *out)
{
    size_t argc = 0;
    argv[argc++] = call->argv[0];
    argv[argc++] = call->argv[1];
    for (size_t i = 2; i + 1 < call->argc; i += 2) {
        if (config_is_own(call->argv[i]) != is_own)
            continue;
        argv[argc++] = call->argv[i];
        argv[argc++] = call->argv[i + 1];
    }
    return request_encode(argv, argc, out);
}

/* An apply function that lets nothing pass, so that CONFIG SET only checks. */
static bool stop(void *ctx, uint32_t groups, char *error, size_t size)
{
    bool *reached = ctx;
    (void)groups;
    (void)error;
    (void)size;
    *reached = true;
    return false;
}

/* Checks the pairs that are larder's; answers with the error when they can't be set. */
static bool check_own(struct call *call, struct bytes *pairs)
{
    char error[CONFIG_ERR_SIZE];
    bool reached = false;
    size_t n = 0;
    for (size_t i = 2; i + 1 < call->argc; i += 2) {
        if (!config_is_own(call->argv[i]))
            continue;
        pairs[n++] = call->argv[i];
        pairs[n++] = call->argv[i + 1];
    }
    if (config_set(&call->larder->config, pairs, n / 2, stop, &reached, error, sizeof(error)) ||
        reached)
        return true;
    reply_error(&call->reply, "%s", error);
    return false;
}

void config_upstream_set(struct call *call)
{
    struct bytes *argv = mem_try(call->argc * sizeof(*argv));
    struct setting *setting = mem_zalloc(sizeof(*setting));
    struct buf others;
    buf_init(&others);
    setting->command = call->command;
    if (argv == NULL || !encode_part(call, true, argv, &setting->own) ||
        !encode_part(call, false, argv, &others)) {
        reply_error(&call->reply, "ERR larder has no memory for this command");
        free_setting(setting);
    } else if (!check_own(call, argv)) {
        free_setting(setting);
    } else {
        setting->slot = call_defer(call);
        client_block(setting->slot); /* what comes behind it sees the new values */
        tier_pass(call->larder->tier, 0, buf_bytes(&others), on_set, setting);
    }
    buf_deinit(&others);
    mem_free(argv);
}
