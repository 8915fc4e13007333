/*
 * relay_reports: what the shards say becomes state of the control actor, and events.
 * Tells: LegAttached, LegDetached, NodeDuplicate, SessionUsage.
 */
#include "relay/relay_control.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_hear.h"

#include <stdlib.h>
#include <string.h>

static void
publish_attached(struct relay_control *control, const struct relay_attached *leg)
{
	Boson__Relay__LegAttached event = BOSON__RELAY__LEG_ATTACHED__INIT;
	char node[UUID_TEXT_BYTES];

	uuid_format(leg->node_id, node);
	event.relay_id = control->id;
	event.node_id = node;
	event.has_generation = event.has_channels = 1;
	event.generation = leg->generation;
	event.channels = leg->channels;
	event.has_rtt = leg->rtt_us != 0;
	event.rtt = leg->rtt_us / 1000.0;
	bus_publish(control->publisher, &event.base);
}

/* A leg is new, or measured again. */
static void
on_attached(struct relay_control *control, const struct relay_message *report)
{
	struct relay_attached *leg = idtable_find(&control->attached, report->node_id);
	bool is_new = leg == NULL || leg->generation != report->generation;
	char node[UUID_TEXT_BYTES];

	if (report->kind == RELAY_LEG_MEASURED && is_new)
		return; /* gone meanwhile */
	if (leg == NULL) {
		leg = calloc(1, sizeof(*leg));
		if (leg == NULL)
			return;
		memcpy(leg->node_id, report->node_id, UUID_BYTES);
		idtable_add(&control->attached, leg);
	}
	leg->is_beaten = leg->is_beaten && !is_new;
	leg->generation = report->generation;
	leg->channels = report->channels;
	leg->rtt_us = report->rtt_us;
	publish_attached(control, leg);
	if (!is_new)
		return;
	uuid_format(leg->node_id, node);
	log_info("leg_attached", "node=%s generation=%llu channels=%u", node,
		 (unsigned long long)leg->generation, leg->channels);
	relay_hear_own(control, leg);
}

void
relay_reports_swap(struct relay_control *control, const uint8_t node_id[UUID_BYTES], bool is_sure)
{
	Boson__Relay__NodeDuplicate event = BOSON__RELAY__NODE_DUPLICATE__INIT;
	unsigned swaps = relay_clones_add(&control->clones, node_id, is_sure,
					  loop_now_ms(control->context->loop));
	char node[UUID_TEXT_BYTES];

	if (swaps == 0)
		return;
	uuid_format(node_id, node);
	log_warn("node_duplicate", "node=%s swaps=%u reason=\"its key is on two hosts\"", node,
		 swaps);
	metric_add(control->duplicates, 1);
	event.relay_id = control->id;
	event.node_id = node;
	event.has_swaps = event.has_seen_at = 1;
	event.swaps = swaps;
	event.seen_at = clock_wall_ms();
	bus_publish(control->publisher, &event.base);
}

