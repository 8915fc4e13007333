/*
 * cache_redis: one connection to a Redis, between the driver (cache_redis.c), its protocol
 * (cache_redis_link.c) and its socket (cache_redis_socket.c). Only shared/cache includes this.
 */
#pragma once

#include "cache/cache_driver.h"
#include "loop/lookup.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/socket.h>

enum {
	REDIS_PREFIX_BYTES = 64,
	REDIS_PATH_BYTES = 256,
	REDIS_USER_BYTES = 64,
	REDIS_SECRET_BYTES = 256,
	REDIS_ARGUMENTS_MAX = 8,
};

struct redis_target {
	char host[LOOKUP_HOST_BYTES]; /* a name to be looked up, or "": */
	struct sockaddr_storage address;
	uint16_t port; /* for the addresses of a name */
	unsigned database;
	char prefix[REDIS_PREFIX_BYTES];
	char user[REDIS_USER_BYTES]; /* "": the default user */
	char passfile[REDIS_PATH_BYTES];
};

struct redis {
	struct redis_target target;
	struct lookup *lookup; /* of a name, while it lasts */
	struct sockaddr_storage places[LOOKUP_MAX];
	size_t places_n, place; /* the one to try first */
	int fd;			/* -1: none */
	redisReader *reader;
	redisReplyObjectFunctions functions; /* the reader's */
	int64_t not_before_ms;		     /* while a failure is fresh nothing is tried */
	int64_t logged_at_ms;
};

/* 0, or -EINVAL with a reason. */
int redis_target_parse(const char *location, struct redis_target *ret, char *ret_error,
		       size_t error_bytes);

/* Connects a socket to the first place that takes us, looking up the name anew. 0, or -EIO with
 * what failed and why; then the next call goes on with the next place. */
int redis_socket_open(struct redis *redis, int64_t deadline_ms, const char **ret_what,
		      const char **ret_why);
void redis_socket_close(struct redis *redis);
/* Whether fd was ready for these events of poll before the deadline. */
bool redis_socket_wait(int fd, short events, int64_t deadline_ms);

struct redis_command {
	int n;
	const char *arguments[REDIS_ARGUMENTS_MAX];
	size_t lengths[REDIS_ARGUMENTS_MAX];
};

/* Asks, within a hard time limit, connecting first if need be. 0 and a reply that is no error, for
 * freeReplyObject; -ENOEXEC when Redis does not know the script; else -EIO. After a failure of the
 * connection all calls are -EIO at once for a while. */
int redis_link_ask(struct redis *redis, const struct redis_command *command, redisReply **ret);
void redis_link_close(struct redis *redis);
