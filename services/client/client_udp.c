/*
 * client_udp: see the header. The socket is not connected, so that each datagram leaves from
 * whatever address the way to the relay has then: a machine that moves goes on.
 */
#include "client/client_udp.h"

#include "loop/clock.h"
#include "net/udp_bundle.h"
#include "wg/datagram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	READS = 16,
	ROUNDS = 8,
	CONTROL_BYTES = 64,
	SOCKET_BUFFER_BYTES = 4 * 1024 * 1024,
	LOOK_MS = 250,
	UNANSWERED_MS = 2000, /* then it does not work any more */
	UNANSWERED_MIN = 3,   /* of so many datagrams: one alone may have no answer */
	TRY_FIRST_MS = 500,
	TRY_MAX_MS = 15 * 1000,
	/* WireGuard answers where it heard a datagram first, so the leg's copy must come second. */
	HOLD_MS = 100,
};

enum state { OFF, TRYING, UP };

struct client_udp {
	struct loop *loop;
	struct loop_fd *watch;
	struct loop_timer *look;
	struct client_shim *shim;
	struct client_udp_events events;
	enum state state;
	bool is_alone;
	int fd, family;
	struct sockaddr_storage relay;
	socklen_t relay_n;
	int64_t waiting_ms; /* since when something is unanswered; 0: nothing is */
	unsigned unanswered;
	int64_t try_at_ms, try_ms, shunned_until_ms;
	struct loop_timer *holding; /* NULL: nothing is held */
	size_t held_n;
	uint8_t held[UDP_BUNDLE_READ_BYTES];
	uint64_t data_sent;
	uint8_t reads[READS][UDP_BUNDLE_READ_BYTES];
};

static void
change(struct client_udp *udp, enum state state)
{
	bool was_up = udp->state == UP, is_up = state == UP;

	udp->state = state;
	udp->waiting_ms = 0;
	udp->unanswered = 0;
	if (was_up != is_up)
		udp->events.on_change(is_up, udp->events.arg);
}

/* ---- from the relay ---- */

static bool
is_relay(const struct client_udp *udp, const struct sockaddr_storage *from)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)(const void *)from;
	const struct sockaddr_in *b4 = (const struct sockaddr_in *)(const void *)&udp->relay;
	const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)(const void *)from;
	const struct sockaddr_in6 *b6 = (const struct sockaddr_in6 *)(const void *)&udp->relay;

	if (from->ss_family != udp->relay.ss_family)
		return false;
	if (from->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port && IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr);
}

static void
heard(struct client_udp *udp)
{
	udp->waiting_ms = 0;
	udp->unanswered = 0;
	udp->try_ms = TRY_FIRST_MS;
	if (udp->state == TRYING && clock_monotonic_ms() >= udp->shunned_until_ms)
		change(udp, UP);
}

static void
take_read(struct client_udp *udp, struct msghdr *header, const uint8_t *bytes, size_t n)
{
	if (udp->state == OFF || n == 0 || !is_relay(udp, header->msg_name))
		return;
	size_t segment = udp_bundle_segment(header, n);
	if (datagram_check(bytes, n < segment ? n : segment) < 0)
		return;
	client_shim_deliver_bundle(udp->shim, bytes, n, segment);
	heard(udp);
}

static void
on_readable(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct client_udp *udp = arg;
	struct mmsghdr messages[READS];
	struct iovec vectors[READS];
	struct sockaddr_storage sources[READS];
	_Alignas(struct cmsghdr) uint8_t controls[READS][CONTROL_BYTES];

	(void)loop;
	(void)events;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < READS; i++) {
			vectors[i] = (struct iovec){ udp->reads[i], UDP_BUNDLE_READ_BYTES };
			messages[i] =
				(struct mmsghdr){ .msg_hdr = { .msg_name = &sources[i],
							       .msg_namelen = sizeof sources[i],
							       .msg_iov = &vectors[i],
							       .msg_iovlen = 1,
							       .msg_control = controls[i],
							       .msg_controllen = CONTROL_BYTES } };
		}
		int n = recvmmsg(fd, messages, READS, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			take_read(udp, &messages[i].msg_hdr, udp->reads[i], messages[i].msg_len);
		if (n < READS)
			return;
	}
}

/* ---- to the relay ---- */