static void
on_detached(struct relay_control *control, const struct relay_message *report)
{
	Boson__Relay__LegDetached event = BOSON__RELAY__LEG_DETACHED__INIT;
	struct relay_attached *leg = idtable_find(&control->attached, report->node_id);
	char node[UUID_TEXT_BYTES], reason[128];

	/* Generations are compared: a newer leg stays. */
	if (leg != NULL && leg->generation == report->generation) {
		idtable_remove(&control->attached, leg);
		free(leg);
		relay_opens_fail_node(&control->opens, report->node_id);
	}
	uuid_format(report->node_id, node);
	strncpy(reason, report->reason != NULL ? report->reason : "", sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	event.relay_id = control->id;
	event.node_id = node;
	event.has_generation = 1;
	event.generation = report->generation;
	event.reason = reason;
	bus_publish(control->publisher, &event.base);
	log_info("leg_detached", "node=%s generation=%llu reason=\"%s\"", node,
		 (unsigned long long)report->generation, reason);
}

static void
on_opened(struct relay_control *control, const struct relay_message *report)
{
	Boson__Link__SessionOpened *opened = report->control->session_opened;

	if (!relay_opens_answer(&control->opens, report->node_id, opened))
		log_debug("answer_unasked", "request=%llu", (unsigned long long)opened->request_id);
}

static void
publish_usage(struct relay_control *control, const struct relay_session *session)
{
	Boson__Relay__SessionUsage event = BOSON__RELAY__SESSION_USAGE__INIT;
	char node[UUID_TEXT_BYTES], id[UUID_TEXT_BYTES];

	uuid_format(session->node_id, node);
	uuid_format(session->id, id);
	event.relay_id = control->id;
	event.node_id = node;
	event.session_id = id;
	event.has_bytes_up = event.has_bytes_down = event.has_flows = event.has_reported_at = 1;
	event.bytes_up = session->report->bytes_up;
	event.bytes_down = session->report->bytes_down;
	event.flows = session->report->live;
	event.reported_at = session->reported_at_ms;
	event.has_epoch = session->report->has_epoch;
	event.epoch = session->report->epoch;
	bus_publish(control->publisher, &event.base);
}

static void
on_flows(struct relay_control *control, struct relay_message *report)
{
	Boson__Link__FlowReport *flows = report->control->flow_report;

	for (size_t i = 0; i < flows->n_sessions; i++) {
		const struct relay_session *session = relay_flows_report(
			&control->flows, report->node_id, &flows->sessions[i], clock_wall_ms());

		if (session != NULL)
			publish_usage(control, session);
		else
			protobuf_c_message_free_unpacked(&flows->sessions[i]->base, NULL);
	}
	flows->n_sessions = 0; /* all of them were taken or freed */
}

static void
on_session(struct relay_control *control, const struct relay_message *report)
{
	struct relay_session *session =
		relay_flows_bind(&control->flows, report->session_id, report->node_id);

	if (session == NULL)
		return;
	relay_carried_add(&session->carried, &report->carried);
}

static void
on_carried(const struct relay_message *report)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;

	if (report->result == 0)
		report->answer(&reply, report->call);
	else if (report->result == -ENOENT)
		bus_call_fail(report->call, BUS_NOT_FOUND, "session_unknown", "sessionId");
	else if (report->result == -EMSGSIZE)
		bus_call_fail(report->call, BUS_INVALID, "packet", "packet");
	else
		bus_call_fail_retry(report->call, BUS_UNAVAILABLE,
				    report->result == -EAGAIN ? "queue_full" : "node_not_attached",
				    1);
}

static void
on_report(struct relay_control *control, struct relay_message *report)
{
	switch (report->kind) {
	case RELAY_LEG_ATTACHED:
	case RELAY_LEG_MEASURED:
		on_attached(control, report);
		break;
	case RELAY_LEG_DETACHED:
		on_detached(control, report);
		break;
	case RELAY_LEG_SWAPPED:
	case RELAY_LEG_CONTESTED:
		relay_reports_swap(control, report->node_id, report->kind == RELAY_LEG_CONTESTED);
		break;
	case RELAY_OPEN_ANSWERED:
		on_opened(control, report);
		break;
	case RELAY_OPEN_FAILED:
		relay_opens_fail(&control->opens, report->request_id);
		break;
	case RELAY_CARRIED:
		on_carried(report);
		break;
	case RELAY_NODE_SOUGHT:
		relay_seek_node(control, report->node_id);
		break;
	case RELAY_NODE_SETTLED:
		relay_seek_end(control, report->node_id);
		break;
	case RELAY_FLOWS_REPORTED:
		on_flows(control, report);
		break;
	case RELAY_SESSION_SEEN:
	case RELAY_SESSION_CARRIED:
		on_session(control, report);
		break;
	case RELAY_DOOR_CLOSED:
		relay_control_door_closed(control);
		break;
	case RELAY_DRAINED:
		relay_control_drained(control);
		break;
	case RELAY_ADOPT:
	case RELAY_SESSION_OPEN:
	case RELAY_SESSION_CLOSE:
	case RELAY_CARRY:
	case RELAY_TIE:
	case RELAY_MESH_SECTIONS:
	case RELAY_MESH_DOWN:
	case RELAY_MESH_SEND:
	case RELAY_NODE_GONE:
	case RELAY_NODE_BACK:
	case RELAY_NODE_MOVED:
	case RELAY_UDP_HANDED:
	case RELAY_UDP_RETURNED:
	case RELAY_UDP_LEARNT:
	case RELAY_UDP_BIND:
	case RELAY_UDP_UNBIND:
	case RELAY_UDP_PEERS:
	case RELAY_DRAIN:
	case RELAY_STOP:
		break; /* commands are for shards */
	}
}

void
relay_reports_on_event(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct relay_control *control = arg;
	struct relay_message *report = relay_mailbox_receive(&control->reports);

	(void)loop;
	(void)fd;
	(void)events;
	while (report != NULL) {
		struct relay_message *next = report->next;

		on_report(control, report);
		relay_message_free(&report);
		report = next;
	}
}
