/* routing_check: the fields of a route request. */
#include "routing/routing_check.h"

#include "net/address.h"

#include <string.h>

enum { NAT_TYPE_MAX_BYTES = 32, ADDRESS_TEXT_MAX_BYTES = 64 };

static int
check_requirements(const Boson__Routing__Requirements *asked, struct routing_wish *wish,
		   struct field_problem *ret_problem)
{
	if (asked->has_min_bandwidth) {
		if (!field_is_within(asked->min_bandwidth, 0, ROUTING_BANDWIDTH_MAX_MBITS))
			return field_wrong(ret_problem, "range", "requirements.minBandwidth");
		wish->min_bandwidth_mbits = asked->min_bandwidth;
	}
	if (asked->has_max_latency) {
		if (!field_is_within(asked->max_latency, 1, ROUTING_LATENCY_MAX_MS))
			return field_wrong(ret_problem, "range", "requirements.maxLatency");
		wish->max_latency_ms = asked->max_latency;
	}
	if (asked->preferred_location != NULL) {
		if (!field_is_plain_text(asked->preferred_location, sizeof(wish->region) - 1))
			return field_wrong(ret_problem, "field", "requirements.preferredLocation");
		strncpy(wish->region, asked->preferred_location, sizeof(wish->region) - 1);
	}
	if (asked->preferred_country != NULL) {
		if (!field_is_country(asked->preferred_country))
			return field_wrong(ret_problem, "field", "requirements.preferredCountry");
		memcpy(wish->country, asked->preferred_country, sizeof(wish->country));
	}
	return 0;
}

static int
check_latencies(const Boson__Routing__ClientNetworkInfo *info, struct routing_wish *wish,
		struct field_problem *ret_problem)
{
	static const char field[] = "clientNetworkInfo.relayLatencies";

	if (info->n_relay_latencies > ROUTING_LATENCIES_MAX)
		return field_wrong(ret_problem, "range", field);
	for (size_t i = 0; i < info->n_relay_latencies; i++) {
		const Boson__Routing__RelayLatency *given = info->relay_latencies[i];
		struct routing_latency *latency = &wish->latencies[wish->latency_count];

		if (given->relay_id == NULL ||
		    !field_is_plain_text(given->relay_id, sizeof(latency->relay_id) - 1))
			return field_wrong(ret_problem, "field", field);
		if (!given->has_latency ||
		    !field_is_within(given->latency, 0, ROUTING_LATENCY_MAX_MS))
			return field_wrong(ret_problem, "range", field);
		strncpy(latency->relay_id, given->relay_id, sizeof(latency->relay_id) - 1);
		latency->latency_ms = given->latency;
		wish->latency_count++;
	}
	return 0;
}

/* Only measured latencies are used so far, but nonsense is told at once. */
static int
check_client_network(const Boson__Routing__ClientNetworkInfo *info, struct routing_wish *wish,
		     struct field_problem *ret_problem)
{
	struct in6_addr address;

	if (info->ipv4 != NULL && address_parse(info->ipv4, &address) != 0)
		return field_wrong(ret_problem, "address", "clientNetworkInfo.ipv4");
	if (info->nat_type != NULL && !field_is_plain_text(info->nat_type, NAT_TYPE_MAX_BYTES))
		return field_wrong(ret_problem, "field", "clientNetworkInfo.natType");
	if (info->stun_mapped_address != NULL &&
	    !field_is_plain_text(info->stun_mapped_address, ADDRESS_TEXT_MAX_BYTES))
		return field_wrong(ret_problem, "field", "clientNetworkInfo.stunMappedAddress");
	return check_latencies(info, wish, ret_problem);
}

int
routing_check_request(const Boson__Routing__RouteRequest *request, struct routing_wish *ret,
		      struct field_problem *ret_problem)
{
	uint8_t id[UUID_BYTES];
	struct key key;
	int error = 0;

	memset(ret, 0, sizeof(*ret));
	if (request->client_id == NULL || uuid_parse(request->client_id, id) != 0)
		return field_wrong(ret_problem, "field", "clientId");
	if (request->public_key == NULL || key_parse(request->public_key, &key) != 0)
		return field_wrong(ret_problem, "field", "publicKey");
	if (request->target_node_id != NULL) {
		if (uuid_parse(request->target_node_id, ret->target) != 0)
			return field_wrong(ret_problem, "field", "targetNodeId");
		ret->has_target = true;
	}
	if (request->session_id != NULL && uuid_parse(request->session_id, id) != 0)
		return field_wrong(ret_problem, "field", "sessionId");
	if (request->failed_node_id != NULL) {
		if (uuid_parse(request->failed_node_id, ret->failed) != 0)
			return field_wrong(ret_problem, "field", "failedNodeId");
		ret->has_failed = true;
	}
	if (request->requirements != NULL)
		error = check_requirements(request->requirements, ret, ret_problem);
	if (error == 0 && request->client_network_info != NULL)
		error = check_client_network(request->client_network_info, ret, ret_problem);
	return error;
}
