/* What comes and goes on a link's socket. */
#include "upstream/link_internal.h"

#include <hiredis/sds.h>

bool link_append(struct link *link, const char *raw, size_t len)
{
    return redisAppendFormattedCommand(link->redis, raw, len) == REDIS_OK;
}

/* Takes the reply to a command of the link itself: PING or SELECT. */
static bool take_own_reply(struct link *link, const struct link_op *op)
{
    if ((op->flags & OP_PROBE) && (op->flags & OP_ABANDONED))
        return true; /* too late: the next one tells */
    if (op->flags & OP_PROBE)
        link_end_probe(link, true);
    else if (op->flags & OP_WRITE) /* a PING */
        link->ping_sent = false;
    else if (link->reply.data[0] == '-')
        return link_take_refused_db(link);
    else
        link->db_refused = false;
    if (op->flags & OP_CHECK)
        link_tracking_checked(link);
    return true;
}

/* Takes one whole reply, in link->reply. Returns false when the link must go down. */
static bool take_reply(struct link *link)
{
    if (link->too_deep) {
        static const char error[] = "-ERR the reply is nested deeper than larder takes\r\n";
        link->too_deep = false;
        link->reply.len = 0;
        if (!buf_append(&link->reply, error, sizeof(error) - 1))
            return false;
    }
    char type = link->reply.data[0];
    if (type == '>') {
        if (link_read_push(link))
            return true;
        link_set_error(link, "malformed push");
        return false;
    }
    if (type == '|')
        return true; /* about the reply that follows; nobody here asked for attributes */
    if (link->figures.state == LINK_HANDSHAKE) {
        if (!link_handshake_reply(link))
            return false;
        if (link->step == link->n_steps)
            link_come_up(link);
        return true;
    }
    /* To a command of link_send_silent: whoever gave it knows which. */
    if (type == '-' && link->ops.n == 0 && link->handlers->on_push != NULL) {
        link->handlers->on_push(link->ctx, buf_bytes(&link->reply));
        return true;
    }
    /* A command that the socket has not taken yet can't have been answered. */
    if (link->ops.n == 0 || link_ops_at(&link->ops, 0)->end > link->written) {
        link_set_error(link, "a reply that no command asked for");
        return false;
    }
    if (__builtin_expect(link->db_refused, 0) && !link_check_refused_db(link))
        return false;
    struct link_op op = link_ops_pop(&link->ops);
    if (op.sent_us > link->proven_us)
        link->proven_us = op.sent_us;
    link->answered = op.end;
    link->figures.replies++;
    link->figures.rtt_us += (link->loop->clock.mono_us - op.sent_us - link->figures.rtt_us) / 8;
    if (op.flags & OP_INTERNAL)
        return take_own_reply(link, &op);
    if (type == '-')
        link_note_error_reply(link);
    if (!(op.flags & OP_ABANDONED))
        breaker_success(&link->breaker);
    if (op.fn != NULL && !(op.flags & OP_ABANDONED))
        op.fn(op.ctx, LINK_REPLY, buf_bytes(&link->reply));
    if (op.fn != NULL && (op.flags & OP_ABANDONED) && (op.flags & OP_WRITE))
        op.fn(op.ctx, LINK_LATE, buf_bytes(&link->reply));
    return true;
}

/* Takes all whole replies that have been read. Returns false when the link must go down. */
static bool take_replies(struct link *link)
{
    for (;;) {
        void *token = NULL;
        if (redisReaderGetReply(link->redis->reader, &token) != REDIS_OK) {
            const char *why = link->redis->reader->errstr;
            link_set_error(link, "malformed reply: %s",
                           link->refusal != NULL ? link->refusal : why);
            return false;
        }
        if (token == NULL)
            return true;
        if (!take_reply(link) || link->broken)
            return false;
        link->reply.len = 0;
    }
}

bool link_read_some(struct link *link)
{
    redisContext *redis = link->redis;
    char bytes[LINK_READ_BYTES];
    ssize_t n = redis->funcs->read(redis, bytes, sizeof(bytes));
    link->figures.reads++;
    if (n < 0) {
        link_set_error(link, "%s",
                       redis->err == REDIS_ERR_EOF ? "connection closed by the upstream"
                                                   : redis->errstr);
        return false;
    }
    if (n == 0)
        return true;
    link->figures.bytes_in += (uint64_t)n;
    link->last_read_ms = link_now_ms(link);
    if (__builtin_expect(link->is_busy, 0) && link->figures.state == LINK_READY)
        link_set_busy(link, BYTES("")); /* it was silent for what it is now through with */
    if (redisReaderFeed(redis->reader, bytes, (size_t)n) != REDIS_OK) {
        link_set_error(link, "out of memory for a reply");
        return false;
    }
    if (redis->reader->len - redis->reader->pos > link->options.max_reply_bytes + LINK_READ_BYTES) {
        link_set_error(link, "a reply above the limit of %zu bytes", link->options.max_reply_bytes);
        return false;
    }
    bool ok = take_replies(link);
    buf_trim(&link->reply, LINK_READER_KEEP);
    return ok;
}

bool link_write_some(struct link *link)
{
    int done = 0;
    size_t before = sdslen(link->redis->obuf);
    if (before == 0)
        return true;
    if (redisBufferWrite(link->redis, &done) != REDIS_OK) {
        link_set_error(link, "%s", link->redis->errstr);
        return false;
    }
    link->figures.writes++;
    size_t taken = before - sdslen(link->redis->obuf);
    link->figures.bytes_out += taken;
    if (link->figures.state == LINK_READY)
        link->written += taken;
    loop_rewatch(link->loop, &link->watch, done ? LOOP_READ : LOOP_READ | LOOP_WRITE);
    return true;
}
