/*
 * client_shim: see the header. Reads with recvmmsg and UDP_GRO what is there, gathers it into
 * batches and hands those over once a turn; writes a batch with one sendmmsg in which runs of
 * datagrams of one size are a single segmented send (UDP_SEGMENT).
 */
#include "client/client_shim.h"

#include "net/udp_bundle.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ROUNDS = 8, /* a turn, then timers and the leg have theirs */
	SOCKET_BUFFER_BYTES = 4 * 1024 * 1024,
};

struct client_shim {
	struct loop *loop;
	struct loop_fd *watch;
	int fd;
	uint16_t port;
	struct leg_client *leg;
	client_shim_carry_fn carry;
	void *carry_arg;
	struct leg_writer writer;
	struct client_pulse pulse;
	struct metric *lost_up, *lost_down;
	uint8_t batch[LEG_MESSAGE_MAX_BYTES];
	struct udp_bundle_reads reads;
};

static void
batch_start(struct client_shim *shim)
{
	leg_writer_init(&shim->writer, false, 0, shim->batch, sizeof shim->batch);
}

static void
batch_send(struct client_shim *shim)
{
	unsigned count = shim->writer.count;

	if (count == 0)
		return;
	if (leg_client_send(shim->leg, shim->batch, shim->writer.n, false) < 0)
		metric_add(shim->lost_up, count);
	batch_start(shim);
}

static void
take_datagram(struct client_shim *shim, const uint8_t *datagram, size_t n)
{
	int r = leg_writer_add(&shim->writer, datagram, n);

	if (r == -ENOSPC) {
		batch_send(shim);
		r = leg_writer_add(&shim->writer, datagram, n);
	}
	if (r < 0)
		metric_add(shim->lost_up, 1);
}

/* What the kernel joined is taken apart again. */
static void
take_read(struct msghdr *header, const uint8_t *bytes, size_t n, size_t segment, void *arg)
{
	struct client_shim *shim = arg;

	(void)header;
	if (shim->leg == NULL)
		return;
	client_pulse_sent(&shim->pulse, bytes, n < segment ? n : segment, loop_now_ms(shim->loop));
	if (n == 0 || (shim->carry != NULL && shim->carry(bytes, n, segment, shim->carry_arg)))
		return;
	for (size_t at = 0; at < n; at += segment)
		take_datagram(shim, bytes + at, n - at < segment ? n - at : segment);
}

static void
on_readable(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct client_shim *shim = arg;
	int more = 1;

	(void)loop;
	(void)events;
	/* ECONNREFUSED: WireGuard is being restarted. */
	for (int round = 0; round < ROUNDS && more > 0; round++)
		more = udp_bundle_read(fd, &shim->reads, take_read, shim);
	if (shim->leg == NULL)
		return;
	batch_send(shim);
	leg_client_flush(shim->leg);
}

void
client_shim_send(struct client_shim *shim, const uint8_t *datagram, size_t n)
{
	if (shim->leg == NULL)
		return;
	take_datagram(shim, datagram, n);
	batch_send(shim);
	leg_client_flush(shim->leg);
}

void
client_shim_lose(struct client_shim *shim, uint64_t n)
{
	metric_add(shim->lost_up, n);
}

void
client_shim_lost(const struct client_shim *shim, uint64_t *ret_up, uint64_t *ret_down)
{
	*ret_up = metric_value(shim->lost_up);
	*ret_down = metric_value(shim->lost_down);
}

