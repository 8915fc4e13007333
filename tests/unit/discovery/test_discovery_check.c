/* discovery_check: the rows R43 to R63 of what strangers send. */
#include "discovery/discovery_check.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka needs the four above
#include <cmocka.h>

#define NODE_ID	   "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f"
#define PUBLIC_KEY "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="

struct sample {
	Boson__Discovery__RegisterRequest request;
	Boson__Discovery__NetworkInfo network;
	Boson__Discovery__Capabilities capabilities;
	Boson__Discovery__NodeMetrics metrics;
	Boson__Common__Location location;
	Boson__Common__Bandwidth bandwidth;
	double coordinates[3];
};

static void
sample_init(struct sample *sample)
{
	boson__discovery__register_request__init(&sample->request);
	boson__discovery__network_info__init(&sample->network);
	boson__discovery__capabilities__init(&sample->capabilities);
	boson__discovery__node_metrics__init(&sample->metrics);
	boson__common__location__init(&sample->location);
	boson__common__bandwidth__init(&sample->bandwidth);
	sample->request.node_id = NODE_ID;
	sample->request.public_key = PUBLIC_KEY;
	sample->request.network_info = &sample->network;
	sample->request.capabilities = &sample->capabilities;
	sample->request.location = &sample->location;
	sample->request.metrics = &sample->metrics;
	sample->capabilities.bandwidth = &sample->bandwidth;
	sample->location.coordinates = sample->coordinates;
}

static void
assert_refused(const struct sample *sample, const char *code, const char *field)
{
	struct field_problem problem = { "", "" };

	assert_int_equal(discovery_check_register(&sample->request, &problem), -EINVAL);
	assert_string_equal(problem.code, code);
	assert_string_equal(problem.field, field);
}

static void
assert_accepted(const struct sample *sample)
{
	struct field_problem problem = { "", "" };

	assert_int_equal(discovery_check_register(&sample->request, &problem), 0);
}

static void
test_an_ordinary_registration_is_accepted(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.network.ipv4 = "192.168.1.7"; /* behind a NAT, as most are */
	sample.network.ipv6 = "2001:4860:4860::8888";
	sample.network.stun_mapped_address = "93.184.216.34:51820";
	sample.network.has_nat_type = 1;
	sample.network.nat_type = BOSON__DISCOVERY__NETWORK_INFO__NAT_TYPE__FullCone;
	sample.network.has_local_port = 1;
	sample.network.local_port = 51820;
	sample.location.country = "DE";
	sample.location.region = "Berlin";
	sample.location.n_coordinates = 2;
	sample.coordinates[0] = 52.5;
	sample.coordinates[1] = 13.4;
	sample.request.has_heartbeat_interval = 1;
	sample.request.heartbeat_interval = 30;
	assert_accepted(&sample);
}

static void
test_a_node_id_must_be_a_uuid_R43_R45(void **state)
{
	static char *const ids[] = { NULL,
				     "",
				     "7",
				     "6f1c2a34-9b7d-4e21-8c5f-0a1b2c3d4e5f\r\n",
				     "6F1C2A34-9B7D-4E21-8C5F-0A1B2C3D4E5F",
				     "6f1c2a349b7d4e218c5f0a1b2c3d4e5f" };
	struct sample sample;

	(void)state;
	sample_init(&sample);
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		sample.request.node_id = ids[i];
		assert_refused(&sample, "field", "nodeId");
	}
}

static void
test_a_public_key_must_be_32_canonical_bytes_R47(void **state)
{
	static char *const keys[] = {
		NULL,
		"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHw==",	  /* 31 */
		"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh",	  /* 33 */
		"_QIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=",	  /* url-safe */
		"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n", /* newline */
	};
	struct sample sample;

	(void)state;
	sample_init(&sample);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		sample.request.public_key = keys[i];
		assert_refused(&sample, "field", "publicKey");
	}
}

static void
test_an_address_nobody_may_dial_is_refused_R57(void **state)
{
	static char *const v4[] = { "127.0.0.1",       "169.254.169.254", "0.0.0.0", "224.0.0.1",
				    "255.255.255.255", "::ffff:10.0.0.1", "10.0.0",  "10.0.0.1 " };
	static char *const v6[] = { "::1",
				    "::",
				    "fe80::1",
				    "ff02::1",
				    "::ffff:127.0.0.1",
				    "10.0.0.1",
				    "64:ff9b::169.254.169.254" };
	static char *const mapped[] = { "127.0.0.1:1",	    "[::1]:1",
					"93.184.216.34:0",  "93.184.216.34:65536",
					"example.org:1",    "[fe80::1]",
					"93.184.216.34:1x", "" };
	struct sample sample;

	(void)state;
	for (size_t i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		sample_init(&sample);
		sample.network.ipv4 = v4[i];
		assert_refused(&sample, "address", "networkInfo.ipv4");
	}
	for (size_t i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
		sample_init(&sample);
		sample.network.ipv6 = v6[i];
		assert_refused(&sample, "address", "networkInfo.ipv6");
	}
	for (size_t i = 0; i < sizeof(mapped) / sizeof(mapped[0]); i++) {
		sample_init(&sample);
		sample.network.stun_mapped_address = mapped[i];
		assert_refused(&sample, "address", "networkInfo.stunMappedAddress");
	}
}

