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
#define BYTES(to)    COUNTER("bytes_total", "to=\"" to "\"", "Bytes of datagrams taken")
#define MESSAGES(to) COUNTER("messages_total", "to=\"" to "\"", "Data messages taken")
#define DROP(reason) COUNTER("drops_total", "reason=\"" reason "\"", "Datagrams dropped")
#define UDP_DROP(reason) \
	COUNTER("udp_drops_total", "reason=\"" reason "\"", "Datagrams of the UDP ingress dropped")
#define UDP_LEG(what) COUNTER("udp_legs_total", "event=\"" what "\"", "What became of UDP legs")
#define UPGRADE(result) \
	COUNTER("upgrades_total", "result=\"" result "\"", "Upgrades by how they ended")
#define MESH_REFUSED(reason)                                   \
	COUNTER("mesh_refused_total", "reason=\"" reason "\"", \
		"Links and channels that another relay did not get")
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
	[RELAY_UPGRADE_400] = UPGRADE("400"),
	[RELAY_UPGRADE_401] = UPGRADE("401"),
	[RELAY_UPGRADE_403] = UPGRADE("403"),
	[RELAY_UPGRADE_404] = UPGRADE("404"),
	[RELAY_UPGRADE_405] = UPGRADE("405"),
	[RELAY_UPGRADE_426] = UPGRADE("426"),
	[RELAY_UPGRADE_429] = UPGRADE("429"),
	[RELAY_UPGRADE_431] = UPGRADE("431"),
	[RELAY_UPGRADE_503] = UPGRADE("503"),
	[RELAY_UPGRADE_101] = UPGRADE("101"),
	[RELAY_UPGRADE_LOST] = UPGRADE("lost"),
	[RELAY_EXPIRED] = COUNTER("upgrades_expired_total", NULL, "Upgrades not made in time"),
	[RELAY_CROWDED_OUT] = COUNTER("upgrades_crowded_out_total", NULL,
				      "Upgrades ended early, as all places were taken"),
	[RELAY_ATTACHED] = COUNTER("legs_attached_total", NULL, "Legs admitted"),
	[RELAY_REPLACED] = CLOSED("replaced"),
	[RELAY_CONTESTED] = COUNTER("contested_total", NULL,
				    "Legs refused because legs take each other's place"),
	[RELAY_CLOSED_CONTROL] = CLOSED("control"),
	[RELAY_CLOSED_STALLED] = CLOSED("stalled"),
	[RELAY_CLOSED_SILENT] = CLOSED("silent"),
	[RELAY_CLOSED_PROTOCOL] = CLOSED("protocol"),
	[RELAY_CLOSED_PEER] = CLOSED("peer"),
	[RELAY_CLOSED_EXPIRED] = CLOSED("expired"),
	[RELAY_MOVED] =
		COUNTER("moved_total", NULL, "Connections handed to the shard of their node"),
	[RELAY_REPORTS_LOST] = COUNTER("reports_lost_total", NULL,
				       "Reports that did not fit the control actor's queue"),
	[RELAY_MESH_DROPPED] =
		COUNTER("mesh_dropped_total", NULL, "Messages between relays that did not go"),
	[RELAY_MESH_REFUSED_LINKS] = MESH_REFUSED("links"),
	[RELAY_MESH_REFUSED_FULL] = MESH_REFUSED("full"),
	[RELAY_MESH_REFUSED_CHANNELS] = MESH_REFUSED("channels"),
	[RELAY_MESH_BYTES_OUT] = COUNTER("mesh_bytes_total", "way=\"out\"", "Bytes between relays"),
	[RELAY_MESH_BYTES_IN] = COUNTER("mesh_bytes_total", "way=\"in\"", "Bytes between relays"),
	[RELAY_UDP_DROP_SHORT] = UDP_DROP("short"),
	[RELAY_UDP_DROP_TYPE] = UDP_DROP("type"),
	[RELAY_UDP_DROP_RESERVED] = UDP_DROP("reserved"),
	[RELAY_UDP_DROP_LENGTH] = UDP_DROP("length"),
	[RELAY_UDP_DROP_SIZE] = UDP_DROP("size"),
	[RELAY_UDP_DROP_COUNTER] = UDP_DROP("counter"),
	[RELAY_UDP_DROP_SOURCE] = UDP_DROP("source"),
	[RELAY_UDP_DROP_MARTIAN] = UDP_DROP("martian"),
	[RELAY_UDP_DROP_LOOP] = UDP_DROP("loop"),
	[RELAY_UDP_DROP_DESTINATION] = UDP_DROP("destination"),
	[RELAY_UDP_DROP_MAC1] = UDP_DROP("mac1"),
	[RELAY_UDP_DROP_INDEX] = UDP_DROP("index"),
	[RELAY_UDP_DROP_RATE] = UDP_DROP("rate"),
	[RELAY_UDP_DROP_BUDGET] = UDP_DROP("budget"),
	[RELAY_UDP_DROP_QUOTA] = UDP_DROP("quota"),
	[RELAY_UDP_DROP_NO_NODE] = UDP_DROP("no_node"),
	[RELAY_UDP_DROP_NO_ROOM] = UDP_DROP("no_room"),
	[RELAY_UDP_DROP_UNPROVEN] = UDP_DROP("unproven"),
	[RELAY_UDP_DROP_SEND] = UDP_DROP("send"),
	[RELAY_UDP_DROP_MEMORY] = UDP_DROP("memory"),
	[RELAY_UDP_OPENED] = UDP_LEG("opened"),
	[RELAY_UDP_VALIDATED] = UDP_LEG("validated"),
	[RELAY_UDP_EVICTED] = UDP_LEG("evicted"),
	[RELAY_UDP_EXPIRED] = UDP_LEG("expired"),
	[RELAY_UDP_ALARMS] = COUNTER("udp_alarms_total", NULL,
				     "Half-open legs that made too many of one session"),
	[RELAY_UDP_COOKIES] =
		COUNTER("udp_cookies_total", NULL, "Sources asked to show that they are there"),
	[RELAY_UDP_HASHES] = COUNTER("udp_hashes_total", NULL, "Keys tried on handshakes"),
	[RELAY_UDP_HANDED_OVER] =
		COUNTER("udp_handed_total", NULL, "Datagrams handed to the shard of their node"),
	[RELAY_LEGS_UDP] = GAUGE("legs", "role=\"udp\"", "Legs attached"),
	[RELAY_LEGS_NODE] = GAUGE("legs", "role=\"node\"", "Legs attached"),
	[RELAY_LEGS_CLIENT] = GAUGE("legs", "role=\"client\"", "Legs attached"),
	[RELAY_LEGS_MOVING] =
		GAUGE("legs_moving", NULL, "Connections on their way from a door to a shard"),
	[RELAY_MESH_NODES] =
		GAUGE("mesh_nodes", NULL, "Nodes at other relays that clients here go to"),
	[RELAY_MESH_CLIENTS] =
		GAUGE("mesh_clients", NULL, "Clients at other relays that go to nodes here"),
	[RELAY_MESH_LINKS] = GAUGE("mesh_links", NULL, "Connections to other relays"),
	[RELAY_QUEUED_BYTES] = GAUGE("queued_bytes", NULL, "Memory of what waits for slow legs"),
	[RELAY_HELD_BYTES] =
		GAUGE("held_bytes", NULL, "Memory of messages and requests that are not whole yet"),
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
