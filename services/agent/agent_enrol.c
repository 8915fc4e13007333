/*
 * agent_enrol: two requests in a row, three for a change of keys; whichever fails, the first is
 * next, after a while.
 */
#include "agent/agent_enrol.h"
#include "agent/agent_backoff.h"
#include "identity/mac.h"
#include "identity/proof.h"
#include "log/log.h"
#include "loop/backoff.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char role[] = "node";

/* A proof may come too late; one that is refused so often is not believed. */
enum { ROTATION_ATTEMPTS = 3 };

static const char header_name[] = "Higgs-Proof: ";

enum { HEADER_BYTES = sizeof(header_name) + 2 * PROOF_HEADER_MAX_BYTES };

/* A key that a registration proves, and what the server asked about it. */
struct prover {
	struct key private_key;
	char public_text[KEY_TEXT_BYTES];
	struct proof_challenge challenge;
};

struct enrol {
	struct loop *loop;
	struct rest *rest;
	struct enrol_facts facts;
	struct enrol_events events;
	struct prover own, next; /* next: while it is to become ours */
	bool is_rotating;
	unsigned rotations_refused;
	bool awaits_approval;
	struct prover *asked; /* whose challenge comes next */
	uint8_t id[UUID_BYTES];
	unsigned failures; /* in a row */
	struct loop_timer *timer;
	bool is_under_way;
	struct metric *done, *failed;
};

static void attempt(struct loop *loop, void *arg);

static void
try_later(struct enrol *enrol, uint32_t retry_after_sec, const char *step, const char *problem,
	  const char *code)
{
	int64_t delay_ms = agent_backoff_ms(enrol->failures++, retry_after_sec, backoff_random());

	metric_add(enrol->failed, 1);
	log_warn("enrolment_failed", "step=%s reason=%s code=%s retry_ms=%lld", step, problem, code,
		 (long long)delay_ms);
	if (loop_timer_start(enrol->loop, delay_ms, 0, attempt, enrol, &enrol->timer) < 0) {
		enrol->timer = NULL;
		log_error("timer_failed", "step=%s", step);
	}
}

/* The server may have its reasons; we have a key that works. */
static void
give_up_rotation(struct enrol *enrol, const char *code)
{
	log_error("key_rotation_refused", "code=%s hint=%s", code,
		  "the node keeps its key; remove the file of the new one, or start again");
	enrol->is_rotating = false;
	enrol->rotations_refused = ROTATION_ATTEMPTS;
	key_wipe(&enrol->next.private_key, sizeof(enrol->next.private_key));
}

static bool
is_rotation_hopeless(struct enrol *enrol, const struct rest_answer *answer)
{
	if (answer->status == 409)
		return true;
	return answer->status == 401 && strcmp(answer->code, "challenge") == 0 &&
	       ++enrol->rotations_refused >= ROTATION_ATTEMPTS;
}

static void
tell_how_to_go_on(struct enrol *enrol, const struct rest_answer *answer)
{
	bool waits = strcmp(answer->code, "awaiting_approval") == 0;

	if (strcmp(answer->code, "enrolment") == 0)
		log_error("access_key_needed", "hint=%s",
			  "this server enrols a new node only with its node access key: set "
			  "access_key_file");
	if (waits)
		log_info("awaiting_approval", "node=%s key=%s hint=%s", enrol->facts.node_id,
			 enrol->own.public_text,
			 "the server's operator approves it by: bosonctl nodes approve NODE");
	enrol->awaits_approval = waits;
}

