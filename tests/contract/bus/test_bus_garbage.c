/*
 * Peers that speak ZeroMQ but not our envelope, over each transport; and over tcp, peers that do
 * not even speak ZeroMQ. A good client is served all the while. (B02 to B46)
 */
#include "echo_stage.h"

#include "bus.pb-c.h"
#include "bus/bus_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static zsock_t *raw; /* a DEALER that the bus knows nothing of */

static void
set_text(int option, const char *text)
{
	assert_int_equal(zmq_setsockopt(zsock_resolve(raw), option, text, strlen(text)), 0);
}

static void
open_raw(struct fixture *f, const void *routing_id, size_t n)
{
	int patience_ms = FIXTURE_PATIENCE_MS, no_linger = 0;

	raw = zsock_new(ZMQ_DEALER);
	assert_non_null(raw);
	void *handle = zsock_resolve(raw);
	zmq_setsockopt(handle, ZMQ_RCVTIMEO, &patience_ms, sizeof(patience_ms));
	zmq_setsockopt(handle, ZMQ_LINGER, &no_linger, sizeof(no_linger));
	if (f->transport == FIXTURE_TCP) {
		set_text(ZMQ_CURVE_SERVERKEY, f->server_keys.public_key);
		set_text(ZMQ_CURVE_PUBLICKEY, f->client_keys.public_key);
		set_text(ZMQ_CURVE_SECRETKEY, f->client_keys.secret_key);
	}
	if (n > 0)
		assert_int_equal(zmq_setsockopt(handle, ZMQ_ROUTING_ID, routing_id, n), 0);
	assert_int_equal(zmq_connect(handle, f->endpoint), 0);
}

static int
setup(void **state)
{
	stage_setup(state);
	ask_until_answered(*state, peer);
	open_raw(*state, NULL, 0);
	return 0;
}

static int
teardown(void **state)
{
	zsock_destroy(&raw);
	return stage_teardown(state);
}

static void
send_part(const void *bytes, size_t n, bool more)
{
	assert_int_equal(zmq_send(zsock_resolve(raw), bytes, n, more ? ZMQ_SNDMORE : 0), (int)n);
}

static Boson__Bus__RequestHead
good_head(uint64_t correlation)
{
	Boson__Bus__RequestHead head = BOSON__BUS__REQUEST_HEAD__INIT;

	head.version = 1;
	head.correlation = correlation;
	head.method = (char *)(uintptr_t) "boson.test.Echo/Say";
	return head;
}

static void
send_head(const Boson__Bus__RequestHead *head, bool more)
{
	uint8_t bytes[1024];
	size_t n = boson__bus__request_head__get_packed_size(head);

	assert_true(n <= sizeof(bytes));
	boson__bus__request_head__pack(head, bytes);
	send_part(bytes, n, more);
}

static void
send_request(uint64_t correlation, const void *body, size_t n)
{
	Boson__Bus__RequestHead head = good_head(correlation);

	send_head(&head, true);
	send_part(body, n, false);
}

/* The next reply: one frame, of which the head is returned and the rest is *ret_body. */
static Boson__Bus__ReplyHead *
receive_reply(zmsg_t **ret_message, const uint8_t **ret_body, size_t *ret_n)
{
	*ret_message = zmsg_recv(raw);
	assert_non_null(*ret_message);
	assert_int_equal(zmsg_size(*ret_message), 1);
	zframe_t *frame = zmsg_first(*ret_message);
	const uint8_t *bytes = zframe_data(frame);
	size_t n = (size_t)bytes[0] << 8 | bytes[1];
	assert_true(2 + n <= zframe_size(frame));
	*ret_body = bytes + 2 + n;
	*ret_n = zframe_size(frame) - 2 - n;
	Boson__Bus__ReplyHead *head = boson__bus__reply_head__unpack(NULL, n, bytes + 2);
	assert_non_null(head);
	return head;
}

/* The next reply's status and code. */
static void
assert_reply(uint64_t correlation, enum bus_status status, const char *code)
{
	const uint8_t *body;
	zmsg_t *message;
	size_t n;
	Boson__Bus__ReplyHead *head = receive_reply(&message, &body, &n);

	assert_int_equal(head->correlation, correlation);
	assert_string_equal(head->code ? head->code : "", code);
	assert_int_equal(head->status, status);
	boson__bus__reply_head__free_unpacked(head, NULL);
	zmsg_destroy(&message);
}

