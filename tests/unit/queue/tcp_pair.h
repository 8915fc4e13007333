/*
 * tcp_pair: two ends of a TCP connection over loopback, for tests of what a leg does with a real
 * socket.
 */
#pragma once

#include <stdbool.h>

/* Closing them is the caller's. */
void tcp_pair_connect(int ret_ends[2]);

/* Sends until the socket is full, and not because TCP is still finding out how much may go. False:
 * that took too long. */
bool tcp_pair_fill(int fd);
