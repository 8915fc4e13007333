/*
 * A relay that is mad or lies (T19, T20): what RFC 6455 forbids a server, a handshake or a close
 * that never ends, floods, and drains that lead in a circle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg_rig.h"

#include "loop/clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- frames ---- */

static void
expect_the_end_of(const char *hex, const char *what)
{
	char path[300];

	snprintf(path, sizeof path, "/raw/%s", hex);
	struct rig *rig = plain(path, 0);
	wait_until(rig, has_gone_down);
	if (rig->messages != 0)
		fail_msg("%s is taken", what);
	rig_free(rig);
}

static void
test_frames_that_a_server_must_not_send_end_the_leg(void **state)
{
	static const struct {
		const char *hex, *what;
	} rows[] = {
		{ "c2040100016100", "a compressed message, which was not agreed upon" },
		{ "a2040100016100", "the second reserved bit" },
		{ "92040100016100", "the third reserved bit" },
		{ "80040100016100", "a continuation of nothing" },
		{ "020401000161"
		  "820401000161",
		  "a message inside a message" },
		{ "8300", "a reserved kind of data" },
		{ "8b00", "a reserved kind of control" },
		{ "0900", "a ping in fragments" },
		{ "897e007e", "a ping of 126 bytes" },
		{ "827fffffffffffffffff", "a length of 64 bits, the first of them set" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		expect_the_end_of(rows[i].hex, rows[i].what);
}

/* Each of a byte: of a data message of `n` fragments. */
static void
in_fragments(char *ret, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned head = (i == 0 ? 2U : 0U) | (i == n - 1 ? 0x80U : 0U);
		unsigned byte = i == 0 ? LEG_KIND_DATA : i == 2 ? n - 3 : i > 2 ? 'a' : 0;

		ret += sprintf(ret, "%02x01%02x", head, byte);
	}
}

/* Each is a piece of memory: so many, and no more, are put together. */
static void
test_a_message_comes_in_eight_fragments_and_in_no_more(void **state)
{
	char path[300] = "/raw/", *hex = path + strlen(path);

	(void)state;
	in_fragments(hex, 8);
	in_fragments(hex + strlen(hex), 8);
	struct rig *rig = plain(path, 0);
	rig->wanted = 2;
	wait_until(rig, has_messages);
	assert_int_equal(rig->last_n, 8);
	assert_memory_equal(rig->last_message, "\1\0\5aaaaa", 8);
	rig_free(rig);
	in_fragments(hex, 9);
	expect_down(path, 1002, "too many fragments");
}

/* None of them is larger than the largest message. */
static void
test_fragments_that_are_too_large_together_end_the_leg(void **state)
{
	(void)state;
	struct rig *rig = plain("/halves/32768", 0);

	rig->wanted = 1;
	wait_until(rig, has_messages);
	assert_int_equal(rig->last_n, LEG_MESSAGE_MAX_BYTES);
	rig_free(rig);
	expect_down("/halves/32769", 1009, "message too large");
}

static void
test_messages_of_no_kind_are_counted_and_not_handed_out(void **state)
{
	(void)state;
	/* One of nothing, two of kinds that nobody knows, and then one of data. */
	struct rig *rig = plain("/raw/8200"
				"82020361"
				"820100"
				"82040100016a",
				0);

	rig->wanted = 1;
	wait_until(rig, has_messages);
	assert_memory_equal(rig->last_message, "\1\0\1j", 4);
	assert_int_equal(rig->messages, 1);
	assert_int_equal(figure(rig, "leg_invalid_total", NULL), 3);
	assert_int_equal(figure(rig, "leg_messages_total", "direction=\"in\""), 1);
	assert_int_equal(leg_client_figures(rig->client).lost_in, 3);
	assert_int_equal(leg_client_state(rig->client), LEG_UP);
	rig_free(rig);
}

static void
test_pongs_that_nobody_asked_for_are_nothing(void **state)
{
	(void)state;
	struct rig *rig = plain("/rawecho/8a008a0801020304050607088a00", 0);

	wait_until(rig, is_up);
	for (unsigned i = 1; i <= 20; i++)
		send_numbered(rig, i, 100);
	leg_client_flush(rig->client);
	rig->wanted = 20;
	wait_until(rig, has_messages);
	assert_int_equal(rig->wrong, 0);
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 1);
	rig_free(rig);
}

/* ---- the end ---- */

static void
expect_close(const char *hex, int code)
{
	char path[300];

	snprintf(path, sizeof path, "/raw/%s", hex);
	struct rig *rig = plain(path, 0);
	wait_until(rig, has_gone_down);
	if (code != 0)
		assert_int_equal(first_down(rig)->code, code);
	/* What stands for an HTTP status was no HTTP. */
	assert_true(first_down(rig)->code >= 1000);
	for (const char *c = first_down(rig)->reason; *c != '\0'; c++)
		assert_true(isprint((unsigned char)*c));
	rig_free(rig);
}

