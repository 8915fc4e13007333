/*
 * privileges: CAP_NET_ADMIN and nothing else, for this process and all it starts: bounding set,
 * ambient set, no_new_privs. Before any thread is made.
 */
#pragma once

#include <stdbool.h>

/* Drops what can be dropped. 0 or -errno. */
int privileges_drop(void);

bool privileges_has_net_admin(void);
