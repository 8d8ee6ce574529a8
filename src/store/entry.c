/* Memory of an entry; see entry.h. */
#include "store/entry.h"

#include "base/mem.h"

size_t entry_class(size_t key_len, size_t value_len)
{
    return mem_class(ENTRY_HEADER + key_len + value_len);
}

size_t entry_footprint(const struct entry *entry)
{
    size_t extra = entry->flags & ENTRY_SOFT ? sizeof(struct entry_soft) : 0;
    return entry_class(entry->key_len, entry->value_len + extra);
}

struct entry *entry_create(struct bytes key, struct bytes value, size_t extra)
{
    struct entry *entry = mem_try(ENTRY_HEADER + key.len + value.len + extra);
    if (entry == NULL)
        return NULL;
    memset(entry, 0, ENTRY_HEADER);
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
