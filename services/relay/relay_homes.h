/*
 * relay_homes: where nodes have their legs, as other relays and routing say, and which nodes are
 * sought because clients of ours wait for them. A model: no I/O, no clock. One thread.
 */
#pragma once

#include "identity/key.h"
#include "idtable/idtable.h"
#include "relay/relay_udp_peers.h"

#include <stdbool.h>
#include <sys/queue.h>

enum {
	RELAY_HOMES_MAX = 65536,   /* the one heard of longest ago is forgotten */
	RELAY_SOUGHT_MAX = 262144, /* nodes with clients here */
	RELAY_HOME_NAME_BYTES = 65,
	RELAY_HOME_ENDPOINT_BYTES = 256,
	RELAY_HOME_KEY_BYTES = 41,
};

/* Another relay. */
struct relay_other {
	struct relay_other *next;
	char id[RELAY_HOME_NAME_BYTES];
	char bus_endpoint[RELAY_HOME_ENDPOINT_BYTES], bus_key[RELAY_HOME_KEY_BYTES];
	char event_endpoint[RELAY_HOME_ENDPOINT_BYTES];
	char url[RELAY_HOME_ENDPOINT_BYTES];
	struct relay_udp_sources udp;
	double load;
	bool is_draining;
	int64_t heard_ms; /* as of the last list that named it */
	void *user;	  /* the owner's */
};

struct relay_home {
	struct idtable_link by_node;
	uint8_t node_id[UUID_BYTES];
	struct relay_other *at;
	uint64_t generation;
	int64_t since_ms; /* when this leg was first heard of */
	TAILQ_ENTRY(relay_home) by_news;
};

struct relay_sought {
	struct idtable_link by_node;
	uint8_t node_id[UUID_BYTES];
	bool is_tied, is_asked; /* tied: its clients go by way of a relay, as of `generation` */
	uint64_t generation;
	int64_t next_ms; /* when to look again */
};

struct relay_homes {
	struct idtable homes, sought;
	TAILQ_HEAD(, relay_home) by_news; /* the one heard of longest ago first */
};

int relay_homes_init(struct relay_homes *homes);
void relay_homes_fini(struct relay_homes *homes);

/* A leg of the node came to that relay. False: an older one than what is known, or no memory. */
bool relay_homes_set(struct relay_homes *homes, const uint8_t node_id[UUID_BYTES],
		     struct relay_other *at, uint64_t generation, int64_t now_ms);

/* When a leg came, as another relay says: one whose clock is far ahead would win for ever. */
uint64_t relay_homes_plausible(uint64_t generation, uint64_t now_us);

/* Of two legs of a node at two relays, each with its relay's id: is the first one the newer? All
 * relays come to the same answer. */
bool relay_homes_is_newer(uint64_t generation, const char *at, uint64_t than, const char *than_at);

/* That leg went; another one of the node stays. */
void relay_homes_unset(struct relay_homes *homes, const uint8_t node_id[UUID_BYTES],
		       const struct relay_other *at, uint64_t generation);

const struct relay_home *relay_homes_find(const struct relay_homes *homes,
					  const uint8_t node_id[UUID_BYTES]);

/* The relay is gone, and all legs there. */
void relay_homes_forget(struct relay_homes *homes, const struct relay_other *at);

struct relay_sought *relay_homes_seek(struct relay_homes *homes, const uint8_t node_id[UUID_BYTES]);
struct relay_sought *relay_homes_sought(const struct relay_homes *homes,
					const uint8_t node_id[UUID_BYTES]);
void relay_homes_settle(struct relay_homes *homes, const uint8_t node_id[UUID_BYTES]);
