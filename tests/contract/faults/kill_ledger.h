/*
 * kill_ledger: registrations, route requests and deletions, a wave of them at a time, and which of
 * them discovery and routing have acknowledged.
 */
#pragma once

#include "route_rig.h"

enum {
	REGISTRATIONS = 6,
	REQUESTS = 10,
	DELETIONS = 8,
	WAVE = REGISTRATIONS + REQUESTS + DELETIONS,
};

/* UNKNOWN: asked, and not answered yet; DOUBTFUL: a deletion whose answer was lost. */
enum acknowledged { NOTHING, OPEN, CLOSED, UNKNOWN, DOUBTFUL };

struct route {
	struct route_rig_client client;
	char id[UUID_TEXT_BYTES];
	enum acknowledged state;
};

struct registration {
	struct enrolment_node node;
	char proof[PROOF_HEADER_MAX_BYTES];
	bool acknowledged;
};

struct kill_wave {
	struct registration *registrations;
	struct route *requested[REQUESTS], *deleted[DELETIONS];
	size_t deletions, wanted;
};

struct kill_ledger {
	struct route_rig *rig;
	struct rig_call calls[WAVE];
	struct kill_wave wave;
	struct route *routes;
	struct registration *registrations;
	size_t route_count, registration_count;
	size_t acknowledged, opened;
};

/* For so many waves at the most. */
void kill_ledger_init(struct kill_ledger *ledger, struct route_rig *rig, size_t waves_max);
void kill_ledger_fini(struct kill_ledger *ledger);

/* A wave: asks all; waits until a random number of answers came; and, when who should answer was
 * killed or not, until each call has ended. */
void kill_ledger_ask(struct kill_ledger *ledger);
void kill_ledger_wait(struct kill_ledger *ledger);
void kill_ledger_take_answers(struct kill_ledger *ledger);

/* All that was acknowledged is there, as it was acknowledged last. */
void kill_ledger_assert(struct kill_ledger *ledger);
