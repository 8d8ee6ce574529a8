/* What the table of directives looks like on paper; see config_print.h. */
#include "core/config_print.h"

#include "core/config_format.h"
#include "core/config_table.h"

#include <inttypes.h>

/* Width of larder.conf's comments and of --help. */
#define PAPER_WIDTH 96

static void add(const char *text, struct buf *out)
{
    config_format_text(bytes_of_str(text), out);
}

/* Appends the words of `text` in lines that begin with `prefix`; the first line has `used` columns
 * already. */
static void add_wrapped(const char *text, const char *prefix, size_t used, struct buf *out)
{
    size_t column = used;
    bool first = true;
    while (*text != '\0') {
        size_t len = strcspn(text, " ");
        if (!first && column + 1 + len > PAPER_WIDTH) {
            add("\n", out);
            add(prefix, out);
            column = strlen(prefix);
            first = true;
        }
        if (!first)
            add(" ", out);
        config_format_text(bytes_of(text, len), out);
        column += len + !first;
        first = false;
        text += len;
        text += *text == ' ';
    }
    add("\n", out);
}

/* Rows that people write: those with a value of their own. */
static bool is_shown(const struct config_row *row, enum config_section section)
{
    return row->section == section && row->type != CONFIG_FIXED;
}

static void add_numbers(const struct config_row *row, struct buf *out)
{
    const char *blank = row->unit != NULL ? " " : "";
    const char *unit = row->unit != NULL ? row->unit : "";
    config_format_number(row, row->min, out);
    if (row->max == INT64_MAX) {
        config_format_print(out, "%s%s or more", blank, unit);
        return;
    }
    add(" to ", out);
    config_format_number(row, row->max, out);
    config_format_print(out, "%s%s", blank, unit);
}

/* Appends what a directive takes: "yes or no", "1 to 64", "size". */
static void add_kind(const struct config_row *row, struct buf *out)
{
    switch (row->type) {
    case CONFIG_BOOL: add("yes or no", out); break;
    case CONFIG_INTEGER: add_numbers(row, out); break;
    case CONFIG_OCTAL:
        add("octal, ", out);
        add_numbers(row, out);
        break;
    case CONFIG_MEMORY:
        add("size, ", out);
        add_numbers(row, out);
        break;
    case CONFIG_DECIMAL:
        add("decimal, ", out);
        add_numbers(row, out);
        break;
    case CONFIG_POLICIES: add("prefix name=value ..., repeated", out); break;
    case CONFIG_CHOICE:
        for (const struct config_choice *choice = row->choices; choice->name != NULL; choice++)
            config_format_print(out, "%s%s", choice == row->choices ? "" : ", ", choice->name);
        break;
    case CONFIG_ADDRESSES: config_format_print(out, "up to %d addresses", CONFIG_BIND_MAX); break;
    case CONFIG_PREFIXES: config_format_print(out, "up to %d prefixes", CONFIG_PREFIXES_MAX); break;
    case CONFIG_OUTPUT_LIMIT: add("class size size seconds, repeated", out); break;
    case CONFIG_TEXT:
    case CONFIG_FIXED: add("text", out); break;
    }
}

/* Appends "[what it takes; more]" in lines that begin with `prefix`. */
static void add_note(const struct config_row *row, const char *prefix, const char *more,
                     const char *what, struct buf *out)
{
    struct buf note;
    buf_init(&note);
    add("[", &note);
    add_kind(row, &note);
    if (row->type == CONFIG_POLICIES)
        add("; changed by CACHE POLICY", &note);
    else if ((row->flags & CONFIG_IMMUTABLE) != 0)
        add("; fixed at start", &note);
    add(more, &note);
    add(what, &note);
    config_format_text(bytes_of("]", sizeof("]")), &note);
    add(prefix, out);
    add_wrapped(note.data, prefix, strlen(prefix), out);
    buf_deinit(&note);
}

/* Help */

static void help_row(const struct config_row *row, struct buf *out)
{
    static const char indent[] = "                                ";
    config_format_print(out, "  --%-28s", row->name);
    add_wrapped(row->text, indent, sizeof(indent) - 1, out);
    add_note(row, indent, "; default ", row->standard, out);
}

