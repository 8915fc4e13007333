/*
 * GET /events: a WebSocket for admins alone, on which a node's coming and going is seen; what is no
 * such request is refused (R29, R91, T12), and a ticket in the URL opens nothing.
 */
#include "gateway_rig_node.h"
#include "gateway_rig_one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define UPGRADE                                                     \
	"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "          \
	"dGhlIHNhbXBsZSBub25jZQ==\r\n"

enum { FRAME_MAX_BYTES = 64 * 1024, FRAMES_MAX = 500 };

static int
start(void **state)
{
	(void)state;
	return rig_one_start("rate_enrolment = 1000\ncors_origins = https://dashboard.example",
			     false, RIG_SOME);
}

static struct rig_client *
watch(const char *bearer, const char *headers, struct rig_answer *ret)
{
	char text[2048], credential[600] = "";
	struct rig_client *client = rig_connect(&rig);
	assert_non_null(client);
	if (bearer != NULL)
		snprintf(credential, sizeof(credential), "Authorization: %s\r\n", bearer);
	snprintf(text, sizeof(text), "GET /api/v1/events HTTP/1.1\r\nHost: gateway\r\n%s%s\r\n",
		 credential, headers);
	assert_true(rig_send_text(client, text));
	rig_receive(client, ret);
	return client;
}

/* The payload of the next frame, terminated; its opcode, or -1 at the end. */
static int
next_frame(struct rig_client *client, char *ret)
{
	unsigned char head[2], length[8];
	if (!rig_read(client, head, 2))
		return -1;
	size_t n = head[1] & 0x7f, more = n == 126 ? 2 : n == 127 ? 8 : 0;
	assert_int_equal(head[0] & 0xf0, 0x80);
	assert_int_equal(head[1] & 0x80, 0);
	if (!rig_read(client, length, more))
		return -1;
	for (size_t i = 0, value = 0; i < more; i++)
		n = value = value << 8 | length[i];
	assert_true(n < FRAME_MAX_BYTES);
	if (!rig_read(client, ret, n))
		return -1;
	ret[n] = '\0';
	return head[0] & 0x0f;
}

/* Reads on until an event holds all three, or fails at the rig's deadline. */
static void
await_event(struct rig_client *client, const char *one, const char *two, const char *three)
{
	static char text[FRAME_MAX_BYTES];
	for (int i = 0; i < FRAMES_MAX; i++) {
		int opcode = next_frame(client, text);
		assert_int_not_equal(opcode, -1);
		if (opcode == 1 && strstr(text, one) != NULL && strstr(text, two) != NULL &&
		    strstr(text, three) != NULL)
			return;
	}
	fail_msg("no event with %s", one);
}

static void
test_a_node_that_comes_and_goes_is_seen(void **state)
{
	(void)state;
	static struct rig_answer answer;
	struct rig_node node;
	char bearer[512];
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "admin.key"));
	struct rig_client *client = watch(bearer, UPGRADE, &answer);
	assert_int_equal(answer.status, 101);
	assert_string_equal(rig_header(&answer, "Upgrade"), "websocket");
	assert_string_equal(rig_header(&answer, "Sec-WebSocket-Accept"),
			    "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	await_event(client, "\"event\":\"hello\"", "\"data\"", "\"timestamp\"");

	rig_node_enrol(&rig, &node);
	await_event(client, "\"event\":\"nodeChanged\"", node.id_text, "\"online\"");
	char path[128];
	snprintf(path, sizeof(path), "/api/v1/nodes/%s", node.id_text);
	assert_int_equal(rig_request(&rig, "DELETE", path, bearer, NULL, NULL)->status, 204);
	await_event(client, "\"event\":\"nodeChanged\"", node.id_text, "\"deleted\":true");
	rig_disconnect(&client);
}

static void
test_only_an_admin_may_watch_and_not_by_the_url(void **state)
{
	(void)state;
	static struct rig_answer answer;
	struct rig_node node;
	char text[2048], key[512];
	rig_node_enrol(&rig, &node);
	struct rig_client *client = watch(NULL, UPGRADE, &answer);
	assert_int_equal(answer.status, 401);
	rig_disconnect(&client);
	client = watch(node.bearer, UPGRADE, &answer);
	assert_int_equal(answer.status, 403);
	rig_disconnect(&client);
	client = watch(rig_bearer(&rig, "client.key"), UPGRADE, &answer);
	assert_int_equal(answer.status, 403);
	rig_disconnect(&client);

	snprintf(key, sizeof(key), "%s", rig_bearer(&rig, "admin.key") + strlen("Bearer "));
	snprintf(text, sizeof(text),
		 "GET /api/v1/events?token=%s&access_token=%s&ticket=%s HTTP/1.1\r\nHost: "
		 "gateway\r\n" UPGRADE "\r\n",
		 key, key, key);
	assert_int_equal(rig_exchange(&rig, text)->status, 401);
}

