/*
 * lab: see lab.h.
 */
#include "lab.h"

#include "wg/child.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { COMMAND_BYTES = 1024, OUTPUT_BYTES = 256 * 1024 };

bool
lab_can_run(void)
{
	if (geteuid() == 0 && unshare(CLONE_NEWNET) == 0)
		return true;
	print_message("skipped: needs root and network namespaces\n");
	return false;
}

static int
namespace_new(void)
{
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	/* Without it a link-local address comes a second late, in the middle of a test. */
	lab_run(fd, "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad && "
		    "echo 0 >/proc/sys/net/ipv6/conf/default/dad_transmits && ip link set lo up");
	return fd;
}

void
lab_enter(int ns)
{
	assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

void
lab_run(int ns, const char *format, ...)
{
	char command[COMMAND_BYTES];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(command, sizeof command, format, arguments);
	va_end(arguments);
	const char *argv[] = { "sh", "-c", command, NULL };
	lab_enter(ns);
	if (child_run(argv, NULL, 0, NULL, 0, LAB_DEADLINE_MS) < 0)
		fail_msg("failed: %s", command);
}

char *
lab_output(int ns, const char *command)
{
	const char *argv[] = { "sh", "-c", command, NULL };
	char *output = malloc(OUTPUT_BYTES);
	assert_non_null(output);
	lab_enter(ns);
	assert_int_equal(child_run(argv, NULL, 0, output, OUTPUT_BYTES, LAB_DEADLINE_MS), 0);
	return output;
}

static void
connect_hosts(int a, const char *name_a, int b, const char *name_b)
{
	lab_run(a,
		"ip link add %s type veth peer name %s netns /proc/%d/fd/%d && ip link set %s up",
		name_a, name_b, getpid(), b, name_a);
	lab_run(b, "ip link set %s up", name_b);
}

void
lab_assert_same(const char *before, const char *after)
{
	size_t same = 0;
	while (before[same] && before[same] == after[same])
		same++;
	if (!before[same] && !after[same])
		return;
	while (same > 0 && before[same - 1] != '\n')
		same--;
	fail_msg("was \"%.*s\", is \"%.*s\"", (int)strcspn(before + same, "\n"), before + same,
		 (int)strcspn(after + same, "\n"), after + same);
}

/* The kernel adds its own routes of IPv6 when the link has found its carrier, which may be after
 * us. */
static void
wait_for_routes(int ns, const char *interface, const char *address)
{
	lab_run(ns,
		"for i in $(seq 500); do r=$(ip -6 route show table local dev %s); "
		"case $r in *'local %s '*'local fe80'*ff00*) exit 0;; esac; sleep 0.01; done; exit 1",
		interface, address);
}

/* WireGuard knows no neighbours, so neither must its stand-in. */
static void
tunnel_up(struct lab *lab)
{
	connect_hosts(lab->client, "tun0", lab->node, lab->tunnel);
	lab_run(lab->client,
		"ip link set tun0 address 02:00:00:00:00:02 && ip address add 10.90.0.2/16 dev "
		"tun0 && "
		"ip address add 10.90.0.99/16 dev tun0 && "
		"ip address add fd48:6967:6773::2/64 dev tun0 nodad && "
		"ip neighbour add 10.90.0.1 lladdr 02:00:00:00:00:01 dev tun0 && "
		"ip neighbour add fd48:6967:6773::1 lladdr 02:00:00:00:00:01 dev tun0 && "
		"ip route add default via 10.90.0.1 && "
		"ip -6 route add default via fd48:6967:6773::1");
	lab_run(lab->node,
		"ip link set %s address 02:00:00:00:00:01 && ip address add 10.90.0.1/16 dev %s && "
		"ip address add fd48:6967:6773::1/64 dev %s nodad && "
		"ip neighbour add 10.90.0.2 lladdr 02:00:00:00:00:02 dev %s && "
		"ip neighbour add 10.90.0.99 lladdr 02:00:00:00:00:02 dev %s && "
		"ip neighbour add fd48:6967:6773::2 lladdr 02:00:00:00:00:02 dev %s",
		lab->tunnel, lab->tunnel, lab->tunnel, lab->tunnel, lab->tunnel, lab->tunnel);
}

void
lab_up(struct lab *lab, bool with_tunnel)
{
	snprintf(lab->tunnel, sizeof lab->tunnel, "hgx%d", getpid());
	lab->client = namespace_new();
	lab->node = namespace_new();
	lab->home = namespace_new();
	lab->inet = namespace_new();
	connect_hosts(lab->node, "up0", lab->home, "lan0");
	connect_hosts(lab->home, "wan0", lab->inet, "net0");
	lab_run(lab->home, "ip address add 192.168.1.1/24 dev lan0 && ip address add "
			   "192.168.1.20/24 dev lan0 && "
			   "ip address add 169.254.169.254/32 dev lan0 && ip address add "
			   "198.51.100.1/24 dev wan0 && "
			   "ip address add 2001:db8:2::1/64 dev lan0 nodad && "
			   "ip address add 2001:db8:80::1/64 dev wan0 nodad && "
			   "echo 1 >/proc/sys/net/ipv4/ip_forward && echo 1 "
			   ">/proc/sys/net/ipv6/conf/all/forwarding");
	lab_run(lab->inet, "ip address add 198.51.100.80/24 dev net0 && ip address add "
			   "2001:db8:80::80/64 dev net0 nodad && "
			   "ip route add default via 198.51.100.1 && ip -6 route add default via "
			   "2001:db8:80::1");
	lab_run(lab->node, "ip address add 192.168.1.10/24 dev up0 && ip address add "
			   "2001:db8:2::10/64 dev up0 nodad && "
			   "ip route add default via 192.168.1.1 && ip -6 route add default via "
			   "2001:db8:2::1 && "
			   "ip route add 169.254.169.254 dev up0");
	wait_for_routes(lab->node, "up0", "2001:db8:2::10");
	if (with_tunnel) {
		tunnel_up(lab);
		wait_for_routes(lab->node, lab->tunnel, "fd48:6967:6773::1");
	}
}

void
lab_down(struct lab *lab)
{
	close(lab->client);
	close(lab->node);
	close(lab->home);
	close(lab->inet);
}

static struct sockaddr_in6
address_of(const char *text, uint16_t port)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	char mapped[64];
	if (text && !strchr(text, ':')) {
		snprintf(mapped, sizeof mapped, "::ffff:%s", text);
		text = mapped;
	}
	if (text)
		assert_int_equal(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
	return address;
}

int
lab_udp(int ns, const char *address, uint16_t port)
{
	struct sockaddr_in6 local = address_of(address, port);
	int off = 0;
	lab_enter(ns);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&local, sizeof local), 0);
	return fd;
}

