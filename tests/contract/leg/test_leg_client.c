/*
 * leg_client against a WebSocket server that was written without it: echo, order, sizes, queues,
 * close codes, refused upgrades, certificates, proxies, reconnects. Real sockets, real TLS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg/leg_client.h"
#include "loop/clock.h"
#include "relay_stand_in.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 20 * 1000, NOTED_MAX = 64 };

struct noted {
	enum leg_state state;
	int code;
	char reason[200];
};

struct rig {
	struct loop *loop;
	struct metrics *metrics;
	struct leg_client *client;
	struct stand_in relay;
	struct noted noted[NOTED_MAX];
	size_t noted_n, messages, bytes, batches, wrong, state_calls;
	unsigned last;
	size_t last_n;
	uint8_t last_message[LEG_MESSAGE_MAX_BYTES];
	bool (*is_done)(struct rig *rig);
	size_t wanted;
	bool is_late, free_in_callback;
};

static char folder[] = "/tmp/test-leg-XXXXXX", certificate[64], key[64], other[64], other_key[64];

static void
on_state(enum leg_state state, int code, const char *reason, void *arg)
{
	struct rig *rig = arg;

	rig->state_calls++;
	if (rig->noted_n < NOTED_MAX) {
		struct noted *noted = &rig->noted[rig->noted_n++];
		noted->state = state;
		noted->code = code;
		snprintf(noted->reason, sizeof noted->reason, "%s", reason);
	}
	if (rig->free_in_callback && state == LEG_UP)
		leg_client_free(&rig->client);
}

static void
on_message(const uint8_t *message, size_t n, void *arg)
{
	struct rig *rig = arg;

	rig->messages++;
	rig->bytes += n;
	rig->last_n = n;
	memcpy(rig->last_message, message, n);
	if (n >= 5) {
		unsigned number;
		memcpy(&number, message + 1, sizeof number);
		if (number <= rig->last)
			rig->wrong++;
		rig->last = number;
	}
}

static void
on_batch_end(void *arg)
{
	((struct rig *)arg)->batches++;
}

static void
check(struct loop *loop, void *arg)
{
	struct rig *rig = arg;

	if (rig->is_done(rig))
		loop_stop(loop);
}

static void
late(struct loop *loop, void *arg)
{
	((struct rig *)arg)->is_late = true;
	loop_stop(loop);
}

/* Runs the loop until the condition holds; fails after DEADLINE_MS. */
static void
wait_until(struct rig *rig, bool (*is_done)(struct rig *))
{
	struct loop_timer *checker, *deadline;

	if (is_done(rig))
		return;
	rig->is_done = is_done;
	rig->is_late = false;
	assert_int_equal(loop_timer_start(rig->loop, 1, 1, check, rig, &checker), 0);
	assert_int_equal(loop_timer_start(rig->loop, DEADLINE_MS, 0, late, rig, &deadline), 0);
	assert_int_equal(loop_run(rig->loop), 0);
	loop_timer_stop(&checker);
	if (!rig->is_late)
		loop_timer_stop(&deadline);
	assert_false(rig->is_late);
}

static bool
is_up(struct rig *rig)
{
	return leg_client_state(rig->client) == LEG_UP;
}

static const struct noted never;

/* The first time it went down since `wanted` states; &never. */
static const struct noted *
first_down(struct rig *rig)
{
	for (size_t i = rig->wanted; i < rig->noted_n; i++)
		if (rig->noted[i].state == LEG_DOWN)
			return &rig->noted[i];
	return &never;
}

static bool
has_gone_down(struct rig *rig)
{
	return first_down(rig) != &never;
}

static bool
has_messages(struct rig *rig)
{
	return rig->messages >= rig->wanted;
}

static bool
relay_has_messages(struct rig *rig)
{
	return atomic_load(&rig->relay.messages) >= rig->wanted;
}

static struct rig *
rig_new(const char *ca_file, size_t queue_bytes)
{
	struct rig *rig = calloc(1, sizeof *rig);
	const struct leg_client_options options = { .ca_file = ca_file,
						    .queue_bytes = queue_bytes };
	const struct leg_client_events events = { .on_state = on_state,
						  .on_message = on_message,
						  .on_batch_end = on_batch_end,
						  .arg = rig };

	assert_non_null(rig);
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(metrics_new("test", &rig->metrics), 0);
	assert_int_equal(leg_client_new(rig->loop, rig->metrics, &options, &events, &rig->client),
			 0);
	return rig;
}

