/* MONITOR: clients that are shown every command that larder executes, in Redis's line format.
 *
 *     1339518083.107412 [0 127.0.0.1:60866] "keys" "*"
 *
 * Hidden as in Redis: administrative commands, commands that are refused before they run, passwords
 * (as "(redacted)"). What scripts call inside L2 is not seen here. Costs a branch while nobody
 * monitors. */
#ifndef LARDER_CORE_MONITOR_H
#define LARDER_CORE_MONITOR_H

#include "core/larder.h"

/* Makes a client a monitor, or ends that; no effect when it is what it shall be. */
void monitor_add(struct client *client);
void monitor_remove(struct client *client);

/* Shows what runs before the call itself: the commands that its EXEC is for. */
void monitor_before(const struct call *call);

/* Shows a call that has run (argv is still there). */
void monitor_after(const struct call *call);

#endif
