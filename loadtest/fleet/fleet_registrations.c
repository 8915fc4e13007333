/*
 * Registrations, each as a node makes it: a challenge, a proof by its own key, the registration.
 * Making keys and proofs is the nodes' work: it is done here too, and told apart.
 */
#include "fleet.h"

#include "identity/proof.h"
#include "loop/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct registrations {
	struct fleet *fleet;
	uint64_t started, done, failed;
	uint32_t in_flight;
	int64_t proof_us; /* the nodes' part */
};

/* One node on its way. */
struct registration {
	struct registrations *all;
	struct fleet_node node;
	struct key private_key, public_key;
	char public_text[KEY_TEXT_BYTES];
};

static const uint8_t body[32] = { 7 };

static void start_one(struct registration *one);

static void
ended(struct registration *one, bool is_done)
{
	struct registrations *all = one->all;

	if (is_done)
		all->done++;
	else
		all->failed++;
	all->in_flight--;
	if (all->started < all->fleet->nodes)
		start_one(one);
	else if (all->in_flight == 0)
		loop_stop(all->fleet->loop);
}

static void
on_registered(const Boson__Discovery__RegisterReply *reply, void *arg)
{
	ended(arg, reply != NULL);
}

static void
register_one(struct registration *one, char *proof)
{
	Boson__Discovery__RegisterRequest request = BOSON__DISCOVERY__REGISTER_REQUEST__INIT;
	Boson__Discovery__NetworkInfo network = BOSON__DISCOVERY__NETWORK_INFO__INIT;
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;

	network.ipv4 = "192.168.178.20";
	location.country = "DE";
	request.node_id = one->node.id_text;
	request.public_key = one->public_text;
	request.network_info = &network;
	request.location = &location;
	request.proof = proof;
	request.has_body_sha256 = 1;
	request.body_sha256.data = (uint8_t *)(uintptr_t)body;
	request.body_sha256.len = sizeof(body);
	boson__discovery__discovery__register_node(bus_peer_service(one->all->fleet->peer),
						   &request, on_registered, one);
}

static bool
read_challenge(const Boson__Common__ChallengeReply *reply, struct proof_challenge *ret)
{
	return reply != NULL && proof_challenge_parse(reply->ephemeral_public_key, reply->nonce,
						      reply->cookie, ret) == 0;
}

static void
on_challenge(const Boson__Common__ChallengeReply *reply, void *arg)
{
	char header[PROOF_HEADER_MAX_BYTES];
	struct registration *one = arg;
	struct proof_challenge challenge;
	int64_t began_us = clock_monotonic_us();

	if (!read_challenge(reply, &challenge) ||
	    proof_make(&challenge, &one->private_key, one->node.id, "node", body, header) != 0) {
		ended(one, false);
		return;
	}
	one->all->proof_us += clock_monotonic_us() - began_us;
	register_one(one, header);
}

static void
start_one(struct registration *one)
{
	Boson__Discovery__ChallengeRequest request = BOSON__DISCOVERY__CHALLENGE_REQUEST__INIT;
	struct registrations *all = one->all;
	int64_t began_us = clock_monotonic_us();

	fleet_node_init(&one->node, all->fleet->first + all->started++);
	if (key_generate(&one->private_key) != 0 ||
	    key_public(&one->private_key, &one->public_key) != 0)
		abort();
	key_format(&one->public_key, one->public_text);
	all->proof_us += clock_monotonic_us() - began_us;
	request.node_id = one->node.id_text;
	request.public_key = one->public_text;
	request.role = "node";
	all->in_flight++;
	boson__discovery__discovery__challenge(bus_peer_service(all->fleet->peer), &request,
					       on_challenge, one);
}

int
fleet_registrations(struct fleet *fleet)
{
	struct registrations all = { .fleet = fleet };
	struct registration *window = calloc(fleet->window, sizeof(*window));
	int64_t cpu_us = fleet_cpu_us(fleet), rss = fleet_rss_bytes(fleet);
	int64_t began_us = clock_monotonic_us();
	int code = 71;

	if (window != NULL) {
		for (uint32_t i = 0; i < fleet->window && all.started < fleet->nodes; i++) {
			window[i].all = &all;
			start_one(&window[i]);
		}
		code = loop_run(fleet->loop) == 0 ? 0 : 70;
	}
	double seconds = (double)(clock_monotonic_us() - began_us) / 1e6;
	cpu_us = fleet_cpu_us(fleet) - cpu_us;
	printf("{\"registered\": %llu, \"failed\": %llu, \"registrations_per_s\": %.0f, "
	       "\"cpu_us_per_registration\": %.1f, \"core_share\": %.3f, "
	       "\"nodes_own_us_per_registration\": %.1f, \"rss_bytes_per_node\": %.0f}\n",
	       (unsigned long long)all.done, (unsigned long long)all.failed,
	       (double)all.done / seconds, (double)cpu_us / (double)all.done,
	       (double)cpu_us / 1e6 / seconds, (double)all.proof_us / (double)all.done,
	       (double)(fleet_rss_bytes(fleet) - rss) / (double)all.done);
	free(window);
	return code;
}
