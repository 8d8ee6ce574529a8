/* The handlers of the commands on keys and databases, by file.
 *
 * Those of key_upstream.c send a command to L2 that the row alone says too little about. The others
 * serve L1 alone, each the command of its name with the semantics, replies and errors of Redis
 * 7.0. */
#ifndef LARDER_COMMAND_KEY_HANDLERS_H
#define LARDER_COMMAND_KEY_HANDLERS_H

#include "core/command_table.h"

/* key_single.c; del serves UNLINK too */
command_fn key_single_del;
command_fn key_single_exists;
command_fn key_single_touch;
command_fn key_single_type;

/* key_move.c */
command_fn key_move_rename;
command_fn key_move_renamenx;
command_fn key_move_copy;
command_fn key_move_move;

/* key_expire.c */
command_fn key_expire_expire;
command_fn key_expire_pexpire;
command_fn key_expire_expireat;
command_fn key_expire_pexpireat;
command_fn key_expire_ttl;
command_fn key_expire_pttl;
command_fn key_expire_expiretime;
command_fn key_expire_pexpiretime;
command_fn key_expire_persist;

/* key_scan.c */
command_fn key_scan_scan;
command_fn key_scan_keys;
command_fn key_scan_randomkey;

/* key_database.c */
command_fn key_database_dbsize;
command_fn key_database_flushdb;
command_fn key_database_flushall;
command_fn key_database_swapdb;

/* key_object.c */
command_fn key_object_encoding;
command_fn key_object_freq;
command_fn key_object_idletime;
command_fn key_object_refcount;

/* key_upstream.c */
command_fn key_upstream_copy;
command_fn key_upstream_move;
command_fn key_upstream_getex;

#endif
