/* metrics_usage: pending reports, one for each (session, node, epoch). */
#include "metrics/metrics_usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
usages_init(struct usages *usages)
{
	memset(usages, 0, sizeof(*usages));
	STAILQ_INIT(&usages->by_age);
	return idtable_init(&usages->by_key, offsetof(struct usage, by_key),
			    offsetof(struct usage, key), sizeof(struct usage_key));
}

static struct usage *
take_oldest(struct usages *usages)
{
	struct usage *usage = STAILQ_FIRST(&usages->by_age);

	if (usage == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&usages->by_age, by_age);
	idtable_remove(&usages->by_key, usage);
	return usage;
}

void
usages_fini(struct usages *usages)
{
	struct usage *usage;

	while ((usage = take_oldest(usages)) != NULL)
		free(usage);
	idtable_fini(&usages->by_key);
}

static void
raise_to(struct usage *usage, uint64_t up, uint64_t down, int64_t reported_at_ms)
{
	if (up > usage->up)
		usage->up = up;
	if (down > usage->down)
		usage->down = down;
	if (reported_at_ms > usage->reported_at_ms)
		usage->reported_at_ms = reported_at_ms;
}

static void
add(struct usages *usages, struct usage *usage)
{
	if (usages->by_key.count >= USAGE_PENDING_MAX) {
		free(take_oldest(usages));
		usages->dropped++;
	}
	(void)idtable_add(&usages->by_key, usage);
	STAILQ_INSERT_TAIL(&usages->by_age, usage, by_age);
}

int
usages_report(struct usages *usages, const struct usage_key *key, uint64_t up, uint64_t down,
	      int64_t reported_at_ms)
{
	struct usage *usage = idtable_find(&usages->by_key, key);

	if (usage == NULL) {
		usage = calloc(1, sizeof(*usage));
		if (usage == NULL)
			return -ENOMEM;
		usage->key = *key;
		add(usages, usage);
	}
	raise_to(usage, up, down, reported_at_ms);
	return 0;
}

size_t
usages_take(struct usages *usages, struct usage **ret, size_t max)
{
	size_t n = 0;

	while (n < max && (ret[n] = take_oldest(usages)) != NULL)
		n++;
	return n;
}

void
usages_put_back(struct usages *usages, struct usage **taken, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct usage *newer = idtable_find(&usages->by_key, &taken[i]->key);

		if (newer == NULL) {
			add(usages, taken[i]);
			continue;
		}
		raise_to(newer, taken[i]->up, taken[i]->down, taken[i]->reported_at_ms);
		free(taken[i]);
	}
}
