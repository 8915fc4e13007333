/* metrics_calls: see the header. */
#include "metrics_calls.h"

#include <string.h>

RIG_CLOSURE(on_submitted, Boson__Metrics__SubmitReply)
RIG_CLOSURE(on_latest, Boson__Metrics__Sample)
RIG_CLOSURE(on_history, Boson__Metrics__HistoryReply)
RIG_CLOSURE(on_aggregated, Boson__Metrics__AggregatedReply)
RIG_CLOSURE(on_exposition, Boson__Metrics__ExpositionReply)

static char *
borrow(const char *text)
{
	return (char *)(uintptr_t)text;
}

static Boson__Common__Caller
caller_of(const char *who)
{
	return rig_caller(strcmp(who, "admin") == 0 ? BOSON__COMMON__CALLER__ROLE__ADMIN
						    : BOSON__COMMON__CALLER__ROLE__NODE,
			  who);
}

void
call_submit(struct rig_call *call, struct rig *rig, struct bus_peer *metrics, const char *who,
	    const char *node_id, int64_t timestamp_ms, double cpu_usage)
{
	Boson__Metrics__SubmitRequest request = BOSON__METRICS__SUBMIT_REQUEST__INIT;
	Boson__Metrics__Figures figures = BOSON__METRICS__FIGURES__INIT;
	Boson__Metrics__System system = BOSON__METRICS__SYSTEM__INIT;
	Boson__Common__Caller caller = caller_of(who);

	system.has_cpu_usage = 1;
	system.cpu_usage = cpu_usage;
	figures.system = &system;
	request.node_id = borrow(node_id);
	request.has_timestamp = 1;
	request.timestamp = timestamp_ms;
	request.metrics = &figures;
	request.caller = &caller;
	rig_call_init(call, rig, metrics);
	boson__metrics__metrics__submit(bus_peer_service(metrics), &request, on_submitted, call);
	rig_call_wait(call);
}

void
call_latest(struct rig_call *call, struct rig *rig, struct bus_peer *metrics, const char *who)
{
	Boson__Metrics__LatestRequest request = BOSON__METRICS__LATEST_REQUEST__INIT;
	Boson__Common__Caller caller = caller_of(who);

	request.node_id = borrow(NODE);
	request.caller = &caller;
	rig_call_init(call, rig, metrics);
	boson__metrics__metrics__latest(bus_peer_service(metrics), &request, on_latest, call);
	rig_call_wait(call);
}

void
call_history(struct rig_call *call, struct rig *rig, struct bus_peer *metrics, const char *who,
	     const struct range *range)
{
	Boson__Metrics__HistoryRequest request = BOSON__METRICS__HISTORY_REQUEST__INIT;
	Boson__Common__Caller caller = caller_of(who);

	request.node_id = borrow(NODE);
	request.start_time = borrow(range->start);
	request.end_time = borrow(range->end);
	request.interval = borrow(range->interval);
	request.cursor = borrow(range->cursor);
	request.has_limit = range->limit > 0;
	request.limit = range->limit;
	request.caller = &caller;
	rig_call_init(call, rig, metrics);
	boson__metrics__metrics__history(bus_peer_service(metrics), &request, on_history, call);
	rig_call_wait(call);
}

void
call_aggregated(struct rig_call *call, struct rig *rig, struct bus_peer *metrics, const char *who,
		const struct range *range)
{
	Boson__Metrics__AggregatedRequest request = BOSON__METRICS__AGGREGATED_REQUEST__INIT;
	Boson__Common__Caller caller = caller_of(who);

	request.node_id = borrow(NODE);
	request.start_time = borrow(range->start);
	request.end_time = borrow(range->end);
	request.caller = &caller;
	rig_call_init(call, rig, metrics);
	boson__metrics__metrics__aggregated(bus_peer_service(metrics), &request, on_aggregated,
					    call);
	rig_call_wait(call);
}

void
call_exposition(struct rig_call *call, struct rig *rig, struct bus_peer *metrics)
{
	static const Boson__Common__Empty request = BOSON__COMMON__EMPTY__INIT;

	rig_call_init(call, rig, metrics);
	boson__metrics__metrics__exposition(bus_peer_service(metrics), &request, on_exposition,
					    call);
	rig_call_wait(call);
}
