/*
 * leg_way: what the kernel knows of a TCP socket's way to the other end: enough to begin a window
 * (leg_window.h) with, and to see that one is needed where the socket itself never is full.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { LEG_WAY_LOOK_EVERY_MS = 200 }; /* often enough */

/* Bytes that the other end's kernel has not acknowledged, sent or not. 0: not known. */
uint64_t leg_way_unread(int fd);

/* Bytes that it has acknowledged since the connection began. 0: not known. */
uint64_t leg_way_acked(int fd);

/* Is there a queue on the way? Those of routers fill long before a socket does. */
bool leg_way_is_queued(int fd);
