/*
 * echo_actor: see echo_actor.h.
 */
#include "echo_actor.h"

#include "loop/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- handlers ---- */

static struct echo *
echo_of(Boson__Test__Echo_Service *service)
{
	return (struct echo *)((char *)service - offsetof(struct echo, service));
}

static void
on_say(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
       Boson__Test__Words_Closure closure, void *closure_data)
{
	struct echo *echo = echo_of(service);

	atomic_fetch_add(&echo->said, 1);
	if (++echo->batch_now > atomic_load(&echo->largest_batch))
		atomic_store(&echo->largest_batch, echo->batch_now);
	closure(input, closure_data);
}

static void
on_keep(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	Boson__Test__Words_Closure closure, void *closure_data)
{
	struct echo *echo = echo_of(service);
	unsigned i = atomic_load(&echo->kept_count);

	atomic_store(&echo->said_at_keep, atomic_load(&echo->said));

	(void)input;
	assert_true(i < ECHO_KEPT_MAX);
	echo->kept[i].closure = closure;
	echo->kept[i].call = closure_data;
	atomic_store(&echo->kept_count, i + 1);
}

static void
on_refuse(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	  Boson__Test__Words_Closure closure, void *closure_data)
{
	(void)service, (void)closure;
	if (input->text && strcmp(input->text, "limit") == 0)
		bus_call_fail_retry(closure_data, BUS_LIMITED, "too_many", 7);
	else
		bus_call_fail(closure_data, BUS_CONFLICT, "said_before", "text");
}

static void
on_swell(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	 Boson__Test__Words_Closure closure, void *closure_data)
{
	Boson__Test__Words reply = BOSON__TEST__WORDS__INIT;

	(void)service;
	reply.has_payload = true;
	reply.payload.len = input->size;
	reply.payload.data = calloc(1, input->size + 1);
	closure(&reply, closure_data);
	free(reply.payload.data);
}

static void
on_publish(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	   Boson__Test__Words_Closure closure, void *closure_data)
{
	struct echo *echo = echo_of(service);
	Boson__Test__Shout shout = BOSON__TEST__SHOUT__INIT;
	Boson__Test__ShoutLoud loud = BOSON__TEST__SHOUT_LOUD__INIT;

	shout.text = loud.text = input->text;
	bus_publish(echo->publisher, &loud.base);
	bus_publish(echo->publisher, &shout.base);
	atomic_fetch_add(&echo->published, 1);
	closure(input, closure_data);
}

static void
on_whoami(Boson__Test__Echo_Service *service, const Boson__Test__Words *input,
	  Boson__Test__Words_Closure closure, void *closure_data)
{
	Boson__Test__Words reply = BOSON__TEST__WORDS__INIT;

	(void)service, (void)input;
	reply.text = (char *)(uintptr_t)bus_call_peer(closure_data);
	reply.trace = (char *)(uintptr_t)bus_call_trace(closure_data);
	reply.has_left_ms = true;
	/* not the loop's time: its turn may have begun before the request came */
	reply.left_ms = bus_call_deadline_ms(closure_data) - clock_monotonic_ms();
	closure(&reply, closure_data);
}

/* ---- the actor ---- */

static int
on_begin(void *arg)
{
	struct echo *echo = arg;

	echo->batch_now = 0;
	atomic_fetch_add(&echo->begins, 1);
	return echo->begin_result;
}

static int
on_commit(void *arg)
{
	struct echo *echo = arg;

	atomic_fetch_add(&echo->commits, 1);
	return echo->commit_result;
}

/* After a restart libzmq's thread may not yet have closed what the last one bound. */
static bool
is_still_bound(int r, int64_t end_ms)
{
	sched_yield();
	return r == -EADDRINUSE && clock_monotonic_ms() < end_ms;
}

static void
bind_all(struct fixture_actor *actor)
{
	struct echo *echo = actor->arg;
	struct fixture *f = echo->fixture;
	struct bus_batch batch = { on_begin, on_commit, echo };

	int64_t end_ms = clock_monotonic_ms() + FIXTURE_PATIENCE_MS;
	int r;

	bus_set_rules(actor->bus, echo->rules);
	do
		r = bus_serve(actor->bus, f->endpoint, &echo->service.base,
			      echo->batched ? &batch : NULL);
	while (is_still_bound(r, end_ms));
	assert_int_equal(r, 0);
	snprintf(f->endpoint, sizeof(f->endpoint), "%s", bus_bound_endpoint(actor->bus));
	do
		r = bus_publisher_new(actor->bus, f->events_endpoint, &echo->publisher);
	while (is_still_bound(r, end_ms));
	assert_int_equal(r, 0);
	snprintf(f->events_endpoint, sizeof(f->events_endpoint), "%s",
		 bus_bound_endpoint(actor->bus));
}

void
echo_start(struct echo *echo, struct fixture *fixture)
{
	static const Boson__Test__Echo_Service service = BOSON__TEST__ECHO__INIT(on_);

	echo->fixture = fixture;
	echo->service = service;
	atomic_store(&echo->kept_count, 0);
	sem_init(&echo->unblock, 0, 0);
	echo->actor.start = bind_all;
	echo->actor.security = &fixture->server_security;
	echo->actor.arg = echo;
	fixture_actor_start(&echo->actor);
}

