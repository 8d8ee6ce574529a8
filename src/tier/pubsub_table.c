/* The hash tables of pub/sub: chained, embedded nodes, twice the buckets when there are more nodes than
 * buckets. Knows nothing of what the nodes are part of. */
#include "tier/pubsub_internal.h"

#include "base/mem.h"

#define BUCKETS_MIN 16

static bool resize(struct pubsub_table *table, size_t n_buckets)
{
    struct pubsub_node **buckets = mem_try(n_buckets * sizeof(struct pubsub_node *));
    if (buckets == NULL)
        return false;
    memset(buckets, 0, n_buckets * sizeof(struct pubsub_node *));
    for (size_t i = 0; i < table->n_buckets; i++) {
        struct pubsub_node *node = table->buckets[i];
        while (node != NULL) {
            struct pubsub_node *next = node->next;
            struct pubsub_node **to = &buckets[node->hash & (n_buckets - 1)];
            node->next = *to;
            *to = node;
            node = next;
        }
    }
    mem_free(table->buckets);
    table->buckets = buckets;
    table->n_buckets = n_buckets;
    return true;
}

bool pubsub_table_add(struct pubsub_table *table, struct pubsub_node *node, uint64_t hash)
{
    /* Without memory for more buckets, chains get longer; only the first ones must be there. */
    if (table->n >= table->n_buckets &&
        !resize(table, table->n_buckets == 0 ? BUCKETS_MIN : table->n_buckets * 2) &&
        table->n_buckets == 0)
        return false;
    struct pubsub_node **to = &table->buckets[hash & (table->n_buckets - 1)];
    node->hash = hash;
    node->next = *to;
    *to = node;
    table->n++;
    return true;
}

void pubsub_table_remove(struct pubsub_table *table, struct pubsub_node *node)
{
    struct pubsub_node **at = &table->buckets[node->hash & (table->n_buckets - 1)];
    while (*at != node)
        at = &(*at)->next;
    *at = node->next;
    table->n--;
    if (table->n > 0)
        return;
    mem_free(table->buckets);
    table->buckets = NULL;
    table->n_buckets = 0;
}

struct pubsub_node *pubsub_table_again(const struct pubsub_node *node)
{
    uint64_t hash = node->hash;
    struct pubsub_node *at = node->next;
    while (at != NULL && at->hash != hash)
        at = at->next;
    return at;
}

struct pubsub_node *pubsub_table_find(const struct pubsub_table *table, uint64_t hash)
{
    if (table->n == 0)
        return NULL;
    struct pubsub_node *node = table->buckets[hash & (table->n_buckets - 1)];
    while (node != NULL && node->hash != hash)
        node = node->next;
    return node;
}
