/*
 * relay_group: several whole relays of one group, and stand-ins for discovery and routing, which
 * tell them of each other and of where nodes have their legs. The stand-ins have a thread of their
 * own.
 */
#pragma once

#include "discovery.pb-c.h"
#include "raw_leg.h"
#include "relay_fixture.h"
#include "routing.pb-c.h"

enum { RELAY_GROUP_MAX = 3, RELAY_GROUP_NODES_MAX = 8 };

struct relay_group {
	struct relay_fixture relays[RELAY_GROUP_MAX];
	bool is_running[RELAY_GROUP_MAX];
	char ids[RELAY_GROUP_MAX][65];			  /* as long as a relay's may be */
	Boson__Common__Relay *announced[RELAY_GROUP_MAX]; /* what relays said last; no order */
	unsigned count;
	bool has_tls;
	char settings[1024];

	/* the stand-ins' */
	Boson__Discovery__Discovery_Service discovery;
	Boson__Routing__Routing_Service routing;
	char folder[64];
	pthread_t thread;
	struct loop *loop;
	struct metrics *metrics;
	struct bus *bus;
	struct bus_publisher *discovery_events;
	pthread_mutex_t mutex;
	struct {
		uint8_t node_id[UUID_BYTES];
		int at; /* -1: nowhere */
	} nodes[RELAY_GROUP_NODES_MAX];
	unsigned node_count;
	unsigned asked; /* LocateNode */
};

void relay_group_start(struct relay_group *group, unsigned count, bool has_tls,
		       const char *settings);
void relay_group_stop(struct relay_group *group);

/* One relay goes, without a word to its legs; comes again. */
void relay_group_kill(struct relay_group *group, unsigned i);

/* A relay that only the stand-ins know of: there are RELAY_GROUP_MAX in all. */
void relay_group_announce(struct relay_group *group, const Boson__Common__Relay *relay);

/* What routing says from now on; -1: nowhere. */
void relay_group_locate(struct relay_group *group, const uint8_t node_id[UUID_BYTES], int at);

/* A node's leg at relay `at`, where routing says it is from now on. */
struct raw_leg *relay_group_open_node(struct relay_group *group, const uint8_t node_id[UUID_BYTES],
				      unsigned at);

/* Until relay `a` hears the events of relay `b`: subscribing takes its time. */
void relay_group_await_hearing(struct relay_group *group, unsigned a, unsigned b);
unsigned relay_group_asked(struct relay_group *group);
