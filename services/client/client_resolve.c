/*
 * client_resolve: getaddrinfo on a detached thread, since it may block for long and cannot be
 * interrupted. The thread's and the owner's share are counted.
 */
#include "client/client_pins.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct client_resolve {
	atomic_int shares;
	int done_fd;
	/* the owner's */
	struct loop_fd *watch;
	client_resolve_fn fn;
	void *arg;
	/* the thread's, until done_fd says */
	char host[LEG_URL_HOST_BYTES], address[INET6_ADDRSTRLEN], error[128];
};

static void
resolve_put(struct client_resolve *resolve)
{
	if (atomic_fetch_sub(&resolve->shares, 1) > 1)
		return;
	close(resolve->done_fd);
	free(resolve);
}

static void
on_done(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct client_resolve *resolve = arg;
	uint64_t ignored;

	(void)loop;
	(void)events;
	if (read(fd, &ignored, sizeof ignored) < 0)
		return;
	loop_fd_remove(&resolve->watch);
	resolve->fn(resolve->address[0] != '\0' ? resolve->address : NULL, resolve->error,
		    resolve->arg);
	resolve_put(resolve);
}

static void
look_up(struct client_resolve *resolve)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	int r = getaddrinfo(resolve->host, NULL, &hints, &found);

	/* Sorted as RFC 6724 wants: what cannot be reached from here comes last. */
	if (r == 0)
		r = getnameinfo(found->ai_addr, found->ai_addrlen, resolve->address,
				sizeof resolve->address, NULL, 0, NI_NUMERICHOST);
	if (r != 0)
		snprintf(resolve->error, sizeof resolve->error, "%s", gai_strerror(r));
	if (found != NULL)
		freeaddrinfo(found);
}

static void *
resolve_main(void *arg)
{
	struct client_resolve *resolve = arg;
	const uint64_t one = 1;

	look_up(resolve);
	while (write(resolve->done_fd, &one, sizeof one) < 0 && errno == EINTR)
		continue;
	resolve_put(resolve);
	return NULL;
}

static int
start_thread(struct client_resolve *resolve)
{
	sigset_t all, before;
	pthread_t id;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = -pthread_create(&id, NULL, resolve_main, resolve);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_detach(id);
	return r;
}

int
client_resolve_start(struct loop *loop, const char *host, client_resolve_fn fn, void *arg,
		     struct client_resolve **ret)
{
	struct client_resolve *resolve = calloc(1, sizeof *resolve);

	if (resolve == NULL)
		return -ENOMEM;
	atomic_init(&resolve->shares, 2);
	resolve->fn = fn;
	resolve->arg = arg;
	snprintf(resolve->host, sizeof resolve->host, "%s", host);
	resolve->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = resolve->done_fd < 0 ? -errno : 0;
	if (r == 0)
		r = loop_fd_add(loop, resolve->done_fd, EPOLLIN, on_done, resolve, &resolve->watch);
	if (r == 0)
		r = start_thread(resolve);
	if (r < 0) {
		loop_fd_remove(&resolve->watch);
		if (resolve->done_fd >= 0)
			close(resolve->done_fd);
		free(resolve);
		return r;
	}
	*ret = resolve;
	return 0;
}

void
client_resolve_cancel(struct client_resolve **resolve_pointer)
{
	struct client_resolve *resolve = *resolve_pointer;

	if (resolve == NULL)
		return;
	*resolve_pointer = NULL;
	loop_fd_remove(&resolve->watch);
	resolve_put(resolve);
}
