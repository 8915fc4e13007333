/*
 * bus_waiting: calls that wait for their peer (of a group: for any member) to be there, oldest
 * first. Each has its body with it.
 */
#include "bus/bus_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
bus_pending_keep_body(struct bus_pending *pending, const void *body, size_t n)
{
	pending->body = malloc(n > 0 ? n : 1);
	if (!pending->body)
		return -ENOMEM;
	memcpy(pending->body, body, n);
	pending->body_bytes = n;
	return 0;
}

void
bus_waiting_add(struct bus_pending *pending)
{
	struct bus_peer *peer = pending->peer;

	pending->state = BUS_PENDING_WAITING;
	pending->next = NULL;
	*peer->last_waiting = pending;
	peer->last_waiting = &pending->next;
	peer->n_waiting++;
}

void
bus_waiting_remove(struct bus_pending *pending)
{
	struct bus_peer *peer = pending->peer;
	struct bus_pending **at = &peer->first_waiting;

	while (*at != pending)
		at = &(*at)->next;
	*at = pending->next;
	if (!*at)
		peer->last_waiting = at;
	peer->n_waiting--;
}

struct bus_pending *
bus_waiting_take_all(struct bus_peer *peer)
{
	struct bus_pending *first = peer->first_waiting;

	peer->first_waiting = NULL;
	peer->last_waiting = &peer->first_waiting;
	peer->n_waiting = 0;
	return first;
}
