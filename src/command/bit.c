/* The rows of the bit commands, in the order of their names. */
#include "command/bit_handlers.h"
#include "command/cached_reply.h"
#include "command/families.h"
#include "core/larder.h"

#define CACHED (COMMAND_READONLY | COMMAND_CACHED | COMMAND_REPLIES)
#define ONE_KEY .first = 1, .last = 1, .step = 1, .group = "bitmap"

const struct command bit_commands[] = {
    {.name = "bitcount", .fn = cached_reply, .alone = bit_range_bitcount, .arity = -2,
     .flags = CACHED, ONE_KEY, .since = "2.6.0",
     .summary = "Counts the bits that are set in a value", .args = "key [start end [BYTE | BIT]]"},
    {.name = "bitfield", .fn = call_write, .alone = bit_field_bitfield, .arity = -2,
     .flags = COMMAND_WRITE | COMMAND_DENYOOM, ONE_KEY, .since = "3.2.0",
     .summary = "Reads and changes integers of any width in a value",
     .args = "key [GET encoding offset | [OVERFLOW <WRAP | SAT | FAIL>] <SET encoding offset value "
             "| INCRBY encoding offset increment> ...]"},
    {.name = "bitfield_ro", .fn = cached_reply, .alone = bit_field_bitfield_ro, .arity = -2,
     .flags = CACHED | COMMAND_FAST, ONE_KEY, .since = "6.0.0",
     .summary = "Reads integers of any width in a value",
     .args = "key [GET encoding offset [GET encoding offset ...]]"},
    {.name = "bitop", .fn = call_write, .alone = bit_op_bitop, .arity = -4,
     .flags = COMMAND_WRITE | COMMAND_DENYOOM, .first = 2, .last = -1, .step = 1,
     .group = "bitmap", .since = "2.6.0", .summary = "Joins values bit by bit into a key",
     .args = "<AND | OR | XOR | NOT> destkey key [key ...]"},
    {.name = "bitpos", .fn = cached_reply, .alone = bit_range_bitpos, .arity = -3,
     .flags = CACHED, ONE_KEY, .since = "2.8.7",
     .summary = "Finds the first bit of a value that is set, or clear",
     .args = "key bit [start [end [BYTE | BIT]]]"},
    {.name = "getbit", .fn = cached_reply, .alone = bit_single_getbit, .arity = 3,
     .flags = CACHED | COMMAND_FAST, ONE_KEY, .since = "2.2.0",
     .summary = "Returns one bit of a value", .args = "key offset"},
    {.name = "setbit", .fn = call_write, .alone = bit_single_setbit, .arity = 4,
     .flags = COMMAND_WRITE | COMMAND_DENYOOM, ONE_KEY, .since = "2.2.0",
     .summary = "Sets or clears one bit of a value and returns what it was",
     .args = "key offset value"},
    {0},
};
