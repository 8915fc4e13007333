/*
 * relay_homes: two tables; that of homes with a list in order of news.
 */
#include "relay/relay_homes.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { CLOCK_AHEAD_US = 60 * 1000 * 1000 }; /* relays' clocks agree better */

int
relay_homes_init(struct relay_homes *homes)
{
	memset(homes, 0, sizeof(*homes));
	TAILQ_INIT(&homes->by_news);
	int r = idtable_init(&homes->homes, offsetof(struct relay_home, by_node),
			     offsetof(struct relay_home, node_id), UUID_BYTES);
	if (r == 0)
		r = idtable_init(&homes->sought, offsetof(struct relay_sought, by_node),
				 offsetof(struct relay_sought, node_id), UUID_BYTES);
	return r;
}

static void
forget(struct relay_homes *homes, struct relay_home *home)
{
	TAILQ_REMOVE(&homes->by_news, home, by_news);
	idtable_remove(&homes->homes, home);
	free(home);
}

void
relay_homes_fini(struct relay_homes *homes)
{
	struct relay_sought *sought;

	while (!TAILQ_EMPTY(&homes->by_news))
		forget(homes, TAILQ_FIRST(&homes->by_news));
	while (homes->sought.count > 0 && (sought = idtable_next(&homes->sought, NULL)) != NULL) {
		idtable_remove(&homes->sought, sought);
		free(sought);
	}
	idtable_fini(&homes->homes);
	idtable_fini(&homes->sought);
}

uint64_t
relay_homes_plausible(uint64_t generation, uint64_t now_us)
{
	return generation <= now_us + CLOCK_AHEAD_US ? generation : now_us;
}

bool
relay_homes_is_newer(uint64_t generation, const char *at, uint64_t than, const char *than_at)
{
	return generation != than ? generation > than : strcmp(at, than_at) > 0;
}

bool
relay_homes_set(struct relay_homes *homes, const uint8_t node_id[UUID_BYTES],
		struct relay_other *at, uint64_t generation, int64_t now_ms)
{
	struct relay_home *home = idtable_find(&homes->homes, node_id);

	if (home != NULL && home->at != at &&
	    relay_homes_is_newer(home->generation, home->at->id, generation, at->id))
		return false;
	bool is_same = home != NULL && home->at == at && home->generation == generation;
	if (home == NULL) {
		if (homes->homes.count >= RELAY_HOMES_MAX)
			forget(homes, TAILQ_FIRST(&homes->by_news));
		home = calloc(1, sizeof(*home));
		if (home == NULL)
			return false;
		memcpy(home->node_id, node_id, UUID_BYTES);
		idtable_add(&homes->homes, home);
	} else {
		TAILQ_REMOVE(&homes->by_news, home, by_news);
	}
	TAILQ_INSERT_TAIL(&homes->by_news, home, by_news);
	home->at = at;
	home->since_ms = is_same ? home->since_ms : now_ms;
	home->generation = generation;
	return true;
}

void
relay_homes_unset(struct relay_homes *homes, const uint8_t node_id[UUID_BYTES],
		  const struct relay_other *at, uint64_t generation)
{
	struct relay_home *home = idtable_find(&homes->homes, node_id);

	if (home != NULL && home->at == at && home->generation <= generation)
		forget(homes, home);
}

const struct relay_home *
relay_homes_find(const struct relay_homes *homes, const uint8_t node_id[UUID_BYTES])
{
	return idtable_find(&homes->homes, node_id);
}

void
relay_homes_forget(struct relay_homes *homes, const struct relay_other *at)
{
	struct relay_home *next;

	for (struct relay_home *home = TAILQ_FIRST(&homes->by_news); home != NULL; home = next) {
		next = TAILQ_NEXT(home, by_news);
		if (home->at == at)
			forget(homes, home);
	}
}

struct relay_sought *
relay_homes_sought(const struct relay_homes *homes, const uint8_t node_id[UUID_BYTES])
{
	return idtable_find(&homes->sought, node_id);
}

struct relay_sought *
relay_homes_seek(struct relay_homes *homes, const uint8_t node_id[UUID_BYTES])
{
	struct relay_sought *sought = relay_homes_sought(homes, node_id);

	if (sought != NULL)
		return sought;
	sought = homes->sought.count < RELAY_SOUGHT_MAX ? calloc(1, sizeof(*sought)) : NULL;
	if (sought == NULL)
		return NULL;
	memcpy(sought->node_id, node_id, UUID_BYTES);
	idtable_add(&homes->sought, sought);
	return sought;
}

void
relay_homes_settle(struct relay_homes *homes, const uint8_t node_id[UUID_BYTES])
{
	struct relay_sought *sought = relay_homes_sought(homes, node_id);

	if (sought == NULL)
		return;
	idtable_remove(&homes->sought, sought);
	free(sought);
}
