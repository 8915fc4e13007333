/* client_claim: see the header. */
#include "client/client_claim.h"

#include "common.pb-c.h"
#include "identity/mac.h"
#include "identity/proof.h"
#include "routing.pb-c.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ASK_TIMEOUT_MS = 15 * 1000, URL_BYTES = 700 };

static const char header_name[] = "Higgs-Proof: ";

enum { HEADER_BYTES = sizeof(header_name) + PROOF_HEADER_MAX_BYTES };

int
client_server_url(const char *server, const char *path, char *ret_url, size_t capacity)
{
	size_t n = strlen(server);

	while (n > 0 && server[n - 1] == '/')
		n--;
	int r = snprintf(ret_url, capacity, "%.*s%s", (int)n, server, path);
	return r > 0 && (size_t)r < capacity ? 0 : -ENAMETOOLONG;
}

static int
post(const struct client_claim *claim, const char *path, const char *header, const char *body,
     http_answer_fn fn, void *arg)
{
	char url[URL_BYTES];
	const struct http_request request = {
		.method = "POST",
		.url = url,
		.bearer = claim->access_key,
		.header = header,
		.body = body,
		.body_bytes = strlen(body),
		.timeout_ms = ASK_TIMEOUT_MS,
	};
	int r = client_server_url(claim->server, path, url, sizeof url);

	return r < 0 ? r : http_client_send(claim->http, &request, fn, arg);
}

/* header: NULL for a request without a proof. */
static int
send_request(struct client_claim *claim, const char *header)
{
	int r = post(claim, "/api/v1/routing/request", header, claim->body, claim->fn, claim->arg);

	client_claim_fini(claim); /* it was copied */
	return r;
}

static int
write_proof(const struct client_claim *claim, const struct proof_challenge *challenge,
	    char ret_header[HEADER_BYTES])
{
	uint8_t id[UUID_BYTES], digest[MAC_BYTES];
	int r = uuid_parse(claim->client_id, id);

	if (r == 0)
		r = mac_sha256(claim->body, strlen(claim->body), digest);
	memcpy(ret_header, header_name, sizeof header_name - 1);
	return r < 0 ? r
		     : proof_make(challenge, claim->private_key, id, "client", digest,
				  ret_header + sizeof header_name - 1);
}

/* What is no challenge, or none that can be answered, is -EBADMSG. */
static int
answer_challenge(struct client_claim *claim, const struct http_answer *answer)
{
	char field[JSON_FIELD_BYTES], header[HEADER_BYTES];
	const Boson__Common__ChallengeReply *reply;
	struct proof_challenge challenge;
	ProtobufCMessage *message = NULL;

	if (json_message_read(&boson__common__challenge_reply__descriptor, answer->body,
			      answer->body_bytes, 0, &message, field) < 0)
		return -EBADMSG;
	reply = (const Boson__Common__ChallengeReply *)(const void *)message;
	int r = proof_challenge_parse(reply->ephemeral_public_key, reply->nonce, reply->cookie,
				      &challenge);
	protobuf_c_message_free_unpacked(message, NULL);
	if (r < 0 || write_proof(claim, &challenge, header) < 0)
		return -EBADMSG;
	return send_request(claim, header);
}

static void
on_challenge(const struct http_answer *answer, void *arg)
{
	static const struct http_answer failed = { .body = "",
						   .error = "its challenge cannot be answered" };
	struct client_claim *claim = arg;
	int r = -EACCES;

	if (answer->status == 200) {
		r = answer_challenge(claim, answer);
		answer = &failed;
	} else if (answer->status == 404 || answer->status == 405) {
		r = send_request(claim, NULL);
		answer = &failed;
	}
	if (r == 0)
		return;
	client_claim_fini(claim); /* before fn, which may start the next */
	claim->fn(answer, claim->arg);
}

static int
ask_challenge(struct client_claim *claim, const struct key *public_key)
{
	Boson__Routing__ChallengeRequest request = BOSON__ROUTING__CHALLENGE_REQUEST__INIT;
	struct json_text text = { 0 };
	char key[KEY_TEXT_BYTES];

	key_format(public_key, key);
	request.client_id = (char *)(uintptr_t)claim->client_id;
	request.public_key = key;
	json_message_write(&text, &request.base, 0);
	int r = json_text_failed(&text) ? -ENOMEM : 0;
	if (r == 0)
		r = post(claim, "/api/v1/routing/challenge", NULL, text.bytes, on_challenge, claim);
	json_text_fini(&text);
	return r;
}

int
client_claim_start(struct client_claim *claim, const struct client_route_wish *wish,
		   http_answer_fn fn, void *arg)
{
	client_claim_fini(claim);
	claim->fn = fn;
	claim->arg = arg;
	claim->client_id = wish->client_id;
	int r = client_route_request(wish, &claim->body);
	if (r == 0)
		r = ask_challenge(claim, wish->public_key);
	if (r < 0)
		client_claim_fini(claim);
	return r;
}

void
client_claim_fini(struct client_claim *claim)
{
	free(claim->body);
	claim->body = NULL;
}
