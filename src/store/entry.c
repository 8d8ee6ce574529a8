/* Memory of an entry; see entry.h. */
#include "store/entry.h"

#include "base/mem.h"

size_t entry_class(size_t key_len, size_t value_len)
{
    return mem_class(sizeof(struct entry) + key_len + value_len);
}

size_t entry_footprint(const struct entry *entry)
{
    return entry_class(entry->key_len, entry->value_len);
}

struct entry *entry_create(struct bytes key, struct bytes value)
{
    struct entry *entry = mem_try(sizeof(*entry) + key.len + value.len);
    if (entry == NULL)
        return NULL;
    memset(entry, 0, sizeof(*entry));
    entry->key_len = (uint32_t)key.len;
    entry->value_len = (uint32_t)value.len;
    if (key.len > 0)
        memcpy(entry->data, key.ptr, key.len);
    if (value.len > 0)
        memcpy(entry->data + key.len, value.ptr, value.len);
    return entry;
}

void entry_destroy(struct entry *entry)
{
    mem_free(entry);
}
