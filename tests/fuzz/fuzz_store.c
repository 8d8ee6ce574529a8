/* Random operations on the store against a naive model, with failing allocations. The model knows
 * what every key must be if it is there; that it is there is asserted whenever nothing was evicted.
 * Owns the model; knows only store.h. */
#include "base/mem.h"
#include "store/store.h"

#include "fuzz.h"

#include <stdlib.h>

#define N_DBS 3u
#define N_KEYS 128u
#define VALUE_MAX 700u
/* What the index may take at once beside the item: one more doubling of its small first segment. */
#define BUDGET_SLACK ((size_t)16 << 10)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            __builtin_trap();                                                                      \
    } while (0)

struct model_entry {
    bool present;
    uint8_t kind;
    uint8_t flags;
    int64_t deadline_ms;
    size_t value_len;
    char value[VALUE_MAX];
};

struct run {
    struct store *store;
    struct store_options options;
    int64_t now_ms;
    const uint8_t *data;
    size_t left;
    struct model_entry model[N_DBS][N_KEYS];
};

static unsigned next(struct run *run)
{
    if (run->left == 0)
        return 0;
    run->left--;
    return *run->data++;
}

/* Keys of 0 to 127 bytes: key n is n bytes long. */
static struct bytes key_of(unsigned n)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";
    return bytes_of(letters, n % N_KEYS);
}

static uint64_t hash_of(const struct run *run, unsigned n)
{
    return store_hash(run->store, key_of(n));
}

static bool model_has(const struct run *run, const struct model_entry *model)
{
    return model->present && (model->deadline_ms == 0 || model->deadline_ms > run->now_ms);
}

static void check_same(const struct run *run, unsigned db, unsigned key, const struct entry *entry)
{
    const struct model_entry *model = &run->model[db][key];
    CHECK(model_has(run, model));
    CHECK(bytes_equal(entry_key(entry), key_of(key)));
    CHECK(bytes_equal(entry_value(entry), bytes_of(model->value, model->value_len)));
    CHECK(entry->kind == model->kind && (entry->flags & ~ENTRY_HIT) == model->flags);
    CHECK((int64_t)entry->deadline_ms == model->deadline_ms);
    CHECK(store_db_of(run->store, entry) == db);
}

static bool is_volatile_policy(const struct run *run)
{
    return run->options.policy >= STORE_VOLATILE_LRU;
}

/* Compares every key. What is missing was evicted, if `evicted` allows it; the model follows. Drops
 * what is expired. */
static void compare_all(struct run *run, bool evicted)
{
    size_t bytes = 0;
    size_t n_volatile = 0;
    size_t n_all = 0;
    for (unsigned db = 0; db < N_DBS; db++) {
        size_t n = 0;
        for (unsigned key = 0; key < N_KEYS; key++) {
            struct model_entry *model = &run->model[db][key];
            const struct entry *entry =
                store_peek(run->store, db, key_of(key), hash_of(run, key), run->now_ms);
            if (entry != NULL) {
                check_same(run, db, key, entry);
                bytes += entry_footprint(entry);
                n_volatile += entry->deadline_ms != 0;
                n++;
            } else if (model_has(run, model)) {
                CHECK(evicted && run->options.policy != STORE_NOEVICTION);
                CHECK(!is_volatile_policy(run) || model->deadline_ms != 0);
                model->present = false;
            }
            model->present = entry != NULL;
        }
        CHECK(store_db_entries(run->store, db) == n);
        n_all += n;
    }
    struct store_gauges gauges;
    store_read_gauges(run->store, &gauges);
    CHECK(gauges.entries == n_all && gauges.volatile_entries == n_volatile);
    CHECK(gauges.dead_entries > 0 ? gauges.entry_bytes >= bytes : gauges.entry_bytes == bytes);
}

static uint64_t evictions(const struct run *run)
{
    struct store_counters counters;
    store_read_counters(run->store, &counters);
    return counters.evictions;
}

static size_t used_bytes(const struct run *run)
{
    struct store_gauges gauges;
    store_read_gauges(run->store, &gauges);
    return gauges.entry_bytes + gauges.index_bytes;
}

