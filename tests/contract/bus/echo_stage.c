/* echo_stage: see echo_stage.h. */
#include "echo_stage.h"

#include <stdio.h>
#include <string.h>

struct echo echo;
struct bus_peer *peer;

struct fixture *
stage_open(void **state)
{
	fixture_setup(state);
	memset(&echo, 0, sizeof(echo));
	return *state;
}

void
stage_start(struct fixture *f)
{
	echo_start(&echo, f);
	peer = echo_peer(f);
}

int
stage_setup(void **state)
{
	stage_start(stage_open(state));
	return 0;
}

int
stage_teardown(void **state)
{
	bus_peer_free(&peer);
	echo_stop(&echo);
	return fixture_teardown(state);
}

void
assert_still_served(void **state)
{
	struct asked asked;

	ask_and_wait(&asked, *state, peer, boson__test__echo__say, "hello");
	assert_true(asked.answered);
}

/* ---- events ---- */

void
on_heard(const ProtobufCMessage *event, bool gap, void *arg)
{
	struct heard *heard = arg;

	heard->gaps += gap;
	heard->empty_gaps += gap && !event;
	assert_true(gap || event);
	if (event) {
		heard->events++;
		heard->last_had_gap = gap;
	}
	if (event && event->descriptor == &boson__test__shout__descriptor)
		snprintf(heard->last, sizeof(heard->last), "%s",
			 ((const Boson__Test__Shout *)event)->text);
	if (heard->unsubscribe)
		bus_unsubscribe(&heard->subscription);
	loop_stop(heard->fixture->loop);
}

void
hear(struct heard *heard, struct fixture *f, const ProtobufCMessageDescriptor *type)
{
	*heard = (struct heard){ .fixture = f };
	assert_int_equal(bus_subscribe(f->bus, f->events_endpoint, fixture_server_key(f), type,
				       on_heard, heard, &heard->subscription),
			 0);
}

bool
has_heard_a_gap(void *heard)
{
	return ((struct heard *)heard)->gaps > 0;
}

bool
has_heard_an_event(void *heard)
{
	return ((struct heard *)heard)->events > 0;
}
