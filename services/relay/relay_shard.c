/*
 * relay_shard: the loop of a packet thread. One turn: wait, read everything that is ready, send
 * what came of it, then commands, deadlines, and what has to be closed.
 */
#include "relay/relay_shard.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_attach.h"
#include "relay/relay_drops.h"
#include "relay/relay_mail.h"
#include "relay/relay_udp.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum {
	EVENTS_AT_ONCE = 256,
	STACK_BYTES = 1024 * 1024,
	USAGE_EVERY_MS = 1000,
	DRAIN_CHECK_MS = 50,
};

unsigned
relay_shard_of(const uint8_t node_id[UUID_BYTES], unsigned count)
{
	static const uint64_t fixed[2] = { 0 }; /* any shard must come to the same answer */

	return (unsigned)(idtable_siphash(fixed, node_id, UUID_BYTES) % count);
}

uint32_t
relay_shard_dice(struct relay_shard *shard, uint32_t n)
{
	/* xorshift64: Marsaglia, 2003 */
	shard->dice ^= shard->dice << 13;
	shard->dice ^= shard->dice >> 7;
	shard->dice ^= shard->dice << 17;
	return n > 0 ? (uint32_t)(shard->dice % n) : 0;
}

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
	if (shard->drain_until_ms == 0 || shard->is_drained)
		return;
	/* Stock apps cannot be told: their legs are served for as long as there is. */
	if (shard->now_ms < shard->drain_until_ms &&
	    (shard->leg_count > 0 || relay_udp_is_used(shard)))
		return;
	if (shard->leg_count > 0 && shard->now_ms < shard->drain_until_ms + RELAY_LINGER_MS) {
		for (struct relay_leg *leg = shard->legs; leg != NULL; leg = leg->next)
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

	if (shard->paused_count > 0)
		others = shard->resume_ms - shard->now_ms;
	if (shard->accept.resume_ms != 0)
		others = sooner(others, shard->accept.resume_ms - shard->now_ms);
	if (shard->accept.resume_ms != 0 || shard->unsent != NULL || shard->drain_until_ms != 0)
		others = others >= 0 && others < DRAIN_CHECK_MS ? others : DRAIN_CHECK_MS;
	if (others >= 0 && (timeout < 0 || others < timeout))
		timeout = others;
	else if (shard->paused_count > 0 && others < 0)
		timeout = 0;
	return (int)timeout;
}

/* ---- the loop ---- */

static void
dispatch(struct relay_shard *shard, const struct epoll_event *event, bool *ret_has_mail,
	 bool *ret_has_udp)
{
	if (event->data.ptr == &shard->mailbox)
		*ret_has_mail = true;
	else if (event->data.ptr == &shard->accept)
		relay_accept_on_event(shard);
	else if (event->data.ptr == shard->udp)
		*ret_has_udp = true;
	else
		relay_leg_on_event(shard, event->data.ptr, event->events);
}

static void
note_turn(struct relay_shard *shard, int64_t took_us)
{
	relay_histogram_add(&shard->turns, (uint64_t)took_us);
	if (took_us > atomic_load_explicit(&shard->lag_us, memory_order_relaxed))
		atomic_store_explicit(&shard->lag_us, (uint32_t)took_us, memory_order_relaxed);
}

int
relay_shard_turn(struct relay_shard *shard)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	int n = epoll_wait(shard->epoll_fd, events, EVENTS_AT_ONCE, timeout_ms(shard));
	bool has_mail = false, has_udp = false;

	if (n < 0 && errno != EINTR)
		return -errno;
	int64_t start_us = clock_monotonic_us();
	shard->now_ms = start_us / 1000;
	for (int i = 0; i < n; i++)
		dispatch(shard, &events[i], &has_mail, &has_udp);
	relay_round_flush(shard);
	if (has_mail)
		relay_mail_obey(shard);
	if (has_udp) /* after the mail, in which its session may just be bound */
		relay_udp_on_event(shard);
	on_time(shard);
	relay_drops_tell(shard);
	/* What is sent may fail, what is closed may be announced: until both are quiet. */
	do {
		relay_round_flush(shard);
	} while (relay_leg_reap(shard) || shard->round.dirty != NULL);
	relay_mesh_flush(shard);
	relay_mail_send_unsent(shard);
	note_turn(shard, clock_monotonic_us() - start_us);
	return 0;
}

