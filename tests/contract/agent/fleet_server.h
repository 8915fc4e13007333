/*
 * fleet_server: the node's half of the REST contract, over real TLS: challenges and proofs by
 * shared/identity, and answers that a test may spoil. On tls_server's thread; its fields are
 * atomic.
 */
#pragma once

#include "tls_server.h"

#include <stdatomic.h>

struct fleet_server {
	struct tls_server *tls;
	uint8_t fleet_secret[32];

	/* What it does, and how often to do otherwise first. */
	atomic_int fail_register;     /* this status instead, for ever; 0: none */
	atomic_int busy_challenges;   /* so many 503s with Retry-After: 0 first */
	atomic_int refuse_heartbeats; /* so many 401s first */
	atomic_bool has_no_relays;
	atomic_int ticket;		    /* the number in the ticket that answers carry */
	_Atomic(const char *) stun_servers; /* JSON of a registration's answer; NULL: [] */
	_Atomic(const char *) actions;	    /* JSON of the heartbeats' answers; NULL: [] */

	/* What it saw. */
	atomic_int challenges, proofs, bad_proofs, heartbeats, degraded;
	char access_key[64]; /* of the last registration; read it when proofs has moved */
	char country[8];
	atomic_int samples; /* of metrics */
	char metrics[2048]; /* the body of the last; read it when samples has moved */
	char mapped[64];    /* of the last registration, as country */
	int nat_type;
};

void fleet_server_start(struct fleet_server *server);
void fleet_server_stop(struct fleet_server *server);

/* [agent] lines that lead here. */
const char *fleet_server_lines(const struct fleet_server *server);
