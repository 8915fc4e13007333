/*
 * A server and a publisher that are none of ours: replies and events in too many pieces, with a
 * head that is too long, of another version, twice. Each is dropped and counted, and what comes
 * behind it is taken. Both are plain sockets of the test's, which sees what the bus sent.
 */
#include "echo_actor.h"

#include "bus.pb-c.h"

#include <czmq.h>
#include <stdio.h>
#include <string.h>

enum { HEAD_MAX_BYTES = 512, HEAD_MUCH_BYTES = 2 * HEAD_MAX_BYTES };

static zsock_t *server, *publisher;
static struct bus_peer *peer;
static struct bus_subscription *subscription;

/* What the subscriber was told. */
static struct {
	unsigned events, gaps;
	char last[16];
	struct loop *loop;
} heard;

static void
on_shout(const ProtobufCMessage *event, bool gap, void *arg)
{
	(void)arg;
	heard.gaps += gap;
	if (event) {
		heard.events++;
		snprintf(heard.last, sizeof(heard.last), "%s",
			 ((const Boson__Test__Shout *)event)->text);
	}
	loop_stop(heard.loop);
}

static int
setup(void **state)
{
	fixture_setup(state);
	struct fixture *f = *state;

	memset(&heard, 0, sizeof(heard));
	heard.loop = f->loop;
	server = zsock_new(ZMQ_ROUTER);
	publisher = zsock_new(ZMQ_XPUB); /* as ours: it hears who subscribes */
	assert_non_null(server);
	assert_non_null(publisher);
	assert_int_equal(zsock_bind(server, "%s", f->endpoint), 0);
	assert_int_equal(zsock_bind(publisher, "%s", f->events_endpoint), 0);
	peer = echo_peer(f);
	assert_int_equal(bus_subscribe(f->bus, f->events_endpoint, NULL,
				       &boson__test__shout__descriptor, on_shout, NULL,
				       &subscription),
			 0);
	return 0;
}

static int
teardown(void **state)
{
	bus_unsubscribe(&subscription);
	bus_peer_free(&peer);
	zsock_destroy(&publisher);
	zsock_destroy(&server);
	return fixture_teardown(state);
}

static uint64_t
drops(const struct fixture *f, const char *reason)
{
	char line[64];

	snprintf(line, sizeof(line), "bus_drops_total{reason=\"%s\"}", reason);
	return fixture_metric(f->metrics, line);
}

/* ---- replies ---- */

struct request {
	struct asked asked;
	zframe_t *from;
	uint64_t correlation;
};

/* A call, and what of it the server saw. Pings, which are the bus's own, are passed over. */
static void
call(struct request *request, struct fixture *f)
{
	bool is_ping;

	bus_peer_next(peer, BUS_DEADLINE_MAX_MS, NULL);
	ask(&request->asked, f, peer, boson__test__echo__say, "hello");
	do {
		zmsg_t *message = zmsg_recv(server);
		assert_non_null(message);
		request->from = zmsg_pop(message);
		zframe_t *frame = zmsg_first(message);
		Boson__Bus__RequestHead *head = boson__bus__request_head__unpack(
			NULL, zframe_size(frame), zframe_data(frame));
		assert_non_null(head);
		request->correlation = head->correlation;
		is_ping = head->has_ping && head->ping;
		if (is_ping)
			zframe_destroy(&request->from);
		boson__bus__request_head__free_unpacked(head, NULL);
		zmsg_destroy(&message);
	} while (is_ping);
}

struct reply {
	uint32_t version;
	uint32_t status;
	const char *code;
	bool is_followed; /* by a frame too many */
};

static void
reply(const struct request *request, const struct reply *reply)
{
	uint8_t frame[2 + HEAD_MUCH_BYTES + 64];
	Boson__Bus__ReplyHead head = BOSON__BUS__REPLY_HEAD__INIT;

	head.version = reply->version;
	head.correlation = request->correlation;
	head.has_status = true;
	head.status = reply->status;
	head.code = (char *)(uintptr_t)reply->code;
	size_t n = boson__bus__reply_head__get_packed_size(&head);
	assert_true(n <= sizeof(frame) - 2);
	frame[0] = (uint8_t)(n >> 8);
	frame[1] = (uint8_t)n;
	boson__bus__reply_head__pack(&head, frame + 2);

	zframe_t *from = zframe_dup(request->from);
	assert_int_equal(zframe_send(&from, server, ZFRAME_MORE), 0);
	zframe_t *whole = zframe_new(frame, n + 2);
	assert_int_equal(zframe_send(&whole, server, reply->is_followed ? ZFRAME_MORE : 0), 0);
	if (reply->is_followed)
		assert_int_equal(zstr_send(server, ""), 0);
}

static const struct reply good = { .version = 1 };

/* The call that is still open has its own reply, and once. */
static void
answer(struct request *request)
{
	reply(request, &good);
	wait_end(&request->asked);
	assert_true(request->asked.answered);
	assert_int_equal(request->asked.times, 1);
	zframe_destroy(&request->from);
}

static void
expect_dropped(struct fixture *f, const struct reply *bad, const char *reason)
{
	struct request request;

	call(&request, f);
	reply(&request, bad);
	answer(&request);
	assert_int_equal(drops(f, reason), 1);
}

static void
expect_failed(struct fixture *f, const struct reply *bad, const char *code)
{
	struct request request;

	call(&request, f);
	reply(&request, bad);
	wait_end(&request.asked);
	assert_failed(&request.asked, BUS_INTERNAL, code);
	zframe_destroy(&request.from);
}

