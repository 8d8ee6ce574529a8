/* The rows of the string commands, in the order of their names. */
#include "command/cached.h"
#include "command/families.h"
#include "command/key_handlers.h"
#include "command/string_handlers.h"
#include "core/larder.h"

#define READ (COMMAND_READONLY)
#define CACHED (COMMAND_READONLY | COMMAND_PREFETCH | COMMAND_CACHED)
#define WRITE (COMMAND_WRITE)
#define GROW (COMMAND_WRITE | COMMAND_DENYOOM)
#define FAST COMMAND_FAST
#define ONE_KEY .first = 1, .last = 1, .step = 1, .group = "string"

const struct command string_commands[] = {
    {.name = "append", .fn = call_write, .alone = string_range_append, .arity = 3,
     .flags = GROW | FAST, ONE_KEY, .since = "2.0.0",
     .summary = "Appends to the value of a key, which is made when it isn't there",
     .args = "key value"},
    {.name = "decr", .fn = call_write, .alone = string_number_decr, .arity = 2,
     .flags = GROW | FAST, ONE_KEY, .since = "1.0.0",
     .summary = "Takes 1 from the integer in a key", .args = "key"},
    {.name = "decrby", .fn = call_write, .alone = string_number_decrby, .arity = 3,
     .flags = GROW | FAST, ONE_KEY, .since = "1.0.0",
     .summary = "Takes a number from the integer in a key", .args = "key decrement"},
    {.name = "get", .fn = cached_get, .alone = string_get_get, .arity = 2, .flags = CACHED | FAST,
     ONE_KEY, .since = "1.0.0", .summary = "Returns the value of a key", .args = "key"},
    {.name = "getdel", .fn = call_write, .alone = string_get_getdel, .arity = 2,
     .flags = WRITE | FAST, ONE_KEY, .since = "6.2.0",
     .summary = "Returns the value of a key and deletes the key", .args = "key"},
    {.name = "getex", .fn = key_upstream_getex, .alone = string_get_getex, .arity = -2,
     .flags = WRITE | FAST, ONE_KEY, .since = "6.2.0",
     .summary = "Returns the value of a key and may change its time to live",
     .args = "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
             "PXAT unix-time-milliseconds | PERSIST]"},
    {.name = "getrange", .fn = cached_getrange, .alone = string_range_getrange, .arity = 4,
     .flags = CACHED, ONE_KEY, .since = "2.4.0",
     .summary = "Returns a part of the value of a key", .args = "key start end"},
    {.name = "getset", .fn = call_write, .alone = string_set_getset, .arity = 3,
     .flags = GROW | FAST, ONE_KEY, .since = "1.0.0",
     .summary = "Sets the value of a key and returns the one before", .args = "key value"},
    {.name = "incr", .fn = call_write, .alone = string_number_incr, .arity = 2,
     .flags = GROW | FAST, ONE_KEY, .since = "1.0.0",
     .summary = "Adds 1 to the integer in a key", .args = "key"},
    {.name = "incrby", .fn = call_write, .alone = string_number_incrby, .arity = 3,
     .flags = GROW | FAST, ONE_KEY, .since = "1.0.0",
     .summary = "Adds a number to the integer in a key", .args = "key increment"},
    {.name = "incrbyfloat", .fn = call_write, .alone = string_number_incrbyfloat, .arity = 3,
     .flags = GROW | FAST, ONE_KEY, .since = "2.6.0",
     .summary = "Adds a number to the floating-point number in a key", .args = "key increment"},
    {.name = "lcs", .fn = call_pass, .alone = string_lcs_lcs, .arity = -3, .flags = READ,
     .first = 1, .last = 2, .step = 1, .group = "string", .since = "7.0.0",
     .summary = "Finds the longest common subsequence of two values",
     .args = "key1 key2 [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]"},
    {.name = "mget", .fn = cached_mget, .alone = string_get_mget, .arity = -2,
     .flags = READ | FAST, .first = 1, .last = -1, .step = 1, .group = "string",
     .since = "1.0.0", .summary = "Returns the values of several keys", .args = "key [key ...]"},
    {.name = "mset", .fn = call_write, .alone = string_set_mset, .arity = -3, .flags = GROW,
     .first = 1, .last = -1, .step = 2, .group = "string", .since = "1.0.1",
     .summary = "Sets several keys", .args = "key value [key value ...]"},
    {.name = "msetnx", .fn = call_write, .alone = string_set_msetnx, .arity = -3, .flags = GROW,
     .first = 1, .last = -1, .step = 2, .group = "string", .since = "1.0.1",
     .summary = "Sets several keys if none of them exists", .args = "key value [key value ...]"},
    {.name = "psetex", .fn = call_write, .alone = string_set_psetex, .arity = 4, .flags = GROW,
     ONE_KEY, .since = "2.6.0", .summary = "Sets a key for a time in milliseconds",
     .args = "key milliseconds value"},
    {.name = "set", .fn = call_write, .alone = string_set_set, .arity = -3, .flags = GROW,
     ONE_KEY, .since = "1.0.0", .summary = "Sets the value of a key",
     .args = "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | "
             "PXAT unix-time-milliseconds | KEEPTTL]"},
    {.name = "setex", .fn = call_write, .alone = string_set_setex, .arity = 4, .flags = GROW,
     ONE_KEY, .since = "2.0.0", .summary = "Sets a key for a time in seconds",
     .args = "key seconds value"},
    {.name = "setnx", .fn = call_write, .alone = string_set_setnx, .arity = 3,
     .flags = GROW | FAST, ONE_KEY, .since = "1.0.0", .summary = "Sets a key if it doesn't exist",
     .args = "key value"},
    {.name = "setrange", .fn = call_write, .alone = string_range_setrange, .arity = 4,
     .flags = GROW, ONE_KEY, .since = "2.2.0",
     .summary = "Overwrites a part of the value of a key", .args = "key offset value"},
    {.name = "strlen", .fn = cached_strlen, .alone = string_range_strlen, .arity = 2,
     .flags = CACHED | FAST, ONE_KEY, .since = "2.2.0",
     .summary = "Returns the length of the value of a key", .args = "key"},
    {.name = "substr", .fn = cached_getrange, .alone = string_range_getrange, .arity = 4,
     .flags = CACHED, ONE_KEY, .since = "1.0.0",
     .summary = "Returns a part of the value of a key; the old name of GETRANGE",
     .args = "key start end"},
    {0},
};
