/* The check "zones"; see history_check.h.
 *
 * The zone of a value in a view goes from the first end to the last begin of the operations that show it there: its
 * write, if the view's larder promises it, and its reads. If the first end is earlier, the zone is *forward*: the value
 * was there all the time between. Otherwise it is *backward*: the value was there at some moment between.
 *
 *     forward    |--read--|            |--read--|        v was there from the first end to the last begin
 *                         <------------>
 *     backward        |----read----|                     v was there somewhere within
 *                          |-----read-----|
 *                          <------->
 *
 * A value never comes back, so forward zones don't overlap, and a forward zone has no backward one within, and no
 * moment at which there was nothing. A write from elsewhere has no end: the view sees it when it does. */
#include "history_check_internal.h"

#include <stdlib.h>

struct zone {
    int64_t first_end_ns, last_begin_ns;
    size_t first_op, last_op; /* NO_OP: no operation has ended */
    int64_t value;
};

struct zones {
    struct zone *items; /* owned; of all values, then the forward ones by their start */
    size_t n, cap;
    size_t n_forward;
    size_t *by_value; /* owned; by value less the first one: its zone, NO_OP: none */
    int64_t first_value, last_value;
};

static bool is_forward(const struct zone *zone)
{
    return zone->first_end_ns < zone->last_begin_ns;
}

/* The zone of a value, a new one where it has none. */
static struct zone *zone_of(struct zones *zones, int64_t value)
{
    size_t *at = &zones->by_value[value - zones->first_value];
    if (*at == NO_OP) {
        zones->items = history_grow(zones->items, zones->n, &zones->cap, sizeof(*zones->items));
        *at = zones->n;
        zones->items[zones->n++] = (struct zone){OP_NEVER, ALWAYS, NO_OP, NO_OP, value};
    }
    return &zones->items[*at];
}

static void extend(struct zone *zone, size_t i, int64_t begin_ns, int64_t end_ns)
{
    if (end_ns < zone->first_end_ns) {
        zone->first_end_ns = end_ns;
        zone->first_op = i;
    }
    if (begin_ns > zone->last_begin_ns) {
        zone->last_begin_ns = begin_ns;
        zone->last_op = i;
    }
}

/* True for a read of the view that returned a value of this key. */
static bool is_sound_read(const struct check *check, const struct op *op)
{
    return op->kind == OP_VALUE_READ && op->view == check->view && op->state == OP_DONE &&
           op->value > VALUE_NIL &&
           op_at(check, check->history->writes[op->value])->key == check->key;
}

static void collect(const struct check *check, struct zones *zones)
{
    for (size_t i = 0; i < check->n_ops; i++) {
        const struct op *op = op_at(check, check->ops[i]);
        if (is_sound_read(check, op)) {
            extend(zone_of(zones, op->value), check->ops[i], op->begin_ns, op->end_ns);
        } else if (op->kind == OP_VALUE_WRITE && op->state != OP_NOTHING) {
            bool is_answered = is_promised(check, op) && op->state == OP_DONE;
            int64_t end_ns = is_answered ? op->end_ns : OP_NEVER;
            if (check->view == 0)
                end_ns = check->bounds[check->ops[i]];
            extend(zone_of(zones, op->value), check->ops[i], op->begin_ns, end_ns);
        }
    }
}

/* The range of values that the key's operations name. False: there are none. */
static bool find_range(const struct check *check, struct zones *zones)
{
    zones->first_value = OP_NEVER;
    zones->last_value = 0;
    for (size_t i = 0; i < check->n_ops; i++) {
        const struct op *op = op_at(check, check->ops[i]);
        bool has_value = op->kind == OP_VALUE_WRITE || is_sound_read(check, op);
        if (!has_value)
            continue;
        if (op->value < zones->first_value)
            zones->first_value = op->value;
        if (op->value > zones->last_value)
            zones->last_value = op->value;
    }
    return zones->last_value > 0;
}

/* Forward ones first, by their start. */
static int compare_zones(const void *a, const void *b)
{
    const struct zone *x = a;
    const struct zone *y = b;
    if (is_forward(x) != is_forward(y))
        return is_forward(x) ? -1 : 1;
    return (x->first_end_ns > y->first_end_ns) - (x->first_end_ns < y->first_end_ns);
}

/* The last forward zone that starts before at_ns; NULL: there is none. */
static const struct zone *zone_before(const struct zones *zones, int64_t at_ns)
{
    size_t low = 0;
    size_t high = zones->n_forward;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zones->items[middle].first_end_ns < at_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? &zones->items[low - 1] : NULL;
}

/* The forward zone that has all of this within; NULL: there is none. */
static const struct zone *zone_around(const struct zones *zones, int64_t begin_ns, int64_t end_ns)
{
    const struct zone *zone = zone_before(zones, begin_ns);
    return zone != NULL && end_ns < zone->last_begin_ns ? zone : NULL;
}

static void check_values(const struct check *check, const struct zones *zones)
{
    for (size_t i = 0; i + 1 < zones->n_forward; i++) {
        const struct zone *zone = &zones->items[i];
        const struct zone *next = zone + 1;
        if (next->first_end_ns < zone->last_begin_ns)
            check_report(check, "a value that came back after another was seen", zone->last_op,
                         next->first_op);
    }
    for (size_t i = zones->n_forward; i < zones->n; i++) {
        const struct zone *zone = &zones->items[i];
        const struct zone *around = zone_around(zones, zone->last_begin_ns, zone->first_end_ns);
        if (around != NULL)
            check_report(check, "a value that came back after another was there", around->last_op,
                         zone->first_op);
    }
}

/* A deadline that L2 may have kept while the larder's, a little later, still held. */
static bool is_expiry(const struct check *check, const struct op *nothing, const struct zone *zone)
{
    int64_t bound_ns = spans_most(&check->expiries, nothing->end_ns);
    return bound_ns != ALWAYS &&
           later_by(bound_ns, check->options->slack_ns) >= zone->last_begin_ns;
}

static void check_nothing(const struct check *check, const struct zones *zones)
{
    for (size_t i = 0; i < check->n_ops; i++) {
        const struct op *op = op_at(check, check->ops[i]);
        bool is_read = op->view == check->view && op->value == VALUE_NIL &&
                       (op->kind == OP_VALUE_READ || op->kind == OP_PRESENCE_READ);
        bool is_deletion = op->kind == OP_NIL_WRITE && is_promised(check, op);
        if (op->state != OP_DONE || (!is_read && !is_deletion))
            continue;
        const struct zone *around = zone_around(zones, op->begin_ns, op->end_ns);
        if (around == NULL || (is_read && is_expiry(check, op, around)))
            continue;
        check_report(check,
                     is_read ? "a value that came back after there was nothing"
                             : "a value that came back after it was removed",
                     around->last_op, check->ops[i]);
    }
}

void check_zones(struct check *check)
{
    struct zones zones = {.n = 0};
    if (!find_range(check, &zones))
        return;
    size_t n_values = (size_t)(zones.last_value - zones.first_value) + 1;
    zones.by_value = malloc(n_values * sizeof(*zones.by_value));
    if (zones.by_value == NULL)
        abort();
    for (size_t i = 0; i < n_values; i++)
        zones.by_value[i] = NO_OP;
    collect(check, &zones);
    if (zones.n > 0)
        qsort(zones.items, zones.n, sizeof(*zones.items), compare_zones);
    while (zones.n_forward < zones.n && is_forward(&zones.items[zones.n_forward]))
        zones.n_forward++;
    check_values(check, &zones);
    check_nothing(check, &zones);
    free(zones.by_value);
    free(zones.items);
}
