/*
 * The relay with the other end of the legs that forwarder and client really use: leg_client, which
 * is libwebsockets. Two WebSocket implementations that know nothing of each other.
 */
#include "leg_talk.h"
#include "relay_fixture.h"

#include "leg/leg_client.h"
#include "leg/leg_frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MESSAGES = 300 };

/* With two contexts in one process libwebsockets 4.1 frees one's certificates only. Our programs
 * have one; our own TLS is watched for leaks by the other tests. */
const char *__lsan_default_suppressions(void);
const char *
__lsan_default_suppressions(void)
{
	return "leak:libcrypto\nleak:libssl\n";
}

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";

/* One end: what it sent is remembered by the test, what it gets is compared at once. */
struct end {
	struct leg_client *leg;
	bool is_node, is_up, is_done, is_down;
	int close_code;
	uint32_t channel;
	bool has_channel;
	struct end *peer;
	uint8_t (*sent)[24 * 1024];
	size_t sent_n[MESSAGES];
	unsigned received;
	size_t part; /* of the next one: a slow leg's messages go in pieces */
};

static struct relay_fixture relay;
static struct end node, client;

static void
on_state(enum leg_state state, int close_code, const char *reason, void *arg)
{
	struct end *end = arg;

	(void)reason;
	end->is_up = state == LEG_UP;
	if (state == LEG_DOWN && close_code != 0) {
		end->is_down = true;
		end->close_code = close_code;
	}
}

static void
on_message(const uint8_t *message, size_t n, void *arg)
{
	struct end *end = arg;

	if (message[0] == LEG_KIND_CONTROL) {
		Boson__Link__Control *control =
			boson__link__control__unpack(NULL, n - 1, message + 1);

		assert_non_null(control);
		if (control->body_case == BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN) {
			end->channel = control->channel_open->channel;
			end->has_channel = true;
		}
		boson__link__control__free_unpacked(control, NULL);
		return;
	}
	size_t mine = end->is_node ? 5 : 1, theirs = end->is_node ? 1 : 5;
	const struct end *peer = end->peer;
	assert_true(end->received < MESSAGES);
	size_t left = peer->sent_n[end->received] - theirs - end->part;
	assert_true(n - mine <= left);
	assert_memory_equal(message + mine, peer->sent[end->received] + theirs + end->part,
			    n - mine);
	end->part = n - mine < left ? end->part + n - mine : 0;
	end->received += end->part == 0;
	end->is_done = end->received == MESSAGES;
}

static void
start(struct end *end, struct end *peer, bool is_node)
{
	struct leg_client_events events = { .on_state = on_state,
					    .on_message = on_message,
					    .arg = end };
	struct leg_client_options options = { .ca_file = relay.certificate,
					      .is_node = is_node,
					      .queue_bytes = 16 << 20,
					      .queue_age_ms = 10 * 1000 };
	char url[128], ticket[TICKET_TEXT_MAX_BYTES], id[UUID_TEXT_BYTES];
	const char *urls[] = { url, NULL };

	memset(end, 0, sizeof(*end));
	end->is_node = is_node;
	end->peer = peer;
	end->sent = calloc(MESSAGES, sizeof(*end->sent));
	assert_non_null(end->sent);
	assert_int_equal(leg_client_new(relay.loop, relay.metrics, &options, &events, &end->leg),
			 0);
	relay_fixture_ticket(&relay, node_id, is_node ? NULL : session_id, 3600 * 1000, 0, ticket);
	uuid_format(is_node ? node_id : session_id, id);
	snprintf(url, sizeof(url), "%s://127.0.0.1:%u/relay/%s", relay.has_tls ? "wss" : "ws",
		 relay.port, id);
	assert_int_equal(leg_client_target(end->leg, urls, ticket), 0);
}

static void
send_messages(struct end *end)
{
	for (unsigned i = 0; i < MESSAGES; i++) {
		/* Of every size a sender makes, the largest among them. */
		unsigned count = 1 + i % 16;
		size_t size = 32 + 16 * (i * 7 % 90);

		if (count * (size + 2) > 23 * 1024)
			count = 1;
		end->sent_n[i] = leg_talk_message(end->sent[i], end->channel, count, size);
		assert_int_equal(leg_client_send(end->leg, end->sent[i], end->sent_n[i], false), 0);
	}
	leg_client_flush(end->leg);
}

static void
exchange(bool has_tls)
{
	relay_fixture_start(&relay, has_tls, "queue_bytes = 16MiB\nqueue_age = 10s\ndrain = 100ms");
	start(&node, &client, true);
	relay_fixture_wait(&relay, &node.is_up);
	start(&client, &node, false);
	relay_fixture_wait(&relay, &client.is_up);
	relay_fixture_wait(&relay, &node.has_channel);
	send_messages(&node);
	send_messages(&client);
	relay_fixture_wait(&relay, &node.is_done);
	relay_fixture_wait(&relay, &client.is_done);
	relay_fixture_drain(&relay);
	relay_fixture_wait(&relay, &client.is_down);
	relay_fixture_wait(&relay, &node.is_down);
	assert_int_equal(client.close_code, 1012);
	leg_client_free(&node.leg);
	leg_client_free(&client.leg);
	free(client.sent);
	free(node.sent);
	relay_fixture_stop(&relay);
}

