/*
 * reach: see reach.h. A connection that was made is closed at once: who asks makes its own.
 */
#include "net/reach.h"

#include "loop/lookup.h"
#include "net/address.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NEXT_MS = 250, GIVE_UP_MS = 3000 };

struct attempt {
	struct reach *reach;
	int fd;
	struct loop_fd *watch; /* NULL: over, or not begun */
};

struct reach {
	struct loop *loop;
	struct sockaddr_storage addresses[LOOKUP_MAX];
	struct attempt attempts[LOOKUP_MAX];
	size_t n, begun, under_way;
	struct loop_timer *next, *end;
	reach_fn fn;
	void *arg;
	struct reach **at; /* where who asked keeps us */
};

static void
attempt_end(struct attempt *attempt)
{
	if (attempt->watch == NULL)
		return;
	loop_fd_remove(&attempt->watch);
	close(attempt->fd);
	attempt->reach->under_way--;
}

void
reach_stop(struct reach **reach_pointer)
{
	struct reach *reach = *reach_pointer;

	if (reach == NULL)
		return;
	for (size_t i = 0; i < reach->begun; i++)
		attempt_end(&reach->attempts[i]);
	loop_timer_stop(&reach->next);
	loop_timer_stop(&reach->end);
	free(reach);
	*reach_pointer = NULL;
}

static void
finish(struct reach *reach, size_t i, bool is_reached)
{
	const struct sockaddr_storage address = reach->addresses[i];
	reach_fn fn = reach->fn;
	void *arg = reach->arg;

	reach_stop(reach->at);
	fn(&address, is_reached, arg);
}

static void begin_next(struct reach *reach);

static void
on_connected(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct attempt *attempt = arg;
	struct reach *reach = attempt->reach;
	int error = 0;
	socklen_t n = sizeof error;

	(void)loop, (void)events;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 && error == 0) {
		finish(reach, (size_t)(attempt - reach->attempts), true);
		return;
	}
	attempt_end(attempt);
	begin_next(reach);
}

/* The i-th address: what connects to it is under way, or -errno. */
static int
begin(struct reach *reach, size_t i)
{
	const struct sockaddr_storage *address = &reach->addresses[i];
	struct attempt *attempt = &reach->attempts[i];
	int r;

	attempt->reach = reach;
	attempt->fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (attempt->fd < 0)
		return -errno;
	r = connect(attempt->fd, (const struct sockaddr *)address, address_socket_bytes(address)) <
			    0
		    ? -errno
		    : 0;
	if (r == 0 || r == -EINPROGRESS)
		r = loop_fd_add(reach->loop, attempt->fd, EPOLLOUT, on_connected, attempt,
				&attempt->watch);
	if (r < 0)
		close(attempt->fd);
	else
		reach->under_way++;
	return r;
}

/* One more; those that cannot even begin are passed over. */
static void
begin_next(struct reach *reach)
{
	int r = -ENOENT;

	while (r < 0 && reach->begun < reach->n)
		r = begin(reach, reach->begun++);
	if (reach->under_way == 0)
		finish(reach, 0, false);
}

static void
on_next(struct loop *loop, void *arg)
{
	(void)loop;
	begin_next(arg);
}

static void
on_end(struct loop *loop, void *arg)
{
	struct reach *reach = arg;

	(void)loop;
	reach->end = NULL;
	finish(reach, 0, false);
}

int
reach_start(struct loop *loop, const struct sockaddr_storage *addresses, size_t n, uint16_t port,
	    reach_fn fn, void *arg, struct reach **ret)
{
	struct reach *reach;
	int r;

	if (n == 0 || n > LOOKUP_MAX)
		return -EINVAL;
	reach = calloc(1, sizeof *reach);
	if (reach == NULL)
		return -ENOMEM;
	reach->loop = loop;
	memcpy(reach->addresses, addresses, n * sizeof *addresses);
	reach->n = n;
	for (size_t i = 0; i < n; i++)
		address_set_port(&reach->addresses[i], port);
	reach->fn = fn;
	reach->arg = arg;
	reach->at = ret;
	r = loop_timer_start(loop, 0, NEXT_MS, on_next, reach, &reach->next);
	if (r == 0)
		r = loop_timer_start(loop, GIVE_UP_MS, 0, on_end, reach, &reach->end);
	if (r < 0) {
		reach_stop(&reach);
		return r;
	}
	*ret = reach;
	return 0;
}
