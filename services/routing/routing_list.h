/*
 * routing_list: what is known of nodes and relays, written to a file now and then. A routing that
 * starts while discovery does not answer begins with it, when it is not old: whether a node is
 * there its relay says, and whether it takes a session the node does (F02, F03).
 */
#pragma once

#include "routing/routing_handlers.h"

/* Reads the list, if there is one that is good, and writes it from now on. 0 or -errno. */
int routing_list_start(struct routing *routing);
void routing_list_stop(struct routing *routing);
