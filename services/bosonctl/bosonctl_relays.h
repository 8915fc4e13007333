/*
 * bosonctl_relays: tells a relay to drain: discovery knows where its mailbox is.
 */
#pragma once

#include "bosonctl/bosonctl_commands.h"

/* ID [--other URL]: its legs are told to leave, for URL if there is one. An exit code of
 * sysexits.h: 69 also when no relay has this id. */
int bosonctl_relays_drain(const struct bosonctl_where *where, int n, char **words);
