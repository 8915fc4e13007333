/*
 * What comes over links to other relays, at a shard without its thread: one node with its leg here
 * and clients at other relays; one node that is elsewhere, and a client of it here. The fuzzer says
 * what comes over which of two links, raw or as messages that fit, which links break and where
 * nodes are. Whatever it says: no crash, and what goes to the mesh thread is whole sections.
 */
#include "fuzz_shard.h"
#include "shard_leg.h"

#include "leg/leg_frame.h"
#include "relay/relay_mesh.h"
#include "relay/relay_mesh_wire.h"
#include "relay/relay_shard.h"
#include "ws/ws_mask.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENDS = 2, OPERATIONS_MAX = 64, LINKS = 2, BYTES_MAX = 4096 };

static const uint8_t nodes[2][UUID_BYTES] = { "the node here", "node elsewhere" };

struct fuzz {
	struct relay_shard *shard;
	struct relay_mesh_mail mesh;
	int fds[ENDS];
	const uint8_t *data;
	size_t n;
};

static uint8_t
take(struct fuzz *fuzz)
{
	if (fuzz->n == 0)
		return 0;
	fuzz->n--;
	return *fuzz->data++;
}

/* Of the input; at most `most` bytes. */
static size_t
take_bytes(struct fuzz *fuzz, uint8_t *to, size_t most)
{
	size_t n = take(fuzz);

	n = n < most ? n : most;
	n = n < fuzz->n ? n : fuzz->n;
	memcpy(to, fuzz->data, n);
	fuzz->data += n;
	fuzz->n -= n;
	return n;
}

/* End 0: the first node's leg; end 1: a client of the second. */
static void
add_leg(struct fuzz *fuzz, unsigned i)
{
	struct ticket ticket = { .role = i == 0 ? TICKET_ROLE_NODE : TICKET_ROLE_SESSION,
				 .session_id = { (uint8_t)i } };
	struct relay_leg *leg;

	memcpy(ticket.node_id, nodes[i], UUID_BYTES);
	fuzz->fds[i] = shard_leg_attach(fuzz->shard, &ticket, false, &leg);
	if (fuzz->fds[i] < 0)
		abort();
}

static void
send_mail(struct fuzz *fuzz, struct relay_message *message)
{
	if (message == NULL || relay_mailbox_send(&fuzz->shard->mailbox, &message) < 0)
		abort();
}

/* A channel's opening or end, as a relay says it. */
static size_t
write_control(struct fuzz *fuzz, uint8_t *to)
{
	Boson__Link__ChannelOpen open = BOSON__LINK__CHANNEL_OPEN__INIT;
	Boson__Link__ChannelClose close = BOSON__LINK__CHANNEL_CLOSE__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;
	char session[] = "00000000-0000-4000-8000-000000000000";
	uint8_t how = take(fuzz);

	open.has_channel = close.has_channel = 1;
	open.channel = close.channel = take(fuzz) & 0x0f;
	session[0] = (char)('0' + (how & 3));
	open.session_id = how & 4 ? session : NULL;
	open.has_generation = how & 8 ? 1 : 0;
	open.generation = how;
	close.has_code = how & 0x10 ? 1 : 0;
	close.code = how & 4 ? 4409 : 4404;
	control.body_case = how & 0x80 ? BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE
				       : BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN;
	if (how & 0x80)
		control.channel_close = &close;
	else
		control.channel_open = &open;
	to[0] = LEG_KIND_CONTROL;
	return 1 + boson__link__control__pack(&control, to + 1);
}

/* [1][channel][batch of one transport datagram]: numbers of the relay that gave them are {serial,
 * slot}. */
static size_t
write_data(struct fuzz *fuzz, uint8_t *to)
{
	uint8_t how = take(fuzz);
	size_t datagram_n = 32 + 16U * (how & 7);

	to[0] = LEG_KIND_DATA;
	relay_mesh_put32(to + 1, (uint32_t)take(fuzz) << 16 | (how >> 4));
	to[5] = 0;
	to[6] = (uint8_t)datagram_n;
	memset(to + 7, 0, datagram_n);
	to[7] = how & 8 ? 4 : take(fuzz);
	return 7 + datagram_n;
}

/* Sections of either node, in one message. */
static void
over_link(struct fuzz *fuzz, uint8_t how)
{
	uint8_t bytes[BYTES_MAX];
	size_t n = 0;

	for (unsigned i = 0; i <= (how >> 6) && n + 700 < sizeof(bytes); i++) {
		uint8_t kind = take(fuzz);
		uint8_t *message = bytes + n + RELAY_MESH_SECTION_BYTES;
		size_t message_n = kind & 1   ? write_control(fuzz, message)
				   : kind & 2 ? write_data(fuzz, message)
					      : take_bytes(fuzz, message, 300);
		relay_mesh_section_write(bytes + n, nodes[kind >> 2 & 1], message_n);
		n += RELAY_MESH_SECTION_BYTES + message_n;
	}
	if (how & 0x20)
		n += take_bytes(fuzz, bytes + n, sizeof(bytes) - n);
	struct relay_message *message = relay_message_new(RELAY_MESH_SECTIONS, NULL, n);
	if (message == NULL)
		abort();
	memcpy(message->bytes, bytes, n);
	message->link = how >> 4 & 1;
	message->is_dialled = message->link == 1; /* a link is one or the other for good */
	fuzz->shard->mesh_bytes += (int64_t)n;
	send_mail(fuzz, message);
}

