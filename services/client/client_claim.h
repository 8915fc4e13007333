/*
 * client_claim: a request for a route, with the proof that we hold the private half of its
 * WireGuard key (docs/protocol.md, "Proof of a client"). Asks: POST /routing/challenge,
 * POST /routing/request. A server that knows no challenges is asked without a proof.
 */
#pragma once

#include "client/client_route.h"
#include "net/http_client.h"

/* One question at a time; all zero is ready to use. What it points to is the caller's. */
struct client_claim {
	struct http_client *http;
	const char *server, *access_key, *client_id;
	const struct key *private_key;
	http_answer_fn fn;
	void *arg;
	char *body; /* of the request, as it is proven */
};

/* "<server><path>", with one slash between them. -ENAMETOOLONG. */
int client_server_url(const char *server, const char *path, char *ret_url, size_t capacity);

/* fn hears the answer to the request; or to the challenge, when there was none. wish: its key is
 * the private key's. 0, or as http_client_send, -ENAMETOOLONG, -ENOMEM: fn is not called then. */
int client_claim_start(struct client_claim *claim, const struct client_route_wish *wish,
		       http_answer_fn fn, void *arg);

/* After http_client_free, or when fn was called. */
void client_claim_fini(struct client_claim *claim);
