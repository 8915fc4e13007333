/*
 * client_pulse: see the header.
 */
#include "client/client_pulse.h"

#include "wg/datagram.h"

void
client_pulse_reset(struct client_pulse *pulse)
{
	*pulse = (struct client_pulse){ 0 };
}

static void
note_shake(struct client_pulse *pulse, int64_t now_ms)
{
	bool is_repeated = pulse->shakes > 0 && now_ms - pulse->shake_ms < PULSE_REPEAT_MS;

	pulse->shakes = is_repeated ? pulse->shakes + 1 : 1;
	pulse->shake_ms = now_ms;
	pulse->has_heard = false;
}

void
client_pulse_sent(struct client_pulse *pulse, const uint8_t *datagram, size_t n, int64_t now_ms)
{
	if (n < DATAGRAM_MIN_BYTES)
		return;
	if (datagram[0] == DATAGRAM_INITIATION)
		note_shake(pulse, now_ms);
	/* An empty packet keeps a way open and wants no answer. */
	else if (datagram[0] == DATAGRAM_TRANSPORT && n > DATAGRAM_MIN_BYTES && pulse->data_ms == 0)
		pulse->data_ms = now_ms;
}

void
client_pulse_heard(struct client_pulse *pulse, const uint8_t *datagram, size_t n)
{
	if (n < DATAGRAM_MIN_BYTES || datagram[0] == DATAGRAM_INITIATION)
		return;
	pulse->data_ms = 0;
	pulse->has_heard = true;
}

bool
client_pulse_is_silent(const struct client_pulse *pulse, int64_t now_ms)
{
	bool is_data = pulse->data_ms != 0 && now_ms - pulse->data_ms >= PULSE_DATA_MS;
	bool is_shake = pulse->shakes >= PULSE_SHAKES && !pulse->has_heard &&
			now_ms - pulse->shake_ms >= PULSE_ANSWER_MS;

	return is_data || is_shake || pulse->shakes >= PULSE_SHAKES_MAX;
}
