/* mesh_rig: see the header. */
#include "mesh_rig.h"

#include "link.pb-c.h"
#include "relay/relay_mesh_peers.h"
#include "relay/relay_mesh_wire.h"
#include "shard_leg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

const uint8_t mesh_rig_node[UUID_BYTES] = "the node's id...";
struct mesh_rig mesh_rig;

int
mesh_rig_set_up(void **state)
{
	(void)state;
	memset(&mesh_rig, 0, sizeof(mesh_rig));
	shard_alone_start(&mesh_rig.alone, &shard_alone_settings);
	assert_int_equal(relay_mailbox_init(&mesh_rig.mesh.mailbox), 0);
	mesh_rig.shard = mesh_rig.alone.shard;
	mesh_rig.shard->mesh = &mesh_rig.mesh;
	mesh_rig.peer.opens = shard_alone_settings.legs_max;
	return 0;
}

int
mesh_rig_tear_down(void **state)
{
	(void)state;
	shard_alone_stop(&mesh_rig.alone);
	relay_mailbox_fini(&mesh_rig.mesh.mailbox);
	return 0;
}

static void
read_word(const uint8_t *message, size_t n, uint64_t link, struct mesh_rig_word *ret)
{
	Boson__Link__Control *control = NULL;

	memset(ret, 0, sizeof(*ret));
	assert_int_equal(message[0], LEG_KIND_CONTROL);
	control = boson__link__control__unpack(NULL, n - 1, message + 1);
	assert_non_null(control);
	ret->link = link;
	ret->is_open = control->body_case == BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN;
	if (ret->is_open) {
		ret->channel = control->channel_open->channel;
		if (control->channel_open->session_id != NULL)
			strcpy(ret->session, control->channel_open->session_id);
	} else {
		assert_int_equal(control->body_case, BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE);
		ret->channel = control->channel_close->channel;
		ret->code = control->channel_close->code;
	}
	boson__link__control__free_unpacked(control, NULL);
}

static void
take_sections(struct relay_message *message)
{
	uint8_t *at = message->bytes + 1, *end = message->bytes + message->n;
	struct relay_mesh_section section;

	while (relay_mesh_section_next(&at, end, &section) == 1) {
		assert_in_range(mesh_rig.heard_n, 0, MESH_RIG_HEARD_MAX - 1);
		read_word(section.message, section.n, message->link,
			  &mesh_rig.heard[mesh_rig.heard_n++]);
	}
}

static void
take_all(struct relay_mailbox *mailbox)
{
	struct relay_message *message = relay_mailbox_receive(mailbox);

	while (message != NULL) {
		struct relay_message *next = message->next;

		if (message->kind == RELAY_MESH_SEND)
			take_sections(message);
		mesh_rig.sought += message->kind == RELAY_NODE_SOUGHT;
		mesh_rig.settled += message->kind == RELAY_NODE_SETTLED;
		relay_message_free(&message);
		message = next;
	}
}

void
mesh_rig_turn(struct relay_message *message)
{
	mesh_rig.heard_n = mesh_rig.sought = mesh_rig.settled = 0;
	shard_alone_turn(&mesh_rig.alone, message);
	take_all(&mesh_rig.mesh.mailbox);
	take_all(&mesh_rig.alone.control);
}

static void
say(uint64_t link, const uint8_t *node, Boson__Link__Control *control)
{
	size_t n = 1 + boson__link__control__get_packed_size(control);
	struct relay_message *message =
		relay_message_new(RELAY_MESH_SECTIONS, NULL, RELAY_MESH_SECTION_BYTES + n);
	uint8_t *to = message->bytes + RELAY_MESH_SECTION_BYTES;

	relay_mesh_section_write(message->bytes, node, n);
	to[0] = LEG_KIND_CONTROL;
	boson__link__control__pack(control, to + 1);
	message->link = link;
	message->is_dialled = link % 2 == 1;
	if (!message->is_dialled)
		message->peer = &mesh_rig.peer;
	assert_true(relay_peer_room_take(message->peer, message->n));
	mesh_rig.shard->mesh_bytes += (int64_t)message->n;
	mesh_rig_turn(message);
}

