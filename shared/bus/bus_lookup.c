/*
 * bus_lookup: see bus_lookup.h. The job belongs to both threads, and the last to leave frees it:
 * the resolver cannot be stopped, and who asked does not wait for it.
 */
#include "bus/bus_lookup.h"

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

enum { STACK_BYTES = 512 * 1024, ADDRESS_BYTES = 64 };

struct job {
	atomic_int owners;
	int event_fd; /* the thread's only word to the loop, after which the rest is the loop's */
	char host[BUS_LOOKUP_HOST_BYTES], port[BUS_LOOKUP_PORT_BYTES];
	char endpoints[BUS_LOOKUP_MAX][BUS_ENDPOINT_BYTES];
	size_t n;
};

struct bus_lookup {
	struct job *job;
	struct loop_fd *watch;
	bus_lookup_fn fn;
	void *arg;
	struct bus_lookup **at; /* where the caller keeps us */
};

static void
job_leave(struct job *job)
{
	if (atomic_fetch_sub(&job->owners, 1) > 1)
		return;
	close(job->event_fd);
	free(job);
}

static void
note_address(struct job *job, const struct addrinfo *found)
{
	char address[ADDRESS_BYTES];

	if (job->n == BUS_LOOKUP_MAX || getnameinfo(found->ai_addr, found->ai_addrlen, address,
						    sizeof(address), NULL, 0, NI_NUMERICHOST) != 0)
		return;
	snprintf(job->endpoints[job->n++], BUS_ENDPOINT_BYTES,
		 found->ai_family == AF_INET6 ? "tcp://[%s]:%s" : "tcp://%s:%s", address,
		 job->port);
}

static void *
thread_main(void *arg)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC,
					.ai_socktype = SOCK_STREAM,
					.ai_flags = AI_ADDRCONFIG };
	struct addrinfo *found = NULL;
	struct job *job = arg;
	uint64_t one = 1;

	if (getaddrinfo(job->host, NULL, &hints, &found) == 0) {
		for (const struct addrinfo *each = found; each != NULL; each = each->ai_next)
			note_address(job, each);
		freeaddrinfo(found);
	}
	(void)!write(job->event_fd, &one, sizeof(one));
	job_leave(job);
	return NULL;
}

static int
start_thread(struct job *job)
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
	r = pthread_create(&thread, &attributes, thread_main, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -r;
}

static void
on_done(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct bus_lookup *lookup = arg;
	struct job *job = lookup->job;
	bus_lookup_fn fn = lookup->fn;
	void *fn_arg = lookup->arg;
	uint64_t count;

	(void)loop, (void)events;
	if (read(fd, &count, sizeof(count)) != sizeof(count))
		return;
	loop_fd_remove(&lookup->watch);
	*lookup->at = NULL;
	free(lookup);
	fn((const char(*)[BUS_ENDPOINT_BYTES])job->endpoints, job->n, fn_arg);
	job_leave(job);
}

static int
job_new(const char *host, const char *port, struct job **ret)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return -ENOMEM;
	snprintf(job->host, sizeof(job->host), "%s", host);
	snprintf(job->port, sizeof(job->port), "%s", port);
	job->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (job->event_fd < 0) {
		int r = -errno;
		free(job);
		return r;
	}
	atomic_store(&job->owners, 2);
	*ret = job;
	return 0;
}

int
bus_lookup_start(struct loop *loop, const char *host, const char *port, bus_lookup_fn fn, void *arg,
		 struct bus_lookup **ret)
{
	struct bus_lookup *lookup = calloc(1, sizeof(*lookup));
	int r = lookup ? job_new(host, port, &lookup->job) : -ENOMEM;

	if (r < 0) {
		free(lookup);
		return r;
	}
	lookup->fn = fn;
	lookup->arg = arg;
	lookup->at = ret;
	r = loop_fd_add(loop, lookup->job->event_fd, EPOLLIN, on_done, lookup, &lookup->watch);
	if (r == 0)
		r = start_thread(lookup->job);
	if (r < 0) {
		loop_fd_remove(&lookup->watch);
		atomic_store(&lookup->job->owners, 1);
		job_leave(lookup->job);
		free(lookup);
		return r;
	}
	*ret = lookup;
	return 0;
}

void
bus_lookup_stop(struct bus_lookup **lookup)
{
	struct bus_lookup *l = *lookup;

	if (!l)
		return;
	loop_fd_remove(&l->watch);
	job_leave(l->job);
	free(l);
	*lookup = NULL;
}
