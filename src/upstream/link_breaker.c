/* The link's circuit breaker: what counts as a failure, and its probes. On a READY link the probe is
 * a PING; without a connection it is the attempt to connect, whose pace is that of the back-off. */
#include "upstream/link_internal.h"

#include "base/log.h"

#include <stdio.h>

/* Logs a change that operators want to hear of; the loss of the connection has its own line. */
static void tell(const struct link *link, enum breaker_state was)
{
    enum breaker_state is = link->breaker.state;
    if (is == was || link->figures.state != LINK_READY)
        return;
    if (was == BREAKER_CLOSED)
        LOG(LOG_WARNING, "Upstream %s does not answer in time: circuit breaker open", link->name);
    else if (is == BREAKER_CLOSED)
        LOG(LOG_NOTICE, "Upstream %s answers again: circuit breaker closed", link->name);
}

void link_count_failure(struct link *link)
{
    enum breaker_state was = link->breaker.state;
    breaker_failure(&link->breaker, link_now_ms(link));
    tell(link, was);
}

void link_end_probe(struct link *link, bool answered)
{
    enum breaker_state was = link->breaker.state;
    breaker_probe_end(&link->breaker, answered, link_now_ms(link));
    tell(link, was);
}

int64_t link_probe_due_ms(const struct link *link)
{
    return link->figures.state == LINK_READY ? breaker_probe_due_ms(&link->breaker) : INT64_MAX;
}

void link_probe(struct link *link)
{
    struct link_op op = {.flags = OP_INTERNAL | OP_WRITE | OP_PROBE};
    if (link_now_ms(link) < link_probe_due_ms(link))
        return;
    breaker_probe_begin(&link->breaker);
    if (!link_put(link, BYTES("*1\r\n$4\r\nPING\r\n"), op)) {
        link_set_error(link, "out of memory for output");
        link->broken = true;
    }
}

int link_refusal_text(const struct link *link, char *text, size_t size)
{
    const char *why =
        link->figures.last_error[0] != '\0' ? link->figures.last_error : "not connected yet";
    if (link->figures.state == LINK_READY && !link->broken)
        return snprintf(text, size,
                        "-UPSTREAM %s does not answer in time: circuit breaker open\r\n",
                        link->name);
    return snprintf(text, size, "-UPSTREAM %s is down: %s\r\n", link->name, why);
}

bool link_is_available(const struct link *link)
{
    if (link->broken || link->is_busy || !breaker_allows(&link->breaker) ||
        link->figures.state == LINK_DOWN)
        return false;
    return link->figures.state == LINK_READY || !link->rejecting;
}
