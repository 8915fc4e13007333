/*
 * What the relay is told of flows, with the leg's end replaced: where they go is nobody's business
 * but the owner's. (P21, T46)
 */
#include "forwarder/forwarder.h"
#include "forwarder/forwarder_actor.h"

#include "config/config.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SESSION	    "11111111-1111-4111-8111-111111111111"
#define KEY	    "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE="
#define DESTINATION "198.51.100.80"
#define VARIABLE    "HIGGS_FORWARDER_FLOW_DESTINATIONS"

static struct forwarder forwarder;
static Boson__Link__Control *sent; /* the last message */

int __wrap_forwarder_legs_send(struct forwarder_legs *legs, const Boson__Link__Control *control);
void __wrap_forwarder_legs_status(const struct forwarder_legs *legs,
				  struct forwarder_legs_status *ret);

int
__wrap_forwarder_legs_send(struct forwarder_legs *legs, const Boson__Link__Control *control)
{
	size_t n = boson__link__control__get_packed_size(control);
	uint8_t *bytes = malloc(n);

	(void)legs;
	assert_non_null(bytes);
	assert_null(sent);
	boson__link__control__pack(control, bytes);
	sent = boson__link__control__unpack(NULL, n, bytes);
	free(bytes);
	return 0;
}

void
__wrap_forwarder_legs_status(const struct forwarder_legs *legs, struct forwarder_legs_status *ret)
{
	(void)legs;
	*ret = (struct forwarder_legs_status){ .state = LEG_UP };
}

static struct in6_addr
address(const char *text)
{
	struct in6_addr parsed;

	assert_int_equal(inet_pton(AF_INET6, text, &parsed), 1);
	return parsed;
}

static int
setup(void **state)
{
	struct in6_addr address4 = address("::ffff:10.90.0.2"), none = { 0 };
	struct flow_seen seen = { .id = 1, .client = address4, .bytes_up = 100 };
	struct session session;

	(void)state;
	memset(&forwarder, 0, sizeof(forwarder));
	forwarder.legs = (struct forwarder_legs *)&forwarder; /* only asked whether it is there */
	assert_int_equal(session_parse(SESSION, KEY, "10.90.0.2", NULL, &session), 0);
	assert_int_equal(forwarder_sessions_new(&forwarder.sessions), 0);
	assert_int_equal(forwarder_sessions_add(forwarder.sessions, &session), 0);
	assert_int_equal(flow_table_new(1280, 1, &forwarder.flows), 0);
	assert_int_equal(flow_table_session_add(forwarder.flows, SESSION, &address4, &none), 0);
	seen.reply.source = address("::ffff:" DESTINATION);
	seen.reply.destination = address("::ffff:192.168.1.10");
	seen.reply.source_port = 443;
	seen.reply.destination_port = 33000;
	seen.reply.protocol = IPPROTO_UDP;
	flow_table_see(forwarder.flows, &seen, false);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	if (sent)
		boson__link__control__free_unpacked(sent, NULL);
	sent = NULL;
	unsetenv(VARIABLE);
	flow_table_free(&forwarder.flows);
	forwarder_sessions_free(&forwarder.sessions);
	return 0;
}

/* The owner's word, NULL for none, read as the forwarder reads it. */
static void
configure(const char *word)
{
	const struct config_key *const tables[] = { forwarder_actor.keys, NULL };
	const struct config_schema schema = { .env_prefix = "HIGGS", .tables = tables };
	struct config *config = NULL;
	char error[256];

	if (word)
		assert_int_equal(setenv(VARIABLE, word, 1), 0);
	assert_int_equal(config_load(NULL, &schema, &config, error, sizeof(error)), 0);
	forwarder.report_destinations = config_bool(config, "forwarder", "flow_destinations");
	config_free(&config);
}

/* The one flow of the report. */
static const Boson__Link__Flow *
report(void)
{
	forwarder_report_flows(&forwarder);
	assert_non_null(sent);
	assert_int_equal(sent->body_case, BOSON__LINK__CONTROL__BODY_FLOW_REPORT);
	assert_int_equal(sent->flow_report->n_sessions, 1);
	assert_int_equal(sent->flow_report->sessions[0]->n_flows, 1);
	return sent->flow_report->sessions[0]->flows[0];
}

/* Nor anywhere else in the message. */
static void
assert_says_nothing_of_the_destination(void)
{
	const Boson__Link__Flow *flow = report();
	size_t n = boson__link__control__get_packed_size(sent);
	uint8_t *bytes = malloc(n);

	assert_non_null(bytes);
	boson__link__control__pack(sent, bytes);
	assert_null(flow->destination);
	assert_null(memmem(bytes, n, DESTINATION, strlen(DESTINATION)));
	assert_int_equal(flow->nat_port, 33000);
	assert_int_equal(flow->bytes_up, 100);
	free(bytes);
}

static void
test_P21_destinations_are_not_reported_by_default(void **state)
{
	(void)state;
	configure(NULL);
	assert_says_nothing_of_the_destination();
}

static void
test_P21_destinations_are_not_reported_when_the_owner_said_no(void **state)
{
	(void)state;
	configure("no");
	assert_says_nothing_of_the_destination();
}

static void
test_P21_destinations_are_reported_when_the_owner_said_yes(void **state)
{
	(void)state;
	configure("yes");
	assert_string_equal(report()->destination, DESTINATION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_P21_destinations_are_not_reported_by_default),
		TEST(test_P21_destinations_are_not_reported_when_the_owner_said_no),
		TEST(test_P21_destinations_are_reported_when_the_owner_said_yes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
