/*
 * relay_leg: from accept to close. What is read goes through relay_receive, what is sent through
 * relay_output.
 */
#include "relay/relay_leg.h"

#include "log/log.h"
#include "relay/relay_attach.h"
#include "relay/relay_output.h"
#include "relay/relay_shard.h"
#include "relay/relay_upgrade.h"
#include "relay/relay_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct relay_leg *
relay_leg_new(struct relay_shard *shard, int fd)
{
	struct relay_leg *leg = calloc(1, sizeof(*leg));

	if (leg == NULL) {
		close(fd);
		return NULL;
	}
	leg->fd = fd;
	leg->state = RELAY_LEG_UPGRADING;
	leg->first_piece = leg->last_piece = RELAY_NO_PIECE;
	leg->timer.kind = RELAY_TIMER_LEG;
	leg->reader.pings_most = RELAY_PINGS_PER_SECOND;
	if (shard->tls != NULL)
		leg->tls = tls_channel_new(shard->tls);
	if ((shard->tls != NULL && leg->tls == NULL) || relay_upgrade_start(shard, leg) < 0)
		relay_leg_free(&leg);
	return leg;
}

struct relay_leg *
relay_leg_new_carried(const struct relay_carrier *carrier, void *carried)
{
	struct relay_leg *leg = calloc(1, sizeof(*leg));

	if (leg == NULL)
		return NULL;
	leg->fd = -1;
	leg->state = RELAY_LEG_OPEN;
	leg->first_piece = leg->last_piece = RELAY_NO_PIECE;
	leg->carrier = carrier;
	leg->carried = carried;
	return leg;
}

void
relay_leg_free(struct relay_leg **leg)
{
	struct relay_leg *l = *leg;

	*leg = NULL;
	if (l->fd >= 0)
		close(l->fd);
	tls_channel_free(&l->tls);
	free(l->window);
	ws_reader_fini(&l->reader);
	fair_outbox_fini(&l->outbox);
	relay_upgrade_free(&l->upgrade);
	free(l->tail);
	free(l);
}

static uint32_t
events_of(const struct relay_leg *leg)
{
	return (leg->is_paused ? 0U : (uint32_t)EPOLLIN) |
	       (leg->is_blocked ? (uint32_t)EPOLLOUT : 0U);
}

static void
unpause(struct relay_leg *leg)
{
	if (!leg->is_paused)
		return;
	LIST_REMOVE(leg, paused);
	leg->is_paused = false;
}

int
relay_leg_enter(struct relay_shard *shard, struct relay_leg *leg)
{
	struct epoll_event event = { .events = events_of(leg), .data.ptr = leg };

	leg->outbox.ledger = &shard->ledger;
	leg->watched = event.events;
	if (epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, leg->fd, &event) < 0)
		return -errno;
	LIST_INSERT_HEAD(&shard->legs, leg, of_shard);
	shard->leg_count++;
	leg->heard_ms = shard->now_ms;
	relay_output_account(shard, leg);
	relay_leg_arm(shard, leg);
	return 0;
}

void
relay_leg_leave(struct relay_shard *shard, struct relay_leg *leg)
{
	epoll_ctl(shard->epoll_fd, EPOLL_CTL_DEL, leg->fd, NULL);
	if (leg->upgrade != NULL)
		relay_places_put(leg->upgrade);
	relay_timer_stop(&shard->wheel, &leg->timer);
	LIST_REMOVE(leg, of_shard);
	shard->leg_count--;
	unpause(leg);
	relay_window_leave(leg);
	shard->queued_bytes -= leg->accounted;
	relay_count(&shard->counters, RELAY_QUEUED_BYTES, -(uint64_t)leg->accounted);
	leg->accounted = 0;
	shard->held_bytes -= leg->held;
	relay_count(&shard->counters, RELAY_HELD_BYTES, -(uint64_t)leg->held);
	leg->held = 0;
}