/* It neither reads our answer nor lets the connection go. */
static void
test_a_close_that_the_relay_does_not_carry_out_ends_the_leg(void **state)
{
	(void)state;
	expect_close("880203e8", 1000);
	expect_close("88020fa9", 4009);
	expect_close("8800", 0);
}

static void
test_a_close_that_is_none_ends_the_leg_all_the_same(void **state)
{
	(void)state;
	expect_close("880103", 0);	   /* half a code */
	expect_close("88020191", 0);	   /* 401 */
	expect_close("88020000", 0);	   /* 0 */
	expect_close("8802ffff", 0);	   /* 65535 */
	expect_close("880203ed", 0);	   /* 1005 */
	expect_close("880403f0c328", 0);   /* no UTF-8 */
	expect_close("880303f0e2", 0);	   /* half a character */
	expect_close("880503f01b5b32", 0); /* what a terminal would obey */
}

/* And not a byte more. */
static void
expect_reason(const char *hex, int code, const char *reason)
{
	char path[300];

	snprintf(path, sizeof path, "/raw/%s", hex);
	struct rig *rig = plain(path, 0);
	wait_until(rig, has_gone_down);
	assert_int_equal(first_down(rig)->code, code);
	assert_string_equal(first_down(rig)->reason, reason);
	rig_free(rig);
}

/* 1012 and 1013 come as 1002 and are told apart by their reasons: by all of these. */
static void
test_a_close_says_what_the_relay_said(void **state)
{
	(void)state;
	expect_reason("880203e8", 1000, "closed by the relay");
	expect_reason("8800", 1005, "closed by the relay");
	expect_reason("880303f07a", 1008, "z");
	expect_reason("880c03f06f7665726c6f61646564", 1008, "overloaded");
	expect_reason("880a03ea647261696e696e67", 1012, "draining");
	expect_reason("880903ea647261696e696e", 1002, "drainin");
	expect_reason("880a03ea647261696e696e78", 1002, "draininx");
	expect_reason("880c03ea6f7665726c6f61646564", 1013, "overloaded");
	expect_reason("880b03ea6f7665726c6f616465", 1002, "overloade");
	expect_reason("880c03ea6f7665726c6f61646578", 1002, "overloadex");
	expect_reason("880a03f0647261696e696e67", 1008, "draining");
}

/* ---- the handshake ---- */

static void
expect_no_leg(const char *path, const char *more_headers)
{
	struct rig *rig = rig_new(NULL, 0);

	rig->relay.more_headers = more_headers;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "127.0.0.1", path);
	wait_until(rig, has_gone_down);
	for (size_t i = 0; i < rig->noted_n; i++)
		assert_int_not_equal(rig->noted[i].state, LEG_UP);
	rig_free(rig);
}

static void
test_an_answer_to_another_handshake_is_no_leg(void **state)
{
	(void)state;
	expect_no_leg("/wrongaccept", NULL);
}

static void
test_an_extension_that_nobody_offered_is_no_leg(void **state)
{
	(void)state;
	expect_no_leg("/echo", "Sec-WebSocket-Extensions: permessage-deflate\r\n");
}

static void
test_a_handshake_that_never_ends_is_left_for_the_next(void **state)
{
	struct rig *rig = rig_new(NULL, 0);
	char slow[64], good[64];
	const char *urls[] = { slow, good, NULL };

	(void)state;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	snprintf(slow, sizeof slow, "ws://127.0.0.1:%u/drip", rig->relay.port);
	snprintf(good, sizeof good, "ws://127.0.0.1:%u/echo", rig->relay.port);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	wait_until(rig, is_up);
	assert_string_equal(leg_client_url(rig->client), good);
	rig_free(rig);
}

/* ---- floods ---- */

enum { QUEUE = 64 * 1024, CONTROL = 60 * 1000, ATTEMPTS = 3 };

static bool
says_too_much(struct rig *rig)
{
	return strcmp(first_down(rig)->reason, "too many control messages") == 0;
}

/* The owner is busy with something else all the while. */
static void
test_a_flood_of_control_ends_the_leg_and_is_not_kept(void **state)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };
	int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	char path[32];

	(void)state;
	snprintf(path, sizeof path, "/control/%d", CONTROL);
	struct rig *rig = plain(path, QUEUE);
	while (figure(rig, "leg_attempts_total", NULL) < ATTEMPTS) {
		assert_true(clock_monotonic_ms() < deadline_ms);
		nanosleep(&pause, NULL);
	}
	leg_client_disconnect(rig->client);
	wait_until(rig, says_too_much);
	assert_true(atomic_load(&rig->relay.control_sent) > 4 * QUEUE);
	assert_true(rig->first_batch_bytes <= 2 * QUEUE + CONTROL);
	rig_free(rig);
}

static bool
all_are_accounted_for(struct rig *rig)
{
	return rig->messages + leg_client_figures(rig->client).lost_in == rig->relay.flood_n;
}

/* The owner is busy while they come: what is over the bound goes, the oldest first, and each
 * counts.
 */
