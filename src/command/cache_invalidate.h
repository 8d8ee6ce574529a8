/* What the wiring must know of CACHE INVALIDATE; its handler is in cache_handlers.h. */
#ifndef LARDER_COMMAND_CACHE_INVALIDATE_H
#define LARDER_COMMAND_CACHE_INVALIDATE_H

struct larder;

/* Ends every CACHE INVALIDATE PREFIX, and drop by CACHE POLICY, that is under way, with an error for who still waits for it. */
void cache_invalidate_end_all(struct larder *larder);

#endif
