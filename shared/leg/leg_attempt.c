/*
 * leg_attempt: when and where to connect. One connection at a time; endpoints round robin; full
 * jitter between 0 and a limit that doubles with each round of failures from 100 ms to 30 s
 * (Brooker, "Exponential backoff and jitter"). On the leg's thread.
 */
#include "leg/leg_thread.h"

#include "leg/leg_address.h"
#include "log/log.h"
#include "loop/backoff.h"
#include "loop/clock.h"

#include <stdlib.h>
#include <string.h>

enum {
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 30 * 1000,
	REPLACED_WAIT_MS = 30 * 1000,
	STABLE_MS = 10 * 1000,	   /* a leg that lived this long was no failure, */
	SILENT_MS = 20 * 1000,	   /* unless it owes a pong: a ping goes each 15 s */
	CONNECT_MAX_MS = 5 * 1000, /* the first time; relays that are asked again may be busy */
	CONNECT_AGAIN_MAX_MS = 10 * 1000,
	LOST_SPREAD_MS = 500,	     /* of all that a dead relay leaves at one moment */
	HASTEN_EVERY_MS = 10 * 1000, /* where addresses come and go all the time */
	CLOSE_MAX_MS = 300,
	CODE_REPLACED = 4009,
};

static void
schedule(struct leg_thread *thread, lws_sorted_usec_list_t *timer, sul_cb_t fn, int64_t delay_ms)
{
	lws_sul_schedule(thread->context, 0, timer, fn, delay_ms * LWS_US_PER_MS);
}

static void
cancel(struct leg_thread *thread, lws_sorted_usec_list_t *timer)
{
	lws_sul_schedule(thread->context, 0, timer, NULL, LWS_SET_TIMER_USEC_CANCEL);
}

static void on_retry(lws_sorted_usec_list_t *timer);

