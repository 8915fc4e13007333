/*
 * relay_accept: a door's listening socket: new connections, and who may make how many. That
 * thread only, but for relay_accept_listen.
 */
#pragma once

#include "relay/relay_pending.h"
#include "relay/relay_settings.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct relay_shard;
struct relay_upgrade;

enum {
	RELAY_ACCEPT_AT_ONCE = 64,
	RELAY_ACCEPT_REST_MS = 100, /* after descriptors or memory ran out */
	RELAY_ACCEPT_PACE_MS = 10,  /* the pace is kept in steps */
	RELAY_UPGRADING_MAX = 512,  /* at once, for each shard; who waits in the backlog costs
				       nothing, and is not late */
	RELAY_PLACE_MS = 1000,	    /* that nobody is driven from a place of these */
	RELAY_SOURCES_MAX = 4096,   /* power of two */
	RELAY_SHARDS_A_DOOR = 4, /* as one thread shakes hands about as fast as those are paced */
	RELAY_DOORS_MAX = (RELAY_SHARDS_MAX + RELAY_SHARDS_A_DOOR - 1) / RELAY_SHARDS_A_DOOR,
};

/* A bucket of connections for the addresses that share it. */
struct relay_source {
	uint64_t hash;
	int64_t updated_ms;
	uint32_t tokens_milli; /* thousandths of a connection */
};

struct relay_accept {
	int fd, reserve_fd;
	bool is_listening; /* watched by epoll */
	int64_t resume_ms; /* 0: not resting */
	int64_t paced_ms;  /* when the step began in which `paced` connections came */
	uint32_t paced;
	/* accepted here and not admitted yet: how many, and in order of their coming */
	uint32_t upgrading;
	struct relay_upgrade *oldest, *newest;
	uint64_t secret[2];
	struct relay_source *sources;
	struct relay_pending pending;
};

static inline unsigned
relay_accept_doors(unsigned shards)
{
	return (shards + RELAY_SHARDS_A_DOOR - 1) / RELAY_SHARDS_A_DOOR;
}

/* Any thread. Binds count sockets to one address and port (0: any free one); *ret_port is where. 0
 * or -errno after a log line. */
int relay_accept_listen(const struct relay_settings *settings, unsigned count, int *ret_fds,
			uint16_t *ret_port);

/* Takes fd; -1: no door. */
int relay_accept_init(struct relay_accept *accept, int fd);
void relay_accept_fini(struct relay_accept *accept);

/* Epoll says; new legs enter the shard. */
void relay_accept_on_event(struct relay_shard *shard);

/* Starts or stops to accept. What cannot be started now is tried again. */
void relay_accept_watch(struct relay_shard *shard, bool on);

/* Drain: who connects is refused at once, or finds the process that comes after us. */
void relay_accept_end(struct relay_shard *shard);

/* It was admitted, or has gone: its place is another's. */
void relay_accept_put_place(struct relay_upgrade *upgrade);

/* May this address (IPv6: its /64) have one more connection now? */
bool relay_accept_is_allowed(struct relay_accept *accept, const struct relay_settings *settings,
			     const struct sockaddr *address, int64_t now_ms);
