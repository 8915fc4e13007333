/*
 * dns_listeners: where the tunnel asks for names: UDP and TCP of both families on one port, which
 * the kernel chooses and the exit's rules redirect 53 to. Loop thread.
 */
#pragma once

#include "loop/loop.h"

#include <netinet/in.h>
#include <stdint.h>

enum dns_listener { DNS_UDP4, DNS_UDP6, DNS_TCP4, DNS_TCP6, DNS_LISTENERS };

struct dns_listeners {
	int fds[DNS_LISTENERS];
	struct loop_fd *watches[DNS_LISTENERS];
	uint16_t port;
};

struct dns_listeners_options {
	struct in_addr address4;
	struct in6_addr address6;
	loop_fd_fn on_query;	  /* a UDP socket is readable */
	loop_fd_fn on_connection; /* a TCP one has somebody to accept */
	void *arg;
};

void dns_listeners_init(struct dns_listeners *listeners);

/* -EADDRINUSE when no port is free in all four; a host without IPv6 has the two of IPv4. What it
 * opened is for dns_listeners_close, also when it fails. */
int dns_listeners_open(struct dns_listeners *listeners, struct loop *loop,
		       const struct dns_listeners_options *options);
void dns_listeners_close(struct dns_listeners *listeners);

enum dns_listener dns_listener_of(const struct dns_listeners *listeners, int fd);
