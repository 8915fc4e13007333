/*
 * gateway_side: a thread beside the gateway's own, for what may take its time: the store of access
 * keys, the cache that gateways share. A database that hangs holds up those who show such a key and
 * nobody else. Jobs that wait together are one transaction of the store; what a job has to say is
 * said on the owner's loop, after the commit.
 *
 *	owner's thread  side_thread_run  --post-->  run in a batch, commit
 *	                job->done          <--post--
 */
#pragma once

#include "loop/loop.h"
#include "store/store.h"

struct side_thread;
struct side_job;

/* On the side thread, in a transaction of its store (NULL: it has none) that others share: it may
 * fail only before its last write. 0 or -errno: -EIO when the store failed; so is what was done
 * when the commit fails. */
typedef int (*side_job_fn)(struct store *store, struct side_job *job);

/* The first member of what the caller allocates, and frees in done. */
struct side_job {
	side_job_fn run;
	/* On the owner's loop, once, never from inside side_thread_run. */
	void (*done)(struct side_job *job);
	int result;

	/* the thread's own */
	struct side_thread *thread;
	struct side_job *next;			    /* in its batch */
	struct side_job *open_previous, *open_next; /* under way, as the owner sees it */
};

/* Takes an open store (*store NULL: none), also on failure. 0 or -errno. */
int side_thread_new(struct loop *loop, struct store **store, struct side_thread **ret);

/* Ends the thread; jobs under way are done with -EIO from in here. The owner's loop must not run
 * again, unless none was under way. */
void side_thread_free(struct side_thread **thread);

/* 0, or -EAGAIN when too many wait: done is not called then. */
int side_thread_run(struct side_thread *thread, struct side_job *job);
