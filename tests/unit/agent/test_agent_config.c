/*
 * Section [agent]: C15, C17 (secrets), C35 (URLs), C37, C41 (certificates), pools and places.
 */
#include "../../temp_folder.h"
#include "agent/agent_config.h"
#include "net/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sysexits.h>

#include <cmocka.h>

static struct temp_folder folder;

static int
setup(void **state)
{
	(void)state;
	temp_folder_make(&folder);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	return temp_folder_drop(&folder);
}

static struct config *loaded;
static char reason[512];

/* The exit code of a file with these lines in [agent]; `loaded` is it when 0. */
static int
check(const char *lines)
{
	static const struct config_key *const tables[] = { agent_config_keys, NULL };
	static const struct config_schema schema = { .env_prefix = "HIGGS", .tables = tables };
	char text[1024];
	int r;

	snprintf(text, sizeof(text), "[agent]\n%s", lines);
	temp_folder_write(&folder, "higgs.conf", text, 0600);
	config_free(&loaded);
	r = config_load(temp_folder_file(&folder, "higgs.conf"), &schema, &loaded, reason,
			sizeof(reason));
	return r ? r : agent_config_check(loaded, reason, sizeof(reason));
}

#define SERVER "server = https://boson.test:8443\n"

static const char *
with_path(const char *key, const char *name)
{
	static char lines[512];

	snprintf(lines, sizeof(lines), SERVER "%s = %s\n", key, temp_folder_file(&folder, name));
	return lines;
}

static void
test_a_server_is_all_that_is_required(void **state)
{
	struct enrol_facts facts;
	struct admission_pool pool;
	struct in6_addr base;

	(void)state;
	assert_int_equal(check(SERVER), 0);
	agent_config_facts(loaded, &facts);
	assert_string_equal(facts.country, "");
	assert_false(facts.has_coordinates);
	assert_int_equal(facts.sessions_max, 64);
	assert_int_equal(facts.heartbeat_sec, 30);
	agent_config_pool(loaded, &pool);
	assert_int_equal(pool.bits4, 16);
	assert_int_equal(pool.bits6, 64);
	assert_int_equal(address_parse("10.90.0.0", &base), 0);
	assert_memory_equal(&pool.base4, &base, sizeof(base));
	assert_int_equal(check(""), EX_CONFIG);
}

static void
test_what_the_node_says_of_itself_is_read(void **state)
{
	struct enrol_facts facts;

	(void)state;
	assert_int_equal(check(SERVER "country = CH\nregion = Zurich\ncoordinates = 47.37, 8.54\n"
				      "max_sessions = 10\nbandwidth_up = 40\nheartbeat = 60s\n"),
			 0);
	agent_config_facts(loaded, &facts);
	assert_string_equal(facts.country, "CH");
	assert_string_equal(facts.region, "Zurich");
	assert_true(facts.has_coordinates);
	assert_true(facts.coordinates[0] > 47.36 && facts.coordinates[0] < 47.38);
	assert_true(facts.coordinates[1] > 8.53 && facts.coordinates[1] < 8.55);
	assert_int_equal(facts.sessions_max, 10);
	assert_true(facts.bandwidth_up > 39.9 && facts.bandwidth_up < 40.1);
	assert_int_equal(facts.heartbeat_sec, 60);
}

static void
test_r61_places_that_are_none_are_refused(void **state)
{
	static const char *const bad[] = {
		"country = USA\n",	   "country = ch\n",	     "country = C1\n",
		"coordinates = 47.37\n",   "coordinates = 91, 0\n",  "coordinates = 0, 181\n",
		"coordinates = 1, 2, 3\n", "coordinates = nan, 0\n", "coordinates = 1x, 0\n",
	};
	char lines[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(lines, sizeof(lines), SERVER "%s", bad[i]);
		assert_int_equal(check(lines), EX_CONFIG);
	}
}

static void
test_c29_pools_of_another_form_are_refused(void **state)
{
	static const char *const bad[] = {
		"pool4 = 10.90.0.0/30\n",
		"pool4 = fd48::/64\n",
		"pool4 = 10.90.0.0/16, 10.91.0.0/16\n",
		"pool4 =\n",
		"pool6 = 10.90.0.0/16\n",
		"pool6 = fd48::/113\n",
		"pool6 = fd48::/32\n",
		"pool4 = 10.90.0.1/16\n",
	};
	char lines[128];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(lines, sizeof(lines), SERVER "%s", bad[i]);
		assert_int_equal(check(lines), EX_CONFIG);
	}
	assert_int_equal(check(SERVER "pool4 = 192.168.77.64/29\npool6 = fd00:1:2::/112\n"), 0);
}

static void
test_c35_a_server_that_is_no_https_url_is_refused(void **state)
{
	(void)state;
	assert_int_equal(check("server = wss://boson.test\n"), EX_CONFIG);
	assert_int_equal(check("server = ftp://boson.test\n"), EX_CONFIG);
	assert_int_equal(check("server = https://me:secret@boson.test\n"), EX_CONFIG);
	assert_int_equal(check("server = boson.test\n"), EX_CONFIG);
	assert_int_equal(check("server = http://127.0.0.1:8080\n"), 0);
}

static void
test_c37_c41_a_bundle_that_is_missing_or_empty_is_refused(void **state)
{
	(void)state;
	assert_int_equal(check(with_path("ca_file", "missing.pem")), EX_NOINPUT);
	temp_folder_write(&folder, "empty.pem", "", 0644);
	assert_int_equal(check(with_path("ca_file", "empty.pem")), EX_CONFIG);
	temp_folder_write(&folder, "junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n", 0644);
	assert_int_equal(check(with_path("ca_file", "junk.pem")), EX_CONFIG);
}

static void
test_c17_l18_an_access_key_that_is_empty_or_open_to_others_is_refused(void **state)
{
	(void)state;
	assert_int_equal(check(with_path("access_key_file", "missing.key")), EX_NOINPUT);
	temp_folder_write(&folder, "empty.key", "\n", 0600);
	assert_int_equal(check(with_path("access_key_file", "empty.key")), EX_CONFIG);
	temp_folder_write(&folder, "node.key", "abcdef\n", 0644);
	assert_int_equal(check(with_path("access_key_file", "node.key")), EX_NOPERM);
	temp_folder_write(&folder, "node.key", "abcdef\n", 0600);
	assert_int_equal(check(with_path("access_key_file", "node.key")), 0);
	assert_null(strstr(reason, "abcdef"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_server_is_all_that_is_required),
		cmocka_unit_test(test_what_the_node_says_of_itself_is_read),
		cmocka_unit_test(test_r61_places_that_are_none_are_refused),
		cmocka_unit_test(test_c29_pools_of_another_form_are_refused),
		cmocka_unit_test(test_c35_a_server_that_is_no_https_url_is_refused),
		cmocka_unit_test(test_c37_c41_a_bundle_that_is_missing_or_empty_is_refused),
		cmocka_unit_test(
			test_c17_l18_an_access_key_that_is_empty_or_open_to_others_is_refused),
	};
	int failed = cmocka_run_group_tests(tests, setup, teardown);

	config_free(&loaded);
	return failed;
}