/* 409 ends it, everything else may pass. */
static void
answer_failed(struct enrol *enrol, const char *step, const struct rest_answer *answer)
{
	if (enrol->is_rotating && is_rotation_hopeless(enrol, answer)) {
		give_up_rotation(enrol, answer->code);
	} else if (answer->status == 409) {
		enrol->is_under_way = false;
		log_error("enrolment_refused", "reason=%s code=%s node=%s",
			  "key does not match node", answer->code, enrol->facts.node_id);
		enrol->events.on_conflict(enrol->events.arg);
		return;
	}
	tell_how_to_go_on(enrol, answer);
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
	enrol->awaits_approval = false;
	enrol->failures = 0;
	metric_add(enrol->done, 1);
	if (enrol->is_rotating) {
		enrol->is_rotating = false;
		enrol->events.on_rotated(enrol->events.arg);
		return;
	}
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
	request.public_key = (char *)(uintptr_t)(enrol->is_rotating ? enrol->next.public_text
								    : enrol->own.public_text);
	if (facts->network != NULL)
		request.network_info = (Boson__Discovery__NetworkInfo *)(uintptr_t)facts->network(
			facts->network_arg);
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

/* "Higgs-Proof: v1 ..." by the key that is to be bound, then by the one that is. */
static int
write_proofs(const struct enrol *enrol, const uint8_t digest[MAC_BYTES],
	     char ret_header[HEADER_BYTES])
{
	const struct prover *first = enrol->is_rotating ? &enrol->next : &enrol->own;
	size_t n;
	int r;

	strcpy(ret_header, header_name);
	n = sizeof(header_name) - 1;
	r = proof_make(&first->challenge, &first->private_key, enrol->id, role, digest,
		       ret_header + n);
	if (r < 0 || !enrol->is_rotating)
		return r;
	strcat(ret_header, ", ");
	n = strlen(ret_header);
	return proof_make(&enrol->own.challenge, &enrol->own.private_key, enrol->id, role, digest,
			  ret_header + n);
}

static int
send_register(struct enrol *enrol)
{
	char header[HEADER_BYTES];
	struct json_text body = { 0 };
	uint8_t digest[MAC_BYTES];
	int r;

	write_register_body(enrol, &body);
	r = json_text_failed(&body) ? -ENOMEM : mac_sha256(body.bytes, body.n, digest);
	if (r == 0)
		r = write_proofs(enrol, digest, header);
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

static int send_challenge(struct enrol *enrol, struct prover *about);

static void
on_challenge(const struct rest_answer *answer, void *arg)
{
	const Boson__Common__ChallengeReply *reply;
	struct enrol *enrol = arg;
	bool is_last = enrol->asked == &enrol->own;
	int r;

	if (!answer->message) {
		answer_failed(enrol, "challenge", answer);
		return;
	}
	reply = (const Boson__Common__ChallengeReply *)(const void *)answer->message;
	r = proof_challenge_parse(reply->ephemeral_public_key, reply->nonce, reply->cookie,
				  &enrol->asked->challenge);
	if (r == 0)
		r = is_last ? send_register(enrol) : send_challenge(enrol, &enrol->own);
	if (r < 0)
		try_later(enrol, 0, "challenge", "the challenge cannot be answered", "");
}

static int
send_challenge(struct enrol *enrol, struct prover *about)
{
	struct json_text body = { 0 };
	int r;

	enrol->asked = about;
	json_text_open(&body, '{');
	json_text_member(&body, "nodeId", enrol->facts.node_id);
	json_text_member(&body, "publicKey", about->public_text);
	json_text_member(&body, "role", role);
	json_text_close(&body, '}');
	r = json_text_failed(&body) ? -ENOMEM : 0;
	if (r == 0)
		r = rest_post(enrol->rest,
			      &(struct rest_call){
				      .path = "/nodes/challenge",
				      .body = body.bytes,
				      .body_bytes = body.n,
				      .answer_type = &boson__common__challenge_reply__descriptor },
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
	if (send_challenge(enrol, enrol->is_rotating ? &enrol->next : &enrol->own) < 0)
		try_later(enrol, 0, "challenge", "the request cannot be made: is the URL right?",
			  "");
}

static int
prover_init(struct prover *prover, const struct key *private_key)
{
	struct key public_key;
	int r = key_public(private_key, &public_key);

	prover->private_key = *private_key;
	key_format(&public_key, prover->public_text);
	return r;
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
	r = prover_init(&enrol->own, private_key);
	if (r == 0)
		r = uuid_parse(facts->node_id, enrol->id);
	if (r < 0) {
		enrol_free(&enrol);
		return r;
	}
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
	key_wipe(&(*enrol)->own, sizeof((*enrol)->own));
	key_wipe(&(*enrol)->next, sizeof((*enrol)->next));
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

int
enrol_rotate(struct enrol *enrol, const struct key *next_private)
{
	int r;

	if (enrol->is_under_way || enrol->is_rotating ||
	    enrol->rotations_refused >= ROTATION_ATTEMPTS)
		return -EBUSY;
	r = prover_init(&enrol->next, next_private);
	enrol->is_rotating = r == 0;
	return r;
}

bool
enrol_awaits_approval(const struct enrol *enrol)
{
	return enrol->awaits_approval;
}