static int
open_socket(struct client_shim *shim)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof address;

	shim->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (shim->fd < 0 || bind(shim->fd, (struct sockaddr *)&address, n) < 0 ||
	    getsockname(shim->fd, (struct sockaddr *)&address, &n) < 0 ||
	    setsockopt(shim->fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		return -errno;
	shim->port = ntohs(address.sin_port);
	udp_bundle_prepare(shim->fd, SOCKET_BUFFER_BYTES);
	return 0;
}

int
client_shim_new(struct loop *loop, struct metrics *metrics, struct client_shim **ret)
{
	struct client_shim *shim = calloc(1, sizeof *shim);

	if (shim == NULL)
		return -ENOMEM;
	shim->loop = loop;
	int r = open_socket(shim);
	if (r == 0)
		r = loop_fd_add(loop, shim->fd, EPOLLIN, on_readable, shim, &shim->watch);
	if (r < 0) {
		client_shim_free(&shim);
		return r;
	}
	batch_start(shim);
	shim->lost_up = metrics_counter(metrics, "lost_total", "direction=\"up\"",
					"datagrams that were not passed on");
	shim->lost_down = metrics_counter(metrics, "lost_total", "direction=\"down\"",
					  "datagrams that were not passed on");
	*ret = shim;
	return 0;
}

void
client_shim_free(struct client_shim **shim_pointer)
{
	struct client_shim *shim = *shim_pointer;

	if (shim == NULL)
		return;
	*shim_pointer = NULL;
	loop_fd_remove(&shim->watch);
	if (shim->fd >= 0)
		close(shim->fd);
	free(shim);
}

void
client_shim_set_carry(struct client_shim *shim, client_shim_carry_fn carry, void *arg)
{
	shim->carry = carry;
	shim->carry_arg = arg;
}

struct client_pulse *
client_shim_pulse(struct client_shim *shim)
{
	return &shim->pulse;
}

uint16_t
client_shim_port(const struct client_shim *shim)
{
	return shim->port;
}

int
client_shim_join(struct client_shim *shim, uint16_t wireguard_port, struct leg_client *leg)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(wireguard_port),
					     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	if (connect(shim->fd, (const struct sockaddr *)&address, sizeof address) < 0)
		return -errno;
	shim->leg = leg;
	return 0;
}

/* Datagrams for one sendmmsg: those that may go as one are one message. */
struct runs {
	struct mmsghdr messages[LEG_BATCH_MAX];
	struct iovec vectors[LEG_BATCH_MAX];
	_Alignas(struct cmsghdr) uint8_t controls[LEG_BATCH_MAX][CMSG_SPACE(sizeof(uint16_t))];
	size_t run_n, vector_n;
};

static void
run_add(struct runs *runs, const uint8_t *datagram, size_t n)
{
	runs->vectors[runs->vector_n++] = (struct iovec){ (void *)(uintptr_t)datagram, n };
}

static void
runs_form(struct runs *runs)
{
	runs->run_n = 0;
	for (size_t at = 0; at < runs->vector_n;) {
		size_t n = udp_bundle_run(runs->vectors + at, runs->vector_n - at);
		uint8_t *control = runs->controls[runs->run_n];
		struct msghdr *header = &runs->messages[runs->run_n++].msg_hdr;

		*header = (struct msghdr){ .msg_iov = &runs->vectors[at], .msg_iovlen = n };
		if (n > 1) {
			memset(control, 0, sizeof runs->controls[0]);
			header->msg_control = control;
			udp_bundle_mark(header, runs->vectors[at].iov_len);
		}
		at += n;
	}
}

/* Returns how many datagrams went. */
static size_t
runs_send(int fd, struct runs *runs)
{
	size_t sent = 0;

	runs_form(runs);
	for (size_t at = 0; at < runs->run_n;) {
		int n = sendmmsg(fd, runs->messages + at, (unsigned)(runs->run_n - at),
				 MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0 && errno == ECONNREFUSED) /* an earlier one's; now it is told */
			n = sendmmsg(fd, runs->messages + at, (unsigned)(runs->run_n - at),
				     MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0)
			break;
		for (int i = 0; i < n; i++)
			sent += runs->messages[at + (size_t)i].msg_hdr.msg_iovlen;
		at += (size_t)n;
	}
	return sent;
}

static void
deliver_runs(struct client_shim *shim, struct runs *runs)
{
	size_t sent = runs_send(shim->fd, runs);

	for (size_t i = 0; i < runs->vector_n; i++)
		client_pulse_heard(&shim->pulse, runs->vectors[i].iov_base,
				   runs->vectors[i].iov_len);
	metric_add(shim->lost_down, runs->vector_n - sent);
}

int
client_shim_deliver(struct client_shim *shim, const uint8_t *message, size_t n)
{
	struct leg_reader reader;
	struct runs runs;
	const uint8_t *datagram;
	size_t datagram_n;
	int r = leg_reader_init(&reader, false, message, n);

	if (r < 0)
		return r;
	runs.vector_n = 0;
	while ((r = leg_reader_next(&reader, &datagram, &datagram_n)) == 1)
		run_add(&runs, datagram, datagram_n);
	deliver_runs(shim, &runs);
	return r;
}

void
client_shim_deliver_bundle(struct client_shim *shim, const uint8_t *bytes, size_t n, size_t segment)
{
	struct runs runs;

	for (size_t at = 0; at < n;) {
		runs.vector_n = 0;
		for (; at < n && runs.vector_n < LEG_BATCH_MAX; at += segment)
			run_add(&runs, bytes + at, n - at < segment ? n - at : segment);
		deliver_runs(shim, &runs);
	}
}
