/*
 * agent_enrol: two requests in a row; whichever fails, the first is next, after a while.
 */
#include "agent/agent_enrol.h"
#include "agent/agent_backoff.h"
#include "identity/mac.h"
#include "identity/proof.h"
#include "log/log.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char role[] = "node";

struct enrol {
	struct loop *loop;
	struct rest *rest;
	struct enrol_facts facts;
	struct enrol_events events;
	struct key private_key, public_key;
	char public_text[KEY_TEXT_BYTES];
	uint8_t id[UUID_BYTES];
	struct backoff backoff;
	struct loop_timer *timer;
	bool is_under_way;
	struct metric *done, *failed;
};

static void attempt(struct loop *loop, void *arg);

static uint32_t
random32(void)
{
	uint32_t random = 0;

	/* Without randomness all nodes wait alike: worse for the server, not wrong. */
	(void)mac_random(&random, sizeof(random));
	return random;
}

static void
try_later(struct enrol *enrol, uint32_t retry_after_sec, const char *step, const char *problem,
	  const char *code)
{
	int64_t delay_ms = backoff_next_ms(&enrol->backoff, retry_after_sec, random32());

	metric_add(enrol->failed, 1);
	log_warn("enrolment_failed", "step=%s reason=%s code=%s retry_ms=%lld", step, problem, code,
		 (long long)delay_ms);
	if (loop_timer_start(enrol->loop, delay_ms, 0, attempt, enrol, &enrol->timer) < 0) {
		enrol->timer = NULL;
		log_error("timer_failed", "step=%s", step);
	}
}

/* 409 ends it, everything else may pass. */
static void
answer_failed(struct enrol *enrol, const char *step, const struct rest_answer *answer)
{
	if (answer->status == 409) {
		enrol->is_under_way = false;
		log_error("enrolment_refused", "reason=%s code=%s node=%s",
			  "key does not match node", answer->code, enrol->facts.node_id);
		enrol->events.on_conflict(enrol->events.arg);
		return;
	}
	if (strcmp(answer->code, "enrolment") == 0)
		log_error("access_key_needed", "hint=%s",
			  "this server enrols a new node only with its node access key: set "
			  "access_key_file");
	try_later(enrol, answer->retry_after_sec, step, answer->problem, answer->code);
}

static void
on_registered(const struct rest_answer *answer, void *arg)
{
	struct enrol *enrol = arg;
	const Boson__Discovery__RegisterReply *reply;

	if (!answer->message) {
		answer_failed(enrol, "register", answer);
		return;
	}
	reply = (const Boson__Discovery__RegisterReply *)(const void *)answer->message;
	if (!reply->session_token || !reply->relay_ticket) {
		try_later(enrol, 0, "register", "the answer has no token or no ticket", "");
		return;
	}
	enrol->is_under_way = false;
	backoff_reset(&enrol->backoff);
	metric_add(enrol->done, 1);
	log_info("enrolled", "node=%s relays=%zu known=%s", enrol->facts.node_id,
		 reply->n_relay_servers, answer->status == 200 ? "yes" : "no");
	enrol->events.on_enrolled(reply, enrol->events.arg);
}

/* Says everything of the node that is said at all. Strings are only read. */
static void
write_register_body(const struct enrol *enrol, struct json_text *text)
{
	const struct enrol_facts *facts = &enrol->facts;
	Boson__Discovery__RegisterRequest request = BOSON__DISCOVERY__REGISTER_REQUEST__INIT;
	Boson__Discovery__Capabilities capabilities = BOSON__DISCOVERY__CAPABILITIES__INIT;
	Boson__Common__Bandwidth bandwidth = BOSON__COMMON__BANDWIDTH__INIT;
	Boson__Common__Location location = BOSON__COMMON__LOCATION__INIT;
	double coordinates[2] = { facts->coordinates[0], facts->coordinates[1] };

	request.node_id = (char *)(uintptr_t)facts->node_id;
	request.public_key = (char *)(uintptr_t)enrol->public_text;
	request.capabilities = &capabilities;
	capabilities.has_max_connections = capabilities.has_routing = capabilities.has_natting = 1;
	capabilities.max_connections = facts->sessions_max;
	capabilities.routing = capabilities.natting = 1;
	bandwidth.has_up = facts->bandwidth_up > 0;
	bandwidth.up = facts->bandwidth_up;
	bandwidth.has_down = facts->bandwidth_down > 0;
	bandwidth.down = facts->bandwidth_down;
	if (bandwidth.has_up || bandwidth.has_down)
		capabilities.bandwidth = &bandwidth;
	if (facts->country[0])
		location.country = (char *)(uintptr_t)facts->country;
	if (facts->region[0])
		location.region = (char *)(uintptr_t)facts->region;
	location.coordinates = coordinates;
	location.n_coordinates = facts->has_coordinates ? 2 : 0;
	if (location.country || location.region || location.n_coordinates)
		request.location = &location;
	request.has_heartbeat_interval = 1;
	request.heartbeat_interval = facts->heartbeat_sec;
	json_message_write(text, &request.base, 0);
}

