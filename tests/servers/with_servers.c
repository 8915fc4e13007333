/*
 * with_servers PROGRAM [ARGUMENTS]: runs a test while a PostgreSQL and a Redis of its own are
 * there, told to it by RIG_POSTGRESQL (a URL without a schema) and RIG_REDIS. Exits as the test
 * does; 77 when one of the packages is not installed.
 */
#include "servers.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { USAGE = 64 };

static int
run(char *const *arguments)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execv(arguments[0], arguments);
		perror(arguments[0]);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return EXIT_FAILURE;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static void
tell(const struct servers *servers)
{
	char url[SERVERS_URL_BYTES];

	servers_postgresql_url(servers, "x", url);
	*strstr(url, "&schema=") = '\0';
	setenv("RIG_POSTGRESQL", url, 1);
	servers_redis_url(servers, url);
	setenv("RIG_REDIS", url, 1);
}

int
main(int argc, char **argv)
{
	struct servers servers;
	int result;

	if (argc < 2) {
		fprintf(stderr, "usage: with_servers PROGRAM [ARGUMENTS]\n");
		return USAGE;
	}
	result = servers_begin(&servers, SERVERS_BOTH);
	if (result != 0)
		return result;
	tell(&servers);
	result = run(argv + 1);
	servers_fini(&servers);
	return result;
}
