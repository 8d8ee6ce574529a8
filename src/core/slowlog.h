/* The slow log: the last commands that took longer than `slowlog-log-slower-than`, newest first, as
 * Redis 7.0's SLOWLOG.
 *
 * Owns copies of the arguments, cut as Redis cuts them (32 arguments, 128 bytes each), so that an
 * entry is bounded whatever a client sent. Secrets (AUTH, HELLO ... AUTH, CONFIG SET requirepass,
 * MIGRATE ... AUTH, ACL SETUSER) are replaced by "(redacted)" before they are kept. Must not know:
 * clients, where the time is measured. */
#ifndef LARDER_CORE_SLOWLOG_H
#define LARDER_CORE_SLOWLOG_H

#include "base/bytes.h"

#include <sys/queue.h>

/* Most arguments kept of one command, and most bytes of one argument; Redis's
 * SLOWLOG_ENTRY_MAX_ARGC and _MAX_STRING. */
#define SLOWLOG_ARGS_MAX 32
#define SLOWLOG_ARG_BYTES_MAX 128

/* What happened, all borrowed for the call of slowlog_note. */
struct slowlog_event {
    const struct bytes *argv;
    size_t argc;
    struct bytes client_address;
    struct bytes client_name;
    int64_t duration_us;
    int64_t unix_s; /* when the command ended */
};

struct slowlog_entry {
    TAILQ_ENTRY(slowlog_entry) link;
    int64_t id; /* counts from 0 over the life of the log, resets included */
    int64_t unix_s;
    int64_t duration_us;
    struct bytes client_address; /* this and what follows points into the entry's own memory */
    struct bytes client_name;
    size_t argc;
    struct bytes argv[];
};

TAILQ_HEAD(slowlog_entries, slowlog_entry);

struct slowlog {
    struct slowlog_entries entries; /* newest first */
    size_t n;
    int64_t next_id;
};

/* An empty log. */
void slowlog_init(struct slowlog *slowlog);

/* Frees every entry; the log is empty and usable afterwards, ids go on. SLOWLOG RESET. */
void slowlog_reset(struct slowlog *slowlog);

/* True when a command that took `duration_us` belongs into the log under `slowlog-log-slower-than`
 * (us, negative: off). Cheap, to be asked before slowlog_note. */
static inline bool slowlog_is_slow(int64_t slower_than_us, int64_t duration_us)
{
    return slower_than_us >= 0 && duration_us >= slower_than_us;
}

/* Adds an entry and drops the oldest ones above `max_len` (>= 0). Without memory the entry is left
 * out. */
void slowlog_note(struct slowlog *slowlog, size_t max_len, const struct slowlog_event *event);

#endif
