/*
 * relay_window: a window is there while its leg is held up, and only then is the clock asked.
 */
#include "relay/relay_window.h"

#include "loop/clock.h"
#include "queue/leg_way.h"
#include "relay/relay_attach.h"
#include "relay/relay_link.h"
#include "relay/relay_round.h"
#include "relay/relay_shard.h"

#include <stdlib.h>
#include <string.h>

enum { US_PER_MS = 1000 };

void
relay_window_held(struct relay_leg *leg)
{
	int64_t now_us;

	if (leg->window != NULL || leg->state != RELAY_LEG_OPEN)
		return;
	now_us = clock_monotonic_us();
	if (now_us < leg->window_us)
		return;
	struct leg_way way = leg_way_look(leg->fd);
	leg->way_us = way.least_us;
	if (way.is_growing || (leg->window = calloc(1, sizeof(*leg->window))) == NULL)
		return;
	/* Not what the last ping took, which may have stood in a queue. */
	leg_window_expect(leg->window, way.least_us != 0 ? way.least_us : leg->rtt_us, now_us);
	leg_window_start(leg->window, leg_way_unread(leg->fd) + leg->outbox.committed.bytes,
			 now_us);
	leg->ping_us = 0;
}

/* What its window lets go; one that has held nothing up for a while ends. */
static size_t
room_of(struct relay_leg *leg)
{
	size_t room = leg_window_room(leg->window, clock_monotonic_us());

	if (leg->window->is_started)
		return room;
	leg->window_us = leg->window->again_us;
	free(leg->window);
	leg->window = NULL;
	return SIZE_MAX;
}

void
relay_window_look(struct relay_shard *shard, struct relay_leg *leg)
{
	leg->look_ms = shard->now_ms + LEG_WAY_LOOK_EVERY_MS;
	if (leg->window == NULL && leg_way_look(leg->fd).is_queued)
		relay_window_held(leg);
}

bool
relay_window_is_open(struct relay_leg *leg)
{
	size_t room = leg->window != NULL ? room_of(leg) : SIZE_MAX;

	leg->outbox.commit_bytes = 0;
	if (room != SIZE_MAX) {
		size_t step = leg_window_to_mark(leg->window);
		fair_outbox_pace(&leg->outbox, room < step ? room : step);
	}
	return room > 0;
}

bool
relay_window_passes(struct relay_shard *shard, struct relay_leg *leg)
{
	size_t bytes = 0;

	if (leg->window == NULL)
		return true;
	for (uint32_t i = leg->first_piece; i != RELAY_NO_PIECE; i = shard->round.pieces[i].next)
		bytes += shard->round.pieces[i].n;
	if (bytes > room_of(leg))
		return false;
	if (leg->window != NULL)
		leg_window_sent(leg->window, bytes);
	return true;
}

static struct fair_item *
mark_new(struct relay_shard *shard, struct relay_leg *leg, int64_t now_us)
{
	uint8_t frame[WS_HEADER_OUT_MAX_BYTES + LEG_MARK_BYTES];
	size_t header = ws_header_write(frame, WS_OPCODE_PING, LEG_MARK_BYTES);

	leg_window_mark(leg->window, now_us, frame + header);
	return fair_item_new(frame, header + LEG_MARK_BYTES, shard->now_ms);
}

void
relay_window_committed(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->window == NULL || !relay_leg_is_open(leg))
		return;
	int64_t now_us = clock_monotonic_us();
	leg_window_sent(leg->window, leg->outbox.committed.bytes);
	if (!leg_window_wants_mark(leg->window, now_us))
		return;
	struct fair_item *mark = mark_new(shard, leg, now_us);
	if (mark != NULL) /* else it is one that was lost */
		fair_list_push(&leg->outbox.committed, mark);
}

void
relay_window_ping(struct relay_shard *shard, struct relay_leg *leg)
{
	uint8_t payload[LEG_MARK_BYTES];

	leg->is_rtt_due = true;
	if (leg->window != NULL) {
		leg_window_mark(leg->window, clock_monotonic_us(), payload);
	} else {
		leg->ping_us = (uint64_t)clock_monotonic_us();
		memcpy(payload, &leg->ping_us, sizeof(payload));
	}
	relay_link_send_frame(shard, leg, WS_OPCODE_PING, payload, sizeof(payload));
}

static void
report(struct relay_shard *shard, struct relay_leg *leg, uint32_t rtt_us)
{
	uint32_t before = leg->rtt_us, change = rtt_us > before ? rtt_us - before : before - rtt_us;

	leg->is_rtt_due = false;
	leg->rtt_us = rtt_us;
	if (leg->node != NULL && change > before / 5)
		relay_attach_report_rtt(shard, leg);
}

/* The answer to the ping of a leg without a window. */
static void
on_plain_pong(struct relay_shard *shard, struct relay_leg *leg, const struct ws_event *event)
{
	uint64_t sent_us, now_us = (uint64_t)clock_monotonic_us();

	if (event->n != sizeof(sent_us) || leg->ping_us == 0)
		return;
	memcpy(&sent_us, event->payload, sizeof(sent_us));
	if (sent_us != leg->ping_us)
		return;
	leg->ping_us = 0;
	uint64_t rtt_us = now_us - sent_us;
	report(shard, leg, rtt_us < UINT32_MAX ? (uint32_t)rtt_us + 1 : UINT32_MAX);
}

void
relay_window_on_pong(struct relay_shard *shard, struct relay_leg *leg, const struct ws_event *event)
{
	if (leg->window == NULL)
		return on_plain_pong(shard, leg, event);
	if (!leg_window_on_pong(leg->window, event->payload, event->n, clock_monotonic_us()))
		return;
	if (leg->is_rtt_due)
		report(shard, leg, leg->window->delay_us);
	if (!fair_outbox_is_empty(&leg->outbox))
		relay_round_mark(shard, leg); /* there may be room now */
}

int64_t
relay_window_deadline_ms(const struct relay_leg *leg)
{
	if (!leg->is_held || leg->window == NULL)
		return INT64_MAX;
	int64_t us = leg_window_deadline_us(leg->window);
	return us == INT64_MAX ? us : us / US_PER_MS + 1;
}

void
relay_window_pace(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->is_paced || leg->window == NULL || !leg_window_is_paced(leg->window))
		return;
	if (LIST_EMPTY(&shard->paced))
		shard->paced_ms = shard->now_ms + 1;
	LIST_INSERT_HEAD(&shard->paced, leg, paced);
	leg->is_paced = true;
}

int64_t
relay_window_paced_ms(const struct relay_shard *shard)
{
	return !LIST_EMPTY(&shard->paced) ? shard->paced_ms : INT64_MAX;
}

void
relay_window_resume(struct relay_shard *shard)
{
	if (shard->now_ms < relay_window_paced_ms(shard))
		return;
	while (!LIST_EMPTY(&shard->paced)) {
		struct relay_leg *leg = LIST_FIRST(&shard->paced);

		relay_window_leave(leg);
		relay_round_mark(shard, leg);
	}
}

void
relay_window_leave(struct relay_leg *leg)
{
	if (!leg->is_paced)
		return;
	LIST_REMOVE(leg, paced);
	leg->is_paced = false;
}
