/*
 * relay_accept: when descriptors run out, one kept in reserve lets the connection be taken and
 * closed, and the socket rests for a moment instead of spinning.
 */
#include "relay/relay_accept.h"

#include "log/log.h"
#include "relay/relay_shard.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

/* Said by a listener, it holds for both ways of what it accepts, from the first segment on: a path
 * that swallows longer packets without a word (no ICMP) would stop each leg at its first full one.
 */
static int
limit_segments(const struct relay_settings *settings, int fd)
{
	int segment = (int)settings->segment_bytes;

	return setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
}

static int
bind_one(const struct relay_settings *settings, uint16_t port, bool is_shared, int *ret_fd)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
	char service[8];
	int on = 1, r;

	snprintf(service, sizeof(service), "%u", port);
	if ((r = getaddrinfo(settings->host, service, &hints, &found)) != 0)
		return r == EAI_SYSTEM ? -errno : -EADDRNOTAVAIL;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	r = fd < 0 ? -errno : 0;
	if (r == 0 &&
	    (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	     (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0) ||
	     limit_segments(settings, fd) < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 ||
	     listen(fd, BACKLOG) < 0))
		r = -errno;
	freeaddrinfo(found);
	if (r < 0 && fd >= 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_in6 address = { 0 };
	socklen_t n = sizeof(address);

	/* The port lies at the same place in both families. */
	if (getsockname(fd, (struct sockaddr *)&address, &n) < 0)
		return 0;
	return ntohs(address.sin6_port);
}

int
relay_accept_listen(const struct relay_settings *settings, unsigned count, int *ret_fds,
		    uint16_t *ret_port)
{
	uint16_t port = settings->port;

	for (unsigned i = 0; i < count; i++) {
		int r = bind_one(settings, port, count > 1, &ret_fds[i]);

		if (r == 0) {
			port = port_of(ret_fds[i]);
			continue;
		}
		log_error("relay_listen", "host=%s port=%u reason=\"%s\"", settings->host, port,
			  strerror(-r));
		while (i-- > 0)
			close(ret_fds[i]);
		return r;
	}
	*ret_port = port;
	return 0;
}

int
relay_accept_init(struct relay_accept *accept, int fd)
{
	memset(accept, 0, sizeof(*accept));
	accept->reserve_fd = -1;
	accept->fd = fd;
	int r = relay_places_init(&accept->places);
	if (r < 0 || fd < 0)
		return r;
	accept->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return relay_buckets_init(&accept->sources, RELAY_ACCEPT_SOURCES);
}

void
relay_accept_fini(struct relay_accept *accept)
{
	if (accept->fd >= 0)
		close(accept->fd);
	if (accept->reserve_fd >= 0)
		close(accept->reserve_fd);
	relay_buckets_fini(&accept->sources);
	relay_places_fini(&accept->places);
	accept->fd = accept->reserve_fd = -1;
}

void
relay_accept_watch(struct relay_shard *shard, bool on)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = &shard->accept };

	if (on == shard->accept.is_listening || shard->accept.fd < 0)
		return;
	if (epoll_ctl(shard->epoll_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, shard->accept.fd,
		      &event) == 0)
		shard->accept.is_listening = on;
	else if (on)
		shard->accept.resume_ms = shard->now_ms + RELAY_ACCEPT_REST_MS;
}

void
relay_accept_end(struct relay_shard *shard)
{
	relay_accept_watch(shard, false);
	if (shard->accept.fd >= 0)
		close(shard->accept.fd);
	shard->accept.fd = -1;
}

bool
relay_accept_is_allowed(struct relay_accept *accept, const struct relay_settings *settings,
			const struct sockaddr *address, int64_t now_ms)
{
	uint8_t key[RELAY_ADDRESS_KEY_BYTES];

	if (!relay_accept_is_limited(settings))
		return true;
	relay_pending_key(address, key);
	return relay_buckets_take(&accept->sources, key, settings->accept_rate,
				  settings->accept_burst, now_ms);
}

