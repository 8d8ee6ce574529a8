/* The queue of a link's operations, and how they fail; see link_internal.h. */
#include "upstream/link_internal.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Entries of an empty queue's first ring. */
#define RING_START 16

static void grow(struct link_ops *ops)
{
    size_t cap = ops->cap == 0 ? RING_START : ops->cap * 2;
    /* Metadata of 40 bytes an operation; link_options.max_inflight bounds their number. */
    struct link_op *ring = mem_alloc(cap * sizeof(*ring));
    for (size_t i = 0; i < ops->n; i++)
        ring[i] = *link_ops_at(ops, i);
    mem_free(ops->ring);
    ops->ring = ring;
    ops->cap = cap;
    ops->head = 0;
}

void link_ops_push(struct link_ops *ops, struct link_op op)
{
    if (ops->n == ops->cap)
        grow(ops);
    *link_ops_at(ops, ops->n++) = op;
}

struct link_op link_ops_pop(struct link_ops *ops)
{
    struct link_op op = *link_ops_at(ops, 0);
    ops->head = (ops->head + 1) & (ops->cap - 1);
    ops->n--;
    if (ops->n_abandoned > 0)
        ops->n_abandoned--;
    return op;
}

bool link_put(struct link *link, struct bytes raw, struct link_op op)
{
    link->given += raw.len;
    op.end = link->given;
    if (op.sent_us == 0)
        op.sent_us = link->loop->clock.mono_us;
    link_ops_push(&link->ops, op);
    return link->figures.state == LINK_READY ? link_append(link, raw.ptr, raw.len)
                                             : buf_append(&link->backlog, raw.ptr, raw.len);
}

static void fail_op(const struct link_op *op, enum link_outcome outcome, struct bytes error)
{
    if (op->fn == NULL)
        return;
    if (op->flags & OP_ABANDONED) {
        if (op->flags & OP_WRITE)
            op->fn(op->ctx, LINK_LATE, error);
        return;
    }
    op->fn(op->ctx, outcome, error);
    if ((op->flags & OP_WRITE) && outcome == LINK_FAILED)
        op->fn(op->ctx, LINK_LATE, error);
}

struct link_ops link_ops_take(struct link *link)
{
    struct link_ops ops = link->ops;
    memset(&link->ops, 0, sizeof(link->ops));
    return ops;
}

void link_fail_ops(struct link *link, struct link_ops ops, enum link_outcome outcome)
{
    char error[sizeof(link->figures.last_error) + ADDRESS_TEXT_MAX + 32];
    int len = snprintf(error, sizeof(error), "-UPSTREAM %s is down: %s\r\n", link->name,
                       link->figures.last_error);
    while (ops.n > 0) {
        struct link_op op = link_ops_pop(&ops);
        if (!(op.flags & OP_ABANDONED) && op.fn != NULL)
            link->figures.failures++;
        fail_op(&op, outcome, bytes_of(error, (size_t)len));
    }
    mem_free(ops.ring);
}

/* The queue is taken away first, since callbacks may send again. */
void link_fail_all(struct link *link, enum link_outcome outcome)
{
    link_fail_ops(link, link_ops_take(link), outcome);
}

void link_reject(struct link *link, link_reply_fn *fn, void *ctx)
{
    if (link->n_rejects == link->rejects_cap) {
        size_t cap = link->rejects_cap == 0 ? 64 : link->rejects_cap * 2;
        struct link_reject *rejects = mem_try_resize(link->rejects, cap * sizeof(*rejects));
        if (rejects == NULL)
            abort(); /* 16 bytes an operation, bounded by what clients may have in flight */
        link->rejects = rejects;
        link->rejects_cap = cap;
    }
    link->rejects[link->n_rejects++] = (struct link_reject){fn, ctx, link->is_busy};
    link->figures.failures++;
    loop_again(link->loop); /* this turn's link_flush may be over */
}

void link_run_rejects(struct link *link)
{
    size_t n = link->n_rejects; /* those that callbacks add wait for the next turn */
    if (n == 0)
        return;
    char error[sizeof(link->figures.last_error) + ADDRESS_TEXT_MAX + 64];
    int len = link_refusal_text(link, error, sizeof(error));
    for (size_t i = 0; i < n; i++) {
        struct link_reject item = link->rejects[i];
        struct bytes text = item.is_busy ? buf_bytes(&link->busy) : bytes_of(error, (size_t)len);
        item.fn(item.ctx, LINK_REFUSED, text);
    }
    link->n_rejects -= n;
    memmove(link->rejects, link->rejects + n, link->n_rejects * sizeof(*link->rejects));
}
