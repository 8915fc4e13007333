/*
 * forwarder: the parts of this service and who they are to each other. For the files of this folder
 * whose names begin with forwarder_.
 *
 *	forwarder_actor		start, stop, configuration, the tick
 *	forwarder_tunnel	guard, interface, rules, settings: up in this order, down in reverse
 *	forwarder_peers		sessions as WireGuard's peers
 *	forwarder_admission	sessions come (relay, agent's snapshot) and go
 *	forwarder_handlers	the mailbox: what the agent asks
 *	forwarder_reports	what the relay and the agent are told
 */
#pragma once

#include "forwarder/dns_forwarder.h"
#include "forwarder/exit_policy.h"
#include "forwarder/flow_events.h"
#include "forwarder/flow_table.h"
#include "forwarder/forwarder_legs.h"
#include "forwarder/forwarder_sessions.h"
#include "forwarder/forwarding.h"
#include "forwarder/uplinks.h"
#include "identity/key.h"
#include "node.pb-c.h"
#include "service/service.h"
#include "wg/device.h"

#include <limits.h>

enum {
	FORWARDER_ADMISSIONS_MAX = 256, /* under way */
	FORWARDER_OWN_ADDRESSES_MAX = 8,
	FORWARDER_ADDRESS_BYTES = 64,
};

struct admission;

struct forwarder {
	Boson__Node__Forwarder_Service mailbox; /* first: a handler gets its address */
	const struct actor_context *context;
	struct bus_peer *agent;

	/* Configuration. */
	struct exit_rules rules;
	char address4[FORWARDER_ADDRESS_BYTES],
		address6[FORWARDER_ADDRESS_BYTES]; /* "10.90.0.1/16" */
	char identity_key[PATH_MAX];
	char public_text[KEY_TEXT_BYTES]; /* of the key that the device has; "": none yet */
	bool report_destinations;

	/* The tunnel, in the order in which it comes up. */
	struct exit_policy *policy;
	struct forwarding *forwarding;
	struct uplinks *uplinks;
	struct device *device;
	struct dns_forwarder *dns;
	struct flow_table *flows;
	struct flow_events *events;
	struct forwarder_legs *legs;
	bool is_up;
	bool wireguard_is_down; /* its process died and could not be started yet */
	bool rules_are_stale;	/* the surroundings changed and the rules could not be loaded yet */
	const char *not_ready;	/* why */

	struct forwarder_sessions *sessions;
	struct admission *admissions[FORWARDER_ADMISSIONS_MAX];
	Boson__Node__Attachment *attachment; /* NULL: none yet */
	char own_addresses[FORWARDER_OWN_ADDRESSES_MAX][FORWARDER_ADDRESS_BYTES];
	const char *own_address_list[FORWARDER_OWN_ADDRESSES_MAX + 1];

	struct loop_timer *tick, *wake;
	unsigned ticks;
	bool has_snapshot, is_asking;
	uint64_t closed_bytes_up, closed_bytes_down; /* of sessions that are over */
	struct metric *sessions_gauge, *admitted, *refused;
};

/* ---- forwarder_tunnel ---- */

/* The guard, before anything else. 0 or -errno. */
int forwarder_tunnel_guard(struct forwarder *forwarder);

/* Everything else. May be tried again after -errno: goes on where it stopped. */
int forwarder_tunnel_up(struct forwarder *forwarder);

/* Loads the rules again after a change of surroundings, own addresses. */
void forwarder_tunnel_refresh(struct forwarder *forwarder);
void forwarder_tunnel_down(struct forwarder *forwarder);

/* ---- forwarder_admission ---- */

void forwarder_session_close(struct forwarder *forwarder, const char *id, const char *reason);

/* Only into the table, before the tunnel is up. */
void forwarder_sessions_load(struct forwarder *forwarder, const Boson__Node__SnapshotReply *reply);

void forwarder_sessions_expire(struct forwarder *forwarder);
extern const struct forwarder_legs_events forwarder_admission_events;

/* ---- forwarder_peers ---- */

int forwarder_peer_set(struct forwarder *forwarder, const struct session *session);

/* All sessions into a WireGuard that was started anew, and knows none of their keys any more. */
int forwarder_peers_set_all(struct forwarder *forwarder);

/* Soon: shakes hands with the clients that think their old keys still hold, as far as they have a
 * channel. By themselves they would notice after 15 s. */
void forwarder_peers_wake(struct forwarder *forwarder);

/* ---- forwarder_handlers ---- */

extern const Boson__Node__Forwarder_Service forwarder_mailbox;
int forwarder_attach(struct forwarder *forwarder, const Boson__Node__Attachment *attachment);

/* ---- forwarder_reports ---- */

void forwarder_report_fill(const struct forwarder *forwarder, Boson__Node__ForwarderReport *ret);
void forwarder_report_to_agent(struct forwarder *forwarder);
void forwarder_report_flows(struct forwarder *forwarder);
