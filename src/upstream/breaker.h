/* A circuit breaker: stops asking a server that does not answer, and finds out by single probes when
 * it does again.
 *
 *     CLOSED --failures in a row, or their share--> OPEN --wait over--> HALF_OPEN --probe answered--> CLOSED
 *                                                    ^                      |
 *                                                    +--- not answered -----+   the wait doubles, up to its maximum
 *
 * Counts and decides; sends nothing. Knows no clock: times are monotonic milliseconds. After M.
 * Nygard, "Release It!", with a probe of our own instead of a client's request. */
#ifndef LARDER_UPSTREAM_BREAKER_H
#define LARDER_UPSTREAM_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_options {
    unsigned failures;      /* in a row that open it; 0: never for that reason */
    unsigned error_percent; /* of the calls of a window that open it; 0: never for that reason */
    int64_t wait_min_ms;    /* before the first probe */
    int64_t wait_max_ms;
};

/* The window of the error rate, and what it must have seen before it says something. */
#define BREAKER_WINDOW_MS 10000
#define BREAKER_WINDOW_CALLS 20

struct breaker {
    struct breaker_options options;
    enum breaker_state state;
    unsigned row;         /* failures since the last success */
    uint64_t calls;       /* answered or failed since window_ms */
    uint64_t failed;      /* of these */
    int64_t window_ms;    /* since when */
    int64_t wait_ms;      /* of the current or next OPEN */
    int64_t probe_at_ms;  /* in OPEN */
    uint64_t transitions; /* changes of state, ever */
    uint64_t opened;      /* of these: to OPEN from CLOSED */
};

/* A closed breaker; and new options for one, which keeps its state. */
void breaker_init(struct breaker *breaker, const struct breaker_options *options);
void breaker_configure(struct breaker *breaker, const struct breaker_options *options);

/* A call was answered. On the path of every reply, so it is here. */
static inline void breaker_success(struct breaker *breaker)
{
    breaker->calls++;
    breaker->row = 0;
}

/* A call was not answered in time. May open the breaker. */
void breaker_failure(struct breaker *breaker, int64_t now_ms);

/* True when calls may be made. */
static inline bool breaker_allows(const struct breaker *breaker)
{
    return breaker->state == BREAKER_CLOSED;
}

/* When the next probe is due, or INT64_MAX: none is. */
int64_t breaker_probe_due_ms(const struct breaker *breaker);

/* A probe is sent; and what became of it. */
void breaker_probe_begin(struct breaker *breaker);
void breaker_probe_end(struct breaker *breaker, bool answered, int64_t now_ms);

/* Opens it (the connection is lost and can't be made), or closes it (it is made). */
void breaker_open(struct breaker *breaker, int64_t now_ms);
void breaker_close(struct breaker *breaker, int64_t now_ms);

/* "closed", "open", "half-open"; borrowed for ever. */
const char *breaker_state_name(enum breaker_state state);

#endif
