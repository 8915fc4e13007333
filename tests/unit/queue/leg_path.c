/*
 * leg_path: in steps of some microseconds: who may send sends, the narrow place moves what its
 * rate allows, readers read, pongs come back.
 */
#include "leg_path.h"

#include <stdlib.h>
#include <string.h>

enum {
	PACKET_BYTES = 1448,
	MODEST_BYTES = 300,
	SOCKET_BYTES = 256 * 1024,
	WAITS_MAX = 1 << 16,
};

static void
push(struct leg_path_queue *queue, const struct leg_path_item *item)
{
	if (queue->first > 0 && queue->first + queue->count == queue->capacity) {
		memmove(queue->items, queue->items + queue->first,
			queue->count * sizeof(*queue->items));
		queue->first = 0;
	}
	if (queue->count == queue->capacity) {
		queue->capacity = queue->capacity == 0 ? 64 : 2 * queue->capacity;
		queue->items = realloc(queue->items, queue->capacity * sizeof(*queue->items));
		if (queue->items == NULL)
			abort();
	}
	queue->items[queue->first + queue->count++] = *item;
	queue->bytes += item->n;
}

static const struct leg_path_item *
peek(const struct leg_path_queue *queue)
{
	return queue->count == 0 ? NULL : &queue->items[queue->first];
}

static struct leg_path_item
pop(struct leg_path_queue *queue)
{
	struct leg_path_item item = queue->items[queue->first++];

	queue->count--;
	queue->bytes -= item.n;
	if (queue->count == 0)
		queue->first = 0;
	return item;
}

double
leg_path_dice(struct leg_path *path)
{
	path->dice ^= path->dice << 13;
	path->dice ^= path->dice >> 7;
	path->dice ^= path->dice << 17;
	return (double)(path->dice >> 11) / (double)(UINT64_C(1) << 53);
}

void
leg_path_init(struct leg_path *path, uint64_t rate, int64_t delay_us)
{
	*path = (struct leg_path){ .rate = rate,
				   .delay_us = delay_us,
				   .socket_bytes = SOCKET_BYTES,
				   .dice = 88172645463325252U };
	path->flows[0].is_on = true;
}

void
leg_path_fini(struct leg_path *path)
{
	free(path->narrow.items);
	for (unsigned i = 0; i < LEG_PATH_FLOWS_MAX; i++) {
		free(path->flows[i].transit.items);
		free(path->flows[i].pongs.items);
		free(path->flows[i].socket.items);
		free(path->flows[i].acks.items);
		free(path->flows[i].modest.us);
	}
	free(path->others.us);
}

void
leg_path_has_tcp(struct leg_path *path, struct leg_path_flow *flow)
{
	flow->has_tcp = true;
	leg_path_tcp_init(&flow->tcp, path->delay_us);
	leg_window_expect(&flow->window, leg_path_tcp_way(&flow->tcp).least_us, path->now_us);
}

static void
put(struct leg_path *path, unsigned i, struct leg_path_item item)
{
	struct leg_path_flow *flow = &path->flows[i];

	item.flow = i;
	item.sent_us = path->now_us;
	flow->waiting += item.n;
	if (!flow->has_tcp) {
		push(&path->narrow, &item);
		return;
	}
	flow->tcp.unsent += item.n;
	push(&flow->socket, &item);
}

static void
run_tcp(struct leg_path *path, struct leg_path_flow *flow)
{
	while (flow->acks.count > 0 && peek(&flow->acks)->due_us <= path->now_us) {
		struct leg_path_item ack = pop(&flow->acks);

		leg_path_tcp_acked(&flow->tcp, ack.n, path->now_us - ack.left_us);
	}
	while (flow->socket.count > 0 && leg_path_tcp_send(&flow->tcp, peek(&flow->socket)->n)) {
		struct leg_path_item item = pop(&flow->socket);

		item.left_us = path->now_us;
		push(&path->narrow, &item);
	}
}

static bool
is_full(const struct leg_path *path, const struct leg_path_flow *flow)
{
	return flow->has_tcp ? leg_path_tcp_is_full(&flow->tcp, PACKET_BYTES)
			     : flow->waiting + PACKET_BYTES > path->socket_bytes;
}

