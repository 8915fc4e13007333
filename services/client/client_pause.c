/* client_pause: see the header. */
#include "client/client_pause.h"

void
client_pause_up(struct client_pause *pause, int64_t now_ms)
{
	pause->up_ms = now_ms;
}

void
client_pause_down(struct client_pause *pause)
{
	pause->up_ms = 0;
}

int64_t
client_pause_refused_ms(struct client_pause *pause, int64_t now_ms, uint32_t random)
{
	int64_t pause_ms = PAUSE_REFUSED_MS;

	if (pause->up_ms != 0 && now_ms - pause->up_ms >= PAUSE_STAYED_MS)
		pause->refusals = 0;
	pause->up_ms = 0;
	for (unsigned i = 0; i < pause->refusals && pause_ms < PAUSE_REFUSED_MAX_MS; i++)
		pause_ms *= 2;
	pause->refusals++;
	return pause_ms / 2 + (int64_t)(((uint64_t)pause_ms * random) >> 32);
}
