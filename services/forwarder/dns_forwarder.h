/*
 * dns_forwarder: answers names for the tunnel, by asking the node's own resolvers. Listens on the
 * tunnel's addresses at a port above 1023 (the exit table redirects 53 to it), UDP and TCP, and
 * hears only sessions' addresses. Each query leaves from a socket of its own, with a random port
 * and a random id; when no resolver answers, SERVFAIL within two seconds. Nothing is kept or logged
 * of what was asked. Loop thread.
 */
#pragma once

#include "loop/loop.h"
#include "metrics/metrics.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct dns_forwarder;

struct dns_forwarder_options {
	struct in_addr address4;
	struct in6_addr address6;     /* may be absent from the interface: then IPv4 only */
	const char *const *upstreams; /* NULL-terminated; none: resolv.conf's */
	const char *resolv_conf;
	bool (*is_client)(const struct in6_addr *source, void *arg); /* IPv4 mapped */
	void *arg;
};

int dns_forwarder_new(struct loop *loop, struct metrics *metrics,
		      const struct dns_forwarder_options *options, struct dns_forwarder **ret);
void dns_forwarder_free(struct dns_forwarder **dns);

/* Where it listens. */
uint16_t dns_forwarder_port(const struct dns_forwarder *dns);
