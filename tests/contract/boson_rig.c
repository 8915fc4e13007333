/* boson_rig: see the header. */
#include "boson_rig.h"

#include "loop/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { POLL_MS = 10, EXIT_WAIT_MS = 15 * 1000 };

void
rig_path(const struct rig *rig, const char *name, char ret[RIG_PATH_BYTES])
{
	(void)snprintf(ret, RIG_PATH_BYTES, "%s/%s", rig->folder, name);
}

void
rig_configure(struct rig *rig, const char *config)
{
	char path[RIG_PATH_BYTES];
	const char *mark = strstr(config, "%s");
	FILE *file;

	rig_path(rig, "boson.conf", path);
	file = fopen(path, "w");
	assert_non_null(file);
	(void)fprintf(file,
		      "[service]\nstate = %s/state\nrun = %s/run\n[log]\nlevel = warn\n"
		      "[admin]\nbosond = off\ngateway = off\ndiscovery = off\nrouting = off\n"
		      "relay = off\nmetrics = off\nturn = off\n",
		      rig->folder, rig->folder);
	if (mark != NULL)
		(void)fprintf(file, "%.*s%s%s", (int)(mark - config), config, rig->folder,
			      mark + 2);
	else
		(void)fputs(config, file);
	assert_int_equal(fclose(file), 0);
}

/* Under with_servers (tests/servers): the services' tables and caches are there, and nobody else's.
 */
static void
use_servers(void)
{
	static const char *const stores[] = { "DISCOVERY", "ROUTING", "METRICS" };
	static const char *const caches[] = { "DISCOVERY", "GATEWAY" };
	const char *postgresql = getenv("RIG_POSTGRESQL"), *redis = getenv("RIG_REDIS");
	static unsigned rigs;
	char key[64], url[RIG_PATH_BYTES];

	if (postgresql == NULL || redis == NULL)
		return;
	rigs++;
	for (size_t i = 0; i < sizeof(stores) / sizeof(*stores); i++) {
		(void)snprintf(key, sizeof(key), "BOSON_%s_STORE", stores[i]);
		(void)snprintf(url, sizeof(url), "%s&schema=rig_%u_%zu", postgresql, rigs, i);
		assert_int_equal(setenv(key, url, 1), 0);
	}
	for (size_t i = 0; i < sizeof(caches) / sizeof(*caches); i++) {
		(void)snprintf(key, sizeof(key), "BOSON_%s_CACHE", caches[i]);
		(void)snprintf(url, sizeof(url), "%s?prefix=rig_%u:", redis, rigs);
		assert_int_equal(setenv(key, url, 1), 0);
	}
}

void
rig_start(struct rig *rig, const char *config)
{
	char path[RIG_PATH_BYTES];

	memset(rig, 0, sizeof(*rig));
	(void)strcpy(rig->folder, "/tmp/boson-rig-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	rig_path(rig, "run", path);
	assert_int_equal(mkdir(path, 0700), 0);
	use_servers();
	rig_configure(rig, config);
	assert_int_equal(loop_new(&rig->loop), 0);
	assert_int_equal(metrics_new("rig", &rig->metrics), 0);
	assert_int_equal(bus_new(rig->loop, rig->metrics, "rig", NULL, &rig->bus), 0);
}

static void
start_program(const char *program, const char *config, size_t file_limit_bytes)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (file_limit_bytes > 0) {
		struct rlimit limit = { file_limit_bytes, file_limit_bytes };

		(void)setrlimit(RLIMIT_FSIZE, &limit);
		(void)signal(SIGXFSZ, SIG_IGN);
	}
	(void)execl(program, program, "-c", config, (char *)NULL);
	_exit(127);
}

pid_t
rig_spawn(struct rig *rig, const char *program, size_t file_limit_bytes)
{
	char config[RIG_PATH_BYTES];
	pid_t process;

	rig_path(rig, "boson.conf", config);
	process = fork();
	assert_true(process >= 0);
	if (process == 0)
		start_program(program, config, file_limit_bytes);
	for (size_t i = 0; i < RIG_PROCESSES_MAX; i++)
		if (rig->processes[i] == 0) {
			rig->processes[i] = process;
			return process;
		}
	fail_msg("%s", "too many processes");
	return -1;
}

static void
forget(struct rig *rig, pid_t process)
{
	for (size_t i = 0; i < RIG_PROCESSES_MAX; i++)
		if (rig->processes[i] == process)
			rig->processes[i] = 0;
}

/* LeakSanitizer now and then never comes back from stopping its own process at exit; what it holds
 * then is traced by a child of its own. That is no exit code, but no defect of the service. */
static bool
is_held_by_leak_sanitizer(pid_t process)
{
	char path[64], line[128];
	bool held = false;
	FILE *file;
	int tracer;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)process);
	file = fopen(path, "r");
	if (file == NULL)
		return false;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "TracerPid: %d", &tracer) == 1)
			held = tracer != 0;
	(void)fclose(file);
	return held;
}

