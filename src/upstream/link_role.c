/* What L2 is: a primary, or a replica. One that was a primary and refuses a write as READONLY has been
 * demoted: its name is looked up again, by a new connection, and nothing that was read there is
 * trusted. While the name still leads to a replica, that is tried again with growing waits, as long as
 * writes are refused. A replica from the start is what the operator wants. */
#include "upstream/link_internal.h"

/* Between two lookups while the name leads to a replica. */
#define WAIT_MIN_MS 1000
#define WAIT_MAX_MS 60000

void link_take_role(struct link *link, struct bytes role)
{
    if (!bytes_is(role, "master"))
        return;
    link->was_primary = true;
    link->lookup_wait_ms = 0;
}

void link_note_error_reply(struct link *link)
{
    link->figures.errors++;
    if (!link->was_primary || link->options.plain ||
        !bytes_starts_with(buf_bytes(&link->reply), BYTES("-READONLY ")) ||
        link_now_ms(link) < link->lookup_at_ms)
        return;
    int64_t wait = link->lookup_wait_ms * 2;
    if (wait < WAIT_MIN_MS)
        wait = WAIT_MIN_MS;
    link->lookup_wait_ms = wait < WAIT_MAX_MS ? wait : WAIT_MAX_MS;
    link->lookup_at_ms = link_now_ms(link) + link->lookup_wait_ms;
    link_distrust(link, "READONLY: it is no primary any more, looking it up again");
}
