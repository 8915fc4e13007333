/*
 * agent_heartbeat: tells the server that the node lives, and how it fares, as often as the server
 * says; brings back fresh tickets, tokens and relays.
 */
#pragma once

#include "agent/agent_rest.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

#include "discovery.pb-c.h"

struct heartbeat;

struct heartbeat_events {
	/* Fills in how the node fares. What `figures` points to is the caller's. */
	void (*fill)(Boson__Discovery__HeartbeatRequest *request,
		     Boson__Discovery__NodeMetrics *figures, void *arg);
	/* Borrowed. */
	void (*on_answer)(const Boson__Discovery__HeartbeatReply *reply, void *arg);
	/* The server asks for something; NULL payload: nothing more to say. Before on_answer. */
	void (*on_action)(const char *type, const char *payload, void *arg);
	/* The token is no longer accepted, or the node unknown: enrol again. Heartbeats have
	 * stopped. */
	void (*on_lost)(void *arg);
	void *arg;
};

int heartbeat_new(struct loop *loop, struct rest *rest, struct metrics *metrics,
		  const char *node_id, uint32_t interval_sec, const struct heartbeat_events *events,
		  struct heartbeat **ret);
void heartbeat_free(struct heartbeat **heartbeat);

/* With a new token; the first is sent after one interval, since the server has just heard of us. */
void heartbeat_start(struct heartbeat *heartbeat, const char *session_token);

/* What the server gave us last, or "". */
const char *heartbeat_token(const struct heartbeat *heartbeat);

/* The next one soon, unless one is under way, the server has trouble, or we are not enrolled. */
void heartbeat_hurry(struct heartbeat *heartbeat, int64_t delay_ms);
