/*
 * world: see world.h.
 */
#include "world.h"

#include "loop/clock.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { LOOK_MS = 10, WORLD_DEADLINE_MS = 20000, SESSION_LIFE_MS = 3600 * 1000 };

/* ---- the agent's stand-in ---- */

static struct world *
world_of(Boson__Node__Agent_Service *service)
{
	return (struct world *)service;
}

static void
on_admit_session(Boson__Node__Agent_Service *service, const Boson__Link__SessionOpen *input,
		 Boson__Link__SessionOpened_Closure closure, void *call)
{
	struct world *world = world_of(service);
	Boson__Link__SessionOpened reply = BOSON__LINK__SESSION_OPENED__INIT;
	char address4[16];
	(void)input;
	snprintf(address4, sizeof address4, "10.90.1.%u", ++world->admitted);
	reply.has_result = 1;
	reply.result = BOSON__LINK__SESSION_OPENED__RESULT__OK;
	reply.has_left_ms = 1;
	reply.left_ms = SESSION_LIFE_MS;
	reply.address4 = address4;
	reply.dns4 = (char[]){ "10.90.0.1" };
	closure(&reply, call);
}

static void
on_end_session(Boson__Node__Agent_Service *service, const Boson__Link__SessionClose *input,
	       Boson__Common__Empty_Closure closure, void *call)
{
	struct world *world = world_of(service);
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	world->ended++;
	snprintf(world->ended_id, sizeof world->ended_id, "%s", input->session_id);
	closure(&reply, call);
}

static void
on_snapshot(Boson__Node__Agent_Service *service, const Boson__Common__Empty *input,
	    Boson__Node__SnapshotReply_Closure closure, void *call)
{
	struct world *world = world_of(service);
	Boson__Node__SnapshotReply reply = BOSON__NODE__SNAPSHOT_REPLY__INIT;
	Boson__Node__Attachment attachment = BOSON__NODE__ATTACHMENT__INIT;
	Boson__Node__Session sessions[WORLD_SESSIONS_MAX], *pointers[WORLD_SESSIONS_MAX];
	Boson__Link__SessionOpen opens[WORLD_SESSIONS_MAX];
	Boson__Link__SessionOpened openeds[WORLD_SESSIONS_MAX];
	char *relays[] = { world->relay };
	(void)input;
	for (size_t i = 0; i < world->session_count; i++) {
		struct world_session *session = &world->sessions[i];
		boson__node__session__init(&sessions[i]);
		boson__link__session_open__init(&opens[i]);
		boson__link__session_opened__init(&openeds[i]);
		opens[i].session_id = session->id;
		opens[i].client_public_key = session->key;
		opens[i].has_expires_at = 1;
		opens[i].expires_at = session->expires_at_ms;
		openeds[i].has_left_ms = 1;
		openeds[i].left_ms = session->expires_at_ms - clock_wall_ms();
		openeds[i].address4 = session->address4;
		openeds[i].address6 = session->address6;
		sessions[i].open = &opens[i];
		sessions[i].opened = &openeds[i];
		pointers[i] = &sessions[i];
	}
	reply.sessions = pointers;
	reply.n_sessions = world->session_count;
	if (world->node_id[0]) {
		attachment.node_id = world->node_id;
		attachment.relay_endpoints = relays;
		attachment.n_relay_endpoints = 1;
		attachment.relay_ticket = world->ticket;
		reply.attachment = &attachment;
	}
	closure(&reply, call);
}

static void
on_report(Boson__Node__Agent_Service *service, const Boson__Node__ForwarderReport *input,
	  Boson__Common__Empty_Closure closure, void *call)
{
	struct world *world = world_of(service);
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	world->reports++;
	world->policy_in_force = input->policy_in_force;
	closure(&reply, call);
}

static const Boson__Node__Agent_Service agent_mailbox = BOSON__NODE__AGENT__INIT(on_);

static void
endpoint_of(const struct world *world, const char *service, char *ret_text, size_t n)
{
	snprintf(ret_text, n, "ipc://%s/run/%s.sock", world->folder, service);
}

void
world_agent_start(struct world *world)
{
	char endpoint[128];
	endpoint_of(world, "agent", endpoint, sizeof endpoint);
	world->mailbox = agent_mailbox;
	assert_int_equal(bus_new(world->loop, world->metrics, "agent", NULL, &world->agent_bus), 0);
	assert_int_equal(bus_serve(world->agent_bus, endpoint, &world->mailbox.base, NULL), 0);
}

void
world_agent_stop(struct world *world)
{
	bus_free(&world->agent_bus);
}

/* ---- the world ---- */

__attribute__((format(printf, 3, 4))) static void
write_file(const struct world *world, const char *name, const char *format, ...)
{
	char path[128];
	va_list arguments;
	snprintf(path, sizeof path, "%s/%s", world->folder, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	va_start(arguments, format);
	vfprintf(file, format, arguments);
	va_end(arguments);
	assert_int_equal(fclose(file), 0);
}

static void
make_folder(const struct world *world, const char *name, mode_t mode)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", world->folder, name);
	assert_int_equal(mkdir(path, mode), 0);
}

