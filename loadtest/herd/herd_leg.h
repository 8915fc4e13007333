/*
 * herd_leg: a leg that behaves as leg_client does: relays in order, full jitter, a spread return
 * after a loss, and a move without a gap when its relay drains.
 */
#pragma once

#include "herd_line.h"

#include "identity/ticket.h"

enum { HERD_RELAYS_MAX = 8, HERD_ID_BYTES = 37 };

struct herd_leg;

struct herd_owner {
	int epoll_fd;
	uint16_t ports[HERD_RELAYS_MAX];
	unsigned relay_count;
	void *ssl_context;
	void (*on_data)(struct herd_leg *leg, struct herd_line *line, uint8_t *message, size_t n);
	/* counted */
	uint64_t attempts, refused, resumed, connected, moved, closed[5000];
};

struct herd_leg {
	struct herd_owner *owner;
	struct herd_line lines[2];
	unsigned active, relay; /* the relay of the active line, or the one to be tried */
	unsigned failures;
	int64_t retry_us, up_us, lost_us; /* 0: none */
	int64_t back_us;		  /* how long it was away the last time */
	int64_t move_us, leave_us, deadline_us;
	unsigned move_to;
	bool is_moving;
	char id[HERD_ID_BYTES], ticket[TICKET_TEXT_MAX_BYTES];
};

int64_t herd_now_us(void);
uint32_t herd_random(uint32_t n);

void herd_leg_init(struct herd_leg *leg, struct herd_owner *owner, unsigned relay);
bool herd_leg_is_up(const struct herd_leg *leg);

/* Every few ms: attempts, moves, leaves. */
void herd_leg_tick(struct herd_leg *leg, int64_t now_us);

void herd_leg_send(struct herd_leg *leg, uint8_t *message, size_t n);