static void
assert_dropped(const char *reason)
{
	char line[96];

	/* What came before on this connection has been looked at when this is answered. */
	send_request(UINT64_MAX / 2, "", 0);
	assert_reply(UINT64_MAX / 2, BUS_OK, "");
	snprintf(line, sizeof(line), "bus_drops_total{reason=\"%s\"}", reason);
	assert_int_equal(fixture_metric(echo.actor.metrics, line), 1);
}

/* T24: after ten of them nobody listens to this connection any more, and to all others as ever. */
static void
test_connection_that_sends_only_garbage_is_struck_out_and_no_other(void **state)
{
	uint64_t said;

	for (int i = 0; i < 10; i++)
		send_part("garbage", 7, false);
	while (fixture_metric(echo.actor.metrics, "bus_drops_total{reason=\"parts\"}") < 10)
		assert_still_served(state);
	said = atomic_load(&echo.said);
	send_request(1, "", 0); /* a good one, too late */
	while (fixture_metric(echo.actor.metrics, "bus_drops_total{reason=\"struck_out\"}") < 1) {
		assert_still_served(state);
		said++;
	}
	assert_int_equal(atomic_load(&echo.said), said);
}

/* B12 */
static void
test_message_of_nine_parts_is_dropped(void **state)
{
	Boson__Bus__RequestHead head = good_head(1);

	send_head(&head, true);
	for (int i = 0; i < 8; i++)
		send_part("", 0, i < 7);
	assert_dropped("parts");
	assert_still_served(state);
}

/* B14 */
static void
test_message_without_a_body_frame_is_dropped(void **state)
{
	Boson__Bus__RequestHead head = good_head(1);

	send_head(&head, false);
	assert_dropped("parts");
	assert_still_served(state);
}

static void
test_head_that_is_no_head_is_dropped(void **state)
{
	send_part("\xff\xff\xff", 3, true);
	send_part("", 0, false);
	assert_dropped("envelope");
	assert_still_served(state);
}

static void
test_head_of_more_than_half_a_kib_is_dropped(void **state)
{
	Boson__Bus__RequestHead head = good_head(1);
	char name[600];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	head.method = name;
	send_head(&head, true);
	send_part("", 0, false);
	assert_dropped("envelope");
	assert_still_served(state);
}

/* B22, F22 */
static void
test_other_version_is_answered(void **state)
{
	Boson__Bus__RequestHead head = good_head(1);

	(void)state;
	head.version = 99;
	send_head(&head, true);
	send_part("", 0, false);
	assert_reply(1, BUS_INVALID, "unsupported_version");
	head.version = 0;
	head.correlation = 2;
	send_head(&head, true);
	send_part("", 0, false);
	assert_reply(2, BUS_INVALID, "unsupported_version");
}

static void
test_request_without_a_method_is_answered(void **state)
{
	Boson__Bus__RequestHead head = good_head(1);

	(void)state;
	head.method = NULL;
	send_head(&head, true);
	send_part("", 0, false);
	assert_reply(1, BUS_INTERNAL, "unknown_method");
}

/* B24, B26, B28, B40 */
static void
test_body_that_cannot_be_read_is_answered(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
	} bodies[] = {
		{ "\x0a", 1 },		       /* truncated */
		{ "\x0a\x05hell", 6 },	       /* length beyond the end */
		{ "\x02\x00", 2 },	       /* field number 0 */
		{ "\x0b\x0c", 2 },	       /* a group */
		{ "\x10\x01\x10\x01", 4 },     /* a singular field twice */
		{ "\x0a\x01\x00", 3 },	       /* NUL in text */
		{ "\x0d\x00\x00\x00\x00", 5 }, /* another wire type than declared */
		{ "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12 }, /* 11 bytes of varint */
	};
	unsigned said = atomic_load(&echo.said);

	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		send_request(i + 1, bodies[i].bytes, bodies[i].n);
		assert_reply(i + 1, BUS_INVALID, "malformed");
	}
	assert_int_equal(atomic_load(&echo.said), said);
	assert_still_served(state);
}

/* B34, F22: 60 KiB of fields that we do not know, and they are not sent back. */
static void
test_unknown_fields_are_forgotten(void **state)
{
	enum { N = 60 * 1024 };
	uint8_t *body = calloc(1, N + 8);
	uint8_t head[] = { 0xfa, 0x07, 0x80, 0xe0, 0x03 }; /* field 127, bytes, 61440 long */
	const uint8_t *echoed;
	zmsg_t *message;
	size_t n;

	(void)state;
	assert_non_null(body);
	memcpy(body, head, sizeof(head));
	send_request(1, body, sizeof(head) + N);
	Boson__Bus__ReplyHead *reply = receive_reply(&message, &echoed, &n);
	assert_int_equal(n, 0);
	boson__bus__reply_head__free_unpacked(reply, NULL);
	zmsg_destroy(&message);
	free(body);
}

