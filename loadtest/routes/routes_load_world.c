/*
 * routes_load: what RequestRoute needs around it: boson-routing as a process on SQLite, and on a
 * thread discovery and the one relay behind which all nodes say yes at once.
 */
#include "routes_load.h"

#include "bus/bus.h"
#include "metrics/metrics.h"
#include "relay.pb-c.h"

#include <ftw.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 100, CAPACITY = 1000 };

static struct {
	Boson__Discovery__Discovery_Service discovery;
	Boson__Relay__Relay_Service relay;
	struct loop *loop;
	pthread_t thread;
	size_t nodes;
	char folder[sizeof("/tmp/routes-load-XXXXXX")];
	char relay_bus[LOAD_ENDPOINT_BYTES], relay_events[LOAD_ENDPOINT_BYTES];
	sem_t ready;
	pid_t routing;
} world;

void
load_endpoint(const char *service, bool events, char ret[LOAD_ENDPOINT_BYTES])
{
	(void)snprintf(ret, LOAD_ENDPOINT_BYTES, "ipc://%s/run/%s%s.sock", world.folder, service,
		       events ? "-events" : "");
}

static size_t
cursor_of(const char *text)
{
	return text == NULL ? 0 : strtoul(text, NULL, 10);
}

static void
on_snapshot(Boson__Discovery__Discovery_Service *service,
	    const Boson__Discovery__SnapshotRequest *input,
	    Boson__Discovery__SnapshotReply_Closure closure, void *call)
{
	Boson__Discovery__SnapshotReply reply = BOSON__DISCOVERY__SNAPSHOT_REPLY__INIT;
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT, *relays[] = { &relay };
	static struct load_view views[PAGE];
	Boson__Discovery__Node *nodes[PAGE];
	size_t from = cursor_of(input->cursor);
	char cursor[32];

	(void)service;
	for (; reply.n_nodes < PAGE && from + reply.n_nodes < world.nodes; reply.n_nodes++) {
		load_view_make(from + reply.n_nodes, &views[reply.n_nodes]);
		views[reply.n_nodes].capabilities.max_connections = CAPACITY;
		nodes[reply.n_nodes] = &views[reply.n_nodes].node;
	}
	reply.nodes = nodes;
	relay.id = (char *)(uintptr_t) "relay-0";
	relay.group = (char *)(uintptr_t) "default";
	relay.relay_endpoint = (char *)(uintptr_t) "wss://relay.example";
	relay.bus_endpoint = world.relay_bus;
	relay.event_endpoint = world.relay_events;
	reply.n_relays = from == 0 ? 1 : 0;
	reply.relays = relays;
	(void)snprintf(cursor, sizeof(cursor), "%zu", from + reply.n_nodes);
	if (from + reply.n_nodes < world.nodes)
		reply.next_cursor = cursor;
	closure(&reply, call);
}

static void
on_list_legs(Boson__Relay__Relay_Service *service, const Boson__Relay__ListLegsRequest *input,
	     Boson__Relay__ListLegsReply_Closure closure, void *call)
{
	Boson__Relay__ListLegsReply reply = BOSON__RELAY__LIST_LEGS_REPLY__INIT;
	static Boson__Relay__LegAttached legs[PAGE], *pointers[PAGE];
	static struct load_node facts[PAGE];
	size_t from = cursor_of(input->cursor);
	char cursor[32];

	(void)service;
	for (size_t i = 0; i < PAGE && from + i < world.nodes; i++) {
		load_node_make(from + i, &facts[i]);
		boson__relay__leg_attached__init(&legs[i]);
		legs[i].node_id = facts[i].id;
		legs[i].has_generation = legs[i].has_rtt = 1;
		legs[i].generation = 1;
		legs[i].rtt = facts[i].rtt_ms;
		pointers[i] = &legs[i];
		reply.n_legs++;
	}
	reply.legs = pointers;
	(void)snprintf(cursor, sizeof(cursor), "%zu", from + reply.n_legs);
	if (from + reply.n_legs < world.nodes)
		reply.next_cursor = cursor;
	closure(&reply, call);
}

static void
on_open_session(Boson__Relay__Relay_Service *service, const Boson__Relay__OpenSessionRequest *input,
		Boson__Relay__OpenSessionReply_Closure closure, void *call)
{
	Boson__Relay__OpenSessionReply reply = BOSON__RELAY__OPEN_SESSION_REPLY__INIT;
	Boson__Link__SessionOpened opened = BOSON__LINK__SESSION_OPENED__INIT;

	(void)service;
	opened.session_id = input->session->session_id;
	opened.has_result = 1;
	opened.result = BOSON__LINK__SESSION_OPENED__RESULT__OK;
	opened.address4 = (char *)(uintptr_t) "10.90.0.2";
	opened.dns4 = (char *)(uintptr_t) "10.90.0.1";
	reply.opened = &opened;
	closure(&reply, call);
}

