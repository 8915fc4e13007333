/*
 * relay_output: plain legs send their pieces as they lie in the arena, with one call; TLS legs go
 * by way of relay_output_tls. Either way a frame that has begun is finished before anything else is
 * sent.
 */
#include "relay/relay_output.h"

#include "relay/relay_drops.h"
#include "relay/relay_output_tls.h"
#include "relay/relay_shard.h"
#include "relay/relay_window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

void
relay_output_account(struct relay_shard *shard, struct relay_leg *leg)
{
	uint32_t bytes = fair_outbox_bytes(&leg->outbox);

	if (bytes == leg->accounted)
		return;
	shard->queued_bytes += bytes;
	shard->queued_bytes -= leg->accounted;
	relay_count(&shard->counters, RELAY_QUEUED_BYTES, (uint64_t)bytes - leg->accounted);
	leg->accounted = bytes;
}

void
relay_output_clear_lane(struct relay_shard *shard, struct relay_leg *leg, struct relay_lane *lane)
{
	fair_lane_clear(&lane->fair, relay_drops_count, shard);
	relay_output_account(shard, leg);
}

static void
block(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->is_blocked)
		return;
	leg->is_blocked = true;
	leg->is_held = false;
	relay_stall_begin(shard, leg);
	relay_window_held(leg);
	relay_leg_watch(shard, leg);
	relay_leg_arm(shard, leg);
}

