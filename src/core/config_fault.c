/* What is wrong with the value of a directive, as text; see config_fault.h. */
#include "core/config_fault.h"

#include "core/config_format.h"

#include <inttypes.h>

static void add(const char *text, struct buf *out)
{
    config_format_text(bytes_of_str(text), out);
}

static void add_choices(const struct config_row *row, struct buf *out)
{
    for (const struct config_choice *choice = row->choices; choice->name != NULL; choice++)
        config_format_print(out, "%s%s", choice == row->choices ? "" : ", ", choice->name);
}

/* At start */

static void explain_range(const struct config_row *row, struct buf *out)
{
    if (row->type == CONFIG_MEMORY && row->min == 0) {
        add(" is too large", out);
        return;
    }
    add(row->type == CONFIG_MEMORY    ? " is not a size from "
        : row->type == CONFIG_DECIMAL ? " is not a decimal number from "
        : row->type == CONFIG_OCTAL   ? " is not an octal number from "
                                      : " is not a whole number from ",
        out);
    config_format_number(row, row->min, out);
    add(row->max == INT64_MAX ? " up" : " to ", out);
    if (row->max != INT64_MAX)
        config_format_number(row, row->max, out);
}

/* What comes behind the quoted word. */
static void explain_word(const struct config_row *row, enum config_problem problem, struct buf *out)
{
    switch (problem) {
    case CONFIG_BAD_BOOL: add(" is not yes or no", out); break;
    case CONFIG_BAD_CHOICE:
        add(" is not one of ", out);
        add_choices(row, out);
        break;
    case CONFIG_BAD_MEMORY: add(" is not a size (bytes, or with kb mb gb)", out); break;
    case CONFIG_BAD_ADDRESS:
        add(" is not an address to listen on (such as 127.0.0.1, ::1, *, ::*)", out);
        break;
    case CONFIG_BAD_LIMIT_CLASS:
        add(" is not a class of clients (normal, replica, pubsub)", out);
        break;
    case CONFIG_BAD_LIMIT_NUMBER: add(" is not a limit (class, size, size, seconds)", out); break;
    case CONFIG_BAD_FIXED:
        config_format_print(out,
                            " is not possible: larder writes no data to disk, so it is always %s",
                            row->standard);
        break;
    default: explain_range(row, out);
    }
}

void config_fault_explain(const struct config_row *row, const struct config_fault *fault,
                          struct buf *out)
{
    switch (fault->problem) {
    case CONFIG_BAD_COUNT:
        add(fault->n_words == 0 ? "a value is missing"
                                : "it takes one value (put quotes around one with blanks)",
            out);
        break;
    case CONFIG_TOO_MANY:
        if (row->type == CONFIG_PREFIXES)
            config_format_print(out, "more than %d prefixes", CONFIG_PREFIXES_MAX);
        else
            config_format_print(out, "more than %d addresses", CONFIG_BIND_MAX);
        break;
    case CONFIG_TOO_LONG: config_format_print(out, "longer than %d bytes", CONFIG_TEXT_MAX); break;
    case CONFIG_NUL_BYTE: add("a NUL byte in the value", out); break;
    case CONFIG_BAD_LIMIT_COUNT:
        add("four values expected for each class: class, size, size, seconds", out);
        break;
    case CONFIG_BAD_POLICY:
    case CONFIG_BAD_UPSTREAM:
    case CONFIG_BAD_PREFIX: add(fault->text, out); break;
    default: config_format_shown(fault->word, out); explain_word(row, fault->problem, out);
    }
}

/* For CONFIG SET */

static void reply_range(const struct config_row *row, struct buf *out)
{
    add("argument must be between ", out);
    /* Redis shows the bounds of sizes in bytes. */
    if (row->type == CONFIG_OCTAL)
        config_format_print(out, "%" PRIo64 " and %" PRIo64, (uint64_t)row->min,
                            (uint64_t)row->max);
    else
        config_format_print(out, "%" PRId64 " and %" PRId64, row->min, row->max);
    add(" inclusive", out);
}

void config_fault_reply(const struct config_row *row, const struct config_fault *fault,
                        struct buf *out)
{
    static const char *const texts[] = {
        [CONFIG_BAD_COUNT] = "wrong number of arguments",
        [CONFIG_BAD_BOOL] = "argument must be 'yes' or 'no'",
        [CONFIG_BAD_INTEGER] = "argument couldn't be parsed into an integer",
        [CONFIG_BAD_OCTAL] = "argument couldn't be parsed as an octal number",
        [CONFIG_BAD_DECIMAL] = "argument couldn't be parsed as a decimal number",
        [CONFIG_BAD_MEMORY] = "argument must be a memory value",
        [CONFIG_BAD_ADDRESS] = "Failed to bind to specified addresses.",
        [CONFIG_TOO_MANY] = "Too many bind addresses specified.",
        [CONFIG_TOO_LONG] = "argument is too long",
        [CONFIG_NUL_BYTE] = "argument must not contain NUL bytes",
        [CONFIG_BAD_LIMIT_COUNT] = "Wrong number of arguments in buffer limit configuration.",
        [CONFIG_BAD_LIMIT_CLASS] = "Invalid client class specified in buffer limit configuration.",
        [CONFIG_BAD_LIMIT_NUMBER] =
            "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
    };
    if (fault->problem == CONFIG_BAD_CHOICE) {
        add("argument(s) must be one of the following: ", out);
        add_choices(row, out);
    } else if (fault->problem == CONFIG_BAD_RANGE) {
        reply_range(row, out);
    } else if (row->type == CONFIG_PREFIXES) {
        config_fault_explain(row, fault, out);
    } else if ((size_t)fault->problem < sizeof(texts) / sizeof(texts[0]) &&
               texts[fault->problem] != NULL) {
        add(texts[fault->problem], out);
    } else {
        config_fault_explain(row, fault, out);
    }
}
