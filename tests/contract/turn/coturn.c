/* coturn: see the header. */
#include "coturn.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { ARGUMENT_BYTES = 320 };

static bool
bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool done = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;

	if (fd >= 0)
		(void)close(fd);
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
	if (unshare(CLONE_NEWNET) != 0 || !bring_loopback_up()) {
		print_message("skipped: cannot make a network namespace (root needed)\n");
		return false;
	}
	return true;
}

static void
exec_quietly(char *const *arguments)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)dup2(null, STDOUT_FILENO);
	(void)dup2(null, STDERR_FILENO);
	(void)execv(arguments[0], arguments);
	_exit(127);
}

static bool
listens(void *arg)
{
	FILE *file = fopen("/proc/self/net/udp", "r");
	char line[256];
	bool found = false;

	(void)arg;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		found = found || strstr(line, "0100007F:0D96") != NULL; /* 127.0.0.1:3478 */
	(void)fclose(file);
	return found;
}

pid_t
coturn_start(struct rig *rig, const char *secret)
{
	char secret_argument[ARGUMENT_BYTES], users[ARGUMENT_BYTES], pid_file[ARGUMENT_BYTES];
	char *arguments[] = { "/usr/bin/turnserver",
			      "-n",
			      "--listening-port=3478",
			      "--listening-ip=127.0.0.1",
			      "--relay-ip=127.0.0.1",
			      "--use-auth-secret",
			      secret_argument,
			      "--realm=higgs",
			      "--no-tcp",
			      "--no-tls",
			      "--no-dtls",
			      "--no-cli",
			      "--allow-loopback-peers",
			      "--log-file=stdout",
			      users,
			      pid_file,
			      NULL };
	pid_t process;

	(void)snprintf(secret_argument, sizeof(secret_argument), "--static-auth-secret=%s", secret);
	(void)snprintf(users, sizeof(users), "--userdb=%s/turndb", rig->folder);
	(void)snprintf(pid_file, sizeof(pid_file), "--pidfile=%s/turnserver.pid", rig->folder);
	process = fork();
	assert_true(process >= 0);
	if (process == 0)
		exec_quietly(arguments);
	rig_wait(rig, listens, NULL, "coturn");
	return process;
}

void
coturn_stop(pid_t process)
{
	(void)kill(process, SIGKILL);
	(void)waitpid(process, NULL, 0);
}

bool
coturn_accepts(const char *username, const char *password)
{
	char *arguments[] = { "/usr/bin/turnutils_uclient",
			      "-u",
			      (char *)(uintptr_t)username,
			      "-w",
			      (char *)(uintptr_t)password,
			      "-p",
			      "3478",
			      "-n",
			      "1",
			      "-m",
			      "1",
			      "-c",
			      "-y",
			      "127.0.0.1",
			      NULL };
	int status = 0;
	pid_t process = fork();

	assert_true(process >= 0);
	if (process == 0)
		exec_quietly(arguments);
	assert_int_equal(waitpid(process, &status, 0), process);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
