/* Memory; see mem.h. */
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef HAVE_JEMALLOC
#include <jemalloc/jemalloc.h>
#include <stdint.h>
#define STRING_OF(x) #x
#define NAME_OF(major, minor, patch)                                                               \
    "jemalloc-" STRING_OF(major) "." STRING_OF(minor) "." STRING_OF(patch)
#define JEMALLOC_NAME                                                                              \
    NAME_OF(JEMALLOC_VERSION_MAJOR, JEMALLOC_VERSION_MINOR, JEMALLOC_VERSION_BUGFIX)
#else
#include <malloc.h>
#endif

/* The only mutable state: the countdown of the test hook. Per thread, so that no server ever shares it. */
static _Thread_local unsigned fail_countdown;

static int fails_now(void)
{
    return fail_countdown != 0 && --fail_countdown == 0;
}

static void die(size_t size)
{
    fprintf(stderr, "larder: out of memory allocating %zu bytes\n", size);
    abort();
}

void *mem_alloc(size_t size)
{
    void *ptr = malloc(size);
    if (ptr == NULL)
        die(size);
    return ptr;
}

void *mem_zalloc(size_t size)
{
    void *ptr = calloc(1, size);
    if (ptr == NULL)
        die(size);
    return ptr;
}

void *mem_try(size_t size)
{
    return __builtin_expect(fails_now(), 0) ? NULL : malloc(size);
}

void *mem_try_resize(void *ptr, size_t size)
{
    return __builtin_expect(fails_now(), 0) ? NULL : realloc(ptr, size);
}

void *mem_resize(void *ptr, size_t size)
{
    void *resized = realloc(ptr, size);
    if (resized == NULL)
        die(size);
    return resized;
}

void mem_free(void *ptr)
{
    free(ptr);
}

char *mem_strdup(const char *str)
{
    size_t size = strlen(str) + 1;
    char *copy = mem_alloc(size);
    memcpy(copy, str, size);
    return copy;
}

size_t mem_class(size_t size)
{
#ifdef HAVE_JEMALLOC
    return nallocx(size, 0);
#else
    /* glibc: a chunk header of 8 bytes, multiples of 16. */
    return (size + 8 + 15) & ~(size_t)15;
#endif
}

#ifdef HAVE_JEMALLOC
static size_t read_size(const char *name)
{
    size_t value = 0;
    size_t len = sizeof(value);
    return mallctl(name, &value, &len, NULL, 0) == 0 ? value : 0;
}
#endif

void mem_read_figures(struct mem_figures *figures)
{
    memset(figures, 0, sizeof(*figures));
#ifdef HAVE_JEMALLOC
    uint64_t epoch = 1;
    size_t len = sizeof(epoch);
    (void)mallctl("epoch", &epoch, &len, &epoch, len);
    figures->allocated = read_size("stats.allocated");
    figures->active = read_size("stats.active");
    figures->resident = read_size("stats.resident");
    figures->mapped = read_size("stats.mapped");
    figures->allocator = JEMALLOC_NAME;
#else
    figures->allocator = "libc";
#endif
}

void mem_fail_after(unsigned n)
{
    fail_countdown = n;
}