int
rig_terminate(struct rig *rig, pid_t process)
{
	int64_t deadline_ms = clock_monotonic_ms() + EXIT_WAIT_MS;
	int status = 0;
	pid_t exited;

	assert_int_equal(kill(process, SIGTERM), 0);
	while ((exited = waitpid(process, &status, WNOHANG)) == 0 &&
	       clock_monotonic_ms() < deadline_ms)
		(void)usleep(POLL_MS * 1000); /* for another process, there is no event here */
	if (exited == 0) {
		bool held = is_held_by_leak_sanitizer(process);

		rig_kill(rig, process);
		assert_true(held);
		return 0;
	}
	forget(rig, process);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void
rig_kill(struct rig *rig, pid_t process)
{
	assert_int_equal(kill(process, SIGKILL), 0);
	assert_int_equal(waitpid(process, NULL, 0), process);
	forget(rig, process);
}

static int
remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

void
rig_stop(struct rig *rig)
{
	int exit_code = 0;

	/* What a failed test has asked would be answered now, into a stack that is gone. */
	if (!rig->has_failed) {
		bus_free(&rig->bus);
		metrics_free(&rig->metrics);
		loop_free(&rig->loop);
	}
	for (size_t i = 0; i < RIG_PROCESSES_MAX; i++)
		if (rig->processes[i] != 0 && exit_code == 0)
			exit_code = rig_terminate(rig, rig->processes[i]);
	(void)nftw(rig->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(exit_code, 0);
}

void
rig_endpoint(const struct rig *rig, const char *service, bool events, char ret[RIG_PATH_BYTES])
{
	(void)snprintf(ret, RIG_PATH_BYTES, "ipc://%s/run/%s%s.sock", rig->folder, service,
		       events ? "-events" : "");
}

struct bus_peer *
rig_peer(struct rig *rig, const char *service, const ProtobufCServiceDescriptor *descriptor)
{
	char endpoint[RIG_PATH_BYTES];
	struct bus_peer *peer = NULL;

	rig_endpoint(rig, service, false, endpoint);
	assert_int_equal(bus_peer_new(rig->bus, endpoint, NULL, descriptor, &peer), 0);
	return peer;
}

static void
look(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

/* The condition may wait for something itself, in the same loop: it is asked from here only. */
void
rig_wait(struct rig *rig, bool (*condition)(void *arg), void *arg, const char *what)
{
	int64_t deadline_ms = clock_monotonic_ms() + RIG_WAIT_MS;
	struct loop_timer *timer;
	bool holds;

	if (condition(arg))
		return;
	assert_int_equal(loop_timer_start(rig->loop, 0, POLL_MS, look, NULL, &timer), 0);
	do
		(void)loop_run(rig->loop); /* an answer stops it, too */
	while (!(holds = condition(arg)) && clock_monotonic_ms() < deadline_ms);
	loop_timer_stop(&timer);
	if (!holds) {
		rig->has_failed = true;
		fail_msg("not in time: %s", what);
	}
}

struct pings {
	struct bus_peer *peer;
	bool waiting, alive;
};

static void
on_ping(bool alive, uint32_t round_trip_us, void *arg)
{
	struct pings *pings = arg;

	(void)round_trip_us;
	pings->waiting = false;
	pings->alive = alive;
}

static bool
is_up(void *arg)
{
	struct pings *pings = arg;

	if (!pings->alive && !pings->waiting) {
		pings->waiting = true;
		bus_peer_ping(pings->peer, 200, on_ping, pings);
	}
	return pings->alive;
}

void
rig_wait_up(struct rig *rig, struct bus_peer *peer)
{
	struct pings pings = { .peer = peer };

	rig_wait(rig, is_up, &pings, "a service that answers");
}

struct bus_peer *
rig_serve(struct rig *rig, const char *program, const char *service,
	  const ProtobufCServiceDescriptor *descriptor, pid_t *ret_process)
{
	pid_t process = rig_spawn(rig, program, 0);
	struct bus_peer *peer = rig_peer(rig, service, descriptor);

	rig_wait_up(rig, peer);
	if (ret_process != NULL)
		*ret_process = process;
	return peer;
}

int
rig_teardown(void **state)
{
	rig_stop(*state);
	return 0;
}

void
rig_call_init(struct rig_call *call, struct rig *rig, struct bus_peer *peer)
{
	memset(call, 0, sizeof(*call));
	call->rig = rig;
	call->peer = peer;
}

void
rig_call_fini(struct rig_call *call)
{
	if (call->reply != NULL)
		protobuf_c_message_free_unpacked(call->reply, NULL);
	call->reply = NULL;
}

void
rig_call_take(struct rig_call *call, const ProtobufCMessage *reply)
{
	call->done = true;
	call->result = *bus_peer_result(call->peer);
	if (reply != NULL) {
		size_t n = protobuf_c_message_get_packed_size(reply);
		uint8_t *bytes = malloc(n + 1);

		assert_non_null(bytes);
		(void)protobuf_c_message_pack(reply, bytes);
		call->reply = protobuf_c_message_unpack(reply->descriptor, NULL, n, bytes);
		free(bytes);
	}
	loop_stop(call->rig->loop);
}

static bool
is_done(void *arg)
{
	return ((struct rig_call *)arg)->done;
}

Boson__Common__Caller
rig_caller(Boson__Common__Caller__Role role, const char *subject)
{
	Boson__Common__Caller caller = BOSON__COMMON__CALLER__INIT;

	caller.has_role = 1;
	caller.role = role;
	caller.subject = (char *)(uintptr_t)subject;
	return caller;
}

void
rig_call_wait(struct rig_call *call)
{
	rig_wait(call->rig, is_done, call, "an answer");
}

bool
rig_call_may_be_repeated(const struct rig_call *call)
{
	return call->reply == NULL &&
	       (call->result.status == BUS_UNAVAILABLE || call->result.status == BUS_DEADLINE);
}

void
rig_call_assert_refused(struct rig_call *call, enum bus_status status, const char *code)
{
	rig_call_wait(call);
	assert_null(call->reply);
	assert_int_equal(call->result.status, status);
	assert_string_equal(call->result.code, code);
	rig_call_fini(call);
}

void
rig_call_assert_served(struct rig_call *call)
{
	rig_call_wait(call);
	if (call->reply == NULL)
		fail_msg("refused: %d %s", (int)call->result.status, call->result.code);
	rig_call_fini(call);
}
