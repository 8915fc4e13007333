/*
 * agent: the node's identity and its sessions; holds no capability and touches no packet.
 *
 *	 server  <-- HTTPS --  agent_enrol, agent_heartbeat, agent_telemetry
 *	                           |  what to attach to
 *	 forwarder -- ipc -->  agent_handlers --> agent_sessions --> agent_admission (the model)
 *	     ^                                          |                agent_store  (the tables)
 *	     +----- SetRelays, CloseSession ------------+
 *
 * Hears: AdmitSession, EndSession, Snapshot, Report (proto/node.proto). Tells: SetRelays and
 * CloseSession of the forwarder. This header is the agent's own, for its files and its tests.
 */
#pragma once

#include "agent/agent_admission.h"
#include "agent/agent_enrol.h"
#include "agent/agent_heartbeat.h"
#include "agent/agent_network.h"
#include "agent/agent_resources.h"
#include "agent/agent_telemetry.h"
#include "bus/bus.h"
#include "identity/key.h"
#include "service/service.h"
#include "store/store.h"

#include "node.pb-c.h"

extern const struct actor agent_actor;

enum { AGENT_ACCESS_KEY_BYTES = 512 };

/* The forwarder's last report, as far as heartbeats need it. */
struct agent_report {
	bool has_any;
	int64_t at_ms; /* monotonic */
	uint64_t bytes_up, bytes_down, drops;
	double mbits_up, mbits_down; /* between the last two reports */
	bool is_attached;
};

struct agent {
	Boson__Node__Agent_Service service; /* first: handlers get a pointer to it */
	const struct actor_context *context;

	struct key private_key;
	char public_text[KEY_TEXT_BYTES];
	char node_id[UUID_TEXT_BYTES];
	char access_key[AGENT_ACCESS_KEY_BYTES]; /* "" when there is none */

	struct store *store;
	struct admission *admission;
	bool is_stale; /* the model knows more than the tables: read it anew */
	uint32_t mtu;

	struct rest *rest;
	struct enrol *enrol;
	struct heartbeat *heartbeat;
	struct network *network; /* NULL: not wanted */
	bool has_network_news;	 /* that no registration has said yet */
	struct telemetry *telemetry;
	Boson__Node__Attachment *attachment; /* NULL until the node has enrolled */
	struct bus_peer *forwarder;
	unsigned attachment_number, told_number; /* which one it is, which one the forwarder took */

	struct agent_report report;
	struct resources resources; /* at the last heartbeat */
	struct resources measured;  /* at the last sample of metrics */
	int64_t started_ms;
	int64_t maintenance_until_ms; /* monotonic; 0: none */
	unsigned sessions_asked;      /* the server's own limit */
	bool was_degraded;
	struct loop_timer *tick;

	struct metric *sessions, *admitted, *refused, *forwarder_silent;
};
