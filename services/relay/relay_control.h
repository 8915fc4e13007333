/*
 * relay_control: the relay's actor: its one thread that speaks the bus. Packets never come here;
 * the shards report to it and obey it, by mailbox.
 */
#pragma once

#include "relay/relay_clones.h"
#include "relay/relay_counters.h"
#include "relay/relay_flows.h"
#include "relay/relay_homes.h"
#include "relay/relay_load.h"
#include "relay/relay_mesh.h"
#include "relay/relay_opens.h"
#include "relay/relay_others.h"
#include "relay/relay_seek.h"
#include "relay/relay_settings.h"
#include "relay/relay_shard.h"
#include "relay/relay_tickets.h"
#include "service/service.h"

enum { RELAY_ID_BYTES = 65, RELAY_URL_BYTES = 320 };

/* A node leg, as the shard that holds it reported. */
struct relay_attached {
	struct idtable_link by_id;
	uint8_t node_id[UUID_BYTES];
	uint64_t generation;
	uint32_t channels, rtt_us;
	bool is_beaten; /* by a newer one elsewhere, and told to go */
};

struct relay_control {
	const struct actor_context *context;
	struct relay_settings settings;
	char id[RELAY_ID_BYTES];
	char public_url[RELAY_URL_BYTES];
	char udp_endpoint[RELAY_HOST_BYTES + 8]; /* "": no UDP ingress */
	struct relay_udp_sources udp_sources;
	bool has_untold_peers;
	char bus_endpoint[RELAY_URL_BYTES], event_endpoint[RELAY_URL_BYTES];
	uint16_t port; /* where legs are accepted */

	struct tls_context *tls;
	struct relay_tickets tickets;
	struct relay_shard *shards[RELAY_SHARDS_MAX + RELAY_DOORS_MAX]; /* and then doors */
	unsigned shard_count, door_count;
	struct relay_mailbox reports;
	struct loop_fd *reports_watch;

	Boson__Relay__Relay_Service service;
	struct bus_publisher *publisher;
	struct bus_peer *discovery;
	struct bus_subscription *node_changes;
	int64_t announce_at_ms;
	struct loop_timer *announce_timer, *second_timer, *opens_timer;

	/* relay_seek's, relay_others' */
	struct relay_mesh *mesh; /* NULL: our mailbox is not one that others reach */
	struct relay_homes homes;
	struct relay_other *others;
	unsigned other_count, asked;
	struct bus_peer *routing;
	struct bus_subscription *relay_changes;
	struct loop_timer *look_timer;
	int64_t list_at_ms;
	uint64_t dice; /* for jitter only */

	struct idtable attached;   /* relay_attached by node */
	struct relay_gone deleted; /* nodes, to notice those that come back */
	struct relay_clones clones;
	struct metric *duplicates; /* there from the start: an alarm sees the first one rise */
	struct relay_opens opens;
	struct relay_flows flows;
	uint64_t folded[RELAY_COUNTER_COUNT];
	struct relay_load load;
	char drain_url[RELAY_OTHERS_URL_BYTES]; /* where legs are told to go; "": to the others */
	unsigned doors_closed, drained;		/* threads that are */
	bool is_draining;			/* legs are told to leave, new ones refused */
	bool is_ending; /* by SIGTERM: the actor finishes when the drain is over */
};

/* relay_name: the id, made once and kept in the state folder; after the sockets are bound, the
 * endpoints that are announced. */
int relay_name_load(struct relay_control *control);
int relay_name_endpoints(struct relay_control *control);

/* relay_handlers: the mailbox of proto/relay.proto. */
void relay_handlers_init(struct relay_control *control);

/* relay_reports: what shards say; becomes events and state. */
void relay_reports_on_event(struct loop *loop, int fd, uint32_t events, void *arg);

/* A node's leg took a living one's place, here or elsewhere: see relay_clones_add. */
void relay_reports_swap(struct relay_control *control, const uint8_t node_id[UUID_BYTES],
			bool is_sure);

/* relay_drain: tells all legs to leave for that relay, or for the least loaded ones of the group
 * (NULL). */
void relay_control_drain(struct relay_control *control, const char *other_relay);

/* The same, and the actor is finished when they have left. As struct actor's drain. */
void relay_control_end(void *state);

/* Threads tell: a door accepts no more; a thread has no legs any more. */
void relay_control_door_closed(struct relay_control *control);
void relay_control_drained(struct relay_control *control);

/* relay_announce: to discovery, and from it. */
int relay_announce_start(struct relay_control *control);
void relay_announce_now(struct relay_control *control);
void relay_announce_stop(struct relay_control *control);

/* Of shards and doors. */
static inline unsigned
relay_control_threads(const struct relay_control *control)
{
	return control->shard_count + control->door_count;
}

/* Sum over the threads. */
uint64_t relay_control_count(const struct relay_control *control, enum relay_counter which);

/* 0 to below n. */
uint32_t relay_control_dice(struct relay_control *control, uint32_t n);

/* Takes *message, for the shard of its node. -EAGAIN: that one is far behind; freed. */
int relay_control_command(struct relay_control *control, struct relay_message **message);

/* To every shard; each has its own copy. session_id may be NULL. -EAGAIN, -ENOMEM: not to all. */
int relay_control_command_all(struct relay_control *control, enum relay_message_kind kind,
			      const uint8_t *session_id, const void *bytes, size_t n);
