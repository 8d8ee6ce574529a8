/* Error replies counted by their code, for INFO errorstats: "-WRONGTYPE Operation ..." counts
 * WRONGTYPE.
 *
 * Bounded, because L2 and its scripts may make up codes: ERRORSTATS_MAX codes (the bound of Redis
 * 7.4; 7.0 has none), all others together under ERRORSTATS_OVERFLOW. Must not know: who sent the
 * error. */
#ifndef LARDER_CORE_ERRORSTATS_H
#define LARDER_CORE_ERRORSTATS_H

#include "base/bytes.h"

#define ERRORSTATS_MAX 128

/* A code is looked for in the first 32 bytes of the line, as in Redis; with the NUL. */
#define ERRORSTATS_CODE_SIZE 32

/* The name that counts what no code of its own was left for. */
#define ERRORSTATS_OVERFLOW "ERRORSTATS_OVERFLOW"

struct errorstat {
    char code[ERRORSTATS_CODE_SIZE]; /* NUL-terminated, printable, without ':' '=' ',' */
    uint64_t count;
};

struct errorstats {
    struct errorstat items[ERRORSTATS_MAX + 1]; /* in the order of their first appearance */
    size_t n;
    uint64_t total;
};

/* Everything zero. Also CONFIG RESETSTAT. */
void errorstats_reset(struct errorstats *stats);

/* Counts an error reply: "-CODE text", with or without its line end. Without a code it counts as
 * ERR, as Redis 7.0's afterErrorReply. */
void errorstats_count(struct errorstats *stats, struct bytes error_line);

#endif