static void
rig_free(struct rig *rig)
{
	leg_client_free(&rig->client);
	if (rig->relay.port != 0)
		stand_in_stop(&rig->relay);
	metrics_free(&rig->metrics);
	loop_free(&rig->loop);
	free(rig);
}

static void
target(struct rig *rig, const char *scheme, const char *host, const char *path)
{
	char url[300];
	const char *urls[] = { url, NULL };

	snprintf(url, sizeof url, "%s://%s:%u%s", scheme, host, rig->relay.port, path);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
}

/* A plain relay, a leg that was told to go to path. */
static struct rig *
plain(const char *path, size_t queue_bytes)
{
	struct rig *rig = rig_new(NULL, queue_bytes);

	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "127.0.0.1", path);
	return rig;
}

static void
send_numbered(struct rig *rig, unsigned number, size_t n)
{
	uint8_t message[LEG_MESSAGE_MAX_BYTES] = { LEG_KIND_DATA };

	memcpy(message + 1, &number, sizeof number);
	memset(message + 5, (int)number, n - 5);
	assert_int_equal(leg_client_send(rig->client, message, n, false), 0);
}

static uint64_t
figure(struct rig *rig, const char *name, const char *labels)
{
	return metric_value(metrics_counter(rig->metrics, name, labels, ""));
}

static void
test_messages_of_every_size_come_back_whole(void **state)
{
	(void)state;
	struct rig *rig = plain("/echo", 0);
	const size_t sizes[] = { 5, 6, 125, 126, 127, 1400, 24000, 65000, 65535, 64 * 1024 };

	wait_until(rig, is_up);
	for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		send_numbered(rig, i + 1, sizes[i]);
		leg_client_flush(rig->client);
		rig->wanted = i + 1;
		wait_until(rig, has_messages);
		assert_int_equal(rig->last_n, sizes[i]);
		assert_int_equal(rig->last, i + 1);
		for (size_t at = 5; at < sizes[i]; at++)
			assert_int_equal(rig->last_message[at], i + 1);
	}
	assert_string_equal(rig->relay.authorization, "Bearer the-ticket");
	uint8_t byte = LEG_KIND_DATA;
	assert_int_equal(leg_client_send(rig->client, rig->last_message, 64 * 1024 + 1, false),
			 -EMSGSIZE);
	assert_int_equal(leg_client_send(rig->client, &byte, 0, false), -EMSGSIZE);
	rig_free(rig);
}

static void
test_thousands_of_messages_stay_in_order_both_ways(void **state)
{
	(void)state;
	struct rig *rig = rig_new(NULL, 16 * 1024 * 1024);

	rig->relay.flood_n = 5000;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "127.0.0.1", "/flood");
	rig->wanted = 5000;
	wait_until(rig, has_messages);
	assert_int_equal(rig->wrong, 0);
	assert_int_equal(rig->last, 5000);
	assert_true(rig->batches > 0 && rig->batches <= 5000);
	rig->last = 0;
	for (unsigned i = 1; i <= 5000; i++) {
		send_numbered(rig, i, 5 + i % 1400);
		if (i % 16 == 0)
			leg_client_flush(rig->client);
	}
	leg_client_flush(rig->client);
	rig->wanted = 10000;
	wait_until(rig, has_messages);
	assert_int_equal(rig->messages, 10000);
	assert_int_equal(rig->wrong, 0);
	assert_int_equal(atomic_load(&rig->relay.order_errors), 0);
	rig_free(rig);
}

static bool
nothing_flows(struct rig *rig)
{
	/* the queue is full and the socket takes no more */
	return figure(rig, "leg_dropped_total", "direction=\"out\"") > 0;
}

static void
test_a_full_queue_drops_the_oldest_data_and_no_control(void **state)
{
	(void)state;
	enum { N = 40000, BYTES = 1000, QUEUE = 64 * 1024 };
	struct rig *rig = plain("/stall", QUEUE);
	const uint8_t control[] = { LEG_KIND_CONTROL, 0xff, 0xff, 0xff, 0xff };

	wait_until(rig, is_up);
	for (unsigned i = 1; i <= N; i++) {
		send_numbered(rig, i, BYTES);
		leg_client_flush(rig->client);
		if (i % 4000 == 0)
			assert_int_equal(
				leg_client_send(rig->client, control, sizeof control, true), 0);
	}
	leg_client_flush(rig->client);
	wait_until(rig, nothing_flows);
	uint64_t dropped = figure(rig, "leg_dropped_total", "direction=\"out\"");
	atomic_store(&rig->relay.is_released, true);
	rig->wanted = N + 10 - dropped;
	wait_until(rig, relay_has_messages);
	/* 40 MB were offered: what a loopback socket holds, the queue, and no more */
	assert_int_equal(atomic_load(&rig->relay.messages), N + 10 - dropped);
	assert_true(dropped > N / 4);
	assert_int_equal(atomic_load(&rig->relay.order_errors), 0);
	assert_int_equal(atomic_load(&rig->relay.last_data), N); /* the newest was not dropped */
	rig_free(rig);
}

