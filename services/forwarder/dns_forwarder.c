/*
 * dns_forwarder: see dns_forwarder.h.
 */
#include "forwarder/dns_forwarder.h"

#include "forwarder/dns_listeners.h"
#include "forwarder/dns_message.h"
#include "forwarder/dns_stream.h"
#include "forwarder/dns_upstreams.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum {
	QUERIES_MAX = 512,
	ATTEMPTS_MAX = 2,
	ATTEMPT_MS = 900,
	SWEEP_MS = 100,
	REFRESH_EVERY_SWEEPS = 50,
	READS_PER_TURN = 32,
};

struct dns_query {
	struct dns_forwarder *dns;
	int fd; /* to the resolver; -1: free */
	struct loop_fd *watch;
	struct sockaddr_storage client;
	enum dns_listener listener; /* where it came in, and its answer leaves */
	uint16_t client_id;
	unsigned first, attempts; /* the resolver asked first, and how often one was asked */
	int64_t deadline_ms;
	size_t n, question_end;
	uint8_t message[DNS_MESSAGE_MAX_BYTES];
};

struct dns_forwarder {
	struct loop *loop;
	struct dns_forwarder_options options;
	struct dns_upstreams upstreams;
	struct dns_streams *streams;
	struct dns_listeners listeners;
	struct loop_timer *sweep;
	unsigned sweeps, next_upstream;
	struct metric *asked, *answered, *failed, *refused;
	struct dns_query queries[QUERIES_MAX];
};

/* ---- queries ---- */

static void
query_close_socket(struct dns_query *query)
{
	loop_fd_remove(&query->watch);
	if (query->fd >= 0)
		close(query->fd);
	query->fd = -1;
}

static void
query_reply(struct dns_query *query, uint8_t *message, size_t n)
{
	dns_id_set(message, query->client_id);
	sendto(query->dns->listeners.fds[query->listener], message, n, MSG_DONTWAIT,
	       (const struct sockaddr *)&query->client, dns_upstream_length(&query->client));
	query_close_socket(query);
	query->n = 0;
}

static void
query_fail(struct dns_query *query)
{
	metric_add(query->dns->failed, 1);
	dns_make_servfail(query->message);
	query_reply(query, query->message, query->question_end);
}

static void on_answer(struct loop *loop, int fd, uint32_t events, void *arg);

/* A socket and an id of its own for each attempt, which an answer from the side would have to
 * guess. */
static int
query_ask(struct dns_query *query)
{
	struct dns_forwarder *dns = query->dns;
	uint16_t id;
	unsigned attempt = query->attempts++;
	if (dns->upstreams.count == 0)
		return -ENOENT;
	size_t which = (query->first + attempt) % dns->upstreams.count;
	const struct sockaddr_storage *upstream = &dns->upstreams.addresses[which];
	query->deadline_ms = loop_now_ms(dns->loop) + ATTEMPT_MS;
	query_close_socket(query);
	query->fd = socket(upstream->ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (query->fd < 0 || getrandom(&id, sizeof id, 0) != sizeof id)
		return -EIO;
	dns_id_set(query->message, id);
	if (connect(query->fd, (const struct sockaddr *)upstream, dns_upstream_length(upstream)) <
		    0 ||
	    send(query->fd, query->message, query->n, 0) < 0)
		return -errno;
	return loop_fd_add(dns->loop, query->fd, EPOLLIN, on_answer, query, &query->watch);
}

/* The next resolver, and when all had their turn, SERVFAIL. The silent one is asked last from now
 * on.
 */
static void
query_retry(struct dns_query *query)
{
	if (query->dns->next_upstream == query->first)
		query->dns->next_upstream++;
	while (query->attempts < ATTEMPTS_MAX)
		if (query_ask(query) == 0)
			return;
	query_fail(query);
}

static void
on_answer(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)events;
	struct dns_query *query = arg;
	uint8_t answer[DNS_MESSAGE_MAX_BYTES];
	ssize_t n = recv(fd, answer, sizeof answer, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		query_retry(query); /* nobody listens there */
		return;
	}
	if (!dns_answer_matches(answer, (size_t)n, query->message, query->question_end))
		return;
	metric_add(query->dns->answered, 1);
	query_reply(query, answer, (size_t)n);
}

static void
on_sweep(struct loop *loop, void *arg)
{
	struct dns_forwarder *dns = arg;
	int64_t now_ms = loop_now_ms(loop);
	for (size_t i = 0; i < QUERIES_MAX; i++)
		if (dns->queries[i].n > 0 && dns->queries[i].deadline_ms <= now_ms)
			query_retry(&dns->queries[i]);
	if (++dns->sweeps % REFRESH_EVERY_SWEEPS == 0)
		dns_upstreams_refresh(&dns->upstreams);
}

/* ---- clients ---- */

static bool
is_client(const struct dns_forwarder *dns, const struct sockaddr_storage *source)
{
	struct in6_addr address = { 0 };
	if (source->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)source;
		address.s6_addr[10] = address.s6_addr[11] = 0xff;
		memcpy(&address.s6_addr[12], &v4->sin_addr, sizeof v4->sin_addr);
	} else {
		address = ((const struct sockaddr_in6 *)source)->sin6_addr;
	}
	return dns->options.is_client(&address, dns->options.arg);
}

