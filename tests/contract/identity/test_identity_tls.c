/*
 * The gateway's certificate is replaced while it runs (F34, T43): who is connected stays, who comes
 * sees the new one, and a pair that is not good is never served.
 */
#include "gateway_rig.h"
#include "identity_secrets.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PRINT_BYTES = 128, COMMAND_BYTES = 1024, POLL_MS = 20 };

static const char ping[] = "GET /health/live HTTP/1.1\r\nHost: gateway\r\n\r\n";

static struct rig rig;

static int
start(void **state)
{
	(void)state;
	secrets_begin();
	return rig_start(&rig, "rate_general = 1000000", true, RIG_ALONE) ? 0 : -1;
}

static int
stop(void **state)
{
	size_t count, bytes;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/key.pem", rig.folder);
	secrets_add_file(path);
	bool good = rig_stop(&rig);
	return secrets_end(&count, &bytes) && good ? 0 : -1;
}

static void
run(const char *command)
{
	assert_int_equal(system(command), 0);
}

static void
output(const char *command, char ret[PRINT_BYTES])
{
	FILE *in = popen(command, "r");

	assert_non_null(in);
	ret[0] = '\0';
	(void)!fgets(ret, PRINT_BYTES, in);
	assert_int_equal(pclose(in), 0);
}

/* The fingerprint of the certificate that a new connection sees. */
static void
served(char ret[PRINT_BYTES])
{
	char command[COMMAND_BYTES];

	snprintf(command, sizeof(command),
		 "openssl s_client -connect 127.0.0.1:%u </dev/null 2>/dev/null | "
		 "openssl x509 -noout -fingerprint -sha256",
		 rig.port);
	output(command, ret);
}

/* The same of a file in the rig's folder. */
static void
print_of(const char *file, char ret[PRINT_BYTES])
{
	char command[COMMAND_BYTES];

	snprintf(command, sizeof(command), "openssl x509 -in %s/%s -noout -fingerprint -sha256",
		 rig.folder, file);
	output(command, ret);
}

/* A pair in new.pem and newkey.pem; days may be negative. */
static void
make_pair(int days)
{
	char command[COMMAND_BYTES];

	snprintf(command, sizeof(command),
		 "openssl ecparam -name prime256v1 -genkey -noout -out %s/newkey.pem && "
		 "openssl req -new -key %s/newkey.pem -subj /CN=localhost -out %s/new.csr && "
		 "openssl x509 -req -in %s/new.csr -signkey %s/newkey.pem -days %d -out "
		 "%s/new.pem 2>/dev/null && chmod 600 %s/newkey.pem",
		 rig.folder, rig.folder, rig.folder, rig.folder, rig.folder, days, rig.folder,
		 rig.folder);
	run(command);
}

static void
move(const char *from, const char *to)
{
	char command[COMMAND_BYTES];

	snprintf(command, sizeof(command), "mv %s/%s %s/%s", rig.folder, from, rig.folder, to);
	run(command);
}

static void
wait_served(const char *print)
{
	char now[PRINT_BYTES] = "";
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;

	while (served(now), strcmp(now, print) != 0 && rig_now_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	assert_string_equal(now, print);
}

static void
wait_said(const char *text, size_t times)
{
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;

	while (secrets_count_said(text) < times && rig_now_ms() < deadline_ms)
		poll(NULL, 0, POLL_MS);
	assert_true(secrets_count_said(text) >= times);
}

static void
test_a_new_pair_is_served_and_nobody_is_cut_off(void **state)
{
	static struct rig_answer answer;
	struct rig_client *client = rig_connect(&rig);
	char before[PRINT_BYTES], after[PRINT_BYTES];

	(void)state;
	assert_non_null(client);
	rig_send_text(client, ping);
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 200);
	served(before);
	for (int i = 0; i < 3; i++) {
		make_pair(30);
		print_of("new.pem", after);
		assert_string_not_equal(before, after);
		move("new.pem", "cert.pem"); /* one after the other: no pair for a moment */
		move("newkey.pem", "key.pem");
		wait_served(after);
		rig_send_text(client, ping);
		rig_receive(client, &answer);
		assert_int_equal(answer.status, 200);
	}
	rig_disconnect(&client);
}

static void
test_a_pair_that_is_not_good_is_never_served(void **state)
{
	char before[PRINT_BYTES], now[PRINT_BYTES], after[PRINT_BYTES], command[COMMAND_BYTES];

	(void)state;
	served(before);
	make_pair(30);
	move("new.pem", "cert.pem"); /* without its key */
	wait_said("certificate_unusable", 1);
	served(now);
	assert_string_equal(now, before);

	snprintf(command, sizeof(command), "echo junk >%s/cert.pem", rig.folder);
	run(command);
	wait_said("certificate_unusable", 2);
	served(now);
	assert_string_equal(now, before);

	make_pair(-1); /* over */
	move("newkey.pem", "key.pem");
	move("new.pem", "cert.pem");
	wait_said("has expired", 1);
	served(now);
	assert_string_equal(now, before);

	make_pair(5);
	print_of("new.pem", after);
	move("newkey.pem", "key.pem");
	move("new.pem", "cert.pem");
	wait_served(after);
	wait_said("certificate_expires", 2); /* the first pair has two days, this one five */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_new_pair_is_served_and_nobody_is_cut_off,
						start, stop),
		cmocka_unit_test_setup_teardown(test_a_pair_that_is_not_good_is_never_served, start,
						stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