static void *
run(void *arg)
{
	struct relay_shard *shard = arg;
	char name[16];

	snprintf(name, sizeof(name), "relay-shard-%u", shard->index);
	pthread_setname_np(pthread_self(), name);
	log_set_service("relay");
	while (!shard->is_stopping) {
		int r = relay_shard_turn(shard);

		if (r < 0) {
			log_error("shard_failed", "shard=%u reason=\"%s\"", shard->index,
				  strerror(-r));
			break;
		}
	}
	return NULL;
}

static int
watch(struct relay_shard *shard, int fd, void *what)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = what };

	return epoll_ctl(shard->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int
set_up(struct relay_shard *shard, int listen_fd)
{
	int r = relay_accept_init(&shard->accept, listen_fd);

	if (r == 0)
		r = relay_mailbox_init(&shard->mailbox);
	if (r == 0)
		r = relay_directory_init(&shard->directory);
	if (r == 0)
		r = relay_gone_init(&shard->gone);
	if (r == 0)
		r = relay_round_init(&shard->round, shard->tls != NULL);
	if (r == 0 && (shard->epoll_fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		r = -errno;
	if (r == 0)
		r = watch(shard, shard->mailbox.event_fd, &shard->mailbox);
	if (r == 0 && getrandom(&shard->dice, sizeof(shard->dice), 0) < 0)
		r = -errno;
	shard->dice |= 1;
	return r;
}

int
relay_shard_new(unsigned index, const struct relay_settings *settings, struct tls_context *tls,
		struct relay_mailbox *control, int listen_fd, struct ticket_verifier *verifier,
		struct relay_shard **ret)
{
	struct relay_shard *shard = calloc(1, sizeof(*shard));

	if (shard == NULL) {
		close(listen_fd);
		ticket_verifier_free(&verifier);
		return -ENOMEM;
	}
	shard->index = index;
	shard->settings = settings;
	shard->tls = tls;
	shard->control = control;
	shard->verifier = verifier;
	shard->epoll_fd = -1;
	shard->mailbox.event_fd = -1;
	shard->accept.reserve_fd = -1;
	shard->now_ms = clock_monotonic_ms();
	relay_wheel_init(&shard->wheel, shard->now_ms);
	int r = set_up(shard, listen_fd);
	if (r < 0) {
		relay_shard_free(&shard);
		return r;
	}
	*ret = shard;
	return 0;
}

int
relay_shard_start(struct relay_shard *shard, struct relay_shard *const *all, unsigned count)
{
	pthread_attr_t attributes;
	int r;

	shard->all = all;
	shard->count = count;
	relay_accept_watch(shard, true);
	if ((r = pthread_attr_init(&attributes)) != 0)
		return -r;
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	r = pthread_create(&shard->thread, &attributes, run, shard);
	pthread_attr_destroy(&attributes);
	shard->has_thread = r == 0;
	return -r;
}

void
relay_shard_stop(struct relay_shard *shard)
{
	struct relay_message *message = NULL;

	if (!shard->has_thread)
		return;
	/* A full mailbox is being emptied. */
	while ((message = relay_message_new(RELAY_STOP, NULL, 0)) == NULL ||
	       relay_mailbox_send(&shard->mailbox, &message) < 0) {
		relay_message_free(&message);
		nanosleep(&(struct timespec){ .tv_nsec = 1000 * 1000 }, NULL);
	}
	pthread_join(shard->thread, NULL);
	shard->has_thread = false;
}

static void
free_mail(struct relay_shard *shard)
{
	struct relay_message *message = relay_mailbox_receive(&shard->mailbox);

	while (message != NULL) {
		struct relay_message *next = message->next;

		if (message->leg != NULL)
			relay_leg_free(&message->leg);
		relay_message_free(&message);
		message = next;
	}
	relay_mailbox_fini(&shard->mailbox);
}

void
relay_shard_free(struct relay_shard **shard)
{
	struct relay_shard *s = *shard;

	*shard = NULL;
	if (s == NULL)
		return;
	assert(!s->has_thread);
	relay_udp_free(s);
	while (s->legs != NULL) {
		relay_leg_doom(s, s->legs, 0, "relay stops");
		relay_leg_reap(s);
	}
	relay_attach_end_carried(s);
	relay_mesh_ports_fini(s);
	while (s->unsent != NULL) {
		struct relay_message *next = s->unsent->next;

		relay_message_free(&s->unsent);
		s->unsent = next;
	}
	if (s->mailbox.event_fd >= 0)
		free_mail(s);
	relay_accept_fini(&s->accept);
	relay_directory_fini(&s->directory);
	relay_gone_fini(&s->gone);
	relay_round_fini(&s->round);
	ticket_verifier_free(&s->verifier);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	free(s);
}