void
relay_leg_watch(struct relay_shard *shard, struct relay_leg *leg)
{
	struct epoll_event event = { .events = events_of(leg), .data.ptr = leg };

	if (event.events == leg->watched)
		return;
	leg->watched = event.events;
	if (epoll_ctl(shard->epoll_fd, EPOLL_CTL_MOD, leg->fd, &event) < 0)
		relay_leg_doom(shard, leg, 0, "cannot be watched");
}

void
relay_leg_doom(struct relay_shard *shard, struct relay_leg *leg, uint16_t code, const char *reason)
{
	if (leg->state == RELAY_LEG_DOOMED)
		return;
	leg->lingers = leg->state == RELAY_LEG_OPEN	   ? code != 0
		       : leg->state == RELAY_LEG_UPGRADING ? leg->has_answered
							   : false;
	leg->close_code = leg->state == RELAY_LEG_OPEN ? code : 0;
	leg->close_reason = reason;
	leg->state = RELAY_LEG_DOOMED;
	leg->next_doomed = shard->doomed;
	shard->doomed = leg;
}

void
relay_leg_pause(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->is_paused || !relay_leg_is_open(leg) || leg->carrier != NULL)
		return;
	if (LIST_EMPTY(&shard->paused) || leg->resume_ms < shard->resume_ms)
		shard->resume_ms = leg->resume_ms;
	LIST_INSERT_HEAD(&shard->paused, leg, paused);
	leg->is_paused = true;
	relay_leg_watch(shard, leg);
}

static void
resume_reading(struct relay_shard *shard, struct relay_leg *leg)
{
	if (!leg->is_paused)
		return;
	unpause(leg);
	relay_leg_watch(shard, leg);
}

void
relay_leg_resume(struct relay_shard *shard)
{
	struct relay_leg *next;

	if (LIST_EMPTY(&shard->paused) || shard->now_ms < shard->resume_ms)
		return;
	shard->resume_ms = INT64_MAX;
	for (struct relay_leg *leg = LIST_FIRST(&shard->paused); leg != NULL; leg = next) {
		next = LIST_NEXT(leg, paused);
		if (leg->resume_ms <= shard->now_ms)
			resume_reading(shard, leg);
		else if (leg->resume_ms < shard->resume_ms)
			shard->resume_ms = leg->resume_ms;
	}
}

/* Says goodbye and waits for the peer to close first: a close() with unread input would reset the
 * connection and take our last words with it. */
static void
linger(struct relay_shard *shard, struct relay_leg *leg)
{
	uint8_t frame[2 + WS_CONTROL_MAX_BYTES];

	leg->state = RELAY_LEG_LINGERING;
	leg->ping_ms = shard->now_ms + RELAY_LINGER_MS;
	resume_reading(shard, leg);
	fair_list_clear(&leg->outbox.control);
	if (leg->close_code != 0)
		relay_output_say(shard, leg, frame,
				 ws_close_write(frame, leg->close_code, leg->close_reason));
	relay_output_goodbye(shard, leg);
	if (!leg->is_blocked)
		shutdown(leg->fd, SHUT_WR);
	relay_output_account(shard, leg);
	relay_leg_arm(shard, leg);
}

static void
end_carried(struct relay_shard *shard, struct relay_leg *leg)
{
	leg->carrier->end(shard, leg);
	shard->queued_bytes -= leg->accounted;
	relay_count(&shard->counters, RELAY_QUEUED_BYTES, -(uint64_t)leg->accounted);
	relay_leg_free(&leg);
}

bool
relay_leg_reap(struct relay_shard *shard)
{
	bool any = shard->doomed != NULL;

	while (shard->doomed != NULL) {
		struct relay_leg *leg = shard->doomed;

		shard->doomed = leg->next_doomed;
		log_debug("leg_closed", "code=%u reason=\"%s\"", leg->close_code,
			  leg->close_reason);
		relay_detach(shard, leg);
		if (leg->is_dirty)
			relay_round_flush(shard);
		if (leg->carrier != NULL) {
			end_carried(shard, leg);
			continue;
		}
		if (leg->lingers) {
			linger(shard, leg); /* may put it on the list again */
			continue;
		}
		relay_leg_leave(shard, leg);
		relay_leg_free(&leg);
	}
	return any;
}
