/*
 * How much of the owner's line, of conntrack and of others' patience a session may use: threats T29
 * and T32, fault F38. What is above a limit is told by what arrives; each limit is shown against
 * traffic that passes without it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exit_rig.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SENT = 1000, FEW = SENT / 2, FLOOD_BYTES = 1000 };

static const char internet[] = "198.51.100.80";

static size_t
drain(int fd)
{
	char text[FLOOD_BYTES + 1];
	size_t n = 0;

	while (recv(fd, text, sizeof text, MSG_DONTWAIT) > 0)
		n++;
	return n;
}

/* SENT packets of one flow; how many arrived. */
static size_t
flood(int from, const char *address, uint16_t port, int to)
{
	char text[FLOOD_BYTES + 1];
	size_t n = 0;

	memset(text, 'x', FLOOD_BYTES);
	text[FLOOD_BYTES] = '\0';
	for (int i = 0; i < SENT; i++) {
		lab_send(from, address, port, text);
		n += drain(to);
	}
	return n;
}

/* The first packet of a flow, and from where it comes behind the NAT. */
static uint16_t
open_flow(struct fixture *f)
{
	struct sockaddr_in6 from;
	char text[TEXT_BYTES];

	lab_send(f->client, internet, LAB_PORT, "open");
	assert_true(lab_receive(f->inet, text, sizeof text, &from));
	return ntohs(from.sin6_port);
}

/* T32, F38: the flows of a client above its number are refused, its earlier ones go on, and so do
 * another client's. */
static void
test_flows_of_a_client_are_limited(void **state)
{
	enum { FLOWS_MAX = 20, FLOWS = 30 };
	struct fixture *f = *state;
	int flows[FLOWS];
	char text[TEXT_BYTES];

	NEEDS_ROOT(f);
	int other = lab_udp(f->lab.client, "10.90.0.99", 0);
	f->options.flows_max = FLOWS_MAX;
	f->options.with_second = true;
	holder_start(&f->lab, &f->options, &f->holder);
	for (int i = 0; i < FLOWS; i++) {
		flows[i] = lab_udp(f->lab.client, "10.90.0.2", 0);
		lab_send(flows[i], internet, LAB_PORT, "flow");
	}
	for (int i = 0; i < FLOWS_MAX; i++)
		assert_true(lab_receive(f->inet, text, sizeof text, NULL));
	lab_send(flows[0], internet, LAB_PORT, "control");
	expect(f->inet, "control", NULL);
	assert_true(lab_is_silent(f->inet));
	lab_send(other, internet, LAB_PORT, "other");
	expect(f->inet, "other", NULL);
	for (int i = 0; i < FLOWS; i++)
		close(flows[i]);
	close(other);
	holder_stop(&f->holder);
}

/* Opens SENT flows as fast as it can; how many were let through. */
static size_t
open_flows(struct fixture *f)
{
	size_t n = 0;

	for (int i = 0; i < SENT; i++) {
		int fd = lab_udp(f->lab.client, "10.90.0.2", 0);
		lab_send(fd, internet, LAB_PORT, "flow");
		n += drain(f->inet);
		close(fd);
	}
	return n;
}

/* T29 */
static void
test_new_flows_of_a_client_are_limited_and_another_clients_are_not(void **state)
{
	struct fixture *f = *state;

	NEEDS_ROOT(f);
	int other = lab_udp(f->lab.client, "10.90.0.99", 0);
	f->options.new_flows = 1;
	f->options.with_second = true;
	holder_start(&f->lab, &f->options, &f->holder);
	size_t n = open_flows(f);
	assert_in_range(n, 1, FEW);
	lab_send(other, internet, LAB_PORT, "other");
	expect(f->inet, "other", NULL);
	holder_stop(&f->holder);
	f->options.new_flows = 10 * SENT;
	holder_start(&f->lab, &f->options, &f->holder);
	assert_in_range(open_flows(f), FEW + 1, SENT);
	holder_stop(&f->holder);
	close(other);
}

/* T29: a flood from one session is the target's trouble, and the owner's name. */
static void
test_udp_packets_of_a_client_are_limited_and_another_clients_are_not(void **state)
{
	struct fixture *f = *state;

	NEEDS_ROOT(f);
	int other = lab_udp(f->lab.client, "10.90.0.99", 0);
	f->options.udp_packets = 10;
	f->options.with_second = true;
	holder_start(&f->lab, &f->options, &f->holder);
	assert_in_range(flood(f->client, internet, LAB_PORT, f->inet), 1, FEW);
	lab_send(other, internet, LAB_PORT, "other");
	expect(f->inet, "other", NULL);
	holder_stop(&f->holder);
	f->options.udp_packets = 1000 * SENT;
	holder_start(&f->lab, &f->options, &f->holder);
	assert_in_range(flood(f->client, internet, LAB_PORT, f->inet), FEW + 1, SENT);
	holder_stop(&f->holder);
	close(other);
}

static void
flood_up_and_down(struct fixture *f, size_t *ret_up, size_t *ret_down)
{
	holder_start(&f->lab, &f->options, &f->holder);
	uint16_t port = open_flow(f);
	*ret_down = flood(f->inet, "192.168.1.10", port, f->client);
	*ret_up = flood(f->client, internet, LAB_PORT, f->inet);
	holder_stop(&f->holder);
	drain(f->client);
	drain(f->inet);
}

/* The owner's line is his: also for whom the policy is off. */
static void
test_what_all_sessions_take_of_the_line_is_limited(void **state)
{
	struct fixture *f = *state;
	size_t up, down;

	NEEDS_ROOT(f);
	f->options.udp_packets = 1000 * SENT;
	flood_up_and_down(f, &up, &down);
	assert_in_range(up, FEW + 1, SENT);
	assert_in_range(down, FEW + 1, SENT);
	f->options.up_mbits = 1;
	flood_up_and_down(f, &up, &down);
	assert_in_range(up, 1, FEW);
	assert_in_range(down, FEW + 1, SENT);
	f->options.up_mbits = 0;
	f->options.down_mbits = 1;
	f->options.policy_on = false;
	flood_up_and_down(f, &up, &down);
	assert_in_range(up, FEW + 1, SENT);
	assert_in_range(down, 1, FEW);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		EXIT_TEST(test_flows_of_a_client_are_limited),
		EXIT_TEST(test_new_flows_of_a_client_are_limited_and_another_clients_are_not),
		EXIT_TEST(test_udp_packets_of_a_client_are_limited_and_another_clients_are_not),
		EXIT_TEST(test_what_all_sessions_take_of_the_line_is_limited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
