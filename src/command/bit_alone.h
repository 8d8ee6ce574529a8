/* What the bit commands of L1 alone share: offsets, and values made long enough to be changed.
 *
 * Must not know: single commands. */
#ifndef LARDER_COMMAND_BIT_ALONE_H
#define LARDER_COMMAND_BIT_ALONE_H

#include "command/alone.h"

/* Parses argv[i] as the number of a bit that a value may have (below 8 * proto-max-bulk-len).
 * `width` is what an offset "#n" counts in, in bits; 0: that form isn't allowed. Returns false with
 * Redis's error written. */
bool bit_alone_parse_offset(struct call *call, size_t i, unsigned width, uint64_t *offset)
    __attribute__((warn_unused_result));

/* A value that is being changed. */
struct bit_alone_change {
    struct buf value;    /* owned */
    int64_t deadline_ms; /* the key's, which stays */
    size_t old_len;
    bool was_raw; /* Redis would call the old value's encoding "raw" */
};

/* Copies the value of argv[1] and pads it so that it has bit `last`. Returns false, with the error
 * written and nothing to be freed, when there is no memory. */
bool bit_alone_begin(struct call *call, uint64_t last, struct bit_alone_change *change)
    __attribute__((warn_unused_result));

/* Puts the value under argv[1] (`changed` says whether a byte of it differs), and frees it. Returns
 * what alone_put returns. */
enum store_result bit_alone_end(struct call *call, struct bit_alone_change *change, bool changed)
    __attribute__((warn_unused_result));

#endif
