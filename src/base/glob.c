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

/* As Redis 7.0 on x86-64: the ends are put in order before their case is ignored (so that [s-Z]
 * matches nothing then), and bytes from 0x80 on come before all others. */
static bool in_range(char a, char b, char c, bool nocase)
{
    signed char low = (signed char)a;
    signed char high = (signed char)b;
    if (low > high) {
        low = (signed char)b;
        high = (signed char)a;
    }
    if (nocase) {
        low = (signed char)bytes_lower((char)low);
        high = (signed char)bytes_lower((char)high);
        c = bytes_lower(c);
    }
    return (signed char)c >= low && (signed char)c <= high;
}

/* Matches `c` against the class that starts behind `[`, and moves the cursor behind it. An unclosed class ends with the
 * pattern, as in Redis. */
static bool match_class(struct cursor *pattern, char c, bool nocase)
{
    bool negated = pattern->p < pattern->end && *pattern->p == '^';
    if (negated)
        pattern->p++;
    bool found = false;
    while (pattern->p < pattern->end && *pattern->p != ']') {
        const char *p = pattern->p;
        if (*p == '\\' && pattern->end - p >= 2) {
            found |= p[1] == c;
            pattern->p += 2;
        } else if (pattern->end - p >= 3 && p[1] == '-') {
            found |= in_range(p[0], p[2], c, nocase);
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
    case '?': return true;
    case '[': return match_class(pattern, c, nocase);
    case '\\':
        if (pattern->p < pattern->end)
            element = *pattern->p++;
        return same(element, c, nocase);
    default: return same(element, c, nocase);
    }
}

bool glob_match(struct bytes pattern, struct bytes text, bool nocase)
{
    if (text.len ==
        0) /* as Redis: not even `*` matches it; KEYS and SCAN don't ask for a lone `*` */
        return pattern.len == 0;
    struct cursor at = {pattern.ptr, pattern.ptr + pattern.len};
    const char *t = text.ptr;
    const char *text_end = t + text.len;
    const char *star = NULL;  /* pattern behind the last `*` */
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