static struct dns_query *
query_new(struct dns_forwarder *dns)
{
	for (size_t i = 0; i < QUERIES_MAX; i++)
		if (dns->queries[i].n == 0)
			return &dns->queries[i];
	return NULL;
}

static void
query_start(struct dns_forwarder *dns, enum dns_listener listener,
	    const struct sockaddr_storage *client, const uint8_t *message, size_t n)
{
	int question_end = dns_query_check(message, n);
	struct dns_query *query =
		question_end > 0 && is_client(dns, client) ? query_new(dns) : NULL;
	if (!query) {
		metric_add(dns->refused, 1);
		return;
	}
	metric_add(dns->asked, 1);
	query->client = *client;
	query->listener = listener;
	query->client_id = dns_id_get(message);
	query->first = dns->next_upstream;
	query->attempts = 0;
	query->n = n;
	query->question_end = (size_t)question_end;
	memcpy(query->message, message, n);
	if (query_ask(query) < 0)
		query_retry(query);
}

static void
on_query(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)events;
	struct dns_forwarder *dns = arg;
	uint8_t message[DNS_MESSAGE_MAX_BYTES];
	for (int reads = 0; reads < READS_PER_TURN; reads++) {
		struct sockaddr_storage client;
		socklen_t length = sizeof client;
		ssize_t n = recvfrom(fd, message, sizeof message, 0, (struct sockaddr *)&client,
				     &length);
		if (n < 0)
			return;
		query_start(dns, dns_listener_of(&dns->listeners, fd), &client, message, (size_t)n);
	}
}

static void
on_connection(struct loop *loop, int fd, uint32_t events, void *arg)
{
	(void)loop;
	(void)events;
	struct dns_forwarder *dns = arg;
	struct sockaddr_storage client;
	socklen_t length = sizeof client;
	int client_fd =
		accept4(fd, (struct sockaddr *)&client, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client_fd < 0)
		return;
	if (!is_client(dns, &client) || dns->upstreams.count == 0) {
		metric_add(dns->refused, 1);
		close(client_fd);
		return;
	}
	metric_add(dns->asked, 1);
	if (dns_streams_join(dns->streams, client_fd,
			     &dns->upstreams.addresses[dns->next_upstream % dns->upstreams.count]) <
	    0)
		metric_add(dns->failed, 1);
}

/* ---- life ---- */

static void
count_by(struct dns_forwarder *dns, struct metrics *metrics)
{
	static const char name[] = "dns_queries_total";
	static const char help[] = "Queries from the tunnel, by how they went";
	dns->asked = metrics_counter(metrics, name, "result=\"asked\"", help);
	dns->answered = metrics_counter(metrics, name, "result=\"answered\"", help);
	dns->failed = metrics_counter(metrics, name, "result=\"failed\"", help);
	dns->refused = metrics_counter(metrics, name, "result=\"refused\"", help);
}

int
dns_forwarder_new(struct loop *loop, struct metrics *metrics,
		  const struct dns_forwarder_options *options, struct dns_forwarder **ret)
{
	struct dns_forwarder *dns = calloc(1, sizeof *dns);
	if (!dns)
		return -ENOMEM;
	const struct dns_listeners_options listeners = { .address4 = options->address4,
							 .address6 = options->address6,
							 .on_query = on_query,
							 .on_connection = on_connection,
							 .arg = dns };
	dns->loop = loop;
	dns->options = *options;
	dns_listeners_init(&dns->listeners);
	for (size_t i = 0; i < QUERIES_MAX; i++) {
		dns->queries[i].dns = dns;
		dns->queries[i].fd = -1;
	}
	count_by(dns, metrics);
	int r = dns_upstreams_init(&dns->upstreams, options->upstreams, options->resolv_conf);
	if (r == 0)
		r = dns_streams_new(loop, &dns->streams);
	if (r == 0)
		r = dns_listeners_open(&dns->listeners, loop, &listeners);
	if (r == 0)
		r = loop_timer_start(loop, SWEEP_MS, SWEEP_MS, on_sweep, dns, &dns->sweep);
	if (r < 0) {
		dns_forwarder_free(&dns);
		return r;
	}
	log_info("dns_forwarder_up", "port=%u upstreams=%zu", dns->listeners.port,
		 dns->upstreams.count);
	*ret = dns;
	return 0;
}

void
dns_forwarder_free(struct dns_forwarder **dns)
{
	if (!*dns)
		return;
	loop_timer_stop(&(*dns)->sweep);
	for (size_t i = 0; i < QUERIES_MAX; i++)
		query_close_socket(&(*dns)->queries[i]);
	dns_listeners_close(&(*dns)->listeners);
	dns_streams_free(&(*dns)->streams);
	free(*dns);
	*dns = NULL;
}

uint16_t
dns_forwarder_port(const struct dns_forwarder *dns)
{
	return dns->listeners.port;
}
