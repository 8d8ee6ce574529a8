/* Memory that ends where reading must end: an unreadable page lies right behind it. */
#ifndef LARDER_TESTS_GUARD_H
#define LARDER_TESTS_GUARD_H

#include <check.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct guard {
    char *area; /* owned, mapped */
    size_t size;
    char *end; /* the first byte that can't be read */
};

/* Maps memory for inputs of at most `max_len` bytes. */
static inline struct guard guard_map(size_t max_len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t usable = (max_len + page) / page * page;
    char *area =
        mmap(NULL, usable + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(area != MAP_FAILED);
    ck_assert_int_eq(mprotect(area + usable, page, PROT_NONE), 0);
    return (struct guard){area, usable + page, area + usable};
}

static inline void guard_unmap(struct guard *guard)
{
    munmap(guard->area, guard->size);
}

/* Copies `len` bytes to the end of the guarded memory. Returns the copy, borrowed. */
static inline char *guard_put(const struct guard *guard, const void *bytes, size_t len)
{
    char *copy = guard->end - len;
    if (len > 0)
        memcpy(copy, bytes, len);
    return copy;
}

#endif
