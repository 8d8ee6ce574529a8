/* The check "halves"; see history_check.h.
 *
 *     MSET k 1 l 2 ---->          one command, executed at one moment
 *            <---- MGET k l: 1 and something older than 2
 *
 * A larder answers MGET key by key, so a writer at L2 may be seen in one key and not in the other; one through the same
 * larder may not. A transaction's reads are L2's own, and whole whoever wrote. */
#include "history_check_internal.h"

#include <string.h>

/* True when the operation is of the same command as the one before it. */
static bool is_same_command(const struct check *check, size_t a, size_t b)
{
    return a < check->history->n_ops && b < check->history->n_ops &&
           op_at(check, a)->command == op_at(check, b)->command;
}

static bool is_result(const struct op *op)
{
    return op->kind == OP_VALUE_READ && op->state == OP_DONE && op->value > VALUE_NIL;
}

/* The write of a read's value, where the read's command must see all that the write's command wrote; else NO_OP. */
static size_t whole_write_of(const struct check *check, size_t read)
{
    const struct op *op = op_at(check, read);
    size_t write = check->history->writes[op->value];
    const struct op *written = op_at(check, write);
    bool is_transaction = op->view == 0 || strncmp(op->verb, "multi-", 6) == 0;
    bool is_promised_here = written->view == op->view && !written->is_loose;
    return written->state == OP_DONE && (is_transaction || is_promised_here) ? write : NO_OP;
}

/* Compares what a read saw with what else its command's other read should have seen. */
static void compare(struct check *check, size_t read, size_t other)
{
    size_t write = whole_write_of(check, read);
    if (write == NO_OP)
        return;
    for (size_t half = op_at(check, write)->command; is_same_command(check, half, write); half++) {
        const struct op *written = op_at(check, half);
        if (written->kind != OP_VALUE_WRITE || half == write ||
            written->key != op_at(check, other)->key)
            continue;
        size_t seen = check->history->writes[op_at(check, other)->value];
        if (check->bounds[seen] < written->begin_ns) {
            check->key = written->key;
            check_report(check, "one half of what one command wrote, without the other", other,
                         half);
        }
    }
}

void check_halves(struct check *check, size_t **key_ops, const size_t *n_key_ops)
{
    const struct history *history = check->history;
    for (size_t read = 0; read < history->n_ops; read++) {
        if (!is_result(op_at(check, read)))
            continue;
        for (size_t other = op_at(check, read)->command; is_same_command(check, other, read);
             other++) {
            if (other == read || !is_result(op_at(check, other)))
                continue;
            unsigned key = op_at(check, other)->key;
            check->ops = key_ops[key];
            check->n_ops = n_key_ops[key];
            compare(check, read, other);
        }
    }
}
