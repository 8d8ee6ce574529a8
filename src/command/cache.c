/* CACHE: larder's own commands about its two tiers. Answered here, with and without an upstream. */
#include "command/cache_handlers.h"
#include "command/families.h"
#include "command/subcommand.h"

static void cache_flush(struct call *call)
{
    tier_drop_all(call->larder->tier);
    reply_ok(&call->reply);
}

#define ROW(word, function, n)                                                                     \
    .name = (word), .fn = (function), .arity = (n), .flags = COMMAND_LOCAL | COMMAND_NOSCRIPT,     \
    .group = "larder", .since = "0.1.0"

static const struct command subs[] = {
    {ROW("stats", cache_stats, -2), .summary = "Returns the figures of both tiers, or of one",
     .args = "[L1 | L2]"},
    {ROW("resetstat", cache_resetstat, 2), .summary = "Sets the counters of both tiers back to 0"},
    {ROW("flush", cache_flush, 2), .summary = "Drops everything from L1; L2 keeps it"},
    {ROW("invalidate", cache_invalidate, -3),
     .summary = "Drops keys, or all keys with a prefix, from L1; L2 keeps them",
     .args = "key [key ...] | PREFIX prefix"},
    {ROW("explain", cache_explain, 3), .summary = "Describes what L1 knows of a key", .args = "key",
     .first = 2, .last = 2, .step = 1},
    {ROW("policy", cache_policy, -3),
     .summary = "Shows and changes what L1 may do with keys of a prefix, see CACHE POLICY HELP",
     .args = "LIST | GET key | SET prefix name=value [name=value ...] | DEL prefix | HELP"},
    {ROW("warm", cache_warm, -3),
     .summary = "Fetches keys into L1 in the background, see CACHE WARM HELP",
     .args =
         "KEYS key [key ...] | MATCH pattern | FILE path | STATUS [id] | LIST | CANCEL id | HELP"},
    {ROW("help", subcommand_help, 2), .summary = "Prints this help"},
    {.name = NULL},
};

const struct command cache_commands[] = {
    {ROW("cache", subcommand_unknown, -2),
     .summary = "A container for commands about larder's tiers", .subs = subs},
    {.name = NULL},
};
