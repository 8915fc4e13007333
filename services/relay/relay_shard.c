/*
 * relay_shard: a packet thread's parts, and its begin and end; relay_turn has its loop.
 */
#include "relay/relay_shard.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_attach.h"
#include "relay/relay_udp.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	STACK_BYTES = 1024 * 1024,
	DOOR_NICE = 5, /* a quarter of a processor that packets leave nothing of */
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

/* A handshake takes as long as a hundred packets: who has some goes first. Also when the whole
 * process was started to go before others. A rest is to be as short as was said. */
static void
step_back(void)
{
	static const struct sched_param none = { 0 };

	(void)prctl(PR_SET_TIMERSLACK, 1UL);
	if (sched_setscheduler(0, SCHED_OTHER, &none) < 0 ||
	    setpriority(PRIO_PROCESS, 0, DOOR_NICE) < 0)
		log_warn("door_priority", "reason=\"%s\"", strerror(errno));
}

static void *
run(void *arg)
{
	struct relay_shard *shard = arg;
	bool is_door = relay_shard_is_door(shard);
	char name[24];

	snprintf(name, sizeof(name), "relay-%s-%u", is_door ? "door" : "shard",
		 is_door ? shard->index - shard->count : shard->index);
	pthread_setname_np(pthread_self(), name);
	if (is_door)
		step_back();
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
		r = relay_gone_init(&shard->closed);
	if (r == 0)
		r = relay_gone_init(&shard->deleted);
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
		if (listen_fd >= 0)
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
relay_shard_start(struct relay_shard *shard, struct relay_shard *const *all, unsigned count,
		  unsigned doors)
{
	pthread_attr_t attributes;
	int r;

	shard->all = all;
	shard->count = count;
	shard->doors = doors;
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
	if (!shard->has_thread)
		return;
	relay_mailbox_insist(&shard->mailbox, RELAY_STOP, 0);
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
	while (!LIST_EMPTY(&s->legs)) {
		relay_leg_doom(s, LIST_FIRST(&s->legs), 0, "relay stops");
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
	relay_gone_fini(&s->closed);
	relay_gone_fini(&s->deleted);
	relay_round_fini(&s->round);
	ticket_verifier_free(&s->verifier);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	free(s);
}
