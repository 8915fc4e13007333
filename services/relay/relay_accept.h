/*
 * relay_accept: a door's listening socket: new connections, and at what pace they come: of all, and
 * of one address (relay_bucket). Then they need a place (relay_places). That thread only, but for
 * relay_accept_listen.
 */
#pragma once

#include "relay/relay_bucket.h"
#include "relay/relay_places.h"
#include "relay/relay_settings.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct relay_shard;

enum {
	RELAY_ACCEPT_AT_ONCE = 64,
	RELAY_ACCEPT_REST_MS = 100, /* after descriptors or memory ran out */
	RELAY_ACCEPT_PACE_MS = 10,  /* the pace is kept in steps */
	RELAY_ACCEPT_SOURCES = 4096,
	RELAY_SHARDS_A_DOOR = 4, /* as one thread shakes hands about as fast as those are paced */
	RELAY_DOORS_MAX = (RELAY_SHARDS_MAX + RELAY_SHARDS_A_DOOR - 1) / RELAY_SHARDS_A_DOOR,
};

struct relay_accept {
	int fd, reserve_fd;
	bool is_listening; /* watched by epoll */
	int64_t resume_ms; /* 0: not resting */
	int64_t paced_ms;  /* when the step began in which `paced` connections came */
	uint32_t paced;
	struct relay_buckets sources;
	struct relay_places places; /* of what was accepted here and is not admitted yet */
};

static inline unsigned
relay_accept_doors(unsigned shards)
{
	return (shards + RELAY_SHARDS_A_DOOR - 1) / RELAY_SHARDS_A_DOOR;
}

/* Whether addresses have limits: a proxy's stands for all who come by way of it. */
static inline bool
relay_accept_is_limited(const struct relay_settings *settings)
{
	return settings->accept_rate != 0 && !settings->behind_proxy;
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

/* May this address (IPv6: its /64) have one more connection now? */
bool relay_accept_is_allowed(struct relay_accept *accept, const struct relay_settings *settings,
			     const struct sockaddr *address, int64_t now_ms);
