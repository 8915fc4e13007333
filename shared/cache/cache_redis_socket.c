/*
 * cache_redis_socket: from the URL's host to a connected socket. A name is looked up for each
 * connection, since what it stands for may have moved; while nobody can say, it stands for what it
 * stood for.
 */
#include "cache/cache_redis.h"

#include "loop/clock.h"
#include "net/address.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

bool
redis_socket_wait(int fd, short events, int64_t deadline_ms)
{
	struct pollfd watched = { .fd = fd, .events = events };

	for (;;) {
		int64_t left_ms = deadline_ms - clock_monotonic_ms();
		int n = poll(&watched, 1, left_ms > 0 ? (int)left_ms : 0);

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

static void
take_places(struct redis *redis, const struct sockaddr_storage *addresses, size_t n)
{
	memcpy(redis->places, addresses, n * sizeof(*addresses));
	for (size_t i = 0; redis->target.host[0] != '\0' && i < n; i++)
		address_set_port(&redis->places[i], redis->target.port);
	redis->places_n = n;
	redis->place %= n;
}

/* NULL, or why the name says nothing now. */
static const char *
look_up(struct redis *redis, int64_t deadline_ms)
{
	const struct sockaddr_storage *addresses;
	const char *why;
	size_t n;

	if (redis->lookup == NULL && lookup_start_alone(redis->target.host, &redis->lookup) < 0)
		return "no thread for it";
	if (!redis_socket_wait(lookup_fd(redis->lookup), POLLIN, deadline_ms))
		return "no answer in time"; /* but perhaps before the next call */
	n = lookup_addresses(redis->lookup, &addresses, &why);
	if (n > 0)
		take_places(redis, addresses, n);
	lookup_stop(&redis->lookup);
	return why;
}

static socklen_t
bytes_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_UNIX ? sizeof(struct sockaddr_un)
					     : address_socket_bytes(address);
}

static const char *
connect_to(struct redis *redis, const struct sockaddr_storage *place, int64_t deadline_ms)
{
	int error = 0;
	socklen_t n = sizeof(error);

	redis->fd = socket(place->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (redis->fd < 0)
		return strerror(errno);
	if (connect(redis->fd, (const struct sockaddr *)place, bytes_of(place)) == 0)
		return NULL;
	if (errno != EINPROGRESS)
		return strerror(errno);
	if (!redis_socket_wait(redis->fd, POLLOUT, deadline_ms))
		return "no answer in time";
	if (getsockopt(redis->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	return error != 0 ? strerror(error) : NULL;
}

/* Half of the time is the resolver's, when it is not the only one that knows. */
static const char *
find_places(struct redis *redis, int64_t deadline_ms)
{
	int64_t now_ms = clock_monotonic_ms();

	if (redis->target.host[0] == '\0') {
		take_places(redis, &redis->target.address, 1);
		return NULL;
	}
	if (redis->places_n > 0)
		deadline_ms = now_ms + (deadline_ms - now_ms) / 2;
	return look_up(redis, deadline_ms);
}

int
redis_socket_open(struct redis *redis, int64_t deadline_ms, const char **ret_what,
		  const char **ret_why)
{
	const char *why = find_places(redis, deadline_ms);

	*ret_what = "lookup";
	*ret_why = why;
	for (size_t i = 0; i < redis->places_n; i++) {
		*ret_what = "connect";
		*ret_why = connect_to(redis, &redis->places[redis->place], deadline_ms);
		if (*ret_why == NULL)
			return 0;
		redis_socket_close(redis);
		redis->place = (redis->place + 1) % redis->places_n;
		if (clock_monotonic_ms() >= deadline_ms)
			break;
	}
	return -EIO;
}

void
redis_socket_close(struct redis *redis)
{
	if (redis->fd >= 0)
		close(redis->fd);
	redis->fd = -1;
}
