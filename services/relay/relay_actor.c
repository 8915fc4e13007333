/*
 * relay_actor: starts the threads and the mailbox, in this order, and ends them in the reverse.
 * Hears: the mailbox of proto/relay.proto (relay_handlers), the shards' reports (relay_reports),
 * discovery's NodeChanged (relay_announce), where nodes have their legs (relay_seek).
 * Tells: discovery.AnnounceRelay; LegAttached, LegDetached, NodeDuplicate, RelayLoad, SessionUsage.
 */
#include "relay/relay_actor.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_control.h"
#include "relay/relay_threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SECOND_MS = 1000, OPENS_CHECK_MS = 50 };

uint64_t
relay_control_count(const struct relay_control *control, enum relay_counter which)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < relay_control_threads(control); i++)
		sum += relay_counter_get(&control->shards[i]->counters, which);
	if (control->mesh != NULL)
		sum += relay_counter_get(relay_mesh_counters(control->mesh), which);
	return sum;
}

uint32_t
relay_control_dice(struct relay_control *control, uint32_t n)
{
	control->dice = control->dice * UINT64_C(6364136223846793005) + 1442695040888963407;
	return n > 0 ? (uint32_t)(control->dice >> 33) % n : 0;
}

int
relay_control_command(struct relay_control *control, struct relay_message **message)
{
	unsigned shard = relay_shard_of((*message)->node_id, control->shard_count);
	int r = relay_mailbox_send(&control->shards[shard]->mailbox, message);

	if (r < 0)
		relay_message_free(message);
	return r;
}

int
relay_control_command_all(struct relay_control *control, enum relay_message_kind kind,
			  const uint8_t *session_id, const void *bytes, size_t n)
{
	for (unsigned i = 0; i < control->shard_count; i++) {
		struct relay_message *message = relay_message_new(kind, NULL, n);

		if (message == NULL)
			return -ENOMEM;
		if (session_id != NULL)
			memcpy(message->session_id, session_id, UUID_BYTES);
		if (n > 0)
			memcpy(message->bytes, bytes, n);
		if (relay_mailbox_send(&control->shards[i]->mailbox, &message) < 0) {
			relay_message_free(&message);
			return -EAGAIN;
		}
	}
	return 0;
}

/* ---- every now and then ---- */

static void
fold_histograms(struct relay_control *control)
{
	struct metric *ages =
		metrics_histogram(control->context->metrics, "queue_age_seconds", NULL,
				  "How long what was sent after all had waited for a slow leg");
	struct metric *turns = metrics_histogram(
		control->context->metrics, "loop_lag_seconds", NULL,
		"Turns of a shard's loop: how long what comes meanwhile is not looked at");

	for (unsigned i = 0; i < control->shard_count; i++) {
		struct relay_shard *shard = control->shards[i];

		metric_spread_fold(&shard->queue_ages, &shard->queue_ages_folded, ages);
		metric_spread_fold(&shard->turns, &shard->turns_folded, turns);
	}
}

static void
on_second(struct loop *loop, void *arg)
{
	struct relay_control *control = arg;
	Boson__Relay__RelayLoad event = BOSON__RELAY__RELAY_LOAD__INIT;
	uint64_t sums[RELAY_COUNTER_COUNT];

	(void)loop;
	for (unsigned i = 0; i < RELAY_COUNTER_COUNT; i++)
		sums[i] = relay_control_count(control, i);
	relay_counters_fold(control->context->metrics, sums, control->folded);
	fold_histograms(control);
	relay_tickets_look(&control->tickets, clock_wall_ms());
	relay_load_measure(control, clock_monotonic_us());
	event.relay_id = control->id;
	event.has_legs = event.has_channels = event.has_load = 1;
	event.legs = (uint32_t)(sums[RELAY_LEGS_NODE] + sums[RELAY_LEGS_CLIENT]);
	event.channels = (uint32_t)sums[RELAY_LEGS_CLIENT];
	event.load = control->load.value;
	bus_publish(control->publisher, &event.base);
}

static void
on_opens_check(struct loop *loop, void *arg)
{
	struct relay_control *control = arg;

	if (control->opens.calls.count > 0)
		relay_opens_expire(&control->opens, loop_now_ms(loop));
}

/* ---- start ---- */

static int
start_bus(struct relay_control *control)
{
	const struct actor_context *context = control->context;
	int r = bus_publisher_new(context->bus, actor_event_endpoint(context, "relay"),
				  &control->publisher);

	relay_handlers_init(control);
	if (r == 0)
		r = bus_serve(context->bus, actor_endpoint(context, "relay"),
			      &control->service.base, NULL);
	if (r == 0)
		r = relay_announce_start(control);
	if (r == 0)
		r = relay_seek_start(control);
	return r;
}