void
echo_stop(struct echo *echo)
{
	echo_unblock(echo); /* a test may have failed meanwhile */
	fixture_actor_stop(&echo->actor);
}

static void
release(struct loop *loop, void *arg)
{
	struct echo *echo = arg;
	Boson__Test__Words reply = BOSON__TEST__WORDS__INIT;

	(void)loop;
	reply.text = (char *)(uintptr_t) "kept";
	for (unsigned i = 0; i < atomic_load(&echo->kept_count); i++)
		echo->kept[i].closure(&reply, echo->kept[i].call);
	atomic_store(&echo->kept_count, 0);
}

void
echo_release(struct echo *echo)
{
	fixture_actor_do(&echo->actor, release, echo);
}

static void
block(struct loop *loop, void *arg)
{
	struct echo *echo = arg;

	(void)loop;
	sem_post(&echo->is_blocked);
	while (sem_wait(&echo->unblock) != 0)
		continue;
}

void
echo_block(struct echo *echo)
{
	sem_init(&echo->is_blocked, 0, 0);
	sem_init(&echo->unblock, 0, 0);
	assert_int_equal(loop_post(echo->actor.loop, block, echo), 0);
	while (sem_wait(&echo->is_blocked) != 0)
		continue;
}

void
echo_unblock(struct echo *echo)
{
	sem_post(&echo->unblock);
}

/* ---- the client ---- */

struct bus_peer *
echo_peer(struct fixture *f)
{
	struct bus_peer *peer = NULL;

	assert_int_equal(bus_peer_new(f->bus, f->endpoint, fixture_server_key(f),
				      &boson__test__echo__descriptor, &peer),
			 0);
	return peer;
}

static void
on_answer(const Boson__Test__Words *reply, void *arg)
{
	struct asked *asked = arg;

	asked->ended = true;
	asked->times++;
	asked->answered = reply != NULL;
	asked->result = *bus_peer_result(asked->peer);
	if (reply) {
		snprintf(asked->text, sizeof(asked->text), "%s", reply->text ? reply->text : "");
		snprintf(asked->trace, sizeof(asked->trace), "%s",
			 reply->trace ? reply->trace : "");
		asked->left_ms = reply->left_ms;
		asked->payload_bytes = reply->payload.len;
	}
	loop_stop(asked->fixture->loop);
}

void
ask_words(struct asked *asked, struct fixture *f, struct bus_peer *peer, echo_stub stub,
	  const Boson__Test__Words *words)
{
	*asked = (struct asked){ .fixture = f, .peer = peer };
	stub(bus_peer_service(peer), words, on_answer, asked);
	assert_false(asked->ended); /* never from inside the stub */
}

void
ask(struct asked *asked, struct fixture *f, struct bus_peer *peer, echo_stub stub, const char *text)
{
	Boson__Test__Words words = BOSON__TEST__WORDS__INIT;

	words.text = (char *)(uintptr_t)text;
	ask_words(asked, f, peer, stub, &words);
}

static bool
has_ended(void *arg)
{
	return ((struct asked *)arg)->ended;
}

void
wait_end(struct asked *asked)
{
	fixture_run_until(asked->fixture, has_ended, asked);
	assert_int_equal(asked->times, 1);
}

void
ask_and_wait(struct asked *asked, struct fixture *f, struct bus_peer *peer, echo_stub stub,
	     const char *text)
{
	ask(asked, f, peer, stub, text);
	wait_end(asked);
}

struct pause {
	struct loop *loop;
	bool over;
};

static void
end_pause(struct loop *loop, void *arg)
{
	((struct pause *)arg)->over = true;
	loop_stop(loop);
}

static bool
is_over(void *arg)
{
	return ((struct pause *)arg)->over;
}

/* Between two tries: a peer that is down fails at once. */
static void
let_time_pass(struct fixture *f)
{
	struct pause pause = { .loop = f->loop };
	struct loop_timer *timer = NULL;

	assert_int_equal(loop_timer_start(f->loop, 10, 0, end_pause, &pause, &timer), 0);
	fixture_run_until(f, is_over, &pause);
}

void
ask_until_answered(struct fixture *f, struct bus_peer *peer)
{
	int64_t end_ms = clock_monotonic_ms() + FIXTURE_PATIENCE_MS;
	struct asked asked;

	for (;;) {
		bus_peer_next(peer, 200, NULL);
		ask_and_wait(&asked, f, peer, boson__test__echo__say, "again");
		if (asked.answered || clock_monotonic_ms() > end_ms)
			break;
		let_time_pass(f);
	}
	assert_true(asked.answered);
}

void
assert_failed(const struct asked *asked, enum bus_status status, const char *code)
{
	assert_false(asked->answered);
	assert_string_equal(asked->result.code, code);
	assert_int_equal(asked->result.status, status);
}