/* Connecting took too long, or the other side does not answer our close. */
static void
on_deadline(lws_sorted_usec_list_t *timer)
{
	struct leg_thread *thread = lws_container_of(timer, struct leg_thread, deadline);

	leg_tell_reason(thread, 0, "timed out");
	if (thread->wsi != NULL)
		lws_set_timeout(thread->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	else
		leg_attempt_ended(thread);
}

static void
connect_now(struct leg_thread *thread)
{
	if (!leg_tell_prepare(thread)) {
		schedule(thread, &thread->retry, on_retry, BACKOFF_FIRST_MS);
		return;
	}
	thread->used = thread->order->endpoints[thread->index];
	metric_add(thread->line->attempts, 1);
	thread->generation++;
	thread->code = 0;
	thread->reason[0] = '\0';
	thread->phase = LEG_PHASE_CONNECTING;
	leg_tell_state(thread, LEG_CONNECTING);
	schedule(thread, &thread->deadline, on_deadline,
		 thread->failures > 0 ? CONNECT_AGAIN_MAX_MS : CONNECT_MAX_MS);
	leg_lookup_begin(thread);
}

void
leg_attempt_connect(struct leg_thread *thread)
{
	const struct leg_endpoint *endpoint = &thread->used;
	const struct leg_url *url = &endpoint->url;
	struct lws_client_connect_info info = {
		.context = thread->context,
		.vhost = thread->vhost,
		.address = endpoint->address[0] != '\0' ? endpoint->address : url->host,
		.port = url->port,
		.path = url->path,
		.host = url->authority,
		.protocol = "higgs.v1",
		.local_protocol_name = "higgs.v1",
		.alpn = "http/1.1",
		.ietf_version_or_minus_one = -1,
		.pwsi = &thread->wsi,
		.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
	};

	if (url->is_tls)
		info.ssl_connection |= LCCSCF_USE_SSL;
	/* libwebsockets cuts the name it checks at the first colon; leg_socket.c checks instead. */
	if (url->is_v6)
		info.ssl_connection |= LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;
	thread->sessions.authority = endpoint->url.authority;
	lws_set_proxy(thread->vhost, endpoint->proxy);
	lws_client_connect_via_info(&info);
	/* It may have failed already, and then has said so or not. */
	if (thread->wsi == NULL && thread->phase == LEG_PHASE_CONNECTING) {
		leg_tell_reason(thread, 0, "cannot connect");
		leg_attempt_ended(thread);
	}
}

static void
on_retry(lws_sorted_usec_list_t *timer)
{
	struct leg_thread *thread = lws_container_of(timer, struct leg_thread, retry);

	connect_now(thread);
}

void
leg_attempt_established(struct leg_thread *thread)
{
	/* The relay's answer was read in the turn that was to end the attempt, and it took back the
	 * order to (libwebsockets clears its timeout): a goodbye then. */
	bool is_unwanted = thread->phase == LEG_PHASE_CLOSING;

	cancel(thread, &thread->deadline);
	thread->phase = LEG_PHASE_UP;
	thread->up_since_ms = thread->ponged_ms = clock_monotonic_ms();
	if (is_unwanted)
		leg_attempt_close(thread);
	else
		leg_tell_state(thread, LEG_UP);
}

/* After a leg that had been up for long, the same endpoint again and soon. */
static int64_t
next_delay_ms(struct leg_thread *thread, bool was_stable)
{
	unsigned n = (unsigned)thread->order->n;
	int64_t limit_ms = LOST_SPREAD_MS;

	if (was_stable) {
		thread->failures = 0;
	} else {
		thread->index = (thread->index + 1) % n;
		limit_ms = backoff_ms(BACKOFF_FIRST_MS, BACKOFF_MAX_MS, thread->failures / n);
	}
	thread->failures++;
	return backoff_share_ms(limit_ms, backoff_random());
}

/* What was queued for the connection that is gone is of no use to the next. */
static void
drop_queued(struct leg_thread *thread)
{
	struct leg_line *line = thread->line;

	free(thread->assembly);
	thread->assembly = NULL;
	pthread_mutex_lock(&line->lock);
	leg_outbox_clear(&line->tx);
	line->tx_generation = 0;
	line->is_tx_awake = false;
	pthread_mutex_unlock(&line->lock);
}

void
leg_attempt_ended(struct leg_thread *thread)
{
	bool is_ours = thread->phase == LEG_PHASE_CLOSING;
	bool was_up = thread->phase == LEG_PHASE_UP;

	if (thread->phase == LEG_PHASE_IDLE || thread->phase == LEG_PHASE_WAITING)
		return;
	thread->wsi = NULL;
	leg_lookup_stop(thread);
	thread->phase = LEG_PHASE_IDLE;
	cancel(thread, &thread->deadline);
	cancel(thread, &thread->window_timer);
	drop_queued(thread);
	if (is_ours)
		leg_tell_reason(thread, LWS_CLOSE_STATUS_NORMAL, "let go");
	leg_tell_reason(thread, 0, "connection lost");
	leg_tell_state(thread, LEG_DOWN);
	log_info("leg_down", "code=%d reason=%s", thread->code, thread->reason);
	if (atomic_load(&thread->stop)) {
		thread->is_done = true;
		lws_cancel_service(thread->context);
		return;
	}
	if (thread->order->n == 0) {
		thread->is_retargeted = false;
		return;
	}
	int64_t now_ms = clock_monotonic_ms(), delay_ms = 0;
	bool was_stable = was_up && now_ms - thread->up_since_ms >= STABLE_MS &&
			  now_ms - thread->ponged_ms < SILENT_MS;
	if (thread->is_retargeted)
		thread->is_retargeted = false;
	else if (thread->code == CODE_REPLACED)
		delay_ms = REPLACED_WAIT_MS;
	else
		delay_ms = next_delay_ms(thread, was_stable);
	thread->phase = LEG_PHASE_WAITING;
	schedule(thread, &thread->retry, on_retry, delay_ms);
}

/* A leg from an address that is gone carries nothing any more; and who waits, since there was no
 * way out, need not wait for long any more. */
void
leg_attempt_on_addresses(struct leg_thread *thread)
{
	int64_t now_ms = clock_monotonic_ms();

	if (thread->phase == LEG_PHASE_UP && leg_address_is_lost(lws_get_socket_fd(thread->wsi))) {
		leg_tell_reason(thread, 0, "this machine's address is gone");
		lws_set_timeout(thread->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	} else if (thread->phase == LEG_PHASE_WAITING && thread->code == 0 &&
		   now_ms - thread->hastened_ms >= HASTEN_EVERY_MS) {
		thread->hastened_ms = now_ms;
		schedule(thread, &thread->retry, on_retry,
			 backoff_share_ms(LOST_SPREAD_MS, backoff_random()));
	}
}

void
leg_attempt_close(struct leg_thread *thread)
{
	if (thread->phase == LEG_PHASE_UP) {
		thread->phase = LEG_PHASE_CLOSING;
		schedule(thread, &thread->deadline, on_deadline, CLOSE_MAX_MS);
		lws_callback_on_writable(thread->wsi);
	} else if (thread->phase == LEG_PHASE_CONNECTING && thread->wsi != NULL) {
		thread->phase = LEG_PHASE_CLOSING;
		lws_set_timeout(thread->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	} else if (thread->phase == LEG_PHASE_CONNECTING) {
		thread->phase = LEG_PHASE_CLOSING;
		leg_attempt_ended(thread);
	}
}

/* The place of the endpoint that is in use in a new order, or -1. */
static int
place_in(const struct leg_order *order, const struct leg_endpoint *used)
{
	for (size_t i = 0; i < order->n; i++)
		if (order->endpoints[i].url.is_tls == used->url.is_tls &&
		    strcmp(order->endpoints[i].url.authority, used->url.authority) == 0 &&
		    strcmp(order->endpoints[i].url.path, used->url.path) == 0)
			return (int)i;
	return -1;
}

void
leg_attempt_take_order(struct leg_thread *thread)
{
	struct leg_line *line = thread->line;

	pthread_mutex_lock(&line->lock);
	struct leg_order *order = line->order;
	line->order = NULL;
	pthread_mutex_unlock(&line->lock);
	if (order == NULL)
		return;
	struct leg_order *old = thread->order;
	bool is_busy = thread->phase >= LEG_PHASE_CONNECTING;
	int place = is_busy ? place_in(order, &thread->used) : -1;
	thread->order = order;
	thread->index = place >= 0 ? (size_t)place : 0;
	thread->failures = 0;
	if (old != NULL)
		explicit_bzero(old->ticket, sizeof old->ticket);
	free(old);
	if (thread->phase == LEG_PHASE_WAITING) {
		cancel(thread, &thread->retry);
		thread->phase = LEG_PHASE_IDLE;
	}
	if (thread->phase == LEG_PHASE_IDLE && order->n > 0)
		connect_now(thread);
	if (thread->phase == LEG_PHASE_CLOSING || (is_busy && place < 0)) {
		thread->is_retargeted = true;
		leg_attempt_close(thread);
	}
}