static int
start_tls(struct relay_control *control)
{
	const struct relay_settings *settings = &control->settings;
	int r = tls_context_new(settings->certificate, settings->private_key, &control->tls);

	return r < 0 ? r
		     : relay_tickets_start(&control->tickets, control->tls, settings->tls_tickets,
					   control->context->state_dir, settings->tls_ticket_ms);
}

static int
start_all(struct relay_control *control)
{
	const struct relay_settings *settings = &control->settings;
	struct loop *loop = control->context->loop;
	int r = relay_name_load(control);

	if (r == 0)
		r = idtable_init(&control->attached, offsetof(struct relay_attached, by_id),
				 offsetof(struct relay_attached, node_id), UUID_BYTES);
	if (r == 0)
		r = relay_gone_init(&control->deleted);
	if (r == 0)
		r = relay_clones_init(&control->clones);
	if (r == 0)
		r = relay_opens_init(&control->opens);
	if (r == 0)
		r = relay_flows_init(&control->flows);
	if (r == 0)
		r = relay_mailbox_init(&control->reports);
	if (r == 0)
		r = loop_fd_add(loop, control->reports.event_fd, EPOLLIN, relay_reports_on_event,
				control, &control->reports_watch);
	if (r == 0 && *settings->certificate != '\0')
		r = start_tls(control);
	if (r == 0)
		r = relay_threads_start(control);
	if (r == 0)
		r = relay_name_endpoints(control);
	if (r == 0)
		r = start_bus(control);
	if (r == 0)
		r = loop_timer_start(loop, SECOND_MS, SECOND_MS, on_second, control,
				     &control->second_timer);
	if (r == 0)
		r = loop_timer_start(loop, OPENS_CHECK_MS, OPENS_CHECK_MS, on_opens_check, control,
				     &control->opens_timer);
	return r;
}

static void
stop(void *state)
{
	struct relay_control *control = state;
	struct relay_attached *leg;

	if (control->opens_timer != NULL)
		loop_timer_stop(&control->opens_timer);
	if (control->second_timer != NULL)
		loop_timer_stop(&control->second_timer);
	relay_seek_stop(control);
	relay_announce_stop(control);
	relay_threads_end(control);
	if (control->reports_watch != NULL)
		loop_fd_remove(&control->reports_watch);
	if (control->reports.event_fd >= 0)
		relay_mailbox_fini(&control->reports);
	tls_context_free(&control->tls);
	relay_flows_fini(&control->flows);
	relay_opens_fini(&control->opens);
	relay_clones_fini(&control->clones);
	relay_gone_fini(&control->deleted);
	while (control->attached.count > 0 &&
	       (leg = idtable_next(&control->attached, NULL)) != NULL) {
		idtable_remove(&control->attached, leg);
		free(leg);
	}
	idtable_fini(&control->attached);
	free(control);
}

static int
start(const struct actor_context *context, void **ret_state)
{
	struct relay_control *control = calloc(1, sizeof(*control));
	int r;

	if (control == NULL)
		return -ENOMEM;
	control->context = context;
	control->reports.event_fd = -1;
	control->dice = (uint64_t)clock_monotonic_us();
	control->duplicates =
		metrics_counter(context->metrics, "node_duplicates_total", NULL,
				"Nodes whose key seems to be on two hosts, once in five minutes");
	relay_settings_read(context->config, &control->settings);
	r = start_all(control);
	if (r != 0) {
		log_error("relay_start", "reason=\"%s\"", strerror(-r));
		stop(control);
		return r;
	}
	log_info("relay_ready", "id=%s url=%s udp=%s shards=%u tls=%s", control->id,
		 control->public_url, *control->udp_endpoint != '\0' ? control->udp_endpoint : "no",
		 control->shard_count, control->tls != NULL ? "yes" : "no");
	*ret_state = control;
	return 0;
}

static bool
is_ready(const void *state, const char **ret_reason)
{
	const struct relay_control *control = state;

	if (control->is_draining)
		*ret_reason = "draining";
	return !control->is_draining;
}

const struct actor relay_actor = {
	.name = "relay",
	.product = "boson",
	.keys = relay_keys,
	.start = start,
	.is_ready = is_ready,
	.drain = relay_control_end,
	.stop = stop,
	.check = relay_settings_check,
};
