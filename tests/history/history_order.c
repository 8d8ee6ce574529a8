/* The checks "order", "absence", "presence" and "origin", and how stale reads were; see history_check.h. */
#include "history_check_internal.h"

/* What a read must have seen at the least. */
struct least {
    int64_t begin_ns; /* ALWAYS: nothing */
    size_t op;
};

static void raise(struct least *least, const struct check *check, size_t op)
{
    if (op != NO_OP && op_at(check, op)->begin_ns > least->begin_ns)
        *least = (struct least){op_at(check, op)->begin_ns, op};
}

/* By what the view has seen before the read began, and by what its own connection has written before, answered or
 * not: larder executes a client's commands in their order. That holds for what scripts write undeclared, too. */
static struct least least_of(const struct check *check, const struct sights *seen,
                             const struct op *read, size_t own)
{
    struct least least = {ALWAYS, NO_OP};
    const struct sight *sight = sights_before(seen, read->begin_ns);
    if (sight != NULL)
        least = (struct least){sight->best_ns, sight->best_op};
    raise(&least, check, own);
    return least;
}

static void add_stale(const struct check *check, const struct op *read, int64_t replaced_ns)
{
    if (replaced_ns < read->begin_ns)
        spread_add(&check->sums->stale[check->view], read->begin_ns - replaced_ns);
}

/* Returns false when the value can't be looked at any further. */
static bool check_origin(const struct check *check, size_t i)
{
    const struct op *read = op_at(check, i);
    const struct op *write;
    if (read->value == VALUE_STRANGE)
        return false; /* the record's oddities have it */
    write = op_at(check, check->history->writes[read->value]);
    if (write->key != read->key)
        check_report(check, "the value of another key", i, NO_OP);
    else if (write->begin_ns > read->end_ns)
        check_report(check, "a value that was written later", i,
                     check->history->writes[read->value]);
    else if (write->state == OP_NOTHING)
        check_report(check, "a value whose write was refused", i,
                     check->history->writes[read->value]);
    else
        return true;
    return false;
}

static void check_value(const struct check *check, size_t i)
{
    const struct op *read = op_at(check, i);
    if (!check_origin(check, i))
        return;
    int64_t bound_ns = check->bounds[check->history->writes[read->value]];
    struct least least = least_of(check, &check->seen_values, read, check->own_value[read->conn]);
    struct least gone =
        least_of(check, &check->seen_absences, read, check->own_absence[read->conn]);
    if (bound_ns < least.begin_ns)
        check_report(check, "a value older than what was seen", i, least.op);
    else if (bound_ns < gone.begin_ns)
        check_report(check, "a value older than its deletion", i, gone.op);
    int64_t replaced_ns = spans_least(&check->sure_values, bound_ns);
    int64_t removed_ns = spans_least(&check->sure_absences, bound_ns);
    add_stale(check, read, replaced_ns < removed_ns ? replaced_ns : removed_ns);
}

static void check_absence(const struct check *check, size_t i)
{
    const struct op *read = op_at(check, i);
    int64_t bound_ns = spans_most(&check->absences, read->end_ns);
    struct least least = least_of(check, &check->seen_values, read, check->own_value[read->conn]);
    if (bound_ns < least.begin_ns)
        check_report(check, "nothing, though a value was seen and not removed since", i, least.op);
    if (bound_ns != OP_NEVER)
        add_stale(check, read, spans_least(&check->sure_values, bound_ns));
}

static void check_presence(const struct check *check, size_t i)
{
    const struct op *read = op_at(check, i);
    int64_t bound_ns = spans_most(&check->values, read->end_ns);
    struct least gone =
        least_of(check, &check->seen_absences, read, check->own_absence[read->conn]);
    if (bound_ns < gone.begin_ns)
        check_report(check, "a key that was removed and not written since", i, gone.op);
    if (bound_ns != OP_NEVER)
        add_stale(check, read, spans_least(&check->sure_absences, bound_ns));
}

static void note_own(struct check *check, size_t i)
{
    const struct op *op = op_at(check, i);
    if (op->state != OP_DONE)
        return;
    if (op->kind == OP_VALUE_WRITE)
        check->own_value[op->conn] = i;
    else if (op->kind == OP_NIL_WRITE)
        check->own_absence[op->conn] = i;
}

void check_order(struct check *check)
{
    for (size_t i = 0; i < CHECK_CONNS_MAX; i++)
        check->own_value[i] = check->own_absence[i] = NO_OP;
    for (size_t i = 0; i < check->n_ops; i++) {
        const struct op *op = op_at(check, check->ops[i]);
        if (op->view != check->view)
            continue;
        bool is_read = op->state == OP_DONE;
        if (is_read && op->kind == OP_VALUE_READ && op->value != VALUE_NIL)
            check_value(check, check->ops[i]);
        else if (is_read &&
                 (op->kind == OP_VALUE_READ || (op->kind == OP_PRESENCE_READ && op->value == 0)))
            check_absence(check, check->ops[i]);
        else if (is_read && op->kind == OP_PRESENCE_READ)
            check_presence(check, check->ops[i]);
        note_own(check, check->ops[i]);
    }
}
