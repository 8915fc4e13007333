/*
 * lab_command: programs in the client's namespace: `higgs` and others.
 */
#include "lab.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGUMENTS_MAX = 40, COMMAND_MAX_MS = 60 * 1000 };

extern char **environ;

pid_t
lab_start(struct lab *lab, const char *const *argv, int *ret_output_fd)
{
	const char *all[ARGUMENTS_MAX] = { "ip", "netns", "exec", lab->name };
	posix_spawn_file_actions_t actions;
	size_t n = 4;
	pid_t pid;
	int fds[2];

	for (size_t i = 0; argv[i] != NULL && n + 1 < ARGUMENTS_MAX; i++)
		all[n++] = argv[i];
	all[n] = NULL;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	if (ret_output_fd == NULL) {
		close(fds[1]);
		fds[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	}
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 1);
	posix_spawn_file_actions_adddup2(&actions, fds[1], 2);
	int r = posix_spawnp(&pid, "ip", &actions, NULL, (char *const *)(uintptr_t)all, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	if (r != 0 || ret_output_fd == NULL)
		close(fds[0]);
	else
		*ret_output_fd = fds[0];
	return r == 0 ? pid : -1;
}

int
lab_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
lab_run(struct lab *lab, const char *const *argv, char *ret_output)
{
	size_t n = 0;
	int fd = -1;
	pid_t pid = lab_start(lab, argv, &fd);

	if (pid < 0)
		return -1;
	for (;;) {
		struct pollfd output = { .fd = fd, .events = POLLIN };
		char text[4096];
		if (poll(&output, 1, COMMAND_MAX_MS) <= 0)
			break;
		ssize_t got = read(fd, text, sizeof text);
		if (got <= 0)
			break;
		if (ret_output != NULL && n + (size_t)got < LAB_TEXT_BYTES) {
			memcpy(ret_output + n, text, (size_t)got);
			n += (size_t)got;
		}
	}
	if (ret_output != NULL)
		ret_output[n] = '\0';
	close(fd);
	return lab_wait(pid);
}

static void
higgs_arguments(struct lab *lab, const char *command, const char *const *more, char server[64],
		char interface[16], const char *ret[ARGUMENTS_MAX])
{
	bool asks = strcmp(command, "connect") == 0 || strcmp(command, "nodes") == 0;
	size_t n = 0;

	snprintf(server, 64, "https://%s:%u", lab->host, lab->relay.port);
	snprintf(interface, 16, "hgc%d", (int)getpid() % 100000);
	ret[n++] = HIGGS_PROGRAM;
	ret[n++] = command;
	if (strcmp(command, "nodes") != 0) {
		ret[n++] = "--state";
		ret[n++] = lab->state;
	}
	if (strcmp(command, "connect") == 0) {
		ret[n++] = "--interface";
		ret[n++] = interface;
	}
	if (asks) {
		ret[n++] = "--server";
		ret[n++] = server;
		ret[n++] = "--key-file";
		ret[n++] = lab->access_key;
		ret[n++] = "--ca";
		ret[n++] = lab->certificate;
	}
	while (more != NULL && *more != NULL)
		ret[n++] = *more++;
	ret[n] = NULL;
}

int
lab_higgs(struct lab *lab, const char *command, const char *const *more, char *ret_output)
{
	const char *argv[ARGUMENTS_MAX];
	char server[64], interface[16];

	higgs_arguments(lab, command, more, server, interface, argv);
	return lab_run(lab, argv, ret_output);
}

pid_t
lab_higgs_start(struct lab *lab, const char *command, const char *const *more, int *ret_output_fd)
{
	const char *argv[ARGUMENTS_MAX];
	char server[64], interface[16];

	higgs_arguments(lab, command, more, server, interface, argv);
	return lab_start(lab, argv, ret_output_fd);
}

void
lab_kernel_state(struct lab *lab, char *ret_text)
{
	const char *argv[] = {
		"sh", "-c",
		"nft list ruleset; ip rule; ip -6 rule; ip route show table all | sort; "
		"ip -6 route show table all | sed 's/expires [0-9]*sec//' | sort; "
		"ip -br link; cat /etc/resolv.conf",
		NULL
	};

	lab_run(lab, argv, ret_text);
}

bool
lab_has_processes(struct lab *lab)
{
	char command[64], line[32];

	snprintf(command, sizeof command, "ip netns pids %s", lab->name);
	FILE *list = popen(command, "r");
	bool has = list == NULL || fgets(line, sizeof line, list) != NULL;
	if (list != NULL)
		pclose(list);
	return has;
}
