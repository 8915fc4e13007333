/*
 * leg_client_inside: the state of a leg's client, between leg_client.c (what its owner asks, its
 * orders, the lines it has) and leg_move.c (going from one line to the next). Inside shared/leg
 * only.
 */
#pragma once

#include "leg/leg_client.h"
#include "leg/leg_inside.h"

enum move_phase { MOVE_NONE, MOVE_WAITING, MOVE_TRYING, MOVE_LEAVING };

struct leg_slot {
	struct leg_client *client;
	struct leg_line *line;
	uint32_t number;
};

struct leg_client {
	struct loop *loop;
	struct metrics *metrics;
	char *ca_file;
	struct leg_client_options options; /* ca_file: the one above */
	struct leg_client_events events;
	struct leg_slot slots[2];
	unsigned active;
	uint32_t last_number;
	const struct leg_slot *speaking; /* whose message is being delivered */
	unsigned busy;
	bool is_freed;

	/* what was ordered */
	char *urls[LEG_URLS_MAX];
	size_t url_n;
	char ticket[LEG_TICKET_MAX_BYTES];

	enum move_phase phase;
	struct loop_timer *timer;
	int64_t moved_ms; /* to the line that is active; 0: never */
	unsigned hops;	  /* moves in a row from a line that had hardly been moved to */
	char moving_to[LEG_URL_TEXT_BYTES]; /* a target beside the ordered ones, since we were told
					     */
	uint32_t try_for_ms;
	bool has_wish; /* another move, after this one */
	char wish[LEG_URL_TEXT_BYTES];
	uint32_t wish_in_ms, wish_try_for_ms;
};

static inline struct leg_slot *
leg_client_active(const struct leg_client *client)
{
	return (struct leg_slot *)(uintptr_t)&client->slots[client->active];
}

static inline struct leg_slot *
leg_client_other(struct leg_client *client)
{
	return &client->slots[1 - client->active];
}

/* leg_client.c */

/* Around a callback of the owner's, which may free the client. */
void leg_client_enter(struct leg_client *client);
void leg_client_leave(struct leg_client *client);

int leg_client_open(struct leg_client *client, struct leg_slot *slot);

/* Orders the line to the target that we were told of, if it is time, and then to the ordered ones,
 * but not to `except`. -ENOENT: none. */
int leg_client_aim(struct leg_client *client, struct leg_line *line, const char *except);

/* leg_move.c */
void leg_move_on_state(struct leg_client *client, struct leg_slot *slot, enum leg_state state,
		       int code, const char *reason);

/* The owner wants no leg. */
void leg_move_stop(struct leg_client *client);
