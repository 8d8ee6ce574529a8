/* The check "deadline"; see history_check.h.
 *
 * A value's deadline is that of its own write, or of the last operation that set one while it was there. Which of them
 * was the last isn't always certain; then the latest of their deadlines counts, and none does if one of them is to live
 * for ever. What was set elsewhere may reach the view as late as any other change. */
#include "history_check_internal.h"

/* A value with more operations on its deadline than this is let pass. */
#define DEADLINES_MAX 64

struct deadlines {
    size_t ops[DEADLINES_MAX + 1]; /* that may have set the value's deadline */
    size_t n;
};

/* The latest moment for which one operation may have set the deadline. */
static int64_t deadline_of(const struct check *check, size_t i)
{
    const struct op *op = op_at(check, i);
    if (op->extra <= 0)
        return OP_NEVER;
    return later_by(check->bounds[i], op->extra * NS_PER_MS);
}

/* Collects what may have set the deadline of a value that was written by `write` and read until end_ns. False: it is too
 * much. */
static bool collect(const struct check *check, size_t write, int64_t end_ns,
                    struct deadlines *deadlines)
{
    size_t low = 0;
    size_t high = check->n_deadlines;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (op_at(check, check->deadlines[middle])->begin_ns <= end_ns)
            low = middle + 1;
        else
            high = middle;
    }
    deadlines->n = 0;
    for (size_t i = low; i-- > 0;) {
        size_t op = check->deadlines[i];
        if (check->bounds[op] < op_at(check, write)->begin_ns)
            continue;
        if (deadlines->n == DEADLINES_MAX)
            return false;
        deadlines->ops[deadlines->n++] = op;
    }
    if (check->history->keys[check->key].type == KEY_STRING)
        deadlines->ops[deadlines->n++] = write;
    return true;
}

/* The latest deadline after operation `first` has set one: its own, or that of any which may have come later. */
static int64_t latest(const struct check *check, const struct deadlines *deadlines, size_t first)
{
    int64_t deadline_ns = deadline_of(check, first);
    for (size_t i = 0; i < deadlines->n; i++) {
        size_t op = deadlines->ops[i];
        if (check->bounds[op] < op_at(check, first)->begin_ns)
            continue;
        if (deadline_of(check, op) > deadline_ns)
            deadline_ns = deadline_of(check, op);
    }
    return deadline_ns;
}

static void check_read(const struct check *check, size_t read)
{
    struct deadlines deadlines;
    const struct op *op = op_at(check, read);
    size_t write = check->history->writes[op->value];
    int64_t bound_ns = check->bounds[write];
    if (!collect(check, write, op->end_ns, &deadlines))
        return;
    for (size_t i = 0; i < deadlines.n; i++) {
        size_t first = deadlines.ops[i];
        const struct op *setter = op_at(check, first);
        if (setter->extra <= 0 ||
            (first != write && (setter->state != OP_DONE || setter->begin_ns <= bound_ns)))
            continue;
        int64_t deadline_ns = latest(check, &deadlines, first);
        int64_t slack_ns = check->options->slack_ns;
        bool is_seen = first == write || is_promised(check, setter);
        if (deadline_ns == OP_NEVER || op->begin_ns <= deadline_ns)
            continue;
        if (is_seen)
            spread_add(&check->sums->late, op->begin_ns - deadline_ns);
        else
            slack_ns += check->options->bound_ns;
        if (op->begin_ns > deadline_ns + slack_ns)
            check_report(check, "a value behind its deadline", read, first);
    }
}

void check_deadlines(struct check *check)
{
    for (size_t i = 0; i < check->n_ops; i++) {
        const struct op *op = op_at(check, check->ops[i]);
        if (op->kind == OP_VALUE_READ && op->view == check->view && op->state == OP_DONE &&
            op->value > VALUE_NIL)
            check_read(check, check->ops[i]);
    }
}
