/* Reads that L1 answers in front of an upstream: from the key's entry where there is one, else from L2 (GET and MGET fill L1, the
 * others go through). Each is a command_fn. */
#ifndef LARDER_COMMAND_CACHED_H
#define LARDER_COMMAND_CACHED_H

#include "core/command_table.h"
#include "tier/tier.h"

command_fn cached_get;
command_fn cached_mget;
command_fn cached_exists;
command_fn cached_exists_several;
command_fn cached_strlen;
command_fn cached_getrange;
command_fn cached_ttl;
command_fn cached_pttl;
command_fn cached_expiretime;
command_fn cached_pexpiretime;
command_fn cached_type;
command_fn cached_set;
command_fn cached_set_for; /* SETEX, PSETEX */

/* How a key's string answers the read of that name (lower case); NULL: it does not. Needs as many
 * arguments as the command has. */
tier_derive_fn *cached_derive(struct bytes name);

#endif