static void
test_control_that_does_not_fit_is_refused_to_the_sender(void **state)
{
	(void)state;
	struct rig *rig = plain("/stall", 64 * 1024);
	static uint8_t control[32 * 1024] = { LEG_KIND_CONTROL };
	int r = 0;

	wait_until(rig, is_up);
	for (int i = 0; i < 1000 && r == 0; i++)
		r = leg_client_send(rig->client, control, sizeof control, true);
	assert_int_equal(r, -ENOBUFS);
	rig_free(rig);
}

static void
test_a_message_in_fragments_is_put_together(void **state)
{
	(void)state;
	struct rig *rig = plain("/fragments", 0);

	rig->wanted = 1;
	wait_until(rig, has_messages);
	assert_int_equal(rig->last_n, 6);
	assert_memory_equal(rig->last_message, "\1\0\3abc", 6);
	rig_free(rig);
}

static void
expect_down(const char *path, int code, const char *reason)
{
	struct rig *rig = plain(path, 0);

	wait_until(rig, has_gone_down);
	assert_int_equal(first_down(rig)->code, code);
	if (strstr(first_down(rig)->reason, reason) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", path, first_down(rig)->reason, reason);
	rig_free(rig);
}

static void
test_text_and_too_large_messages_end_the_leg(void **state)
{
	(void)state;
	expect_down("/text", 1003, "binary messages only");
	expect_down("/large", 1009, "message too large");
}

static void
test_close_codes_and_reasons_of_the_relay_are_delivered(void **state)
{
	(void)state;
	expect_down("/close/1008", 1008, "told to");
	expect_down("/close/1012", 1012, "draining");
	expect_down("/close/1013", 1013, "overloaded");
	expect_down("/close/4009", 4009, "told to");
}

static void
test_a_refused_upgrade_says_its_http_status(void **state)
{
	(void)state;
	expect_down("/status/401", 401, "HTTP 401: the ticket is not accepted");
	expect_down("/status/403", 403, "HTTP 403");
	expect_down("/status/404", 404, "HTTP 404");
	expect_down("/status/429", 429, "HTTP 429");
	expect_down("/status/503", 503, "HTTP 503");
	expect_down("/status/500", 500, "HTTP 500");
}

static void
test_a_redirect_is_not_followed_with_the_ticket(void **state)
{
	(void)state;
	struct rig *rig = plain("/redirect", 0);

	wait_until(rig, has_gone_down);
	assert_int_equal(first_down(rig)->code, 302);
	for (size_t i = 0; i < rig->noted_n; i++)
		assert_int_not_equal(rig->noted[i].state, LEG_UP);
	rig_free(rig);
}

static void
test_a_server_without_the_subprotocol_is_no_relay(void **state)
{
	(void)state;
	expect_down("/nosubprotocol", 0, "no subprotocol");
}

static bool
has_been_refused_thrice(struct rig *rig)
{
	size_t n = 0;

	for (size_t i = 0; i < rig->noted_n; i++)
		n += rig->noted[i].state == LEG_DOWN;
	return n >= 3;
}

static void
test_refusals_are_retried_with_growing_pauses(void **state)
{
	(void)state;
	struct rig *rig = plain("/status/503", 0);

	wait_until(rig, has_been_refused_thrice);
	assert_true(figure(rig, "leg_attempts_total", NULL) >= 3);
	rig_free(rig);
}

static bool
has_waited_after_4009(struct rig *rig)
{
	return clock_monotonic_ms() >= (int64_t)rig->wanted;
}

static void
test_a_leg_replaced_by_a_newer_one_does_not_fight_it(void **state)
{
	(void)state;
	struct rig *rig = plain("/close/4009", 0);

	wait_until(rig, has_gone_down);
	/* the attempts of any other code would have begun within 100 ms */
	rig->wanted = (size_t)clock_monotonic_ms() + 500;
	wait_until(rig, has_waited_after_4009);
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 1);
	/* a new target does not wait */
	target(rig, "ws", "127.0.0.1", "/echo");
	wait_until(rig, is_up);
	rig_free(rig);
}

