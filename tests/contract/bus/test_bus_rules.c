/*
 * Who may call which method and hear which event over tcp: by the name of its key, by a rule, and
 * nothing without one (T22, B20, B48). On ipc everybody who can reach the socket may.
 */
#include "echo_actor.h"

#include "log/log.h"

#include <string.h>

static struct echo echo;
static struct bus_peer *peer;
static const struct bus_rule rules[] = {
	{ .name = "boson.test.Echo/Say", .senders = "routing gateway" },
	{ .name = "boson.test.Echo/Publish", .senders = "gateway" },
	{ .name = "boson.test.Echo/Whoami", .senders = "gate routing gateways" },
	{ .name = "boson.test.Shout", .senders = "gateway" },
	{ .name = "boson.test.ShoutLoud", .senders = "routing" },
	{ 0 },
};

static int
setup(void **state)
{
	fixture_setup(state);
	memset(&echo, 0, sizeof(echo));
	echo.rules = rules;
	echo_start(&echo, *state);
	peer = echo_peer(*state);
	return 0;
}

static int
teardown(void **state)
{
	bus_peer_free(&peer);
	echo_stop(&echo);
	return fixture_teardown(state);
}

static uint64_t
refused(void)
{
	return fixture_metric(echo.actor.metrics, "bus_drops_total{reason=\"acl\"}");
}

static void
test_method_is_for_those_that_its_rule_names_T22(void **state)
{
	struct asked asked;

	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "x");
	assert_true(asked.answered);
	assert_int_equal(refused(), 0);
	ask_and_wait(&asked, *state, peer, boson__test__echo__whoami, "x");
	assert_failed(&asked, BUS_FORBIDDEN, "sender");
	assert_int_equal(refused(), 1);
}

static void
test_method_without_a_rule_is_for_nobody(void **state)
{
	struct asked asked;

	ask_and_wait(&asked, *state, peer, boson__test__echo__keep, "x");
	assert_failed(&asked, BUS_FORBIDDEN, "sender");
	assert_int_equal(atomic_load(&echo.kept_count), 0);
}

static void
test_ping_needs_no_rule(void **state)
{
	assert_true(fixture_ping(*state, peer, 5000));
}

struct heard {
	struct fixture *fixture;
	unsigned events;
};

static void
on_event(const ProtobufCMessage *event, bool gap, void *arg)
{
	struct heard *heard = arg;

	(void)gap;
	heard->events += event != NULL;
	loop_stop(heard->fixture->loop);
}

static struct bus_subscription *
hear(struct fixture *f, const ProtobufCMessageDescriptor *type, struct heard *heard)
{
	struct bus_subscription *subscription = NULL;

	*heard = (struct heard){ .fixture = f };
	assert_int_equal(bus_subscribe(f->bus, f->events_endpoint, fixture_server_key(f), type,
				       on_event, heard, &subscription),
			 0);
	return subscription;
}

/* Publishes until the one who may hear has heard. */
static void
publish_until_heard(struct fixture *f, const struct heard *heard)
{
	struct asked asked;

	while (heard->events == 0) {
		ask_and_wait(&asked, f, peer, boson__test__echo__publish, "x");
		assert_true(asked.answered);
	}
}

static void
test_event_is_for_those_that_its_rule_names_B20(void **state)
{
	struct fixture *f = *state;
	struct heard shout, loud;
	struct bus_subscription *loud_one = hear(f, &boson__test__shout_loud__descriptor, &loud);
	struct bus_subscription *one = hear(f, &boson__test__shout__descriptor, &shout);

	publish_until_heard(f, &shout);
	bus_unsubscribe(&one);
	one = hear(f, &boson__test__shout__descriptor, &shout);
	publish_until_heard(f, &shout);
	while (refused() == 0)
		assert_true(fixture_ping(f, peer, 5000));
	assert_int_equal(loud.events, 0);
	bus_unsubscribe(&one);
	bus_unsubscribe(&loud_one);
}

/* By hand: all there is, and the beginning of a name. */
static void
test_subscription_to_a_part_of_a_name_is_granted_to_nobody_B20(void **state)
{
	static const char *const topics[] = { "", "boson.", "boson.test.Shou" };
	struct fixture *f = *state;
	zsock_t *stranger = zsock_new(ZMQ_SUB);
	struct bus_subscription *one;
	struct heard shout;

	zsock_set_curve_serverkey(stranger, f->server_keys.public_key);
	zsock_set_curve_publickey(stranger, f->client_keys.public_key);
	zsock_set_curve_secretkey(stranger, f->client_keys.secret_key);
	for (size_t i = 0; i < 3; i++)
		zsock_set_subscribe(stranger, topics[i]);
	assert_int_equal(zsock_connect(stranger, "%s", f->events_endpoint), 0);
	while (refused() < 2) /* the empty one has no name at all */
		assert_true(fixture_ping(f, peer, 5000));
	one = hear(f, &boson__test__shout__descriptor, &shout);
	publish_until_heard(f, &shout);
	zsock_set_rcvtimeo(stranger, 0);
	assert_null(zmsg_recv(stranger));
	zsock_destroy(&stranger);
	bus_unsubscribe(&one);
}

static void
test_on_ipc_everybody_may(void **state)
{
	struct fixture *f = *state;
	struct bus_subscription *one;
	struct heard shout;
	struct asked asked;

	ask_and_wait(&asked, f, peer, boson__test__echo__whoami, "x");
	assert_true(asked.answered);
	assert_string_equal(asked.text, "local");
	one = hear(f, &boson__test__shout__descriptor, &shout);
	publish_until_heard(f, &shout);
	bus_unsubscribe(&one);
	assert_int_equal(refused(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tcp[] = {
		TEST(test_method_is_for_those_that_its_rule_names_T22),
		TEST(test_method_without_a_rule_is_for_nobody),
		TEST(test_ping_needs_no_rule),
		TEST(test_event_is_for_those_that_its_rule_names_B20),
		TEST(test_subscription_to_a_part_of_a_name_is_granted_to_nobody_B20),
	};
	const struct CMUnitTest ipc[] = { TEST(test_on_ipc_everybody_may) };

	log_init("test", LOG_LEVEL_ERROR);
	fixture_use(FIXTURE_TCP);
	int failed = cmocka_run_group_tests_name("tcp", tcp, NULL, NULL);
	fixture_use(FIXTURE_IPC);
	return failed + cmocka_run_group_tests_name("ipc", ipc, NULL, NULL);
}
