/* What happens periodically. */
#ifndef LARDER_SERVER_CRON_H
#define LARDER_SERVER_CRON_H

#include "core/larder.h"

/* Arms the timers. */
void cron_start(struct larder *larder);
void cron_stop(struct larder *larder);

#endif