static void
set_true(struct loop *loop, void *arg)
{
	(void)loop;
	*(bool *)arg = true;
}

static void
test_libwebsockets_legs_exchange_everything(void **state)
{
	(void)state;
	exchange(false);
}

static void
test_libwebsockets_legs_exchange_everything_through_tls(void **state)
{
	(void)state;
	exchange(true);
}

/* T45: who comes back needs no certificate's worth of work, also from a relay that was started anew
 * meanwhile (the key of its tickets is in a file). */
static void
test_t45_a_leg_that_comes_back_resumes_its_tls_session(void **state)
{
	const char *ticket_name = "leg_resumed_total";

	(void)state;
	relay_fixture_start(&relay, true, "drain = 100ms");
	start(&node, &client, true);
	relay_fixture_wait(&relay, &node.is_up);
	struct metric *resumed = metrics_counter(relay.metrics, ticket_name, NULL, "");
	assert_int_equal(metric_value(resumed), 0);
	for (unsigned i = 1; i <= 3; i++) {
		char url[128], ticket[TICKET_TEXT_MAX_BYTES], id[UUID_TEXT_BYTES];
		const char *urls[] = { url, NULL };

		node.is_down = false;
		leg_client_disconnect(node.leg);
		relay_fixture_wait(&relay, &node.is_down);
		relay_fixture_ticket(&relay, node_id, NULL, 3600 * 1000, 0, ticket);
		uuid_format(node_id, id);
		snprintf(url, sizeof(url), "wss://127.0.0.1:%u/relay/%s", relay.port, id);
		assert_int_equal(leg_client_target(node.leg, urls, ticket), 0);
		relay_fixture_wait(&relay, &node.is_up);
		assert_int_equal(metric_value(resumed), i);
	}
	leg_client_free(&node.leg);
	free(node.sent);
	relay_fixture_stop(&relay);
}

/* F21: a leg that is told to move connects first: both ends are heard all the time. */
static void
test_f21_a_leg_moves_without_a_gap(void **state)
{
	struct relay_fixture *first = &relay;
	static struct relay_fixture second;
	char url[128];

	(void)state;
	relay_fixture_start(first, true, "drain = 100ms");
	relay_fixture_start_beside(&second, first, true, "drain = 100ms");
	start(&node, &client, true);
	relay_fixture_wait(first, &node.is_up);
	uint32_t line = leg_client_line(node.leg);
	snprintf(url, sizeof(url), "wss://127.0.0.1:%u", second.port);
	assert_int_equal(leg_client_move(node.leg, NULL, 0, 0), -ENOENT); /* it has no other */
	/* Its certificate is not trusted: it stays where it is. */
	node.is_down = false;
	assert_int_equal(leg_client_move(node.leg, url, 0, 300), 0);
	bool is_over = false;
	struct loop_timer *timer = NULL;
	assert_int_equal(loop_timer_start(first->loop, 500, 0, set_true, &is_over, &timer), 0);
	relay_fixture_wait(first, &is_over);
	assert_false(node.is_down);
	assert_int_equal(leg_client_state(node.leg), LEG_UP);
	assert_int_equal(leg_client_line(node.leg), line);
	leg_client_free(&node.leg);
	free(node.sent);
	relay_fixture_stop(&second);
	relay_fixture_stop(first);

	/* Plain, so that there is nothing to distrust. */
	relay_fixture_start(first, false, "drain = 100ms");
	relay_fixture_start_beside(&second, first, false, "drain = 100ms");
	start(&node, &client, true);
	relay_fixture_wait(first, &node.is_up);
	line = leg_client_line(node.leg);
	snprintf(url, sizeof(url), "ws://127.0.0.1:%u", second.port);
	node.is_down = node.is_up = false;
	assert_int_equal(leg_client_move(node.leg, url, 0, 0), 0);
	relay_fixture_wait(first, &node.is_up);
	assert_false(node.is_down);
	assert_true(leg_client_line(node.leg) > line);
	relay_fixture_await(&second, "legs{role=\"node\"}", 1);
	while (relay_fixture_counter(first, "legs{role=\"node\"}") != 0)
		;
	assert_false(node.is_down);
	assert_int_equal(leg_client_state(node.leg), LEG_UP);
	leg_client_free(&node.leg);
	free(node.sent);
	relay_fixture_stop(&second);
	relay_fixture_stop(first);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_t45_a_leg_that_comes_back_resumes_its_tls_session),
		cmocka_unit_test(test_f21_a_leg_moves_without_a_gap),
		cmocka_unit_test(test_libwebsockets_legs_exchange_everything),
		cmocka_unit_test(test_libwebsockets_legs_exchange_everything_through_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