static void
test_a_leg_comes_back_after_the_relay_restarted(void **state)
{
	(void)state;
	struct rig *rig = plain("/echo", 0);
	uint16_t port = rig->relay.port;

	wait_until(rig, is_up);
	send_numbered(rig, 7, 100); /* staged for the old connection: must not reach the new one */
	stand_in_stop(&rig->relay);
	rig->relay.port = 0;
	wait_until(rig, has_gone_down);
	assert_int_equal(leg_client_send(rig->client, rig->last_message, 5, false), -ENOTCONN);
	leg_client_flush(rig->client);
	assert_int_equal(stand_in_start(&rig->relay, port, NULL, NULL), 0);
	wait_until(rig, is_up);
	send_numbered(rig, 8, 100);
	leg_client_flush(rig->client);
	rig->wanted = 1;
	wait_until(rig, has_messages);
	assert_int_equal(rig->last, 8);
	assert_int_equal(atomic_load(&rig->relay.messages), 1);
	rig_free(rig);
}

static void
test_the_next_url_is_tried_when_one_fails(void **state)
{
	(void)state;
	struct rig *rig = rig_new(NULL, 0);
	char bad[100], good[100];
	const char *urls[] = { bad, "ws://127.0.0.1:1/nobody", good, NULL };

	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	snprintf(bad, sizeof bad, "ws://127.0.0.1:%u/status/503", rig->relay.port);
	snprintf(good, sizeof good, "ws://127.0.0.1:%u/echo", rig->relay.port);
	assert_int_equal(leg_client_target(rig->client, urls, "t"), 0);
	wait_until(rig, is_up);
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 3);
	assert_string_equal(leg_client_url(rig->client), good);
	/* a new ticket for the same urls leaves the leg alone */
	assert_int_equal(leg_client_target(rig->client, urls, "t2"), 0);
	send_numbered(rig, 1, 50);
	leg_client_flush(rig->client);
	rig->wanted = 1;
	wait_until(rig, has_messages);
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 3);
	rig_free(rig);
}

static bool
is_at_the_other_place(struct rig *rig)
{
	return is_up(rig) && figure(rig, "leg_attempts_total", NULL) == 2;
}

/* It reads the close after the leg has gone down. */
static bool
relay_has_heard_the_close(struct rig *rig)
{
	return atomic_load(&rig->relay.close_code) != 0;
}

static void
test_another_url_moves_the_leg_and_disconnect_ends_it_cleanly(void **state)
{
	(void)state;
	struct rig *rig = plain("/echo", 0);

	wait_until(rig, is_up);
	target(rig, "ws", "localhost", "/sink");
	wait_until(rig, has_gone_down);
	assert_int_equal(first_down(rig)->code, 1000);
	wait_until(rig, relay_has_heard_the_close);
	assert_int_equal(atomic_load(&rig->relay.close_code), 1000);
	wait_until(rig, is_at_the_other_place);
	rig->wanted = rig->noted_n;
	atomic_store(&rig->relay.close_code, 0);
	leg_client_disconnect(rig->client);
	wait_until(rig, has_gone_down);
	assert_int_equal(first_down(rig)->code, 1000);
	wait_until(rig, relay_has_heard_the_close);
	assert_int_equal(atomic_load(&rig->relay.close_code), 1000);
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 2);
	target(rig, "ws", "127.0.0.1", "/echo");
	wait_until(rig, is_up);
	rig_free(rig);
}

static void
test_a_checked_certificate_is_accepted_by_name_and_by_both_kinds_of_address(void **state)
{
	(void)state;
	const char *hosts[] = { "localhost", "127.0.0.1", "[::1]" };

	for (size_t i = 0; i < 3; i++) {
		struct rig *rig = rig_new(certificate, 0);
		assert_int_equal(stand_in_start(&rig->relay, 0, certificate, key), 0);
		target(rig, "wss", hosts[i], "/echo");
		wait_until(rig, is_up);
		send_numbered(rig, 1, 60000);
		leg_client_flush(rig->client);
		rig->wanted = 1;
		wait_until(rig, has_messages);
		assert_int_equal(rig->last_n, 60000);
		rig_free(rig);
	}
}

