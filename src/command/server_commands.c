/* Commands about the server that an L2 answers itself, and larder where it is alone: TIME ROLE
 * LASTSAVE. */
#include "command/families.h"
#include "core/larder.h"

#include <time.h>

static void alone_time(struct call *call)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    reply_array(&call->reply, 2);
    reply_bulk_i64(&call->reply, now.tv_sec);
    reply_bulk_i64(&call->reply, now.tv_nsec / 1000);
}

static void alone_role(struct call *call)
{
    reply_array(&call->reply, 3);
    reply_bulk_str(&call->reply, "master");
    reply_int(&call->reply, 0);
    reply_array(&call->reply, 0);
}

/* As a Redis that was started then and has saved nothing since. */
static void alone_lastsave(struct call *call)
{
    const struct larder *larder = call->larder;
    int64_t age_ms = larder_now_ms(larder) - larder->started_ms;
    reply_int(&call->reply, (clock_wall_ms(&larder->loop.clock) - age_ms) / 1000);
}

const struct command server_commands[] = {
    {.name = "time",
     .fn = call_pass,
     .alone = alone_time,
     .arity = 1,
     .flags = COMMAND_FAST,
     .group = "server",
     .since = "2.6.0",
     .summary = "Returns the time of the server's clock"},
    {.name = "role",
     .fn = call_pass,
     .alone = alone_role,
     .arity = 1,
     .flags = COMMAND_FAST | COMMAND_NOSCRIPT,
     .group = "server",
     .since = "2.8.12",
     .summary = "Returns the role in replication"},
    {.name = "lastsave",
     .fn = call_pass,
     .alone = alone_lastsave,
     .arity = 1,
     .flags = COMMAND_FAST,
     .group = "server",
     .since = "1.0.0",
     .summary = "Returns the time of the last snapshot"},
    {.name = NULL},
};
