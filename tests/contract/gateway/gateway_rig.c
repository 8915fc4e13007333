/*
 * gateway_rig: processes in a folder; see the header.
 */
#include "gateway_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 20, LINE_BYTES = 512 };

int64_t
rig_now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool
write_config(const struct rig *rig, const char *extra)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/boson.conf", rig->folder);
	FILE *out = fopen(path, "w");
	if (out == NULL)
		return false;
	fprintf(out,
		"[service]\nstate = %s/state\nrun = %s/run\n[log]\nlevel = info\n"
		"[admin]\ngateway = off\ndiscovery = off\nturn = off\nrouting = off\nmetrics = "
		"off\n"
		"[gateway]\n%s",
		rig->folder, rig->folder,
		extra != NULL && strstr(extra, "listen =") != NULL ? "" : "listen = 127.0.0.1:0\n");
	if (rig->is_tls)
		fprintf(out, "certificate = %s/cert.pem\nprivate_key = %s/key.pem\n", rig->folder,
			rig->folder);
	fprintf(out, "%s\n", extra != NULL ? extra : "");
	return fclose(out) == 0;
}

/* stderr goes to log, or is kept when log is -1. */
static pid_t
spawn(const struct rig *rig, const char *program, int log)
{
	char config[128];
	snprintf(config, sizeof(config), "%s/boson.conf", rig->folder);
	pid_t parent = getpid(), pid = fork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (log >= 0)
		dup2(log, STDERR_FILENO);
	execl(program, program, "-c", config, (char *)NULL);
	_exit(127);
}

static bool
make_certificate(const struct rig *rig)
{
	char command[512];
	snprintf(
		command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
		"-subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 -keyout %s/key.pem -out "
		"%s/cert.pem 2>/dev/null && chmod 600 %s/key.pem",
		rig->folder, rig->folder, rig->folder);
	return system(command) == 0;
}

/* Reads the gateway's log until it says on which port it listens, and passes it on: what it said
 * since may have come with that. */
