/*
 * agent_actions: what the server may ask of a node in a heartbeat's answer, read from JSON. A
 * server may make a node do less, or begin anew; it may not make it do more than its owner allows.
 * The model: no I/O, no clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum agent_action_kind {
	AGENT_UPDATE_CONFIG, /* {"maxSessions": 10, "metricsInterval": 60} until the next start */
	AGENT_RESTART,	     /* {} */
	AGENT_MAINTENANCE,   /* {"seconds": 600}: no new sessions so long; 0: it is over */
};

enum {
	AGENT_PAYLOAD_MAX_BYTES = 1024,
	AGENT_METRICS_MIN_SEC = 10,
	AGENT_METRICS_MAX_SEC = 3600,
	AGENT_MAINTENANCE_MAX_SEC = 24 * 3600,
};

struct agent_action {
	enum agent_action_kind kind;
	bool has_sessions_max, has_metrics_sec;
	uint32_t sessions_max, metrics_sec, maintenance_sec;
};

/* payload may be NULL: {}. Members that are not known are passed over. 0, -ENOENT: no such action;
 * -EINVAL: a payload that is no object, or a value that is out of range. */
int agent_action_parse(const char *type, const char *payload, struct agent_action *ret);