const char *
mesh_rig_session_text(char session)
{
	static char text[UUID_TEXT_BYTES];
	uint8_t id[UUID_BYTES] = { (uint8_t)session, [6] = 0x40, [8] = 0x80 };

	uuid_format(id, text);
	return text;
}

void
mesh_rig_say_open(uint64_t link, const uint8_t *node, uint32_t channel, char session,
		  uint64_t generation)
{
	Boson__Link__ChannelOpen open = BOSON__LINK__CHANNEL_OPEN__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;

	open.has_channel = 1;
	open.channel = channel;
	open.session_id = (char *)(uintptr_t)mesh_rig_session_text(session);
	open.has_generation = generation != 0;
	open.generation = generation;
	control.body_case = BOSON__LINK__CONTROL__BODY_CHANNEL_OPEN;
	control.channel_open = &open;
	say(link, node, &control);
}

void
mesh_rig_say_close(uint64_t link, uint32_t channel, uint32_t code)
{
	Boson__Link__ChannelClose close = BOSON__LINK__CHANNEL_CLOSE__INIT;
	Boson__Link__Control control = BOSON__LINK__CONTROL__INIT;

	close.has_channel = 1;
	close.channel = channel;
	close.has_code = code != 0;
	close.code = code;
	control.body_case = BOSON__LINK__CONTROL__BODY_CHANNEL_CLOSE;
	control.channel_close = &close;
	say(link, mesh_rig_node, &control);
}

void
mesh_rig_tie(uint64_t link, uint64_t generation)
{
	struct relay_message *message = relay_message_new(RELAY_TIE, mesh_rig_node, 0);

	message->link = link;
	message->generation = generation;
	mesh_rig_turn(message);
}

int
mesh_rig_attach(char session, struct relay_leg **ret_leg)
{
	struct ticket ticket = { .role = session != 0 ? TICKET_ROLE_SESSION : TICKET_ROLE_NODE,
				 .session_id = { (uint8_t)session, [6] = 0x40, [8] = 0x80 } };
	struct relay_leg *leg;
	char answer[1024];

	memcpy(ticket.node_id, mesh_rig_node, UUID_BYTES);
	int fd = shard_leg_attach(mesh_rig.shard, &ticket, false, &leg);
	assert_in_range(fd, 0, INT32_MAX);
	assert_int_equal(leg->state, RELAY_LEG_OPEN);
	ssize_t n = read(fd, answer, sizeof(answer) - 1);
	assert_true(n > 4);
	assert_memory_equal(answer + n - 4, "\r\n\r\n", 4);
	mesh_rig_turn(NULL);
	if (ret_leg != NULL)
		*ret_leg = leg;
	return fd;
}

struct mesh_rig_word
mesh_rig_word_at(int node_fd)
{
	uint8_t payload[125];
	struct mesh_rig_word word;
	size_t n;

	assert_int_equal(shard_leg_next_frame(node_fd, payload, &n), 0x82);
	read_word(payload, n, 0, &word);
	return word;
}

unsigned
mesh_rig_code_at(int fd)
{
	uint8_t payload[125];
	size_t n;

	if (shard_leg_next_frame(fd, payload, &n) != 0x88)
		return 0;
	return n < 2 ? 1005 : (unsigned)payload[0] << 8 | payload[1];
}

void
mesh_rig_assert_heard(unsigned i, uint64_t link, bool is_open, uint32_t channel, uint32_t code)
{
	assert_in_range(i, 0, mesh_rig.heard_n - 1);
	assert_int_equal(mesh_rig.heard[i].link, link);
	assert_int_equal(mesh_rig.heard[i].is_open, is_open);
	if (!is_open || channel != 0)
		assert_int_equal(mesh_rig.heard[i].channel, channel);
	assert_int_equal(mesh_rig.heard[i].code, code);
}
