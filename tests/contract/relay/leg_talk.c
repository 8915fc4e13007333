/*
 * leg_talk: see the header.
 */
#include "leg_talk.h"

#include "relay_fixture.h"

#include "leg/leg_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/random.h>

#include <cmocka.h>

void
leg_talk_datagram(uint8_t *to, size_t n)
{
	for (size_t at = 0; at < n; at += 256)
		assert_true(getrandom(to + at, n - at < 256 ? n - at : 256, 0) > 0);
	to[0] = 4;
	to[1] = to[2] = to[3] = 0;
}

size_t
leg_talk_message(uint8_t *to, uint32_t channel, unsigned count, size_t n)
{
	size_t at = 0;

	to[at++] = LEG_KIND_DATA;
	if (channel != 0)
		for (int shift = 24; shift >= 0; shift -= 8)
			to[at++] = (uint8_t)(channel >> shift);
	for (unsigned i = 0; i < count; i++) {
		to[at++] = (uint8_t)(n >> 8);
		to[at++] = (uint8_t)n;
		leg_talk_datagram(to + at, n);
		at += n;
	}
	return at;
}

static Boson__Link__Control *
unpack(const struct raw_frame *frame)
{
	assert_int_equal(frame->first, 0x82);
	assert_true(frame->n >= 1);
	assert_int_equal(frame->payload[0], LEG_KIND_CONTROL);
	Boson__Link__Control *control =
		boson__link__control__unpack(NULL, frame->n - 1, frame->payload + 1);
	assert_non_null(control);
	return control;
}

Boson__Link__Control *
leg_talk_control(struct raw_leg *leg)
{
	struct raw_frame frame;

	assert_true(raw_leg_receive(leg, &frame));
	return unpack(&frame);
}

void
leg_talk_send_control(struct raw_leg *leg, const Boson__Link__Control *control)
{
	static _Thread_local uint8_t message[64 * 1024];

	assert_true(boson__link__control__get_packed_size(control) < sizeof(message));
	message[0] = LEG_KIND_CONTROL;
	size_t n = boson__link__control__pack(control, message + 1);
	assert_true(raw_leg_send(leg, 0x82, message, 1 + n));
}

uint32_t
leg_talk_channel(struct raw_leg *leg, const uint8_t session_id[UUID_BYTES])
{
	char text[UUID_TEXT_BYTES];
	Boson__Link__Control *control = leg_talk_control(leg);
	uint32_t channel;

	uuid_format(session_id, text);
	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN);
	assert_string_equal(control->channel_open->session_id, text);
	channel = control->channel_open->channel;
	assert_int_not_equal(channel, 0);
	boson__link__control__free_unpacked(control, NULL);
	return channel;
}

void
leg_talk_expect_close(struct raw_leg *node, uint32_t channel)
{
	Boson__Link__Control *control = leg_talk_control(node);

	assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
	assert_int_equal(control->channel_close->channel, channel);
	boson__link__control__free_unpacked(control, NULL);
}

unsigned
leg_talk_code_for(struct relay_fixture *relay, const uint8_t node_id[UUID_BYTES],
		  const uint8_t session_id[UUID_BYTES], const void *bytes, size_t n)
{
	struct raw_leg *node = raw_leg_open(relay, node_id, NULL);
	struct raw_leg *leg = raw_leg_open(relay, node_id, session_id);
	uint32_t channel = leg_talk_channel(node, session_id);

	assert_true(raw_leg_write(leg, bytes, n));
	unsigned code = raw_leg_close_code(leg);
	leg_talk_expect_close(node, channel);
	raw_leg_close(&leg);
	leg = raw_leg_open(relay, node_id, session_id);
	leg_talk_exchange(node, leg, leg_talk_channel(node, session_id));
	raw_leg_close(&leg);
	raw_leg_close(&node);
	relay_fixture_await_empty(relay);
	return code;
}

void
leg_talk_exchange(struct raw_leg *node, struct raw_leg *client, uint32_t channel)
{
	leg_talk_exchange_hearing(node, client, channel, NULL, NULL);
}

void
leg_talk_exchange_hearing(struct raw_leg *node, struct raw_leg *client, uint32_t channel,
			  leg_talk_control_fn on_control, void *arg)
{
	uint8_t message[256], there[256];
	struct raw_frame frame;
	size_t n = leg_talk_message(message, 0, 1, 96);

	assert_true(raw_leg_send(client, 0x82, message, n));
	assert_true(raw_leg_receive(node, &frame));
	while (on_control != NULL && frame.payload[0] == LEG_KIND_CONTROL) {
		Boson__Link__Control *control = unpack(&frame);

		on_control(control, arg);
		boson__link__control__free_unpacked(control, NULL);
		assert_true(raw_leg_receive(node, &frame));
	}
	assert_int_equal(frame.n, n + 4);
	assert_memory_equal(frame.payload + 5, message + 1, n - 1);
	n = leg_talk_message(there, channel, 1, 112);
	assert_true(raw_leg_send(node, 0x82, there, n));
	assert_true(raw_leg_receive(client, &frame));
	assert_int_equal(frame.n, n - 4);
	assert_memory_equal(frame.payload + 1, there + 5, n - 5);
}
