/* metrics_calls: calls to the mailbox of metrics, as a node or an admin makes them. */
#pragma once

#include "boson_rig.h"
#include "metrics.pb-c.h"

#define NODE  "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f"
#define OTHER "00000000-9b7d-4e21-8c5f-0a1b2c3d4e5f"

/* Each waits for the end of the call. who: a node's id, or "admin". */
void call_submit(struct rig_call *call, struct rig *rig, struct bus_peer *metrics, const char *who,
		 const char *node_id, int64_t timestamp_ms, double cpu_usage);
void call_latest(struct rig_call *call, struct rig *rig, struct bus_peer *metrics, const char *who);

struct range {
	const char *start, *end, *interval, *cursor;
	uint32_t limit; /* 0: not said */
};
void call_history(struct rig_call *call, struct rig *rig, struct bus_peer *metrics, const char *who,
		  const struct range *range);
void call_aggregated(struct rig_call *call, struct rig *rig, struct bus_peer *metrics,
		     const char *who, const struct range *range);
void call_exposition(struct rig_call *call, struct rig *rig, struct bus_peer *metrics);
