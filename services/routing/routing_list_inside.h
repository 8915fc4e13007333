/*
 * routing_list: the file. A mark, then pages, each a SnapshotReply behind its length (4 bytes of
 * this machine's order), the relays first; then a length of 0, without which it is no list.
 */
#pragma once

#include "routing/routing_list.h"

#define ROUTING_LIST_MARK "routing1"
enum { ROUTING_LIST_MARK_BYTES = sizeof(ROUTING_LIST_MARK) - 1 };

/* Takes what the file says when it is whole and not old. */
void routing_list_read(struct routing *routing, const char *path);