/* B46 */
static void
test_request_that_comes_twice_has_one_effect(void **state)
{
	unsigned said = atomic_load(&echo.said);

	send_request(7, "", 0);
	send_request(7, "", 0);
	send_request(3, "", 0); /* older than what was seen */
	send_request(8, "", 0);
	assert_reply(7, BUS_OK, "");
	assert_reply(8, BUS_OK, "");
	assert_int_equal(atomic_load(&echo.said) - said, 2);
	assert_int_equal(
		fixture_metric(echo.actor.metrics, "bus_drops_total{reason=\"duplicate\"}"), 2);
	assert_still_served(state);
}

/* A frame larger than any of ours ends that peer's connection, and nobody else's. */
static void
test_frame_over_the_limit_disconnects_its_sender_only(void **state)
{
	enum { N = 4 * BUS_MESSAGE_MAX_BYTES };
	const struct fixture *f = *state;
	uint8_t *body = calloc(1, N);
	unsigned said = atomic_load(&echo.said);

	assert_non_null(body);
	send_request(1, "", 0);
	assert_reply(1, BUS_OK, "");
	send_request(2, body, N);
	if (f->transport == FIXTURE_INPROC) /* libzmq has no limit there: ours answers */
		assert_reply(2, BUS_TOO_LARGE, "message_too_large");
	free(body);
	assert_still_served(state);
	assert_int_equal(atomic_load(&echo.said) - said, 2);
}

/* Takes the routing id that a real client might have: ids name nobody here. */
static void
test_routing_id_of_its_own_choice_gives_a_peer_no_name(void **state)
{
	const struct fixture *f = *state;
	Boson__Bus__RequestHead head = good_head(1);
	const uint8_t *body;
	zmsg_t *message;
	size_t n;

	zsock_destroy(&raw);
	open_raw(*state, "discovery", 9);
	head.method = (char *)(uintptr_t) "boson.test.Echo/Whoami";
	send_head(&head, true);
	send_part("", 0, false);
	Boson__Bus__ReplyHead *reply = receive_reply(&message, &body, &n);
	Boson__Test__Words *words = boson__test__words__unpack(NULL, n, body);
	assert_non_null(words);
	assert_string_equal(words->text, f->transport == FIXTURE_TCP ? "gateway" : "local");
	boson__test__words__free_unpacked(words, NULL);
	boson__bus__reply_head__free_unpacked(reply, NULL);
	zmsg_destroy(&message);
	assert_still_served(state);
}

/* ---- below ZeroMQ ---- */

static int
raw_connect(const struct fixture *f)
{
	struct sockaddr_in inet = { .sin_family = AF_INET,
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = FIXTURE_PATIENCE_MS / 1000 };
	bool tcp = f->transport == FIXTURE_TCP;
	int fd = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (tcp)
		inet.sin_port = htons((uint16_t)atoi(strrchr(f->endpoint, ':') + 1));
	else
		snprintf(local.sun_path, sizeof(local.sun_path), "%s", f->endpoint + 6);
	int r = tcp ? connect(fd, (struct sockaddr *)&inet, sizeof(inet))
		    : connect(fd, (struct sockaddr *)&local, sizeof(local));
	assert_int_equal(r, 0);
	return fd;
}

/* Reads what the server has to say until it closes. */
static void
assert_is_closed(int fd)
{
	uint8_t bytes[4096];
	ssize_t n;

	do
		n = recv(fd, bytes, sizeof(bytes), 0);
	while (n > 0);
	assert_true(n == 0 || errno == ECONNRESET);
	close(fd);
}

static void
send_raw(const struct fixture *f, const void *bytes, size_t n)
{
	int fd = raw_connect(f);

	assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
	assert_is_closed(fd);
}

enum { GREETING_BYTES = 64 };

/* ZMTP 3.0: signature, version, mechanism, as-server, filler. rfc.zeromq.org/spec/23 */
static void
make_greeting(uint8_t greeting[GREETING_BYTES], uint8_t major, const char *mechanism)
{
	memset(greeting, 0, GREETING_BYTES);
	greeting[0] = 0xff;
	greeting[8] = 1;
	greeting[9] = 0x7f;
	greeting[10] = major;
	memcpy(greeting + 12, mechanism, strlen(mechanism));
}

