/* Reads of one key, other than GET, whose replies L1 keeps: each is a command_fn for .fn of a row.
 * What an L2 has and larder has no row for is in cached_reply_table. */
#ifndef LARDER_COMMAND_CACHED_REPLY_H
#define LARDER_COMMAND_CACHED_REPLY_H

#include "core/command_table.h"

/* Answers a command whose reply depends on nothing but the key argv[1] and its other arguments: from
 * L1, else from L2, whose reply is kept. Where nothing may be kept it is call_pass. */
command_fn cached_reply;

/* PFCOUNT: as cached_reply for one key, else as call_write. */
command_fn cached_reply_pfcount;

/* For command_table_serve. */
extern const struct command_served cached_reply_table[];

#endif
