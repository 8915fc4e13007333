/* See servers.h. */
#include "servers.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	START_MS = 60 * 1000,
	POLL_MS = 20,
	CHILDREN_BYTES = 1024,
	BACKENDS_MAX = 64,
	ARGUMENTS_MAX = 16,
	SKIPPED = 77,
};

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* PostgreSQL refuses to run as root. */
static void
become_postgres(void)
{
	const struct passwd *user = getuid() == 0 ? getpwnam("postgres") : NULL;

	if (user == NULL)
		return;
	if (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
	    setuid(user->pw_uid) < 0)
		_exit(126);
}

/* In a process group of its own, so that all of it can be signalled. */
static pid_t
spawn(const struct servers *servers, const char *const *arguments, bool as_postgres)
{
	pid_t parent = getpid(), child = fork();
	char log[SERVERS_PATH_BYTES];
	int fd;

	if (child != 0)
		return child;
	setpgid(0, 0);
	snprintf(log, sizeof(log), "%s/log", servers->folder);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	fd = open("/dev/null", O_RDONLY);
	dup2(fd, STDIN_FILENO);
	if (as_postgres)
		become_postgres();
	/* after the change of user, which clears it */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(125);
	if (chdir(servers->folder) < 0)
		_exit(124);
	execv(arguments[0], (char *const *)(uintptr_t)arguments);
	_exit(127);
}

