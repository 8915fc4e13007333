/*
 * gateway_health: are the services there; see the header.
 */
#include "gateway/gateway_health.h"

#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PING_PERIOD_MS = 2000, PING_TIMEOUT_MS = 1500, SHOWN_MS = 100, MS_PER_SEC = 1000 };

/* One that is asked: a peer, or a part. */
struct peer_health {
	const char *name;
	bool is_known, is_alive, is_asked;
	uint32_t round_trip_us;
	struct metric *up;
};

struct gateway_health {
	struct bus_peer *const *peers;
	struct peer_health of[PEER_COUNT];
	struct peer_health parts[PART_COUNT];
	struct loop_timer *timer;
	int64_t started_ms;
	bool is_draining;
	/* The answer of a moment ago: whoever asks more often than that learns no less. */
	struct json_text shown;
	int64_t shown_at_ms; /* 0: nothing */
	bool shown_ready;
};

const char gateway_health_schema[] =
	"{\"type\":\"object\",\"required\":[\"status\",\"timestamp\",\"uptime\",\"version\","
	"\"services\"],\"properties\":{"
	"\"status\":{\"type\":\"string\",\"enum\":[\"healthy\",\"degraded\",\"unhealthy\"]},"
	"\"timestamp\":{\"type\":\"integer\",\"format\":\"int64\"},"
	"\"uptime\":{\"type\":\"integer\",\"description\":\"seconds\"},"
	"\"version\":{\"type\":\"string\"},"
	"\"services\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"object\","
	"\"properties\":{\"status\":{\"type\":\"string\",\"enum\":[\"healthy\",\"unhealthy\","
	"\"unknown\"]},\"latency\":{\"type\":\"number\",\"description\":\"ms\"}}}}}}";

static void
on_pong(bool alive, uint32_t round_trip_us, void *arg)
{
	struct peer_health *of = arg;
	of->is_asked = false;
	of->is_known = true;
	of->is_alive = alive;
	of->round_trip_us = round_trip_us;
	metric_set(of->up, alive ? 1 : 0);
}

static void
ping_all(struct loop *loop, void *arg)
{
	(void)loop;
	struct gateway_health *health = arg;
	for (enum gateway_peer i = 0; i < PEER_COUNT; i++) {
		struct peer_health *of = &health->of[i];
		if (of->is_asked)
			continue;
		of->is_asked = true;
		bus_peer_ping(health->peers[i], PING_TIMEOUT_MS, on_pong, of);
	}
}

int
gateway_health_new(struct loop *loop, struct bus_peer *const *peers, struct metrics *metrics,
		   struct gateway_health **ret)
{
	struct gateway_health *health = calloc(1, sizeof(*health));
	if (health == NULL)
		return -ENOMEM;
	health->peers = peers;
	health->parts[PART_DATABASE].name = "database";
	health->parts[PART_CACHE].name = "cache";
	health->started_ms = clock_monotonic_ms();
	for (enum gateway_peer i = 0; i < PEER_COUNT; i++) {
		char label[64];
		snprintf(label, sizeof(label), "peer=\"%s\"", gateway_peer_name(i));
		health->of[i] = (struct peer_health){ .name = gateway_peer_name(i) };
		health->of[i].up = metrics_gauge(metrics, "peer_up", label,
						 "1 while the service answers the bus");
	}
	int r = loop_timer_start(loop, 0, PING_PERIOD_MS, ping_all, health, &health->timer);
	if (r < 0)
		gateway_health_free(&health);
	*ret = health;
	return r;
}

void
gateway_health_free(struct gateway_health **health)
{
	if (*health == NULL)
		return;
	loop_timer_stop(&(*health)->timer);
	json_text_fini(&(*health)->shown);
	free(*health);
	*health = NULL;
}

void
gateway_health_heard(struct gateway_health *health, enum gateway_part part, bool alive,
		     uint32_t round_trip_us)
{
	struct peer_health *of = &health->parts[part];
	of->is_known = true;
	of->is_alive = alive;
	of->round_trip_us = round_trip_us;
}

