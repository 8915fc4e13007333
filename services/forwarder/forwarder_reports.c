/*
 * forwarder_reports: what the relay is told of the flows (FlowReport, after each dump of
 * conntrack), and the agent of how the forwarder fares (Report). Figures are absolute.
 */
#include "forwarder/forwarder.h"

#include "log/log.h"
#include "loop/clock.h"
#include "net/address.h"

#include <errno.h>
#include <string.h>

enum {
	REPORT_SESSIONS_MAX = 64,
	REPORT_FLOWS_MAX = 256, /* with the sessions, well below BUS_ELEMENTS_MAX and 64 KiB */
};

/* One message under construction. */
struct flow_report {
	struct forwarder *forwarder;
	Boson__Link__FlowReport__Session sessions[REPORT_SESSIONS_MAX];
	Boson__Link__FlowReport__Session *session_pointers[REPORT_SESSIONS_MAX];
	size_t session_count;
	Boson__Link__Flow flows[REPORT_FLOWS_MAX];
	Boson__Link__Flow *flow_pointers[REPORT_FLOWS_MAX];
	char nat_addresses[REPORT_FLOWS_MAX][INET6_ADDRSTRLEN];
	char destinations[REPORT_FLOWS_MAX][INET6_ADDRSTRLEN];
	size_t flow_count;
};

static bool
report_flow(const struct flow_seen *seen, void *arg)
{
	struct flow_report *report = arg;
	size_t i = report->flow_count;
	if (i == REPORT_FLOWS_MAX)
		return false;
	Boson__Link__Flow *flow = &report->flows[i];
	boson__link__flow__init(flow);
	address_format(&seen->reply.destination, report->nat_addresses[i]);
	flow->nat_address = report->nat_addresses[i];
	if (report->forwarder->report_destinations) {
		address_format(&seen->reply.source, report->destinations[i]);
		flow->destination = report->destinations[i];
	}
	flow->has_protocol = flow->has_nat_port = flow->has_flow_id = 1;
	flow->protocol = seen->reply.protocol;
	flow->nat_port = seen->reply.destination_port;
	flow->flow_id = seen->id;
	flow->has_bytes_up = flow->has_bytes_down = 1;
	flow->bytes_up = seen->bytes_up;
	flow->bytes_down = seen->bytes_down;
	flow->has_packets_up = flow->has_packets_down = 1;
	flow->packets_up = seen->packets_up;
	flow->packets_down = seen->packets_down;
	report->flow_pointers[i] = flow;
	report->flow_count++;
	return true;
}

static int
report_send(struct flow_report *report)
{
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	Boson__Link__FlowReport message = BOSON__LINK__FLOW_REPORT__INIT;
	message.n_sessions = report->session_count;
	message.sessions = report->session_pointers;
	message.has_reported_at = 1;
	message.reported_at = clock_wall_ms();
	control.body_case = BOSON__LINK__CONTROL__BODY_FLOW_REPORT;
	control.flow_report = &message;
	report->session_count = report->flow_count = 0;
	return forwarder_legs_send(report->forwarder->legs, &control);
}

static void
report_session(struct flow_report *report, const struct session *session)
{
	Boson__Link__FlowReport__Session *entry = &report->sessions[report->session_count];
	struct flow_usage usage;
	size_t first = report->flow_count;
	if (flow_table_usage(report->forwarder->flows, session->id, &usage) < 0)
		return;
	boson__link__flow_report__session__init(entry);
	entry->session_id = (char *)(uintptr_t)session->id;
	entry->has_bytes_up = entry->has_bytes_down = entry->has_live = entry->has_epoch = 1;
	entry->bytes_up = usage.bytes_up;
	entry->bytes_down = usage.bytes_down;
	entry->live = usage.live;
	entry->epoch = usage.epoch;
	flow_table_each(report->forwarder->flows, session->id, report_flow, report);
	entry->flows = &report->flow_pointers[first];
	entry->n_flows = report->flow_count - first;
	report->session_pointers[report->session_count++] = entry;
}

void
forwarder_report_flows(struct forwarder *forwarder)
{
	static struct flow_report report; /* one actor, one thread: kept off the stack */
	const struct session *session = NULL;
	struct forwarder_legs_status status;
	if (!forwarder->legs)
		return;
	forwarder_legs_status(forwarder->legs, &status);
	if (status.state != LEG_UP)
		return;
	report.forwarder = forwarder;
	report.session_count = report.flow_count = 0;
	int r = 0;
	while (r == 0 && (session = forwarder_sessions_next(forwarder->sessions, session))) {
		/* A session's flows stand in one message: a full one goes first. */
		if (report.session_count == REPORT_SESSIONS_MAX ||
		    report.flow_count > REPORT_FLOWS_MAX / 2)
			r = report_send(&report);
		report_session(&report, session);
	}
	if (r == 0 && report.session_count > 0)
		r = report_send(&report);
	if (r < 0)
		log_debug("flow_report_not_sent", "error=%s", strerror(-r));
}

void
forwarder_report_fill(const struct forwarder *forwarder, Boson__Node__ForwarderReport *ret)
{
	static const char *const states[] = { "down", "connecting", "attached" };
	struct forwarder_legs_status status = { .relay_endpoint = "", .last_error = "" };
	const struct session *session = NULL;
	struct flow_usage usage;
	if (forwarder->legs)
		forwarder_legs_status(forwarder->legs, &status);
	else if (forwarder->not_ready)
		status.last_error = forwarder->not_ready;
	ret->leg_state = (char *)(uintptr_t)states[status.state];
	ret->relay_endpoint = (char *)(uintptr_t)status.relay_endpoint;
	ret->last_error = (char *)(uintptr_t)status.last_error;
	ret->has_channels = ret->has_sessions = ret->has_drops = ret->has_policy_in_force = 1;
	ret->channels = (uint32_t)status.channels;
	ret->sessions = (uint32_t)forwarder_sessions_count(forwarder->sessions);
	ret->drops = status.drops;
	ret->policy_in_force = forwarder->rules.policy_on && !forwarder->rules_are_stale &&
			       exit_policy_is_in_force(forwarder->policy);
	ret->has_bytes_up = ret->has_bytes_down = 1;
	ret->bytes_up = forwarder->closed_bytes_up;
	ret->bytes_down = forwarder->closed_bytes_down;
	while (forwarder->flows &&
	       (session = forwarder_sessions_next(forwarder->sessions, session)))
		if (flow_table_usage(forwarder->flows, session->id, &usage) == 0) {
			ret->bytes_up += usage.bytes_up;
			ret->bytes_down += usage.bytes_down;
		}
}

static void
on_reported(const Boson__Common__Empty *reply, void *closure)
{
	(void)reply; /* the next one says it again */
	(void)closure;
}

void
forwarder_report_to_agent(struct forwarder *forwarder)
{
	Boson__Node__ForwarderReport report = BOSON__NODE__FORWARDER_REPORT__INIT;
	forwarder_report_fill(forwarder, &report);
	boson__node__agent__report(bus_peer_service(forwarder->agent), &report, on_reported, NULL);
}
