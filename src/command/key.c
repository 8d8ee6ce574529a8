/* The rows of the commands on keys, in the order of their names, and of those on whole
 * databases. */
#include "command/cached.h"
#include "command/cached_reply.h"
#include "command/families.h"
#include "command/key_handlers.h"
#include "command/subcommand.h"
#include "core/larder.h"

#define READ COMMAND_READONLY
#define CACHED (COMMAND_READONLY | COMMAND_FAST | COMMAND_PREFETCH | COMMAND_CACHED)
#define WRITE COMMAND_WRITE
#define GROW (COMMAND_WRITE | COMMAND_DENYOOM)
#define FAST COMMAND_FAST
#define ONE_KEY .first = 1, .last = 1, .step = 1, .group = "generic"
#define MANY_KEYS .first = 1, .last = -1, .step = 1, .group = "generic"
#define NO_KEY .group = "generic"
#define DATABASE .group = "server"
#define CONDITIONS " [NX | XX | GT | LT]"

/* OBJECT */

#define OBJECT(word, handler, version, text)                                                       \
    {.name = (word), .fn = call_pass, .alone = (handler), .arity = 3, .flags = READ, .first = 2,   \
     .last = 2, .step = 1, .group = "generic", .since = (version), .summary = (text), .args = "key"}

static const struct command object_subcommands[] = {
    OBJECT("encoding", key_object_encoding, "2.2.3", "Returns how Redis keeps the value of a key"),
    OBJECT("freq", key_object_freq, "4.0.0",
           "Returns how often a key was used lately (logarithmic; LFU policies)"),
    {.name = "help", .fn = call_pass, .alone = subcommand_help, .arity = 2, .group = "generic",
     .since = "6.2.0", .summary = "Prints this help"},
    OBJECT("idletime", key_object_idletime, "2.2.3",
           "Returns for how many seconds a key was not used"),
    OBJECT("refcount", key_object_refcount, "2.2.3",
           "Returns how many references there are to the value of a key"),
    {0},
};