static int64_t pick_deadline(struct run *run)
{
    unsigned choice = next(run);
    if (choice < 100)
        return 0;
    if (choice < 110)
        return run->now_ms - (choice - 100);
    return run->now_ms + (int64_t)(choice - 100) * 10;
}

/* Bytes to put: new ones, or a part of this or another entry. */
static struct bytes pick_value(struct run *run, unsigned db, unsigned key, char *scratch)
{
    unsigned choice = next(run);
    unsigned from = choice < 32 ? key : choice % N_KEYS;
    if (choice < 64) {
        const struct entry *entry =
            store_peek(run->store, db, key_of(from), hash_of(run, from), run->now_ms);
        if (entry == NULL)
            return bytes_of(NULL, 0);
        struct bytes value = entry_value(entry);
        size_t skip = value.len == 0 ? 0 : next(run) % value.len;
        return bytes_of(value.ptr + skip, value.len - skip);
    }
    size_t len = choice < 128 ? choice - 64 : (choice - 128) * 5;
    memset(scratch, (int)next(run), len);
    return bytes_of(scratch, len);
}

static void do_put(struct run *run, unsigned db, unsigned key)
{
    char scratch[VALUE_MAX];
    char copy[VALUE_MAX];
    struct store_item item = {
        .deadline_ms = pick_deadline(run), .kind = next(run) % 3, .flags = next(run) % 4};
    item.value = pick_value(run, db, key, scratch);
    const struct entry *old =
        store_peek(run->store, db, key_of(key), hash_of(run, key), run->now_ms);
    struct bytes key_bytes = old != NULL ? entry_key(old) : key_of(key);
    size_t len = item.value.len;
    if (len > 0)
        memcpy(copy, item.value.ptr, len);
    size_t before = used_bytes(run);
    uint64_t evictions_before = evictions(run);
    enum store_result result =
        store_put(run->store, db, key_bytes, hash_of(run, key), &item, run->now_ms);
    if (result == STORE_OK) {
        struct model_entry *model = &run->model[db][key];
        model->present = item.deadline_ms == 0 || item.deadline_ms > run->now_ms;
        model->kind = (uint8_t)item.kind;
        model->flags = (uint8_t)item.flags;
        model->deadline_ms = item.deadline_ms;
        model->value_len = len;
        memcpy(model->value, copy, len);
        const struct entry *entry =
            store_find(run->store, db, key_of(key), hash_of(run, key), run->now_ms);
        CHECK((entry != NULL) == model->present);
        size_t after = used_bytes(run);
        CHECK(run->options.max_bytes == 0 || after <= run->options.max_bytes + BUDGET_SLACK ||
              after <= before);
    } else {
        CHECK((store_peek(run->store, db, key_of(key), hash_of(run, key), run->now_ms) == NULL) ==
              (old == NULL));
    }
    compare_all(run, evictions(run) != evictions_before);
}

static void do_remove(struct run *run, unsigned db, unsigned key)
{
    bool was = model_has(run, &run->model[db][key]);
    CHECK(store_remove(run->store, db, key_of(key), hash_of(run, key), run->now_ms) == was);
    run->model[db][key].present = false;
}

static void do_remove_everywhere(struct run *run, unsigned key)
{
    unsigned n = 0;
    for (unsigned db = 0; db < N_DBS; db++) {
        n += model_has(run, &run->model[db][key]);
        run->model[db][key].present = false;
    }
    CHECK(store_remove_everywhere(run->store, key_of(key), hash_of(run, key), run->now_ms) == n);
}

static void do_deadline(struct run *run, unsigned db, unsigned key)
{
    struct model_entry *model = &run->model[db][key];
    int64_t deadline_ms = pick_deadline(run);
    bool was = model_has(run, model);
    CHECK(store_set_deadline(run->store, db, key_of(key), hash_of(run, key), deadline_ms,
                             run->now_ms) == was);
    if (was)
        model->deadline_ms = deadline_ms;
}

