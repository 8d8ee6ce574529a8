/* The queue of a link's operations; see link_internal.h. */
#include "upstream/link_internal.h"

#include "base/mem.h"

#include <stdlib.h>

/* Entries of an empty queue's first ring. */
#define RING_START 256

static void grow(struct link_ops *ops)
{
    size_t cap = ops->cap == 0 ? RING_START : ops->cap * 2;
    /* Metadata of 32 bytes an operation; link_options.max_inflight bounds their number. */
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
