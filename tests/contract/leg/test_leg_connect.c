/*
 * Where a leg goes: refused upgrades, pauses, the next relay, another target, pinned names,
 * proxies.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg_rig.h"

#include "leg/leg_url.h"
#include "loop/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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
test_refusals_are_retried(void **state)
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
test_so_many_names_are_pinned_and_a_pin_replaces_another(void **state)
{
	struct rig *rig = rig_new(NULL, 0);
	char name[LEG_URL_HOST_BYTES + 1];
	unsigned n = 0;
	int r;

	(void)state;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	memset(name, 'a', LEG_URL_HOST_BYTES);
	name[LEG_URL_HOST_BYTES] = '\0';
	assert_int_equal(leg_client_pin(rig->client, name, "127.0.0.1"), -EINVAL);
	assert_int_equal(leg_client_pin(rig->client, "relay.invalid", "127.255.255.254"), 0);
	do {
		snprintf(name, sizeof name, "name-%u.invalid", n);
		r = leg_client_pin(rig->client, name, "127.255.255.254");
	} while (r == 0 && n++ < 1000);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, 31);
	/* Whatever its case, and though there is no room for one more. */
	assert_int_equal(leg_client_pin(rig->client, "RELAY.invalid", "127.0.0.1"), 0);
	target(rig, "ws", "relay.invalid", "/echo");
	wait_until(rig, is_up);
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 1);
	rig_free(rig);
}

static void
test_a_ticket_is_printable_and_has_its_length(void **state)
{
	struct rig *rig = rig_new(NULL, 0);
	const char *urls[] = { "ws://127.0.0.1:1/", NULL };
	char ticket[1024 + 1];

	(void)state;
	assert_int_equal(leg_client_target(rig->client, urls, "a\x7f"), -EINVAL);
	assert_int_equal(leg_client_target(rig->client, urls, "a\xc3\xa4"), -EINVAL);
	assert_int_equal(leg_client_target(rig->client, urls, "a b"), -EINVAL);
	assert_int_equal(leg_client_target(rig->client, urls, "!~"), 0);
	memset(ticket, 'a', sizeof ticket);
	ticket[1024] = '\0';
	assert_int_equal(leg_client_target(rig->client, urls, ticket), -EINVAL);
	ticket[1023] = '\0';
	assert_int_equal(leg_client_target(rig->client, urls, ticket), 0);
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
expect_proxy_is_asked(const char *name)
{
	struct rig *rig = rig_new(NULL, 0);
	char url[64], request[512] = "";
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t n = sizeof address;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(listener, (struct sockaddr *)&address, n), 0);
	assert_int_equal(listen(listener, 4), 0);
	getsockname(listener, (struct sockaddr *)&address, &n);
	snprintf(url, sizeof url, "http://%s:%u/", name, ntohs(address.sin_port));
	/* The proxy finds the relay; what is pinned is the proxy's own address. */
	assert_int_equal(leg_client_pin(rig->client, "proxy.invalid", "127.0.0.1"), 0);
	assert_int_equal(leg_client_pin(rig->client, "relay.example", "127.255.255.254"), 0);
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

static void
test_the_proxy_of_the_environment_is_asked(void **state)
{
	(void)state;
	expect_proxy_is_asked("127.0.0.1");
	expect_proxy_is_asked("proxy.invalid");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_refused_upgrade_says_its_http_status),
		cmocka_unit_test(test_a_redirect_is_not_followed_with_the_ticket),
		cmocka_unit_test(test_a_server_without_the_subprotocol_is_no_relay),
		cmocka_unit_test(test_refusals_are_retried),
		cmocka_unit_test(test_a_leg_replaced_by_a_newer_one_does_not_fight_it),
		cmocka_unit_test(test_a_leg_comes_back_after_the_relay_restarted),
		cmocka_unit_test(test_the_next_url_is_tried_when_one_fails),
		cmocka_unit_test(test_another_url_moves_the_leg_and_disconnect_ends_it_cleanly),
		cmocka_unit_test(test_a_pinned_name_is_not_resolved_and_stays_the_name),
		cmocka_unit_test(test_so_many_names_are_pinned_and_a_pin_replaces_another),
		cmocka_unit_test(test_a_ticket_is_printable_and_has_its_length),
		cmocka_unit_test(test_bad_urls_and_tickets_are_refused),
		cmocka_unit_test(test_the_proxy_of_the_environment_is_asked),
	};

	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
