/* client_pause: see the header. */
#include "client/client_pause.h"

#include "loop/backoff.h"

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
	int64_t pause_ms;

	if (pause->up_ms != 0 && now_ms - pause->up_ms >= PAUSE_STAYED_MS)
		pause->refusals = 0;
	pause->up_ms = 0;
	pause_ms = backoff_ms(PAUSE_REFUSED_MS, PAUSE_REFUSED_MAX_MS, pause->refusals++);
	return pause_ms / 2 + backoff_share_ms(pause_ms, random);
}
