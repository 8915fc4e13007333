/* discovery_check: the fields of discovery's requests, one function for each message. */
#include "discovery/discovery_check.h"

#include "identity/key.h"

#include <string.h>

static bool
is_name(const char *text)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
		"._-";
	size_t n = strnlen(text, CHECK_NAME_MAX_BYTES + 1);

	return n > 0 && n <= CHECK_NAME_MAX_BYTES && strspn(text, allowed) == n;
}

static int
check_identity(const char *node_id, const char *public_key, struct field_problem *ret_problem)
{
	uint8_t id[UUID_BYTES];
	struct key key;

	if (node_id == NULL || uuid_parse(node_id, id) != 0)
		return field_wrong(ret_problem, "field", "nodeId");
	if (public_key == NULL || key_parse(public_key, &key) != 0)
		return field_wrong(ret_problem, "field", "publicKey");
	return 0;
}

int
discovery_check_challenge(const Boson__Discovery__ChallengeRequest *request,
			  struct field_problem *ret_problem)
{
	int error = check_identity(request->node_id, request->public_key, ret_problem);

	if (error != 0)
		return error;
	if (request->role == NULL || strcmp(request->role, "node") != 0)
		return field_wrong(ret_problem, "field", "role");
	return 0;
}

static int
check_network(const Boson__Discovery__NetworkInfo *network, struct field_problem *ret_problem)
{
	if (network->ipv4 != NULL && !discovery_check_is_node_address(network->ipv4, false))
		return field_wrong(ret_problem, "address", "networkInfo.ipv4");
	if (network->ipv6 != NULL && !discovery_check_is_node_address(network->ipv6, true))
		return field_wrong(ret_problem, "address", "networkInfo.ipv6");
	if (network->stun_mapped_address != NULL &&
	    !discovery_check_is_mapped_address(network->stun_mapped_address))
		return field_wrong(ret_problem, "address", "networkInfo.stunMappedAddress");
	if (network->has_local_port && (network->local_port == 0 || network->local_port > 65535))
		return field_wrong(ret_problem, "field", "networkInfo.localPort");
	if (network->has_nat_type && protobuf_c_enum_descriptor_get_value(
					     &boson__discovery__network_info__nat_type__descriptor,
					     (int)network->nat_type) == NULL)
		return field_wrong(ret_problem, "field", "networkInfo.natType");
	return 0;
}

static bool
is_bandwidth(const Boson__Common__Bandwidth *bandwidth)
{
	return (!bandwidth->has_up ||
		field_is_within(bandwidth->up, 0, CHECK_BANDWIDTH_MAX_MBITS)) &&
	       (!bandwidth->has_down ||
		field_is_within(bandwidth->down, 0, CHECK_BANDWIDTH_MAX_MBITS));
}

static int
check_capabilities(const Boson__Discovery__Capabilities *capabilities,
		   struct field_problem *ret_problem)
{
	if (capabilities->has_max_connections &&
	    (capabilities->max_connections == 0 ||
	     capabilities->max_connections > CHECK_CONNECTIONS_MAX))
		return field_wrong(ret_problem, "range", "capabilities.maxConnections");
	if (capabilities->bandwidth != NULL && !is_bandwidth(capabilities->bandwidth))
		return field_wrong(ret_problem, "range", "capabilities.bandwidth");
	return 0;
}

static int
check_location(const Boson__Common__Location *location, struct field_problem *ret_problem)
{
	if (location->country != NULL && !field_is_country(location->country))
		return field_wrong(ret_problem, "field", "location.country");
	if (location->region != NULL &&
	    !field_is_plain_text(location->region, CHECK_REGION_MAX_BYTES))
		return field_wrong(ret_problem, "field", "location.region");
	if (location->n_coordinates == 0)
		return 0;
	if (location->n_coordinates != 2)
		return field_wrong(ret_problem, "field", "location.coordinates");
	if (!field_is_within(location->coordinates[0], -90, 90) ||
	    !field_is_within(location->coordinates[1], -180, 180))
		return field_wrong(ret_problem, "range", "location.coordinates");
	return 0;
}

