/* INFO: chooses sections, writes them over one snapshot, and asks L2 for what only L2 knows: the
 * sizes of its databases, what it saves, how many scripts it holds, who replicates.
 *
 *     INFO -> text of all sections -> "INFO" to L2
 *          -> its values in the places of larder's, and its databases' lines, or none of these
 *             after L2_WAIT_MS -> reply
 */
#include "command/info.h"

#include "base/mem.h"
#include "command/families.h"
#include "command/info_sections.h"
#include "resp/walk.h"

/* INFO is what people look at when L2 hangs: it doesn't wait as long as other commands. */
#define L2_WAIT_MS 1000

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

/* True for a line whose value is L2's: larder saves nothing, loads nothing and has no scripts. */
static bool is_l2s(struct bytes line)
{
    static const char *const names[] = {
        "loading:",
        "async_loading:",
        "rdb_",
        "aof_",
        "current_fork_perc:",
        "current_save_keys_",
        "number_of_cached_",
        "number_of_functions:",
        "number_of_libraries:",
        "used_memory_vm_",
        "used_memory_scripts",
        "used_memory_functions:",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (bytes_starts_with(line, bytes_of_str(names[i])))
            return true;
    return false;
}

/* Takes the next line, with its end, off `text`. */
static bool next_line(struct bytes *text, struct bytes *line)
{
    if (text->len == 0)
        return false;
    const char *newline = memchr(text->ptr, '\n', text->len);
    size_t len = newline != NULL ? (size_t)(newline + 1 - text->ptr) : text->len;
    *line = bytes_of(text->ptr, len);
    *text = bytes_of(text->ptr + len, text->len - len);
    return true;
}

/* L2's line of the same name as `line`; `line` itself when there is none. */
static struct bytes find_line(struct bytes theirs, struct bytes line)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    struct bytes found;
    if (colon == NULL)
        return line;
    struct bytes name = bytes_of(line.ptr, (size_t)(colon + 1 - line.ptr));
    while (next_line(&theirs, &found))
        if (bytes_starts_with(found, name))
            return found;
    return line;
}

/* A section of L2's, from its heading to before the blank line; empty when there is none. */
static struct bytes find_section(struct bytes theirs, struct bytes heading)
{
    struct bytes line;
    while (next_line(&theirs, &line)) {
        if (!bytes_starts_with(line, heading))
            continue;
        const char *start = line.ptr;
        while (next_line(&theirs, &line) && line.len > 2)
            ;
        return bytes_of(start, (size_t)((line.len > 2 ? theirs.ptr : line.ptr) - start));
    }
    return BYTES("");
}

/* Puts L2's section in the place of ours, whose heading was just read. Returns false without memory. */
static bool write_section(struct buf *merged, struct bytes heading, struct bytes *ours,
                          struct bytes theirs)
{
    struct bytes section = find_section(theirs, heading);
    struct bytes line = heading;
    struct bytes rest = *ours;
    if (section.len == 0)
        return buf_append(merged, heading.ptr, heading.len);
    while (next_line(&rest, &line) && line.len > 2)
        *ours = rest;
    return buf_append(merged, section.ptr, section.len);
}

/* Writes our text with L2's values, and its databases at the end, where the keyspace is. */
static bool write_merged(struct buf *merged, struct bytes ours, struct bytes theirs)
{
    struct bytes line;
    bool has_keyspace = false;
    bool ok = true;
    while (ok && next_line(&ours, &line)) {
        has_keyspace |= bytes_starts_with(line, BYTES("# Keyspace"));
        if (bytes_starts_with(line, BYTES("# Replication"))) {
            ok = write_section(merged, line, &ours, theirs);
            continue;
        }
        if (is_l2s(line))
            line = find_line(theirs, line);
        ok = buf_append(merged, line.ptr, line.len);
    }
    while (ok && has_keyspace && next_line(&theirs, &line))
        if (bytes_starts_with(line, BYTES("db")))
            ok = buf_append(merged, line.ptr, line.len);
    return ok;
}

/* Puts what is L2's into the text; without memory, nothing. */
static void merge_reply(struct buf *text, struct bytes reply)
{
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item item;
    struct buf merged;
    if (walk_value(&walk, &item, WALK_DEPTH_MAX) != WALK_OK ||
        (item.type != WALK_VERBATIM && item.type != WALK_BULK))
        return;
    size_t prefix = item.type == WALK_VERBATIM ? 4 : 0;
    buf_init(&merged);
    if (write_merged(&merged, buf_bytes(text),
                     bytes_of(item.text.ptr + prefix, item.text.len - prefix))) {
        buf_deinit(text);
        *text = merged;
    } else {
        buf_deinit(&merged);
    }
}

static void on_reply(void *ctx, struct bytes reply)
{
    struct waiting *waiting = ctx;
    if (waiting->slot != NULL) {
        timer_disarm(&waiting->larder->loop.timers, &waiting->timer);
        merge_reply(&waiting->text, reply);
        answer(waiting);
    }
    buf_deinit(&waiting->text);
    mem_free(waiting);
}

/* Asks L2 and answers then. Takes the text. */
static void answer_later(struct call *call, struct buf *text)
{
    struct waiting *waiting = mem_zalloc(sizeof(*waiting));
    waiting->larder = call->larder;
    waiting->slot = call_defer(call);
    waiting->text = *text;
    timer_init(&waiting->timer, on_timer, waiting);
    timer_arm(&call->larder->loop.timers, &waiting->timer,
              larder_now_ms(call->larder) + L2_WAIT_MS);
    tier_pass(call->larder->tier, 0, BYTES("*1\r\n$4\r\nINFO\r\n"), on_reply, waiting);
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

/* True when some values of the section are L2's. */
static bool has_l2s_values(const struct info_section *section)
{
    struct bytes name = bytes_of_str(section->name);
    return bytes_is(name, "memory") || bytes_is(name, "persistence") ||
           bytes_is(name, "replication") || bytes_is(name, "keyspace");
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
        asks_l2 |= has_l2s_values(&sections[i]) && info.stats.link_up;
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
