/*
 * relay_seek: see relay_seek.h. What is known stays known while routing is down: other relays' own
 * events go on, and say where nodes are.
 */
#include "relay/relay_seek.h"

#include "log/log.h"
#include "loop/clock.h"
#include "relay/relay_control.h"
#include "relay/relay_mesh.h"
#include "relay/relay_others.h"
#include "routing.pb-c.h"

#include <stdlib.h>
#include <string.h>

enum {
	LOOK_EVERY_MS = 100,
	AGAIN_MS = 500,
	ASK_TIMEOUT_MS = 1000,
	ASKED_MAX = 512, /* questions to routing under way */
};

static void
tie(struct relay_control *control, struct relay_sought *sought, const struct relay_other *at,
    uint64_t generation)
{
	char node[UUID_TEXT_BYTES];

	if (control->mesh == NULL ||
	    relay_mesh_tie(control->mesh, sought->node_id, generation, at->id, at->bus_endpoint,
			   *at->bus_key != '\0' ? at->bus_key : NULL) < 0)
		return;
	sought->is_tied = true;
	sought->generation = generation;
	sought->next_ms = loop_now_ms(control->context->loop) + AGAIN_MS;
	uuid_format(sought->node_id, node);
	log_info("node_tied", "node=%s relay=%s generation=%llu", node, at->id,
		 (unsigned long long)generation);
}

void
relay_seek_found(struct relay_control *control, const uint8_t node_id[UUID_BYTES],
		 const struct relay_other *at, uint64_t generation)
{
	struct relay_sought *sought = relay_homes_sought(&control->homes, node_id);

	if (sought != NULL && (!sought->is_tied || generation > sought->generation))
		tie(control, sought, at, generation);
}

struct question {
	struct relay_control *control;
	uint8_t node_id[UUID_BYTES];
};

static void
on_located(const Boson__Routing__LocateNodeReply *reply, void *arg)
{
	struct question *question = arg;
	struct relay_control *control = question->control;
	struct relay_sought *sought = relay_homes_sought(&control->homes, question->node_id);

	control->asked--;
	if (sought != NULL)
		sought->is_asked = false;
	if (sought != NULL && !sought->is_tied && reply != NULL && reply->relay != NULL) {
		struct relay_other *at = relay_others_note(control, reply->relay);
		uint64_t generation =
			relay_homes_plausible(reply->generation, (uint64_t)clock_wall_us());
		if (at != NULL && relay_homes_set(&control->homes, question->node_id, at,
						  generation, loop_now_ms(control->context->loop)))
			tie(control, sought, at, generation);
	}
	free(question);
}

static void
ask(struct relay_control *control, struct relay_sought *sought)
{
	Boson__Routing__LocateNodeRequest request = BOSON__ROUTING__LOCATE_NODE_REQUEST__INIT;
	struct question *question = control->asked < ASKED_MAX ? malloc(sizeof(*question)) : NULL;
	char node[UUID_TEXT_BYTES];

	if (question == NULL)
		return;
	question->control = control;
	memcpy(question->node_id, sought->node_id, UUID_BYTES);
	uuid_format(sought->node_id, node);
	request.node_id = node;
	sought->is_asked = true;
	control->asked++;
	bus_peer_next(control->routing, ASK_TIMEOUT_MS, NULL);
	boson__routing__routing__locate_node(bus_peer_service(control->routing), &request,
					     on_located, question);
}

static void
look_for(struct relay_control *control, struct relay_sought *sought)
{
	const struct relay_home *home = relay_homes_find(&control->homes, sought->node_id);
	int64_t now_ms = loop_now_ms(control->context->loop);

	if (sought->is_tied || sought->is_asked || now_ms < sought->next_ms)
		return;
	sought->next_ms = now_ms + AGAIN_MS + relay_control_dice(control, AGAIN_MS);
	if (home != NULL)
		tie(control, sought, home->at, home->generation);
	else
		ask(control, sought);
}

void
relay_seek_node(struct relay_control *control, const uint8_t node_id[UUID_BYTES])
{
	struct relay_sought *sought;

	if (control->mesh == NULL)
		return;
	sought = relay_homes_seek(&control->homes, node_id);
	if (sought == NULL)
		return;
	/* A way that was lost was the wrong one, unless news of it came since. */
	const struct relay_home *home = relay_homes_find(&control->homes, node_id);
	if (sought->is_tied && home != NULL && home->generation <= sought->generation)
		relay_homes_unset(&control->homes, node_id, home->at, home->generation);
	sought->is_tied = false;
	look_for(control, sought);
}

void
relay_seek_end(struct relay_control *control, const uint8_t node_id[UUID_BYTES])
{
	relay_homes_settle(&control->homes, node_id);
}

static void
on_look(struct loop *loop, void *arg)
{
	struct relay_control *control = arg;

	relay_others_look(control, loop_now_ms(loop));
	for (struct relay_sought *sought = idtable_next(&control->homes.sought, NULL);
	     sought != NULL; sought = idtable_next(&control->homes.sought, sought))
		look_for(control, sought);
}

int
relay_seek_start(struct relay_control *control)
{
	const struct actor_context *context = control->context;
	int r = relay_homes_init(&control->homes);

	if (r == 0)
		r = bus_peer_new(context->bus, actor_endpoint(context, "routing"),
				 actor_server_key(context, "routing"),
				 &boson__routing__routing__descriptor, &control->routing);
	if (r == 0)
		r = relay_others_start(control);
	if (r == 0)
		r = loop_timer_start(context->loop, LOOK_EVERY_MS, LOOK_EVERY_MS, on_look, control,
				     &control->look_timer);
	return r;
}

void
relay_seek_stop(struct relay_control *control)
{
	if (control->look_timer != NULL)
		loop_timer_stop(&control->look_timer);
	if (control->routing != NULL)
		bus_peer_free(&control->routing); /* its questions end */
	relay_others_stop(control);
	relay_homes_fini(&control->homes);
}
