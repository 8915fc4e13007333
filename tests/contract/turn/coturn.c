/* coturn: see the header. */
#include "coturn.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENT_BYTES = 320, OUTPUT_BYTES = 64 * 1024 };

static bool
run_ip(const char *arguments)
{
	char command[ARGUMENT_BYTES + 8];

	(void)snprintf(command, sizeof(command), "ip %s", arguments);
	return system(command) == 0;
}

static bool
make_addresses(void)
{
	static const char *const addresses[] = {
		COTURN_SERVER, COTURN_SERVER_OTHER, COTURN_SERVER6,  COTURN_PEER,
		COTURN_PEER6,  COTURN_LAN,	    COTURN_METADATA, COTURN_METADATA6,
	};
	char arguments[ARGUMENT_BYTES];
	bool done = run_ip("link set lo up");

	for (size_t i = 0; done && i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		(void)snprintf(arguments, sizeof(arguments), "address add %s/%d dev lo%s",
			       addresses[i], strchr(addresses[i], ':') == NULL ? 32 : 128,
			       strchr(addresses[i], ':') == NULL ? "" : " nodad");
		done = run_ip(arguments);
	}
	return done;
}

bool
coturn_prepare(void)
{
	if (access("/usr/bin/turnserver", X_OK) != 0 ||
	    access("/usr/bin/turnutils_uclient", X_OK) != 0) {
		print_message("skipped: coturn (turnserver, turnutils_uclient) is not installed\n");
		return false;
	}
	if (unshare(CLONE_NEWNET) != 0 || !make_addresses()) {
		print_message("skipped: cannot make a network namespace (root needed)\n");
		return false;
	}
	return true;
}

static void
exec_into(char *const *arguments, int output)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(output, STDOUT_FILENO);
	(void)dup2(output, STDERR_FILENO);
	(void)execv(arguments[0], arguments);
	_exit(127);
}

static pid_t
spawn(char *const *arguments)
{
	pid_t process = fork();

	assert_true(process >= 0);
	if (process == 0)
		exec_into(arguments, open("/dev/null", O_RDWR | O_CLOEXEC));
	return process;
}

/* arg: a local address and port as /proc/net/udp has it. */
static bool
listens(void *arg)
{
	FILE *file = fopen("/proc/self/net/udp", "r");
	char line[256];
	bool found = false;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		found = found || strstr(line, arg) != NULL;
	(void)fclose(file);
	return found;
}

pid_t
coturn_start(struct rig *rig, const char *config_path)
{
	char users[ARGUMENT_BYTES], pid_file[ARGUMENT_BYTES], listener[] = "01050505:0D96";
	char *arguments[] = { "/usr/bin/turnserver",
			      "-c",
			      (char *)(uintptr_t)config_path,
			      "--log-file=stdout",
			      users,
			      pid_file,
			      NULL };
	pid_t process;

	(void)snprintf(users, sizeof(users), "--userdb=%s/turndb", rig->folder);
	(void)snprintf(pid_file, sizeof(pid_file), "--pidfile=%s/turnserver.pid", rig->folder);
	process = spawn(arguments);
	rig_wait(rig, listens, listener, "coturn");
	return process;
}

void
coturn_stop(pid_t process)
{
	(void)kill(process, SIGKILL);
	(void)waitpid(process, NULL, 0);
}

pid_t
coturn_start_echo(struct rig *rig, const char *address)
{
	char *arguments[] = { "/usr/bin/turnutils_peer",  "-p", "3480", "-L",
			      (char *)(uintptr_t)address, NULL };
	char listener[32];
	struct in_addr parsed;
	pid_t process = spawn(arguments);

	assert_int_equal(inet_pton(AF_INET, address, &parsed), 1);
	(void)snprintf(listener, sizeof(listener), "%08X:0D98", parsed.s_addr);
	rig_wait(rig, listens, listener, "the echo service");
	return process;
}

/* What it printed; uclient does not say by its exit code whether anything came back. */
static void
run_client(char *const *arguments, char *ret_text, size_t n)
{
	int ends[2];
	size_t length = 0;
	ssize_t got;
	pid_t process;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	process = fork();
	assert_true(process >= 0);
	if (process == 0)
		exec_into(arguments, ends[1]);
	(void)close(ends[1]);
	while ((got = read(ends[0], ret_text + length, n - 1 - length)) > 0)
		length += (size_t)got;
	ret_text[length] = '\0';
	(void)close(ends[0]);
	assert_int_equal(waitpid(process, NULL, 0), process);
}

bool
coturn_relays(const char *username, const char *password, const char *peer)
{
	static char text[OUTPUT_BYTES];
	char *arguments[] = { "/usr/bin/turnutils_uclient",
			      "-u",
			      (char *)(uintptr_t)username,
			      "-w",
			      (char *)(uintptr_t)password,
			      "-p",
			      "3478",
			      "-e",
			      (char *)(uintptr_t)peer,
			      "-r",
			      "3480",
			      "-n",
			      "1",
			      "-m",
			      "1",
			      "-c",
			      COTURN_SERVER,
			      NULL };

	run_client(arguments, text, sizeof(text));
	return strstr(text, "tot_recv_msgs=1") != NULL || strstr(text, "tot_recv_msgs=2") != NULL;
}