/* As a leg's far end: a masked frame. */
static void
from_end(struct fuzz *fuzz, unsigned i)
{
	uint8_t payload[256], frame[WS_HEADER_IN_MAX_BYTES + 256], mask[4] = { 7, 1, 200, 9 };
	size_t n = i == 0 && take(fuzz) & 1 ? write_data(fuzz, payload)
					    : take_bytes(fuzz, payload, sizeof(payload));
	size_t at = ws_header_write(frame, WS_OPCODE_BINARY, n);

	frame[1] |= 0x80;
	memcpy(frame + at, mask, 4);
	ws_unmask(frame + at + 4, payload, n, ws_mask_load(mask));
	if (write(fuzz->fds[i], frame, at + 4 + n) < 0)
		return;
}

static void
operate(struct fuzz *fuzz)
{
	uint8_t how = take(fuzz);
	struct relay_message *message = NULL;

	switch (how & 0x0f) {
	case 0:
		message = relay_message_new(RELAY_MESH_DOWN, NULL, 0);
		break;
	case 1:
	case 2:
		message = relay_message_new(RELAY_TIE, nodes[how >> 5 & 1], 0);
		break;
	case 3:
		message = relay_message_new(RELAY_NODE_MOVED, nodes[how >> 5 & 1], 0);
		break;
	case 4:
	case 5:
		from_end(fuzz, how & 1);
		break;
	default:
		over_link(fuzz, how);
	}
	if (message == NULL)
		message = relay_message_new(RELAY_NODE_BACK, nodes[0], 0); /* no turn sleeps */
	if (message != NULL) {
		message->link = message->kind == RELAY_TIE ? 1 : how >> 4 & 1;
		message->generation = message->kind == RELAY_TIE ? how : (uint64_t)how << 56;
	}
	send_mail(fuzz, message);
}

static void
check_sent(struct fuzz *fuzz)
{
	struct relay_message *message = relay_mailbox_receive(&fuzz->mesh.mailbox);

	while (message != NULL) {
		struct relay_message *next = message->next;
		uint8_t *at = message->bytes + 1, *end = message->bytes + message->n;
		struct relay_mesh_section section;
		int r;

		if (message->kind != RELAY_MESH_SEND || message->n < 2 || message->link >= LINKS)
			abort();
		while ((r = relay_mesh_section_next(&at, end, &section)) == 1)
			if (memcmp(section.node_id, nodes[0], UUID_BYTES) != 0 &&
			    memcmp(section.node_id, nodes[1], UUID_BYTES) != 0)
				abort();
		if (r != 0)
			abort();
		fuzz->mesh.waiting_bytes -= (int64_t)message->n;
		relay_message_free(&message);
		message = next;
	}
	if (fuzz->mesh.waiting_bytes != 0 || fuzz->shard->mesh_bytes != 0)
		abort();
}

static void
drain(const struct fuzz *fuzz)
{
	uint8_t waste[65536];

	for (unsigned i = 0; i < ENDS; i++)
		while (read(fuzz->fds[i], waste, sizeof(waste)) > 0)
			;
}

static void
free_reports(struct relay_mailbox *control)
{
	struct relay_message *message = relay_mailbox_receive(control);

	while (message != NULL) {
		struct relay_message *next = message->next;

		relay_message_free(&message);
		message = next;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct fuzz fuzz = { .data = data, .n = n };
	struct relay_mailbox control;
	struct relay_shard *all[1];

	if (relay_mailbox_init(&control) < 0 || relay_mailbox_init(&fuzz.mesh.mailbox) < 0 ||
	    relay_shard_new(0, &fuzz_shard_settings, NULL, &control,
			    open("/dev/null", O_RDONLY | O_CLOEXEC), NULL, &fuzz.shard) < 0)
		abort();
	all[0] = fuzz.shard;
	fuzz.shard->all = all;
	fuzz.shard->count = 1;
	fuzz.shard->mesh = &fuzz.mesh;
	for (unsigned i = 0; i < ENDS; i++)
		add_leg(&fuzz, i);
	for (int i = 0; i < OPERATIONS_MAX && fuzz.n > 0; i++) {
		operate(&fuzz);
		relay_shard_turn(fuzz.shard);
		check_sent(&fuzz);
		drain(&fuzz);
		free_reports(&control);
	}
	relay_shard_free(&fuzz.shard);
	for (unsigned i = 0; i < ENDS; i++)
		close(fuzz.fds[i]);
	relay_mailbox_fini(&fuzz.mesh.mailbox);
	relay_mailbox_fini(&control);
	return 0;
}
