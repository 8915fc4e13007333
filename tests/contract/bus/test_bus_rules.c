/*
 * Who may call which method and hear which event over tcp: by the name of its key, by a rule, and
 * nothing without one (T22, B20, B48). On ipc everybody who can reach the socket may.
 */
#include "echo_stage.h"

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
	struct fixture *f = stage_open(state);

	echo.rules = rules;
	stage_start(f);
	return 0;
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

	hear(&loud, f, &boson__test__shout_loud__descriptor);
	hear(&shout, f, &boson__test__shout__descriptor);
	publish_until_heard(f, &shout);
	bus_unsubscribe(&shout.subscription);
	hear(&shout, f, &boson__test__shout__descriptor);
	publish_until_heard(f, &shout);
	while (refused() == 0)
		assert_true(fixture_ping(f, peer, 5000));
	assert_int_equal(loud.events, 0);
	bus_unsubscribe(&shout.subscription);
	bus_unsubscribe(&loud.subscription);
}

/* By hand: all there is, and the beginning of a name. */
static void
test_subscription_to_a_part_of_a_name_is_granted_to_nobody_B20(void **state)
{
	static const char *const topics[] = { "", "boson.", "boson.test.Shou" };
	struct fixture *f = *state;
	zsock_t *stranger = zsock_new(ZMQ_SUB);
	struct heard shout;

	zsock_set_curve_serverkey(stranger, f->server_keys.public_key);
	zsock_set_curve_publickey(stranger, f->client_keys.public_key);
	zsock_set_curve_secretkey(stranger, f->client_keys.secret_key);
	for (size_t i = 0; i < 3; i++)
		zsock_set_subscribe(stranger, topics[i]);
	assert_int_equal(zsock_connect(stranger, "%s", f->events_endpoint), 0);
	while (refused() < 2) /* the empty one has no name at all */
		assert_true(fixture_ping(f, peer, 5000));
	hear(&shout, f, &boson__test__shout__descriptor);
	publish_until_heard(f, &shout);
	zsock_set_rcvtimeo(stranger, 0);
	assert_null(zmsg_recv(stranger));
	zsock_destroy(&stranger);
	bus_unsubscribe(&shout.subscription);
}

static void
test_on_ipc_everybody_may(void **state)
{
	struct fixture *f = *state;
	struct heard shout;
	struct asked asked;

	ask_and_wait(&asked, f, peer, boson__test__echo__whoami, "x");
	assert_true(asked.answered);
	assert_string_equal(asked.text, "local");
	hear(&shout, f, &boson__test__shout__descriptor);
	publish_until_heard(f, &shout);
	bus_unsubscribe(&shout.subscription);
	assert_int_equal(refused(), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, stage_teardown)

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

	return fixture_run(FIXTURE_TCP, FIXTURE_TCP, tcp) +
	       fixture_run(FIXTURE_IPC, FIXTURE_IPC, ipc);
}
