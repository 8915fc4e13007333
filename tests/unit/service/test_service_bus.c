/*
 * Where the mailboxes are, and the CURVE keys to them: derived endpoints, and what key files are
 * refused with which exit code. Ids (C43 ...) are rows of the list of bad inputs.
 */
#include "service/service_bus.h"
#include "service/service_config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <zmq.h>

#include <cmocka.h>

static char folder[64], config_path[96], secret_path[96], allow_path[96], error[512];
static char public_key[41], secret_key[41];
static struct service_schema schema;
static struct config *config;
static struct service_bus *bus;

static int
setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/boson-test-bus-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(config_path, sizeof(config_path), "%s/boson.conf", folder);
	snprintf(secret_path, sizeof(secret_path), "%s/secret", folder);
	snprintf(allow_path, sizeof(allow_path), "%s/allow", folder);
	service_schema_init(&schema, "boson", NULL);
	return zmq_curve_keypair(public_key, secret_key);
}

static int
teardown(void **state)
{
	(void)state;
	service_bus_free(&bus);
	config_free(&config);
	unlink(config_path);
	unlink(secret_path);
	unlink(allow_path);
	return rmdir(folder);
}

static void
write_file(const char *path, mode_t mode, const char *text)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static int
make(const char *text, bool inproc_default)
{
	write_file(config_path, 0644, text);
	if (config_load(config_path, &schema.schema, &config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	return service_bus_new(config, "boson", inproc_default, &bus, error, sizeof(error));
}

/* The same with a tcp mailbox and the two key files. */
static int
make_tcp(void)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "[bus]\nrelay = tcp://10.0.0.1:7000\nrelay_key = %s\ncurve_secret = %s\n"
		 "curve_allow = %s\n",
		 public_key, secret_path, allow_path);
	return make(text, false);
}

static void
test_one_process_uses_inproc(void **state)
{
	(void)state;
	assert_int_equal(make("", true), EX_OK);
	assert_string_equal(service_bus_endpoint(bus, "relay"), "inproc://relay");
	assert_string_equal(service_bus_event_endpoint(bus, "relay"), "inproc://relay-events");
	assert_null(service_bus_security(bus));
	assert_null(service_bus_server_key(bus, "relay"));
	assert_null(service_bus_endpoint(bus, "forwarder"));
}

static void
test_many_processes_use_ipc_in_the_run_folder(void **state)
{
	(void)state;
	assert_int_equal(make("[service]\nrun = /tmp/x\n", false), EX_OK);
	assert_string_equal(service_bus_endpoint(bus, "turn"), "ipc:///tmp/x/turn.sock");
	assert_string_equal(service_bus_event_endpoint(bus, "turn"),
			    "ipc:///tmp/x/turn-events.sock");
}

static void
test_configured_endpoint_wins(void **state)
{
	(void)state;
	assert_int_equal(make("[bus]\nrouting = ipc:///tmp/r\nturn = inproc://t\n", false), EX_OK);
	assert_string_equal(service_bus_endpoint(bus, "routing"), "ipc:///tmp/r");
	assert_string_equal(service_bus_event_endpoint(bus, "routing"), "ipc:///tmp/r-events");
	assert_string_equal(service_bus_event_endpoint(bus, "turn"), "inproc://t-events");
}

static void
test_events_are_beside_each_mailbox_of_a_list(void **state)
{
	static const char *const no_next[] = { "tcp://10.0.0.1:65535",
					       "tcp://10.0.0.1:", "tcp://h:7001x",
					       "tcp://a:7001,tcp://b:65535", "tcp://a" };
	char *events = NULL;

	(void)state;
	assert_int_equal(service_bus_events_beside("tcp://*:65534, tcp://[::1]:7001 ,ipc:///a.sock,"
						   "ipc:///b,inproc://c",
						   &events),
			 0);
	assert_string_equal(events, "tcp://*:65535,tcp://[::1]:7002,ipc:///a-events.sock,"
				    "ipc:///b-events,inproc://c-events");
	free(events);
	for (size_t i = 0; i < sizeof(no_next) / sizeof(no_next[0]); i++)
		if (service_bus_events_beside(no_next[i], &events) != -EINVAL)
			fail_msg("%s", no_next[i]);
}