static bool
wait_for_port(struct rig *rig)
{
	char text[16384];
	size_t n = 0;
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	while (n + 1 < sizeof(text) && rig_now_ms() < deadline_ms) {
		struct pollfd ready = { .fd = rig->log, .events = POLLIN };
		if (poll(&ready, 1, POLL_MS) <= 0)
			continue;
		ssize_t got = read(rig->log, text + n, sizeof(text) - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
		text[n] = '\0';
		const char *line = strstr(text, "gateway_listening ");
		if (line != NULL && strchr(line, '\n') != NULL) {
			rig->port = (uint16_t)atoi(strstr(line, "port=") + 5);
			return write(STDERR_FILENO, text, n) == (ssize_t)n;
		}
	}
	text[n] = '\0';
	fprintf(stderr, "the gateway did not start:\n%s", text);
	return false;
}

static bool
wait_for_service(const struct rig *rig, const char *name)
{
	char path[64];
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	snprintf(path, sizeof(path), "services.%s.status", name);
	while (rig_now_ms() < deadline_ms) {
		const struct rig_answer *answer =
			rig_request(rig, "GET", "/health", NULL, NULL, NULL);
		const char *status = rig_member(answer, path);
		if (status != NULL && strcmp(status, "healthy") == 0)
			return true;
		poll(NULL, 0, POLL_MS);
	}
	fprintf(stderr, "%s did not answer\n", name);
	return false;
}

/* Passes on what the gateway says, so that its pipe never fills and failures can be read. */
static pid_t
spawn_log_reader(const struct rig *rig)
{
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	char text[4096];
	ssize_t n;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((n = read(rig->log, text, sizeof(text))) > 0) {
		if (write(STDERR_FILENO, text, (size_t)n) < 0)
			break;
	}
	_exit(0);
}

static bool
start_all(struct rig *rig, const char *extra, bool tls, enum rig_services services)
{
	int pipe_fds[2];
	*rig = (struct rig){ .folder = "/tmp/test_gateway.XXXXXX", .is_tls = tls, .log = -1 };
	signal(SIGPIPE, SIG_IGN);
	if (mkdtemp(rig->folder) == NULL || (tls && !make_certificate(rig)) ||
	    !write_config(rig, extra) || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return false;
	rig->log = pipe_fds[0];
	if (services != RIG_ALONE) {
		rig->discovery = spawn(rig, PROGRAM_DISCOVERY, -1);
		rig->turn = spawn(rig, PROGRAM_TURN, -1);
	}
	if (services == RIG_ALL) {
		rig->routing = spawn(rig, PROGRAM_ROUTING, -1);
		rig->metrics = spawn(rig, PROGRAM_METRICS, -1);
	}
	rig->gateway = spawn(rig, PROGRAM_GATEWAY, pipe_fds[1]);
	close(pipe_fds[1]);
	if (!wait_for_port(rig))
		return false;
	spawn_log_reader(rig);
	return (services == RIG_ALONE || wait_for_service(rig, "discovery")) &&
	       (services != RIG_ALL ||
		(wait_for_service(rig, "routing") && wait_for_service(rig, "metrics")));
}

static bool
end(pid_t pid, const char *name)
{
	int status = 0;
	if (pid <= 0)
		return true;
	kill(pid, SIGCONT);
	kill(pid, SIGTERM);
	int64_t deadline_ms = rig_now_ms() + RIG_DEADLINE_MS;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (rig_now_ms() > deadline_ms) {
			fprintf(stderr, "%s did not end\n", name);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return false;
		}
		poll(NULL, 0, POLL_MS);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	fprintf(stderr, "%s ended with status %x\n", name, (unsigned int)status);
	return false;
}

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

bool
rig_stop(struct rig *rig)
{
	bool good = end(rig->gateway, "gateway");
	good = end(rig->routing, "routing") && good;
	good = end(rig->metrics, "metrics") && good;
	good = end(rig->discovery, "discovery") && good;
	good = end(rig->turn, "turn") && good;
	if (rig->log >= 0)
		close(rig->log);
	nftw(rig->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return good;
}

bool
rig_start(struct rig *rig, const char *extra, bool tls, enum rig_services services)
{
	bool good = start_all(rig, extra, tls, services);
	if (!good)
		rig_stop(rig);
	return good;
}

int
rig_refusal(const char *extra, bool tls, bool mismatched)
{
	struct rig rig = { .folder = "/tmp/test_gateway.XXXXXX", .is_tls = tls };
	char command[128];
	int pipe_fds[2], status = 0;
	if (mkdtemp(rig.folder) == NULL || (tls && !make_certificate(&rig)) ||
	    !write_config(&rig, extra) || pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -1;
	snprintf(command, sizeof(command), "openssl genpkey -algorithm ed25519 >%s/key.pem",
		 rig.folder);
	if (mismatched && system(command) != 0)
		return -1;
	rig.log = pipe_fds[0];
	rig.gateway = spawn(&rig, PROGRAM_GATEWAY, pipe_fds[1]);
	close(pipe_fds[1]);
	if (wait_for_port(&rig)) {
		rig_stop(&rig);
		return -1;
	}
	waitpid(rig.gateway, &status, 0);
	rig.gateway = 0;
	rig_stop(&rig);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *
rig_bearer(const struct rig *rig, const char *file)
{
	static char bearer[LINE_BYTES];
	char path[128], line[LINE_BYTES - 16] = "";
	snprintf(path, sizeof(path), "%s/state/gateway/%s", rig->folder, file);
	FILE *in = fopen(path, "r");
	if (in == NULL || fgets(line, sizeof(line), in) == NULL)
		fprintf(stderr, "no %s\n", path);
	if (in != NULL)
		fclose(in);
	line[strcspn(line, "\n")] = '\0';
	snprintf(bearer, sizeof(bearer), "Bearer %s", line);
	return bearer;
}
