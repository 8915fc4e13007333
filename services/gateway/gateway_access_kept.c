/*
 * gateway_access_kept: a job for each revocation; the side thread makes one transaction of those
 * that wait. See the header.
 */
#include "gateway/gateway_access_kept.h"

#include "gateway/gateway_access_store.h"
#include "log/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { AGAIN_MS = 1000, TRIM_PERIOD_MS = 3600 * 1000 };

/* One that is to be written. */
struct keeping {
	struct side_job job; /* first */
	struct access_kept *kept;
	uint8_t node_id[UUID_BYTES];
	int64_t since_ms;
	int64_t trim_ms;      /* 0, or older ones go first */
	struct keeping *next; /* that failed */
};

struct access_kept {
	struct loop *loop;
	struct side_thread *thread;
	struct loop_timer *timer;
	struct keeping *failed;
	int64_t trim_ms; /* epoch: the next time */
	bool is_ending;
};

static int
on_row(const uint8_t node_id[UUID_BYTES], int64_t since_ms, void *arg)
{
	/* Of the past, so that nothing is swept while it is filled. */
	return access_revoked_put(arg, node_id, since_ms, 0) < 0 ? -EIO : 0;
}

int
access_kept_load(struct store *store, struct access_revoked *revoked, int64_t wall_now_ms)
{
	return access_store_voided(store, wall_now_ms - ACCESS_REVOKED_KEPT_MS, on_row, revoked);
}

static int
keeping_run(struct store *store, struct side_job *job)
{
	const struct keeping *keeping = (struct keeping *)job;
	int r = keeping->trim_ms > 0 ? access_store_void_trim(store, keeping->trim_ms) : 0;
	return r < 0 ? r : access_store_void(store, keeping->node_id, keeping->since_ms);
}

static void keeping_send(struct keeping *keeping);

static void
on_timer(struct loop *loop, void *arg)
{
	(void)loop;
	struct access_kept *kept = arg;
	struct keeping *failed = kept->failed, *next;
	kept->timer = NULL; /* it was for once */
	kept->failed = NULL;
	for (; failed != NULL; failed = next) {
		next = failed->next;
		keeping_send(failed);
	}
}

static void
try_again(struct keeping *keeping)
{
	struct access_kept *kept = keeping->kept;
	keeping->next = kept->failed;
	kept->failed = keeping;
	if (kept->timer != NULL)
		return;
	log_warn("revocation_not_kept", "again_ms=%d", AGAIN_MS);
	if (loop_timer_start(kept->loop, AGAIN_MS, 0, on_timer, kept, &kept->timer) < 0)
		log_error("timer_failed", "what=%s", "revocations");
}

static void
keeping_done(struct side_job *job)
{
	struct keeping *keeping = (struct keeping *)job;
	if (job->result < 0 && !keeping->kept->is_ending)
		try_again(keeping);
	else
		free(keeping);
}

static void
keeping_send(struct keeping *keeping)
{
	keeping->job = (struct side_job){ .run = keeping_run, .done = keeping_done };
	if (side_thread_run(keeping->kept->thread, &keeping->job) < 0)
		try_again(keeping);
}

void
access_kept_add(struct access_kept *kept, const uint8_t node_id[UUID_BYTES], int64_t since_ms,
		int64_t wall_now_ms)
{
	struct keeping *keeping = calloc(1, sizeof(*keeping));
	if (keeping == NULL) {
		log_error("revocation_lost", "reason=%s", "out of memory");
		return;
	}
	keeping->kept = kept;
	keeping->since_ms = since_ms;
	memcpy(keeping->node_id, node_id, UUID_BYTES);
	if (wall_now_ms >= kept->trim_ms) {
		keeping->trim_ms = wall_now_ms - ACCESS_REVOKED_KEPT_MS;
		kept->trim_ms = wall_now_ms + TRIM_PERIOD_MS;
	}
	keeping_send(keeping);
}

int
access_kept_new(struct loop *loop, struct side_thread *thread, struct access_kept **ret)
{
	struct access_kept *kept = calloc(1, sizeof(*kept));
	if (kept == NULL)
		return -ENOMEM;
	kept->loop = loop;
	kept->thread = thread;
	*ret = kept;
	return 0;
}

void
access_kept_end(struct access_kept *kept)
{
	kept->is_ending = true;
	loop_timer_stop(&kept->timer);
}

void
access_kept_free(struct access_kept **pointer)
{
	struct access_kept *kept = *pointer;
	if (kept == NULL)
		return;
	for (struct keeping *next; kept->failed != NULL; kept->failed = next) {
		next = kept->failed->next;
		free(kept->failed);
	}
	free(kept);
	*pointer = NULL;
}
