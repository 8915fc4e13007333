/*
 * relay_counters: the table of names.
 */
#include "relay/relay_counters.h"

#include <stdbool.h>
#include <stdio.h>

#define COUNTER(name, labels, help)       \
	{                                 \
		name, labels, help, false \
	}
#define GAUGE(name, labels, help)        \
	{                                \
		name, labels, help, true \
	}
#define DATAGRAMS(type) \
	COUNTER("datagrams_total", "type=\"" type "\"", "Datagrams taken, by WireGuard type")
#define BYTES(to)      COUNTER("bytes_total", "to=\"" to "\"", "Bytes of datagrams taken")
#define MESSAGES(to)   COUNTER("messages_total", "to=\"" to "\"", "Data messages taken")
#define DROP(reason)   COUNTER("drops_total", "reason=\"" reason "\"", "Datagrams dropped")
#define CLOSED(reason) COUNTER("legs_closed_total", "reason=\"" reason "\"", "Legs closed")

static const struct counter_name {
	const char *name, *labels, *help;
	bool is_gauge;
} names[RELAY_COUNTER_COUNT] = {
	[RELAY_DATAGRAMS_INITIATION] = DATAGRAMS("initiation"),
	[RELAY_DATAGRAMS_RESPONSE] = DATAGRAMS("response"),
	[RELAY_DATAGRAMS_COOKIE] = DATAGRAMS("cookie"),
	[RELAY_DATAGRAMS_TRANSPORT] = DATAGRAMS("transport"),
	[RELAY_BYTES_UP] = BYTES("node"),
	[RELAY_BYTES_DOWN] = BYTES("client"),
	[RELAY_MESSAGES_UP] = MESSAGES("node"),
	[RELAY_MESSAGES_DOWN] = MESSAGES("client"),
	[RELAY_DROP_SHORT] = DROP("short"),
	[RELAY_DROP_TYPE] = DROP("type"),
	[RELAY_DROP_RESERVED] = DROP("reserved"),
	[RELAY_DROP_LENGTH] = DROP("length"),
	[RELAY_DROP_NO_NODE] = DROP("no_node"),
	[RELAY_DROP_NO_CHANNEL] = DROP("no_channel"),
	[RELAY_DROP_QUEUE_FULL] = DROP("queue_full"),
	[RELAY_DROP_QUEUE_AGE] = DROP("queue_age"),
	[RELAY_DROP_LEG_GONE] = DROP("leg_gone"),
	[RELAY_DROP_MEMORY] = DROP("memory"),
	[RELAY_DROP_RATE] = DROP("rate"),
	[RELAY_BAD_MESSAGES] = COUNTER("bad_messages_total", NULL, "Messages that cost their leg"),
	[RELAY_CONTROL_IN] = COUNTER("control_total", "way=\"in\"", "Control messages on legs"),
	[RELAY_CONTROL_OUT] = COUNTER("control_total", "way=\"out\"", "Control messages on legs"),
	[RELAY_ACCEPTED] = COUNTER("accepted_total", NULL, "Connections accepted"),
	[RELAY_ACCEPT_LIMITED] =
		COUNTER("accept_limited_total", NULL, "Connections turned away by a limit"),
	[RELAY_REFUSED] =
		COUNTER("upgrades_refused_total", NULL, "Upgrades answered with a status"),
	[RELAY_EXPIRED] = COUNTER("upgrades_expired_total", NULL, "Upgrades not made in time"),
	[RELAY_ATTACHED] = COUNTER("legs_attached_total", NULL, "Legs admitted"),
	[RELAY_REPLACED] = CLOSED("replaced"),
	[RELAY_CLOSED_STALLED] = CLOSED("stalled"),
	[RELAY_CLOSED_SILENT] = CLOSED("silent"),
	[RELAY_CLOSED_PROTOCOL] = CLOSED("protocol"),
	[RELAY_CLOSED_PEER] = CLOSED("peer"),
	[RELAY_MOVED] = COUNTER("moved_total", NULL, "Connections handed to another shard"),
	[RELAY_REPORTS_LOST] = COUNTER("reports_lost_total", NULL,
				       "Reports that did not fit the control actor's queue"),
	[RELAY_LEGS_NODE] = GAUGE("legs", "role=\"node\"", "Legs attached"),
	[RELAY_LEGS_CLIENT] = GAUGE("legs", "role=\"client\"", "Legs attached"),
	[RELAY_QUEUED_BYTES] = GAUGE("queued_bytes", NULL, "Bytes waiting for slow legs"),
};

void
relay_counter_name(enum relay_counter which, char ret_name[RELAY_COUNTER_NAME_BYTES])
{
	const struct counter_name *n = &names[which];

	if (n->labels == NULL)
		snprintf(ret_name, RELAY_COUNTER_NAME_BYTES, "%s", n->name);
	else
		snprintf(ret_name, RELAY_COUNTER_NAME_BYTES, "%s{%s}", n->name, n->labels);
}

void
relay_counters_fold(struct metrics *metrics, const uint64_t sums[RELAY_COUNTER_COUNT],
		    uint64_t last[RELAY_COUNTER_COUNT])
{
	for (size_t i = 0; i < RELAY_COUNTER_COUNT; i++) {
		const struct counter_name *n = &names[i];

		if (n->is_gauge)
			metric_set(metrics_gauge(metrics, n->name, n->labels, n->help),
				   (double)sums[i]);
		else
			metric_add(metrics_counter(metrics, n->name, n->labels, n->help),
				   sums[i] - last[i]);
		last[i] = sums[i];
	}
}
