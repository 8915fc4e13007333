/*
 * fleet_server: reads what the agent sends as the gateway would, strictly.
 */
#include "fleet_server.h"
#include "identity/mac.h"
#include "identity/proof.h"
#include "loop/clock.h"
#include "json/json_message.h"

#include "discovery.pb-c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *
body_of(const char *request)
{
	return strstr(request, "\r\n\r\n") + 4;
}

/* The value of a header, up to the line's end. */
static void
copy_header(const char *request, const char *name, char *ret, size_t capacity)
{
	const char *at = strstr(request, name);
	size_t n = at ? strcspn(at + strlen(name), "\r") : 0;

	if (n >= capacity)
		n = 0;
	if (at)
		memcpy(ret, at + strlen(name), n);
	ret[n] = '\0';
}

static void *
read_body(const char *request, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = NULL;
	char field[JSON_FIELD_BYTES];

	if (json_message_read(type, body_of(request), strlen(body_of(request)), 0, &message,
			      field) < 0)
		return NULL;
	return message;
}

static void
write_error(FILE *out, int status, const char *code)
{
	char body[128];

	snprintf(body, sizeof(body), "{\"error\":{\"code\":\"%s\",\"message\":\"x\"}}", code);
	tls_server_write(out, status, status == 503 ? "Retry-After: 0\r\n" : "", body);
}

static void
answer_challenge(struct fleet_server *server, const char *request, FILE *out)
{
	Boson__Discovery__ChallengeRequest *asked =
		read_body(request, &boson__discovery__challenge_request__descriptor);
	struct proof_challenge challenge;
	struct key key;
	uint8_t id[UUID_BYTES];
	struct proof_challenge_text text;
	char body[512];

	atomic_fetch_add(&server->challenges, 1);
	if (atomic_load(&server->busy_challenges) > 0) {
		atomic_fetch_sub(&server->busy_challenges, 1);
		write_error(out, 503, "starting");
	} else if (!asked || !asked->node_id || !asked->public_key || !asked->role ||
		   uuid_parse(asked->node_id, id) < 0 || key_parse(asked->public_key, &key) < 0 ||
		   proof_challenge_make(server->fleet_secret, id, &key, asked->role,
					clock_wall_ms(), &challenge) < 0) {
		write_error(out, 400, "field");
	} else {
		proof_challenge_format(&challenge, &text);
		snprintf(body, sizeof(body),
			 "{\"ephemeralPublicKey\":\"%s\",\"nonce\":\"%s\",\"cookie\":\"%s\","
			 "\"expiresAt\":\"2030-01-01T00:00:00.000Z\",\"new\":1}",
			 text.ephemeral_public, text.nonce, text.cookie);
		tls_server_write(out, 200, "", body);
	}
	if (asked)
		boson__discovery__challenge_request__free_unpacked(asked, NULL);
}

static void
write_relays(struct fleet_server *server, char *ret, size_t capacity)
{
	snprintf(ret, capacity, "%s",
		 atomic_load(&server->has_no_relays)
			 ? "[]"
			 : "[{\"id\":\"r1\",\"host\":\"relay.test\",\"port\":443,"
			   "\"protocol\":\"wss\"},{\"id\":\"r2\",\"host\":\"2001:db8::2\","
			   "\"port\":8443,\"protocol\":\"wss\"}]");
}

static bool
proof_is_good(struct fleet_server *server, const char *request,
	      const Boson__Discovery__RegisterRequest *asked)
{
	char header[PROOF_HEADER_MAX_BYTES];
	uint8_t digest[32], id[UUID_BYTES], nonce[PROOF_NONCE_BYTES];
	struct key key;

	copy_header(request, "\r\nHiggs-Proof: ", header, sizeof(header));
	return asked && asked->node_id && asked->public_key &&
	       uuid_parse(asked->node_id, id) == 0 && key_parse(asked->public_key, &key) == 0 &&
	       mac_sha256(body_of(request), strlen(body_of(request)), digest) == 0 &&
	       proof_verify(server->fleet_secret, header, id, &key, "node", digest, clock_wall_ms(),
			    nonce) == 0;
}

static const char *
json_or_empty(_Atomic(const char *) *json)
{
	const char *text = atomic_load(json);

	return text ? text : "[]";
}

static void
note_network(struct fleet_server *server, const Boson__Discovery__NetworkInfo *network)
{
	snprintf(server->mapped, sizeof(server->mapped), "%s",
		 network && network->stun_mapped_address ? network->stun_mapped_address : "");
	server->nat_type = network && network->has_nat_type ? (int)network->nat_type : -1;
}