static bool
run(const struct servers *servers, const char *const *arguments, bool as_postgres)
{
	int status = 0;
	pid_t child = spawn(servers, arguments, as_postgres);

	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static void
show_log(const struct servers *servers)
{
	char path[SERVERS_PATH_BYTES], line[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/log", servers->folder);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		fputs(line, stderr);
	if (file != NULL)
		fclose(file);
}

int
servers_init(struct servers *servers)
{
	memset(servers, 0, sizeof(*servers));
	snprintf(servers->folder, sizeof(servers->folder), "/tmp/boson-servers-XXXXXX");
	if (mkdtemp(servers->folder) == NULL)
		return -1;
	return chmod(servers->folder, 01777); /* two users write to it */
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
servers_fini(struct servers *servers)
{
	servers_postgresql_kill(servers);
	servers_redis_kill(servers);
	if (servers->folder[0] != '\0')
		(void)nftw(servers->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	servers->folder[0] = '\0';
}

int
servers_begin(struct servers *servers, unsigned which)
{
	int result = servers_init(servers);

	if (result == 0 && (which & SERVERS_POSTGRESQL) != 0)
		result = servers_postgresql_start(servers);
	if (result == 0 && (which & SERVERS_REDIS) != 0)
		result = servers_redis_start(servers);
	if (result != 0)
		servers_fini(servers);
	return result == 0 ? 0 : result > 0 ? SKIPPED : EXIT_FAILURE;
}

/* ---- PostgreSQL ---- */

static void
program(const struct servers *servers, const char *name, char ret[SERVERS_PATH_BYTES])
{
	snprintf(ret, SERVERS_PATH_BYTES, "%.*s/%s",
		 (int)(strrchr(servers->postgresql_program, '/') - servers->postgresql_program),
		 servers->postgresql_program, name);
}

static bool
find_postgresql(struct servers *servers)
{
	glob_t found;

	if (glob("/usr/lib/postgresql/*/bin/postgres", 0, NULL, &found) == 0) {
		snprintf(servers->postgresql_program, sizeof(servers->postgresql_program), "%s",
			 found.gl_pathv[found.gl_pathc - 1]);
		globfree(&found);
	}
	return servers->postgresql_program[0] != '\0';
}

static bool
make_cluster(const struct servers *servers, const char *data)
{
	char initdb[SERVERS_PATH_BYTES];
	const char *const arguments[] = { initdb,  "-D",	data,	       "-A",
					  "trust", "--no-sync", "--no-locale", "-E",
					  "UTF8",  "-U",	"postgres",    NULL };

	if (access(data, F_OK) == 0)
		return true;
	program(servers, "initdb", initdb);
	return run(servers, arguments, true);
}

bool
servers_postgresql_sql(const struct servers *servers, const char *sql)
{
	char psql[SERVERS_PATH_BYTES];
	const char *const arguments[] = { psql,
					  "-X",
					  "-q",
					  "-h",
					  servers->folder,
					  "-U",
					  "postgres",
					  "-v",
					  "ON_ERROR_STOP=1",
					  "-c",
					  sql,
					  "postgres",
					  NULL };

	program(servers, "psql", psql);
	return run(servers, arguments, false);
}

int
servers_postgresql_start(struct servers *servers)
{
	char data[SERVERS_PATH_BYTES];
	/* no fsync: what is killed here are processes, not the kernel */
	const char *const arguments[] = {
		servers->postgresql_program,
		"-D",
		data,
		"-k",
		servers->folder,
		"-c",
		"listen_addresses=",
		"-c",
		servers->is_large ? "fsync=on" : "fsync=off",
		"-c",
		servers->is_large ? "shared_buffers=1GB" : "shared_buffers=16MB",
		"-c",
		servers->is_large ? "max_wal_size=8GB" : "max_wal_size=1GB",
		"-c",
		"dynamic_shared_memory_type=mmap",
		NULL
	};
	int64_t deadline_ms = now_ms() + START_MS;

	if (!find_postgresql(servers)) {
		fprintf(stderr, "skipped: the package postgresql is not installed\n");
		return 1;
	}
	snprintf(data, sizeof(data), "%s/data", servers->folder);
	if (make_cluster(servers, data)) {
		servers->postgresql = spawn(servers, arguments, true);
		while (servers->postgresql > 0 && now_ms() < deadline_ms &&
		       waitpid(servers->postgresql, NULL, WNOHANG) == 0) {
			if (servers_postgresql_sql(servers, "SELECT 1"))
				return 0;
			(void)poll(NULL, 0, POLL_MS); /* of another process: no event here */
		}
	}
	show_log(servers);
	return -1;
}

int
servers_postgresql_follow(struct servers *standby, const struct servers *primary)
{
	char basebackup[SERVERS_PATH_BYTES], data[SERVERS_PATH_BYTES];
	const char *const arguments[] = { basebackup, "-h",	   primary->folder,
					  "-U",	      "postgres",  "-D",
					  data,	      "-R",	   "-c",
					  "fast",     "--no-sync", NULL };

	if (!find_postgresql(standby))
		return servers_postgresql_start(standby); /* which says so */
	program(standby, "pg_basebackup", basebackup);
	snprintf(data, sizeof(data), "%s/data", standby->folder);
	(void)nftw(data, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (!run(standby, arguments, true)) {
		show_log(standby);
		return -1;
	}
	return servers_postgresql_start(standby);
}

/* The backends lead process groups of their own, but are children of the first, as long as it
 * lives.
 */
static size_t
list_backends(const struct servers *servers, pid_t ret[BACKENDS_MAX])
{
	char path[64], children[CHILDREN_BYTES] = "", *next = children;
	size_t n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)servers->postgresql,
		 (int)servers->postgresql);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fgets(children, sizeof(children), file) == NULL)
		children[0] = '\0';
	fclose(file);
	for (long child; n < BACKENDS_MAX && (child = strtol(next, &next, 10)) > 0;)
		ret[n++] = (pid_t)child;
	return n;
}

void
servers_postgresql_stop(const struct servers *servers, bool stopped)
{
	pid_t backends[BACKENDS_MAX];
	size_t n;

	kill(servers->postgresql, stopped ? SIGSTOP : SIGCONT);
	n = list_backends(servers, backends);
	for (size_t i = 0; i < n; i++)
		kill(backends[i], stopped ? SIGSTOP : SIGCONT);
}

/* Dead, collected by whoever inherited it or not: its memory is no longer in use. */
static bool
is_gone(pid_t process)
{
	char path[64], state = 'Z';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)process);
	file = fopen(path, "r");
	if (file == NULL)
		return true;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	fclose(file);
	return state == 'Z' || state == 'X';
}

