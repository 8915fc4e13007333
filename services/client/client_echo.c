/*
 * client_echo: see the header. ICMP and ICMPv6 echoes have one shape: type, code, checksum, id,
 * sequence. The kernel fills in checksum and id where the socket is its own; in raw IPv4 we do.
 */
#include "client/client_echo.h"

#include "net/address.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ECHO_HEADER_BYTES = 8, IPV4_HEADER_BYTES = 20, IPV6_HEADER_BYTES = 40 };

static size_t
ip_header_bytes(const struct client_echo *echo)
{
	return echo->family == AF_INET ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
}

static int
open_socket(struct client_echo *echo)
{
	int protocol = echo->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	const int flags = SOCK_CLOEXEC | SOCK_NONBLOCK;

	echo->fd = socket(echo->family, SOCK_DGRAM | flags, protocol);
	echo->is_raw = echo->fd < 0;
	if (echo->is_raw)
		echo->fd = socket(echo->family, SOCK_RAW | flags, protocol);
	return echo->fd < 0 ? -errno : 0;
}

/* The tunnel's MTU is the size asked for: nothing is to be cut, whatever is known of the path. */
static int
set_whole(const struct client_echo *echo)
{
	const int probe4 = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE;
	int r = echo->family == AF_INET
			? setsockopt(echo->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe4, sizeof probe4)
			: setsockopt(echo->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6,
				     sizeof probe6);

	return r < 0 ? -errno : 0;
}

int
client_echo_open(struct client_echo *echo, const char *address, const char *interface)
{
	struct sockaddr_storage to;
	int r;

	*echo = (struct client_echo){ .fd = -1 };
	if (address_parse_socket(address, 0, &to) < 0)
		return -EINVAL;
	echo->family = to.ss_family;
	if (getrandom(&echo->id, sizeof echo->id, 0) < 0)
		return -errno;
	r = open_socket(echo);
	if (r == 0 && setsockopt(echo->fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
				 (socklen_t)strlen(interface)) < 0)
		r = -errno;
	if (r == 0)
		r = set_whole(echo);
	if (r == 0 &&
	    connect(echo->fd, (const struct sockaddr *)&to, address_socket_bytes(&to)) < 0)
		r = -errno;
	if (r < 0)
		client_echo_close(echo);
	return r;
}

void
client_echo_close(struct client_echo *echo)
{
	if (echo->fd >= 0)
		close(echo->fd);
	echo->fd = -1;
}

/* RFC 1071 */
static uint16_t
checksum(const uint8_t *bytes, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void
put16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

int
client_echo_send(const struct client_echo *echo, uint16_t sequence, size_t bytes)
{
	uint8_t message[ECHO_BYTES_MAX] = { 0 };

	if (bytes < ECHO_BYTES_MIN || bytes > ECHO_BYTES_MAX)
		return -EINVAL;
	size_t n = bytes - ip_header_bytes(echo);
	message[0] = echo->family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	put16(message + 4, echo->id);
	put16(message + 6, sequence);
	if (echo->family == AF_INET)
		put16(message + 2, checksum(message, n));
	return send(echo->fd, message, n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A raw socket of IPv4 shows the IP header, too. */
static const uint8_t *
find_message(const struct client_echo *echo, const uint8_t *bytes, size_t n, size_t *ret_n)
{
	size_t header = 0;

	if (echo->is_raw && echo->family == AF_INET && n > 0)
		header = (size_t)(bytes[0] & 0x0f) * 4;
	if (n < header + ECHO_HEADER_BYTES)
		return NULL;
	*ret_n = n - header;
	return bytes + header;
}

static bool
is_answer(const struct client_echo *echo, const uint8_t *message)
{
	uint8_t type = echo->family == AF_INET ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
	bool is_ours = message[4] == echo->id >> 8 && message[5] == (echo->id & 0xff);

	return message[0] == type && (is_ours || !echo->is_raw);
}

bool
client_echo_receive(const struct client_echo *echo, uint16_t *ret_sequence, size_t *ret_bytes)
{
	uint8_t bytes[ECHO_BYTES_MAX];
	const uint8_t *message;
	ssize_t n;
	size_t message_n;

	/* Errors that ICMP brought are passed over like what is no answer. */
	while ((n = recv(echo->fd, bytes, sizeof bytes, 0)) >= 0 ||
	       (errno != EAGAIN && errno != EBADF)) {
		message = n < 0 ? NULL : find_message(echo, bytes, (size_t)n, &message_n);
		if (message == NULL || !is_answer(echo, message))
			continue;
		*ret_sequence = (uint16_t)(message[6] << 8 | message[7]);
		*ret_bytes = message_n + ip_header_bytes(echo);
		return true;
	}
	return false;
}
