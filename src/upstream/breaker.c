/* The circuit breaker's states; see breaker.h. */
#include "upstream/breaker.h"

static void enter(struct breaker *breaker, enum breaker_state state)
{
    if (breaker->state == state)
        return;
    breaker->opened += breaker->state == BREAKER_CLOSED && state == BREAKER_OPEN;
    breaker->state = state;
    breaker->transitions++;
}

static void forget_counts(struct breaker *breaker, int64_t now_ms)
{
    breaker->row = 0;
    breaker->calls = 0;
    breaker->failed = 0;
    breaker->window_ms = now_ms;
}

/* OPEN for the current wait; the next one will be twice as long. */
static void wait_for_probe(struct breaker *breaker, int64_t now_ms)
{
    const struct breaker_options *options = &breaker->options;
    enter(breaker, BREAKER_OPEN);
    breaker->probe_at_ms = now_ms + breaker->wait_ms;
    breaker->wait_ms *= 2;
    if (breaker->wait_ms > options->wait_max_ms)
        breaker->wait_ms = options->wait_max_ms;
}

void breaker_configure(struct breaker *breaker, const struct breaker_options *options)
{
    breaker->options = *options;
    if (breaker->wait_ms < options->wait_min_ms || breaker->wait_ms > options->wait_max_ms)
        breaker->wait_ms = options->wait_min_ms;
}

void breaker_init(struct breaker *breaker, const struct breaker_options *options)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
    breaker_configure(breaker, options);
}

void breaker_failure(struct breaker *breaker, int64_t now_ms)
{
    const struct breaker_options *options = &breaker->options;
    if (breaker->state != BREAKER_CLOSED)
        return; /* what was sent before it opened; only probes count now */
    if (now_ms - breaker->window_ms >= BREAKER_WINDOW_MS) {
        unsigned row = breaker->row;
        forget_counts(breaker, now_ms);
        breaker->row = row;
    }
    breaker->row++;
    breaker->calls++;
    breaker->failed++;
    bool by_row = options->failures != 0 && breaker->row >= options->failures;
    bool by_rate = options->error_percent != 0 && breaker->calls >= BREAKER_WINDOW_CALLS &&
                   breaker->failed * 100 >= breaker->calls * options->error_percent;
    if (by_row || by_rate)
        breaker_open(breaker, now_ms);
}

int64_t breaker_probe_due_ms(const struct breaker *breaker)
{
    return breaker->state == BREAKER_OPEN ? breaker->probe_at_ms : INT64_MAX;
}

void breaker_probe_begin(struct breaker *breaker)
{
    enter(breaker, BREAKER_HALF_OPEN);
}

void breaker_probe_end(struct breaker *breaker, bool answered, int64_t now_ms)
{
    if (breaker->state != BREAKER_HALF_OPEN)
        return;
    if (answered)
        breaker_close(breaker, now_ms);
    else
        wait_for_probe(breaker, now_ms);
}

void breaker_open(struct breaker *breaker, int64_t now_ms)
{
    if (breaker->state == BREAKER_CLOSED)
        wait_for_probe(breaker, now_ms);
}

void breaker_close(struct breaker *breaker, int64_t now_ms)
{
    enter(breaker, BREAKER_CLOSED);
    forget_counts(breaker, now_ms);
    breaker->wait_ms = breaker->options.wait_min_ms;
}

const char *breaker_state_name(enum breaker_state state)
{
    switch (state) {
    case BREAKER_CLOSED: return "closed";
    case BREAKER_OPEN: return "open";
    case BREAKER_HALF_OPEN: break;
    }
    return "half-open";
}