static void
test_a_local_port_is_1_to_65535_R59(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.network.has_local_port = 1;
	sample.network.local_port = 0;
	assert_refused(&sample, "field", "networkInfo.localPort");
	sample.network.local_port = 65536;
	assert_refused(&sample, "field", "networkInfo.localPort");
	sample.network.local_port = 65535;
	assert_accepted(&sample);
}

static void
test_a_country_is_two_capital_letters_R61(void **state)
{
	static char *const countries[] = { "USA", "U\x01", "us", "", "1A" };
	struct sample sample;

	(void)state;
	sample_init(&sample);
	for (size_t i = 0; i < sizeof(countries) / sizeof(countries[0]); i++) {
		sample.location.country = countries[i];
		assert_refused(&sample, "field", "location.country");
	}
}

static void
test_a_heartbeat_interval_is_10_to_300_seconds_R63(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.request.has_heartbeat_interval = 1;
	sample.request.heartbeat_interval = 9;
	assert_refused(&sample, "range", "heartbeatInterval");
	sample.request.heartbeat_interval = 301;
	assert_refused(&sample, "range", "heartbeatInterval");
	sample.request.heartbeat_interval = 300;
	assert_accepted(&sample);
}

static void
test_figures_out_of_range_are_refused(void **state)
{
	struct sample sample;

	(void)state;
	sample_init(&sample);
	sample.location.n_coordinates = 2;
	sample.coordinates[0] = 90.1;
	assert_refused(&sample, "range", "location.coordinates");
	sample.location.n_coordinates = 3;
	assert_refused(&sample, "field", "location.coordinates");
	sample_init(&sample);
	sample.bandwidth.has_up = 1;
	sample.bandwidth.up = -1;
	assert_refused(&sample, "range", "capabilities.bandwidth");
	sample.bandwidth.up = INFINITY;
	assert_refused(&sample, "range", "capabilities.bandwidth");
	sample_init(&sample);
	sample.metrics.has_cpu_usage = 1;
	sample.metrics.cpu_usage = NAN;
	assert_refused(&sample, "range", "metrics.cpuUsage");
	sample_init(&sample);
	sample.network.has_nat_type = 1;
	sample.network.nat_type = 99;
	assert_refused(&sample, "field", "networkInfo.natType");
	sample_init(&sample);
	sample.location.region = "two\nlines";
	assert_refused(&sample, "field", "location.region");
}

static void
test_a_challenge_is_for_the_role_node_only(void **state)
{
	Boson__Discovery__ChallengeRequest request = BOSON__DISCOVERY__CHALLENGE_REQUEST__INIT;
	struct field_problem problem;

	(void)state;
	request.node_id = NODE_ID;
	request.public_key = PUBLIC_KEY;
	request.role = "relay";
	assert_int_equal(discovery_check_challenge(&request, &problem), -EINVAL);
	assert_string_equal(problem.field, "role");
	request.role = "node";
	assert_int_equal(discovery_check_challenge(&request, &problem), 0);
}

static void
test_an_endpoint_splits_into_protocol_host_and_port(void **state)
{
	static const char *const bad[] = { "https://a", "wss://",    "wss://a/relay",
					   "wss://u@a", "wss://a:0", "wss://a:70000",
					   "wss://a b", "wss://[::1" };
	char host[CHECK_HOST_BYTES];
	const char *protocol;
	unsigned int port;

	(void)state;
	assert_int_equal(discovery_check_split_endpoint("wss://r1.example", &protocol, host, &port),
			 0);
	assert_string_equal(protocol, "wss");
	assert_string_equal(host, "r1.example");
	assert_int_equal(port, 443);
	assert_int_equal(
		discovery_check_split_endpoint("ws://[2001:db8::1]:8080", &protocol, host, &port),
		0);
	assert_string_equal(protocol, "ws");
	assert_string_equal(host, "2001:db8::1");
	assert_int_equal(port, 8080);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(discovery_check_split_endpoint(bad[i], &protocol, host, &port),
				 -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_ordinary_registration_is_accepted),
		cmocka_unit_test(test_a_node_id_must_be_a_uuid_R43_R45),
		cmocka_unit_test(test_a_public_key_must_be_32_canonical_bytes_R47),
		cmocka_unit_test(test_an_address_nobody_may_dial_is_refused_R57),
		cmocka_unit_test(test_a_local_port_is_1_to_65535_R59),
		cmocka_unit_test(test_a_country_is_two_capital_letters_R61),
		cmocka_unit_test(test_a_heartbeat_interval_is_10_to_300_seconds_R63),
		cmocka_unit_test(test_figures_out_of_range_are_refused),
		cmocka_unit_test(test_a_challenge_is_for_the_role_node_only),
		cmocka_unit_test(test_an_endpoint_splits_into_protocol_host_and_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
