/*
 * relay_places: see the header.
 */
#include "relay/relay_places.h"

#include "relay/relay_shard.h"

#include <errno.h>

int
relay_places_init(struct relay_places *places)
{
	places->taken = 0;
	TAILQ_INIT(&places->by_age);
	return relay_pending_init(&places->pending);
}

void
relay_places_fini(struct relay_places *places)
{
	relay_pending_fini(&places->pending);
}

uint32_t
relay_places_most(const struct relay_settings *settings)
{
	return RELAY_PLACES_A_SHARD * settings->shards / relay_accept_doors(settings->shards);
}

/* No address has more of the places than are left besides: a few that come and say nothing do not
 * take the door from all others, who need a place for a moment each. */
static uint32_t
share(const struct relay_shard *shard)
{
	const struct relay_settings *settings = shard->settings;
	uint32_t most = relay_places_most(settings), taken = shard->accept.places.taken;
	uint32_t n = taken < most ? (most - taken) / 2 + 1 : 1;

	return n < settings->pending_max ? n : settings->pending_max;
}

int
relay_places_take(struct relay_shard *shard, struct relay_upgrade *upgrade,
		  const struct sockaddr *address)
{
	struct relay_places *places = &shard->accept.places;

	if (relay_accept_is_limited(shard->settings)) {
		uint8_t key[RELAY_ADDRESS_KEY_BYTES];

		relay_pending_key(address, key);
		upgrade->address = relay_pending_get(&places->pending, key, share(shard));
		if (upgrade->address == NULL)
			return -EBUSY;
	}
	upgrade->places = places;
	TAILQ_INSERT_TAIL(&places->by_age, upgrade, by_age);
	places->taken++;
	return 0;
}

void
relay_places_put(struct relay_upgrade *upgrade)
{
	struct relay_places *places = upgrade->places;

	if (places == NULL)
		return;
	upgrade->places = NULL;
	relay_pending_put(&upgrade->address);
	TAILQ_REMOVE(&places->by_age, upgrade, by_age);
	places->taken--;
}

/* When all are taken, who has had one the longest goes, whatever it did with it: who means it needs
 * one for two round trips, and strangers who only sit there are no more than as many as come within
 * that time, from however many addresses. */
bool
relay_places_clear(struct relay_shard *shard)
{
	struct relay_places *places = &shard->accept.places;
	struct relay_upgrade *oldest = TAILQ_FIRST(&places->by_age);

	if (places->taken < relay_places_most(shard->settings))
		return true;
	if (oldest == NULL ||
	    shard->now_ms < oldest->deadline_ms - shard->settings->handshake_ms + RELAY_PLACE_MS)
		return false;
	relay_count(&shard->counters, RELAY_CROWDED_OUT, 1);
	relay_leg_doom(shard, oldest->leg, 0, "others wait for its place");
	relay_places_put(oldest);
	return true;
}