static int
check_metrics(const Boson__Discovery__NodeMetrics *metrics, struct field_problem *ret_problem)
{
	if (metrics->has_latency && !field_is_within(metrics->latency, 0, CHECK_LATENCY_MAX_MS))
		return field_wrong(ret_problem, "range", "metrics.latency");
	if (metrics->has_jitter && !field_is_within(metrics->jitter, 0, CHECK_LATENCY_MAX_MS))
		return field_wrong(ret_problem, "range", "metrics.jitter");
	if (metrics->has_packet_loss && !field_is_within(metrics->packet_loss, 0, 100))
		return field_wrong(ret_problem, "range", "metrics.packetLoss");
	if (metrics->has_cpu_usage && !field_is_within(metrics->cpu_usage, 0, 100))
		return field_wrong(ret_problem, "range", "metrics.cpuUsage");
	if (metrics->has_memory_usage && !field_is_within(metrics->memory_usage, 0, 100))
		return field_wrong(ret_problem, "range", "metrics.memoryUsage");
	if (metrics->bandwidth != NULL && !is_bandwidth(metrics->bandwidth))
		return field_wrong(ret_problem, "range", "metrics.bandwidth");
	return 0;
}

int
discovery_check_register(const Boson__Discovery__RegisterRequest *request,
			 struct field_problem *ret_problem)
{
	int error = check_identity(request->node_id, request->public_key, ret_problem);

	if (error == 0 && request->network_info != NULL)
		error = check_network(request->network_info, ret_problem);
	if (error == 0 && request->capabilities != NULL)
		error = check_capabilities(request->capabilities, ret_problem);
	if (error == 0 && request->location != NULL)
		error = check_location(request->location, ret_problem);
	if (error == 0 && request->metrics != NULL)
		error = check_metrics(request->metrics, ret_problem);
	if (error != 0)
		return error;
	if (request->has_heartbeat_interval &&
	    (request->heartbeat_interval < CHECK_HEARTBEAT_MIN_SEC ||
	     request->heartbeat_interval > CHECK_HEARTBEAT_MAX_SEC))
		return field_wrong(ret_problem, "range", "heartbeatInterval");
	return 0;
}

int
discovery_check_heartbeat(const Boson__Discovery__HeartbeatRequest *request,
			  struct field_problem *ret_problem)
{
	uint8_t id[UUID_BYTES];

	if (request->node_id == NULL || uuid_parse(request->node_id, id) != 0)
		return field_wrong(ret_problem, "field", "nodeId");
	if (request->has_status && protobuf_c_enum_descriptor_get_value(
					   &boson__discovery__heartbeat_request__status__descriptor,
					   (int)request->status) == NULL)
		return field_wrong(ret_problem, "field", "status");
	if (request->metrics != NULL)
		return check_metrics(request->metrics, ret_problem);
	return 0;
}

static bool
is_bus_endpoint(const char *text)
{
	return field_is_plain_text(text, CHECK_ENDPOINT_MAX_BYTES) &&
	       (strncmp(text, "inproc://", 9) == 0 || strncmp(text, "ipc://", 6) == 0 ||
		strncmp(text, "tcp://", 6) == 0);
}

int
discovery_check_relay(const Boson__Common__Relay *relay, struct field_problem *ret_problem)
{
	char host[CHECK_HOST_BYTES];
	const char *protocol;
	unsigned int port;

	if (relay->id == NULL || !is_name(relay->id))
		return field_wrong(ret_problem, "field", "id");
	if (relay->region != NULL && !field_is_plain_text(relay->region, CHECK_REGION_MAX_BYTES))
		return field_wrong(ret_problem, "field", "region");
	if (relay->relay_endpoint == NULL ||
	    discovery_check_split_endpoint(relay->relay_endpoint, &protocol, host, &port) != 0)
		return field_wrong(ret_problem, "field", "relayEndpoint");
	if (relay->udp_endpoint != NULL &&
	    !field_is_plain_text(relay->udp_endpoint, CHECK_ENDPOINT_MAX_BYTES))
		return field_wrong(ret_problem, "field", "udpEndpoint");
	if (relay->group == NULL || !is_name(relay->group) || strlen(relay->group) > 15)
		return field_wrong(ret_problem, "field", "group");
	if (relay->bus_endpoint == NULL || !is_bus_endpoint(relay->bus_endpoint))
		return field_wrong(ret_problem, "field", "busEndpoint");
	if (relay->event_endpoint == NULL || !is_bus_endpoint(relay->event_endpoint))
		return field_wrong(ret_problem, "field", "eventEndpoint");
	if (relay->bus_key != NULL && strlen(relay->bus_key) != 40)
		return field_wrong(ret_problem, "field", "busKey");
	if (relay->has_load && !field_is_within(relay->load, 0, 1))
		return field_wrong(ret_problem, "range", "load");
	return 0;
}
