/*
 * servers: a PostgreSQL and a Redis of our own for tests, on unix sockets in a folder under /tmp,
 * nothing else. They run until servers_fini, or until the program that started them is gone.
 * Uses no library of either, so that what a test sees does not come from what it tests.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

enum { SERVERS_PATH_BYTES = 128, SERVERS_URL_BYTES = 256 };

/* for servers_begin */
enum { SERVERS_POSTGRESQL = 1, SERVERS_REDIS = 2, SERVERS_BOTH = 3 };

struct servers {
	char folder[64];
	char postgresql_program[SERVERS_PATH_BYTES];
	bool is_large; /* PostgreSQL as for much data: 1 GB of buffers, fsync; else 16 MB, none */
	pid_t postgresql, redis;
};

/* servers_init, and starts which. 0, or what a test program is to exit with: 77 when a package is
 * not installed, else EXIT_FAILURE; then nothing is left to end. */
int servers_begin(struct servers *servers, unsigned which);

/* Makes the folder. 0, or -1. */
int servers_init(struct servers *servers);
void servers_fini(struct servers *servers);

/* 0 when it answers; 1 when its Debian package is not installed, said on stderr; -1 otherwise,
 * said, too. May be called again after servers_*_kill: same folder, same data (Redis: none). */
int servers_postgresql_start(struct servers *servers);
int servers_redis_start(struct servers *servers);

/* Makes `standby` a hot standby of the running primary, whatever it was before, and starts it. As
 * servers_postgresql_start. */
int servers_postgresql_follow(struct servers *standby, const struct servers *primary);

/* SIGKILL to all of it; waits until it is gone. */
void servers_postgresql_kill(struct servers *servers);
void servers_redis_kill(struct servers *servers);

/* SIGSTOP and SIGCONT to all of its processes. */
void servers_postgresql_stop(const struct servers *servers, bool stopped);
void servers_redis_stop(const struct servers *servers, bool stopped);

/* "postgresql://postgres@/postgres?host=...&schema=NAME" */
void servers_postgresql_url(const struct servers *servers, const char *schema,
			    char ret[SERVERS_URL_BYTES]);
/* "redis:///.../redis.sock" */
void servers_redis_url(const struct servers *servers, char ret[SERVERS_URL_BYTES]);

/* Statements by psql, as the superuser; true when they worked. */
bool servers_postgresql_sql(const struct servers *servers, const char *sql);
/* One command by redis-cli. */
bool servers_redis_command(const struct servers *servers, const char *const *arguments);
