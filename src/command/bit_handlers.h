/* The handlers of the bit commands for L1 alone, by file. Each serves the command of its name with
 * the semantics, replies and errors of Redis 7.0. Bit 0 is the highest bit of the first byte. */
#ifndef LARDER_COMMAND_BIT_HANDLERS_H
#define LARDER_COMMAND_BIT_HANDLERS_H

#include "core/command_table.h"

/* bit_single.c */
command_fn bit_single_setbit;
command_fn bit_single_getbit;

/* bit_range.c */
command_fn bit_range_bitcount;
command_fn bit_range_bitpos;

/* bit_op.c */
command_fn bit_op_bitop;

/* bit_field.c */
command_fn bit_field_bitfield;
command_fn bit_field_bitfield_ro;

#endif
