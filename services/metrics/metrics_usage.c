/* metrics_usage: a table by session, a queue by silence. */
#include "metrics/metrics_usage.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

int
usages_init(struct usages *usages)
{
	memset(usages, 0, sizeof(*usages));
	return idtable_init(&usages->by_session, offsetof(struct usage, by_session),
			    offsetof(struct usage, record.session_id), UUID_BYTES);
}

const struct usage *
usages_find(const struct usages *usages, const uint8_t id[UUID_BYTES])
{
	return idtable_find(&usages->by_session, id);
}

static void
unqueue(struct usages *usages, struct usage *usage)
{
	if (usage->older != NULL)
		usage->older->newer = usage->newer;
	else
		usages->oldest = usage->newer;
	if (usage->newer != NULL)
		usage->newer->older = usage->older;
	else
		usages->newest = usage->older;
	usage->older = NULL;
	usage->newer = NULL;
}

static void
enqueue(struct usages *usages, struct usage *usage)
{
	usage->older = usages->newest;
	if (usages->newest != NULL)
		usages->newest->newer = usage;
	else
		usages->oldest = usage;
	usages->newest = usage;
}

static void
remove_usage(struct usages *usages, struct usage *usage)
{
	struct usage **at = &usages->unsaved;

	while (usage->unsaved && *at != NULL && *at != usage)
		at = &(*at)->unsaved_next;
	if (usage->unsaved && *at != NULL)
		*at = usage->unsaved_next;
	unqueue(usages, usage);
	idtable_remove(&usages->by_session, usage);
	free(usage);
}

void
usages_fini(struct usages *usages)
{
	usages->unsaved = NULL;
	while (usages->oldest != NULL) {
		usages->oldest->unsaved = false;
		remove_usage(usages, usages->oldest);
	}
	idtable_fini(&usages->by_session);
}

static struct usage *
get(struct usages *usages, const uint8_t session_id[UUID_BYTES], int64_t now_ms)
{
	struct usage *usage = idtable_find(&usages->by_session, session_id);

	if (usage != NULL) {
		unqueue(usages, usage);
	} else {
		if (usages->by_session.count == USAGE_SESSIONS_MAX)
			remove_usage(usages, usages->oldest);
		usage = calloc(1, sizeof(*usage));
		if (usage == NULL)
			return NULL;
		memcpy(usage->record.session_id, session_id, UUID_BYTES);
		usage->record.reported_at_ms = INT64_MIN;
		(void)idtable_add(&usages->by_session, usage);
	}
	usage->heard_ms = now_ms;
	enqueue(usages, usage);
	return usage;
}

/* Sums that a stranger feeds stop at the top. */
static uint64_t
add(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

int
usages_report(struct usages *usages, const uint8_t session_id[UUID_BYTES],
	      const uint8_t node_id[UUID_BYTES], uint64_t up, uint64_t down, int64_t reported_at_ms,
	      int64_t now_ms)
{
	struct usage *usage = get(usages, session_id, now_ms);
	struct usage_record *record;

	if (usage == NULL)
		return -ENOMEM;
	record = &usage->record;
	if (reported_at_ms <= record->reported_at_ms)
		return 0;
	if (up < record->last_up || down < record->last_down ||
	    memcmp(record->node_id, node_id, UUID_BYTES) != 0) {
		record->before_up = add(record->before_up, record->last_up);
		record->before_down = add(record->before_down, record->last_down);
	}
	memcpy(record->node_id, node_id, UUID_BYTES);
	record->last_up = up;
	record->last_down = down;
	record->reported_at_ms = reported_at_ms;
	usages_put_unsaved(usages, usage);
	return 0;
}

int
usages_load(struct usages *usages, const struct usage_record *record, int64_t now_ms)
{
	struct usage *usage = get(usages, record->session_id, now_ms);

	if (usage == NULL)
		return -ENOMEM;
	usage->record = *record;
	return 0;
}

uint64_t
usage_up(const struct usage *usage)
{
	return add(usage->record.before_up, usage->record.last_up);
}

uint64_t
usage_down(const struct usage *usage)
{
	return add(usage->record.before_down, usage->record.last_down);
}

bool
usages_forget(struct usages *usages, int64_t before_ms, uint8_t ret_id[UUID_BYTES])
{
	struct usage *usage = usages->oldest;

	if (usage == NULL || usage->heard_ms >= before_ms)
		return false;
	memcpy(ret_id, usage->record.session_id, UUID_BYTES);
	remove_usage(usages, usage);
	return true;
}

struct usage *
usages_take_unsaved(struct usages *usages)
{
	struct usage *usage = usages->unsaved;

	if (usage == NULL)
		return NULL;
	usages->unsaved = usage->unsaved_next;
	usage->unsaved_next = NULL;
	usage->unsaved = false;
	return usage;
}

void
usages_put_unsaved(struct usages *usages, struct usage *usage)
{
	if (usage->unsaved)
		return;
	usage->unsaved = true;
	usage->unsaved_next = usages->unsaved;
	usages->unsaved = usage;
}
