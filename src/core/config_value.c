/* Values of directives: parsing and life cycle; see config_value.h. */
#include "core/config_value.h"

#include "base/mem.h"
#include "base/units.h"
#include "core/config_format.h"
#include "core/config_policy.h"
#include "upstream/address.h"
#include "upstream/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* The parts of one call of config_value_parse. */
struct parse {
    const struct config_row *row;
    const struct bytes *words;
    size_t n_words;
    union config_value *value;
    struct config_fault *fault;
};

static bool fail(struct parse *parse, enum config_problem problem, struct bytes word)
{
    parse->fault->problem = problem;
    parse->fault->word = word;
    parse->fault->n_words = parse->n_words;
    return false;
}

static enum config_problem parse_memory(struct bytes word, int64_t *bytes)
{
    int result = units_parse_size(word, bytes);
    return result == 0 ? CONFIG_FINE : result == -ERANGE ? CONFIG_BAD_RANGE : CONFIG_BAD_MEMORY;
}

static bool parse_octal(struct bytes word, int64_t *number)
{
    /* 12 digits are 36 bits: no overflow. */
    if (word.len == 0 || word.len > 12)
        return false;
    int64_t octal = 0;
    for (size_t i = 0; i < word.len; i++) {
        if (word.ptr[i] < '0' || word.ptr[i] > '7')
            return false;
        octal = octal * 8 + (word.ptr[i] - '0');
    }
    *number = octal;
    return true;
}

static bool parse_number(struct parse *parse)
{
    struct bytes word = parse->words[0];
    int64_t number = 0;
    enum config_problem problem = CONFIG_FINE;
    if (parse->row->type == CONFIG_MEMORY)
        problem = parse_memory(word, &number);
    else if (parse->row->type == CONFIG_OCTAL)
        problem = parse_octal(word, &number) ? CONFIG_FINE : CONFIG_BAD_OCTAL;
    else
        problem = bytes_parse_i64(word, &number) ? CONFIG_FINE : CONFIG_BAD_INTEGER;
    if (problem == CONFIG_FINE && (number < parse->row->min || number > parse->row->max))
        problem = CONFIG_BAD_RANGE;
    if (problem != CONFIG_FINE)
        return fail(parse, problem, word);
    parse->value->number = number;
    return true;
}

static bool parse_decimal(struct parse *parse)
{
    struct bytes word = parse->words[0];
    double decimal;
    int result = units_parse_decimal(word, &decimal);
    if (result == -EINVAL)
        return fail(parse, CONFIG_BAD_DECIMAL, word);
    if (result < 0 || decimal < (double)parse->row->min || decimal > (double)parse->row->max)
        return fail(parse, CONFIG_BAD_RANGE, word);
    parse->value->decimal = decimal;
    return true;
}

static bool parse_bool(struct parse *parse)
{
    bool yes = bytes_is(parse->words[0], "yes");
    if (!yes && !bytes_is(parse->words[0], "no"))
        return fail(parse, CONFIG_BAD_BOOL, parse->words[0]);
    parse->value->yes = yes;
    return true;
}

static bool parse_choice(struct parse *parse)
{
    for (const struct config_choice *choice = parse->row->choices; choice->name != NULL; choice++) {
        if (!bytes_is(parse->words[0], choice->name))
            continue;
        parse->value->choice = choice->value;
        return true;
    }
    return fail(parse, CONFIG_BAD_CHOICE, parse->words[0]);
}

/* Words that can be kept as C strings, together not too long. */
static bool check_words(struct parse *parse)
{
    size_t total = 0;
    for (size_t i = 0; i < parse->n_words; i++) {
        struct bytes word = parse->words[i];
        if (word.len > CONFIG_TEXT_MAX - total)
            return fail(parse, CONFIG_TOO_LONG, bytes_of(NULL, 0));
        total += word.len;
        if (word.len > 0 && memchr(word.ptr, '\0', word.len) != NULL)
            return fail(parse, CONFIG_NUL_BYTE, bytes_of(NULL, 0));
    }
    return true;
}

