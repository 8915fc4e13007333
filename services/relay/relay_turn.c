/*
 * relay_turn: the loop of a packet thread. One turn: wait, read everything that is ready, send what
 * came of it, then commands, new connections, deadlines, and what has to be closed.
 */
#include "relay/relay_shard.h"

#include "loop/clock.h"
#include "relay/relay_ahead.h"
#include "relay/relay_attach.h"
#include "relay/relay_drops.h"
#include "relay/relay_event.h"
#include "relay/relay_mail.h"
#include "relay/relay_udp.h"
#include "relay/relay_window.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>

enum {
	EVENTS_AT_ONCE = 256,
	UPGRADES_US = 5 * 1000, /* then others may come in */
	REST_NS = 50 * 1000,	/* of 10 us often nothing is left when the sleep would begin */
	USAGE_EVERY_MS = 1000,
	DRAIN_CHECK_MS = 50,
};

/* ---- time ---- */

static void
on_timer(struct relay_timer *timer, void *arg)
{
	struct relay_shard *shard = arg;

	if (timer->kind == RELAY_TIMER_LEG)
		relay_leg_on_timer(shard, (struct relay_leg *)((uintptr_t)timer -
							       offsetof(struct relay_leg, timer)));
	else if (timer->kind == RELAY_TIMER_UDP)
		relay_udp_on_timer(shard);
	else
		relay_attach_on_grace_end(
			shard, (struct relay_node *)((uintptr_t)timer -
						     offsetof(struct relay_node, grace)));
}

static void
check_drain(struct relay_shard *shard)
{
	struct relay_leg *leg;

	if (shard->drain_until_ms == 0 || shard->is_drained)
		return;
	/* Stock apps cannot be told: their legs are served for as long as there is. */
	if (shard->now_ms < shard->drain_until_ms &&
	    (shard->leg_count > 0 || relay_udp_is_used(shard)))
		return;
	if (shard->leg_count > 0 && shard->now_ms < shard->drain_until_ms + RELAY_LINGER_MS) {
		LIST_FOREACH (leg, &shard->legs, of_shard)
			if (relay_leg_is_open(leg))
				relay_leg_doom(shard, leg, WS_CLOSE_RESTART,
					       "draining: relay restarts");
		return;
	}
	struct relay_message *message = relay_message_new(RELAY_DRAINED, NULL, 0);
	if (message == NULL)
		return;
	shard->is_drained = true;
	relay_mail_report(shard, &message);
}

static void
measure(struct relay_shard *shard)
{
	struct timespec used;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) == 0)
		atomic_store_explicit(&shard->busy_us,
				      (uint64_t)used.tv_sec * 1000000 +
					      (uint64_t)used.tv_nsec / 1000,
				      memory_order_relaxed);
}

static void
on_time(struct relay_shard *shard)
{
	struct relay_accept *accept = &shard->accept;

	relay_wheel_advance(&shard->wheel, shard->now_ms, on_timer, shard);
	relay_leg_resume(shard);
	relay_window_resume(shard);
	if (accept->resume_ms != 0 && shard->now_ms >= accept->resume_ms) {
		accept->resume_ms = 0;
		relay_accept_watch(shard, shard->drain_until_ms == 0);
	}
	check_drain(shard);
	if (shard->now_ms >= shard->usage_ms) {
		shard->usage_ms = shard->now_ms + USAGE_EVERY_MS;
		measure(shard);
		relay_attach_report_usage(shard);
	}
}

static int64_t
sooner(int64_t a, int64_t b)
{
	b = b > 0 ? b : 0;
	return a >= 0 && a < b ? a : b;
}

static int
timeout_ms(const struct relay_shard *shard)
{
	int64_t timeout = relay_wheel_timeout_ms(&shard->wheel, shard->now_ms);
	int64_t others = -1;

	if (!LIST_EMPTY(&shard->paused))
		others = shard->resume_ms - shard->now_ms;
	if (!LIST_EMPTY(&shard->paced))
		others = sooner(others, relay_window_paced_ms(shard) - shard->now_ms);
	if (shard->accept.resume_ms != 0)
		others = sooner(others, shard->accept.resume_ms - shard->now_ms);
	if (shard->accept.resume_ms != 0 || shard->unsent != NULL || shard->drain_until_ms != 0)
		others = others >= 0 && others < DRAIN_CHECK_MS ? others : DRAIN_CHECK_MS;
	if (others >= 0 && (timeout < 0 || others < timeout))
		timeout = others;
	else if (!LIST_EMPTY(&shard->paused) && others < 0)
		timeout = 0;
	return (int)timeout;
}

