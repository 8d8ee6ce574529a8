/* Goes through the keys of a record and prepares what the checks need; see history_check.h. */
#include "history_check_internal.h"

#include <stdlib.h>
#include <string.h>

/* L2 keeps deadlines in whole milliseconds of the wall clock, which may be adjusted a little meanwhile. */
#define CLOCK_SLOP_NS (5 * NS_PER_MS)

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n > 0 ? n : 1, size);
    if (memory == NULL)
        abort();
    return memory;
}

/* Until when each write was executed, if it was. */
static void find_bounds(struct check *check)
{
    const struct history *history = check->history;
    for (size_t i = 0; i < history->n_ops; i++) {
        const struct op *op = &history->ops[i];
        check->bounds[i] = op->state == OP_UNKNOWN ? OP_NEVER : op->end_ns;
    }
    for (size_t i = 0; i < history->n_ops; i++) {
        const struct op *op = &history->ops[i];
        if (op->kind != OP_VALUE_READ || op->state != OP_DONE || op->value <= VALUE_NIL)
            continue;
        uint32_t write = history->writes[op->value];
        if (op->end_ns < check->bounds[write])
            check->bounds[write] = op->end_ns;
    }
}

static void count_op(struct check *check, const struct op *op)
{
    bool is_read =
        op->kind == OP_VALUE_READ || op->kind == OP_PRESENCE_READ || op->kind == OP_COUNT_READ;
    check->sums->n_ops++;
    check->sums->n_reads[op->view] += is_read && op->state == OP_DONE;
    check->sums->n_unknown += !is_read && op->state == OP_UNKNOWN;
}

/* Deadlines that an operation sets end in an absence. */
static void add_expiry(struct check *check, const struct op *op, int64_t bound_ns)
{
    int64_t ttl_ns = op->extra * NS_PER_MS;
    int64_t begin_ns = op->begin_ns + ttl_ns - CLOCK_SLOP_NS;
    int64_t end_ns = later_by(bound_ns, ttl_ns + CLOCK_SLOP_NS);
    spans_add(&check->absences, begin_ns, end_ns);
    spans_add(&check->expiries, begin_ns, end_ns);
}

static void add_write(struct check *check, size_t i)
{
    const struct op *op = op_at(check, i);
    int64_t bound_ns = check->bounds[i];
    if (op->state == OP_NOTHING)
        return;
    if (op->kind == OP_VALUE_WRITE) {
        bool is_sure = op->state == OP_DONE || bound_ns < op->end_ns;
        spans_add(&check->values, op->begin_ns, bound_ns);
        if (is_sure)
            spans_add(&check->sure_values, op->begin_ns, bound_ns);
    } else if (op->kind == OP_NIL_WRITE) {
        spans_add(&check->absences, op->begin_ns, bound_ns);
        if (op->state == OP_DONE)
            spans_add(&check->sure_absences, op->begin_ns, bound_ns);
    } else if (op->kind == OP_TTL_WRITE) {
        check->deadlines = history_grow(check->deadlines, check->n_deadlines, &check->deadlines_cap,
                                        sizeof(*check->deadlines));
        check->deadlines[check->n_deadlines++] = i;
    }
    if ((op->kind == OP_VALUE_WRITE || op->kind == OP_TTL_WRITE) && op->extra > 0)
        add_expiry(check, op, bound_ns);
}

/* Sets the key, of whose operations `ops` has the places. */
static void begin_key(struct check *check, unsigned key, size_t *ops, size_t n_ops)
{
    check->key = key;
    check->ops = ops;
    check->n_ops = n_ops;
    check->absences.n = check->expiries.n = check->values.n = 0;
    check->sure_absences.n = check->sure_values.n = 0;
    check->n_deadlines = 0;
    spans_add(&check->absences, ALWAYS, ALWAYS);
    for (size_t i = 0; i < n_ops; i++)
        add_write(check, ops[i]);
    spans_sort(&check->absences);
    spans_sort(&check->expiries);
    spans_sort(&check->values);
    spans_sort(&check->sure_absences);
    spans_sort(&check->sure_values);
}

/* When the view has seen a write, at the latest; OP_NEVER: perhaps it never does. */
static int64_t seen_at(const struct check *check, const struct op *op, int64_t bound_ns)
{
    if (check->view == 0)
        return bound_ns;
    if (is_promised(check, op) && op->state == OP_DONE)
        return op->end_ns;
    return later_by(bound_ns, check->options->bound_ns);
}