/* Bytes taken; 0: the socket is full; -1: the leg is lost. */
static ssize_t
send_iovecs(struct relay_shard *shard, struct relay_leg *leg, struct iovec *iovecs, size_t n)
{
	struct msghdr message = { .msg_iov = iovecs, .msg_iovlen = n };
	ssize_t sent;

	do {
		sent = n == 1 ? send(leg->fd, iovecs->iov_base, iovecs->iov_len,
				     MSG_NOSIGNAL | MSG_DONTWAIT)
			      : sendmsg(leg->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return sent;
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return 0;
	relay_leg_doom(shard, leg, 0, "connection is lost");
	return -1;
}

static void
keep(struct relay_shard *shard, struct relay_leg *leg, struct fair_list *list, const uint8_t *bytes,
     size_t n)
{
	struct fair_item *item = fair_item_new(bytes, n, shard->now_ms);

	if (item != NULL)
		fair_list_push(list, item);
	else
		relay_leg_doom(shard, leg, 0, "out of memory"); /* its stream has a hole */
}

/* Sends what is committed. True: all of it went. */
static bool
send_committed(struct relay_shard *shard, struct relay_leg *leg)
{
	struct iovec iovecs[64];

	while (leg->outbox.committed.head != NULL) {
		size_t n = 0, bytes = 0;
		uint32_t skip = leg->outbox.sent;

		for (struct fair_item *item = leg->outbox.committed.head;
		     item != NULL && n < sizeof(iovecs) / sizeof(iovecs[0]); item = item->next) {
			iovecs[n].iov_base = item->bytes + skip;
			iovecs[n].iov_len = item->n - skip;
			bytes += iovecs[n++].iov_len;
			skip = 0;
		}
		ssize_t sent = send_iovecs(shard, leg, iovecs, n);
		if (sent < 0)
			return false;
		fair_outbox_sent(&leg->outbox, (size_t)sent);
		if ((size_t)sent < bytes) {
			block(shard, leg);
			return false;
		}
	}
	return true;
}

void
relay_output_wire(struct relay_shard *shard, struct relay_leg *leg, const uint8_t *bytes, size_t n)
{
	struct iovec iovec = { (void *)(uintptr_t)bytes, n };

	if (n == 0 || leg->state == RELAY_LEG_DOOMED)
		return;
	if (leg->outbox.committed.head == NULL && !leg->is_blocked) {
		ssize_t sent = send_iovecs(shard, leg, &iovec, 1);
		if (sent < 0 || (size_t)sent == n)
			return;
		bytes += sent;
		n -= (size_t)sent;
	}
	keep(shard, leg, &leg->outbox.committed, bytes, n);
	relay_output_account(shard, leg);
	block(shard, leg);
}

/* ---- what waits ---- */

/* What may go now, goes to committed. False: nothing may, or nothing waits. */
static bool
commit(struct relay_shard *shard, struct relay_leg *leg)
{
	struct fair_limits limits = relay_drops_limits(shard);

	limits.age_ms += relay_window_least_ms(leg);
	if (relay_window_is_open(leg))
		fair_outbox_commit(&leg->outbox, &limits, shard->now_ms, relay_drops_count, shard);
	relay_window_committed(shard, leg);
	return leg->outbox.committed.head != NULL;
}

/* The window is closed, but the socket is not full: a pong opens it, or time does. */
static void
hold(struct relay_shard *shard, struct relay_leg *leg)
{
	relay_stall_begin(shard, leg);
	relay_window_pace(shard, leg);
	if (leg->is_held)
		return;
	leg->is_held = true;
	relay_leg_arm(shard, leg);
}

/* True: nothing waits any more. */
static bool
send_waiting(struct relay_shard *shard, struct relay_leg *leg)
{
	while (leg->window != NULL || !fair_outbox_is_empty(&leg->outbox)) {
		if (!send_committed(shard, leg))
			return false;
		if (!commit(shard, leg))
			break;
		if (leg->tls != NULL && !relay_output_encrypt_waiting(shard, leg))
			return false;
	}
	if (!fair_outbox_is_empty(&leg->outbox)) {
		hold(shard, leg);
		return false;
	}
	leg->is_held = false;
	relay_stall_end(leg);
	return true;
}

/* ---- this round's pieces ---- */

static void
keep_frame(struct relay_shard *shard, struct relay_leg *leg, struct relay_lane *lane,
	   const uint8_t *frame, size_t n)
{
	struct fair_limits limits = relay_drops_limits(shard);
	struct fair_item *item =
		relay_drops_make_room(shard, n) ? fair_item_new(frame, n, shard->now_ms) : NULL;

	if (item == NULL) {
		uint32_t lost = relay_drops_datagrams(lane, frame);

		relay_count(&shard->counters, RELAY_DROP_MEMORY, lost);
		relay_drops_note(shard, lane, BOSON__LINK__LIMITED__REASON__MEMORY, lost, 0);
		return;
	}
	fair_lane_push(&leg->outbox, &lane->fair, item, &limits, relay_drops_count, shard);
	relay_output_account(shard, leg);
}

/* A copy of each frame goes to its lane; of one that was cut, the rest must be next. */
static void
keep_frames(struct relay_shard *shard, struct relay_leg *leg, const struct relay_piece *piece,
	    size_t sent)
{
	const uint8_t *at = piece->bytes, *end = at + piece->n, *cut = at + sent;

	while (at < end) {
		const uint8_t *frame = at;
		size_t n = ws_frame_bytes(frame);

		at += n;
		if (at <= cut)
			continue;
		if (frame < cut)
			keep(shard, leg, &leg->outbox.committed, cut, (size_t)(at - cut));
		else
			keep_frame(shard, leg, piece->lane, frame, n);
	}
}

void
relay_output_keep(struct relay_shard *shard, struct relay_leg *leg, uint32_t i, size_t sent)
{
	for (; i != RELAY_NO_PIECE; i = shard->round.pieces[i].next) {
		const struct relay_piece *piece = &shard->round.pieces[i];
		size_t part = sent < piece->n ? sent : piece->n;

		sent -= part;
		if (part < piece->n)
			keep_frames(shard, leg, piece, part);
	}
}

static void
send_pieces(struct relay_shard *shard, struct relay_leg *leg)
{
	struct iovec iovecs[RELAY_IOVECS_MAX];
	uint32_t i = leg->first_piece;

	while (i != RELAY_NO_PIECE) {
		uint32_t first = i;
		size_t n = 0, bytes = 0;

		for (; i != RELAY_NO_PIECE && n < RELAY_IOVECS_MAX;
		     i = shard->round.pieces[i].next) {
			const struct relay_piece *piece = &shard->round.pieces[i];

			iovecs[n].iov_base = (void *)(uintptr_t)piece->bytes;
			iovecs[n++].iov_len = piece->n;
			bytes += piece->n;
		}
		ssize_t sent = send_iovecs(shard, leg, iovecs, n);
		if (sent < 0)
			return;
		if ((size_t)sent < bytes) {
			relay_output_keep(shard, leg, first, (size_t)sent);
			block(shard, leg);
			return;
		}
	}
}

static void
drop_pieces(struct relay_shard *shard, struct relay_leg *leg)
{
	for (uint32_t i = leg->first_piece; i != RELAY_NO_PIECE; i = shard->round.pieces[i].next) {
		const struct relay_piece *piece = &shard->round.pieces[i];

		for (size_t at = 0; at < piece->n; at += ws_frame_bytes(piece->bytes + at))
			relay_count(&shard->counters, RELAY_DROP_LEG_GONE,
				    relay_drops_datagrams(piece->lane, piece->bytes + at));
	}
}

/* Nothing waits in front of them. */
static void
send_round(struct relay_shard *shard, struct relay_leg *leg)
{
	if (!relay_window_passes(shard, leg)) {
		relay_output_keep(shard, leg, leg->first_piece, 0);
		send_waiting(shard, leg);
		return;
	}
	if (leg->tls != NULL)
		relay_output_encrypt_pieces(shard, leg);
	else
		send_pieces(shard, leg);
	if (leg->window != NULL && !leg->is_blocked && relay_leg_is_open(leg))
		send_waiting(shard, leg); /* a mark, perhaps */
	else if (shard->now_ms >= leg->look_ms)
		relay_window_look(shard, leg);
}

/* Where something waits, pieces wait too before any of it goes: else it would use up what may go
 * now, and who sends little would come behind it. */
static void
take_turns(struct relay_shard *shard, struct relay_leg *leg)
{
	if (leg->outbox.lane_items == 0 || !relay_leg_is_open(leg))
		return;
	relay_output_keep(shard, leg, leg->first_piece, 0);
	leg->first_piece = RELAY_NO_PIECE;
}

void
relay_output_flush(struct relay_shard *shard, struct relay_leg *leg)
{
	bool is_clear = false;

	if (leg->carrier != NULL) {
		leg->carrier->flush(shard, leg);
		relay_output_account(shard, leg);
		return;
	}
	take_turns(shard, leg);
	if (leg->state == RELAY_LEG_OPEN || leg->state == RELAY_LEG_LINGERING)
		is_clear = !leg->is_blocked && send_waiting(shard, leg);
	if (!relay_leg_is_open(leg))
		drop_pieces(shard, leg);
	else if (!is_clear)
		relay_output_keep(shard, leg, leg->first_piece, 0);
	else if (leg->first_piece != RELAY_NO_PIECE)
		send_round(shard, leg);
	relay_output_account(shard, leg);
}

void
relay_output_on_writable(struct relay_shard *shard, struct relay_leg *leg)
{
	if (!leg->is_blocked)
		return;
	leg->is_blocked = false;
	send_waiting(shard, leg);
	if (!leg->is_blocked)
		relay_leg_watch(shard, leg);
	relay_output_account(shard, leg);
}
