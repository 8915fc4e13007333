/*
 * client_echo: ICMP echoes (RFC 792, RFC 4443) to an address in the tunnel, of a size. One socket,
 * bound to the tunnel's interface so that nothing leaves beside it; unprivileged where the system
 * allows that (net.ipv4.ping_group_range), else raw. Neither waits nor knows a loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ECHO_BYTES_MIN = 64, ECHO_BYTES_MAX = 9000 };

struct client_echo {
	int fd, family;
	bool is_raw;
	uint16_t id;
};

/* interface: "" for whichever leads there. -EINVAL: no address; or what the system says. On failure
 * fd is -1. */
int client_echo_open(struct client_echo *echo, const char *address, const char *interface);
void client_echo_close(struct client_echo *echo); /* also of one that is closed */

/* A packet of so many bytes with its IP header, never cut on its way. -errno. */
int client_echo_send(const struct client_echo *echo, uint16_t sequence, size_t bytes);

/* The next answer, if there is one; bytes as above. Does not wait. */
bool client_echo_receive(const struct client_echo *echo, uint16_t *ret_sequence, size_t *ret_bytes);
