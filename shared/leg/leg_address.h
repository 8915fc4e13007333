/*
 * leg_address: the machine's own addresses, which a leg goes from: when it changes networks, or
 * wakes up in another, the kernel sends in vain for half a minute.
 */
#pragma once

#include <stdbool.h>

/* A socket that becomes readable whenever an address comes or goes. The caller's. -errno. */
int leg_address_watch(int *ret_fd);

/* All that it has to tell, unread. */
void leg_address_drain(int fd);

/* Does this connection come from an address that the machine no longer has? */
bool leg_address_is_lost(int tcp_fd);
