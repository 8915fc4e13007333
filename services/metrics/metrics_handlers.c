/* metrics' mailbox: one function for each rpc. The drawing is in metrics_handlers.h. */
#include "metrics/metrics_handlers.h"
#include "metrics/metrics_check.h"
#include "metrics/metrics_store.h"

#include "loop/clock.h"
#include "service/caller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct metrics_service *
metrics_of(Boson__Metrics__Metrics_Service *service)
{
	return (struct metrics_service *)service;
}

/* Packs the checked figures; *ret is malloc'd. */
static int
pack_figures(const Boson__Metrics__Figures *figures, uint8_t **ret, size_t *ret_n)
{
	size_t n = boson__metrics__figures__get_packed_size(figures);

	*ret = malloc(n == 0 ? 1 : n);
	if (*ret == NULL)
		return -ENOMEM;
	*ret_n = boson__metrics__figures__pack(figures, *ret);
	return 0;
}

static int
take(struct metrics_service *metrics, const Boson__Metrics__SubmitRequest *input)
{
	uint8_t id[UUID_BYTES], *figures;
	size_t n;
	int error;

	if (uuid_parse(input->node_id, id) != 0)
		return -EINVAL;
	error = pack_figures(input->metrics, &figures, &n);
	if (error != 0)
		return error;
	error = samples_put(&metrics->samples, id, input->timestamp, figures, n,
			    clock_monotonic_ms());
	free(figures);
	return error;
}

/* True when this node may say something now; else it is answered. */
static bool
may_submit(struct metrics_service *metrics, const Boson__Metrics__SubmitRequest *input, void *call)
{
	uint8_t id[UUID_BYTES];
	int64_t wait_ms = 0;
	int error = uuid_parse(input->node_id, id);

	if (error == 0)
		error = samples_may_take(&metrics->samples, id, input->timestamp,
					 clock_monotonic_ms(), &wait_ms);
	if (error == -EBUSY) {
		metric_add(metrics->limited, 1);
		bus_call_fail_retry(call, BUS_LIMITED, "rate", (uint32_t)(wait_ms / 1000 + 1));
	} else if (error != 0) {
		bus_call_fail(call, BUS_CONFLICT, "replay", "timestamp");
	}
	return error == 0;
}

static void
on_submit(Boson__Metrics__Metrics_Service *service, const Boson__Metrics__SubmitRequest *input,
	  Boson__Metrics__SubmitReply_Closure closure, void *call)
{
	struct metrics_service *metrics = metrics_of(service);
	Boson__Metrics__SubmitReply reply = BOSON__METRICS__SUBMIT_REPLY__INIT;
	struct field_problem problem;

	if (metrics_check_submit(input, clock_wall_ms(), &problem) != 0) {
		bus_call_fail(call, BUS_INVALID, problem.code, problem.field);
		return;
	}
	if (!caller_is_node(input->caller, input->node_id)) {
		bus_call_fail(call, BUS_FORBIDDEN, "role", NULL);
		return;
	}
	if (!may_submit(metrics, input, call))
		return;
	if (take(metrics, input) != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "memory", 60);
		return;
	}
	metric_add(metrics->accepted, 1);
	reply.status = (char *)(uintptr_t) "accepted";
	closure(&reply, call);
}

static void
on_latest(Boson__Metrics__Metrics_Service *service, const Boson__Metrics__LatestRequest *input,
	  Boson__Metrics__Sample_Closure closure, void *call)
{
	metrics_answer_latest(metrics_of(service), input, closure, call);
}

static void
on_history(Boson__Metrics__Metrics_Service *service, const Boson__Metrics__HistoryRequest *input,
	   Boson__Metrics__HistoryReply_Closure closure, void *call)
{
	metrics_answer_history(metrics_of(service), input, closure, call);
}

static void
on_aggregated(Boson__Metrics__Metrics_Service *service,
	      const Boson__Metrics__AggregatedRequest *input,
	      Boson__Metrics__AggregatedReply_Closure closure, void *call)
{
	metrics_answer_aggregated(metrics_of(service), input, closure, call);
}

static void
on_exposition(Boson__Metrics__Metrics_Service *service, const Boson__Common__Empty *input,
	      Boson__Metrics__ExpositionReply_Closure closure, void *call)
{
	Boson__Metrics__ExpositionReply reply = BOSON__METRICS__EXPOSITION_REPLY__INIT;

	(void)input;
	if (metrics_exposition_write(metrics_of(service), clock_wall_ms(), &reply.text) != 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
		return;
	}
	closure(&reply, call);
	free(reply.text);
}

static void
on_usage(Boson__Metrics__Metrics_Service *service, const Boson__Metrics__UsageRequest *input,
	 Boson__Metrics__UsageReply_Closure closure, void *call)
{
	struct metrics_service *metrics = metrics_of(service);
	Boson__Metrics__UsageReply reply = BOSON__METRICS__USAGE_REPLY__INIT;
	char node_id[UUID_TEXT_BYTES];
	struct usage usage;
	uint8_t id[UUID_BYTES];
	bool more;
	int found;

	if (input->session_id == NULL || uuid_parse(input->session_id, id) != 0) {
		bus_call_fail(call, BUS_INVALID, "field", "sessionId");
		return;
	}
	found = metrics_writer_flush(metrics, &more);
	if (found == 0)
		found = metrics_store_usage(metrics->store, id, &usage);
	if (found < 0) {
		bus_call_fail_retry(call, BUS_UNAVAILABLE, "store_failed", 1);
		return;
	}
	if (found == 0) {
		bus_call_fail(call, BUS_NOT_FOUND, "no_usage", NULL);
		return;
	}
	uuid_format(usage.key.node_id, node_id);
	reply.session_id = input->session_id;
	reply.node_id = node_id;
	reply.has_bytes_up = 1;
	reply.bytes_up = usage.up;
	reply.has_bytes_down = 1;
	reply.bytes_down = usage.down;
	reply.has_reported_at = 1;
	reply.reported_at = usage.reported_at_ms;
	closure(&reply, call);
}

const Boson__Metrics__Metrics_Service metrics_mailbox = BOSON__METRICS__METRICS__INIT(on_);