/* As legs do (shared/leg/leg_send.c). */
static void
start_window(struct leg_path *path, struct leg_path_flow *flow)
{
	if (leg_window_may_start(&flow->window, path->now_us) &&
	    !(flow->has_tcp && leg_path_tcp_way(&flow->tcp).is_growing))
		leg_window_start(&flow->window, flow->waiting + flow->transit.bytes, path->now_us);
}

static void
mark_if_due(struct leg_path *path, unsigned i)
{
	struct leg_path_flow *flow = &path->flows[i];
	struct leg_path_item mark = { .n = LEG_MARK_FRAME_BYTES, .is_mark = true };

	while (leg_window_wants_mark(&flow->window, path->now_us)) {
		leg_window_mark(&flow->window, path->now_us, mark.payload);
		put(path, i, mark);
		flow->marks++;
	}
}

static int64_t
about(struct leg_path *path, int64_t us)
{
	return (int64_t)((0.5 + leg_path_dice(path)) * (double)us);
}

/* Small packets of others: what a home's line carries beside the leg. */
static void
put_others(struct leg_path *path)
{
	struct leg_path_item item = { .n = path->others_bytes,
				      .is_others = true,
				      .sent_us = path->now_us };

	if (path->others_every_us == 0 || path->now_us < path->others_due_us)
		return;
	push(&path->narrow, &item);
	path->others_due_us = path->now_us + about(path, path->others_every_us);
}

/* The modest one's turn comes before the greedy one's. */
static bool
put_modest(struct leg_path *path, unsigned i)
{
	struct leg_path_flow *flow = &path->flows[i];
	int64_t offered_us = flow->modest_due_us;

	if (flow->modest_every_us == 0 || path->now_us < offered_us)
		return false;
	put(path, i,
	    (struct leg_path_item){
		    .n = MODEST_BYTES, .is_modest = true, .offered_us = offered_us });
	flow->modest_due_us += about(path, flow->modest_every_us);
	if (flow->window.is_started)
		leg_window_sent(&flow->window, MODEST_BYTES);
	return true;
}

static void
send_some(struct leg_path *path, unsigned i)
{
	struct leg_path_flow *flow = &path->flows[i];

	flow->offered += flow->offered_rate * LEG_PATH_STEP_US;
	if (path->now_us < flow->look_us)
		return;
	flow->look_us = path->now_us + flow->look_every_us;
	for (;;) {
		if (flow->offered_rate != 0 &&
		    (flow->sent + PACKET_BYTES) * 1000 * 1000 > flow->offered)
			break;
		if (is_full(path, flow)) {
			start_window(path, flow);
			break;
		}
		if (leg_window_room(&flow->window, path->now_us) == 0)
			break;
		if (put_modest(path, i)) {
			if (!flow->is_batched)
				mark_if_due(path, i);
			continue;
		}
		put(path, i, (struct leg_path_item){ .n = PACKET_BYTES });
		if (flow->window.is_started)
			leg_window_sent(&flow->window, PACKET_BYTES);
		flow->sent += PACKET_BYTES;
		if (!flow->is_batched)
			mark_if_due(path, i);
	}
	mark_if_due(path, i);
}

static void
note_wait(struct leg_path_waits *waits, int64_t us)
{
	if (waits->us == NULL && (waits->us = malloc(WAITS_MAX * sizeof(*waits->us))) == NULL)
		abort();
	if (waits->n < WAITS_MAX)
		waits->us[waits->n++] = (uint32_t)us;
}

/* A lost packet comes a round trip later, and what is behind it waits for it. */
static void
move(struct leg_path *path)
{
	path->credit += (double)path->rate * LEG_PATH_STEP_US / 1e6;
	while (path->narrow.count > 0 && path->credit >= peek(&path->narrow)->n) {
		struct leg_path_item item = pop(&path->narrow);
		struct leg_path_flow *flow = &path->flows[item.flow];
		bool is_lost = leg_path_dice(path) < path->loss;

		path->credit -= item.n;
		if (item.is_others) {
			note_wait(&path->others, path->now_us - item.sent_us);
			continue;
		}
		flow->waiting -= item.n;
		item.due_us = path->now_us + path->delay_us / 2 +
			      (is_lost ? path->now_us - item.sent_us + path->delay_us : 0);
		if (item.due_us < flow->last_due_us)
			item.due_us = flow->last_due_us;
		flow->last_due_us = item.due_us;
		push(&flow->transit, &item);
		item.due_us += path->delay_us / 2;
		if (flow->has_tcp)
			push(&flow->acks, &item);
	}
	if (path->narrow.count == 0 && path->credit > path->burst_bytes)
		path->credit = path->burst_bytes;
}

