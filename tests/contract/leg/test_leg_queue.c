/*
 * What a node sends when its uplink takes less: channels share it by bytes, who sends much loses
 * what is too much and nobody else, nothing old is sent, control goes first. A relay stand-in reads
 * as slowly as such an uplink would carry. Counted in messages and bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "leg_rig.h"
#include "loop/clock.h"

#include <string.h>

enum {
	CHANNELS = 10,
	GREEDY = 1, /* the others are modest */
	DATAGRAM = 1000,
	BATCH = 16,	   /* that the greedy one sends at once */
	TAKEN = 4 << 20,   /* by the relay, then it is measured */
	AHEAD = 256 << 10, /* offered before the relay has taken it */
};

#define SLOW "/slow/2000000"

/* A data message of n datagrams for a channel. */
static void
send_data(struct rig *rig, uint32_t channel, unsigned n)
{
	static uint8_t message[LEG_MESSAGE_MAX_BYTES];
	const uint8_t datagram[DATAGRAM] = { 4 };
	struct leg_writer writer;

	leg_writer_init(&writer, true, channel, message, sizeof message);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(leg_writer_add(&writer, datagram, sizeof datagram), 0);
	assert_int_equal(leg_client_send(rig->client, message, writer.n, false), 0);
}

static uint64_t
dropped(struct rig *rig, const char *labels)
{
	return figure(rig, "leg_dropped_total", labels);
}

/* ---- shares ---- */

static size_t rounds; /* offered: one datagram of each modest channel, a batch of the greedy one */

static bool
has_taken_enough(struct rig *rig)
{
	size_t taken = atomic_load(&rig->relay.bytes);

	/* The modest ones send a little less than their shares of what the uplink carries. */
	while (rounds * (CHANNELS * DATAGRAM * 21 / 20) < taken + AHEAD) {
		for (uint32_t channel = 1; channel <= CHANNELS; channel++)
			send_data(rig, channel, channel == GREEDY ? BATCH : 1);
		rounds++;
	}
	leg_client_flush(rig->client);
	return taken >= TAKEN;
}

/* Jain's index of what the channels got: 1 is all the same, 1 / CHANNELS is one has all. */
static double
jain(const struct stand_in *relay)
{
	double sum = 0, squares = 0;

	for (unsigned i = 1; i <= CHANNELS; i++) {
		double share = (double)atomic_load(&relay->channel_bytes[i]);
		sum += share;
		squares += share * share;
	}
	return sum * sum / (CHANNELS * squares);
}

static bool
all_modest_has_come(struct rig *rig)
{
	for (unsigned i = 1; i <= CHANNELS; i++)
		if (i != GREEDY && atomic_load(&rig->relay.channel_messages[i]) < rounds)
			return false;
	return true;
}

static void
a_greedy_session_beside_nine(const char *scheme)
{
	bool has_tls = strcmp(scheme, "wss") == 0;
	const struct leg_client_options options = { .ca_file = has_tls ? certificate : NULL,
						    .is_node = true,
						    .queue_bytes = 128 * 1024,
						    .queue_age_ms = 60 * 1000 };
	struct rig *rig = rig_new_with(&options);

	assert_int_equal(stand_in_start(&rig->relay, 0, has_tls ? certificate : NULL, key), 0);
	target(rig, scheme, "localhost", SLOW);
	wait_until(rig, is_up);
	rounds = 0;
	wait_until(rig, has_taken_enough);
	assert_true(jain(&rig->relay) >= 0.95);
	wait_until(rig, all_modest_has_come); /* none of them is lost */
	assert_true(dropped(rig, "direction=\"out\",reason=\"full\"") > rounds);
	assert_int_equal(dropped(rig, "direction=\"out\",reason=\"age\""), 0);
	assert_int_equal(dropped(rig, "direction=\"out\",reason=\"memory\""), 0);
	rig_free(rig);
}

static void
test_a_greedy_session_takes_nothing_from_nine_modest_ones(void **state)
{
	(void)state;
	a_greedy_session_beside_nine("ws");
	a_greedy_session_beside_nine("wss");
}

static struct {
	size_t messages, bytes;
} seen; /* of the greedy one, when last looked at */

/* A hundred in a row: the first come whole, also after a pause. */
static bool
has_come_in_pieces(struct rig *rig)
{
	has_taken_enough(rig);
	size_t messages = atomic_load(&rig->relay.channel_messages[GREEDY]) - seen.messages;
	size_t bytes = atomic_load(&rig->relay.channel_bytes[GREEDY]) - seen.bytes;
	if (messages <= 100)
		return false;
	seen.messages += messages;
	seen.bytes += bytes;
	return bytes < messages * BATCH / 4 * DATAGRAM;
}