const struct command key_commands[] = {
    {.name = "copy", .fn = key_upstream_copy, .alone = key_move_copy, .arity = -3, .flags = GROW,
     .first = 1, .last = 2, .step = 1, .group = "generic", .since = "6.2.0",
     .summary = "Copies a key", .args = "source destination [DB destination-db] [REPLACE]"},
    {.name = "del", .fn = call_write, .alone = key_single_del, .arity = -2, .flags = WRITE,
     MANY_KEYS, .since = "1.0.0", .summary = "Deletes keys", .args = "key [key ...]"},
    {.name = "dump", .fn = cached_reply, .arity = 2, .flags = READ | COMMAND_CACHED | COMMAND_REPLIES,
     ONE_KEY, .since = "2.6.0",
     .summary = "Returns the value of a key in Redis's own format, for RESTORE", .args = "key"},
    {.name = "exists", .fn = cached_exists, .alone = key_single_exists, .arity = -2,
     .flags = CACHED, MANY_KEYS, .since = "1.0.0", .summary = "Counts the keys that exist",
     .args = "key [key ...]"},
    {.name = "expire", .fn = call_write, .alone = key_expire_expire, .arity = -3,
     .flags = WRITE | FAST, ONE_KEY, .since = "1.0.0",
     .summary = "Sets the time to live of a key in seconds", .args = "key seconds" CONDITIONS},
    {.name = "expireat", .fn = call_write, .alone = key_expire_expireat, .arity = -3,
     .flags = WRITE | FAST, ONE_KEY, .since = "1.2.0",
     .summary = "Sets the moment at which a key expires, as a Unix time",
     .args = "key unix-time-seconds" CONDITIONS},
    {.name = "expiretime", .fn = cached_expiretime, .alone = key_expire_expiretime, .arity = 2,
     .flags = CACHED, ONE_KEY, .since = "7.0.0",
     .summary = "Returns the moment at which a key expires, as a Unix time", .args = "key"},
    {.name = "keys", .fn = call_pass, .alone = key_scan_keys, .arity = 2, .flags = READ, NO_KEY,
     .since = "1.0.0", .summary = "Returns all keys that match a pattern", .args = "pattern"},
    {.name = "migrate", .fn = call_write, .arity = -6, .flags = WRITE | COMMAND_MOVABLE,
     .first = 3, .last = 3, .step = 1, .group = "generic", .since = "2.6.0",
     .summary = "Moves keys to another Redis",
     .args = "host port <key | \"\"> destination-db timeout [COPY] [REPLACE] [AUTH password | "
             "AUTH2 username password] [KEYS key [key ...]]"},
    {.name = "move", .fn = key_upstream_move, .alone = key_move_move, .arity = 3,
     .flags = WRITE | FAST, ONE_KEY, .since = "1.0.0",
     .summary = "Moves a key to another database", .args = "key db"},
    {.name = "object", .fn = call_pass, .alone = subcommand_unknown, .arity = -2, NO_KEY,
     .since = "2.2.3", .summary = "Shows the inside of values", .args = "subcommand [argument]",
     .subs = object_subcommands},
    {.name = "persist", .fn = call_write, .alone = key_expire_persist, .arity = 2,
     .flags = WRITE | FAST, ONE_KEY, .since = "2.2.0", .summary = "Lets a key live for ever",
     .args = "key"},
    {.name = "pexpire", .fn = call_write, .alone = key_expire_pexpire, .arity = -3,
     .flags = WRITE | FAST, ONE_KEY, .since = "2.6.0",
     .summary = "Sets the time to live of a key in milliseconds",
     .args = "key milliseconds" CONDITIONS},
    {.name = "pexpireat", .fn = call_write, .alone = key_expire_pexpireat, .arity = -3,
     .flags = WRITE | FAST, ONE_KEY, .since = "2.6.0",
     .summary = "Sets the moment at which a key expires, as a Unix time in milliseconds",
     .args = "key unix-time-milliseconds" CONDITIONS},
    {.name = "pexpiretime", .fn = cached_pexpiretime, .alone = key_expire_pexpiretime, .arity = 2,
     .flags = CACHED, ONE_KEY, .since = "7.0.0",
     .summary = "Returns the moment at which a key expires, as a Unix time in milliseconds",
     .args = "key"},
    {.name = "pttl", .fn = cached_pttl, .alone = key_expire_pttl, .arity = 2, .flags = CACHED,
     ONE_KEY, .since = "2.6.0", .summary = "Returns the time to live of a key in milliseconds",
     .args = "key"},
    {.name = "randomkey", .fn = call_pass, .alone = key_scan_randomkey, .arity = 1,
     .flags = READ, NO_KEY, .since = "1.0.0", .summary = "Returns any key"},
    {.name = "rename", .fn = call_write, .alone = key_move_rename, .arity = 3, .flags = WRITE,
     .first = 1, .last = 2, .step = 1, .group = "generic", .since = "1.0.0",
     .summary = "Gives a key another name", .args = "key newkey"},
    {.name = "renamenx", .fn = call_write, .alone = key_move_renamenx, .arity = 3,
     .flags = WRITE | FAST, .first = 1, .last = 2, .step = 1, .group = "generic",
     .since = "1.0.0", .summary = "Gives a key another name if that is free",
     .args = "key newkey"},
    {.name = "restore", .fn = call_write, .arity = -4, .flags = GROW, ONE_KEY, .since = "2.6.0",
     .summary = "Makes a key of what DUMP returned",
     .args = "key ttl serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]"},
    {.name = "scan", .fn = call_pass, .alone = key_scan_scan, .arity = -2, .flags = READ, NO_KEY,
     .since = "2.8.0", .summary = "Walks over the keys of the database, a few at a time",
     .args = "cursor [MATCH pattern] [COUNT count] [TYPE type]"},
    {.name = "sort", .fn = call_write, .arity = -2, .flags = GROW | COMMAND_MOVABLE, ONE_KEY,
     .since = "1.0.0", .summary = "Sorts a list, set or sorted set, and may store the result",
     .args = "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] "
             "[ALPHA] [STORE destination]"},
    {.name = "sort_ro", .fn = call_pass, .arity = -2, .flags = READ | COMMAND_MOVABLE, ONE_KEY,
     .since = "7.0.0", .summary = "Sorts a list, set or sorted set",
     .args = "key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] "
             "[ALPHA]"},
    {.name = "touch", .fn = call_pass, .alone = key_single_touch, .arity = -2,
     .flags = READ | FAST, MANY_KEYS, .since = "3.2.1",
     .summary = "Counts the keys that exist, as an access to each", .args = "key [key ...]"},
    {.name = "ttl", .fn = cached_ttl, .alone = key_expire_ttl, .arity = 2, .flags = CACHED,
     ONE_KEY, .since = "1.0.0", .summary = "Returns the time to live of a key in seconds",
     .args = "key"},
    {.name = "type", .fn = cached_type, .alone = key_single_type, .arity = 2, .flags = CACHED,
     ONE_KEY, .since = "1.0.0", .summary = "Returns the type of the value of a key",
     .args = "key"},
    {.name = "unlink", .fn = call_write, .alone = key_single_del, .arity = -2,
     .flags = WRITE | FAST, MANY_KEYS, .since = "4.0.0",
     .summary = "Deletes keys and frees their values later", .args = "key [key ...]"},

    {.name = "dbsize", .fn = call_pass, .alone = key_database_dbsize, .arity = 1,
     .flags = READ | FAST, DATABASE, .since = "1.0.0",
     .summary = "Counts the keys of the database"},
    {.name = "flushall", .fn = call_write, .alone = key_database_flushall, .arity = -1,
     .flags = WRITE | COMMAND_WRITES_ALL, DATABASE, .since = "1.0.0",
     .summary = "Deletes all keys of all databases", .args = "[ASYNC | SYNC]"},
    {.name = "flushdb", .fn = call_write, .alone = key_database_flushdb, .arity = -1,
     .flags = WRITE | COMMAND_WATCHES_DB, DATABASE, .since = "1.0.0",
     .summary = "Deletes all keys of the database", .args = "[ASYNC | SYNC]"},
    {.name = "swapdb", .fn = call_write, .alone = key_database_swapdb, .arity = 3,
     .flags = WRITE | FAST | COMMAND_WRITES_ALL, DATABASE, .since = "4.0.0",
     .summary = "Swaps two databases", .args = "index1 index2"},
    {0},
};
