/*
 * lab_answers: the gateway of the lab: what it says to a route request, and who the node behind the
 * route is.
 */
#include "lab_inside.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char route_id[] = "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a001";
static const char session_id[] = "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a003";

const struct lab_place lab_places[LAB_NODES] = {
	{ "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a002", "10.90.0.1", "10.90.0.2", "fd48:6967:6773::1",
	  "fd48:6967:6773::2" },
	{ "5b0e6a52-3d0b-4e69-9d0b-0f3ad2a6a004", "10.91.0.1", "10.91.0.2", "fd48:6967:6774::1",
	  "fd48:6967:6774::2" },
};

/* The client's key of the request becomes the node's peer, as an agent would admit it. */
static void
admit(struct lab *lab, const char *body)
{
	const char *at = strstr(body, "\"publicKey\":\"");
	const struct lab_place *place = &lab_places[atomic_load(&lab->at)];
	char text[KEY_TEXT_BYTES], allowed_ips[128];
	struct device_peer peer = { .allowed_ips = allowed_ips };

	snprintf(allowed_ips, sizeof allowed_ips, "%s/32,%s/128", place->client4, place->client6);

	if (at == NULL || strlen(at) < 13 + KEY_TEXT_BYTES)
		return;
	memcpy(text, at + 13, KEY_TEXT_BYTES - 1);
	text[KEY_TEXT_BYTES - 1] = '\0';
	if (key_parse(text, &peer.public_key) == 0)
		device_peer_set(lab->nodes[atomic_load(&lab->at)].device, &peer, 1);
}

/* A new session is at the first node; one whose node failed goes to the other. */
static void
choose(struct lab *lab, const char *body)
{
	char failed[64];
	unsigned at = atomic_load(&lab->at);

	snprintf(failed, sizeof failed, "\"failedNodeId\":\"%s\"", lab_places[at].node_id);
	if (strstr(body, "\"sessionId\":\"") == NULL)
		at = 0;
	else if (strstr(body, failed) != NULL)
		at = 1 - at;
	atomic_store(&lab->at, at);
	atomic_store(&lab->relay.udp_port, device_listen_port(lab->nodes[at].device));
}

static int
route_body(struct lab *lab, char *ret, size_t capacity)
{
	char key[KEY_TEXT_BYTES];
	const struct lab_place *place = &lab_places[atomic_load(&lab->at)];
	enum lab_answer answer = atomic_load(&lab->answer);
	bool is_wrong = answer == LAB_WRONG_ROUTE;
	char path[64] = "mute";

	key_format(&lab->nodes[atomic_load(&lab->at)].public_key, key);
	if (answer != LAB_MUTE_RELAY)
		snprintf(path, sizeof path, "relay/%s", session_id);
	return snprintf(
		ret, capacity,
		"{\"routes\":[],\"selectedRoute\":{\"id\":\"%s\",\"relayEndpoint\":\"x\","
		"\"relayEndpoints\":[\"%s://%s:%u/%s\"],\"sessionId\":\"%s\","
		"\"sessionToken\":\"t.o.k\",\"relayTicket\":\"%s\",\"expiresAt\":4102444800000,"
		"\"nodeEndpoint\":{\"nodeId\":\"%s\",\"publicKey\":\"%s\",\"wireguardConfig\":{"
		"\"address\":\"%s/32, %s/128\",\"dns\":[\"%s\"],"
		"\"mtu\":1280,\"allowedIPs\":[\"0.0.0.0/0\"],\"persistentKeepalive\":25}}}}",
		route_id, is_wrong ? "http" : "wss",
		answer == LAB_NAMED_RELAY ? "boson.lab" : "10.0.9.1", lab->relay.port, path,
		session_id, lab->ticket, place->node_id, key, place->client4, place->client6,
		place->node4);
}

size_t
lab_answer_http(const char *request, const char *body, char *ret, size_t capacity, void *arg)
{
	static const char *const statuses[] = {
		[LAB_401] = "401 Unauthorized", [LAB_403] = "403 Forbidden",
		[LAB_404] = "404 Not Found",	[LAB_409] = "409 Conflict",
		[LAB_429] = "429 Too Many",	[LAB_503] = "503 Unavailable",
		[LAB_REDIRECT] = "302 Found",	[LAB_GARBAGE] = "200 OK",
		[LAB_ROUTE] = "200 OK",		[LAB_WRONG_ROUTE] = "200 OK",
		[LAB_SILENT] = "200 OK",	[LAB_NO_OTHER] = "200 OK",
		[LAB_MUTE_RELAY] = "200 OK",	[LAB_NAMED_RELAY] = "200 OK",
	};
	struct lab *lab = arg;
	enum lab_answer answer = atomic_load(&lab->answer);
	char text[4096] = "{\"error\":{\"code\":\"no_suitable_node\",\"message\":\"x\"}}";

	if (strncmp(request, "DELETE ", 7) == 0) {
		atomic_fetch_add(&lab->deletes, 1);
		return (size_t)snprintf(ret, capacity,
					"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
	}
	if (strncmp(request, "POST /api/v1/routing/request ", 29) == 0) {
		atomic_fetch_add(&lab->routes, 1);
		if (strstr(body, "\"sessionId\":\"") != NULL)
			atomic_fetch_add(&lab->resumes, 1);
		while (atomic_load(&lab->answer) == LAB_SILENT && !atomic_load(&lab->relay.stop))
			usleep(1000);
		if (answer == LAB_NO_OTHER)
			answer = strstr(body, "\"failedNodeId\"") != NULL ? LAB_503 : LAB_ROUTE;
		if (answer == LAB_ROUTE || answer == LAB_WRONG_ROUTE || answer == LAB_MUTE_RELAY ||
		    answer == LAB_NAMED_RELAY) {
			choose(lab, body);
			admit(lab, body);
			route_body(lab, text, sizeof text);
		}
		if (answer == LAB_GARBAGE)
			snprintf(text, sizeof text, "{\"selectedRoute\":{");
	} else if (strncmp(request, "POST /api/v1/wireguard/register ", 32) == 0) {
		snprintf(text, sizeof text,
			 "{\"status\":\"registered\",\"udpEndpoint\":\"10.0.9.1:51820\"}");
		answer = LAB_ROUTE;
	} else {
		snprintf(text, sizeof text, "{\"nodeId\":\"%s\",\"location\":{\"country\":\"SE\"}}",
			 strncmp(request + 18, lab_places[1].node_id, 36) == 0
				 ? lab_places[1].node_id
				 : lab_places[0].node_id);
		answer = LAB_ROUTE;
	}
	return (size_t)snprintf(ret, capacity,
				"HTTP/1.1 %s\r\nContent-Length: %zu\r\n"
				"Location: http://10.0.9.1/\r\nRetry-After: 7\r\n"
				"Connection: close\r\n\r\n%s",
				statuses[answer], strlen(text), text);
}
