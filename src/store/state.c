/* The books of a store; see state.h. */
#include "store/state.h"

void state_enter(struct store *store, const struct entry *entry)
{
    struct store_db *db = &store->dbs[entry->db];
    store->entry_bytes += entry_footprint(entry);
    db->n_live++;
    store->sum.n_live++;
    if (entry->deadline_ms != 0) {
        db->n_volatile++;
        store->sum.n_volatile++;
    }
    if (entry->db >= store->n_used)
        store->n_used = entry->db + 1u;
}

void state_leave(struct store *store, const struct entry *entry)
{
    struct store_db *db = &store->dbs[entry->db];
    store->entry_bytes -= entry_footprint(entry);
    if (state_is_dead(store, entry)) {
        db->n_dead--;
        store->sum.n_dead--;
        return;
    }
    db->n_live--;
    store->sum.n_live--;
    if (entry->deadline_ms != 0) {
        db->n_volatile--;
        store->sum.n_volatile--;
    }
}

bool state_drop(struct store *store, const struct index_at *at)
{
    struct entry *entry = index_entry_at(at);
    state_leave(store, entry);
    bool moved = index_remove(&store->index, at);
    entry_destroy(entry);
    return moved;
}

void state_count_gone(struct store *store, const struct entry *entry)
{
    if (state_is_dead(store, entry))
        store->counters.reclaimed++;
    else
        store->counters.expirations++;
}

bool state_drop_gone(struct store *store, const struct index_at *at)
{
    state_count_gone(store, index_entry_at(at));
    return state_drop(store, at);
}

bool state_fits(const struct store *store, size_t bytes, size_t entries)
{
    const struct store_options *options = &store->options;
    if (options->max_bytes != 0 && state_used_bytes(store) + bytes > options->max_bytes)
        return false;
    return options->max_entries == 0 || store->sum.n_live + entries <= options->max_entries;
}
