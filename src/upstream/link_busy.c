/* An L2 that is busy with a script (or a function) answers nothing on the link that gave it the script, and BUSY on all others. Somebody
 * who looks there (busy.c) says so here; see link_set_busy. */
#include "upstream/link_internal.h"

/* How much longer than others a script may be silent: with the defaults, L2 says that it is busy just when upstream-timeout is
 * over (busy-reply-threshold, 5 s). */
#define SCRIPT_GRACE_MS 1000

void link_note_script(struct link *link)
{
    if (link->gave)
        link_ops_at(&link->ops, link->ops.n - 1)->flags |= OP_SCRIPT;
}

void link_set_busy(struct link *link, struct bytes words)
{
    link->busy_ms = link_now_ms(link);
    link->is_busy = false;
    if (words.len == 0)
        return; /* what is refused already is told the old words */
    link->busy.len = 0;
    link->is_busy = buf_append(&link->busy, words.ptr, words.len);
}

struct bytes link_get_busy(const struct link *link)
{
    return link->is_busy ? buf_bytes(&link->busy) : BYTES("");
}

bool link_is_busy(const struct link *link)
{
    return link->is_busy;
}

int64_t link_silent_since_ms(const struct link *link)
{
    if (link->figures.state != LINK_READY || link->ops.n == 0)
        return 0;
    int64_t sent_ms = link_ops_at(&link->ops, 0)->sent_us / 1000;
    return sent_ms > link->last_read_ms ? sent_ms : link->last_read_ms;
}

bool link_may_be_busy_with(const struct link *link, const struct link_op *op)
{
    return link->figures.state == LINK_READY && !(op->flags & OP_READ) &&
           (link->is_busy || (op->flags & OP_SCRIPT));
}

int64_t link_head_due_ms(const struct link *link)
{
    int64_t due_ms = link_ops_at(&link->ops, 0)->sent_us / 1000 + SCRIPT_GRACE_MS;
    if (link->busy_ms > due_ms)
        due_ms = link->busy_ms;
    return due_ms + link->options.timeout_ms;
}

bool link_take_refused_db(struct link *link)
{
    link_set_error(link, "SELECT failed: %.*s", (int)link->reply.len - 3, link->reply.data + 1);
    if (!bytes_starts_with(buf_bytes(&link->reply), BYTES("-BUSY ")))
        return false; /* what follows would run in another database */
    link->db_refused = true;
    link_forget_db(link);
    return true;
}

bool link_check_refused_db(struct link *link)
{
    if (link->reply.data[0] == '-' || (link_ops_at(&link->ops, 0)->flags & (OP_INTERNAL | OP_OWN)))
        return true;
    link_set_error(link, "the upstream refused SELECT and ran what came behind it");
    return false;
}
