/*
 * dns_upstreams: the resolvers that the node itself asks: from the configuration, else from
 * resolv.conf, which is read again when it changes.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

enum { DNS_UPSTREAMS_MAX = 4 };

struct dns_upstreams {
	struct sockaddr_storage addresses[DNS_UPSTREAMS_MAX];
	size_t count;
	bool is_configured;
	const char *resolv_conf;
	struct timespec read_at; /* resolv.conf's own time of change */
};

/* configured: "192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353"; empty:
 * resolv_conf, which must outlive it. -EINVAL: one of them is no address. */
int dns_upstreams_init(struct dns_upstreams *upstreams, const char *const *configured,
		       const char *resolv_conf);

/* Reads resolv.conf again if it changed. */
void dns_upstreams_refresh(struct dns_upstreams *upstreams);

socklen_t dns_upstream_length(const struct sockaddr_storage *address);
