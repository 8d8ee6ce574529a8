/* MONITOR: its row; what monitors are shown is in core/monitor.c. */
#include "command/families.h"

#include "core/monitor.h"

/* Asked twice it has no reply, as in Redis. */
static void monitor(struct call *call)
{
    if (call->client->is_monitor)
        return;
    monitor_add(call->client);
    reply_ok(&call->reply);
}

const struct command monitor_commands[] = {
    {.name = "monitor",
     .fn = monitor,
     .arity = 1,
     .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT | COMMAND_NO_MULTI,
     .group = "server",
     .since = "1.0.0",
     .summary = "Shows every command that larder executes from now on"},
    {.name = NULL},
};
