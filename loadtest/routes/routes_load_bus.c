/*
 * routes_load: RequestRoute over the bus: boson-routing as a process on SQLite, this program as its
 * clients, and on a thread as discovery and as the one relay behind which all nodes say yes at
 * once. Each request is of another client: two commits each, shared by those that come together.
 */
#include "routes_load.h"

#include "bus/bus.h"
#include "discovery.pb-c.h"
#include "loop/clock.h"
#include "metrics/metrics.h"
#include "relay.pb-c.h"
#include "routing.pb-c.h"

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

enum {
	REQUESTS = 5000, /* of a run */
	WINDOW = 64,
	PAGE = 100,
	ENDPOINT_BYTES = 160,
	READY_TRIES = 600,
	TRY_MS = 100,
};

/* ---- discovery and the relay ---- */

struct world {
	Boson__Discovery__Discovery_Service discovery; /* first: a handler finds us by it */
	Boson__Relay__Relay_Service relay;
	struct loop *loop;
	size_t nodes;
	const char *folder;
	char relay_bus[ENDPOINT_BYTES], relay_events[ENDPOINT_BYTES];
	sem_t ready;
};

static struct world world;

static void
endpoint_of(const char *service, bool events, char ret[ENDPOINT_BYTES])
{
	(void)snprintf(ret, ENDPOINT_BYTES, "ipc://%s/run/%s%s.sock", world.folder, service,
		       events ? "-events" : "");
}

static size_t
cursor_of(const char *text)
{
	return text == NULL ? 0 : strtoul(text, NULL, 10);
}

struct node_view {
	struct load_node facts;
	Boson__Discovery__Node node;
	Boson__Discovery__Capabilities capabilities;
	Boson__Common__Bandwidth bandwidth;
	Boson__Common__Location location;
};

static void
fill_view(struct node_view *view, size_t number)
{
	load_node_make(number, &view->facts);
	boson__discovery__node__init(&view->node);
	boson__discovery__capabilities__init(&view->capabilities);
	boson__common__bandwidth__init(&view->bandwidth);
	boson__common__location__init(&view->location);
	view->bandwidth.has_up = view->bandwidth.has_down = 1;
	view->bandwidth.up = view->bandwidth.down = view->facts.mbits;
	view->capabilities.bandwidth = &view->bandwidth;
	view->capabilities.has_max_connections = 1;
	view->capabilities.max_connections = 1000;
	view->location.country = view->facts.country;
	view->location.region = view->facts.region;
	view->node.node_id = view->facts.id;
	view->node.status = (char *)(uintptr_t) "online";
	view->node.public_key = (char *)(uintptr_t) "";
	view->node.capabilities = &view->capabilities;
	view->node.location = &view->location;
	view->node.has_version = 1;
	view->node.version = 1;
}

