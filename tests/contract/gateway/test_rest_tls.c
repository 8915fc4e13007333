/*
 * The REST API over TLS: keep-alive, silence, old TLS, and when the gateway refuses to start (C37,
 * C39). That it is as strict as over plain TCP is test_rest_framing's, which runs over both.
 */
#include "gateway_rig_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int
start(void **state)
{
	(void)state;
	return rig_one_start(
		"rate_general = 1000000\nrate_enrolment = 1000000\nhead_deadline = 2s\n"
		"request_deadline = 2s\nmax_connections_per_address = 1000",
		true, RIG_SOME);
}

static void
test_several_requests_go_over_one_connection(void **state)
{
	(void)state;
	static struct rig_answer answer;
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	for (int i = 0; i < 3; i++) {
		rig_send_text(client, "GET /health/live HTTP/1.1\r\n" H "\r\n");
		rig_receive(client, &answer);
		assert_int_equal(answer.status, 200);
		rig_send_text(client, TARGET H JSON "Content-Length: 2\r\n\r\n{}");
		rig_receive(client, &answer);
		assert_int_equal(answer.status, 400);
		assert_string_equal(rig_member(&answer, "error.field"), "nodeId");
	}
	/* Two at once are answered in turn, the bus between them or not. */
	rig_send_text(client, "GET /health/live HTTP/1.1\r\n" H "\r\n" TARGET H JSON
			      "Content-Length: 2\r\n\r\n{}GET /health/live HTTP/1.1\r\n" H "\r\n");
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 200);
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 400);
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 200);
	rig_disconnect(&client);
}

static void
test_R25_silence_is_cut_off_before_and_after_the_handshake(void **state)
{
	(void)state;
	struct rig plain = rig;
	plain.is_tls = false;
	struct rig_client *client = rig_connect(&plain);
	assert_non_null(client);
	assert_true(rig_is_closed(client));
	rig_disconnect(&client);
	client = rig_connect(&rig);
	assert_non_null(client);
	rig_send_text(client, "GET /health HTTP/1.1\r\nX-Half: ");
	static struct rig_answer answer;
	rig_receive(client, &answer);
	assert_int_equal(answer.status, 408);
	assert_true(rig_is_closed(client));
	rig_disconnect(&client);
}

static void
test_plain_http_on_the_tls_port_gets_no_answer(void **state)
{
	(void)state;
	struct rig plain = rig;
	plain.is_tls = false;
	assert_int_equal(rig_exchange(&plain, "GET /health HTTP/1.1\r\n" H "\r\n")->status, 0);
	assert_int_equal(rig_request(&rig, "GET", "/health/live", NULL, NULL, NULL)->status, 200);
}

static int
run(const char *command)
{
	int status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void
test_T43_tls_below_1_2_is_refused(void **state)
{
	(void)state;
	char command[256];
	const char *const versions[] = { "-tls1_3", "-tls1_2", "-tls1_1" };
	for (size_t i = 0; i < 3; i++) {
		/* Security level 0 lets this side offer what is obsolete. */
		snprintf(command, sizeof(command),
			 "openssl s_client %s -cipher ALL:@SECLEVEL=0 -connect 127.0.0.1:%u "
			 "</dev/null "
			 ">/dev/null 2>&1",
			 versions[i], rig.port);
		assert_true((run(command) == 0) == (i < 2));
	}
}

static size_t
memory_of(pid_t pid)
{
	char path[64];
	size_t total_pages = 0, pages = 0;
	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	FILE *in = fopen(path, "r");
	assert_non_null(in);
	assert_int_equal(fscanf(in, "%zu %zu", &total_pages, &pages), 2);
	fclose(in);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Asks for far more than all buffers hold, and reads nothing: about 200 MB, of which the gateway
 * keeps next to nothing. */
static void
test_R27_who_never_reads_the_answer_is_cut_off(void **state)
{
	(void)state;
	enum { REQUESTS = 2000, GROWTH_MAX_BYTES = 32 * 1024 * 1024 };
	static struct rig alone;
	assert_true(rig_start(&alone,
			      "rate_general = 1000000\nmax_connections_per_address = 1\n"
			      "answer_deadline = 500ms",
			      true, RIG_ALONE));
	struct rig_client *client = rig_connect(&alone);
	assert_non_null(client);
	bool sent = true;
	size_t before = memory_of(alone.gateway);
	for (int i = 0; i < REQUESTS && sent; i++)
		sent = rig_send_text(client, "GET /api/v1/openapi.json HTTP/1.1\r\n" H "\r\n");
	/* Nobody else gets in from here while it hangs, and somebody does once it is cut off. */
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	int status = 0;
	while (status != 200 && rig_now_ms() < deadline_ms)
		status = rig_request(&alone, "GET", "/health/live", NULL, NULL, NULL)->status;
	assert_int_equal(status, 200);
	assert_true(memory_of(alone.gateway) < before + GROWTH_MAX_BYTES);
	static struct rig_answer answer;
	int answers = 0;
	do {
		rig_receive(client, &answer);
		answers++;
	} while (answer.status == 200);
	assert_true(answers < REQUESTS);
	rig_disconnect(&client);
	assert_true(rig_stop(&alone));
}

static void
test_beyond_loopback_plain_http_is_refused_unless_a_proxy_is_in_front(void **state)
{
	(void)state;
	assert_int_equal(rig_refusal("listen = 0.0.0.0:0", false, false), 78);
	assert_int_equal(rig_refusal("listen = [::]:0", false, false), 78);
	assert_int_equal(rig_refusal("listen = 0.0.0.0:0\nbehind_proxy = yes", false, false), -1);
	assert_int_equal(rig_refusal("listen = 0.0.0.0:0", true, false), -1);
	/* C23: TEST-NET-1 is no address of this host. */
	assert_int_equal(rig_refusal("listen = 192.0.2.1:0\nbehind_proxy = yes", false, false), 71);
}

static void
test_C37_C39_a_bad_certificate_or_key_is_refused(void **state)
{
	(void)state;
	assert_int_equal(rig_refusal("certificate = /nowhere/c.pem\nprivate_key = /nowhere/k.pem",
				     false, false),
			 66);
	assert_int_equal(rig_refusal("certificate = /nowhere/c.pem", false, false), 78);
	assert_int_equal(rig_refusal("", true, true), 78);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_several_requests_go_over_one_connection),
		cmocka_unit_test(test_R25_silence_is_cut_off_before_and_after_the_handshake),
		cmocka_unit_test(test_plain_http_on_the_tls_port_gets_no_answer),
		cmocka_unit_test(test_T43_tls_below_1_2_is_refused),
		cmocka_unit_test(test_R27_who_never_reads_the_answer_is_cut_off),
		cmocka_unit_test(
			test_beyond_loopback_plain_http_is_refused_unless_a_proxy_is_in_front),
		cmocka_unit_test(test_C37_C39_a_bad_certificate_or_key_is_refused),
	};
	return cmocka_run_group_tests(tests, start, rig_one_stop);
}