static int
send_register(struct enrol *enrol, const struct proof_challenge *challenge)
{
	static const char name[] = "Higgs-Proof: ";
	char header[sizeof(name) + PROOF_HEADER_MAX_BYTES];
	struct json_text body = { 0 };
	uint8_t digest[MAC_BYTES];
	int r;

	write_register_body(enrol, &body);
	r = json_text_failed(&body) ? -ENOMEM : mac_sha256(body.bytes, body.n, digest);
	memcpy(header, name, sizeof(name));
	if (r == 0)
		r = proof_make(challenge, &enrol->private_key, enrol->id, role, digest,
			       header + sizeof(name) - 1);
	if (r == 0)
		r = rest_post(
			enrol->rest,
			&(struct rest_call){
				.path = "/nodes/register",
				.bearer = enrol->facts.access_key,
				.header = header,
				.body = body.bytes,
				.body_bytes = body.n,
				.answer_type = &boson__discovery__register_reply__descriptor },
			on_registered, enrol);
	json_text_fini(&body);
	return r;
}

static int
read_challenge(const Boson__Discovery__ChallengeReply *reply, struct proof_challenge *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (!reply->ephemeral_public_key || !reply->nonce || !reply->cookie ||
	    key_parse(reply->ephemeral_public_key, &ret->ephemeral_public) < 0 ||
	    base64_decode(reply->nonce, ret->nonce, PROOF_NONCE_BYTES) != PROOF_NONCE_BYTES ||
	    base64_decode(reply->cookie, ret->cookie, PROOF_COOKIE_BYTES) != PROOF_COOKIE_BYTES)
		return -EINVAL;
	return 0;
}

static void
on_challenge(const struct rest_answer *answer, void *arg)
{
	struct enrol *enrol = arg;
	struct proof_challenge challenge;

	if (!answer->message) {
		answer_failed(enrol, "challenge", answer);
		return;
	}
	if (read_challenge((const Boson__Discovery__ChallengeReply *)(const void *)answer->message,
			   &challenge) < 0 ||
	    send_register(enrol, &challenge) < 0)
		try_later(enrol, 0, "challenge", "the challenge cannot be answered", "");
}

static int
send_challenge(struct enrol *enrol)
{
	struct json_text body = { 0 };
	int r;

	json_text_open(&body, '{');
	json_text_member(&body, "nodeId", enrol->facts.node_id);
	json_text_member(&body, "publicKey", enrol->public_text);
	json_text_member(&body, "role", role);
	json_text_close(&body, '}');
	r = json_text_failed(&body) ? -ENOMEM : 0;
	if (r == 0)
		r = rest_post(
			enrol->rest,
			&(struct rest_call){
				.path = "/nodes/challenge",
				.body = body.bytes,
				.body_bytes = body.n,
				.answer_type = &boson__discovery__challenge_reply__descriptor },
			on_challenge, enrol);
	json_text_fini(&body);
	return r;
}

static void
attempt(struct loop *loop, void *arg)
{
	struct enrol *enrol = arg;

	(void)loop;
	enrol->timer = NULL; /* it was for once */
	if (send_challenge(enrol) < 0)
		try_later(enrol, 0, "challenge", "the request cannot be made: is the URL right?",
			  "");
}

int
enrol_new(struct loop *loop, struct rest *rest, struct metrics *metrics,
	  const struct enrol_facts *facts, const struct key *private_key,
	  const struct enrol_events *events, struct enrol **ret)
{
	struct enrol *enrol = calloc(1, sizeof(*enrol));
	int r;

	if (!enrol)
		return -ENOMEM;
	enrol->loop = loop;
	enrol->rest = rest;
	enrol->facts = *facts;
	enrol->events = *events;
	enrol->private_key = *private_key;
	r = key_public(private_key, &enrol->public_key);
	if (r == 0)
		r = uuid_parse(facts->node_id, enrol->id);
	if (r < 0) {
		enrol_free(&enrol);
		return r;
	}
	key_format(&enrol->public_key, enrol->public_text);
	enrol->done = metrics_counter(metrics, "enrolments_total", "result=\"done\"",
				      "Attempts to enrol with the server");
	enrol->failed = metrics_counter(metrics, "enrolments_total", "result=\"failed\"",
					"Attempts to enrol with the server");
	*ret = enrol;
	return 0;
}

void
enrol_free(struct enrol **enrol)
{
	if (!*enrol)
		return;
	if ((*enrol)->timer)
		loop_timer_stop(&(*enrol)->timer);
	key_wipe(&(*enrol)->private_key, sizeof((*enrol)->private_key));
	free(*enrol);
	*enrol = NULL;
}

void
enrol_start(struct enrol *enrol)
{
	if (enrol->is_under_way)
		return;
	enrol->is_under_way = true;
	attempt(enrol->loop, enrol);
}
