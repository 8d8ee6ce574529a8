/* DEL, UNLINK, EXISTS, TOUCH and TYPE of L1 alone. */
#include "command/alone.h"
#include "command/key_handlers.h"

void key_single_del(struct call *call)
{
    int64_t n = 0;
    for (size_t i = 1; i < call->argc; i++)
        n += alone_remove(call, i);
    reply_int(&call->reply, n);
}

void key_single_exists(struct call *call)
{
    int64_t n = 0;
    for (size_t i = 1; i < call->argc; i++)
        n += alone_look(call, i) != NULL;
    reply_int(&call->reply, n);
}

void key_single_touch(struct call *call)
{
    int64_t n = 0;
    for (size_t i = 1; i < call->argc; i++)
        n += alone_read(call, i) != NULL;
    reply_int(&call->reply, n);
}

void key_single_type(struct call *call)
{
    reply_status(&call->reply, alone_look(call, 1) != NULL ? "string" : "none");
}