static bool
send_bundle(struct client_udp *udp, const uint8_t *bytes, size_t n, size_t segment)
{
	struct iovec vector = { (void *)(uintptr_t)bytes, n };
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
	} control = { .bytes = { 0 } };
	struct msghdr header = { .msg_name = &udp->relay,
				 .msg_namelen = udp->relay_n,
				 .msg_iov = &vector,
				 .msg_iovlen = 1 };

	if (n > segment) {
		header.msg_control = &control;
		udp_bundle_mark(&header, segment);
	}
	return sendmsg(udp->fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void
send_all(struct client_udp *udp, const uint8_t *bytes, size_t n, size_t segment)
{
	size_t count = (n + segment - 1) / segment, sent = 0;

	if (send_bundle(udp, bytes, n, segment))
		sent = count;
	else /* too large a bundle for the way, perhaps */
		for (size_t at = 0; count > 1 && at < n; at += segment)
			sent += send_bundle(udp, bytes + at, n - at < segment ? n - at : segment,
					    segment);
	client_shim_lose(udp->shim, count - sent);
	if (segment <= DATAGRAM_MIN_BYTES)
		return; /* an empty packet wants no answer */
	udp->data_sent += sent;
	if (udp->waiting_ms == 0)
		udp->waiting_ms = clock_monotonic_ms();
	udp->unanswered += (unsigned)count;
}

static void
on_held_long(struct loop *loop, void *arg)
{
	struct client_udp *udp = arg;

	(void)loop;
	udp->holding = NULL;
	if (udp->state != UP)
		udp->events.send_by_leg(udp->held, udp->held_n, udp->events.arg);
}

/* False: its copy goes by the leg at once. */
static bool
hold(struct client_udp *udp, const uint8_t *bytes, size_t n)
{
	if (udp->holding != NULL || n > sizeof udp->held ||
	    loop_timer_start(udp->loop, HOLD_MS, 0, on_held_long, udp, &udp->holding) < 0)
		return false;
	memcpy(udp->held, bytes, n);
	udp->held_n = n;
	return true;
}

bool
client_udp_carry(struct client_udp *udp, const uint8_t *bytes, size_t n, size_t segment)
{
	int64_t now_ms;

	if (udp->state == OFF)
		return false;
	if (udp->state == UP) {
		send_all(udp, bytes, n, segment);
		return true;
	}
	if (udp->is_alone) {
		send_all(udp, bytes, n, segment);
		return false;
	}
	now_ms = clock_monotonic_ms();
	if (now_ms < udp->try_at_ms)
		return false;
	udp->try_at_ms = now_ms + udp->try_ms;
	udp->try_ms = udp->try_ms * 2 < TRY_MAX_MS ? udp->try_ms * 2 : TRY_MAX_MS;
	return send_bundle(udp, bytes, n < segment ? n : segment, segment) && n <= segment &&
	       hold(udp, bytes, n);
}

static void
on_look(struct loop *loop, void *arg)
{
	struct client_udp *udp = arg;

	(void)loop;
	if (udp->state != UP || udp->unanswered < UNANSWERED_MIN || udp->waiting_ms == 0 ||
	    clock_monotonic_ms() - udp->waiting_ms < UNANSWERED_MS)
		return;
	client_udp_doubt(udp);
}

/* ---- life ---- */

static void
close_socket(struct client_udp *udp)
{
	loop_fd_remove(&udp->watch);
	if (udp->fd >= 0)
		close(udp->fd);
	udp->fd = -1;
}

static int
open_socket(struct client_udp *udp, int family)
{
	const int omit = IP_PMTUDISC_OMIT;

	if (udp->fd >= 0 && udp->family == family)
		return 0;
	close_socket(udp);
	udp->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (udp->fd < 0)
		return -errno;
	udp->family = family;
	udp_bundle_prepare(udp->fd, SOCKET_BUFFER_BYTES);
	/* Better, not needed. WireGuard's datagrams may be cut on the way. */
	if (family == AF_INET)
		setsockopt(udp->fd, IPPROTO_IP, IP_MTU_DISCOVER, &omit, sizeof omit);
	else
		setsockopt(udp->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &omit, sizeof omit);
	return loop_fd_add(udp->loop, udp->fd, EPOLLIN, on_readable, udp, &udp->watch);
}

int
client_udp_target(struct client_udp *udp, const char *address, uint16_t port)
{
	struct sockaddr_storage relay = { 0 };
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)&relay;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)&relay;

	if (address == NULL) {
		close_socket(udp);
		change(udp, OFF);
		return 0;
	}
	if (inet_pton(AF_INET, address, &four->sin_addr) == 1)
		relay.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, address, &six->sin6_addr) == 1)
		relay.ss_family = AF_INET6;
	else
		return -EINVAL;
	six->sin6_port = htons(port); /* at the same place in both */
	if (udp->state != OFF && memcmp(&relay, &udp->relay, sizeof relay) == 0)
		return 0;
	int r = open_socket(udp, relay.ss_family);
	if (r < 0)
		return r;
	udp->relay = relay;
	udp->relay_n = relay.ss_family == AF_INET ? sizeof *four : sizeof *six;
	change(udp, TRYING);
	client_udp_retry(udp);
	return 0;
}

void
client_udp_retry(struct client_udp *udp)
{
	udp->try_at_ms = 0;
	udp->try_ms = TRY_FIRST_MS;
	udp->shunned_until_ms = 0;
}

void
client_udp_doubt(struct client_udp *udp)
{
	if (udp->state != UP)
		return;
	udp->try_at_ms = clock_monotonic_ms() + udp->try_ms;
	change(udp, TRYING);
}

void
client_udp_shun(struct client_udp *udp, int64_t for_ms)
{
	udp->shunned_until_ms = clock_monotonic_ms() + for_ms;
	client_udp_doubt(udp);
	udp->try_at_ms = udp->shunned_until_ms;
}

uint64_t
client_udp_data_sent(const struct client_udp *udp)
{
	return udp->data_sent;
}

bool
client_udp_is_up(const struct client_udp *udp)
{
	return udp->state == UP;
}

void
client_udp_set_alone(struct client_udp *udp, bool is_alone)
{
	udp->is_alone = is_alone;
	if (is_alone)
		udp->shunned_until_ms = 0;
}

int
client_udp_new(struct loop *loop, struct client_shim *shim, const struct client_udp_events *events,
	       struct client_udp **ret)
{
	struct client_udp *udp = calloc(1, sizeof *udp);

	if (udp == NULL)
		return -ENOMEM;
	udp->loop = loop;
	udp->shim = shim;
	udp->events = *events;
	udp->fd = -1;
	udp->try_ms = TRY_FIRST_MS;
	int r = loop_timer_start(loop, LOOK_MS, LOOK_MS, on_look, udp, &udp->look);
	if (r < 0)
		client_udp_free(&udp);
	else
		*ret = udp;
	return r;
}

void
client_udp_free(struct client_udp **udp_pointer)
{
	struct client_udp *udp = *udp_pointer;

	if (udp == NULL)
		return;
	*udp_pointer = NULL;
	loop_timer_stop(&udp->look);
	loop_timer_stop(&udp->holding);
	close_socket(udp);
	free(udp);
}