static void
expect_refused_certificate(const char *ca_file, const char *host, const char *pinned)
{
	struct rig *rig = rig_new(ca_file, 0);

	assert_int_equal(stand_in_start(&rig->relay, 0, certificate, key), 0);
	if (pinned != NULL)
		assert_int_equal(leg_client_pin(rig->client, host, pinned), 0);
	target(rig, "wss", host, "/echo");
	wait_until(rig, has_gone_down);
	if (strstr(first_down(rig)->reason, "certificate refused") == NULL)
		fail_msg("unexpected reason: %s", first_down(rig)->reason);
	for (size_t i = 0; i < rig->noted_n; i++)
		assert_int_not_equal(rig->noted[i].state, LEG_UP);
	assert_string_equal(rig->relay.authorization, ""); /* the ticket stayed here */
	rig_free(rig);
}

/* T43 */
static void
test_a_wrong_certificate_is_refused_before_the_ticket_is_sent(void **state)
{
	(void)state;
	expect_refused_certificate(other, "localhost", NULL);
	expect_refused_certificate(NULL, "localhost", NULL);
	expect_refused_certificate(certificate, "not-its-name.example", "127.0.0.1");
	expect_refused_certificate(certificate, "127.0.0.2", NULL);
}

static void
test_a_pinned_name_is_not_resolved_and_stays_the_name(void **state)
{
	(void)state;
	struct rig *rig = rig_new(other, 0);

	assert_int_equal(stand_in_start(&rig->relay, 0, other, other_key), 0);
	assert_int_equal(leg_client_pin(rig->client, "relay.example", "nonsense"), -EINVAL);
	assert_int_equal(leg_client_pin(rig->client, "relay.example", "127.0.0.1"), 0);
	target(rig, "wss", "relay.example", "/echo");
	wait_until(rig, is_up);
	assert_memory_equal(rig->relay.host, "relay.example:", 14);
	rig_free(rig);
}

static void
test_bad_urls_and_tickets_are_refused(void **state)
{
	(void)state;
	struct rig *rig = rig_new(NULL, 0);
	const char *bad[] = { "https://a/b",	 "ws://",	 "ws://a b/",
			      "ws://user@host/", "wss://h:0/",	 "wss://h:65536/",
			      "wss://h:12x/",	 "wss://h/a b",	 "wss://h/a\r\nX: y",
			      "wss://[::1/",	 "wss://h/a?t=1" };
	char long_ticket[2000];

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *urls[] = { bad[i], NULL };
		assert_int_equal(leg_client_target(rig->client, urls, "t"), -EINVAL);
	}
	const char *none[] = { NULL };
	assert_int_equal(leg_client_target(rig->client, none, "t"), -EINVAL);
	const char *good[] = { "ws://127.0.0.1:1/", NULL };
	memset(long_ticket, 'a', sizeof long_ticket);
	long_ticket[sizeof long_ticket - 1] = '\0';
	assert_int_equal(leg_client_target(rig->client, good, long_ticket), -EINVAL);
	assert_int_equal(leg_client_target(rig->client, good, "a\r\nb"), -EINVAL);
	rig_free(rig);
}

/* An HTTP proxy that reads the request, tells what it was, and refuses. */
static void
test_the_proxy_of_the_environment_is_asked(void **state)
{
	(void)state;
	struct rig *rig = rig_new(NULL, 0);
	char url[64], request[512] = "";
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t n = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 4), 0);
	getsockname(listener, (struct sockaddr *)&address, &n);
	snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
	setenv("https_proxy", url, 1);
	setenv("no_proxy", "direct.example", 1);
	const char *urls[] = { "wss://relay.example/relay/x", NULL };
	assert_int_equal(leg_client_target(rig->client, urls, "t"), 0);
	int fd = accept(listener, NULL, NULL);
	assert_true(recv(fd, request, sizeof request - 1, 0) > 0);
	assert_memory_equal(request, "CONNECT relay.example:443 HTTP/1.", 33);
	close(fd);
	close(listener);
	unsetenv("https_proxy");
	unsetenv("no_proxy");
	wait_until(rig, has_gone_down);
	rig_free(rig);
}

static bool
is_connecting(struct rig *rig)
{
	return leg_client_state(rig->client) == LEG_CONNECTING;
}

static bool
is_freed(struct rig *rig)
{
	return rig->client == NULL;
}

