/* INFO: chooses sections, writes them over one snapshot, and asks L2 for what only L2 knows, the
 * sizes of its databases.
 *
 *     INFO -> text of all other sections -> "INFO keyspace" to L2
 *          -> its lines, or none after KEYSPACE_WAIT_MS -> reply
 */
#include "command/info.h"

#include "base/mem.h"
#include "command/families.h"
#include "command/info_sections.h"
#include "resp/walk.h"

/* INFO is what people look at when L2 hangs: it doesn't wait as long as other commands. */
#define KEYSPACE_WAIT_MS 1000

const char *info_redis_version(const struct larder *larder)
{
    const char *version = larder->link != NULL ? link_get_version(larder->link) : "";
    return version[0] != '\0' ? version : INFO_REDIS_LEVEL;
}

/* One INFO that waits for L2. Freed when both L2's reply has come and the client has its own. */
struct waiting {
    struct larder *larder;   /* borrowed */
    struct reply_slot *slot; /* NULL: already answered */
    struct timer timer;
    struct buf text;
};

static void answer(struct waiting *waiting)
{
    struct reply reply = slot_begin(waiting->slot);
    reply_verbatim(&reply, buf_bytes(&waiting->text));
    slot_finish(waiting->slot, &reply);
    waiting->slot = NULL;
}

static void on_timer(struct timer *timer, void *ctx)
{
    (void)timer;
    answer(ctx);
}

/* Appends the lines of L2's reply that tell a database's size; without memory, none. */
static void add_databases(struct buf *text, struct bytes reply)
{
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item item;
    if (walk_value(&walk, &item, WALK_DEPTH_MAX) != WALK_OK ||
        (item.type != WALK_VERBATIM && item.type != WALK_BULK))
        return;
    const char *at = item.text.ptr + (item.type == WALK_VERBATIM ? 4 : 0);
    const char *end = item.text.ptr + item.text.len;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline != NULL ? newline + 1 : end;
        struct bytes line = bytes_of(at, (size_t)(next - at));
        if (bytes_starts_with(line, BYTES("db")) && !buf_append(text, line.ptr, line.len))
            return;
        at = next;
    }
}

static void on_reply(void *ctx, struct bytes reply)
{
    struct waiting *waiting = ctx;
    if (waiting->slot != NULL) {
        timer_disarm(&waiting->larder->loop.timers, &waiting->timer);
        add_databases(&waiting->text, reply);
        answer(waiting);
    }
    buf_deinit(&waiting->text);
    mem_free(waiting);
}

/* Asks L2 for its databases and answers then. Takes the text. */
static void answer_later(struct call *call, struct buf *text)
{
    struct waiting *waiting = mem_zalloc(sizeof(*waiting));
    waiting->larder = call->larder;
    waiting->slot = call_defer(call);
    waiting->text = *text;
    timer_init(&waiting->timer, on_timer, waiting);
    timer_arm(&call->larder->loop.timers, &waiting->timer,
              larder_now_ms(call->larder) + KEYSPACE_WAIT_MS);
    tier_pass(call->larder->tier, 0, BYTES("*2\r\n$4\r\nINFO\r\n$8\r\nkeyspace\r\n"), on_reply,
              waiting);
}

/* True when the arguments of INFO ask for a section. */
static bool is_wanted(const struct call *call, const struct info_section *section)
{
    if (call->argc == 1)
        return section->is_default;
    for (size_t i = 1; i < call->argc; i++) {
        struct bytes name = call->argv[i];
        if (bytes_is(name, "all") || bytes_is(name, "everything") ||
            bytes_is(name, section->name) ||
            (section->alias != NULL && bytes_is(name, section->alias)) ||
            (section->is_default && bytes_is(name, "default")))
            return true;
    }
    return false;
}

static void info(struct call *call)
{
    struct info_text info = {.larder = call->larder};
    size_t n;
    const struct info_section *sections = info_sections(&n);
    bool asks_l2 = false;
    stats_snapshot_take(&info.stats, call->larder);
    for (size_t i = 0; i < n; i++) {
        if (!is_wanted(call, &sections[i]))
            continue;
        if (info.text.len > 0)
            info.failed |= !buf_append(&info.text, "\r\n", 2);
        sections[i].write(&info);
        asks_l2 |= sections[i].write == info_sections_keyspace && info.stats.link_up;
    }
    if (info.failed) {
        buf_deinit(&info.text);
        reply_error(&call->reply, "ERR out of memory");
    } else if (asks_l2) {
        answer_later(call, &info.text);
    } else {
        reply_verbatim(&call->reply, buf_bytes(&info.text));
        buf_deinit(&info.text);
    }
}

const struct command info_commands[] = {
    {.name = "info",
     .fn = info,
     .arity = -1,
     .flags = COMMAND_LOCAL,
     .group = "server",
     .since = "1.0.0",
     .summary = "Returns figures of larder and of the tiers behind it",
     .args = "[section [section ...]]"},
    {.name = NULL},
};
