/* Glob-style matching; see glob.h. Only the last `*` needs to be retried, which keeps the time bounded. */
#include "base/glob.h"

struct cursor {
    const char *p;
    const char *end;
};

static bool same(char a, char b, bool nocase)
{
    return nocase ? bytes_lower(a) == bytes_lower(b) : a == b;
}

/* Matches `c` against the class that starts behind `[`, and moves the cursor behind it. An unclosed class ends with the
 * pattern, as in Redis. */
static bool match_class(struct cursor *pattern, char c, bool nocase)
{
    bool negated = pattern->p < pattern->end && *pattern->p == '^';
    if (negated)
        pattern->p++;
    unsigned char wanted = (unsigned char)(nocase ? bytes_lower(c) : c);
    bool found = false;
    while (pattern->p < pattern->end && *pattern->p != ']') {
        const char *p = pattern->p;
        if (*p == '\\' && pattern->end - p >= 2) {
            found |= p[1] == c;
            pattern->p += 2;
        } else if (pattern->end - p >= 3 && p[1] == '-') {
            unsigned char low = (unsigned char)(nocase ? bytes_lower(p[0]) : p[0]);
            unsigned char high = (unsigned char)(nocase ? bytes_lower(p[2]) : p[2]);
            if (low > high) {
                unsigned char swap = low;
                low = high;
                high = swap;
            }
            found |= wanted >= low && wanted <= high;
            pattern->p += 3;
        } else {
            found |= same(*p, c, nocase);
            pattern->p++;
        }
    }
    if (pattern->p < pattern->end)
        pattern->p++;
    return found != negated;
}

/* Matches one character of the text against one element of the pattern (not `*`) and moves the pattern behind it. */
static bool match_one(struct cursor *pattern, char c, bool nocase)
{
    char element = *pattern->p++;
    switch (element) {
    case '?':
        return true;
    case '[':
        return match_class(pattern, c, nocase);
    case '\\':
        if (pattern->p < pattern->end)
            element = *pattern->p++;
        return same(element, c, nocase);
    default:
        return same(element, c, nocase);
    }
}

bool glob_match(struct bytes pattern, struct bytes text, bool nocase)
{
    struct cursor at = {pattern.ptr, pattern.ptr + pattern.len};
    const char *t = text.ptr;
    const char *text_end = t + text.len;
    const char *star = NULL;    /* pattern behind the last `*` */
    const char *retry = NULL; /* text from which it is tried next */
    while (t < text_end) {
        if (at.p < at.end && *at.p == '*') {
            star = ++at.p;
            retry = t;
            continue;
        }
        if (at.p < at.end && match_one(&at, *t, nocase)) {
            t++;
            continue;
        }
        if (star == NULL)
            return false;
        at.p = star;
        t = ++retry;
    }
    while (at.p < at.end && *at.p == '*')
        at.p++;
    return at.p == at.end;
}