static void
test_it_can_be_freed_in_any_state(void **state)
{
	(void)state;
	struct rig *rig = rig_new(NULL, 0); /* nothing asked */
	rig_free(rig);
	rig = plain("/echo", 0); /* asked, not begun */
	rig_free(rig);
	rig = plain("/mute", 0); /* in the handshake */
	wait_until(rig, is_connecting);
	rig_free(rig);
	rig = plain("/status/503", 0); /* waiting to try again */
	wait_until(rig, has_gone_down);
	rig_free(rig);
	rig = plain("/stall", 0); /* with a full socket and a full queue */
	wait_until(rig, is_up);
	for (unsigned i = 1; i < 2000; i++)
		send_numbered(rig, i, 10000);
	leg_client_flush(rig->client);
	atomic_store(&rig->relay.is_released, true);
	rig_free(rig);
	rig = rig_new(NULL, 0); /* from its own callback, with messages under way */
	rig->relay.flood_n = 100;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	rig->free_in_callback = true;
	target(rig, "ws", "127.0.0.1", "/flood");
	wait_until(rig, is_freed);
	rig_free(rig);
}

/* Turns of a loop that the compiler keeps, so that the leg's thread is met at many points. */
static void
spin(unsigned turns)
{
	for (volatile unsigned i = 0; i < turns; i++)
		continue;
}

enum { RACES = 200, RACE_TURNS = 1500 };

/* The answer to the handshake may be read in the turn that was to end the attempt. */
static void
test_it_can_be_freed_in_the_moment_it_comes_up(void **state)
{
	(void)state;

	for (unsigned i = 0; i < RACES; i++) {
		struct rig *rig = plain("/echo", 0);
		spin(i * RACE_TURNS);
		rig_free(rig);
	}
}

static int
make_certificate(const char *names, const char *certificate_path, const char *key_path)
{
	char command[512];

	snprintf(command, sizeof command,
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
		 "-subj /CN=relay -addext subjectAltName=%s -out %s -keyout %s 2>/dev/null",
		 names, certificate_path, key_path);
	return system(command);
}

static int
set_up(void **state)
{
	(void)state;
	const char *variables[] = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy",
				    "ALL_PROXY",  "no_proxy",	 "NO_PROXY" };

	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		unsetenv(variables[i]);
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(certificate, sizeof certificate, "%s/relay.pem", folder);
	snprintf(key, sizeof key, "%s/relay.key", folder);
	snprintf(other, sizeof other, "%s/other.pem", folder);
	snprintf(other_key, sizeof other_key, "%s/other.key", folder);
	if (make_certificate("DNS:localhost,IP:127.0.0.1,IP:::1", certificate, key) != 0)
		return -1;
	return make_certificate("DNS:relay.example", other, other_key);
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(certificate);
	unlink(key);
	unlink(other);
	unlink(other_key);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_of_every_size_come_back_whole),
		cmocka_unit_test(test_thousands_of_messages_stay_in_order_both_ways),
		cmocka_unit_test(test_a_full_queue_drops_the_oldest_data_and_no_control),
		cmocka_unit_test(test_control_that_does_not_fit_is_refused_to_the_sender),
		cmocka_unit_test(test_a_message_in_fragments_is_put_together),
		cmocka_unit_test(test_text_and_too_large_messages_end_the_leg),
		cmocka_unit_test(test_close_codes_and_reasons_of_the_relay_are_delivered),
		cmocka_unit_test(test_a_refused_upgrade_says_its_http_status),
		cmocka_unit_test(test_a_redirect_is_not_followed_with_the_ticket),
		cmocka_unit_test(test_a_server_without_the_subprotocol_is_no_relay),
		cmocka_unit_test(test_refusals_are_retried_with_growing_pauses),
		cmocka_unit_test(test_a_leg_replaced_by_a_newer_one_does_not_fight_it),
		cmocka_unit_test(test_a_leg_comes_back_after_the_relay_restarted),
		cmocka_unit_test(test_the_next_url_is_tried_when_one_fails),
		cmocka_unit_test(test_another_url_moves_the_leg_and_disconnect_ends_it_cleanly),
		cmocka_unit_test(
			test_a_checked_certificate_is_accepted_by_name_and_by_both_kinds_of_address),
		cmocka_unit_test(test_a_wrong_certificate_is_refused_before_the_ticket_is_sent),
		cmocka_unit_test(test_a_pinned_name_is_not_resolved_and_stays_the_name),
		cmocka_unit_test(test_bad_urls_and_tickets_are_refused),
		cmocka_unit_test(test_the_proxy_of_the_environment_is_asked),
		cmocka_unit_test(test_it_can_be_freed_in_any_state),
		cmocka_unit_test(test_it_can_be_freed_in_the_moment_it_comes_up),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
