/* The properties of a policy as words "name=value": one table of them gives names, bounds, parsing
 * and printing.
 *
 * A struct policy_words is what one prefix sets itself; what it leaves out comes from the default
 * policy. Must not know: prefixes, the table. */
#ifndef LARDER_TIER_POLICY_WORDS_H
#define LARDER_TIER_POLICY_WORDS_H

#include "tier/policy.h"

/* Properties that a policy has, in the order in which they are shown. */
#define POLICY_PROPERTIES 10

struct policy_words {
    struct policy values; /* of the properties that are set; the others mean nothing */
    unsigned set;         /* bit i: property i */
};

/* The name of property `i`, 0 to POLICY_PROPERTIES - 1. Borrowed for ever. */
const char *policy_words_name(unsigned i);

/* True for what can't be meant as a prefix: "name=value" with the name of a property. */
bool policy_words_is_word(struct bytes text);

/* Sets what n_words words "name=value" say, 1 or more; `default` as a value takes a property away.
 * Returns false with what is wrong, without a code, in `error`; nothing has changed then. */
bool policy_words_parse(struct policy_words *own, const struct bytes *words, size_t n_words,
                        char *error, size_t size) __attribute__((warn_unused_result));

/* Puts what is set into a policy; the rest of it stays. */
void policy_words_apply(const struct policy_words *own, struct policy *policy);

/* True when all properties of the two are equal. */
bool policy_words_equal(const struct policy *a, const struct policy *b);

/* Appends the value of property `i` as policy_words_parse takes it. Aborts without memory. */
void policy_words_print_value(const struct policy *policy, unsigned i, struct buf *out);

/* Appends what is set as words, separated by blanks; `mode=default` where nothing is, so that it
 * can be read again. Aborts without memory. */
void policy_words_print(const struct policy_words *own, struct buf *out);

#endif