static char *copy_word(struct bytes word)
{
    char *text = mem_alloc(word.len + 1);
    if (word.len > 0)
        memcpy(text, word.ptr, word.len);
    text[word.len] = '\0';
    return text;
}

static void release_text(char *text)
{
    explicit_bzero(text, strlen(text));
    mem_free(text);
}

/* What L2's address is, its own parser knows. */
static bool check_upstream(struct parse *parse, const char *text)
{
    struct address address;
    if (!address_parse(&address, text, parse->fault->text, sizeof(parse->fault->text)))
        return fail(parse, CONFIG_BAD_UPSTREAM, bytes_of(NULL, 0));
    address_deinit(&address);
    return true;
}

static bool parse_text(struct parse *parse)
{
    if (!check_words(parse))
        return false;
    char *text = copy_word(parse->words[0]);
    if ((parse->row->flags & CONFIG_URL) != 0 && *text != '\0' && !check_upstream(parse, text)) {
        release_text(text);
        return false;
    }
    parse->value->text = text;
    return true;
}

/* The forms that listener_open_tcp takes, with a '-' before them or not. */
static bool is_address(struct bytes word)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];
    if (word.len > 0 && word.ptr[0] == '-')
        word = bytes_of(word.ptr + 1, word.len - 1);
    if (bytes_equal(word, BYTES("*")) || bytes_equal(word, BYTES("::*")) ||
        bytes_equal(word, BYTES("localhost")))
        return true;
    if (word.len == 0 || word.len >= sizeof(text))
        return false;
    memcpy(text, word.ptr, word.len);
    text[word.len] = '\0';
    return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static void keep_words(struct parse *parse)
{
    struct config_list list = {NULL, 0};
    if (parse->n_words > 0)
        list.items = mem_alloc(parse->n_words * sizeof(*list.items));
    for (; list.n < parse->n_words; list.n++)
        list.items[list.n] = copy_word(parse->words[list.n]);
    parse->value->list = list;
}

static bool parse_addresses(struct parse *parse)
{
    if (parse->n_words > CONFIG_BIND_MAX)
        return fail(parse, CONFIG_TOO_MANY, bytes_of(NULL, 0));
    if (!check_words(parse))
        return false;
    for (size_t i = 0; i < parse->n_words; i++)
        if (!is_address(parse->words[i]))
            return fail(parse, CONFIG_BAD_ADDRESS, parse->words[i]);
    keep_words(parse);
    return true;
}

static bool fail_prefix(struct parse *parse, struct bytes prefix, const char *what,
                        const struct bytes *other, const char *why)
{
    struct buf text;
    buf_init(&text);
    config_format_shown(prefix, &text);
    config_format_print(&text, "%s", what);
    if (other != NULL)
        config_format_shown(*other, &text);
    config_format_print(&text, "%s", why);
    snprintf(parse->fault->text, sizeof(parse->fault->text), "%.*s", (int)text.len, text.data);
    buf_deinit(&text);
    return fail(parse, CONFIG_BAD_PREFIX, bytes_of(NULL, 0));
}

/* Redis refuses prefixes that overlap, too: it would tell of a key twice. */
static bool parse_prefixes(struct parse *parse)
{
    const struct bytes *words = parse->words;
    if (parse->n_words > CONFIG_PREFIXES_MAX)
        return fail(parse, CONFIG_TOO_MANY, bytes_of(NULL, 0));
    if (!check_words(parse))
        return false;
    for (size_t i = 0; i < parse->n_words; i++) {
        if (words[i].len > 0 && memchr(words[i].ptr, ' ', words[i].len) != NULL)
            return fail_prefix(parse, words[i], " has a blank, which separates prefixes here", NULL,
                               "");
        for (size_t j = 0; j < parse->n_words; j++)
            if (j != i && bytes_starts_with(words[j], words[i]))
                return fail_prefix(parse, words[j], " overlaps with ", &words[i],
                                   ": no prefix may begin with another one");
    }
    keep_words(parse);
    return true;
}

