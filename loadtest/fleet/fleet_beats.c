/*
 * Heartbeats of the whole fleet, turn about, with a window of them in flight; and a subscriber that
 * hears what changed, as routing does.
 */
#include "fleet.h"

#include "loop/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { WARM_UP_MS = 1000, SAMPLES_MAX = 1 << 20 };

struct beats {
	struct fleet *fleet;
	uint64_t next; /* the node that beats next */
	uint64_t sent, answered, failed;
	uint32_t in_flight;
	bool is_over;
	int64_t began_us, ended_us, cpu_us;
	uint64_t answered_before, events_before;
	uint32_t *samples_us; /* round trips */
	size_t n;
};

/* One call in flight. */
struct beat_call {
	struct beats *beats;
	int64_t sent_us;
};

static void send_one(struct beat_call *call);

static void
on_answer(const Boson__Discovery__HeartbeatReply *reply, void *arg)
{
	struct beat_call *call = arg;
	struct beats *beats = call->beats;

	if (reply == NULL)
		beats->failed++;
	else
		beats->answered++;
	if (beats->began_us != 0 && beats->n < SAMPLES_MAX)
		beats->samples_us[beats->n++] = (uint32_t)(clock_monotonic_us() - call->sent_us);
	beats->in_flight--;
	if (!beats->is_over)
		send_one(call);
	else if (beats->in_flight == 0)
		loop_stop(beats->fleet->loop);
}

/* Vitals that move a little, and now and then enough to be told on. */
static void
fill_vitals(const struct beats *beats, Boson__Discovery__NodeMetrics *vitals,
	    Boson__Common__Bandwidth *bandwidth)
{
	bool is_news = beats->sent % 100 < beats->fleet->news_percent;
	uint64_t round = beats->sent / beats->fleet->nodes;

	vitals->has_latency = vitals->has_jitter = vitals->has_packet_loss = 1;
	vitals->has_cpu_usage = vitals->has_memory_usage = vitals->has_active_connections = 1;
	vitals->latency = 20 + (double)(beats->sent % 3);
	vitals->jitter = 1.5;
	vitals->packet_loss = 0.1;
	vitals->cpu_usage = 7.25;
	vitals->memory_usage = 41.5;
	vitals->active_connections = is_news ? (uint32_t)(round % 2) + 1 : 0;
	bandwidth->has_up = bandwidth->has_down = 1;
	bandwidth->up = 12.5;
	bandwidth->down = 80;
	vitals->bandwidth = bandwidth;
}

static void
send_one(struct beat_call *call)
{
	Boson__Discovery__HeartbeatRequest request = BOSON__DISCOVERY__HEARTBEAT_REQUEST__INIT;
	Boson__Discovery__NodeMetrics vitals = BOSON__DISCOVERY__NODE_METRICS__INIT;
	Boson__Common__Bandwidth bandwidth = BOSON__COMMON__BANDWIDTH__INIT;
	Boson__Common__Caller caller = BOSON__COMMON__CALLER__INIT;
	struct beats *beats = call->beats;
	struct fleet_node node;

	fleet_node_init(&node, beats->fleet->first + beats->next);
	beats->next = (beats->next + 1) % beats->fleet->nodes;
	fill_vitals(beats, &vitals, &bandwidth);
	caller.has_role = 1;
	caller.role = BOSON__COMMON__CALLER__ROLE__NODE;
	caller.subject = node.id_text;
	caller.address = "198.51.100.20";
	request.node_id = node.id_text;
	request.metrics = &vitals;
	request.has_status = 1;
	request.status = BOSON__DISCOVERY__HEARTBEAT_REQUEST__STATUS__online;
	request.caller = &caller;
	call->sent_us = clock_monotonic_us();
	beats->sent++;
	beats->in_flight++;
	boson__discovery__discovery__heartbeat(bus_peer_service(beats->fleet->peer), &request,
					       on_answer, call);
}

static void
on_end(struct loop *loop, void *arg)
{
	struct beats *beats = arg;

	(void)loop;
	beats->ended_us = clock_monotonic_us();
	beats->cpu_us = fleet_cpu_us(beats->fleet) - beats->cpu_us;
	beats->answered_before = beats->answered - beats->answered_before;
	beats->is_over = true;
}

static void
on_warm(struct loop *loop, void *arg)
{
	static struct loop_timer *timer;
	struct beats *beats = arg;

	/* What a node says first since discovery started is always news. */
	if (beats->sent < beats->fleet->nodes) {
		(void)loop_timer_start(loop, WARM_UP_MS / 10, 0, on_warm, beats, &timer);
		return;
	}

	beats->began_us = clock_monotonic_us();
	beats->cpu_us = fleet_cpu_us(beats->fleet);
	beats->answered_before = beats->answered;
	beats->events_before = beats->fleet->events_heard;
	(void)loop_timer_start(loop, (int64_t)beats->fleet->seconds * 1000, 0, on_end, beats,
			       &timer);
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
print(const struct beats *beats)
{
	double seconds = (double)(beats->ended_us - beats->began_us) / 1e6;
	double n = (double)beats->answered_before;

	qsort(beats->samples_us, beats->n, sizeof(*beats->samples_us), compare);
	printf("{\"nodes\": %llu, \"heartbeats_per_s\": %.0f, \"cpu_us_per_heartbeat\": %.2f, "
	       "\"core_share\": %.3f, \"heartbeats_per_core_s\": %.0f, \"p50_us\": %u, "
	       "\"p99_us\": %u, \"failed\": %llu, \"events\": %llu, \"rss_bytes\": %lld}\n",
	       (unsigned long long)beats->fleet->nodes, n / seconds, (double)beats->cpu_us / n,
	       (double)beats->cpu_us / 1e6 / seconds, n / ((double)beats->cpu_us / 1e6),
	       beats->n ? beats->samples_us[beats->n / 2] : 0,
	       beats->n ? beats->samples_us[beats->n * 99 / 100] : 0,
	       (unsigned long long)beats->failed,
	       (unsigned long long)(beats->fleet->events_heard - beats->events_before),
	       (long long)fleet_rss_bytes(beats->fleet));
}

int
fleet_beats(struct fleet *fleet)
{
	struct beats beats = { .fleet = fleet };
	struct beat_call *calls = calloc(fleet->window, sizeof(*calls));
	struct loop_timer *timer = NULL;
	int code = 71;

	beats.samples_us = malloc(SAMPLES_MAX * sizeof(*beats.samples_us));
	if (calls != NULL && beats.samples_us != NULL &&
	    loop_timer_start(fleet->loop, WARM_UP_MS, 0, on_warm, &beats, &timer) == 0) {
		for (uint32_t i = 0; i < fleet->window; i++) {
			calls[i].beats = &beats;
			send_one(&calls[i]);
		}
		code = loop_run(fleet->loop) == 0 && beats.answered_before > 0 ? 0 : 70;
	}
	if (code == 0)
		print(&beats);
	free(calls);
	free(beats.samples_us);
	return code;
}
