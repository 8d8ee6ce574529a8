/* Turns a serialised RESP3 reply of L2 into the bytes that Redis 7.0 would have sent in RESP2.
 *
 * Must not know: commands (translate_rules.h does), connections, where the bytes go.
 *
 * Works in one pass over the reply, without allocation but the output's: what both protocols write
 * alike is copied in runs as long as possible, the rest is replaced item by item. TRANSLATE_FLAT
 * looks ahead once to count.
 *
 * Invariant: what is RESP2 already stays as it is under its command's rule (only a null becomes the
 * null that the rule asks for), so an L2 without RESP3 needs no path of its own. */
#ifndef LARDER_RESP_TRANSLATE_H
#define LARDER_RESP_TRANSLATE_H

#include "base/buf.h"
#include "resp/translate_rules.h"

/* Appends to `out` the RESP2 form of the reply in `len` bytes at `resp3`.
 *
 * `resp3` must hold exactly one reply, attributes before it included, and not lie inside `out`;
 * `rule` is the command's (translate_rule_for). Any bytes are safe. Returns false, with out->len
 * and the bytes before it as they were, when these bytes are not one well-formed reply and nothing
 * else, when it is nested deeper than WALK_DEPTH_MAX (the outermost two levels may come on top), or
 * when there is no memory. */
bool translate_to_resp2(const char *resp3, size_t len, enum translate_rule rule, struct buf *out)
    __attribute__((warn_unused_result));

/* As translate_to_resp2 for the reply to EXEC, whose elements are the replies to the queued
 * commands: `rules` (borrowed for the call) has the rule of each, in the order of queueing.
 * Elements beyond `n_rules` are generic; rules beyond the elements are not used. */
bool translate_exec_to_resp2(const char *resp3, size_t len, const enum translate_rule *rules,
                             size_t n_rules, struct buf *out) __attribute__((warn_unused_result));

#endif
