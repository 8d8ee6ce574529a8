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

/* A CONFIG SET that is refused, with what is left to ask: does L2 know the parameter? */
struct refused {
    struct reply_slot *slot;
    size_t len;
    char name[]; /* as an error shows it */
};

static void on_known(void *ctx, struct bytes raw)
{
    struct refused *refused = ctx;
    struct walk walk;
    struct reply reply = slot_begin(refused->slot);
    if (raw.ptr[0] == '-')
        reply_raw(&reply, raw);
    else if (begin_pairs(&walk, raw) == 0)
        reply_error(&reply, "ERR Unknown option or number of arguments for CONFIG SET - '%.*s'",
                    (int)refused->len, refused->name);
    else
        reply_error(&reply,
                    "ERR CONFIG SET failed (possibly related to argument '%.*s') - parameters of "
                    "larder and of the upstream can't be set in one call",
                    (int)refused->len, refused->name);
    slot_finish(refused->slot, &reply);
    mem_free(refused);
}

void config_upstream_refuse(struct call *call, size_t at)
{
    size_t len = (size_t)subcommand_shown(call->argv[at]);
    struct bytes argv[] = {BYTES("CONFIG"), BYTES("GET"), bytes_of(call->argv[at].ptr, len)};
    struct buf raw;
    buf_init(&raw);
    if (request_encode(argv, 3, &raw)) {
        struct refused *refused = mem_alloc(sizeof(*refused) + len);
        refused->len = len;
        memcpy(refused->name, argv[2].ptr, len);
        refused->slot = call_defer(call);
        tier_pass(call->larder->tier, 0, buf_bytes(&raw), on_known, refused);
    } else {
        reply_error(&call->reply, "ERR larder has no memory for this command");
    }
    buf_deinit(&raw);
}
