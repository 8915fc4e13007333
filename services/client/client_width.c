/*
 * client_width: see the header. Both echoes of a pair have one number, and packets of a flow keep
 * their order: a small answer whose large one is not there counts, and a large one that was only
 * late takes it all back. Numbers wrap.
 */
#include "client/client_width.h"

#include "loop/backoff.h"

void
client_width_init(struct client_width *width)
{
	*width = (struct client_width){ 0 };
}

void
client_width_start(struct client_width *width, int64_t now_ms)
{
	width->is_wide = false;
	width->narrow = 0;
	width->unheard = 0;
	/* What is under way from before says nothing of now. */
	width->large_back = width->sequence;
	width->next_ms = now_ms;
}

bool
client_width_is_narrow(const struct client_width *width)
{
	return width->narrow >= (width->is_wide ? WIDTH_PAIRS_LATER : WIDTH_PAIRS_FIRST);
}

static bool
is_known(const struct client_width *width)
{
	return (width->is_wide && width->narrow == 0) || client_width_is_narrow(width);
}

static int64_t
pause_ms(const struct client_width *width)
{
	unsigned doublings =
		width->has_echoed ? width->unheard / WIDTH_UNHEARD_MAX : width->unheard - 1;
	int64_t pause = backoff_ms(width->has_echoed ? WIDTH_PAIR_MS : WIDTH_ASK_MS,
				   WIDTH_PAUSE_MAX_MS, doublings);

	return is_known(width) && pause < WIDTH_CALM_MS ? WIDTH_CALM_MS : pause;
}

enum width_echoes
client_width_due(struct client_width *width, bool has_traffic, int64_t now_ms,
		 uint16_t *ret_sequence)
{
	bool is_urgent = !is_known(width) && width->unheard < WIDTH_UNHEARD_MAX;

	if (now_ms < width->next_ms || (!is_urgent && !has_traffic))
		return WIDTH_NONE;
	*ret_sequence = ++width->sequence;
	width->unheard++;
	width->next_ms = now_ms + pause_ms(width);
	if (width->has_echoed)
		return WIDTH_PAIR;
	width->large_back = width->sequence; /* there is none to miss */
	return WIDTH_SMALL;
}

void
client_width_heard(struct client_width *width, uint16_t sequence, bool is_large, int64_t now_ms)
{
	bool is_ours = (uint16_t)(width->sequence - sequence) < UINT16_MAX / 2;
	bool is_newer = (int16_t)(sequence - width->large_back) > 0;

	if (!is_ours)
		return;
	if (!width->has_echoed)
		width->next_ms = now_ms;
	width->has_echoed = true;
	width->unheard = 0;
	if (is_large && is_newer) {
		width->is_wide = true;
		width->narrow = 0;
		width->large_back = sequence;
	} else if (!is_large && is_newer) {
		width->narrow++;
		if (!is_known(width) && width->next_ms > now_ms + WIDTH_PAIR_MS)
			width->next_ms = now_ms + WIDTH_PAIR_MS;
	}
}
