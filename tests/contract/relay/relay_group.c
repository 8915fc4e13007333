/* relay_group: see the header. */
#include "relay_group.h"

#include "raw_leg.h"

#include "relay/relay_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct relay_group *the_group; /* one at a time */

/* The place of what this relay announced, or a free one. */
static unsigned
place_of(const struct relay_group *group, const char *id)
{
	unsigned i = 0;

	while (i < RELAY_GROUP_MAX &&
	       (group->announced[i] == NULL || strcmp(group->announced[i]->id, id) != 0))
		i++;
	for (unsigned n = 0; i == RELAY_GROUP_MAX && n < RELAY_GROUP_MAX; n++)
		if (group->announced[n] == NULL)
			i = n;
	assert_true(i < RELAY_GROUP_MAX);
	return i;
}

static void
forget_announced(struct relay_group *group, unsigned i)
{
	boson__common__relay__free_unpacked(group->announced[i], NULL);
	group->announced[i] = NULL;
}

static void
note_announced(struct relay_group *group, const Boson__Common__Relay *relay)
{
	size_t n = boson__common__relay__get_packed_size(relay);
	unsigned i = place_of(group, relay->id);
	uint8_t *packed = malloc(n);

	assert_non_null(packed);
	boson__common__relay__pack(relay, packed);
	forget_announced(group, i);
	group->announced[i] = boson__common__relay__unpack(NULL, n, packed);
	free(packed);
}

static void
on_announce(Boson__Discovery__Discovery_Service *service, const Boson__Common__Relay *input,
	    Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty empty = BOSON__COMMON__EMPTY__INIT;

	(void)service;
	pthread_mutex_lock(&the_group->mutex);
	note_announced(the_group, input);
	pthread_mutex_unlock(&the_group->mutex);
	closure(&empty, call);
}

static void
on_list(Boson__Discovery__Discovery_Service *service,
	const Boson__Discovery__ListRelaysRequest *input,
	Boson__Discovery__ListRelaysReply_Closure closure, void *call)
{
	Boson__Discovery__ListRelaysReply reply = BOSON__DISCOVERY__LIST_RELAYS_REPLY__INIT;
	Boson__Common__Relay *pointers[RELAY_GROUP_MAX];

	(void)service;
	(void)input;
	pthread_mutex_lock(&the_group->mutex);
	for (unsigned i = 0; i < RELAY_GROUP_MAX; i++)
		if (the_group->announced[i] != NULL)
			pointers[reply.n_relays++] = the_group->announced[i];
	reply.relays = pointers;
	closure(&reply, call);
	pthread_mutex_unlock(&the_group->mutex);
}

static void
on_locate(Boson__Routing__Routing_Service *service, const Boson__Routing__LocateNodeRequest *input,
	  Boson__Routing__LocateNodeReply_Closure closure, void *call)
{
	Boson__Routing__LocateNodeReply reply = BOSON__ROUTING__LOCATE_NODE_REPLY__INIT;
	uint8_t node_id[UUID_BYTES];
	int at = -1;

	(void)service;
	assert_int_equal(uuid_parse(input->node_id, node_id), 0);
	pthread_mutex_lock(&the_group->mutex);
	the_group->asked++;
	for (unsigned i = 0; i < the_group->node_count; i++)
		if (memcmp(the_group->nodes[i].node_id, node_id, UUID_BYTES) == 0)
			at = the_group->nodes[i].at;
	if (at >= 0)
		reply.relay = the_group->announced[place_of(the_group, the_group->ids[at])];
	if (reply.relay != NULL) {
		reply.has_generation = 1;
		reply.generation = 1;
		closure(&reply, call);
	} else {
		bus_call_fail(call, BUS_NOT_FOUND, "node_not_attached", NULL);
	}
	pthread_mutex_unlock(&the_group->mutex);
}

void
relay_group_announce(struct relay_group *group, const Boson__Common__Relay *relay)
{
	pthread_mutex_lock(&group->mutex);
	note_announced(group, relay);
	pthread_mutex_unlock(&group->mutex);
}

static void *
run(void *arg)
{
	struct relay_group *group = arg;

	loop_run(group->loop);
	bus_free(&group->bus);
	return NULL;
}

static void
serve(struct relay_group *group)
{
	char endpoint[128];

	assert_int_equal(loop_new(&group->loop), 0);
	assert_int_equal(metrics_new("stand_in", &group->metrics), 0);
	assert_int_equal(bus_new(group->loop, group->metrics, "stand-in", NULL, &group->bus), 0);
	group->discovery = (Boson__Discovery__Discovery_Service){
		.base = { &boson__discovery__discovery__descriptor,
			  protobuf_c_service_invoke_internal, NULL },
		.announce_relay = on_announce,
		.list_relays = on_list,
	};
	group->routing = (Boson__Routing__Routing_Service){
		.base = { &boson__routing__routing__descriptor, protobuf_c_service_invoke_internal,
			  NULL },
		.locate_node = on_locate,
	};
	snprintf(endpoint, sizeof(endpoint), "ipc://%s/discovery", group->folder);
	assert_int_equal(bus_serve(group->bus, endpoint, &group->discovery.base, NULL), 0);
	snprintf(endpoint, sizeof(endpoint), "ipc://%s/discovery-events", group->folder);
	assert_int_equal(bus_publisher_new(group->bus, endpoint, &group->discovery_events), 0);
	snprintf(endpoint, sizeof(endpoint), "ipc://%s/routing", group->folder);
	assert_int_equal(bus_serve(group->bus, endpoint, &group->routing.base, NULL), 0);
	assert_int_equal(pthread_create(&group->thread, NULL, run, group), 0);
}

