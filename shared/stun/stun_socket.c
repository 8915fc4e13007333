/* stun_socket: questions that are under way, and who may answer them. */
#include "stun/stun_socket.h"

#include "loop/clock.h"
#include "stun/stun_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { RTO_FIRST_MS = 500, DATAGRAM_BYTES = 2048 };

struct transaction {
	struct stun_socket *socket;
	struct stun_writer request;
	struct sockaddr_in6 to, from;
	bool has_key;
	uint8_t key[STUN_KEY_BYTES];
	int64_t rto_ms, deadline_ms, sent_us;
	struct loop_timer *timer;
	stun_answer_fn fn;
	void *arg;
	struct transaction *next;
};

struct stun_socket {
	struct loop *loop;
	int fd, family;
	struct loop_fd *watch;
	struct transaction *transactions;
	struct metric *malformed, *stray, *unsigned_;
};

int
stun_transaction_make(uint8_t ret[STUN_TRANSACTION_BYTES])
{
	return getrandom(ret, STUN_TRANSACTION_BYTES, 0) == STUN_TRANSACTION_BYTES ? 0 : -EIO;
}

/* ---- addresses: the mapped form outside, the family's own at the socket ---- */

static socklen_t
to_native(int family, const struct sockaddr_in6 *address, struct sockaddr_storage *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;

	memset(ret, 0, sizeof(*ret));
	if (family == AF_INET6) {
		memcpy(ret, address, sizeof(*address));
		return sizeof(*address);
	}
	v4->sin_family = AF_INET;
	v4->sin_port = address->sin6_port;
	memcpy(&v4->sin_addr, &address->sin6_addr.s6_addr[12], sizeof(v4->sin_addr));
	return sizeof(*v4);
}

static bool
is_same(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	return a->sin6_port == b->sin6_port &&
	       memcmp(&a->sin6_addr, &b->sin6_addr, sizeof(a->sin6_addr)) == 0;
}

/* ---- transactions ---- */

static void
unlink_transaction(struct transaction *transaction)
{
	struct transaction **at = &transaction->socket->transactions;

	while (*at != transaction)
		at = &(*at)->next;
	*at = transaction->next;
}

static void
free_transaction(struct transaction *transaction)
{
	loop_timer_stop(&transaction->timer);
	free(transaction);
}

/* The last that is done with it, and maybe with the socket. */
static void
finish(struct transaction *transaction, const struct stun_message *message, uint32_t round_trip_us)
{
	stun_answer_fn fn = transaction->fn;
	void *arg = transaction->arg;

	unlink_transaction(transaction);
	free_transaction(transaction);
	fn(message, round_trip_us, arg);
}

/* A datagram that cannot be sent is lost as one on the way would be. */
static void
send_request(struct transaction *transaction)
{
	struct sockaddr_storage to;
	socklen_t n = to_native(transaction->socket->family, &transaction->to, &to);

	transaction->sent_us = clock_monotonic_us();
	(void)sendto(transaction->socket->fd, transaction->request.bytes, transaction->request.n,
		     MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, n);
}

static void on_timer(struct loop *loop, void *arg);

static void
wait_longer(struct transaction *transaction, int64_t now_ms)
{
	int64_t left_ms = transaction->deadline_ms - now_ms;
	int64_t wait_ms = transaction->rto_ms < left_ms ? transaction->rto_ms : left_ms;

	transaction->timer = NULL;
	transaction->rto_ms = 2 * transaction->rto_ms;
	if (loop_timer_start(transaction->socket->loop, wait_ms > 0 ? wait_ms : 0, 0, on_timer,
			     transaction, &transaction->timer) != 0)
		transaction->timer = NULL; /* no memory: nobody will hear of it again */
}

static void
on_timer(struct loop *loop, void *arg)
{
	struct transaction *transaction = arg;
	int64_t now_ms = loop_now_ms(loop);

	transaction->timer = NULL; /* it was for once */
	if (now_ms >= transaction->deadline_ms) {
		finish(transaction, NULL, 0);
		return;
	}
	send_request(transaction);
	wait_longer(transaction, now_ms);
}

int
stun_socket_ask(struct stun_socket *socket, const struct stun_question *question, stun_answer_fn fn,
		void *arg)
{
	struct transaction *transaction = calloc(1, sizeof(*transaction));
	int64_t now_ms = clock_monotonic_ms();

	if (transaction == NULL)
		return -ENOMEM;
	transaction->socket = socket;
	transaction->request = *question->request;
	transaction->to = question->to;
	transaction->from = question->from != NULL ? *question->from : question->to;
	transaction->has_key = question->key != NULL;
	if (question->key != NULL)
		memcpy(transaction->key, question->key, sizeof(transaction->key));
	transaction->rto_ms = question->is_once ? INT32_MAX : RTO_FIRST_MS;
	transaction->deadline_ms =
		now_ms + (question->timeout_ms > 0 ? question->timeout_ms : STUN_TIMEOUT_MS);
	transaction->fn = fn;
	transaction->arg = arg;
	send_request(transaction);
	wait_longer(transaction, now_ms);
	if (transaction->timer == NULL) {
		free(transaction);
		return -ENOMEM;
	}
	transaction->next = socket->transactions;
	socket->transactions = transaction;
	return 0;
}

/* ---- answers ---- */

