/* Violations in words, with all that happened to the key around them. */
#include "history_check_internal.h"

#include <stdio.h>

/* Operations that are shown before and behind what the violation is made of, and at most in all. */
#define MARGIN 12
#define SHOWN_MAX 100

static const char *view_name(unsigned view)
{
    static const char *const names[HISTORY_VIEWS] = {"L2      ", "larder 1", "larder 2"};
    return names[view];
}

static double ms_of(const struct check *check, int64_t at_ns)
{
    return (double)(at_ns - check->history->start_ns) / NS_PER_MS;
}

static void print_value(const struct op *op)
{
    if (op->value == VALUE_STRANGE)
        printf(" strange");
    else if (op->value == VALUE_NIL)
        printf(" nothing");
    else
        printf(" v%lld", (long long)op->value);
}

static void print_effect(const struct op *op)
{
    static const char *const outcomes[] = {", outcome unknown", ", perhaps", "", ", did nothing"};
    bool is_read =
        op->kind == OP_VALUE_READ || op->kind == OP_PRESENCE_READ || op->kind == OP_COUNT_READ;
    if (is_read && op->state != OP_DONE) {
        printf(" -> no result\n");
        return;
    }
    switch ((enum op_kind)op->kind) {
    case OP_VALUE_READ:
        printf(" ->");
        print_value(op);
        break;
    case OP_PRESENCE_READ: printf(" -> %s", op->value ? "there" : "not there"); break;
    case OP_VALUE_WRITE:
        printf(" writes");
        print_value(op);
        break;
    case OP_NIL_WRITE: printf(" removes"); break;
    case OP_TTL_WRITE: printf(op->extra > 0 ? " sets a deadline" : " ends the deadline"); break;
    case OP_COUNT_READ: printf(" -> %lld", (long long)op->value); break;
    case OP_COUNT_WRITE: printf(" adds %d -> %lld", op->extra, (long long)op->value); break;
    }
    if (op->extra > 0 && (op->kind == OP_VALUE_WRITE || op->kind == OP_TTL_WRITE))
        printf(" for %d ms", op->extra);
    printf("%s%s\n", outcomes[op->state], op->is_loose ? ", not promised" : "");
}

static void print_op(const struct check *check, size_t i, const char *mark)
{
    const struct op *op = op_at(check, i);
    char end[32] = "-";
    if (op->end_ns != OP_NEVER)
        snprintf(end, sizeof(end), "%.3f", ms_of(check, op->end_ns));
    printf("%s %12.3f .. %12s  %s conn %3u  %-20s", mark, ms_of(check, op->begin_ns), end,
           view_name(op->view), op->conn, op->verb);
    print_effect(op);
}

static void print_notes(const struct check *check, int64_t from_ns, int64_t to_ns)
{
    const struct history *history = check->history;
    for (size_t i = 0; i < history->n_notes; i++) {
        const struct note *note = &history->notes[i];
        if (note->at_ns >= from_ns && note->at_ns < to_ns)
            printf("   %12.3f  %s\n", ms_of(check, note->at_ns), note->text);
    }
}

static size_t place_of(const struct check *check, size_t op)
{
    for (size_t i = 0; i < check->n_ops; i++)
        if (check->ops[i] == op)
            return i;
    return 0;
}

/* The write of the value that a read saw. */
static size_t source_of(const struct check *check, size_t op)
{
    const struct op *read = op_at(check, op);
    if (read->kind != OP_VALUE_READ || read->value <= VALUE_NIL)
        return NO_OP;
    size_t write = check->history->writes[read->value];
    return op_at(check, write)->key == check->key ? write : NO_OP;
}

/* What happened to the key from the earliest of the operations to the latest; the middle of a long story is left out. */
static void print_story(const struct check *check, size_t op, size_t other)
{
    const size_t marked[] = {op, other, source_of(check, op),
                             other != NO_OP ? source_of(check, other) : NO_OP};
    size_t from = check->n_ops;
    size_t to = 0;
    int64_t last_ns = ALWAYS;
    for (unsigned i = 0; i < 4; i++) {
        if (marked[i] == NO_OP)
            continue;
        size_t place = place_of(check, marked[i]);
        from = place < from ? place : from;
        to = place > to ? place : to;
    }
    from = from > MARGIN ? from - MARGIN : 0;
    to = to + MARGIN < check->n_ops ? to + MARGIN : check->n_ops - 1;
    for (size_t i = from; i <= to; i++) {
        size_t at = check->ops[i];
        bool is_marked = at == marked[0] || at == marked[1] || at == marked[2] || at == marked[3];
        bool is_near = i - from < SHOWN_MAX / 2 || to - i < SHOWN_MAX / 2;
        if (i - from == SHOWN_MAX / 2 && !is_near)
            printf("   ...\n");
        if (last_ns != ALWAYS)
            print_notes(check, last_ns, op_at(check, at)->begin_ns);
        last_ns = op_at(check, at)->begin_ns;
        if (is_marked || is_near)
            print_op(check, at, is_marked ? ">>" : "  ");
    }
}

void check_report(const struct check *check, const char *what, size_t op, size_t other)
{
    const struct history *history = check->history;
    if (++check->sums->n_violations > check->options->n_shown)
        return;
    printf("\nviolation %llu: %s\n", (unsigned long long)check->sums->n_violations, what);
    if (op == NO_OP)
        return;
    printf("key %s%s, round %u, milliseconds since its start:\n", history->keys[check->key].name,
           history->keys[check->key].type == KEY_COUNTER ? " (database 1)" : "", history->round);
    print_op(check, op, ">>");
    if (other != NO_OP)
        print_op(check, other, ">>");
    if (check->n_ops > 0 && op_at(check, check->ops[0])->key == check->key) {
        printf("all that happened to the key about then:\n");
        print_story(check, op, other);
    }
}