void
servers_postgresql_kill(struct servers *servers)
{
	int64_t deadline_ms = now_ms() + START_MS;
	char path[SERVERS_PATH_BYTES];
	pid_t backends[BACKENDS_MAX];
	size_t n;

	if (servers->postgresql <= 0)
		return;
	kill(servers->postgresql, SIGSTOP); /* else it would restart what dies first */
	n = list_backends(servers, backends);
	for (size_t i = 0; i < n; i++)
		kill(backends[i], SIGKILL);
	kill(servers->postgresql, SIGKILL);
	waitpid(servers->postgresql, NULL, 0);
	servers->postgresql = 0;
	for (size_t i = 0; i < n; i++)
		while (!is_gone(backends[i]) && now_ms() < deadline_ms)
			(void)poll(NULL, 0, 1); /* another's child: no event here */
	snprintf(path, sizeof(path), "%s/data/postmaster.pid", servers->folder);
	(void)unlink(path);
}

void
servers_postgresql_url(const struct servers *servers, const char *schema,
		       char ret[SERVERS_URL_BYTES])
{
	snprintf(ret, SERVERS_URL_BYTES, "postgresql:///postgres?host=%s&user=postgres&schema=%s",
		 servers->folder, schema);
}

/* ---- Redis ---- */

static bool
redis_answers(const struct servers *servers)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct pollfd fd = { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
			     .events = POLLIN };
	char answer[8] = "";

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/redis.sock", servers->folder);
	if (connect(fd.fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    send(fd.fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 && poll(&fd, 1, 1000) == 1 &&
	    recv(fd.fd, answer, sizeof(answer) - 1, 0) < 0)
		answer[0] = '\0';
	close(fd.fd);
	return strncmp(answer, "+PONG", 5) == 0;
}

int
servers_redis_start(struct servers *servers)
{
	char path[SERVERS_PATH_BYTES];
	const char *const arguments[] = { "/usr/bin/redis-server",
					  "--port",
					  "0",
					  "--unixsocket",
					  path,
					  "--unixsocketperm",
					  "777",
					  "--save",
					  "",
					  "--appendonly",
					  "no",
					  "--dir",
					  servers->folder,
					  NULL };
	int64_t deadline_ms = now_ms() + START_MS;

	if (access(arguments[0], X_OK) != 0) {
		fprintf(stderr, "skipped: the package redis-server is not installed\n");
		return 1;
	}
	snprintf(path, sizeof(path), "%s/redis.sock", servers->folder);
	servers->redis = spawn(servers, arguments, false);
	while (servers->redis > 0 && now_ms() < deadline_ms &&
	       waitpid(servers->redis, NULL, WNOHANG) == 0) {
		if (redis_answers(servers))
			return 0;
		(void)poll(NULL, 0, POLL_MS);
	}
	show_log(servers);
	return -1;
}

void
servers_redis_stop(const struct servers *servers, bool stopped)
{
	kill(servers->redis, stopped ? SIGSTOP : SIGCONT);
}

void
servers_redis_kill(struct servers *servers)
{
	if (servers->redis <= 0)
		return;
	kill(servers->redis, SIGKILL);
	waitpid(servers->redis, NULL, 0);
	servers->redis = 0;
}

bool
servers_redis_command(const struct servers *servers, const char *const *arguments)
{
	const char *all[ARGUMENTS_MAX + 4] = { "/usr/bin/redis-cli", "-s" };
	char path[SERVERS_PATH_BYTES];
	size_t n = 2;

	snprintf(path, sizeof(path), "%s/redis.sock", servers->folder);
	all[n++] = path;
	for (size_t i = 0; arguments[i] != NULL && i < ARGUMENTS_MAX; i++)
		all[n++] = arguments[i];
	all[n] = NULL;
	return run(servers, all, false);
}

void
servers_redis_url(const struct servers *servers, char ret[SERVERS_URL_BYTES])
{
	snprintf(ret, SERVERS_URL_BYTES, "redis://%s/redis.sock", servers->folder);
}
