/*
 * cache_redis: one connection to a Redis, between the driver (cache_redis.c) and its socket
 * (cache_redis_link.c). Only shared/cache includes this.
 */
#pragma once

#include "cache/cache_driver.h"

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
	struct sockaddr_storage address;
	socklen_t address_n;
	unsigned database;
	char prefix[REDIS_PREFIX_BYTES];
	char user[REDIS_USER_BYTES]; /* "": the default user */
	char passfile[REDIS_PATH_BYTES];
};

struct redis {
	struct redis_target target;
	int fd; /* -1: none */
	redisReader *reader;
	redisReplyObjectFunctions functions; /* the reader's */
	int64_t not_before_ms; /* while a failure is fresh nothing is tried */
	int64_t logged_at_ms;
};

/* 0, or -EINVAL with a reason. */
int redis_target_parse(const char *location, struct redis_target *ret, char *ret_error,
		       size_t error_bytes);

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
