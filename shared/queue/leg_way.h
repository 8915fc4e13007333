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

struct leg_way {
	uint32_t least_us; /* the least round trip that TCP has seen of late; 0: not known */

	/* Is there a queue on the way? Those of routers fill long before a socket does. */
	bool is_queued;

	/* Is TCP still finding out how much the way takes (slow start: RFC 5681, section 3.1;
	 * BBR's start-up), and takes the reader all that this lets go? Then a full socket says
	 * nothing of the way, and what TCP moves is not the way's rate. It ends when packets wait
	 * for longer (HyStart: RFC 9406) or are lost. */
	bool is_growing;
};

/* All zero: not known. */
struct leg_way leg_way_look(int fd);

/* What follows from that, under a congestion control with slow start. */
struct tcp_info;
struct leg_way leg_way_of(const struct tcp_info *info);
