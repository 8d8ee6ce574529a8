/* One value of a directive: from words to a typed value, and what is wrong with words that are
 * none. Back to text: config_format.h, config_fault.h.
 *
 * A value on its own is a union config_value, which owns its texts. The value in a struct config
 * has the same bytes, so that values move in and out by config_value_swap. Must not know: where the
 * words come from. */
#ifndef LARDER_CORE_CONFIG_VALUE_H
#define LARDER_CORE_CONFIG_VALUE_H

#include "core/config_table.h"

/* Longest text of one value (all words of a list together), so that whatever is accepted can be
 * written to a file, quoted, and read again within CONFIG_LINE_MAX of config_file.h. */
#define CONFIG_TEXT_MAX 8192

union config_value {
    bool yes;
    int64_t number;
    double decimal;
    int choice;
    char *text;
    struct config_list list;
    struct policy_table *policies;
    struct config_output_limit limits[CONFIG_CLIENT_CLASSES];
};

enum config_problem {
    CONFIG_FINE,
    CONFIG_BAD_COUNT, /* of words */
    CONFIG_BAD_BOOL,
    CONFIG_BAD_CHOICE,
    CONFIG_BAD_INTEGER,
    CONFIG_BAD_OCTAL,
    CONFIG_BAD_MEMORY,
    CONFIG_BAD_DECIMAL,
    CONFIG_BAD_RANGE,
    CONFIG_BAD_ADDRESS,
    CONFIG_BAD_UPSTREAM,
    CONFIG_BAD_POLICY,
    CONFIG_BAD_PREFIX,
    CONFIG_TOO_MANY,
    CONFIG_TOO_LONG,
    CONFIG_NUL_BYTE,
    CONFIG_BAD_LIMIT_COUNT,
    CONFIG_BAD_LIMIT_CLASS,
    CONFIG_BAD_LIMIT_NUMBER,
    CONFIG_BAD_FIXED
};

/* Room for the reason of CONFIG_BAD_UPSTREAM, CONFIG_BAD_POLICY or CONFIG_BAD_PREFIX. */
#define CONFIG_REASON_SIZE 256

/* What is wrong. */
struct config_fault {
    enum config_problem problem;
    struct bytes word;             /* at fault, borrowed; empty where it is no single one */
    size_t n_words;                /* how many there were */
    char text[CONFIG_REASON_SIZE]; /* the reason, of those two only; without a secret */
};

/* Parses n_words words as a value of the row; `current` (borrowed) has what classes of an output
 * limit, or prefixes of policies, that aren't named keep. Returns true and an owned value for config_value_release, or
 * false and what is wrong. */
bool config_value_parse(const struct config_row *row, const struct bytes *words, size_t n_words,
                        const union config_value *current, union config_value *value,
                        struct config_fault *fault) __attribute__((warn_unused_result));

/* Parses the name of a class of clients: normal, replica or slave, pubsub. */
bool config_value_class(struct bytes word, enum config_client_class *class);

/* Frees what the value owns; a secret is overwritten first. */
void config_value_release(const struct config_row *row, union config_value *value);

/* The value in `config`, borrowed until it changes. */
void config_value_borrow(const struct config *config, const struct config_row *row,
                         union config_value *value);

/* Exchanges the value in `config` with `value`. */
void config_value_swap(struct config *config, const struct config_row *row,
                       union config_value *value);

bool config_value_equal(const struct config_row *row, const union config_value *a,
                        const union config_value *b);

/* The default of a row, owned. */
void config_value_standard(const struct config_row *row, union config_value *value);

#endif
