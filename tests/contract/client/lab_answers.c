/*
 * lab_answers: the gateway of the lab: what it says to a route request, and who the node behind the
 * route is.
 */
#include "lab_inside.h"

#include "identity/mac.h"
#include "identity/proof.h"
#include "loop/clock.h"

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

static const uint8_t secret[KEY_BYTES] = "of proofs";

/* Copies the text that stands behind `before`; false when there is no such, or another size. */
static bool
take_text(const char *text, const char *before, char *ret, size_t bytes)
{
	const char *at = strstr(text, before);

	if (at == NULL || strlen(at) < strlen(before) + bytes)
		return false;
	memcpy(ret, at + strlen(before), bytes - 1);
	ret[bytes - 1] = '\0';
	return true;
}

/* Who asks, as its body says. */
static bool
take_client(const char *body, uint8_t ret_id[UUID_BYTES], struct key *ret_key)
{
	char id[UUID_TEXT_BYTES], key[KEY_TEXT_BYTES];

	return take_text(body, "\"clientId\":\"", id, sizeof id) &&
	       take_text(body, "\"publicKey\":\"", key, sizeof key) &&
	       uuid_parse(id, ret_id) == 0 && key_parse(key, ret_key) == 0;
}

static bool
challenge_body(const char *body, char *ret, size_t capacity)
{
	struct proof_challenge challenge;
	struct proof_challenge_text text;
	uint8_t id[UUID_BYTES];
	struct key key;

	if (!take_client(body, id, &key) ||
	    proof_challenge_make(secret, id, &key, "client", clock_wall_ms(), &challenge) != 0)
		return false;
	proof_challenge_format(&challenge, &text);
	snprintf(ret, capacity,
		 "{\"ephemeralPublicKey\":\"%s\",\"nonce\":\"%s\",\"cookie\":\"%s\","
		 "\"expiresAt\":\"2030-01-01T00:00:00.000Z\"}",
		 text.ephemeral_public, text.nonce, text.cookie);
	return true;
}

/* Is the request's key its sender's? */
static bool
is_proven(const char *request, const char *body)
{
	uint8_t id[UUID_BYTES], digest[MAC_BYTES], nonce[PROOF_NONCE_BYTES];
	char header[PROOF_HEADER_MAX_BYTES] = "";
	const char *at = strstr(request, "\r\nHiggs-Proof: ");
	struct key key;

	if (at == NULL || !take_client(body, id, &key))
		return false;
	at += strlen("\r\nHiggs-Proof: ");
	snprintf(header, sizeof header, "%.*s", (int)strcspn(at, "\r"), at);
	return mac_sha256(body, strlen(body), digest) == 0 &&
	       proof_verify(secret, header, id, &key, "client", digest, clock_wall_ms(), nonce) ==
		       0;
}

/* The client's key of the request becomes the node's peer, as an agent would admit it. */
static void
admit(struct lab *lab, const char *body)
{
	const struct lab_place *place = &lab_places[atomic_load(&lab->at)];
	char text[KEY_TEXT_BYTES], allowed_ips[128];
	struct device_peer peer = { .allowed_ips = allowed_ips };

	snprintf(allowed_ips, sizeof allowed_ips, "%s/32,%s/128", place->client4, place->client6);

	if (take_text(body, "\"publicKey\":\"", text, sizeof text) &&
	    key_parse(text, &peer.public_key) == 0)
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
	if (strncmp(request, "POST /api/v1/routing/challenge ", 31) == 0) {
		bool is_known = !atomic_load(&lab->has_no_challenges);

		if (!is_known)
			snprintf(text, sizeof text, "{\"error\":{\"code\":\"not_found\"}}");
		if (answer != LAB_401)
			answer = is_known && challenge_body(body, text, sizeof text) ? LAB_ROUTE
										     : LAB_404;
	} else if (strncmp(request, "POST /api/v1/routing/request ", 29) == 0) {
		atomic_fetch_add(&lab->routes, 1);
		if (is_proven(request, body))
			atomic_fetch_add(&lab->proven, 1);
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