static void
on_close_session(Boson__Relay__Relay_Service *service,
		 const Boson__Relay__CloseSessionRequest *input,
		 Boson__Common__Empty_Closure closure, void *call)
{
	static const Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;

	(void)service;
	(void)input;
	closure(&reply, call);
}

/* Routing looks how its sessions do; nobody uses them. */
static void
on_list_flows(Boson__Relay__Relay_Service *service, const Boson__Relay__ListFlowsRequest *input,
	      Boson__Relay__ListFlowsReply_Closure closure, void *call)
{
	(void)service;
	(void)input;
	(void)closure;
	bus_call_fail(call, BUS_NOT_FOUND, "session_unknown", NULL);
}

static struct bus *
serve(struct loop *loop, struct metrics *metrics, const char *name, ProtobufCService *service,
      struct bus_publisher **ret_events)
{
	char endpoint[LOAD_ENDPOINT_BYTES];
	struct bus *bus;

	if (bus_new(loop, metrics, name, NULL, &bus) != 0)
		load_fail("no bus");
	load_endpoint(name, true, endpoint);
	if (bus_publisher_new(bus, endpoint, ret_events) != 0)
		load_fail("no events");
	load_endpoint(name, false, endpoint);
	if (bus_serve(bus, endpoint, service, NULL) != 0)
		load_fail("no mailbox");
	return bus;
}

/* Only what routing asks is there; nobody else knows the folder. */
static void *
world_main(void *arg)
{
	struct bus_publisher *events[2];
	struct metrics *metrics;
	struct bus *buses[2];

	(void)arg;
	boson__discovery__discovery__init(&world.discovery, NULL);
	world.discovery.snapshot = on_snapshot;
	boson__relay__relay__init(&world.relay, NULL);
	world.relay.list_legs = on_list_legs;
	world.relay.open_session = on_open_session;
	world.relay.close_session = on_close_session;
	world.relay.list_flows = on_list_flows;
	if (loop_new(&world.loop) != 0 || metrics_new("world", &metrics) != 0)
		load_fail("no loop");
	buses[0] = serve(world.loop, metrics, "discovery", &world.discovery.base, &events[0]);
	buses[1] = serve(world.loop, metrics, "relay", &world.relay.base, &events[1]);
	(void)sem_post(&world.ready);
	(void)loop_run(world.loop);
	for (size_t i = 0; i < 2; i++)
		bus_free(&buses[i]);
	metrics_free(&metrics);
	loop_free(&world.loop);
	return NULL;
}

static void
spawn_routing(void)
{
	char path[LOAD_ENDPOINT_BYTES];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/boson.conf", world.folder);
	file = fopen(path, "w");
	if (file == NULL)
		load_fail("no configuration");
	(void)fprintf(file,
		      "[service]\nstate = %s/state\nrun = %s/run\n[log]\nlevel = warn\n"
		      "[admin]\nrouting = off\n[routing]\nsessions_per_key = 0\n",
		      world.folder, world.folder);
	(void)fclose(file);
	world.routing = fork();
	if (world.routing == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execl(PROGRAM_ROUTING, PROGRAM_ROUTING, "-c", path, (char *)NULL);
		_exit(127);
	}
}

void
load_world_start(size_t nodes)
{
	char path[LOAD_ENDPOINT_BYTES];

	(void)strcpy(world.folder, "/tmp/routes-load-XXXXXX");
	if (mkdtemp(world.folder) == NULL || sem_init(&world.ready, 0, 0) != 0)
		load_fail("no folder");
	world.nodes = nodes;
	(void)snprintf(path, sizeof(path), "%s/run", world.folder);
	if (mkdir(path, 0700) != 0)
		load_fail("no run folder");
	load_endpoint("relay", false, world.relay_bus);
	load_endpoint("relay", true, world.relay_events);
	if (pthread_create(&world.thread, NULL, world_main, NULL) != 0)
		load_fail("no thread");
	(void)sem_wait(&world.ready);
	spawn_routing();
}

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static void
stop_world(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

void
load_world_stop(void)
{
	(void)kill(world.routing, SIGTERM);
	(void)waitpid(world.routing, NULL, 0);
	(void)loop_post(world.loop, stop_world, NULL);
	(void)pthread_join(world.thread, NULL);
	(void)nftw(world.folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