/* A refusal by the network (ENETUNREACH from an earlier ICMP error) is an answer, not a failure. */
void
lab_send(int fd, const char *to, uint16_t port, const char *text)
{
	struct sockaddr_in6 address = address_of(to, port);
	ssize_t n = sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&address,
			   sizeof address);
	if (n < 0 && errno != ENETUNREACH && errno != EHOSTUNREACH && errno != ECONNREFUSED &&
	    errno != EACCES)
		fail_msg("sendto %s: %s", to, strerror(errno));
}

bool
lab_receive(int fd, char *text, size_t n, struct sockaddr_in6 *ret_from)
{
	struct sockaddr_in6 from;
	socklen_t from_bytes = sizeof from;
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	if (poll(&readable, 1, LAB_DEADLINE_MS) != 1)
		return false;
	ssize_t got = recvfrom(fd, text, n - 1, 0, (struct sockaddr *)&from, &from_bytes);
	if (got < 0)
		return false;
	text[got] = 0;
	if (ret_from)
		*ret_from = from;
	return true;
}

int
lab_tcp_listen(int ns, uint16_t port)
{
	struct sockaddr_in6 local = address_of(NULL, port);
	int off = 0, on = 1;
	lab_enter(ns);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&local, sizeof local), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

int
lab_tcp_connect(int ns, const char *to, uint16_t port)
{
	struct sockaddr_in6 address = address_of(to, port);
	lab_enter(ns);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), -1);
	assert_int_equal(errno, EINPROGRESS);
	return fd;
}

bool
lab_accepts(int listener)
{
	struct pollfd readable = { .fd = listener, .events = POLLIN };
	return poll(&readable, 1, LAB_DEADLINE_MS) == 1;
}

int
lab_raw(int ns, int protocol)
{
	lab_enter(ns);
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, protocol);
	assert_true(fd >= 0);
	return fd;
}

void
lab_send_raw(int fd, const char *to, const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	assert_int_equal(inet_pton(AF_INET, to, &address.sin_addr), 1);
	assert_int_equal(sendto(fd, text, strlen(text), 0, (const struct sockaddr *)&address,
				sizeof address),
			 strlen(text));
}

bool
lab_is_silent(int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	return poll(&readable, 1, 0) == 0;
}
