/*
 * gateway_side: see the header. The two threads share nothing but loop_post.
 */
#include "gateway/gateway_side.h"

#include "log/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* Far below what a loop takes, so that answers always find room. */
enum { OPEN_MAX_JOBS = 16384 };
/* Whatever the limit of the process is (F33). */
enum { STACK_BYTES = 1024 * 1024 };

struct side_thread {
	struct loop *owner, *loop;
	struct store *store; /* the thread's, once it runs; or NULL */
	pthread_t id;
	bool has_thread;
	struct side_job *open; /* the owner's, as the count */
	size_t open_count;

	/* the thread's own */
	struct side_job *batch, **batch_end;
};

/* ---- on the side thread ---- */

static void on_done(struct loop *loop, void *arg);

static void
give_back(struct side_thread *thread, struct side_job *batch)
{
	for (struct side_job *next; batch != NULL; batch = next) {
		next = batch->next;
		if (loop_post(thread->owner, on_done, batch) < 0)
			log_error("side_answer_lost", "error=%d", -EAGAIN);
	}
}

static void
run_batch(struct loop *loop, void *arg)
{
	(void)loop;
	struct side_thread *thread = arg;
	struct side_job *batch = thread->batch;
	thread->batch = NULL;
	/* The transaction begins with the first write: who only asks needs none. */
	int r = thread->store != NULL ? store_batch_begin(thread->store) : 0;
	for (struct side_job *job = batch; r == 0 && job != NULL; job = job->next)
		job->result = job->run(thread->store, job);
	if (r == 0 && thread->store != NULL)
		r = store_batch_commit(thread->store);
	for (struct side_job *job = batch; r < 0 && job != NULL; job = job->next)
		job->result = -EIO;
	give_back(thread, batch);
}

static void
on_job(struct loop *loop, void *arg)
{
	struct side_job *job = arg;
	struct side_thread *thread = job->thread;
	job->next = NULL;
	if (thread->batch == NULL) {
		thread->batch_end = &thread->batch;
		if (loop_defer(loop, run_batch, thread) < 0) {
			job->result = -EIO;
			give_back(thread, job);
			return;
		}
	}
	*thread->batch_end = job;
	thread->batch_end = &job->next;
}

static void *
thread_main(void *arg)
{
	struct side_thread *thread = arg;
	if (loop_run(thread->loop) < 0)
		log_error("side_thread_stopped", "reason=%s", "its loop failed");
	return NULL;
}

/* ---- on the owner's thread ---- */

static void
job_close(struct side_job *job)
{
	struct side_thread *thread = job->thread;
	if (job->open_previous != NULL)
		job->open_previous->open_next = job->open_next;
	else
		thread->open = job->open_next;
	if (job->open_next != NULL)
		job->open_next->open_previous = job->open_previous;
	thread->open_count--;
	job->done(job);
}

static void
on_done(struct loop *loop, void *arg)
{
	(void)loop;
	job_close(arg);
}

int
side_thread_run(struct side_thread *thread, struct side_job *job)
{
	if (thread->open_count >= OPEN_MAX_JOBS)
		return -EAGAIN;
	job->thread = thread;
	job->result = -EIO;
	job->open_previous = NULL;
	job->open_next = thread->open;
	int r = loop_post(thread->loop, on_job, job);
	if (r < 0)
		return r;
	if (thread->open != NULL)
		thread->open->open_previous = job;
	thread->open = job;
	thread->open_count++;
	return 0;
}

int
side_thread_new(struct loop *loop, struct store **store, struct side_thread **ret)
{
	struct side_thread *thread = calloc(1, sizeof(*thread));
	if (thread == NULL) {
		store_close(store);
		return -ENOMEM;
	}
	thread->owner = loop;
	thread->store = *store;
	*store = NULL;
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	int r = loop_new(&thread->loop);
	if (r == 0)
		r = -pthread_create(&thread->id, &attributes, thread_main, thread);
	pthread_attr_destroy(&attributes);
	thread->has_thread = r == 0;
	if (r < 0)
		side_thread_free(&thread);
	*ret = thread;
	return r;
}

void
side_thread_free(struct side_thread **pointer)
{
	struct side_thread *thread = *pointer;
	if (thread == NULL)
		return;
	if (thread->has_thread) {
		loop_stop(thread->loop);
		pthread_join(thread->id, NULL);
	}
	while (thread->open != NULL) {
		thread->open->result = -EIO;
		job_close(thread->open);
	}
	store_close(&thread->store);
	if (thread->loop != NULL)
		loop_free(&thread->loop);
	free(thread);
	*pointer = NULL;
}
