/* Splits a line into arguments with Redis's quoting rules (sdssplitargs): blanks separate; "double
 * quotes" know \n \r \t \b \a \xHH and \c for any other c; 'single quotes' know \'; a closing quote
 * must be followed by a blank or the end. Serves inline commands. Any isspace byte is a blank, but
 * a vertical tab or a form feed does not end a bare word. */
#ifndef LARDER_RESP_INLINE_H
#define LARDER_RESP_INLINE_H

#include "base/buf.h"

struct request_args;

enum inline_status { INLINE_OK, INLINE_UNBALANCED, INLINE_NO_MEMORY };

/* Splits `line` (below REQUEST_LINE_MAX; ends at a NUL as in Redis). The decoded text is kept in
 * `text`, the arguments, which point into it, replace those in `args`; both are valid until the
 * next call with them. */
enum inline_status inline_split(struct bytes line, struct buf *text, struct request_args *args)
    __attribute__((warn_unused_result));

#endif