void
gateway_health_drain(struct gateway_health *health)
{
	health->is_draining = true;
}

bool
gateway_health_is_ready(const struct gateway_health *health, const char **ret_reason)
{
	*ret_reason = NULL;
	if (health->is_draining)
		*ret_reason = "stopping";
	else if (!health->of[PEER_DISCOVERY].is_alive)
		*ret_reason = "discovery does not answer";
	else if (!health->of[PEER_ROUTING].is_alive)
		*ret_reason = "routing does not answer";
	return *ret_reason == NULL;
}

static const char *
overall(const struct gateway_health *health)
{
	const char *reason;
	if (!gateway_health_is_ready(health, &reason))
		return "unhealthy";
	for (enum gateway_peer i = 0; i < PEER_COUNT; i++) {
		if (!health->of[i].is_alive)
			return "degraded";
	}
	for (enum gateway_part i = 0; i < PART_COUNT; i++) {
		if (health->parts[i].is_known && !health->parts[i].is_alive)
			return "degraded";
	}
	return "healthy";
}

static void
write_peer(struct json_text *text, const struct peer_health *of)
{
	json_text_key(text, of->name);
	json_text_open(text, '{');
	json_text_member(text, "status",
			 !of->is_known	? "unknown"
			 : of->is_alive ? "healthy"
					: "unhealthy");
	if (of->is_alive) {
		json_text_key(text, "latency");
		json_text_double(text, (double)of->round_trip_us / MS_PER_SEC);
	}
	json_text_close(text, '}');
}

static void
write_all(const struct gateway_health *health, struct json_text *text)
{
	json_text_open(text, '{');
	json_text_member(text, "status", overall(health));
	json_text_member_int(text, "timestamp", clock_wall_ms());
	json_text_member_int(text, "uptime",
			     (clock_monotonic_ms() - health->started_ms) / MS_PER_SEC);
	json_text_member(text, "version", BOSON_VERSION);
	json_text_key(text, "services");
	json_text_open(text, '{');
	for (enum gateway_part i = 0; i < PART_COUNT; i++)
		write_peer(text, &health->parts[i]);
	for (enum gateway_peer i = 0; i < PEER_COUNT; i++)
		write_peer(text, &health->of[i]);
	json_text_close(text, '}');
	json_text_close(text, '}');
}

void
gateway_health_answer(struct gateway_health *health, struct gateway_answer *answer,
		      const char *trace)
{
	int64_t now_ms = clock_monotonic_ms();
	struct json_text text = { 0 };
	const char *reason;
	bool ready = gateway_health_is_ready(health, &reason);
	if (health->shown_at_ms == 0 || now_ms - health->shown_at_ms >= SHOWN_MS ||
	    ready != health->shown_ready) {
		health->shown_ready = ready;
		json_text_fini(&health->shown);
		write_all(health, &health->shown);
		health->shown_at_ms = json_text_failed(&health->shown) ? 0 : now_ms;
	}
	if (health->shown_at_ms != 0)
		json_text_raw(&text, health->shown.bytes);
	else
		text.failed = true;
	gateway_answer_json(answer, ready ? 200 : 503, &text, trace);
}

static void
answer_status(struct gateway_answer *answer, int status, const char *word, const char *trace)
{
	struct json_text text = { 0 };
	json_text_open(&text, '{');
	json_text_member(&text, "status", word);
	json_text_close(&text, '}');
	gateway_answer_json(answer, status, &text, trace);
}

void
gateway_health_answer_ready(const struct gateway_health *health, struct gateway_answer *answer,
			    const char *trace)
{
	const char *reason;
	bool ready = gateway_health_is_ready(health, &reason);
	answer_status(answer, ready ? 200 : 503, ready ? "ready" : "not_ready", trace);
}

void
gateway_health_answer_live(struct gateway_answer *answer, const char *trace)
{
	answer_status(answer, 200, "live", trace);
}