static void
test_run_folder_too_long_for_a_socket_is_refused(void **state)
{
	char text[256] = "[service]\nrun = /";

	(void)state;
	memset(text + strlen(text), 'r', 120);
	assert_int_equal(make(text, false), EX_CONFIG);
	assert_non_null(strstr(error, "too long for a unix socket"));
}

static void
test_tcp_has_keys_and_events_on_the_next_port(void **state)
{
	const struct bus_security *security;
	char line[128];

	(void)state;
	snprintf(line, sizeof(line), "# who\n\nrouting %s\n", public_key);
	write_file(secret_path, 0600, secret_key);
	write_file(allow_path, 0644, line);
	assert_int_equal(make_tcp(), EX_OK);
	assert_string_equal(service_bus_event_endpoint(bus, "relay"), "tcp://10.0.0.1:7001");
	assert_string_equal(service_bus_server_key(bus, "relay"), public_key);
	security = service_bus_security(bus);
	assert_non_null(security);
	assert_string_equal(security->public_key, public_key);
	assert_string_equal(security->secret_key, secret_key);
	assert_string_equal(security->allowed_names[0], "routing");
	assert_string_equal(security->allowed_keys[0], public_key);
	assert_null(security->allowed_keys[1]);
}

static void
test_tcp_without_a_secret_is_refused(void **state)
{
	(void)state;
	assert_int_equal(make("[bus]\nrelay = tcp://10.0.0.1:7000\n", false), EX_CONFIG);
	assert_non_null(strstr(error, "needs [bus] curve_secret"));
}

static void
test_missing_secret_file_is_66(void **state)
{
	(void)state;
	assert_int_equal(make_tcp(), EX_NOINPUT);
	assert_non_null(strstr(error, secret_path));
}

static void
test_L18_secret_that_others_may_read_is_77(void **state)
{
	(void)state;
	write_file(secret_path, 0644, secret_key);
	assert_int_equal(make_tcp(), EX_NOPERM);
	assert_non_null(strstr(error, secret_path));
	assert_null(strstr(error, secret_key));
}

static void
test_C17_C43_secret_that_is_no_key_is_78(void **state)
{
	(void)state;
	write_file(secret_path, 0600, "");
	assert_int_equal(make_tcp(), EX_CONFIG);
	config_free(&config);
	write_file(secret_path, 0600, "too short\n");
	assert_int_equal(make_tcp(), EX_CONFIG);
	assert_null(strstr(error, "too short")); /* a secret is never echoed */
}

static void
test_allow_list_that_others_may_write_is_77(void **state)
{
	(void)state;
	write_file(secret_path, 0600, secret_key);
	write_file(allow_path, 0666, "");
	assert_int_equal(make_tcp(), EX_NOPERM);
}

static void
test_allow_list_with_a_bad_line_is_78_with_its_number(void **state)
{
	char text[160];

	(void)state;
	snprintf(text, sizeof(text), "routing %s\nrouting\n", public_key);
	write_file(secret_path, 0600, secret_key);
	write_file(allow_path, 0600, text);
	assert_int_equal(make_tcp(), EX_CONFIG);
	assert_non_null(strstr(error, "allow:2: "));
}

static void
test_server_key_that_is_no_key_is_78(void **state)
{
	(void)state;
	assert_int_equal(make("[bus]\nrelay_key = 0123\n", false), EX_CONFIG);
	assert_non_null(strstr(error, "relay_key"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_process_uses_inproc),
		TEST(test_many_processes_use_ipc_in_the_run_folder),
		TEST(test_configured_endpoint_wins),
		TEST(test_events_are_beside_each_mailbox_of_a_list),
		TEST(test_run_folder_too_long_for_a_socket_is_refused),
		TEST(test_tcp_has_keys_and_events_on_the_next_port),
		TEST(test_tcp_without_a_secret_is_refused),
		TEST(test_missing_secret_file_is_66),
		TEST(test_L18_secret_that_others_may_read_is_77),
		TEST(test_C17_C43_secret_that_is_no_key_is_78),
		TEST(test_allow_list_that_others_may_write_is_77),
		TEST(test_allow_list_with_a_bad_line_is_78_with_its_number),
		TEST(test_server_key_that_is_no_key_is_78),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
