/*
 * lookup: see lookup.h. It belongs to both threads, and the last to leave frees it: the resolver
 * cannot be stopped, and who asked does not wait for it.
 */
#include "loop/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { STACK_BYTES = 512 * 1024 };

struct lookup {
	atomic_int owners;
	int fd; /* the thread's word, after which the rest is the asker's */
	char host[LOOKUP_HOST_BYTES];
	struct sockaddr_storage addresses[LOOKUP_MAX];
	size_t n;
	int error; /* EAI_... */
	atomic_bool is_over;
	/* the asker's */
	struct loop_fd *watch;
	lookup_fn fn;
	void *arg;
	struct lookup **at; /* where the asker keeps us */
};

static void
leave(struct lookup *lookup)
{
	if (atomic_fetch_sub(&lookup->owners, 1) > 1)
		return;
	if (lookup->fd >= 0)
		close(lookup->fd);
	free(lookup);
}

static void *
thread_main(void *arg)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	struct lookup *lookup = arg;
	const uint64_t one = 1;

	lookup->error = getaddrinfo(lookup->host, NULL, &hints, &found);
	for (const struct addrinfo *each = lookup->error == 0 ? found : NULL;
	     each != NULL && lookup->n < LOOKUP_MAX; each = each->ai_next)
		memcpy(&lookup->addresses[lookup->n++], each->ai_addr, each->ai_addrlen);
	if (found != NULL)
		freeaddrinfo(found);
	atomic_store(&lookup->is_over, true);
	while (write(lookup->fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	leave(lookup);
	return NULL;
}

/* Signals are for other threads. */
static int
start_thread(struct lookup *lookup)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&thread, &attributes, thread_main, lookup);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

int
lookup_start_alone(const char *host, struct lookup **ret)
{
	struct lookup *lookup;
	int r;

	if (strlen(host) >= LOOKUP_HOST_BYTES)
		return -ENAMETOOLONG;
	lookup = calloc(1, sizeof(*lookup));
	if (lookup == NULL)
		return -ENOMEM;
	snprintf(lookup->host, sizeof(lookup->host), "%s", host);
	atomic_init(&lookup->owners, 2);
	lookup->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = lookup->fd < 0 ? -errno : start_thread(lookup);
	if (r < 0) {
		atomic_store(&lookup->owners, 1);
		leave(lookup);
		return r;
	}
	*ret = lookup;
	return 0;
}

int
lookup_fd(const struct lookup *lookup)
{
	return lookup->fd;
}

size_t
lookup_addresses(const struct lookup *lookup, const struct sockaddr_storage **ret,
		 const char **ret_error)
{
	bool is_over = atomic_load(&lookup->is_over);
	size_t n = is_over ? lookup->n : 0;

	*ret = lookup->addresses;
	*ret_error = !is_over ? "no answer yet" : n == 0 ? gai_strerror(lookup->error) : NULL;
	return n;
}

static void
on_over(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct lookup *lookup = arg;
	const struct sockaddr_storage *addresses;
	const char *error;
	size_t n = lookup_addresses(lookup, &addresses, &error);

	(void)loop, (void)fd, (void)events;
	loop_fd_remove(&lookup->watch);
	*lookup->at = NULL;
	lookup->fn(addresses, n, error, lookup->arg);
	leave(lookup);
}

int
lookup_start(struct loop *loop, const char *host, lookup_fn fn, void *arg, struct lookup **ret)
{
	struct lookup *lookup;
	int r = lookup_start_alone(host, &lookup);

	if (r < 0)
		return r;
	lookup->fn = fn;
	lookup->arg = arg;
	lookup->at = ret;
	r = loop_fd_add(loop, lookup->fd, EPOLLIN, on_over, lookup, &lookup->watch);
	if (r < 0) {
		leave(lookup);
		return r;
	}
	*ret = lookup;
	return 0;
}

void
lookup_stop(struct lookup **lookup)
{
	if (*lookup == NULL)
		return;
	loop_fd_remove(&(*lookup)->watch);
	leave(*lookup);
	*lookup = NULL;
}
