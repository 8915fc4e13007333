/* relay_settings: what -n and every start say of a configuration. */
#include "relay/relay_settings.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/service_config.h"

#include <cmocka.h>

static char folder[] = "/tmp/relay-settings-XXXXXX";

static int
set_up(void **state)
{
	(void)state;
	return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int
tear_down(void **state)
{
	static const char *const files[] = { "boson.conf", "tls.crt", "tls.key", "link.key" };

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)unlink(files[i]);
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

static void
write_file(const char *name, mode_t mode, const char *text)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* The exit code for these lines of [relay]. */
static int
check(const char *lines)
{
	static const struct config_key *const tables[] = { relay_keys, NULL };
	struct service_schema *schema = calloc(1, sizeof(*schema));
	struct config *config = NULL;
	char text[512], error[256] = "";

	assert_non_null(schema);
	snprintf(text, sizeof(text), "[relay]\n%s\n", lines);
	write_file("boson.conf", 0600, text);
	service_schema_init(schema, "boson", tables);
	if (config_load("boson.conf", &schema->schema, &config, error, sizeof(error)) != 0)
		fail_msg("%s", error);
	int code = relay_settings_check(config, error, sizeof(error));
	assert_true((code != 0) == (error[0] != '\0'));
	config_free(&config);
	free(schema);
	return code;
}

/* T38: a private key that others may read is none. */
static void
test_a_private_key_that_others_may_read_is_refused_T38(void **state)
{
	static const char lines[] = "certificate = tls.crt\nprivate_key = tls.key";

	(void)state;
	write_file("tls.crt", 0644, "a certificate\n");
	write_file("tls.key", 0600, "a key\n");
	assert_int_equal(check(lines), 0);
	assert_int_equal(chmod("tls.key", 0640), 0);
	assert_int_equal(check(lines), CONFIG_EXIT_NOPERM);
	assert_int_equal(chmod("tls.key", 0604), 0);
	assert_int_equal(check(lines), CONFIG_EXIT_NOPERM);
	assert_int_equal(symlink("tls.key", "link.key"), 0);
	assert_int_equal(check("certificate = tls.crt\nprivate_key = link.key"),
			 CONFIG_EXIT_NOPERM);
	assert_int_equal(chmod("tls.key", 0400), 0);
	assert_int_equal(check("certificate = tls.crt\nprivate_key = link.key"), 0);
	assert_int_equal(unlink("tls.key"), 0);
	assert_int_equal(check(lines), CONFIG_EXIT_NOINPUT);
}

static void
test_legs_in_the_clear_are_for_loopback_or_behind_a_proxy(void **state)
{
	(void)state;
	assert_int_equal(check("listen = 127.0.0.1:1"), 0);
	assert_int_equal(check("listen = 192.0.2.1:1"), CONFIG_EXIT_CONFIG);
	assert_int_equal(check("listen = 192.0.2.1:1\nbehind_proxy = yes"), 0);
	assert_int_equal(check("certificate = tls.crt"), CONFIG_EXIT_CONFIG);
}

static void
test_a_mailbox_leaves_ports_for_its_events_and_the_mesh(void **state)
{
	(void)state;
	assert_int_equal(check("announce_bus = tcp://10.0.0.1:65533"), 0);
	assert_int_equal(check("announce_bus = tcp://10.0.0.1:65534"), CONFIG_EXIT_CONFIG);
	assert_int_equal(check("[bus]\nrelay = tcp://10.0.0.1:65534"), CONFIG_EXIT_CONFIG);
	assert_int_equal(check("[bus]\nbind = tcp://10.0.0.1:65534"), CONFIG_EXIT_CONFIG);
	assert_int_equal(check("[bus]\nrelay = tcp://10.0.0.1:65533"), 0);
	assert_int_equal(check("[bus]\nrelay = tcp://a:1, tcp://b:65534\nbind = tcp://a:1"), 0);
	assert_int_equal(check("[bus]\nrelay = ipc:///run/boson/relay.sock"), 0);
}

static void
test_what_stock_apps_are_told_is_one_host_and_one_port(void **state)
{
	static const char *const good[] = { "vpn.example.org:51820", "192.0.2.1:1",
					    "[2001:db8::1]:65535" };
	static const char *const bad[] = { "vpn.example.org",	     ":51820",
					   "2001:db8::1:51820",	     "[2001:db8::1:51820",
					   "vpn.example.org:",	     "vpn.example.org:0",
					   "vpn.example.org:65536",  "vpn.example.org:-65485",
					   "h:-18446744073709551173" };
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(line, sizeof(line), "udp_public = %s", good[i]);
		assert_int_equal(check(line), 0);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "udp_public = %s", bad[i]);
		assert_int_equal(check(line), CONFIG_EXIT_CONFIG);
	}
	assert_int_equal(check("udp_listen = 0.0.0.0:51820"), CONFIG_EXIT_CONFIG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_private_key_that_others_may_read_is_refused_T38),
		cmocka_unit_test(test_legs_in_the_clear_are_for_loopback_or_behind_a_proxy),
		cmocka_unit_test(test_a_mailbox_leaves_ports_for_its_events_and_the_mesh),
		cmocka_unit_test(test_what_stock_apps_are_told_is_one_host_and_one_port),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