static void
test_R29_what_is_no_request_for_a_websocket_is_400(void **state)
{
	(void)state;
	static struct rig_answer answer;
	char bearer[512];
	const char *const headers[] = {
		"",
		"Connection: Upgrade\r\nUpgrade: websocket\r\n",
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
		"dGhlIHNhbXBsZSBub25jZQ==\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n",
		"Connection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
	};
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "admin.key"));
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		struct rig_client *client = watch(bearer, headers[i], &answer);
		assert_int_equal(answer.status, 400);
		assert_string_equal(rig_member(&answer, "error.code"), "upgrade");
		rig_disconnect(&client);
	}
}

/* R91, P12: a browser's page elsewhere may open WebSockets to anywhere; it says from where. */
static void
test_R91_a_page_of_another_origin_may_not_watch(void **state)
{
	(void)state;
	static struct rig_answer answer;
	char bearer[512];
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "admin.key"));
	struct rig_client *client =
		watch(bearer, UPGRADE "Origin: https://evil.example\r\n", &answer);
	assert_int_equal(answer.status, 403);
	assert_string_equal(rig_member(&answer, "error.code"), "origin");
	rig_disconnect(&client);
	client = watch(bearer, UPGRADE "Origin: https://dashboard.example\r\n", &answer);
	assert_int_equal(answer.status, 101);
	rig_disconnect(&client);
}

/* T12: frames that a client must not send, or that nobody hears. */
static void
test_T12_bad_frames_end_the_watch_with_their_code(void **state)
{
	(void)state;
	static struct rig_answer answer;
	static char text[FRAME_MAX_BYTES];
	static const struct {
		const char *bytes;
		size_t n;
		int code;
	} rows[] = {
		{ "\x81\x02hi", 4, 1002 },			  /* unmasked */
		{ "\x81\x82\0\0\0\0hi", 8, 1003 },		  /* a text */
		{ "\x82\xff\0\0\1\0\0\0\0\0\0\0\0\0", 14, 1009 }, /* 2^40 bytes */
		{ "\xc1\x80\0\0\0\0", 6, 1002 },		  /* a reserved bit */
		{ "\x88\x80\0\0\0\0", 6, 1000 },		  /* goodbye */
	};
	char bearer[512];
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "admin.key"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig_client *client = watch(bearer, UPGRADE, &answer);
		int opcode;
		assert_int_equal(answer.status, 101);
		await_event(client, "hello", "", "");
		assert_true(rig_send(client, rows[i].bytes, rows[i].n));
		while ((opcode = next_frame(client, text)) == 1 || opcode == 9)
			;
		assert_int_equal(opcode, 8);
		assert_int_equal((unsigned char)text[0] << 8 | (unsigned char)text[1],
				 rows[i].code);
		assert_true(rig_ends(client));
		rig_disconnect(&client);
	}
}

static void
test_a_ping_is_answered(void **state)
{
	(void)state;
	static struct rig_answer answer;
	static char text[FRAME_MAX_BYTES];
	struct rig_client *client = watch(rig_bearer(&rig, "admin.key"), UPGRADE, &answer);
	int opcode;
	assert_int_equal(answer.status, 101);
	assert_true(rig_send(client, "\x89\x82\1\1\1\1ih", 8));
	while ((opcode = next_frame(client, text)) == 1)
		;
	assert_int_equal(opcode, 10);
	assert_string_equal(text, "hi");
	rig_disconnect(&client);
}

/* Many come and go: nothing is left of them, and the gateway stops with some still there. */
static void
test_watchers_may_leave_as_they_like(void **state)
{
	(void)state;
	static struct rig_answer answer;
	char bearer[512];
	snprintf(bearer, sizeof(bearer), "%s", rig_bearer(&rig, "admin.key"));
	for (int i = 0; i < 30; i++) {
		struct rig_client *client = watch(bearer, UPGRADE, &answer);
		assert_int_equal(answer.status, 101);
		rig_disconnect(&client);
	}
	struct rig_client *last = watch(bearer, UPGRADE, &answer);
	assert_int_equal(answer.status, 101);
	assert_true(rig_stop(&rig));
	rig_disconnect(&last);
	assert_int_equal(start(NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_node_that_comes_and_goes_is_seen),
		cmocka_unit_test(test_only_an_admin_may_watch_and_not_by_the_url),
		cmocka_unit_test(test_R29_what_is_no_request_for_a_websocket_is_400),
		cmocka_unit_test(test_R91_a_page_of_another_origin_may_not_watch),
		cmocka_unit_test(test_T12_bad_frames_end_the_watch_with_their_code),
		cmocka_unit_test(test_a_ping_is_answered),
		cmocka_unit_test(test_watchers_may_leave_as_they_like),
	};
	return cmocka_run_group_tests(tests, start, rig_one_stop);
}