/* ---- the loop ---- */

/* What waits until those that have legs were served. */
struct waiting {
	bool has_mail, has_udp, has_connections;
	unsigned n; /* of connections that are no legs yet */
	struct epoll_event *upgrades[EVENTS_AT_ONCE];
};

static void
on_leg(struct relay_shard *shard, struct epoll_event *event, struct waiting *waiting)
{
	struct relay_leg *leg = event->data.ptr;

	if (leg->state == RELAY_LEG_UPGRADING)
		waiting->upgrades[waiting->n++] = event;
	else
		relay_leg_on_event(shard, leg, event->events);
}

static void
dispatch(struct relay_shard *shard, struct epoll_event *event, struct waiting *waiting)
{
	switch (relay_event_kind(shard, event)) {
	case RELAY_EVENT_MAIL:
		waiting->has_mail = true;
		break;
	case RELAY_EVENT_CONNECTIONS:
		waiting->has_connections = true;
		break;
	case RELAY_EVENT_UDP:
		waiting->has_udp = true;
		break;
	case RELAY_EVENT_LEG:
		on_leg(shard, event, waiting);
		break;
	}
}

/* Linux 6.6 and later may let a shard that is woken wait for the end of a door's slice, some
 * milliseconds: they weigh who had how much of late before they let one thread interrupt another,
 * and look again at the next tick only. Who sleeps, however shortly, lets others go now. */
static void
rest(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = REST_NS }, NULL);
}

/* A door's: thousands come at once after another relay's death. The rest is ready still in the next
 * turn. */
static void
serve_upgrades(struct relay_shard *shard, const struct waiting *waiting)
{
	int64_t end_us = waiting->n > 0 ? clock_monotonic_us() + UPGRADES_US : 0;

	if (waiting->has_connections)
		relay_accept_on_event(shard);
	for (unsigned i = 0; i < waiting->n && clock_monotonic_us() < end_us; i++) {
		relay_leg_on_event(shard, waiting->upgrades[i]->data.ptr,
				   waiting->upgrades[i]->events);
		rest();
	}
}

static void
note_turn(struct relay_shard *shard, int64_t took_us)
{
	metric_spread_add(&shard->turns, (uint64_t)took_us);
	if (took_us > atomic_load_explicit(&shard->lag_us, memory_order_relaxed))
		atomic_store_explicit(&shard->lag_us, (uint32_t)took_us, memory_order_relaxed);
}

int
relay_shard_turn(struct relay_shard *shard)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	struct waiting waiting;
	int64_t start_us;
	int n = relay_wait(&shard->wait, shard->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms(shard),
			   &start_us);

	if (n < 0 && errno != EINTR)
		return -errno;
	shard->now_ms = start_us / 1000;
	waiting.has_mail = waiting.has_udp = waiting.has_connections = false;
	waiting.n = 0;
	for (int i = 0; i < n; i++) {
		relay_ahead(shard, &events[i], n - i);
		dispatch(shard, &events[i], &waiting);
	}
	relay_round_flush(shard);
	if (waiting.has_mail)
		relay_mail_obey(shard);
	if (waiting.has_udp) /* after the mail, in which its session may just be bound */
		relay_udp_on_event(shard);
	relay_round_flush(shard);
	serve_upgrades(shard, &waiting);
	on_time(shard);
	relay_drops_tell(shard);
	/* What is sent may fail, what is closed may be announced: until both are quiet. */
	do {
		relay_round_flush(shard);
	} while (relay_leg_reap(shard) || shard->round.dirty != NULL);
	relay_mesh_flush(shard);
	relay_mail_send_unsent(shard);
	relay_wait_begin(&shard->wait, clock_monotonic_us());
	note_turn(shard, shard->wait.since_us - start_us);
	return 0;
}