static struct transaction *
find(const struct stun_socket *socket, const struct stun_message *message,
     const struct sockaddr_in6 *from)
{
	struct transaction *transaction = socket->transactions;

	while (transaction != NULL && (memcmp(transaction->request.bytes + 8, message->transaction,
					      STUN_TRANSACTION_BYTES) != 0 ||
				       !is_same(&transaction->from, from)))
		transaction = transaction->next;
	return transaction;
}

static unsigned
method_of(const struct stun_writer *request)
{
	struct stun_message message;

	return stun_message_parse(request->bytes, request->n, &message) == 0 ? message.method : 0;
}

static void
take(struct stun_socket *socket, const uint8_t *bytes, size_t n, const struct sockaddr_in6 *from)
{
	struct stun_message message;
	struct transaction *transaction;
	int64_t took_us;

	if (stun_message_parse(bytes, n, &message) != 0 || stun_has_unknown(&message)) {
		metric_add(socket->malformed, 1);
		return;
	}
	transaction = find(socket, &message, from);
	if (transaction == NULL || message.class < STUN_SUCCESS ||
	    message.method != method_of(&transaction->request)) {
		metric_add(socket->stray, 1);
		return;
	}
	if (transaction->has_key &&
	    !stun_is_authentic(&message, transaction->key, STUN_KEY_BYTES) &&
	    (message.class == STUN_SUCCESS || message.integrity_at != 0)) {
		metric_add(socket->unsigned_, 1);
		return;
	}
	took_us = clock_monotonic_us() - transaction->sent_us;
	finish(transaction, &message, took_us > UINT32_MAX ? UINT32_MAX : (uint32_t)took_us);
}

/* One at a time: the loop calls again while there is more, and the first may have closed us. */
static void
on_readable(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct stun_socket *socket = arg;
	uint8_t bytes[DATAGRAM_BYTES];
	struct sockaddr_storage native = { 0 };
	socklen_t native_n = sizeof(native);
	struct sockaddr_in6 from;
	ssize_t n = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC,
			     (struct sockaddr *)&native, &native_n);

	(void)loop;
	(void)events;
	if (n < 0) /* an ICMP error of an earlier one, or nothing */
		return;
	if ((size_t)n > sizeof(bytes)) {
		metric_add(socket->malformed, 1);
		return;
	}
	stun_from_native(&native, &from);
	take(socket, bytes, (size_t)n, &from);
}

/* ---- the socket ---- */

static void
make_metrics(struct stun_socket *socket, struct metrics *metrics)
{
	static const char help[] = "STUN datagrams that were no answer to us";

	socket->malformed =
		metrics_counter(metrics, "stun_ignored_total", "reason=\"malformed\"", help);
	socket->stray = metrics_counter(metrics, "stun_ignored_total", "reason=\"spoof\"", help);
	socket->unsigned_ =
		metrics_counter(metrics, "stun_ignored_total", "reason=\"unsigned\"", help);
}

static int
open_fd(struct stun_socket *socket_, const struct sockaddr_in6 *local)
{
	struct sockaddr_storage native;
	socklen_t n;
	int one = 1;

	socket_->fd = socket(socket_->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (socket_->fd < 0)
		return -errno;
	if (socket_->family == AF_INET6)
		(void)setsockopt(socket_->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (local == NULL)
		return 0;
	n = to_native(socket_->family, local, &native);
	return bind(socket_->fd, (struct sockaddr *)&native, n) == 0 ? 0 : -errno;
}

int
stun_socket_open(struct loop *loop, struct metrics *metrics, int family,
		 const struct sockaddr_in6 *local, struct stun_socket **ret)
{
	struct stun_socket *socket = calloc(1, sizeof(*socket));
	int error;

	if (socket == NULL)
		return -ENOMEM;
	socket->loop = loop;
	socket->family = family;
	make_metrics(socket, metrics);
	error = open_fd(socket, local);
	if (error == 0)
		error = loop_fd_add(loop, socket->fd, EPOLLIN, on_readable, socket, &socket->watch);
	if (error != 0) {
		stun_socket_close(&socket);
		return error;
	}
	*ret = socket;
	return 0;
}

void
stun_socket_close(struct stun_socket **socket)
{
	struct stun_socket *closing = *socket;

	if (closing == NULL)
		return;
	*socket = NULL;
	while (closing->transactions != NULL) {
		struct transaction *transaction = closing->transactions;

		closing->transactions = transaction->next;
		free_transaction(transaction);
	}
	loop_fd_remove(&closing->watch);
	if (closing->fd >= 0)
		(void)close(closing->fd);
	free(closing);
}

/* Ours is bound to any address; a connected one tells which the kernel would take. */
int
stun_socket_local(const struct stun_socket *socket_, const struct sockaddr_in6 *server,
		  struct sockaddr_in6 *ret)
{
	struct sockaddr_storage native = { 0 }, to;
	socklen_t n = sizeof(native), to_n = to_native(socket_->family, server, &to);
	int fd = socket(socket_->family, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;
	in_port_t port;

	if (fd < 0 || getsockname(socket_->fd, (struct sockaddr *)&native, &n) != 0)
		error = -errno;
	stun_from_native(&native, ret);
	port = ret->sin6_port;
	n = sizeof(native);
	if (error == 0 && (connect(fd, (struct sockaddr *)&to, to_n) != 0 ||
			   getsockname(fd, (struct sockaddr *)&native, &n) != 0))
		error = -errno;
	if (fd >= 0)
		(void)close(fd);
	stun_from_native(&native, ret);
	ret->sin6_port = port;
	return error;
}

int
stun_socket_family(const struct stun_socket *socket)
{
	return socket->family;
}
