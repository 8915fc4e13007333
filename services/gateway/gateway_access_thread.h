/*
 * gateway_access_thread: the access keys' store, asked on a thread of its own, so that a slow or
 * hanging database holds up those who show such a key and nobody else. Jobs that wait together are
 * one transaction; what a job has to say is said on the owner's loop, after the commit.
 *
 *	owner's thread  access_thread_run  --post-->  run in a batch, commit
 *	                job->done          <--post--
 */
#pragma once

#include "gateway/gateway_access_store.h"
#include "loop/loop.h"

struct access_thread;
struct access_job;

/* On the store's thread, in a transaction that others share: it may fail only before its last
 * write. 0 or -errno: -EIO when the store failed; so is what was done when the commit fails. */
typedef int (*access_job_fn)(struct store *store, struct access_job *job);

/* The first member of what the caller allocates, and frees in done. */
struct access_job {
	access_job_fn run;
	/* On the owner's loop, once, never from inside access_thread_run. */
	void (*done)(struct access_job *job);
	int result;

	/* the thread's own */
	struct access_thread *thread;
	struct access_job *next;		      /* in its batch */
	struct access_job *open_previous, *open_next; /* under way, as the owner sees it */
};

/* Takes an open store, also on failure. 0 or -errno. */
int access_thread_new(struct loop *loop, struct store **store, struct access_thread **ret);

/* Ends the thread; jobs under way are done with -EIO from in here. The owner's loop must not run
 * again, unless none was under way. */
void access_thread_free(struct access_thread **thread);

/* 0, or -EAGAIN when too many wait: done is not called then. */
int access_thread_run(struct access_thread *thread, struct access_job *job);
