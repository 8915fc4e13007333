/*
 * Legs whose far end is software that is not ours: python3-websockets and node-ws, as clients of
 * `higgs.v1` and raw ones, and as nodes; plain and through TLS. Both offer compression, which is
 * not taken up, and both send fragments.
 */
#include "leg_talk.h"
#include "raw_leg.h"
#include "relay_fixture.h"

#include "leg/leg_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { MESSAGES_OF_NODE = 60 };

static const uint8_t node_id[UUID_BYTES] = "node-id-00000001";
static const uint8_t session_id[UUID_BYTES] = "session-00000001";

static const struct language {
	const char *name, *probe;
	const char *const argv[3];
} languages[] = {
	{ "python3-websockets",
	  "/usr/bin/python3 -c 'import websockets' 2>/dev/null",
	  { "/usr/bin/python3", STRANGERS "/stranger.py", NULL } },
	{ "node-ws",
	  "NODE_PATH=/usr/share/nodejs node -e 'require(\"ws\")' 2>/dev/null",
	  { "node", STRANGERS "/stranger.js", NULL } },
};

static struct relay_fixture relay;

static pid_t
start(const struct language *language, const char *mode, const uint8_t *id, const char *ticket)
{
	char url[128], text[UUID_TEXT_BYTES];

	uuid_format(id, text);
	snprintf(url, sizeof(url), "%s://127.0.0.1:%u/relay/%s", relay.has_tls ? "wss" : "ws",
		 relay.port, text);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("TICKET", ticket, 1);
		setenv("NODE_PATH", "/usr/share/nodejs", 1);
		unsetenv("LD_PRELOAD");
		execlp(language->argv[0], language->argv[0], language->argv[1], mode, url,
		       relay.has_tls ? relay.certificate : NULL, (char *)NULL);
		_exit(127);
	}
	return pid;
}

static void
expect_success(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Our node: sends back what comes, until the channel is closed. A raw client's twice in one
 * message. */
static void
send_back(struct raw_leg *node, bool is_raw)
{
	static uint8_t message[256 * 1024];
	struct raw_frame frame;

	for (;;) {
		assert_true(raw_leg_receive(node, &frame));
		if (frame.payload[0] == LEG_KIND_CONTROL)
			return;
		memcpy(message, frame.payload, frame.n);
		size_t n = frame.n, batch = n - LEG_DATA_HEADER_NODE_BYTES;
		bool fits = n + batch <= LEG_MESSAGE_MAX_BYTES;
		if (is_raw && fits) {
			memcpy(message + n, frame.payload + LEG_DATA_HEADER_NODE_BYTES, batch);
			n += batch;
		}
		assert_true(raw_leg_send(node, 0x82, message, n));
		if (is_raw && !fits)
			assert_true(raw_leg_send(node, 0x82, message, n));
	}
}

static void
serve_client(const struct language *language, bool is_raw)
{
	char ticket[TICKET_TEXT_MAX_BYTES];
	struct raw_leg *node = raw_leg_open(&relay, node_id, NULL);

	relay_fixture_ticket(&relay, node_id, session_id, 3600 * 1000, 0, ticket);
	pid_t pid = start(language, is_raw ? "raw" : "client", session_id, ticket);
	leg_talk_channel(node, session_id);
	send_back(node, is_raw);
	raw_leg_close(&node);
	expect_success(pid);
}

static void
use_node(const struct language *language)
{
	static uint8_t message[64 * 1024];
	char ticket[TICKET_TEXT_MAX_BYTES];
	struct raw_frame frame;

	relay_fixture_ticket(&relay, node_id, NULL, 3600 * 1000, 0, ticket);
	pid_t pid = start(language, "node", node_id, ticket);
	relay_fixture_await(&relay, "legs{role=\"node\"}", 1);
	struct raw_leg *client = raw_leg_open(&relay, node_id, session_id);
	for (unsigned i = 0; i < MESSAGES_OF_NODE; i++) {
		size_t n = leg_talk_message(message, 0, 1 + i % 16, 32 + 16 * (i * 37 % 90));

		assert_true(raw_leg_send(client, 0x82, message, n));
		assert_true(raw_leg_receive(client, &frame));
		assert_int_equal(frame.n, n);
		assert_memory_equal(frame.payload, message, n);
	}
	struct raw_leg *newer = raw_leg_open(&relay, node_id, NULL);
	expect_success(pid);
	raw_leg_close(&newer);
	raw_leg_close(&client);
}

static void
exchange(const struct language *language)
{
	if (system(language->probe) != 0) {
		print_message("skipped: %s is not installed\n", language->name);
		skip();
	}
	for (int has_tls = 0; has_tls < 2; has_tls++) {
		relay_fixture_start(&relay, has_tls != 0, "queue_bytes = 4MiB\nqueue_age = 10s");
		serve_client(language, false);
		serve_client(language, true);
		use_node(language);
		relay_fixture_stop(&relay);
	}
}

static void
test_python_websockets_legs_exchange_everything(void **state)
{
	(void)state;
	exchange(&languages[0]);
}

static void
test_node_ws_legs_exchange_everything(void **state)
{
	(void)state;
	exchange(&languages[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_python_websockets_legs_exchange_everything),
		cmocka_unit_test(test_node_ws_legs_exchange_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
