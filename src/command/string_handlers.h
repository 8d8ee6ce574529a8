/* The handlers of the string commands for L1 alone, by file. Each serves the command of its name
 * with the semantics, replies and errors of Redis 7.0. */
#ifndef LARDER_COMMAND_STRING_HANDLERS_H
#define LARDER_COMMAND_STRING_HANDLERS_H

#include "core/command_table.h"

/* string_get.c */
command_fn string_get_get;
command_fn string_get_getdel;
command_fn string_get_getex;
command_fn string_get_mget;

/* string_set.c */
command_fn string_set_set;
command_fn string_set_setex;
command_fn string_set_psetex;
command_fn string_set_setnx;
command_fn string_set_getset;
command_fn string_set_mset;
command_fn string_set_msetnx;

/* string_range.c; getrange serves SUBSTR too */
command_fn string_range_strlen;
command_fn string_range_getrange;
command_fn string_range_setrange;
command_fn string_range_append;
/* Cuts a value to [start, end] as GETRANGE, both counted from the end when they are negative. Borrows from `value`. */
struct bytes string_range_cut(struct bytes value, int64_t start, int64_t end);

/* string_number.c */
command_fn string_number_incr;
command_fn string_number_decr;
command_fn string_number_incrby;
command_fn string_number_decrby;
command_fn string_number_incrbyfloat;

/* string_lcs.c */
command_fn string_lcs_lcs;

#endif
