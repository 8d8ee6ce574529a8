/* The usage parser; see usage.h. */
#include "command/usage.h"

/* Groups in groups; the text is our own, but may be wrong. */
#define DEPTH_MAX 8

/* Siblings in order. */
struct list {
    int first;
    int last;
    int n;
};

static const struct list empty_list = {-1, -1, 0};

struct parser {
    struct usage *usage;
    const char *pos;
    unsigned depth;
    bool failed;
};

/* What a bracket holds. */
struct group {
    struct list alternatives;
    bool repeats; /* ends with "..." */
};

static int add_node(struct parser *parser, enum usage_type type)
{
    struct usage *usage = parser->usage;
    if (usage->n_nodes == USAGE_NODES_MAX) {
        parser->failed = true;
        return 0;
    }
    usage->nodes[usage->n_nodes] = (struct usage_node){.type = type, .first = -1, .next = -1};
    return usage->n_nodes++;
}

static struct usage_node *node(struct parser *parser, int i)
{
    return &parser->usage->nodes[i];
}

static void append(struct parser *parser, struct list *list, int i)
{
    if (parser->failed)
        return;
    if (list->n == 0)
        list->first = i;
    else
        node(parser, list->last)->next = i;
    list->last = i;
    list->n++;
}

/* A list as one node: its only member, or a group of that type. */
static int as_node(struct parser *parser, const struct list *list, enum usage_type type)
{
    if (list->n == 1)
        return list->first;
    int i = add_node(parser, type);
    node(parser, i)->first = list->first;
    return i;
}

/* Lexer: a bracket, "|", or a word; an empty slice at the end. */
static struct bytes peek(struct parser *parser)
{
    while (*parser->pos == ' ')
        parser->pos++;
    if (*parser->pos != '\0' && strchr("[]<>|", *parser->pos) != NULL)
        return bytes_of(parser->pos, 1);
    return bytes_of(parser->pos, strcspn(parser->pos, " []<>"));
}

static bool is_sign(struct bytes word, char sign)
{
    return word.len == 1 && word.ptr[0] == sign;
}

static bool ends_sequence(struct bytes word)
{
    return word.len == 0 || is_sign(word, ']') || is_sign(word, '>') || is_sign(word, '|');
}

/* Upper case stands for itself. */
static bool is_token(struct bytes word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] >= 'a' && word.ptr[i] <= 'z')
            return false;
    return word.ptr[0] >= 'A' && word.ptr[0] <= 'Z';
}

static enum usage_type type_of(struct bytes word)
{
    static const char *const integers[] = {
        "count", "seconds", "milliseconds", "offset", "start",   "end",      "index",
        "n",     "ms",      "db",           "cursor", "numkeys", "increment"};
    if (word.len >= 3 && bytes_equal(bytes_of(word.ptr + word.len - 3, 3), BYTES("key")))
        return USAGE_KEY;
    if (bytes_equal(word, BYTES("pattern")))
        return USAGE_PATTERN;
    for (size_t i = 0; i < sizeof(integers) / sizeof(integers[0]); i++)
        if (bytes_equal(word, bytes_of_str(integers[i])))
            return USAGE_INTEGER;
    return USAGE_STRING;
}

/* A sequence in the making: arguments, and the values of a token that is still open. */
struct sequence {
    struct list items;
    struct bytes token; /* empty: none is open */
    struct list values;
    bool repeats;
};

static void close_token(struct parser *parser, struct sequence *sequence)
{
    if (sequence->token.len == 0)
        return;
    int i = sequence->values.n == 0 ? add_node(parser, USAGE_PURE_TOKEN)
                                    : as_node(parser, &sequence->values, USAGE_BLOCK);
    node(parser, i)->token = sequence->token;
    append(parser, &sequence->items, i);
    sequence->token = BYTES("");
    sequence->values = empty_list;
}

static struct list *open_list(struct sequence *sequence)
{
    return sequence->token.len > 0 ? &sequence->values : &sequence->items;
}

/* The member that has `n` from it to the end of the list, and the one before it (-1: none); -1: the
 * list is shorter. */
static int nth_last(struct parser *parser, const struct list *list, int n, int *before)
{
    *before = -1;
    if (n == 0 || list->n < n)
        return -1;
    int i = list->first;
    for (int skipped = list->n - n; skipped > 0; skipped--) {
        *before = i;
        i = node(parser, i)->next;
    }
    return i;
}

/* Marks the last n members of the list as repeated, together. */
static void repeat_last(struct parser *parser, struct list *list, int n)
{
    int before;
    int first = nth_last(parser, list, n, &before);
    if (n == 1) {
        node(parser, first)->multiple = true;
        node(parser, first)->multiple_token = node(parser, first)->token.len > 0;
        return;
    }
    int block = add_node(parser, USAGE_BLOCK);
    node(parser, block)->first = first;
    node(parser, block)->multiple = true;
    if (before >= 0)
        node(parser, before)->next = block;
    else
        list->first = block;
    list->last = block;
    list->n -= n - 1;
}