/* B02 */
static void
test_http_is_closed(void **state)
{
	const char *request =
		"GET / HTTP/1.1\r\nHost: example.org\r\nUser-Agent: a browser of some "
		"kind or other\r\nAccept: */*\r\n\r\n";

	send_raw(*state, request, strlen(request));
	assert_still_served(state);
}

/* B04 */
static void
test_greeting_without_curve_is_closed(void **state)
{
	uint8_t greeting[GREETING_BYTES];

	make_greeting(greeting, 3, "NULL");
	send_raw(*state, greeting, sizeof(greeting));
	make_greeting(greeting, 3, "PLAIN");
	send_raw(*state, greeting, sizeof(greeting));
	assert_still_served(state);
}

/* B06 */
static void
test_greeting_of_zmtp_1_and_2_is_closed(void **state)
{
	uint8_t greeting[GREETING_BYTES];

	send_raw(*state, "\x01\x00\x05\x00hello\x05\x00hello", 16);
	make_greeting(greeting, 0, "");
	greeting[11] = 5; /* socket type, no mechanism */
	send_raw(*state, greeting, 14);
	make_greeting(greeting, 1, "");
	greeting[11] = 5;
	send_raw(*state, greeting, 14);
	assert_still_served(state);
}

/* B10 */
static void
test_command_of_two_to_the_63_bytes_is_closed(void **state)
{
	uint8_t bytes[GREETING_BYTES + 9] = { 0 };

	make_greeting(bytes, 3, "CURVE");
	bytes[GREETING_BYTES] = 0x06; /* command, long length */
	bytes[GREETING_BYTES + 1] = 0x80;
	send_raw(*state, bytes, sizeof(bytes));
	assert_still_served(state);
}

static void
test_silence_is_closed_when_the_handshake_takes_too_long(void **state)
{
	uint8_t greeting[GREETING_BYTES];

	make_greeting(greeting, 3, "CURVE");
	send_raw(*state, greeting, 20);
	assert_still_served(state);
}

/* Whoever reaches an ipc socket is us, but may be broken. */
static void
test_garbage_on_ipc_does_no_harm(void **state)
{
	uint8_t bytes[4096];
	int fds[8];

	for (size_t i = 0; i < 8; i++) {
		fds[i] = raw_connect(*state);
		memset(bytes, (int)(i * 37), sizeof(bytes));
		make_greeting(bytes, (uint8_t)i, "NULL");
		/* The server may close at the first byte it dislikes. */
		send(fds[i], bytes + i, sizeof(bytes) - i, MSG_NOSIGNAL);
	}
	assert_still_served(state);
	for (size_t i = 0; i < 8; i++)
		close(fds[i]);
	assert_still_served(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_connection_that_sends_only_garbage_is_struck_out_and_no_other),
		TEST(test_message_of_nine_parts_is_dropped),
		TEST(test_message_without_a_body_frame_is_dropped),
		TEST(test_head_that_is_no_head_is_dropped),
		TEST(test_head_of_more_than_half_a_kib_is_dropped),
		TEST(test_other_version_is_answered),
		TEST(test_request_without_a_method_is_answered),
		TEST(test_body_that_cannot_be_read_is_answered),
		TEST(test_unknown_fields_are_forgotten),
		TEST(test_request_that_comes_twice_has_one_effect),
		TEST(test_frame_over_the_limit_disconnects_its_sender_only),
		TEST(test_routing_id_of_its_own_choice_gives_a_peer_no_name),
	};
	const struct CMUnitTest tcp[] = {
		TEST(test_http_is_closed),
		TEST(test_greeting_without_curve_is_closed),
		TEST(test_greeting_of_zmtp_1_and_2_is_closed),
		TEST(test_command_of_two_to_the_63_bytes_is_closed),
		TEST(test_silence_is_closed_when_the_handshake_takes_too_long),
	};
	const struct CMUnitTest ipc[] = { TEST(test_garbage_on_ipc_does_no_harm) };

	return fixture_run(FIXTURE_INPROC, FIXTURE_TCP, tests) +
	       fixture_run(FIXTURE_TCP, FIXTURE_TCP, tcp) +
	       fixture_run(FIXTURE_IPC, FIXTURE_IPC, ipc);
}