static void begin_view(struct check *check, unsigned view)
{
    check->view = view;
    check->seen_values.n = check->seen_absences.n = 0;
    for (size_t i = 0; i < check->n_ops; i++) {
        const struct op *op = op_at(check, check->ops[i]);
        int64_t bound_ns = check->bounds[check->ops[i]];
        if (op->kind == OP_VALUE_WRITE && (op->state == OP_DONE || bound_ns < op->end_ns)) {
            int64_t at_ns = seen_at(check, op, bound_ns);
            if (at_ns != OP_NEVER)
                sights_add(&check->seen_values, at_ns, op->begin_ns, check->ops[i]);
        } else if (op->kind == OP_NIL_WRITE && op->state == OP_DONE) {
            sights_add(&check->seen_absences, seen_at(check, op, bound_ns), op->begin_ns,
                       check->ops[i]);
        } else if (op->kind == OP_VALUE_READ && op->state == OP_DONE && op->value > VALUE_NIL &&
                   op->view == view) {
            const struct op *write = op_at(check, check->history->writes[op->value]);
            sights_add(&check->seen_values, op->end_ns, write->begin_ns, check->ops[i]);
        }
    }
    sights_sort(&check->seen_values);
    sights_sort(&check->seen_absences);
}

static void check_key(struct check *check, unsigned key, size_t *ops, size_t n_ops)
{
    begin_key(check, key, ops, n_ops);
    for (unsigned view = 0; view < check->history->n_views; view++) {
        begin_view(check, view);
        if (check->history->keys[key].type == KEY_COUNTER) {
            check_counters(check);
            continue;
        }
        check_order(check);
        check_zones(check);
        check_deadlines(check);
    }
}

static void report_oddities(struct check *check, size_t **starts, const size_t *n_by_key)
{
    const struct history *history = check->history;
    for (size_t i = 0; i < history->n_oddities; i++) {
        const struct oddity *oddity = &history->oddities[i < ODDITIES_MAX ? i : ODDITIES_MAX - 1];
        size_t op = oddity->op < history->n_ops ? oddity->op : NO_OP;
        check->key = op == NO_OP ? 0 : history->ops[op].key;
        check->ops = starts[check->key];
        check->n_ops = n_by_key[check->key];
        check_report(check, oddity->text, op, NO_OP);
    }
}

static void free_check(struct check *check)
{
    free(check->bounds);
    free(check->absences.items);
    free(check->expiries.items);
    free(check->values.items);
    free(check->sure_absences.items);
    free(check->sure_values.items);
    free(check->deadlines);
    free(check->seen_values.items);
    free(check->seen_absences.items);
    free(check->own_value);
    free(check->own_absence);
}

void check_history(const struct history *history, const struct check_options *options,
                   struct check_sums *sums)
{
    struct check check = {.history = history, .options = options, .sums = sums};
    size_t n_by_key[HISTORY_KEYS_MAX] = {0};
    size_t *starts[HISTORY_KEYS_MAX];
    size_t *all = allocate(history->n_ops, sizeof(*all));
    check.bounds = allocate(history->n_ops, sizeof(*check.bounds));
    check.own_value = allocate(CHECK_CONNS_MAX, sizeof(*check.own_value));
    check.own_absence = allocate(CHECK_CONNS_MAX, sizeof(*check.own_absence));
    find_bounds(&check);
    for (size_t i = 0; i < history->n_ops; i++) {
        count_op(&check, &history->ops[i]);
        n_by_key[history->ops[i].key]++;
    }
    size_t *at = all;
    for (unsigned key = 0; key < history->n_keys; key++) {
        starts[key] = at;
        at += n_by_key[key];
        n_by_key[key] = 0;
    }
    for (size_t i = 0; i < history->n_ops; i++) {
        unsigned key = history->ops[i].key;
        starts[key][n_by_key[key]++] = i;
    }
    report_oddities(&check, starts, n_by_key);
    for (unsigned key = 0; key < history->n_keys; key++)
        check_key(&check, key, starts[key], n_by_key[key]);
    check_halves(&check, starts, n_by_key);
    free(all);
    free_check(&check);
}
