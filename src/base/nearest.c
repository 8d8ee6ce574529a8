/* The nearest known name; see nearest.h. */
#include "base/nearest.h"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nearest_limit(struct bytes name)
{
    if (name.len == 0 || name.len > NEAREST_NAME_MAX)
        return 0;
    return smaller((name.len + 2) / 3, 3) + 1;
}

/* Kept in one line of the matrix. */
size_t nearest_distance(struct bytes name, struct bytes known)
{
    size_t line[NEAREST_NAME_MAX + 1];
    for (size_t j = 0; j <= known.len; j++)
        line[j] = j;
    for (size_t i = 1; i <= name.len; i++) {
        size_t diagonal = line[0];
        line[0] = i;
        for (size_t j = 1; j <= known.len; j++) {
            size_t above = line[j];
            size_t replaced =
                diagonal + (bytes_lower(name.ptr[i - 1]) != bytes_lower(known.ptr[j - 1]));
            line[j] = smaller(replaced, smaller(above, line[j - 1]) + 1);
            diagonal = above;
        }
    }
    return line[known.len];
}
