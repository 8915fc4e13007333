/* agent_telemetry: first the way is measured, then all is told. */
#include "agent/agent_telemetry.h"
#include "agent/agent_backoff.h"
#include "log/log.h"
#include "loop/backoff.h"
#include "loop/clock.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdlib.h>

struct telemetry {
	struct loop *loop;
	struct rest *rest;
	struct metrics *metrics;
	const char *node_id;
	int64_t period_ms;
	struct telemetry_events events;
	struct path *path;
	struct loop_timer *timer;
	bool is_under_way;
	struct metric *sent, *failed;
};

static void measure(struct loop *loop, void *arg);

static void
measure_later(struct telemetry *telemetry)
{
	if (loop_timer_start(telemetry->loop,
			     agent_backoff_spread_ms(telemetry->period_ms, backoff_random()), 0,
			     measure, telemetry, &telemetry->timer) != 0) {
		telemetry->timer = NULL;
		log_error("timer_failed", "what=%s", "telemetry");
	}
}

static void
on_answer(const struct rest_answer *answer, void *arg)
{
	struct telemetry *telemetry = arg;

	telemetry->is_under_way = false;
	if (answer->message != NULL)
		return;
	metric_add(telemetry->failed, 1);
	log_debug("metrics_refused", "status=%d code=%s field=%s", answer->status, answer->code,
		  answer->field);
}

static int
post(struct telemetry *telemetry, const Boson__Metrics__SubmitRequest *request)
{
	struct json_text body = { 0 };
	int r;

	json_message_write(&body, &request->base, 0);
	r = json_text_failed(&body) ? -ENOMEM : 0;
	if (r == 0)
		r = rest_post(telemetry->rest,
			      &(struct rest_call){
				      .path = "/metrics",
				      .bearer = telemetry->events.token(telemetry->events.arg),
				      .body = body.bytes,
				      .body_bytes = body.n,
				      .answer_type = &boson__metrics__submit_reply__descriptor },
			      on_answer, telemetry);
	json_text_fini(&body);
	return r;
}

/* way: NULL: not measured. */
static void
tell(struct telemetry *telemetry, const struct path_figures *way)
{
	Boson__Metrics__SubmitRequest request = BOSON__METRICS__SUBMIT_REQUEST__INIT;
	Boson__Metrics__Figures figures = BOSON__METRICS__FIGURES__INIT;
	Boson__Metrics__Network network = BOSON__METRICS__NETWORK__INIT;

	figures.network = &network;
	telemetry->events.fill(&figures, telemetry->events.arg);
	if (way != NULL) {
		network.has_packet_loss = 1;
		network.packet_loss = way->loss_percent;
		network.has_latency = network.has_jitter = way->has_latency;
		network.latency = way->latency_ms;
		network.jitter = way->jitter_ms;
	}
	request.node_id = (char *)(uintptr_t)telemetry->node_id;
	request.has_timestamp = 1;
	request.timestamp = clock_wall_ms();
	request.metrics = &figures;
	metric_add(telemetry->sent, 1);
	telemetry->is_under_way = post(telemetry, &request) == 0;
}

static void
on_measured(const struct path_figures *figures, void *arg)
{
	tell(arg, figures);
}

static void
measure(struct loop *loop, void *arg)
{
	struct telemetry *telemetry = arg;
	struct sockaddr_in6 server;

	telemetry->timer = NULL; /* it was for once */
	measure_later(telemetry);
	if (telemetry->is_under_way || telemetry->path != NULL ||
	    telemetry->events.token(telemetry->events.arg)[0] == '\0')
		return;
	if (!telemetry->events.server(&server, telemetry->events.arg) ||
	    path_start(loop, telemetry->metrics, &server, on_measured, telemetry,
		       &telemetry->path) != 0)
		tell(telemetry, NULL);
}

int
telemetry_new(struct loop *loop, struct rest *rest, struct metrics *metrics, const char *node_id,
	      int64_t period_ms, const struct telemetry_events *events, struct telemetry **ret)
{
	struct telemetry *telemetry = calloc(1, sizeof(*telemetry));

	if (telemetry == NULL)
		return -ENOMEM;
	telemetry->loop = loop;
	telemetry->rest = rest;
	telemetry->metrics = metrics;
	telemetry->node_id = node_id;
	telemetry->period_ms = period_ms;
	telemetry->events = *events;
	telemetry->sent = metrics_counter(metrics, "telemetry_total", NULL,
					  "Samples of metrics sent to the server");
	telemetry->failed = metrics_counter(metrics, "telemetry_failed_total", NULL,
					    "Samples without a good answer");
	measure_later(telemetry);
	*ret = telemetry;
	return 0;
}

void
telemetry_free(struct telemetry **telemetry)
{
	struct telemetry *freed = *telemetry;

	if (freed == NULL)
		return;
	*telemetry = NULL;
	loop_timer_stop(&freed->timer);
	path_stop(&freed->path);
	free(freed);
}

void
telemetry_set_period(struct telemetry *telemetry, int64_t period_ms)
{
	telemetry->period_ms = period_ms;
}
