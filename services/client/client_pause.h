/*
 * client_pause: how long to wait before the server is asked again for a session that a relay did
 * not let in, or let go: more and more, unless the leg had stayed for a while. A relay that takes
 * every ticket and keeps nobody costs the server no storm of questions. Pure.
 */
#pragma once

#include <stdint.h>

enum {
	PAUSE_REFUSED_MS = 1000,
	PAUSE_REFUSED_MAX_MS = 64 * 1000,
	PAUSE_STAYED_MS = 10 * 1000, /* a leg that was up for so long was let in */
};

/* Times are monotonic; 0: none. */
struct client_pause {
	int64_t up_ms;	   /* since when the leg has been up */
	unsigned refusals; /* in a row */
};

void client_pause_up(struct client_pause *pause, int64_t now_ms);

/* The leg is down, and that was no refusal. */
void client_pause_down(struct client_pause *pause);

/* The leg is down, since it was refused. random of 2^32 parts: from half to one and a half of the
 * pause, so that all whom one relay lets go do not ask at one moment. */
int64_t client_pause_refused_ms(struct client_pause *pause, int64_t now_ms, uint32_t random);