bool config_value_class(struct bytes word, enum config_client_class *class)
{
    if (bytes_is(word, "normal"))
        *class = CONFIG_CLASS_NORMAL;
    else if (bytes_is(word, "replica") || bytes_is(word, "slave"))
        *class = CONFIG_CLASS_REPLICA;
    else if (bytes_is(word, "pubsub"))
        *class = CONFIG_CLASS_PUBSUB;
    else
        return false;
    return true;
}

/* `value` holds the current limits; those of the named classes are replaced. */
static bool parse_limits(struct parse *parse)
{
    if (parse->n_words % 4 != 0)
        return fail(parse, CONFIG_BAD_LIMIT_COUNT, bytes_of(NULL, 0));
    for (size_t i = 0; i < parse->n_words; i += 4) {
        const struct bytes *words = parse->words + i;
        struct config_output_limit limit;
        enum config_client_class class;
        if (!config_value_class(words[0], &class))
            return fail(parse, CONFIG_BAD_LIMIT_CLASS, words[0]);
        if (parse_memory(words[1], &limit.hard_bytes) != CONFIG_FINE)
            return fail(parse, CONFIG_BAD_LIMIT_NUMBER, words[1]);
        if (parse_memory(words[2], &limit.soft_bytes) != CONFIG_FINE)
            return fail(parse, CONFIG_BAD_LIMIT_NUMBER, words[2]);
        if (!bytes_parse_range(words[3], 0, INT_MAX, &limit.soft_s))
            return fail(parse, CONFIG_BAD_LIMIT_NUMBER, words[3]);
        parse->value->limits[class] = limit;
    }
    return true;
}

/* A copy of the current policies, with one line added. */
static bool parse_policies(struct parse *parse, const struct policy_table *current)
{
    struct policy_table *policies = policy_table_create();
    policy_table_copy(policies, current);
    if (!config_policy_add(policies, parse->words, parse->n_words, parse->fault->text,
                           sizeof(parse->fault->text))) {
        policy_table_destroy(policies);
        return fail(parse, CONFIG_BAD_POLICY, bytes_of(NULL, 0));
    }
    parse->value->policies = policies;
    return true;
}

static bool parse_fixed(struct parse *parse)
{
    struct bytes standard = bytes_of_str(parse->row->standard);
    if (bytes_equal(standard, BYTES("\"\"")))
        standard.len = 0;
    return bytes_equal_nocase(parse->words[0], standard) ||
           fail(parse, CONFIG_BAD_FIXED, parse->words[0]);
}

static bool parse_words(struct parse *parse, const union config_value *current)
{
    switch (parse->row->type) {
    case CONFIG_BOOL: return parse_bool(parse);
    case CONFIG_INTEGER:
    case CONFIG_OCTAL:
    case CONFIG_MEMORY: return parse_number(parse);
    case CONFIG_CHOICE: return parse_choice(parse);
    case CONFIG_TEXT: return parse_text(parse);
    case CONFIG_ADDRESSES: return parse_addresses(parse);
    case CONFIG_PREFIXES: return parse_prefixes(parse);
    case CONFIG_OUTPUT_LIMIT: return parse_limits(parse);
    case CONFIG_DECIMAL: return parse_decimal(parse);
    case CONFIG_POLICIES: return parse_policies(parse, current->policies);
    case CONFIG_FIXED: return parse_fixed(parse);
    }
    return false;
}

/* Most words that any value has; one more, so that too many are seen. */
#define WORDS_MAX (CONFIG_PREFIXES_MAX + 1)
_Static_assert(4 * CONFIG_CLIENT_CLASSES < WORDS_MAX, "all classes fit");
_Static_assert(CONFIG_BIND_MAX < WORDS_MAX, "all addresses fit");
_Static_assert(CONFIG_PREFIXES_MAX == LINK_PREFIXES_MAX, "the link takes as many prefixes");

