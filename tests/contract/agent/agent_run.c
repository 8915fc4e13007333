/*
 * agent_run: see the header. ipc sockets live in the test's own folder, 0700.
 */
#include "agent_run.h"
#include "../../temp_folder.h"
#include "identity/mac.h"
#include "loop/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20 * 1000, TURN_MS = 20, CALL_MS = 10 * 1000 };

static void
on_set_relays(Boson__Node__Forwarder_Service *service, const Boson__Node__Attachment *input,
	      Boson__Common__Empty_Closure closure, void *call)
{
	struct agent_run *run = (struct agent_run *)service;
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;
	uint8_t bytes[8192];
	size_t n = boson__node__attachment__get_packed_size(input);

	run->relays_told++;
	if (!run->answers_relays) {
		bus_call_fail(call, BUS_UNAVAILABLE, "test", NULL);
		return;
	}
	if (run->attachment)
		boson__node__attachment__free_unpacked(run->attachment, NULL);
	assert_true(n <= sizeof(bytes));
	boson__node__attachment__pack(input, bytes);
	run->attachment = boson__node__attachment__unpack(NULL, n, bytes);
	closure(&reply, call);
}

static void
on_close_session(Boson__Node__Forwarder_Service *service, const Boson__Link__SessionClose *input,
		 Boson__Common__Empty_Closure closure, void *call)
{
	struct agent_run *run = (struct agent_run *)service;
	Boson__Common__Empty reply = BOSON__COMMON__EMPTY__INIT;

	if (run->closed < AGENT_RUN_CLOSED_MAX)
		snprintf(run->closed_id[run->closed], sizeof(run->closed_id[0]), "%s",
			 input->session_id);
	run->closed++;
	closure(&reply, call);
}

static void
on_get_status(Boson__Node__Forwarder_Service *service, const Boson__Common__Empty *input,
	      Boson__Node__ForwarderReport_Closure closure, void *call)
{
	Boson__Node__ForwarderReport reply = BOSON__NODE__FORWARDER_REPORT__INIT;

	(void)service;
	(void)input;
	closure(&reply, call);
}

static const Boson__Node__Forwarder_Service forwarder = BOSON__NODE__FORWARDER__INIT(on_);

static void
show_log(const struct agent_run *run)
{
	char line[512];
	FILE *log = fopen(agent_run_file(run, "../../agent.log"), "re");

	while (log && fgets(line, sizeof(line), log))
		fputs(line, stderr);
	if (log)
		fclose(log);
}

static void
endpoint_of(const struct agent_run *run, const char *name, char text[64])
{
	snprintf(text, 64, "ipc://%s/%s.sock", run->folder, name);
}

void
agent_run_open(struct agent_run *run)
{
	struct temp_folder folder;
	char endpoint[64];

	memset(run, 0, sizeof(*run));
	run->forwarder = forwarder;
	run->answers_relays = true;
	temp_folder_make(&folder);
	strcpy(run->folder, folder.path);
	assert_int_equal(loop_new(&run->loop), 0);
	assert_int_equal(metrics_new("test", &run->metrics), 0);
	assert_int_equal(bus_new(run->loop, run->metrics, "forwarder", NULL, &run->bus), 0);
	endpoint_of(run, "forwarder", endpoint);
	assert_int_equal(bus_serve(run->bus, endpoint, &run->forwarder.base, NULL), 0);
	endpoint_of(run, "agent", endpoint);
	assert_int_equal(bus_peer_new(run->bus, endpoint, NULL, &boson__node__agent__descriptor,
				      &run->agent),
			 0);
}

static void
drop_reply(struct agent_run *run)
{
	if (run->reply)
		protobuf_c_message_free_unpacked(run->reply, NULL);
	run->reply = NULL;
}

void
agent_run_close(struct agent_run *run)
{
	struct temp_folder folder;

	if (run->pid)
		agent_run_signal(run, SIGKILL);
	bus_peer_free(&run->agent);
	bus_free(&run->bus);
	metrics_free(&run->metrics);
	loop_free(&run->loop);
	drop_reply(run);
	if (run->attachment)
		boson__node__attachment__free_unpacked(run->attachment, NULL);
	strcpy(folder.path, run->folder);
	temp_folder_drop(&folder);
}

void
agent_run_configure(struct agent_run *run, const char *agent_lines)
{
	struct temp_folder folder;
	char text[2048];

	strcpy(folder.path, run->folder);
	snprintf(text, sizeof(text),
		 "[service]\nstate = %s/state\nrun = %s/run\n"
		 "[admin]\nagent = off\n"
		 "[bus]\nagent = ipc://%s/agent.sock\nforwarder = ipc://%s/forwarder.sock\n"
		 "[agent]\n%s\n",
		 run->folder, run->folder, run->folder, run->folder, agent_lines);
	temp_folder_write(&folder, "higgs.conf", text, 0600);
}

const char *
agent_run_file(const struct agent_run *run, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/state/agent/%s", run->folder, name);
	return path;
}

static void
become_agent(const struct agent_run *run)
{
	char config[64], log[64];
	sigset_t none;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	snprintf(config, sizeof(config), "%s/higgs.conf", run->folder);
	snprintf(log, sizeof(log), "%s/agent.log", run->folder);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDERR_FILENO);
	execl(AGENT_PROGRAM, "higgs-agent", "-c", config, "-v", (char *)NULL);
	_exit(127);
}

void
agent_run_start(struct agent_run *run)
{
	assert_int_equal(run->pid, 0);
	run->pid = fork();
	assert_true(run->pid >= 0);
	if (run->pid == 0)
		become_agent(run);
}

