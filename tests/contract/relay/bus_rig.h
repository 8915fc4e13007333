/*
 * bus_rig: what tests of a relay's mailbox and events share: the relay, a stand-in for discovery,
 * calls and their outcome, and its start and end for cmocka.
 */
#pragma once

#include "relay_fixture.h"

#include "bus/bus.h"
#include "discovery.pb-c.h"
#include "relay.pb-c.h"

extern const uint8_t node_id[UUID_BYTES], other_id[UUID_BYTES], session_id[UUID_BYTES];

extern struct bus_rig {
	struct relay_fixture relay;
	char node_text[UUID_TEXT_BYTES], other_text[UUID_TEXT_BYTES], session_text[UUID_TEXT_BYTES];
	/* Takes announcements, tells of deletions. */
	struct bus_rig_discovery {
		Boson__Discovery__Discovery_Service service;
		struct bus_publisher *publisher;
		unsigned announced;
		bool is_announced, is_draining_seen;
		char id[80], url[128], group[32];
	} discovery;
} bus_rig;

int bus_rig_set_up(void **state);
int bus_rig_tear_down(void **state);

struct bus_rig_call {
	bool is_done, is_ok;
	enum bus_status status;
	char code[BUS_CODE_BYTES], field[BUS_FIELD_BYTES];
	char address4[32];
	int result;
	Boson__Relay__ListFlowsReply *flows;
	Boson__Relay__ListLegsReply *legs;
};

/* For callbacks of calls. */
void bus_rig_note_failure(struct bus_rig_call *call);
ProtobufCMessage *bus_rig_copy(const ProtobufCMessage *message);

/* What the relay lists; call->legs is the caller's. */
void bus_rig_list_legs(struct bus_rig_call *call);

/* Runs the loop a little, so that what was called has left. */
void bus_rig_spin(void);
