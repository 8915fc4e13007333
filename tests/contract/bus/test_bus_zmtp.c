/*
 * Peers that speak ZMTP byte by byte over ipc, so that they can say what no libzmq would: routing
 * ids of any length, subscriptions of any size. (B16, B18)
 */
#include "echo_stage.h"

#include "bus.pb-c.h"
#include "loop/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	GREETING_BYTES = 64,
	COMMAND_MAX_BYTES = 512,
	FRAME_MORE = 1,
	FRAME_LONG = 2,
	FRAME_COMMAND = 4,
	SHORT_MAX_BYTES = 255,
};

static struct heard heard;

static int
setup(void **state)
{
	stage_setup(state);
	ask_until_answered(*state, peer);
	return 0;
}

static int
teardown(void **state)
{
	bus_unsubscribe(&heard.subscription);
	return stage_teardown(state);
}

/* ---- ZMTP 3, rfc.zeromq.org/spec/23 ---- */

static void
send_all(int fd, const void *bytes, size_t n)
{
	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

static void
receive_all(int fd, void *bytes, size_t n)
{
	assert_int_equal(recv(fd, bytes, n, MSG_WAITALL), (ssize_t)n);
}

/* False when the other end closed meanwhile. */
static bool
send_frame(int fd, uint8_t flags, const void *bytes, size_t n)
{
	uint8_t head[9] = { flags, (uint8_t)n };
	size_t head_bytes = 2;

	if (n > SHORT_MAX_BYTES) {
		head[0] |= FRAME_LONG;
		for (size_t i = 0; i < 8; i++)
			head[1 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
		head_bytes = sizeof(head);
	}
	return send(fd, head, head_bytes, MSG_NOSIGNAL) == (ssize_t)head_bytes &&
	       send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* The next frame; returns its flags. */
static uint8_t
receive_frame(int fd, uint8_t *bytes, size_t capacity, size_t *ret_n)
{
	uint8_t head[2];

	receive_all(fd, head, sizeof(head));
	assert_false(head[0] & FRAME_LONG); /* nothing here is */
	assert_true(head[1] <= capacity);
	receive_all(fd, bytes, head[1]);
	*ret_n = head[1];
	return head[0];
}

static size_t
add_property(uint8_t *to, const char *name, const void *value, size_t n)
{
	size_t name_bytes = strlen(name);
	uint32_t length = htonl((uint32_t)n);

	to[0] = (uint8_t)name_bytes;
	memcpy(to + 1, name, name_bytes);
	memcpy(to + 1 + name_bytes, &length, sizeof(length));
	if (n > 0)
		memcpy(to + 1 + name_bytes + sizeof(length), value, n);
	return 1 + name_bytes + sizeof(length) + n;
}

/* A connection of this socket type and routing id, shaken hands with. */
static int
zmtp_open(const char *endpoint, const char *type, const void *id, size_t id_bytes)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = FIXTURE_PATIENCE_MS / 1000 };
	uint8_t greeting[GREETING_BYTES] = { [0] = 0xff, [8] = 1, [9] = 0x7f, [10] = 3 };
	uint8_t command[COMMAND_MAX_BYTES] = "\x05READY";
	size_t n = 6;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", endpoint + strlen("ipc://"));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	memcpy(greeting + 12, "NULL", 4);
	send_all(fd, greeting, sizeof(greeting));
	receive_all(fd, greeting, sizeof(greeting));
	n += add_property(command + n, "Socket-Type", type, strlen(type));
	n += add_property(command + n, "Identity", id, id_bytes);
	assert_true(send_frame(fd, FRAME_COMMAND, command, n));
	assert_true(receive_frame(fd, command, sizeof(command), &n) & FRAME_COMMAND);
	assert_memory_equal(command, "\x05READY", 6);
	return fd;
}

static void
send_request(int fd, uint64_t correlation)
{
	Boson__Bus__RequestHead head = BOSON__BUS__REQUEST_HEAD__INIT;
	uint8_t bytes[128];

	head.version = 1;
	head.correlation = correlation;
	head.method = (char *)(uintptr_t) "boson.test.Echo/Whoami";
	size_t n = boson__bus__request_head__get_packed_size(&head);
	assert_true(n <= sizeof(bytes));
	boson__bus__request_head__pack(&head, bytes);
	assert_true(send_frame(fd, FRAME_MORE, bytes, n));
	assert_true(send_frame(fd, 0, NULL, 0));
}

/* Who the server says that we are. */
static void
assert_answered_as(int fd, uint64_t correlation, const char *name)
{
	uint8_t bytes[COMMAND_MAX_BYTES];
	size_t n;

	while (receive_frame(fd, bytes, sizeof(bytes), &n) & FRAME_COMMAND)
		continue; /* heartbeats */
	size_t head_n = (size_t)bytes[0] << 8 | bytes[1];
	assert_true(2 + head_n <= n);
	Boson__Bus__ReplyHead *head = boson__bus__reply_head__unpack(NULL, head_n, bytes + 2);
	assert_non_null(head);
	assert_int_equal(head->correlation, correlation);
	boson__bus__reply_head__free_unpacked(head, NULL);
	Boson__Test__Words *words =
		boson__test__words__unpack(NULL, n - 2 - head_n, bytes + 2 + head_n);
	assert_non_null(words);
	assert_string_equal(words->text, name);
	boson__test__words__free_unpacked(words, NULL);
}

/* Answers heartbeats until the server closes, so that silence is not why it does. */
static void
assert_is_closed(int fd)
{
	int64_t end_ms = clock_monotonic_ms() + FIXTURE_PATIENCE_MS;
	uint8_t head[2], bytes[SHORT_MAX_BYTES];
	ssize_t n;

	while ((n = recv(fd, head, sizeof(head), MSG_WAITALL)) == (ssize_t)sizeof(head)) {
		assert_true(clock_monotonic_ms() < end_ms);
		n = recv(fd, bytes, head[1], MSG_WAITALL);
		if (n != head[1])
			break;
		if ((head[0] & FRAME_COMMAND) && n >= 5 && memcmp(bytes, "\x04PING", 5) == 0)
			(void)send_frame(fd, FRAME_COMMAND, "\x04PONG", 5);
	}
	assert_true(n == 0 || errno == ECONNRESET);
	close(fd);
}

/* Nothing but heartbeats came. */
static void
assert_no_answer(int fd)
{
	uint8_t bytes[COMMAND_MAX_BYTES];
	size_t n;

	while (recv(fd, bytes, 1, MSG_DONTWAIT | MSG_PEEK) == 1)
		assert_true(receive_frame(fd, bytes, sizeof(bytes), &n) & FRAME_COMMAND);
}

/* ---- routing ids (B16) ---- */

static void
test_B16_routing_id_of_no_bytes_is_a_peer_like_any_other(void **state)
{
	const struct fixture *f = *state;
	int a = zmtp_open(f->endpoint, "DEALER", NULL, 0);
	int b = zmtp_open(f->endpoint, "DEALER", NULL, 0);

	send_request(a, 1);
	send_request(b, 2);
	assert_answered_as(b, 2, "local");
	assert_answered_as(a, 1, "local");
	assert_still_served(state);
	close(a);
	close(b);
}

/* ZMTP knows ids of 255 bytes at most, and so does what we remember of a connection. */
static void
test_B16_routing_id_of_256_bytes_is_not_heard(void **state)
{
	const struct fixture *f = *state;
	uint8_t id[256];
	int64_t end_ms = clock_monotonic_ms() + FIXTURE_PATIENCE_MS;
	uint64_t dropped = 0;

	memset(id, 'x', sizeof(id));
	int longest = zmtp_open(f->endpoint, "DEALER", id, 255);
	int longer = zmtp_open(f->endpoint, "DEALER", id, 256);
	send_request(longest, 1);
	assert_answered_as(longest, 1, "local");
	send_request(longer, 2);
	while (dropped < 1 && clock_monotonic_ms() < end_ms) {
		assert_still_served(state);
		dropped = fixture_metric(echo.actor.metrics,
					 "bus_drops_total{reason=\"struck_out\"}");
	}
	assert_int_equal(dropped, 1);
	send_request(longest, 3); /* and has not changed whose answers go where */
	assert_answered_as(longest, 3, "local");
	assert_no_answer(longer);
	close(longer);
	close(longest);
}

/* Ids that begin with NUL are those that ROUTER makes itself. It names nobody, and whoever comes
 * with one that is taken gets nothing, least of all what is meant for the first. */
static void
test_B16_routing_id_with_a_leading_nul_takes_nobodys_place(void **state)
{
	const struct fixture *f = *state;
	static const uint8_t id[] = { 0, 'i', 'd', 0, 1 };
	int first = zmtp_open(f->endpoint, "DEALER", id, sizeof(id));

	send_request(first, 1);
	assert_answered_as(first, 1, "local");
	int second = zmtp_open(f->endpoint, "DEALER", id, sizeof(id));
	send_request(second, 2);
	for (uint64_t i = 3; i < 10; i++) {
		send_request(first, i);
		assert_answered_as(first, i, "local");
		assert_still_served(state);
	}
	assert_no_answer(second);
	close(second);
	close(first);
}

/* ---- subscriptions (B18) ---- */

static void
subscribe(struct fixture *f)
{
	hear(&heard, f, &boson__test__shout__descriptor);
	fixture_run_until(f, has_heard_a_gap, &heard);
}

static void
assert_still_published(void **state)
{
	struct asked asked;

	heard.events = 0;
	ask_and_wait(&asked, *state, peer, boson__test__echo__publish, "heard");
	assert_true(asked.answered);
	fixture_run_until(*state, has_heard_an_event, &heard);
	assert_int_equal(heard.gaps, 1); /* the first one's: nothing was lost since */
}

/* Both ways of saying it: ZMTP 3.0's message, and 3.1's command. */
static void
test_B18_subscription_of_a_mebibyte_ends_its_own_connection_only(void **state)
{
	static const char *const starts[] = { "\x01", "\x09SUBSCRIBE" };
	static const uint8_t flags[] = { 0, FRAME_COMMAND };
	enum { TOPIC_BYTES = 1024 * 1024 };
	struct fixture *f = *state;
	char *topic = malloc(TOPIC_BYTES);

	assert_non_null(topic);
	subscribe(f);
	for (size_t i = 0; i < 2; i++) {
		int fd = zmtp_open(f->events_endpoint, "SUB", NULL, 0);

		memset(topic, 't', TOPIC_BYTES);
		memcpy(topic, starts[i], strlen(starts[i]));
		/* The server may close before it has all of it. */
		(void)send_frame(fd, flags[i], topic, TOPIC_BYTES);
		assert_is_closed(fd);
		assert_still_published(state);
	}
	free(topic);
}

/* What fits a frame and is longer than any event's name is passed over: what is asked for after it,
 * on the same connection, is answered by its hello. */
static void
test_B18_subscription_longer_than_a_name_is_passed_over(void **state)
{
	enum { TOPIC_BYTES = 60 * 1024 };
	struct fixture *f = *state;
	const char *name = boson__test__shout__descriptor.name;
	char topic[129] = "\x01", *longer = malloc(TOPIC_BYTES);
	uint8_t bytes[COMMAND_MAX_BYTES];
	size_t n;

	assert_non_null(longer);
	subscribe(f);
	int fd = zmtp_open(f->events_endpoint, "SUB", NULL, 0);
	memset(longer, 't', TOPIC_BYTES);
	longer[0] = 1;
	assert_true(send_frame(fd, 0, longer, TOPIC_BYTES));
	snprintf(topic + 1, sizeof(topic) - 1, "%s", name);
	assert_true(send_frame(fd, 0, topic, 1 + strlen(name)));
	while (receive_frame(fd, bytes, sizeof(bytes), &n) & FRAME_COMMAND)
		continue;
	assert_int_equal(n, strlen(name));
	assert_memory_equal(bytes, name, n);
	assert_still_published(state);
	close(fd);
	free(longer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_B16_routing_id_of_no_bytes_is_a_peer_like_any_other),
		TEST(test_B16_routing_id_of_256_bytes_is_not_heard),
		TEST(test_B16_routing_id_with_a_leading_nul_takes_nobodys_place),
		TEST(test_B18_subscription_of_a_mebibyte_ends_its_own_connection_only),
		TEST(test_B18_subscription_longer_than_a_name_is_passed_over),
	};

	return fixture_run(FIXTURE_IPC, FIXTURE_IPC, tests);
}