static void do_flush(struct run *run, unsigned db)
{
    for (unsigned i = 0; i < N_DBS; i++)
        if (db == i || db >= N_DBS)
            for (unsigned key = 0; key < N_KEYS; key++)
                run->model[i][key].present = false;
    if (db >= N_DBS)
        store_flush_all(run->store);
    else
        store_flush(run->store, db);
}

static void do_swap(struct run *run, unsigned a, unsigned b)
{
    CHECK(store_swap(run->store, a, b));
    for (unsigned key = 0; key < N_KEYS; key++) {
        struct model_entry swap = run->model[a][key];
        run->model[a][key] = run->model[b][key];
        run->model[b][key] = swap;
    }
}

struct visits {
    struct run *run;
    unsigned n[N_DBS][N_KEYS];
};

static bool visit(void *ctx, const struct entry *entry)
{
    struct visits *visits = ctx;
    unsigned db = store_db_of(visits->run->store, entry);
    check_same(visits->run, db, entry->key_len, entry);
    visits->n[db][entry->key_len]++;
    return true;
}

static void do_scan(struct run *run)
{
    struct visits visits = {.run = run};
    uint64_t cursor = 0;
    unsigned step = next(run) % 4 + 1;
    do {
        cursor = store_scan(run->store, cursor, step, run->now_ms, visit, &visits);
    } while (cursor != 0);
    for (unsigned db = 0; db < N_DBS; db++)
        for (unsigned key = 0; key < N_KEYS; key++)
            CHECK(visits.n[db][key] == model_has(run, &run->model[db][key]));
}

static void configure(struct run *run)
{
    static const size_t budgets[] = {0, 3000, 8000, 20000};
    run->options.policy = next(run) % STORE_POLICIES;
    run->options.max_bytes = budgets[next(run) % 4];
    run->options.max_entries = next(run) % 4 == 0 ? 10 : 0;
    run->options.samples = next(run) % 8 + 1;
}

static void do_cycle(struct run *run)
{
    uint64_t before = evictions(run);
    store_cycle(run->store, run->now_ms, next(run) % 2 ? 1000 : 0);
    compare_all(run, evictions(run) != before);
}

static void do_random(struct run *run, unsigned db)
{
    const struct entry *entry = store_random(run->store, db, run->now_ms);
    if (entry != NULL)
        check_same(run, db, entry->key_len, entry);
    bool has = false;
    for (unsigned key = 0; key < N_KEYS; key++)
        has |= model_has(run, &run->model[db][key]);
    CHECK((entry != NULL) == has);
}

static void operate(struct run *run)
{
    unsigned operation = next(run);
    unsigned db = next(run) % N_DBS;
    unsigned key = next(run) % N_KEYS;
    if (operation >= 24) {
        do_put(run, db, key);
        return;
    }
    switch (operation) {
    case 0:
    case 1:
    case 2: do_remove(run, db, key); break;
    case 3: do_remove_everywhere(run, key); break;
    case 4:
    case 5:
    case 6: do_deadline(run, db, key); break;
    case 7: do_flush(run, db); break;
    case 8: do_flush(run, N_DBS); break;
    case 9: do_swap(run, db, key % N_DBS); break;
    case 10:
    case 11: do_scan(run); break;
    case 12:
    case 13:
    case 14: do_cycle(run); break;
    case 15:
    case 16:
    case 17: run->now_ms += next(run) * 20; break;
    case 18: do_random(run, db); break;
    case 19:
        configure(run);
        store_configure(run->store, &run->options);
        break;
    case 20: run->now_ms += 3600000; break;
    default: mem_fail_after(next(run) % 4); break;
    }
    compare_all(run, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *run = calloc(1, sizeof(*run));
    CHECK(run != NULL);
    run->data = data;
    run->left = size;
    run->now_ms = 1;
    store_options_default(&run->options);
    run->options.n_dbs = N_DBS;
    run->options.seed = next(run) + 1;
    configure(run);
    run->store = store_create(&run->options);
    while (run->left > 0)
        operate(run);
    mem_fail_after(0);
    compare_all(run, false);
    store_destroy(run->store);
    free(run);
    return 0;
}