/* As libwebsockets: while one ping is to be answered, others are not. */
static void
read_some(struct leg_path *path, struct leg_path_flow *flow)
{
	struct leg_path_item pong = { .n = 0 };

	if (path->now_us < flow->paused_until_us || path->now_us < flow->read_due_us)
		return;
	flow->read_due_us = path->now_us + about(path, path->read_every_us);
	while (flow->transit.count > 0 && peek(&flow->transit)->due_us <= path->now_us) {
		struct leg_path_item item = pop(&flow->transit);
		uint32_t delay_us = (uint32_t)(path->now_us - item.sent_us);

		if (item.is_mark) {
			if (!pong.is_mark || !path->keeps_first)
				pong = item;
			continue;
		}
		flow->read += item.n;
		if (item.is_modest) {
			note_wait(&flow->modest, path->now_us - item.offered_us);
			continue;
		}
		flow->delay_sum_us += delay_us;
		flow->delays++;
		if (delay_us > flow->delay_most_us)
			flow->delay_most_us = delay_us;
	}
	if (!pong.is_mark || flow->is_mute || leg_path_dice(path) < path->pong_loss)
		return;
	pong.due_us = path->now_us + path->delay_us / 2 +
		      (int64_t)(path->jitter_us * leg_path_dice(path));
	if (pong.due_us < flow->pong_due_us)
		pong.due_us = flow->pong_due_us;
	flow->pong_due_us = pong.due_us;
	push(&flow->pongs, &pong);
}

static void
hear(struct leg_path *path, struct leg_path_flow *flow)
{
	while (flow->pongs.count > 0 && peek(&flow->pongs)->due_us <= path->now_us) {
		struct leg_path_item pong = pop(&flow->pongs);

		flow->look_us = path->now_us;
		leg_window_on_pong(&flow->window, pong.payload, sizeof(pong.payload), path->now_us);
	}
}

static void
begin(struct leg_path *path, struct leg_path_flow *flow)
{
	flow->read = flow->delay_sum_us = flow->delays = flow->marks = 0;
	flow->delay_most_us = 0;
	flow->modest.n = 0;
	if (flow->modest_due_us == 0)
		flow->modest_due_us = path->now_us;
}

/* All readers are on one machine, or all senders. */
static void
hiccup(struct leg_path *path)
{
	if (path->hiccup_every_us == 0 || path->now_us < path->hiccup_due_us)
		return;
	path->hiccup_due_us = path->now_us + about(path, path->hiccup_every_us);
	int64_t us = about(path, path->hiccup_us);
	for (unsigned i = 0; i < LEG_PATH_FLOWS_MAX; i++)
		if (path->are_senders_away)
			path->flows[i].away_until_us = path->now_us + us;
		else
			path->flows[i].paused_until_us = path->now_us + us;
}

void
leg_path_run(struct leg_path *path, int64_t us)
{
	int64_t end_us = path->now_us + us;

	path->others.n = 0;
	for (unsigned i = 0; i < LEG_PATH_FLOWS_MAX; i++)
		begin(path, &path->flows[i]);
	for (; path->now_us < end_us; path->now_us += LEG_PATH_STEP_US) {
		for (unsigned i = 0; i < LEG_PATH_FLOWS_MAX; i++)
			if (path->flows[i].is_on && path->now_us >= path->flows[i].away_until_us)
				send_some(path, i);
		for (unsigned i = 0; i < LEG_PATH_FLOWS_MAX; i++)
			run_tcp(path, &path->flows[i]);
		put_others(path);
		move(path);
		hiccup(path);
		for (unsigned i = 0; i < LEG_PATH_FLOWS_MAX; i++) {
			read_some(path, &path->flows[i]);
			if (path->now_us >= path->flows[i].away_until_us)
				hear(path, &path->flows[i]);
		}
	}
}

double
leg_path_mean_delay_us(const struct leg_path_flow *flow)
{
	return flow->delays == 0 ? 0 : (double)flow->delay_sum_us / (double)flow->delays;
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

uint32_t
leg_path_wait_us(struct leg_path_waits *waits, double part)
{
	if (waits->n == 0)
		return 0;
	qsort(waits->us, waits->n, sizeof(*waits->us), compare);
	return waits->us[(size_t)((double)(waits->n - 1) * part)];
}