/* Cuts one word at its blanks, as Redis does for a value of several words that comes as one.
 * Returns the number of words. */
static size_t cut_word(struct bytes word, struct bytes *words)
{
    size_t n = 0;
    const char *p = word.len > 0 ? word.ptr : "";
    const char *end = p + word.len;
    while (p < end && n < WORDS_MAX) {
        const char *blank = memchr(p, ' ', (size_t)(end - p));
        const char *stop = blank != NULL ? blank : end;
        if (stop > p)
            words[n++] = bytes_of(p, (size_t)(stop - p));
        p = blank != NULL ? stop + 1 : end;
    }
    return n;
}

static bool is_list(const struct config_row *row)
{
    return row->type == CONFIG_ADDRESSES || row->type == CONFIG_PREFIXES;
}

bool config_value_parse(const struct config_row *row, const struct bytes *words, size_t n_words,
                        const union config_value *current, union config_value *value,
                        struct config_fault *fault)
{
    struct bytes cut[WORDS_MAX];
    struct parse parse = {row, words, n_words, value, fault};
    bool several = is_list(row) || row->type == CONFIG_OUTPUT_LIMIT;
    memset(value, 0, sizeof(*value));
    if (n_words == 0 || (!several && row->type != CONFIG_POLICIES && n_words != 1))
        return fail(&parse, CONFIG_BAD_COUNT, bytes_of(NULL, 0));
    if (several && n_words == 1) {
        parse.words = cut;
        parse.n_words = cut_word(words[0], cut);
    }
    if (row->type == CONFIG_OUTPUT_LIMIT)
        *value = *current;
    return parse_words(&parse, current);
}

void config_value_standard(const struct config_row *row, union config_value *value)
{
    struct bytes words[WORDS_MAX];
    struct bytes standard = bytes_of_str(row->standard);
    union config_value none;
    struct config_fault fault;
    if (row->type == CONFIG_POLICIES) {
        value->policies = policy_table_create();
        return;
    }
    memset(&none, 0, sizeof(none));
    size_t n_words = cut_word(standard, words);
    if (bytes_equal(standard, BYTES("\"\"")))
        words[0].len = 0;
    if (!config_value_parse(row, words, n_words, &none, value, &fault))
        abort(); /* a row that contradicts itself */
}

void config_value_release(const struct config_row *row, union config_value *value)
{
    if (row->type == CONFIG_TEXT) {
        release_text(value->text);
    } else if (is_list(row)) {
        for (size_t i = 0; i < value->list.n; i++)
            mem_free(value->list.items[i]);
        mem_free(value->list.items);
    } else if (row->type == CONFIG_POLICIES) {
        policy_table_destroy(value->policies);
    }
    memset(value, 0, sizeof(*value));
}

void config_value_borrow(const struct config *config, const struct config_row *row,
                         union config_value *value)
{
    memset(value, 0, sizeof(*value));
    memcpy(value, config_table_field_const(config, row), row->size);
}

void config_value_swap(struct config *config, const struct config_row *row,
                       union config_value *value)
{
    union config_value old;
    config_value_borrow(config, row, &old);
    memcpy(config_table_field(config, row), value, row->size);
    *value = old;
}

static bool equal_lists(const struct config_list *a, const struct config_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i], b->items[i]) != 0)
            return false;
    return true;
}

bool config_value_equal(const struct config_row *row, const union config_value *a,
                        const union config_value *b)
{
    if (row->type == CONFIG_TEXT)
        return strcmp(a->text, b->text) == 0;
    if (is_list(row))
        return equal_lists(&a->list, &b->list);
    if (row->type == CONFIG_POLICIES)
        return config_policy_equal(a->policies, b->policies);
    return memcmp(a, b, row->size) == 0;
}
