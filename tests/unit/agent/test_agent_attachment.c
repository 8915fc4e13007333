/*
 * What the forwarder is told to attach to, from what the server says: T27 (a URL made of strings
 * that somebody else chose), order kept, nothing forgotten.
 */
#include "agent/agent_attachment.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char node_id[] = "0f1e2d3c-4b5a-4697-8877-665544332211";

/* Up to three relays by host, port 443. */
struct relays {
	attachment_relay relay[3];
	attachment_relay *list[3];
	size_t n;
};

static struct relays *
relays_of(const char *const hosts[])
{
	static struct relays r;

	r.n = 0;
	for (; hosts[r.n]; r.n++) {
		boson__discovery__register_reply__relay_server__init(&r.relay[r.n]);
		r.relay[r.n].host = (char *)(uintptr_t)hosts[r.n];
		r.relay[r.n].has_port = 1;
		r.relay[r.n].port = 443;
		r.relay[r.n].protocol = (char *)(uintptr_t) "wss";
		r.list[r.n] = &r.relay[r.n];
	}
	return &r;
}

#define HOSTS(...) relays_of((const char *const[]){ __VA_ARGS__, NULL })

static Boson__Node__Attachment *
next(const Boson__Node__Attachment *old, struct relays *relays, const char *ticket)
{
	Boson__Node__Attachment *made;

	assert_int_equal(attachment_next(old, node_id, relays ? relays->list : NULL,
					 relays ? relays->n : 0, ticket, &made),
			 0);
	return made;
}

static void
drop(Boson__Node__Attachment *attachment)
{
	boson__node__attachment__free_unpacked(attachment, NULL);
}

static void
test_the_first_answer_makes_an_attachment(void **state)
{
	Boson__Node__Attachment *a = next(NULL, HOSTS("relay.test", "2001:db8::1"), "ticket-1");

	(void)state;
	assert_string_equal(a->node_id, node_id);
	assert_string_equal(a->relay_ticket, "ticket-1");
	assert_int_equal(a->n_relay_endpoints, 2);
	assert_string_equal(a->relay_endpoints[0], "wss://relay.test:443");
	assert_string_equal(a->relay_endpoints[1], "wss://[2001:db8::1]:443");
	drop(a);
}

static void
test_the_same_answer_again_changes_nothing(void **state)
{
	Boson__Node__Attachment *a = next(NULL, HOSTS("a.test", "b.test"), "ticket-1");

	(void)state;
	assert_null(next(a, HOSTS("a.test", "b.test"), "ticket-1"));
	assert_null(next(a, HOSTS("a.test", "b.test"), NULL));
	assert_null(next(a, NULL, NULL));
	assert_null(next(a, NULL, ""));
	drop(a);
}

/* The least loaded relay stands first each time; a leg does not move for that. */
static void
test_another_order_of_the_same_relays_changes_nothing(void **state)
{
	Boson__Node__Attachment *a = next(NULL, HOSTS("a.test", "b.test"), "ticket-1"), *b;

	(void)state;
	assert_null(next(a, HOSTS("b.test", "a.test"), "ticket-1"));
	b = next(a, HOSTS("b.test", "a.test"), "ticket-2");
	assert_string_equal(b->relay_endpoints[0], "wss://a.test:443");
	assert_string_equal(b->relay_ticket, "ticket-2");
	drop(a);
	drop(b);
}

static void
test_other_relays_replace_the_old_ones_and_keep_the_ticket(void **state)
{
	Boson__Node__Attachment *a = next(NULL, HOSTS("a.test", "b.test"), "ticket-1");
	Boson__Node__Attachment *b = next(a, HOSTS("b.test", "c.test"), NULL);

	(void)state;
	assert_int_equal(b->n_relay_endpoints, 2);
	assert_string_equal(b->relay_endpoints[0], "wss://b.test:443");
	assert_string_equal(b->relay_endpoints[1], "wss://c.test:443");
	assert_string_equal(b->relay_ticket, "ticket-1");
	drop(a);
	a = next(b, HOSTS("b.test"), NULL);
	assert_int_equal(a->n_relay_endpoints, 1);
	drop(a);
	drop(b);
}

