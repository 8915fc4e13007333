/*
 * agent_telemetry: POST /metrics, once a minute: how the node fares, in figures that were measured;
 * what is not known is not said. One that gets lost is not sent again.
 */
#pragma once

#include "agent/agent_path.h"
#include "agent/agent_rest.h"
#include "loop/loop.h"
#include "metrics/metrics.h"

#include "metrics.pb-c.h"

struct telemetry;

struct telemetry_events {
	/* The token to send with, "" while there is none. */
	const char *(*token)(void *arg);
	/* A STUN server to measure the way to; false: there is none. */
	bool (*server)(struct sockaddr_in6 *ret, void *arg);
	/* Fills in all but the way. What `figures` is to point to is the caller's, until the next
	 * call. */
	void (*fill)(Boson__Metrics__Figures *figures, void *arg);
	void *arg;
};

int telemetry_new(struct loop *loop, struct rest *rest, struct metrics *metrics,
		  const char *node_id, int64_t period_ms, const struct telemetry_events *events,
		  struct telemetry **ret);
void telemetry_free(struct telemetry **telemetry);

/* From the next one on. */
void telemetry_set_period(struct telemetry *telemetry, int64_t period_ms);