static void
test_a_flood_of_data_is_bounded_and_what_is_lost_is_counted(void **state)
{
	enum { FLOOD = 20000 };
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };
	int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	struct rig *rig = rig_new(NULL, QUEUE);

	(void)state;
	rig->relay.flood_n = FLOOD;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "127.0.0.1", "/flood");
	while (figure(rig, "leg_messages_total", "direction=\"in\"") < FLOOD) {
		assert_true(clock_monotonic_ms() < deadline_ms);
		nanosleep(&pause, NULL);
	}
	wait_until(rig, all_are_accounted_for);
	assert_true(rig->messages > 0);
	assert_true(rig->bytes <= QUEUE);
	assert_int_equal(rig->last, FLOOD);
	assert_int_equal(rig->wrong, 0);
	assert_int_equal(leg_client_state(rig->client), LEG_UP);
	rig_free(rig);
}

/* ---- circles ---- */

static bool
has_moved(struct rig *rig)
{
	size_t n = 0;

	for (size_t i = 0; i < rig->noted_n; i++)
		n += strcmp(rig->noted[i].reason, "moved") == 0;
	return n > rig->wanted;
}

static struct rig *
open_with_two(char here[64], char there[64])
{
	struct rig *rig = rig_new(NULL, 0);
	const char *urls[] = { here, there, NULL };

	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	snprintf(here, 64, "ws://127.0.0.1:%u/echo", rig->relay.port);
	snprintf(there, 64, "ws://localhost:%u/echo", rig->relay.port);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	wait_until(rig, is_up);
	return rig;
}

/* Each of two relays says at once that it drains, and where to go instead. */
static void
test_t20_drains_that_lead_in_a_circle_are_followed_more_and_more_slowly(void **state)
{
	enum { HOPS = 6, LAST_LEAST_MS = 1600 };
	char here[64], there[64];
	struct rig *rig = open_with_two(here, there);
	int64_t told_ms = 0;

	(void)state;
	for (rig->wanted = 0; rig->wanted < HOPS; rig->wanted++) {
		told_ms = clock_monotonic_ms();
		assert_int_equal(leg_client_move(rig->client, NULL, 0, 0), 0);
		wait_until(rig, has_moved);
	}
	assert_true(clock_monotonic_ms() - told_ms >= LAST_LEAST_MS);
	assert_int_equal(leg_client_state(rig->client), LEG_UP);
	rig_free(rig);
}

static bool
is_there(struct rig *rig)
{
	return is_up(rig) && strstr(leg_client_url(rig->client), "localhost") != NULL;
}

/* It was lost before its turn, and came up where it was to go: it does not go there again, and push
 * itself out. */
static void
test_a_leg_that_is_there_already_does_not_move(void **state)
{
	enum { TURN_MS = 700 };
	char here[64], there[64], origin[40];
	struct rig *rig = open_with_two(here, there);
	const char *urls[] = { there, NULL };

	(void)state;
	assert_int_equal(leg_client_move(rig->client, NULL, TURN_MS, 0), 0);
	assert_int_equal(leg_client_target(rig->client, urls, "the-ticket"), 0);
	wait_until(rig, is_there);
	/* This one waits for the other's end. */
	snprintf(origin, sizeof origin, "ws://127.0.0.1:%u", rig->relay.port);
	assert_int_equal(leg_client_move(rig->client, origin, 0, 0), 0);
	wait_until(rig, has_moved);
	assert_string_equal(leg_client_url(rig->client), here);
	assert_int_equal(figure(rig, "leg_attempts_total", NULL), 3);
	rig_free(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames_that_a_server_must_not_send_end_the_leg),
		cmocka_unit_test(test_a_message_comes_in_eight_fragments_and_in_no_more),
		cmocka_unit_test(test_fragments_that_are_too_large_together_end_the_leg),
		cmocka_unit_test(test_messages_of_no_kind_are_counted_and_not_handed_out),
		cmocka_unit_test(test_pongs_that_nobody_asked_for_are_nothing),
		cmocka_unit_test(test_a_close_that_the_relay_does_not_carry_out_ends_the_leg),
		cmocka_unit_test(test_a_close_that_is_none_ends_the_leg_all_the_same),
		cmocka_unit_test(test_a_close_says_what_the_relay_said),
		cmocka_unit_test(test_an_answer_to_another_handshake_is_no_leg),
		cmocka_unit_test(test_an_extension_that_nobody_offered_is_no_leg),
		cmocka_unit_test(test_a_handshake_that_never_ends_is_left_for_the_next),
		cmocka_unit_test(test_a_flood_of_control_ends_the_leg_and_is_not_kept),
		cmocka_unit_test(test_a_flood_of_data_is_bounded_and_what_is_lost_is_counted),
		cmocka_unit_test(
			test_t20_drains_that_lead_in_a_circle_are_followed_more_and_more_slowly),
		cmocka_unit_test(test_a_leg_that_is_there_already_does_not_move),
	};

	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