void config_print_help(struct buf *out)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    add("Usage: larder [file] [--directive value ...]\n"
        "       larder - (configuration from standard input)\n"
        "       larder [file] [--directive value ...] --check-config\n"
        "       larder --print-config conf|markdown\n"
        "       larder -v or --version\n"
        "       larder -h or --help\n"
        "\n"
        "Examples:\n"
        "       larder --upstream 127.0.0.1:6379\n"
        "       larder /etc/larder/larder.conf --port 7000 --loglevel verbose\n"
        "       larder larder.conf --maxmemory 1gb --check-config\n"
        "\n"
        "The file has the syntax of redis.conf. Every directive in it is also a flag, which "
        "overrides\n"
        "the file, and a name for CONFIG GET and, unless fixed at start, CONFIG SET. The password "
        "for\n"
        "the upstream may also come from LARDER_UPSTREAM_PASSWORD in the environment.\n",
        out);
    for (unsigned section = 0; section < CONFIG_SECTION_COMPATIBILITY; section++) {
        config_format_print(out, "\n%s\n", config_table_section(section));
        for (size_t i = 0; i < n_rows; i++)
            if (is_shown(&rows[i], section))
                help_row(&rows[i], out);
    }
}

/* larder.conf */

static void conf_row(const struct config_row *row, struct buf *out)
{
    add("\n# ", out);
    add_wrapped(row->text, "# ", 2, out);
    add_note(row, "# ", "", "", out);
    if (row->type != CONFIG_OUTPUT_LIMIT) {
        config_format_print(out, "%s %s\n", row->name, row->standard);
        return;
    }
    union config_value standard;
    config_value_standard(row, &standard);
    for (unsigned i = 0; i < CONFIG_CLIENT_CLASSES; i++) {
        config_format_print(out, "%s ", row->name);
        config_format_file(row, &standard, i, out);
        add("\n", out);
    }
    config_value_release(row, &standard);
}

void config_print_conf(struct buf *out)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    add("# larder.conf: every directive with its default.\n"
        "#\n"
        "# Start with: larder /path/to/larder.conf [--directive value ...]\n"
        "#\n"
        "# The syntax is that of redis.conf: name and values in one line, \"quotes\" around a "
        "value with\n"
        "# blanks; the last of several lines of one directive counts. Sizes are bytes, or k "
        "(1000),\n"
        "# kb (1024), m, mb, g, gb. \"include /path/*.conf\" reads further files at that place. "
        "What is not\n"
        "# marked \"fixed at start\" can be changed with CONFIG SET and kept with CONFIG REWRITE.\n"
        "# See doc/configuration.md. This text is what 'larder --print-config conf' prints.\n",
        out);
    for (unsigned section = 0; section < CONFIG_SECTION_COMPATIBILITY; section++) {
        config_format_print(out, "\n# --- %s ---\n", config_table_section(section));
        for (size_t i = 0; i < n_rows; i++)
            if (is_shown(&rows[i], section))
                conf_row(&rows[i], out);
    }
}

/* doc/configuration.md */

/* Appends text for the cell of a table, where a bar would end it and a star or an angle bracket has
 * a meaning. */
static void add_cell(const char *text, struct buf *out)
{
    for (; *text != '\0'; text++) {
        if (strchr("|*<[", *text) != NULL)
            add("\\", out);
        config_format_text(bytes_of(text, 1), out);
    }
}

static void markdown_row(const struct config_row *row, struct buf *out)
{
    config_format_print(out, "| `%s` | `%s` | ", row->name, row->standard);
    add_kind(row, out);
    if (row->type == CONFIG_POLICIES)
        add(" | `CACHE POLICY` | ", out);
    else
        add((row->flags & CONFIG_IMMUTABLE) != 0 ? " | no | " : " | yes | ", out);
    add_cell(row->text, out);
    add(" |\n", out);
}

void config_print_markdown(struct buf *out)
{
    size_t n_rows;
    const struct config_row *rows = config_table(&n_rows);
    for (unsigned section = 0; section < CONFIG_SECTION_COMPATIBILITY; section++) {
        config_format_print(out, "%s### %s\n\n", section > 0 ? "\n" : "",
                            config_table_section(section));
        add("| directive | default | values | `CONFIG SET` | meaning |\n"
            "|---|---|---|---|---|\n",
            out);
        for (size_t i = 0; i < n_rows; i++)
            if (is_shown(&rows[i], section))
                markdown_row(&rows[i], out);
    }
}
