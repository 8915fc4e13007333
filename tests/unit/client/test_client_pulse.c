/*
 * When a node is silent (T04): two handshakes without an answer, data without one for as long as a
 * living node never takes, or handshakes that are never completed, whatever is sent back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/client_pulse.h"
#include "wg/datagram.h"

enum { START_MS = 1000 * 1000, REKEY_TIMEOUT_MS = 5000 };

static const uint8_t initiation[148] = { DATAGRAM_INITIATION };
static const uint8_t response[92] = { DATAGRAM_RESPONSE };
static const uint8_t data[128] = { DATAGRAM_TRANSPORT };
static const uint8_t empty[32] = { DATAGRAM_TRANSPORT };

static void
shake(struct client_pulse *pulse, int64_t now_ms)
{
	client_pulse_sent(pulse, initiation, sizeof initiation, now_ms);
}

static void
test_two_handshakes_without_an_answer_are_silence(void **state)
{
	(void)state;
	struct client_pulse pulse = { 0 };
	int64_t second_ms = START_MS + REKEY_TIMEOUT_MS;

	shake(&pulse, START_MS);
	assert_false(client_pulse_is_silent(&pulse, second_ms));
	shake(&pulse, second_ms);
	assert_false(client_pulse_is_silent(&pulse, second_ms + PULSE_ANSWER_MS - 1));
	assert_true(client_pulse_is_silent(&pulse, second_ms + PULSE_ANSWER_MS));
	client_pulse_heard(&pulse, response, sizeof response);
	assert_false(client_pulse_is_silent(&pulse, second_ms + PULSE_ANSWER_MS));
}

static void
test_one_handshake_is_none_however_long_ago(void **state)
{
	(void)state;
	struct client_pulse pulse = { 0 };

	shake(&pulse, START_MS);
	assert_false(client_pulse_is_silent(&pulse, START_MS + 3600 * 1000));
	/* nor are two that are apart, as an idle tunnel's are */
	shake(&pulse, START_MS + 120 * 1000);
	assert_false(client_pulse_is_silent(&pulse, START_MS + 125 * 1000));
}

static void
test_data_without_an_answer_is_silence_after_15_s(void **state)
{
	(void)state;
	struct client_pulse pulse = { 0 };

	client_pulse_sent(&pulse, data, sizeof data, START_MS);
	client_pulse_sent(&pulse, data, sizeof data, START_MS + 14000);
	assert_false(client_pulse_is_silent(&pulse, START_MS + 14999));
	assert_true(client_pulse_is_silent(&pulse, START_MS + 15000));
	client_pulse_heard(&pulse, empty, sizeof empty); /* enough of an answer */
	assert_false(client_pulse_is_silent(&pulse, START_MS + 15000));
	client_pulse_sent(&pulse, data, sizeof data, START_MS + 16000);
	assert_false(client_pulse_is_silent(&pulse, START_MS + 30999));
	assert_true(client_pulse_is_silent(&pulse, START_MS + 31000));
}

static void
test_an_empty_packet_wants_no_answer(void **state)
{
	(void)state;
	struct client_pulse pulse = { 0 };

	client_pulse_sent(&pulse, empty, sizeof empty, START_MS);
	assert_false(client_pulse_is_silent(&pulse, START_MS + 3600 * 1000));
}

static void
test_a_node_that_wants_to_shake_hands_has_not_answered(void **state)
{
	(void)state;
	struct client_pulse pulse = { 0 };

	client_pulse_sent(&pulse, data, sizeof data, START_MS);
	client_pulse_heard(&pulse, initiation, sizeof initiation);
	assert_true(client_pulse_is_silent(&pulse, START_MS + 15000));
}

static void
test_forged_answers_do_not_hide_that_no_handshake_is_completed(void **state)
{
	(void)state;
	struct client_pulse pulse = { 0 };
	int64_t now_ms = START_MS;

	for (int i = 1; i < PULSE_SHAKES_MAX; i++, now_ms += REKEY_TIMEOUT_MS) {
		shake(&pulse, now_ms);
		client_pulse_heard(&pulse, response, sizeof response);
		assert_false(client_pulse_is_silent(&pulse, now_ms + PULSE_ANSWER_MS));
	}
	shake(&pulse, now_ms);
	client_pulse_heard(&pulse, response, sizeof response);
	assert_true(client_pulse_is_silent(&pulse, now_ms));
}

static void
test_after_a_reset_nothing_was_sent(void **state)
{
	(void)state;
	struct client_pulse pulse = { 0 };

	shake(&pulse, START_MS);
	client_pulse_sent(&pulse, data, sizeof data, START_MS);
	client_pulse_reset(&pulse);
	shake(&pulse, START_MS + REKEY_TIMEOUT_MS);
	assert_false(client_pulse_is_silent(&pulse, START_MS + 60 * 1000));
}

static void
test_what_is_no_datagram_of_wireguards_does_not_count(void **state)
{
	(void)state;
	struct client_pulse pulse = { 0 };

	client_pulse_sent(&pulse, data, DATAGRAM_MIN_BYTES - 1, START_MS);
	assert_false(client_pulse_is_silent(&pulse, START_MS + 15000));
	client_pulse_sent(&pulse, data, sizeof data, START_MS);
	client_pulse_heard(&pulse, response, 1);
	assert_true(client_pulse_is_silent(&pulse, START_MS + 15000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_handshakes_without_an_answer_are_silence),
		cmocka_unit_test(test_one_handshake_is_none_however_long_ago),
		cmocka_unit_test(test_data_without_an_answer_is_silence_after_15_s),
		cmocka_unit_test(test_an_empty_packet_wants_no_answer),
		cmocka_unit_test(test_a_node_that_wants_to_shake_hands_has_not_answered),
		cmocka_unit_test(test_forged_answers_do_not_hide_that_no_handshake_is_completed),
		cmocka_unit_test(test_after_a_reset_nothing_was_sent),
		cmocka_unit_test(test_what_is_no_datagram_of_wireguards_does_not_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