static void parse_group(struct parser *parser, char end, struct group *group);

/* The first of the arguments that a group repeats, and how many they are. */
static int repeated_arguments(struct parser *parser, int group, int *n)
{
    const struct usage_node *repeated = node(parser, group);
    *n = 1;
    if (repeated->type != USAGE_BLOCK || repeated->token.len > 0)
        return group;
    *n = 0;
    for (int i = repeated->first; i >= 0; i = node(parser, i)->next)
        (*n)++;
    return repeated->first;
}

/* True when a group that ends with "..." repeats what stands before it ("key [key ...]"), and is
 * not repeated itself. */
static bool repeats_before(struct parser *parser, struct sequence *sequence, int group)
{
    int n;
    int before;
    const struct usage_node *first = node(parser, repeated_arguments(parser, group, &n));
    if (first->token.len > 0)
        close_token(parser, sequence);
    int i = nth_last(parser, open_list(sequence), n, &before);
    return i >= 0 && first->type != USAGE_ONEOF &&
           bytes_equal(node(parser, i)->name, first->name) &&
           bytes_equal(node(parser, i)->token, first->token);
}

/* "[...]": optional arguments, or the repetition of those before. */
static void parse_optional(struct parser *parser, struct sequence *sequence)
{
    struct group group;
    parse_group(parser, ']', &group);
    if (parser->failed)
        return;
    int i = as_node(parser, &group.alternatives, USAGE_ONEOF);
    if (group.repeats && repeats_before(parser, sequence, i)) {
        int n;
        repeated_arguments(parser, i, &n);
        repeat_last(parser, open_list(sequence), n);
    } else {
        close_token(parser, sequence);
        node(parser, i)->optional = true;
        node(parser, i)->multiple |= group.repeats;
        append(parser, &sequence->items, i);
    }
}

/* "<...>" */
static void parse_choice(struct parser *parser, struct sequence *sequence)
{
    struct group group;
    parse_group(parser, '>', &group);
    if (parser->failed)
        return;
    int i = as_node(parser, &group.alternatives, USAGE_ONEOF);
    node(parser, i)->multiple |= group.repeats;
    append(parser, open_list(sequence), i);
}

static void parse_word(struct parser *parser, struct sequence *sequence, struct bytes word)
{
    if (bytes_equal(word, BYTES("..."))) {
        sequence->repeats = true;
    } else if (is_token(word)) {
        close_token(parser, sequence);
        sequence->token = word;
    } else {
        int i = add_node(parser, type_of(word));
        node(parser, i)->name = word;
        append(parser, open_list(sequence), i);
    }
}

static struct sequence parse_sequence(struct parser *parser)
{
    struct sequence sequence = {.items = empty_list, .values = empty_list};
    for (;;) {
        struct bytes word = peek(parser);
        if (parser->failed || ends_sequence(word))
            break;
        parser->pos += word.len;
        if (is_sign(word, '['))
            parse_optional(parser, &sequence);
        else if (is_sign(word, '<'))
            parse_choice(parser, &sequence);
        else
            parse_word(parser, &sequence, word);
    }
    close_token(parser, &sequence);
    return sequence;
}

/* Reads alternatives up to the closing bracket, or, for '\0', to the end. */
static void parse_group(struct parser *parser, char end, struct group *group)
{
    group->alternatives = empty_list;
    group->repeats = false;
    if (++parser->depth > DEPTH_MAX)
        parser->failed = true;
    while (!parser->failed) {
        struct sequence sequence = parse_sequence(parser);
        struct bytes sign = peek(parser);
        parser->pos += sign.len;
        if (sequence.items.n == 0)
            parser->failed = true;
        if (parser->failed)
            break;
        group->repeats |= sequence.repeats;
        append(parser, &group->alternatives, as_node(parser, &sequence.items, USAGE_BLOCK));
        if (end == '\0' ? sign.len == 0 : is_sign(sign, end))
            break;
        if (!is_sign(sign, '|'))
            parser->failed = true;
    }
    parser->depth--;
}

bool usage_parse(struct usage *usage, const char *text)
{
    struct parser parser = {.usage = usage, .pos = text};
    struct group group;
    usage->n_nodes = 0;
    parse_group(&parser, '\0', &group);
    if (parser.failed || group.repeats)
        return false;
    /* Without alternatives the group is the block of all arguments, or the only one. */
    int top = as_node(&parser, &group.alternatives, USAGE_ONEOF);
    const struct usage_node *all = &usage->nodes[top];
    bool is_plain =
        all->type == USAGE_BLOCK && all->token.len == 0 && !all->optional && !all->multiple;
    usage->first = is_plain ? all->first : top;
    return !parser.failed;
}