void
agent_run_signal(struct agent_run *run, int signal)
{
	int status;

	assert_int_equal(kill(run->pid, signal), 0);
	assert_int_equal(waitpid(run->pid, &status, 0), run->pid);
	run->pid = 0;
	run->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static bool
has_ended(struct agent_run *run, void *arg)
{
	int status;

	(void)arg;
	if (run->pid && waitpid(run->pid, &status, WNOHANG) == run->pid) {
		run->pid = 0;
		run->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	}
	return run->pid == 0;
}

void
agent_run_wait_exit(struct agent_run *run)
{
	agent_run_until(run, has_ended, NULL, "the agent's end");
}

static void
on_turn(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

void
agent_run_until(struct agent_run *run, agent_run_fn is_true, void *arg, const char *what)
{
	int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;
	struct loop_timer *turn = NULL;

	/* The loop runs all the time; the condition is looked at TURN_MS apart. */
	assert_int_equal(loop_timer_start(run->loop, TURN_MS, TURN_MS, on_turn, NULL, &turn), 0);
	while (!is_true(run, arg)) {
		if (clock_monotonic_ms() > deadline_ms) {
			show_log(run);
			fail_msg("waited in vain for %s", what);
		}
		assert_int_equal(loop_run(run->loop), 0);
	}
	loop_timer_stop(&turn);
}

/* ---- calls ---- */

static void
on_answer(const ProtobufCMessage *reply, void *closure_data)
{
	struct agent_run *run = closure_data;
	uint8_t bytes[65536];
	size_t n = reply ? protobuf_c_message_get_packed_size(reply) : 0;

	run->has_answer = true;
	run->result = *bus_peer_result(run->agent);
	if (!reply)
		return;
	assert_true(n <= sizeof(bytes));
	protobuf_c_message_pack(reply, bytes);
	run->reply = protobuf_c_message_unpack(reply->descriptor, NULL, n, bytes);
}

static void
on_opened(const Boson__Link__SessionOpened *reply, void *arg)
{
	on_answer(reply ? &reply->base : NULL, arg);
}

static void
on_empty(const Boson__Common__Empty *reply, void *arg)
{
	on_answer(reply ? &reply->base : NULL, arg);
}

static void
on_snapshot(const Boson__Node__SnapshotReply *reply, void *arg)
{
	on_answer(reply ? &reply->base : NULL, arg);
}

/* One call, made again while nobody listens yet. */
struct call {
	void (*send)(struct agent_run *run, ProtobufCService *service, const void *message);
	const void *message;
	bool is_sent;
};

static bool
is_answered_by_the_agent(struct agent_run *run, void *arg)
{
	struct call *call = arg;

	if (call->is_sent && !run->has_answer)
		return false;
	if (call->is_sent &&
	    !(run->result.status == BUS_UNAVAILABLE && strncmp(run->result.code, "peer_", 5) == 0))
		return true;
	call->is_sent = true;
	run->has_answer = false;
	bus_peer_next(run->agent, CALL_MS, NULL);
	call->send(run, bus_peer_service(run->agent), call->message);
	return false;
}

static const void *
call_agent(struct agent_run *run,
	   void (*send)(struct agent_run *run, ProtobufCService *service, const void *message),
	   const void *message, const char *what)
{
	struct call call = { send, message, false };

	drop_reply(run);
	agent_run_until(run, is_answered_by_the_agent, &call, what);
	return run->reply;
}

static void
send_admit(struct agent_run *run, ProtobufCService *service, const void *message)
{
	boson__node__agent__admit_session(service, message, on_opened, run);
}

static void
send_end(struct agent_run *run, ProtobufCService *service, const void *message)
{
	boson__node__agent__end_session(service, message, on_empty, run);
}

static void
send_snapshot(struct agent_run *run, ProtobufCService *service, const void *message)
{
	boson__node__agent__snapshot(service, message, on_snapshot, run);
}

static void
send_report(struct agent_run *run, ProtobufCService *service, const void *message)
{
	boson__node__agent__report(service, message, on_empty, run);
}

const Boson__Link__SessionOpened *
agent_run_admit(struct agent_run *run, const char *session_id, const char *key,
		int64_t expires_at_ms)
{
	Boson__Link__SessionOpen message = BOSON__LINK__SESSION_OPEN__INIT;

	message.session_id = (char *)(uintptr_t)session_id;
	message.client_public_key = (char *)(uintptr_t)key;
	message.has_expires_at = 1;
	message.expires_at = expires_at_ms;
	message.has_request_id = 1;
	message.request_id = 42;
	return call_agent(run, send_admit, &message, "the answer to AdmitSession");
}

void
agent_run_end(struct agent_run *run, const char *session_id)
{
	Boson__Link__SessionClose message = BOSON__LINK__SESSION_CLOSE__INIT;

	message.session_id = (char *)(uintptr_t)session_id;
	(void)call_agent(run, send_end, &message, "the answer to EndSession");
}

const Boson__Node__SnapshotReply *
agent_run_snapshot(struct agent_run *run)
{
	Boson__Common__Empty message = BOSON__COMMON__EMPTY__INIT;

	return call_agent(run, send_snapshot, &message, "the answer to Snapshot");
}

void
agent_run_report(struct agent_run *run)
{
	Boson__Node__ForwarderReport message = BOSON__NODE__FORWARDER_REPORT__INIT;

	message.leg_state = (char *)(uintptr_t) "attached";
	(void)call_agent(run, send_report, &message, "the answer to Report");
}
