/* The table. See service_rules.h. */
#include "service/service_rules.h"

/* Methods of one mailbox, by its package and service. */
#define DISCOVERY "boson.discovery.Discovery/"
#define ROUTING	  "boson.routing.Routing/"
#define RELAY	  "boson.relay.Relay/"
#define METRICS	  "boson.metrics.Metrics/"
#define TURN	  "boson.turn.Turn/"
#define GATEWAY	  "boson.gateway.Gateway/"
#define AGENT	  "boson.node.Agent/"
#define FORWARDER "boson.node.Forwarder/"

/* Done twice, it has the effect of once, and the answer is as good. */
#define REPEAT true

const struct bus_rule service_rules[] = {
	/* method or event | peers that may | */
	{ DISCOVERY "Challenge", "gateway bosonctl", REPEAT },
	{ DISCOVERY "RegisterNode", "gateway bosonctl", false }, /* a proof counts once */
	{ DISCOVERY "Heartbeat", "gateway", REPEAT },
	{ DISCOVERY "GetNode", "gateway bosonctl", REPEAT },
	{ DISCOVERY "ListNodes", "gateway bosonctl", REPEAT },
	{ DISCOVERY "DeleteNode", "gateway bosonctl", false },
	{ DISCOVERY "ListEnrolments", "bosonctl", REPEAT },
	{ DISCOVERY "DecideEnrolment", "bosonctl", REPEAT },
	{ DISCOVERY "ListRevocations", "gateway", REPEAT },
	{ DISCOVERY "AnnounceRelay", "relay", REPEAT },
	{ DISCOVERY "ListRelays", "gateway bosonctl relay", REPEAT },
	{ DISCOVERY "Snapshot", "routing metrics relay gateway bosonctl", REPEAT },
	{ "boson.discovery.NodeChanged", "routing metrics relay gateway", false },
	{ "boson.discovery.RelayChanged", "routing metrics relay gateway", false },
	{ "boson.discovery.TokensRevoked", "gateway", false },

	{ ROUTING "Challenge", "gateway bosonctl", REPEAT },
	{ ROUTING "RequestRoute", "gateway bosonctl", REPEAT },
	{ ROUTING "GetRoute", "gateway bosonctl", REPEAT },
	{ ROUTING "DeleteRoute", "gateway bosonctl", REPEAT },
	{ ROUTING "ListClients", "gateway bosonctl", REPEAT },
	{ ROUTING "GetClient", "gateway bosonctl", REPEAT },
	{ ROUTING "RegisterWireguard", "gateway", REPEAT },
	{ ROUTING "UnregisterWireguard", "gateway", REPEAT },
	{ ROUTING "PacketFromNode", "gateway", false },
	{ ROUTING "PacketFromClient", "gateway", false },
	{ ROUTING "LocateNode", "gateway relay", REPEAT },
	{ "boson.routing.SessionChanged", "gateway", false },

	{ RELAY "OpenSession", "routing", false },
	{ RELAY "CloseSession", "routing", REPEAT },
	{ RELAY "BindUdp", "routing", REPEAT },
	{ RELAY "UnbindUdp", "routing", REPEAT },
	{ RELAY "CarryPacket", "routing", false },
	{ RELAY "Drain", "bosonctl", REPEAT },
	{ RELAY "ListLegs", "routing metrics bosonctl", REPEAT },
	{ RELAY "ListFlows", "routing metrics bosonctl", REPEAT },
	{ RELAY "GetStats", "routing metrics bosonctl", REPEAT },
	{ "boson.relay.LegAttached", "routing metrics relay gateway", false },
	{ "boson.relay.LegDetached", "routing metrics relay gateway", false },
	{ "boson.relay.NodeDuplicate", "gateway", false },
	{ "boson.relay.RelayLoad", "routing metrics relay gateway", false },
	{ "boson.relay.SessionUsage", "routing metrics gateway", false },

	{ METRICS "Submit", "gateway", REPEAT },
	{ METRICS "Latest", "gateway bosonctl", REPEAT },
	{ METRICS "History", "gateway bosonctl", REPEAT },
	{ METRICS "Aggregated", "gateway bosonctl", REPEAT },
	{ METRICS "Exposition", "gateway bosonctl", REPEAT },
	{ METRICS "Usage", "gateway bosonctl", REPEAT },

	{ TURN "Servers", "gateway bosonctl", REPEAT },
	{ TURN "Stun", "gateway bosonctl", REPEAT },
	{ TURN "Ice", "gateway bosonctl", REPEAT },

	{ GATEWAY "CreateKey", "bosonctl", false },
	{ GATEWAY "ListKeys", "bosonctl", REPEAT },
	{ GATEWAY "RevokeKey", "bosonctl", REPEAT },

	{ AGENT "AdmitSession", "forwarder", REPEAT },
	{ AGENT "EndSession", "forwarder", REPEAT },
	{ AGENT "Snapshot", "forwarder", REPEAT },
	{ AGENT "Report", "forwarder", false },
	{ FORWARDER "SetRelays", "agent", REPEAT },
	{ FORWARDER "CloseSession", "agent", REPEAT },
	{ FORWARDER "GetStatus", "agent", REPEAT },
	{ 0 },
};
