/* Errors by code; see errorstats.h. */
#include "core/errorstats.h"

void errorstats_reset(struct errorstats *stats)
{
    stats->n = 0;
    stats->total = 0;
}

/* The code of an error line, ERR where it has none. */
static struct bytes code_of(struct bytes line)
{
    if (line.len > 1 && line.ptr[0] == '-') {
        size_t n = line.len < ERRORSTATS_CODE_SIZE ? line.len : ERRORSTATS_CODE_SIZE;
        const char *space = memchr(line.ptr, ' ', n);
        if (space != NULL && space > line.ptr + 1)
            return bytes_of(line.ptr + 1, (size_t)(space - line.ptr) - 1);
    }
    return BYTES("ERR");
}

/* Copies a code, with what would break INFO's lines replaced, as Redis's getSafeInfoString. */
static void write_code(char *out, struct bytes code)
{
    for (size_t i = 0; i < code.len; i++) {
        char c = code.ptr[i];
        bool is_plain = c > ' ' && c < 0x7f && c != ':' && c != '=' && c != ',' && c != '#';
        out[i] = is_plain ? c : '_';
    }
    out[code.len] = '\0';
}

static struct errorstat *find(struct errorstats *stats, const char *code)
{
    for (size_t i = 0; i < stats->n; i++)
        if (strcmp(stats->items[i].code, code) == 0)
            return &stats->items[i];
    return NULL;
}

void errorstats_count(struct errorstats *stats, struct bytes error_line)
{
    char code[ERRORSTATS_CODE_SIZE];
    write_code(code, code_of(error_line));
    stats->total++;
    struct errorstat *item = find(stats, code);
    if (item == NULL && stats->n >= ERRORSTATS_MAX) {
        strcpy(code, ERRORSTATS_OVERFLOW);
        item = find(stats, code);
    }
    if (item == NULL) {
        item = &stats->items[stats->n++];
        memcpy(item->code, code, sizeof(code));
        item->count = 0;
    }
    item->count++;
}