static void
answer_metrics(struct fleet_server *server, const char *request, FILE *out)
{
	if (!strstr(request, "\r\nAuthorization: Bearer token-1\r\n")) {
		write_error(out, 401, "token");
		return;
	}
	snprintf(server->metrics, sizeof(server->metrics), "%s", body_of(request));
	tls_server_write(out, 202, "", "{\"status\":\"accepted\"}");
	atomic_fetch_add(&server->samples, 1);
}

static void
answer_register(struct fleet_server *server, const char *request, FILE *out)
{
	Boson__Discovery__RegisterRequest *asked =
		read_body(request, &boson__discovery__register_request__descriptor);
	int failure = atomic_load(&server->fail_register);
	char relays[256], body[768];

	if (!proof_is_good(server, request, asked)) {
		atomic_fetch_add(&server->bad_proofs, 1);
		write_error(out, 401, "challenge");
	} else if (failure) {
		write_error(out, failure, failure == 409 ? "key_in_use" : "test");
	} else {
		copy_header(request, "\r\nAuthorization: Bearer ", server->access_key,
			    sizeof(server->access_key));
		snprintf(server->country, sizeof(server->country), "%s",
			 asked->location && asked->location->country ? asked->location->country
								     : "");
		note_network(server, asked->network_info);
		write_relays(server, relays, sizeof(relays));
		snprintf(body, sizeof(body),
			 "{\"nodeId\":\"%s\",\"status\":\"registered\",\"relayServers\":%s,"
			 "\"stunServers\":%s,\"sessionToken\":\"token-1\","
			 "\"relayTicket\":\"ticket-%d\",\"expiresAt\":1900000000000}",
			 asked->node_id, relays, json_or_empty(&server->stun_servers),
			 atomic_load(&server->ticket));
		tls_server_write(out, 201, "", body);
		atomic_fetch_add(&server->proofs, 1);
	}
	if (asked)
		boson__discovery__register_request__free_unpacked(asked, NULL);
}

static void
answer_heartbeat(struct fleet_server *server, const char *request, FILE *out)
{
	Boson__Discovery__HeartbeatRequest *asked =
		read_body(request, &boson__discovery__heartbeat_request__descriptor);
	char relays[256], body[512];

	if (!asked || !strstr(request, "\r\nAuthorization: Bearer token-1\r\n")) {
		write_error(out, 401, "token");
	} else if (atomic_load(&server->refuse_heartbeats) > 0) {
		atomic_fetch_sub(&server->refuse_heartbeats, 1);
		write_error(out, 401, "token");
	} else {
		write_relays(server, relays, sizeof(relays));
		snprintf(body, sizeof(body),
			 "{\"status\":\"ok\",\"nextHeartbeat\":1,\"actions\":%s,"
			 "\"relayServers\":%s,\"relayTicket\":\"ticket-%d\"}",
			 json_or_empty(&server->actions), relays, atomic_load(&server->ticket));
		tls_server_write(out, 200, "", body);
		atomic_fetch_add(&server->heartbeats, 1);
	}
	if (asked && asked->status == BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__degraded)
		atomic_fetch_add(&server->degraded, 1);
	if (asked)
		boson__discovery__heartbeat_request__free_unpacked(asked, NULL);
}

static bool
respond(const char *request, FILE *out, void *arg)
{
	struct fleet_server *server = arg;

	if (strncmp(request, "POST /api/v1/nodes/challenge ", 29) == 0)
		answer_challenge(server, request, out);
	else if (strncmp(request, "POST /api/v1/nodes/register ", 28) == 0)
		answer_register(server, request, out);
	else if (strncmp(request, "POST /api/v1/nodes/", 19) == 0 &&
		 strstr(request, "/heartbeat HTTP/1.1\r\n"))
		answer_heartbeat(server, request, out);
	else if (strncmp(request, "POST /api/v1/metrics HTTP/1.1\r\n", 31) == 0)
		answer_metrics(server, request, out);
	else
		write_error(out, 404, "route");
	return true;
}

void
fleet_server_start(struct fleet_server *server)
{
	const struct tls_server_options options = { .fn = respond, .arg = server };

	memset(server, 0, sizeof(*server));
	atomic_store(&server->ticket, 1);
	assert_int_equal(mac_random(server->fleet_secret, sizeof(server->fleet_secret)), 0);
	assert_int_equal(tls_server_start(&options, &server->tls), 0);
}

void
fleet_server_stop(struct fleet_server *server)
{
	tls_server_stop(&server->tls);
}

const char *
fleet_server_lines(const struct fleet_server *server)
{
	static char lines[256];

	snprintf(lines, sizeof(lines),
		 "server = https://localhost:%u/\nca_file = %s\ncountry = CH\n",
		 tls_server_port(server->tls), tls_server_ca_file(server->tls));
	return lines;
}
