/*
 * agent_heartbeat: one at a time; after a failure sooner than the interval, with jitter.
 */
#include "agent/agent_heartbeat.h"
#include "agent/agent_backoff.h"
#include "identity/key.h"
#include "identity/token.h"
#include "log/log.h"
#include "loop/backoff.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INTERVAL_MIN_SEC = 1, INTERVAL_MAX_SEC = 3600, PATH_BYTES = 64 };

struct heartbeat {
	struct loop *loop;
	struct rest *rest;
	struct heartbeat_events events;
	char path[PATH_BYTES];
	char token[TOKEN_TEXT_MAX_BYTES]; /* "": not enrolled */
	uint32_t interval_sec;
	unsigned failures; /* in a row */
	struct loop_timer *timer;
	bool is_under_way;
	struct metric *sent, *failed;
};

static void beat(struct loop *loop, void *arg);

static void
beat_in(struct heartbeat *heartbeat, int64_t delay_ms)
{
	if (heartbeat->timer)
		loop_timer_stop(&heartbeat->timer);
	if (loop_timer_start(heartbeat->loop, delay_ms, 0, beat, heartbeat, &heartbeat->timer) <
	    0) {
		heartbeat->timer = NULL;
		log_error("timer_failed", "what=%s", "heartbeat");
	}
}

static void
beat_regularly(struct heartbeat *heartbeat)
{
	beat_in(heartbeat,
		agent_backoff_spread_ms((int64_t)heartbeat->interval_sec * 1000, backoff_random()));
}

static void
take_token(struct heartbeat *heartbeat, const char *token)
{
	if (token && strnlen(token, sizeof(heartbeat->token)) < sizeof(heartbeat->token))
		strcpy(heartbeat->token, token);
}

static void
pass_actions(struct heartbeat *heartbeat, const Boson__Discovery__HeartbeatReply *reply)
{
	for (size_t i = 0; i < reply->n_actions; i++)
		if (reply->actions[i]->type)
			heartbeat->events.on_action(reply->actions[i]->type,
						    reply->actions[i]->payload,
						    heartbeat->events.arg);
}

static void
answered(struct heartbeat *heartbeat, const Boson__Discovery__HeartbeatReply *reply)
{
	heartbeat->failures = 0;
	if (reply->has_next_heartbeat && reply->next_heartbeat >= INTERVAL_MIN_SEC &&
	    reply->next_heartbeat <= INTERVAL_MAX_SEC)
		heartbeat->interval_sec = reply->next_heartbeat;
	take_token(heartbeat, reply->session_token);
	beat_regularly(heartbeat);
	pass_actions(heartbeat, reply);
	heartbeat->events.on_answer(reply, heartbeat->events.arg);
}

static void
lost(struct heartbeat *heartbeat, const struct rest_answer *answer)
{
	log_warn("heartbeat_refused", "status=%d code=%s", answer->status, answer->code);
	key_wipe(heartbeat->token, sizeof(heartbeat->token));
	heartbeat->events.on_lost(heartbeat->events.arg);
}

static void
failed(struct heartbeat *heartbeat, const struct rest_answer *answer)
{
	int64_t delay_ms =
		agent_backoff_ms(heartbeat->failures++, answer->retry_after_sec, backoff_random());

	log_warn("heartbeat_failed", "reason=%s code=%s field=%s retry_ms=%lld", answer->problem,
		 answer->code, answer->field, (long long)delay_ms);
	beat_in(heartbeat, delay_ms);
}

static void
on_answer(const struct rest_answer *answer, void *arg)
{
	struct heartbeat *heartbeat = arg;

	heartbeat->is_under_way = false;
	if (answer->message) {
		answered(heartbeat,
			 (const Boson__Discovery__HeartbeatReply *)(const void *)answer->message);
		return;
	}
	metric_add(heartbeat->failed, 1);
	if (answer->status == 401 || answer->status == 403 || answer->status == 404)
		lost(heartbeat, answer);
	else
		failed(heartbeat, answer);
}

static int
send_heartbeat(struct heartbeat *heartbeat)
{
	Boson__Discovery__HeartbeatRequest request = BOSON__DISCOVERY__HEARTBEAT_REQUEST__INIT;
	Boson__Discovery__NodeMetrics figures = BOSON__DISCOVERY__NODE_METRICS__INIT;
	struct json_text body = { 0 };
	int r;

	request.metrics = &figures;
	heartbeat->events.fill(&request, &figures, heartbeat->events.arg);
	json_message_write(&body, &request.base, 0);
	r = json_text_failed(&body) ? -ENOMEM : 0;
	if (r == 0)
		r = rest_post(
			heartbeat->rest,
			&(struct rest_call){
				.path = heartbeat->path,
				.bearer = heartbeat->token,
				.body = body.bytes,
				.body_bytes = body.n,
				.answer_type = &boson__discovery__heartbeat_reply__descriptor },
			on_answer, heartbeat);
	json_text_fini(&body);
	return r;
}

static void
beat(struct loop *loop, void *arg)
{
	struct heartbeat *heartbeat = arg;

	(void)loop;
	heartbeat->timer = NULL; /* it was for once */
	metric_add(heartbeat->sent, 1);
	heartbeat->is_under_way = send_heartbeat(heartbeat) == 0;
	if (!heartbeat->is_under_way)
		beat_in(heartbeat, agent_backoff_ms(heartbeat->failures++, 0, backoff_random()));
}

int
heartbeat_new(struct loop *loop, struct rest *rest, struct metrics *metrics, const char *node_id,
	      uint32_t interval_sec, const struct heartbeat_events *events, struct heartbeat **ret)
{
	struct heartbeat *heartbeat = calloc(1, sizeof(*heartbeat));

	if (!heartbeat)
		return -ENOMEM;
	heartbeat->loop = loop;
	heartbeat->rest = rest;
	heartbeat->interval_sec = interval_sec;
	heartbeat->events = *events;
	snprintf(heartbeat->path, sizeof(heartbeat->path), "/nodes/%s/heartbeat", node_id);
	heartbeat->sent =
		metrics_counter(metrics, "heartbeats_total", NULL, "Heartbeats sent to the server");
	heartbeat->failed = metrics_counter(metrics, "heartbeats_failed_total", NULL,
					    "Heartbeats without a good answer");
	*ret = heartbeat;
	return 0;
}

void
heartbeat_free(struct heartbeat **heartbeat)
{
	if (!*heartbeat)
		return;
	if ((*heartbeat)->timer)
		loop_timer_stop(&(*heartbeat)->timer);
	key_wipe((*heartbeat)->token, sizeof((*heartbeat)->token));
	free(*heartbeat);
	*heartbeat = NULL;
}

void
heartbeat_start(struct heartbeat *heartbeat, const char *session_token)
{
	take_token(heartbeat, session_token);
	heartbeat->failures = 0;
	if (!heartbeat->is_under_way)
		beat_regularly(heartbeat);
}

const char *
heartbeat_token(const struct heartbeat *heartbeat)
{
	return heartbeat->token;
}

void
heartbeat_hurry(struct heartbeat *heartbeat, int64_t delay_ms)
{
	if (heartbeat->token[0] && !heartbeat->is_under_way && heartbeat->failures == 0)
		beat_in(heartbeat, delay_ms);
}