static void
on_snapshot(Boson__Discovery__Discovery_Service *service,
	    const Boson__Discovery__SnapshotRequest *input,
	    Boson__Discovery__SnapshotReply_Closure closure, void *call)
{
	Boson__Discovery__SnapshotReply reply = BOSON__DISCOVERY__SNAPSHOT_REPLY__INIT;
	Boson__Common__Relay relay = BOSON__COMMON__RELAY__INIT, *relays[] = { &relay };
	static struct node_view views[PAGE];
	Boson__Discovery__Node *nodes[PAGE];
	size_t from = cursor_of(input->cursor);
	char cursor[32];

	(void)service;
	for (; reply.n_nodes < PAGE && from + reply.n_nodes < world.nodes; reply.n_nodes++) {
		fill_view(&views[reply.n_nodes], from + reply.n_nodes);
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

static struct bus *
serve(struct loop *loop, struct metrics *metrics, const char *name, ProtobufCService *service,
      struct bus_publisher **ret_events)
{
	char endpoint[ENDPOINT_BYTES];
	struct bus *bus;

	if (bus_new(loop, metrics, name, NULL, &bus) != 0)
		load_fail("no bus");
	endpoint_of(name, true, endpoint);
	if (bus_publisher_new(bus, endpoint, ret_events) != 0)
		load_fail("no events");
	endpoint_of(name, false, endpoint);
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

/* ---- routing ---- */

static pid_t
spawn_routing(void)
{
	char path[ENDPOINT_BYTES];
	pid_t process;
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
	process = fork();
	if (process == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execl(PROGRAM_ROUTING, PROGRAM_ROUTING, "-c", path, (char *)NULL);
		_exit(127);
	}
	return process;
}

/* ---- clients ---- */

struct clients {
	struct loop *loop;
	struct bus_peer *peer;
	struct load_dice dice;
	double *samples;
	size_t wanted, asked, answered, failed;
};

struct one {
	struct clients *clients;
	double start_us;
};

static void ask(struct clients *clients);

static void
on_route(const Boson__Routing__RouteReply *reply, void *arg)
{
	struct one *one = arg;
	struct clients *clients = one->clients;

	if (reply == NULL)
		clients->failed++;
	clients->samples[clients->answered++] = load_now_us() - one->start_us;
	free(one);
	if (clients->answered == clients->wanted)
		loop_stop(clients->loop);
	else if (clients->asked < clients->wanted)
		ask(clients);
}

static void
ask(struct clients *clients)
{
	Boson__Routing__RouteRequest request = BOSON__ROUTING__ROUTE_REQUEST__INIT;
	Boson__Common__Caller caller = BOSON__COMMON__CALLER__INIT;
	char client_id[UUID_TEXT_BYTES], public_key[KEY_TEXT_BYTES];
	struct one *one = malloc(sizeof(*one));
	struct key key;

	if (one == NULL || uuid_generate_text(client_id) != 0)
		load_fail("no client");
	for (size_t i = 0; i < KEY_BYTES; i++)
		key.bytes[i] = (uint8_t)load_random(&clients->dice);
	key_format(&key, public_key);
	caller.has_role = 1;
	caller.role = BOSON__COMMON__CALLER__ROLE__CLIENT;
	caller.subject = (char *)(uintptr_t) "key:load";
	request.client_id = client_id;
	request.public_key = public_key;
	request.caller = &caller;
	*one = (struct one){ clients, load_now_us() };
	clients->asked++;
	bus_peer_next(clients->peer, 20 * 1000, NULL);
	boson__routing__routing__request_route(bus_peer_service(clients->peer), &request, on_route,
					       one);
}

/* Seconds. */
static double
run(struct clients *clients, size_t wanted, size_t window)
{
	double start_us = load_now_us();

	clients->wanted = wanted;
	clients->asked = clients->answered = clients->failed = 0;
	for (size_t i = 0; i < window && i < wanted; i++)
		ask(clients);
	(void)loop_run(clients->loop);
	return (load_now_us() - start_us) / 1e6;
}

/* Until routing has its snapshot and knows the legs. */
static void
warm_up(struct clients *clients)
{
	const struct timespec pause = { 0, TRY_MS * 1000 * 1000 };

	for (int i = 0; i < READY_TRIES; i++) {
		(void)run(clients, 1, 1);
		if (clients->failed == 0) {
			(void)run(clients, REQUESTS / 10, WINDOW);
			if (clients->failed == 0)
				return;
		}
		(void)nanosleep(&pause, NULL);
	}
	load_fail("routing does not get ready");
}

static void
measure(struct clients *clients, size_t runs)
{
	double rates[LOAD_RUNS_MAX], p50s[LOAD_RUNS_MAX], p99s[LOAD_RUNS_MAX];

	for (size_t i = 0; i < runs; i++) {
		rates[i] = REQUESTS / run(clients, REQUESTS, WINDOW);
		if (clients->failed > 0)
			load_fail("a route was not given");
		p50s[i] = load_percentile(clients->samples, REQUESTS, 50) / 1000;
		p99s[i] = load_percentile(clients->samples, REQUESTS, 99) / 1000;
	}
	printf("\"in_flight\":%d,", WINDOW);
	load_print_runs("routes_per_sec", rates, runs);
	printf(",");
	load_print_runs("p50_ms", p50s, runs);
	printf(",");
	load_print_runs("p99_ms", p99s, runs);
	for (size_t i = 0; i < runs; i++) {
		rates[i] = REQUESTS / 10 / run(clients, REQUESTS / 10, 1);
		p50s[i] = load_percentile(clients->samples, REQUESTS / 10, 50) / 1000;
	}
	printf(",");
	load_print_runs("alone_p50_ms", p50s, runs);
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
ask_all(size_t runs)
{
	struct clients clients = { .dice = { (uint64_t)getpid() } };
	char endpoint[ENDPOINT_BYTES];
	struct metrics *metrics;
	struct bus *bus;

	clients.samples = malloc(REQUESTS * sizeof(*clients.samples));
	endpoint_of("routing", false, endpoint);
	if (clients.samples == NULL || loop_new(&clients.loop) != 0 ||
	    metrics_new("clients", &metrics) != 0 ||
	    bus_new(clients.loop, metrics, "clients", NULL, &bus) != 0 ||
	    bus_peer_new(bus, endpoint, NULL, &boson__routing__routing__descriptor,
			 &clients.peer) != 0)
		load_fail("no clients");
	warm_up(&clients);
	measure(&clients, runs);
	bus_free(&bus);
	metrics_free(&metrics);
	loop_free(&clients.loop);
	free(clients.samples);
}

static void
stop_world(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

void
load_bus(const struct load_setup *setup)
{
	char folder[] = "/tmp/routes-load-XXXXXX", path[ENDPOINT_BYTES];
	pthread_t thread;
	pid_t routing;

	if (mkdtemp(folder) == NULL || sem_init(&world.ready, 0, 0) != 0)
		load_fail("no folder");
	world.folder = folder;
	world.nodes = setup->nodes;
	(void)snprintf(path, sizeof(path), "%s/run", folder);
	if (mkdir(path, 0700) != 0)
		load_fail("no run folder");
	endpoint_of("relay", false, world.relay_bus);
	endpoint_of("relay", true, world.relay_events);
	if (pthread_create(&thread, NULL, world_main, NULL) != 0)
		load_fail("no thread");
	(void)sem_wait(&world.ready);
	routing = spawn_routing();
	ask_all(setup->runs);
	(void)kill(routing, SIGTERM);
	(void)waitpid(routing, NULL, 0);
	(void)loop_post(world.loop, stop_world, NULL);
	(void)pthread_join(thread, NULL);
	(void)nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