/* Our peers are far and impatient: nothing is delayed, and the kernel holds little back. */
static void
set_options(const struct relay_settings *settings, int fd)
{
	int on = 1, lowat = (int)settings->notsent_lowat_bytes;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	if (*settings->congestion != '\0' &&
	    setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, settings->congestion,
		       (socklen_t)strlen(settings->congestion)) < 0)
		log_debug("congestion_refused", "name=%s reason=\"%s\"", settings->congestion,
			  strerror(errno));
}

/* Wherever they are: at a door, at a shard, or between the two. */
static bool
is_full(const struct relay_shard *shard)
{
	uint64_t legs = 0;

	for (unsigned i = 0; i < shard->count + shard->doors; i++)
		legs += shard->all[i]->leg_count +
			relay_counter_get(&shard->all[i]->counters, RELAY_LEGS_MOVING);
	return legs >= shard->settings->legs_max;
}

static void
admit(struct relay_shard *shard, int fd, const struct sockaddr *address)
{
	const struct relay_settings *settings = shard->settings;

	if (is_full(shard) ||
	    !relay_accept_is_allowed(&shard->accept, settings, address, shard->now_ms)) {
		relay_count(&shard->counters, RELAY_ACCEPT_LIMITED, 1);
		close(fd);
		return;
	}
	struct relay_leg *leg = relay_leg_new(shard, fd);
	if (leg == NULL)
		return;
	if (relay_places_take(shard, leg->upgrade, address) < 0) {
		relay_count(&shard->counters, RELAY_ACCEPT_LIMITED, 1);
		relay_leg_free(&leg);
		return;
	}
	shard->accept.paced++;
	relay_count(&shard->counters, RELAY_ACCEPTED, 1);
	set_options(settings, fd);
	if (relay_leg_enter(shard, leg) < 0)
		relay_leg_free(&leg);
}

static void
rest(struct relay_shard *shard)
{
	struct relay_accept *accept = &shard->accept;
	int fd;

	if (accept->reserve_fd >= 0) {
		close(accept->reserve_fd);
		fd = accept4(accept->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0)
			close(fd);
	}
	accept->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	relay_count(&shard->counters, RELAY_ACCEPT_LIMITED, 1);
	accept->resume_ms = shard->now_ms + RELAY_ACCEPT_REST_MS;
	relay_accept_watch(shard, false);
}

/* May one more come now? What may not, waits in the socket's backlog. Who is turned away at once
 * takes nobody's turn. is_there: one waits for sure; only for that one is a place cleared. */
static bool
may_come(struct relay_shard *shard, bool is_there)
{
	struct relay_accept *accept = &shard->accept;
	const struct relay_settings *settings = shard->settings;
	uint32_t shards = settings->shards, doors = relay_accept_doors(shards);
	uint32_t pace = (uint32_t)((uint64_t)settings->accept_pace * shards / doors);
	uint32_t step = pace * RELAY_ACCEPT_PACE_MS / 1000 + 1;

	if (shard->now_ms - accept->paced_ms >= RELAY_ACCEPT_PACE_MS) {
		accept->paced_ms = shard->now_ms;
		accept->paced = 0;
	}
	if (!is_there && accept->places.taken >= relay_places_most(settings))
		return false;
	if ((pace == 0 || accept->paced < step) && relay_places_clear(shard))
		return true;
	accept->resume_ms = shard->now_ms + RELAY_ACCEPT_PACE_MS;
	relay_accept_watch(shard, false);
	return false;
}

void
relay_accept_on_event(struct relay_shard *shard)
{
	for (int i = 0; i < RELAY_ACCEPT_AT_ONCE && may_come(shard, i == 0); i++) {
		struct sockaddr_storage address;
		socklen_t n = sizeof(address);
		int fd = accept4(shard->accept.fd, (struct sockaddr *)&address, &n,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			admit(shard, fd, (const struct sockaddr *)&address);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
			rest(shard);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}