void
world_up(struct world *world, const char *extra)
{
	static int number;
	char path[128], endpoint[128];
	memset(world, 0, sizeof *world);
	world->process.pidfd = -1;
	lab_up(&world->lab, false);
	snprintf(world->interface, sizeof world->interface, "hgf%d.%d", getpid() % 1000000,
		 number++);
	snprintf(world->show_peers, sizeof world->show_peers, "wg show %s allowed-ips",
		 world->interface);
	snprintf(world->count_peers, sizeof world->count_peers, "wg show %s peers | wc -l",
		 world->interface);
	strcpy(world->folder, "/tmp/higgs-world-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	make_folder(world, "run", 0700);
	make_folder(world, "state", 0700);
	make_folder(world, "state/agent", 0700);
	snprintf(path, sizeof path, "%s/state/agent/identity.key", world->folder);
	assert_int_equal(key_file_load_or_create(path, &world->node_private), 0);
	assert_int_equal(key_public(&world->node_private, &world->node_public), 0);
	write_file(world, "wrapper", "#!/bin/sh\nwireguard-go \"$@\" &\nwait\n");
	snprintf(path, sizeof path, "%s/wrapper", world->folder);
	assert_int_equal(chmod(path, 0755), 0);
	write_file(world, "higgs.conf",
		   "[service]\nstate = %s/state\nrun = %s/run\n[admin]\nforwarder = off\n"
		   "[forwarder]\ninterface = %s\nwireguard = userspace\n"
		   "exit_allow = 198.51.100.0/24, 2001:db8:80::/64\n"
		   "dns_upstreams = 198.51.100.80\nwireguard_command = %s/wrapper\n%s\n",
		   world->folder, world->folder, world->interface, world->folder, extra);
	assert_int_equal(loop_new(&world->loop), 0);
	assert_int_equal(metrics_new("test", &world->metrics), 0);
	assert_int_equal(bus_new(world->loop, world->metrics, "test", NULL, &world->bus), 0);
	endpoint_of(world, "forwarder", endpoint, sizeof endpoint);
	assert_int_equal(bus_peer_new(world->bus, endpoint, NULL,
				      &boson__node__forwarder__descriptor, &world->forwarder),
			 0);
}

/* The wrapper keeps wireguard-go alive beyond the forwarder: it ends with its interface. */
static void
remove_tunnel(struct world *world)
{
	lab_run(world->lab.node, "ip link delete %s 2>/dev/null || true", world->interface);
	lab_run(world->lab.node, "rm -rf %s /var/run/wireguard/%s.sock", world->folder,
		world->interface);
}

void
world_down(struct world *world)
{
	child_kill(&world->process);
	world_agent_stop(world);
	bus_free(&world->bus);
	metrics_free(&world->metrics);
	loop_free(&world->loop);
	remove_tunnel(world);
	lab_down(&world->lab);
}

void
world_forwarder_start(struct world *world, const char *program)
{
	char config[128];
	const char *argv[] = { program, "-c", config, NULL };
	snprintf(config, sizeof config, "%s/higgs.conf", world->folder);
	lab_enter(world->lab.node);
	assert_int_equal(child_start(argv, -1, -1, &world->process), 0);
}

int
world_forwarder_end(struct world *world, int signal_number)
{
	struct pollfd end = { .fd = world->process.pidfd, .events = POLLIN };
	assert_int_equal(kill(world->process.pid, signal_number), 0);
	assert_int_equal(poll(&end, 1, WORLD_DEADLINE_MS), 1);
	return child_reap(&world->process);
}

struct world_session *
world_session_add(struct world *world)
{
	struct world_session *session = &world->sessions[world->session_count++];
	struct key private_key, public_key;
	assert_int_equal(uuid_generate_text(session->id), 0);
	assert_int_equal(key_generate(&private_key), 0);
	assert_int_equal(key_public(&private_key, &public_key), 0);
	key_format(&public_key, session->key);
	snprintf(session->address4, sizeof session->address4, "10.90.0.%zu",
		 world->session_count + 1);
	snprintf(session->address6, sizeof session->address6, "fd48:6967:6773::%zx",
		 world->session_count + 1);
	session->expires_at_ms = clock_wall_ms() + SESSION_LIFE_MS;
	return session;
}

/* ---- waiting ---- */

struct waiting {
	struct world *world;
	bool (*done)(struct world *world);
};

static void
on_look(struct loop *loop, void *arg)
{
	struct waiting *waiting = arg;
	if (waiting->done(waiting->world))
		loop_stop(loop);
}

static void
on_deadline(struct loop *loop, void *arg)
{
	struct world *world = arg;
	world->is_over = true;
	loop_stop(loop);
}

bool
world_wait(struct world *world, bool (*done)(struct world *world))
{
	struct loop_timer *look = NULL, *deadline = NULL;
	struct waiting waiting = { world, done };
	world->is_over = false;
	assert_int_equal(loop_timer_start(world->loop, 0, LOOK_MS, on_look, &waiting, &look), 0);
	assert_int_equal(
		loop_timer_start(world->loop, WORLD_DEADLINE_MS, 0, on_deadline, world, &deadline),
		0);
	loop_run(world->loop);
	loop_timer_stop(&look);
	if (!world->is_over)
		loop_timer_stop(&deadline);
	return !world->is_over;
}

bool
world_has_output(struct world *world, const char *command, const char *wanted)
{
	char *output = lab_output(world->lab.node, command);
	bool found = strstr(output, wanted) != NULL;
	free(output);
	return found;
}

static const char *awaited_command, *awaited_text;

static bool
is_printed(struct world *world)
{
	return world_has_output(world, awaited_command, awaited_text);
}

bool
world_wait_output(struct world *world, const char *command, const char *wanted)
{
	awaited_command = command;
	awaited_text = wanted;
	return world_wait(world, is_printed);
}

bool
world_is_up(struct world *world)
{
	return world->policy_in_force;
}
