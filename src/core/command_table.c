/* The command table; see command_table.h. L2's reply to COMMAND is read in command_learn.c. */
#include "core/command_table_internal.h"

#include "base/mem.h"

/* Slots of the name table; Redis 7.0 has about 240 commands, modules add some. Doubled when half full. */
#define SLOTS_START 1024

struct command_table *command_table_create(void)
{
    struct command_table *table = mem_zalloc(sizeof(*table));
    hash_key_random(&table->key);
    table->n_slots = SLOTS_START;
    table->slots = mem_zalloc(table->n_slots * sizeof(*table->slots));
    return table;
}

static size_t count_rows(const struct command *rows)
{
    size_t n = 0;
    if (rows != NULL)
        while (rows[n].name != NULL)
            n++;
    return n;
}

void command_rows_destroy(struct command *rows, bool owns_names)
{
    while (rows != NULL) {
        size_t n = count_rows(rows);
        for (size_t i = 0; i < n; i++) {
            mem_free(rows[i].stats);
            if (owns_names)
                command_name_free(&rows[i]);
        }
        struct command *more = rows[n].learned_subs;
        mem_free(rows);
        rows = more;
    }
}

void command_name_free(struct command *row)
{
    union {
        const char *name;
        char *owned;
    } text = {row->name};
    mem_free(text.owned);
}

void command_table_destroy(struct command_table *table)
{
    for (size_t i = 0; i < table->n_slots; i++) {
        struct command *row = table->slots[i];
        if (row == NULL)
            continue;
        command_rows_destroy(row->learned_subs, true);
        command_rows_destroy(row->own_subs, false);
        if (row->flags & COMMAND_LEARNED)
            command_name_free(row);
        mem_free(row->stats);
        mem_free(row);
    }
    mem_free(table->slots);
    mem_free(table);
}

/* The slot of a name: its row's, or the free one where it belongs. */
static struct command **slot_of(const struct command_table *table, struct bytes name)
{
    char folded[COMMAND_NAME_MAX];
    for (size_t i = 0; i < name.len; i++)
        folded[i] = bytes_lower(name.ptr[i]);
    size_t at = hash_bytes(&table->key, folded, name.len) & (table->n_slots - 1);
    while (table->slots[at] != NULL &&
           !bytes_equal(bytes_of_str(table->slots[at]->name), bytes_of(folded, name.len)))
        at = (at + 1) & (table->n_slots - 1);
    return &table->slots[at];
}

const struct command *command_table_find(const struct command_table *table, struct bytes name)
{
    return name.len == 0 || name.len >= COMMAND_NAME_MAX ? NULL : *slot_of(table, name);
}

static void grow(struct command_table *table)
{
    struct command_table old = *table;
    table->n_slots *= 2;
    table->slots = mem_zalloc(table->n_slots * sizeof(*table->slots));
    for (size_t i = 0; i < old.n_slots; i++)
        if (old.slots[i] != NULL)
            *slot_of(table, bytes_of_str(old.slots[i]->name)) = old.slots[i];
    mem_free(old.slots);
}

struct command *command_table_insert(struct command_table *table, struct bytes name)
{
    if (!command_name_is_good(name))
        return NULL;
    struct command **slot = slot_of(table, name);
    if (*slot != NULL)
        return *slot;
    if (table->n_rows >= COMMAND_ROWS_MAX)
        return NULL;
    if (table->n_rows * 2 >= table->n_slots) {
        grow(table);
        slot = slot_of(table, name);
    }
    struct command *row = mem_zalloc(sizeof(*row));
    row->stats = mem_zalloc(sizeof(*row->stats));
    *slot = row;
    table->n_rows++;
    return row;
}

void command_table_add(struct command_table *table, const struct command *rows)
{
    for (size_t i = 0; i < count_rows(rows); i++) {
        struct command *row = command_table_insert(table, bytes_of_str(rows[i].name));
        struct command_stats *stats = row->stats;
        *row = rows[i];
        row->stats = stats;
        size_t n_subs = count_rows(rows[i].subs);
        if (n_subs == 0)
            continue;
        row->own_subs = mem_zalloc((n_subs + 1) * sizeof(*row->own_subs));
        for (size_t j = 0; j < n_subs; j++) {
            row->own_subs[j] = rows[i].subs[j];
            row->own_subs[j].stats = mem_zalloc(sizeof(struct command_stats));
        }
        row->subs = row->own_subs;
    }
}

void command_table_serve(struct command_table *table, const struct command_served *served)
{
    table->served = served;
}

const struct command *command_rows_find(const struct command *subs, struct bytes name)
{
    for (subs = command_sub_at(subs); subs != NULL; subs = command_sub_at(subs + 1))
        if (bytes_is(name, subs->name))
            return subs;
    return NULL;
}

const struct command *command_resolve(const struct command *command, const struct bytes *argv,
                                      size_t argc)
{
    if (argc < 2 || (command->subs == NULL && command->learned_subs == NULL))
        return command;
    const struct command *sub = command_rows_find(command->subs, argv[1]);
    /* What larder answers itself has no other subcommands: L2's CLIENT CAPA, say, would change the state of the shared link. */
    if (sub == NULL && !(command->flags & COMMAND_LOCAL))
        sub = command_rows_find(command->learned_subs, argv[1]);
    return sub != NULL ? sub : command;
}

void command_table_each(const struct command_table *table, command_visit_fn *fn, void *ctx)
{
    for (size_t i = 0; i < table->n_slots; i++) {
        const struct command *row = table->slots[i];
        if (row == NULL)
            continue;
        fn(ctx, row, NULL);
        const struct command *sub;
        for (sub = command_sub_at(row->subs); sub != NULL; sub = command_sub_at(sub + 1))
            fn(ctx, sub, row);
        for (sub = command_sub_at(row->learned_subs); sub != NULL; sub = command_sub_at(sub + 1))
            if (command_rows_find(row->subs, bytes_of_str(sub->name)) == NULL)
                fn(ctx, sub, row);
    }
}

size_t command_table_count(const struct command_table *table)
{
    return table->n_rows;
}