static void
test_no_relay_announced_keeps_those_that_were_known(void **state)
{
	Boson__Node__Attachment *a = next(NULL, HOSTS("a.test"), "ticket-1");
	Boson__Node__Attachment *b = next(a, NULL, "ticket-2");

	(void)state;
	assert_int_equal(b->n_relay_endpoints, 1);
	assert_string_equal(b->relay_ticket, "ticket-2");
	drop(a);
	drop(b);
}

static void
test_own_addresses_stay(void **state)
{
	Boson__Node__Attachment *a = next(NULL, HOSTS("a.test"), "ticket-1"), *b;
	char *own[] = { (char *)(uintptr_t) "198.51.100.7" };
	Boson__Node__Attachment with = *a;

	(void)state;
	with.own_addresses = own;
	with.n_own_addresses = 1;
	b = next(&with, NULL, "ticket-2");
	assert_int_equal(b->n_own_addresses, 1);
	assert_string_equal(b->own_addresses[0], "198.51.100.7");
	drop(a);
	drop(b);
}

static void
test_t27_hosts_that_would_change_the_url_are_ignored(void **state)
{
	static const char *const bad[] = {
		"", "a/b", "a@b", "a b", "a#b", "a?b", "a\nb", "a%2fb", "[::1]", "a\\b", "\xc3\xa9",
	};
	char text[ATTACHMENT_ENDPOINT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(attachment_endpoint(&HOSTS(bad[i])->relay[0], text), -EINVAL);
}

static void
test_t27_ports_and_protocols_that_are_none_are_ignored(void **state)
{
	char text[ATTACHMENT_ENDPOINT_BYTES];
	attachment_relay *relay = &HOSTS("a.test")->relay[0];

	(void)state;
	assert_int_equal(attachment_endpoint(relay, text), 0);
	relay->port = 65536;
	assert_int_equal(attachment_endpoint(relay, text), -EINVAL);
	relay->port = 0;
	assert_int_equal(attachment_endpoint(relay, text), -EINVAL);
	relay->port = 65535;
	assert_int_equal(attachment_endpoint(relay, text), 0);
	relay->has_port = 0;
	assert_int_equal(attachment_endpoint(relay, text), -EINVAL);
	relay->has_port = 1;
	relay->protocol = (char *)(uintptr_t) "ws";
	assert_int_equal(attachment_endpoint(relay, text), -EINVAL);
	relay->protocol = NULL;
	assert_int_equal(attachment_endpoint(relay, text), 0);
	relay->host = NULL;
	assert_int_equal(attachment_endpoint(relay, text), -EINVAL);
}

static void
test_a_host_of_253_bytes_fits_and_a_longer_one_is_ignored(void **state)
{
	char host[256], text[ATTACHMENT_ENDPOINT_BYTES];

	(void)state;
	memset(host, 'a', sizeof(host));
	host[254] = '\0';
	assert_int_equal(attachment_endpoint(&HOSTS(host)->relay[0], text), -EINVAL);
	host[253] = '\0';
	assert_int_equal(attachment_endpoint(&HOSTS(host)->relay[0], text), 0);
	assert_int_equal(strlen(text), 6 + 253 + 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_first_answer_makes_an_attachment),
		cmocka_unit_test(test_the_same_answer_again_changes_nothing),
		cmocka_unit_test(test_another_order_of_the_same_relays_changes_nothing),
		cmocka_unit_test(test_other_relays_replace_the_old_ones_and_keep_the_ticket),
		cmocka_unit_test(test_no_relay_announced_keeps_those_that_were_known),
		cmocka_unit_test(test_own_addresses_stay),
		cmocka_unit_test(test_t27_hosts_that_would_change_the_url_are_ignored),
		cmocka_unit_test(test_t27_ports_and_protocols_that_are_none_are_ignored),
		cmocka_unit_test(test_a_host_of_253_bytes_fits_and_a_longer_one_is_ignored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