/* What is behind a batch would wait for all of it. */
static void
test_a_slow_leg_gets_batches_in_pieces(void **state)
{
	const struct leg_client_options options = { .is_node = true, .queue_age_ms = 60 * 1000 };
	struct rig *rig = rig_new_with(&options);

	(void)state;
	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "localhost", SLOW);
	wait_until(rig, is_up);
	rounds = 0;
	memset(&seen, 0, sizeof seen);
	wait_until(rig, has_come_in_pieces);
	rig_free(rig);
}

/* ---- age and order ---- */

enum { AGE_MS = 50, MANY = 4000 };

static int64_t queued_ms;

static bool
all_is_old(struct rig *rig)
{
	(void)rig;
	return clock_monotonic_ms() > queued_ms + AGE_MS;
}

static bool
has_arrived_or_is_old(struct rig *rig)
{
	return relay_has_messages(rig) || all_is_old(rig);
}

static bool
control_has_come(struct rig *rig)
{
	return atomic_load(&rig->relay.before_control) > 0;
}

/* To a relay that takes nothing, with data for all channels that is not flushed yet. */
static struct rig *
stalled_rig(const struct leg_client_options *options)
{
	struct rig *rig = rig_new_with(options);

	assert_int_equal(stand_in_start(&rig->relay, 0, NULL, NULL), 0);
	target(rig, "ws", "localhost", "/stall");
	wait_until(rig, is_up);
	for (unsigned i = 0; i < MANY; i++)
		send_data(rig, 1 + i % CHANNELS, 1);
	return rig;
}

static void
test_what_is_too_old_never_arrives(void **state)
{
	const struct leg_client_options options = { .is_node = true,
						    .queue_bytes = 64 << 20,
						    .queue_age_ms = AGE_MS };
	struct rig *rig = stalled_rig(&options);

	(void)state;
	queued_ms = clock_monotonic_ms();
	leg_client_flush(rig->client);
	wait_until(rig, all_is_old);
	uint64_t sent = figure(rig, "leg_messages_total", "direction=\"out\"");
	assert_true(sent < MANY / 2); /* the rest waits, and is old by now */
	atomic_store(&rig->relay.is_released, true);
	/* One more has to arrive: another is sent when it was too old as well. */
	uint64_t data = MANY;
	rig->wanted = sent + 1;
	while (!relay_has_messages(rig)) {
		send_data(rig, 1, 1);
		data++;
		leg_client_flush(rig->client);
		queued_ms = clock_monotonic_ms();
		wait_until(rig, has_arrived_or_is_old);
	}
	/* Control has no age, and shows that all data before it was sent or dropped. */
	const uint8_t control[] = { LEG_KIND_CONTROL, 1 };
	assert_int_equal(leg_client_send(rig->client, control, sizeof control, true), 0);
	leg_client_flush(rig->client);
	wait_until(rig, control_has_come);
	uint64_t arrived = atomic_load(&rig->relay.before_control);
	assert_in_range(arrived, sent + 1, sent + data - MANY);
	assert_int_equal(dropped(rig, "direction=\"out\",reason=\"age\""), data - arrived);
	const struct leg_client_figures figures = leg_client_figures(rig->client);
	assert_int_equal(figures.lost_out, data - arrived);
	assert_int_equal(figures.lost_in, 0);
	assert_int_equal(figures.attempts, 1);
	rig_free(rig);
}

static void
test_control_overtakes_data_that_waits(void **state)
{
	const uint8_t control[] = { LEG_KIND_CONTROL, 1 };
	const struct leg_client_options options = { .is_node = true,
						    .queue_bytes = 64 << 20,
						    .queue_age_ms = 60 * 1000 };
	struct rig *rig = stalled_rig(&options);

	(void)state;
	leg_client_flush(rig->client);
	assert_int_equal(leg_client_send(rig->client, control, sizeof control, true), 0);
	leg_client_flush(rig->client);
	atomic_store(&rig->relay.is_released, true);
	rig->wanted = MANY + 1;
	wait_until(rig, relay_has_messages);
	assert_true(atomic_load(&rig->relay.before_control) < MANY / 2);
	assert_int_equal(atomic_load(&rig->relay.messages), MANY + 1);
	rig_free(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_greedy_session_takes_nothing_from_nine_modest_ones),
		cmocka_unit_test(test_a_slow_leg_gets_batches_in_pieces),
		cmocka_unit_test(test_what_is_too_old_never_arrives),
		cmocka_unit_test(test_control_overtakes_data_that_waits),
	};

	return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