void
relay_group_start(struct relay_group *group, unsigned count, bool has_tls, const char *settings)
{
	memset(group, 0, sizeof(*group));
	the_group = group;
	group->has_tls = has_tls;
	pthread_mutex_init(&group->mutex, NULL);
	strcpy(group->folder, "/tmp/boson-group-XXXXXX");
	assert_non_null(mkdtemp(group->folder));
	serve(group);
	snprintf(group->settings, sizeof(group->settings),
		 "%s\n[bus]\ndiscovery = ipc://%s/discovery\nrouting = ipc://%s/routing\n",
		 settings, group->folder, group->folder);
	for (unsigned i = 0; i < count; i++) {
		struct relay_fixture *relay = &group->relays[i];

		if (i == 0)
			relay_fixture_start(relay, has_tls, group->settings);
		else
			relay_fixture_start_beside(relay, &group->relays[0], has_tls,
						   group->settings);
		const struct relay_control *control = relay->state;
		pthread_mutex_lock(&group->mutex);
		snprintf(group->ids[i], sizeof(group->ids[i]), "%s", control->id);
		group->is_running[i] = true;
		group->count = i + 1;
		pthread_mutex_unlock(&group->mutex);
	}
}

void
relay_group_kill(struct relay_group *group, unsigned i)
{
	assert_true(i > 0); /* the first has the keys */
	pthread_mutex_lock(&group->mutex);
	group->is_running[i] = false;
	for (unsigned n = 0; n < group->node_count; n++)
		if (group->nodes[n].at == (int)i)
			group->nodes[n].at = -1;
	pthread_mutex_unlock(&group->mutex);
	relay_fixture_stop(&group->relays[i]);
	pthread_mutex_lock(&group->mutex);
	forget_announced(group, place_of(group, group->ids[i]));
	pthread_mutex_unlock(&group->mutex);
}

void
relay_group_stop(struct relay_group *group)
{
	char command[128];

	/* The stand-ins first: they look at what the relays have. */
	loop_stop(group->loop);
	pthread_join(group->thread, NULL);
	metrics_free(&group->metrics);
	loop_free(&group->loop);
	for (unsigned i = group->count; i-- > 0;)
		if (group->is_running[i])
			relay_fixture_stop(&group->relays[i]);
	for (unsigned i = 0; i < RELAY_GROUP_MAX; i++)
		forget_announced(group, i);
	pthread_mutex_destroy(&group->mutex);
	snprintf(command, sizeof(command), "rm -r %s", group->folder);
	assert_int_equal(system(command), 0);
}

void
relay_group_locate(struct relay_group *group, const uint8_t node_id[UUID_BYTES], int at)
{
	unsigned i = 0;

	pthread_mutex_lock(&group->mutex);
	while (i < group->node_count && memcmp(group->nodes[i].node_id, node_id, UUID_BYTES) != 0)
		i++;
	assert_true(i < RELAY_GROUP_NODES_MAX);
	memcpy(group->nodes[i].node_id, node_id, UUID_BYTES);
	group->nodes[i].at = at;
	if (i == group->node_count)
		group->node_count++;
	pthread_mutex_unlock(&group->mutex);
}

struct raw_leg *
relay_group_open_node(struct relay_group *group, const uint8_t node_id[UUID_BYTES], unsigned at)
{
	struct raw_leg *node = raw_leg_open(&group->relays[at], node_id, NULL);

	relay_group_locate(group, node_id, (int)at);
	return node;
}

unsigned
relay_group_asked(struct relay_group *group)
{
	pthread_mutex_lock(&group->mutex);
	unsigned asked = group->asked;
	pthread_mutex_unlock(&group->mutex);
	return asked;
}

/* Nodes that routing knows nothing of: their clients are tied by the event alone. */
void
relay_group_await_hearing(struct relay_group *group, unsigned a, unsigned b)
{
	uint8_t node_id[UUID_BYTES] = { 0x77, [6] = 0x40, [8] = 0x80 };
	uint8_t session_id[UUID_BYTES] = { 0x78, [6] = 0x40, [8] = 0x80 };
	bool is_heard = false;

	for (uint8_t i = 1; i < 100 && !is_heard; i++) {
		node_id[15] = session_id[15] = i;
		struct raw_leg *client = raw_leg_open(&group->relays[a], node_id, session_id);
		struct raw_leg *node = raw_leg_open(&group->relays[b], node_id, NULL);

		is_heard = !raw_leg_is_quiet(node, 200);
		raw_leg_close(&client);
		raw_leg_close(&node);
	}
	assert_true(is_heard);
}
