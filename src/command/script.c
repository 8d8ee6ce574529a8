/* Subcommands of SCRIPT and FUNCTION that aren't simply sent on: those that an L2 still takes while it is busy with a script can't go
 * down the link that the script blocks. All others are as L2 tells. */
#include "command/families.h"
#include "core/blocked.h"
#include "core/readonly_scripts.h"
#include "resp/walk.h"

/* FUNCTION STATS tells which function runs; otherwise it keeps its place among the client's commands. */
static void function_stats(struct call *call)
{
    if (link_is_busy(call->larder->link))
        call_aside(call);
    else
        call_pass(call);
}

static void on_loaded(void *ctx, struct bytes reply)
{
    struct reply_slot *slot = ctx;
    struct walk walk = walk_over(reply.ptr, reply.len);
    struct walk_item item;
    if (walk_next(&walk, &item) == WALK_OK && item.type == WALK_BULK)
        readonly_scripts_add(slot->larder->readonly_scripts, item.text);
    slot_finish_resp3(slot, reply);
}

/* L2's reply is the script's name, by which EVALSHA calls it. */
static void script_load(struct call *call)
{
    if (readonly_scripts_is_text(call->argv[2]))
        tier_pass(call->larder->tier, call->client->db, call->raw, on_loaded, call_defer(call));
    else
        call_pass(call);
}

static void script_debug(struct call *call)
{
    reply_error(&call->reply, "ERR SCRIPT DEBUG is not supported through larder yet");
}

#define KILL(version, text)                                                                        \
    {                                                                                              \
        .name = "kill", .fn = call_aside, .arity = 2,                                              \
        .flags = COMMAND_NOSCRIPT | COMMAND_ALLOW_BUSY, .group = "scripting", .since = (version),  \
        .summary = (text)                                                                          \
    }

static const struct command script_subs[] = {
    KILL("2.6.0", "Ends the script that keeps the upstream busy"),
    {.name = "load",
     .fn = script_load,
     .arity = 3,
     .flags = COMMAND_NOSCRIPT,
     .group = "scripting",
     .since = "2.6.0",
     .summary = "Makes the upstream keep a script",
     .args = "script"},
    {.name = "debug",
     .fn = script_debug,
     .arity = 3,
     .flags = COMMAND_STATEFUL | COMMAND_NOSCRIPT,
     .group = "scripting",
     .since = "3.2.0",
     .summary = "Would make the shared link a debugger's",
     .args = "<YES|SYNC|NO>"},
    {.name = NULL},
};

static const struct command function_subs[] = {
    KILL("7.0.0", "Ends the function that keeps the upstream busy"),
    {.name = "stats",
     .fn = function_stats,
     .arity = 2,
     .flags = COMMAND_NOSCRIPT | COMMAND_ALLOW_BUSY,
     .group = "scripting",
     .since = "7.0.0",
     .summary = "Tells which function the upstream runs, and of its engines"},
    {.name = NULL},
};

#define CONTAINER(word, version, text, children)                                                   \
    {                                                                                              \
        .name = (word), .fn = call_pass, .arity = -2, .group = "scripting", .since = (version),    \
        .summary = (text), .subs = (children)                                                      \
    }

const struct command script_commands[] = {
    CONTAINER("script", "2.6.0", "Scripts that the upstream keeps", script_subs),
    CONTAINER("function", "7.0.0", "Functions that the upstream keeps", function_subs),
    {.name = NULL},
};
