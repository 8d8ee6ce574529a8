/* The check "counters"; see history_check.h. A counter's numbers tell themselves which was first. */
#include "history_check_internal.h"

/* The highest number that the view has seen before a moment; its sights have numbers for begins. */
static const struct sight *highest_before(const struct check *check, int64_t at_ns)
{
    return sights_before(&check->seen_values, at_ns);
}

static bool is_count(const struct op *op)
{
    return op->state == OP_DONE && (op->kind == OP_COUNT_READ || op->kind == OP_COUNT_WRITE);
}

static void collect(struct check *check)
{
    check->seen_values.n = 0;
    check->values.n = 0;
    for (size_t i = 0; i < check->n_ops; i++) {
        const struct op *op = op_at(check, check->ops[i]);
        if (!is_count(op))
            continue;
        if (op->kind == OP_COUNT_WRITE) /* as a span: from the number on, until its end */
            spans_add(&check->values, op->value, op->end_ns);
        int64_t at_ns = op->end_ns;
        if (check->view > 0 && op->view != check->view)
            at_ns = later_by(at_ns, check->options->bound_ns);
        sights_add(&check->seen_values, at_ns, op->value, check->ops[i]);
    }
    sights_sort(&check->seen_values);
    spans_sort(&check->values);
}

/* `most` is the sum of all increments that had begun when the operation ended. */
static void check_count(struct check *check, size_t i, int64_t most)
{
    const struct op *op = op_at(check, i);
    int64_t before = op->kind == OP_COUNT_WRITE ? op->value - op->extra : op->value;
    const struct sight *sight = highest_before(check, op->begin_ns);
    if (sight != NULL && before < sight->best_ns)
        check_report(check, "a counter smaller than what was seen", i, sight->best_op);
    else if (check->own_value[op->conn] != NO_OP &&
             before < op_at(check, check->own_value[op->conn])->value)
        check_report(check, "a counter smaller than the connection's own increment", i,
                     check->own_value[op->conn]);
    else if (op->value > most)
        check_report(check, "a counter larger than its increments", i, NO_OP);
    int64_t replaced_ns = spans_least(&check->values, op->value);
    if (replaced_ns < op->begin_ns)
        spread_add(&check->sums->stale[check->view], op->begin_ns - replaced_ns);
    if (op->kind == OP_COUNT_WRITE)
        check->own_value[op->conn] = i;
}

void check_counters(struct check *check)
{
    collect(check);
    for (size_t i = 0; i < CHECK_CONNS_MAX; i++)
        check->own_value[i] = NO_OP;
    int64_t sum = 0;
    size_t begun = 0;
    for (size_t i = 0; i < check->n_ops; i++) {
        const struct op *op = op_at(check, check->ops[i]);
        if (!is_count(op) || op->view != check->view)
            continue;
        /* Ends aren't in the order of begins: what has begun before this end and is counted a little early can only
         * let something pass. */
        for (; begun < check->n_ops && op_at(check, check->ops[begun])->begin_ns <= op->end_ns;
             begun++) {
            const struct op *other = op_at(check, check->ops[begun]);
            if (other->kind == OP_COUNT_WRITE && other->state != OP_NOTHING)
                sum += other->extra;
        }
        check_count(check, check->ops[i], sum);
    }
}