static void
test_reply_of_two_frames_is_dropped(void **state)
{
	static const struct reply two = { .version = 1, .is_followed = true };

	expect_dropped(*state, &two, "parts");
}

static void
test_reply_whose_head_is_over_half_a_kib_is_dropped(void **state)
{
	static char code[HEAD_MUCH_BYTES];
	static const struct reply long_headed = { .version = 1, .code = code };

	memset(code, 'x', sizeof(code) - 1);
	expect_dropped(*state, &long_headed, "envelope");
}

/* B22 */
static void
test_reply_of_another_version_fails_its_call(void **state)
{
	static const struct reply newer = { .version = 2 };

	expect_failed(*state, &newer, "unsupported_version");
}

static void
test_status_that_nobody_knows_is_a_defect(void **state)
{
	static const struct reply odd = { .version = 1, .status = 4000000000, .code = "odd" };

	expect_failed(*state, &odd, "odd");
}

/* B46: the next call may have the place of the first, and is not ended by what was for that. */
static void
test_reply_that_comes_twice_ends_one_call(void **state)
{
	struct request first, second;

	call(&first, *state);
	reply(&first, &good);
	answer(&first);
	call(&second, *state);
	answer(&second);
	assert_int_equal(drops(*state, "late_reply"), 1);
}

/* B48: nobody asked. */
static void
test_reply_to_no_call_is_dropped(void **state)
{
	struct request request, made_up;

	call(&request, *state);
	made_up = request;
	made_up.correlation += 1000;
	reply(&made_up, &good);
	made_up.correlation = UINT64_MAX;
	reply(&made_up, &good);
	answer(&request);
	assert_int_equal(drops(*state, "late_reply"), 2);
}

/* ---- events ---- */

struct event {
	const char *topic;
	uint32_t version;
	uint64_t sequence;
	const char *text;
	size_t more_frames; /* behind the body */
};

static const char topic[] = "boson.test.Shout";

static void
send_frame(const void *bytes, size_t n, bool more)
{
	zframe_t *frame = zframe_new(bytes, n);

	assert_int_equal(zframe_send(&frame, publisher, more ? ZFRAME_MORE : 0), 0);
}

static void
publish(const struct event *event)
{
	Boson__Bus__EventHead head = BOSON__BUS__EVENT_HEAD__INIT;
	Boson__Test__Shout shout = BOSON__TEST__SHOUT__INIT;
	uint8_t bytes[64];

	head.version = event->version;
	head.epoch = 7;
	head.sequence = event->sequence;
	shout.text = (char *)(uintptr_t)event->text;
	send_frame(event->topic, strlen(event->topic), true);
	send_frame(bytes, boson__bus__event_head__pack(&head, bytes), true);
	send_frame(bytes, boson__test__shout__pack(&shout, bytes), event->more_frames > 0);
	for (size_t i = event->more_frames; i > 0; i--)
		send_frame("", 0, i > 1);
}

static bool
has_heard_the_last(void *arg)
{
	(void)arg;
	return strcmp(heard.last, "last") == 0;
}

/* The first event is heard, the bad one is not, the last one, which has its number, is. */
static void
expect_unheard(struct fixture *f, const struct event *bad)
{
	static const struct event first = { topic, 1, 1, "first", 0 },
				  last = { topic, 1, 2, "last", 0 };
	zmsg_t *subscribed = zmsg_recv(publisher);

	assert_non_null(subscribed);
	zmsg_destroy(&subscribed);
	publish(&first);
	publish(bad);
	publish(&last);
	fixture_run_until(f, has_heard_the_last, NULL);
	assert_int_equal(heard.events, 2);
	assert_int_equal(heard.gaps, 1); /* the first: a publisher that is new */
}

static void
test_event_of_too_many_frames_is_dropped(void **state)
{
	static const struct event bad = { topic, 1, 2, "bad", 1 };

	expect_unheard(*state, &bad);
	assert_int_equal(drops(*state, "parts"), 1);
}

static void
test_event_of_another_version_is_dropped(void **state)
{
	static const struct event bad = { topic, 2, 2, "bad", 0 };

	expect_unheard(*state, &bad);
	assert_int_equal(drops(*state, "event"), 1);
}

static void
test_event_that_was_heard_is_not_heard_again(void **state)
{
	static const struct event bad = { topic, 1, 1, "first", 0 };

	expect_unheard(*state, &bad);
	assert_int_equal(drops(*state, "event"), 0);
}

static void
test_event_of_a_longer_name_is_not_taken_for_ours(void **state)
{
	static const struct event bad = { "boson.test.ShoutLoud", 1, 2, "bad", 0 };

	expect_unheard(*state, &bad);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_reply_of_two_frames_is_dropped),
		TEST(test_reply_whose_head_is_over_half_a_kib_is_dropped),
		TEST(test_reply_of_another_version_fails_its_call),
		TEST(test_status_that_nobody_knows_is_a_defect),
		TEST(test_reply_that_comes_twice_ends_one_call),
		TEST(test_reply_to_no_call_is_dropped),
		TEST(test_event_of_too_many_frames_is_dropped),
		TEST(test_event_of_another_version_is_dropped),
		TEST(test_event_that_was_heard_is_not_heard_again),
		TEST(test_event_of_a_longer_name_is_not_taken_for_ours),
	};

	return fixture_run(FIXTURE_INPROC, FIXTURE_INPROC, tests);
}
