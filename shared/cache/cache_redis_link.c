/*
 * cache_redis_link: a question and its answer in bounded time. hiredis does the protocol only: its
 * own sockets are inherited by children, may raise SIGPIPE, and wait anew for each read, so that a
 * slow server could hold us for as long as it likes.
 */
#include "cache/cache_redis.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
	DEADLINE_MS = 200, /* of a call, connecting included */
	PAUSE_MS = 1000,   /* after a failure */
	LOG_PERIOD_MS = 10 * 1000,
	READ_BYTES = 4 * 1024,
	REPLY_MAX_BYTES = 4 * 1024, /* a number, a word or the text of an error */
};

static void
drop(struct redis *redis)
{
	redis_socket_close(redis);
	if (redis->reader != NULL)
		redisReaderFree(redis->reader);
	redis->reader = NULL;
}

void
redis_link_close(struct redis *redis)
{
	drop(redis);
	lookup_stop(&redis->lookup);
}

static void
log_failure(struct redis *redis, const char *what, const char *why)
{
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms - redis->logged_at_ms < LOG_PERIOD_MS)
		return;
	redis->logged_at_ms = now_ms;
	log_warn("cache_failed", "what=%s reason=%s", what, why);
}

/* The circuit breaker: who asks in the next second is not kept waiting. */
static int
fail(struct redis *redis, const char *what, const char *why)
{
	log_failure(redis, what, why);
	drop(redis);
	redis->not_before_ms = clock_monotonic_ms() + PAUSE_MS;
	return -EIO;
}

static int
write_all(struct redis *redis, const char *bytes, size_t n, int64_t deadline_ms)
{
	while (n > 0) {
		ssize_t sent = send(redis->fd, bytes, n, MSG_NOSIGNAL);

		if (sent >= 0) {
			bytes += sent;
			n -= (size_t)sent;
		} else if (errno == EAGAIN) {
			if (!redis_socket_wait(redis->fd, POLLOUT, deadline_ms))
				return fail(redis, "write", "no room in time");
		} else if (errno != EINTR) {
			return fail(redis, "write", strerror(errno));
		}
	}
	return 0;
}

static int
read_reply(struct redis *redis, int64_t deadline_ms, redisReply **ret)
{
	char bytes[READ_BYTES];
	void *reply = NULL;
	size_t total = 0;

	for (;;) {
		ssize_t n;

		if (!redis_socket_wait(redis->fd, POLLIN, deadline_ms))
			return fail(redis, "read", "no answer in time");
		n = recv(redis->fd, bytes, sizeof(bytes), 0);
		if (n == 0)
			return fail(redis, "read", "closed by the server");
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return fail(redis, "read", strerror(errno));
		if (n < 0)
			continue;
		total += (size_t)n;
		if (total > REPLY_MAX_BYTES)
			return fail(redis, "read", "the answer is too long");
		if (redisReaderFeed(redis->reader, bytes, (size_t)n) != REDIS_OK ||
		    redisReaderGetReply(redis->reader, &reply) != REDIS_OK)
			return fail(redis, "read", redis->reader->errstr);
		if (reply != NULL) {
			*ret = reply;
			return 0;
		}
	}
}

static int
exchange(struct redis *redis, const struct redis_command *command, int64_t deadline_ms,
	 redisReply **ret)
{
	char *bytes = NULL;
	long long n = redisFormatCommandArgv(
		&bytes, command->n, (const char **)(uintptr_t)command->arguments, command->lengths);
	int result;

	if (n < 0)
		return -EIO;
	result = write_all(redis, bytes, (size_t)n, deadline_ms);
	redisFreeCommand(bytes);
	return result == 0 ? read_reply(redis, deadline_ms, ret) : result;
}

static void
add(struct redis_command *command, const char *argument)
{
	command->arguments[command->n] = argument;
	command->lengths[command->n++] = strlen(argument);
}

/* A greeting that wants +OK. */
static int
greet(struct redis *redis, const struct redis_command *command, int64_t deadline_ms)
{
	redisReply *reply;
	int result = exchange(redis, command, deadline_ms, &reply);

	if (result < 0)
		return result;
	if (reply->type == REDIS_REPLY_ERROR)
		result = fail(redis, command->arguments[0], reply->str);
	freeReplyObject(reply);
	return result;
}

static int
read_secret(const char *path, char ret[REDIS_SECRET_BYTES])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, ret, REDIS_SECRET_BYTES - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0)
		return -EIO;
	ret[n] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	return 0;
}

static int
authenticate(struct redis *redis, int64_t deadline_ms)
{
	struct redis_command command = { 0 };
	char secret[REDIS_SECRET_BYTES];
	int result;

	if (redis->target.passfile[0] == '\0')
		return 0;
	if (read_secret(redis->target.passfile, secret) < 0)
		return fail(redis, "passfile", strerror(errno));
	add(&command, "AUTH");
	if (redis->target.user[0] != '\0')
		add(&command, redis->target.user);
	add(&command, secret);
	result = greet(redis, &command, deadline_ms);
	explicit_bzero(secret, sizeof(secret));
	return result;
}

static int
select_database(struct redis *redis, int64_t deadline_ms)
{
	struct redis_command command = { 0 };
	char number[16];

	if (redis->target.database == 0)
		return 0;
	snprintf(number, sizeof(number), "%u", redis->target.database);
	add(&command, "SELECT");
	add(&command, number);
	return greet(redis, &command, deadline_ms);
}

/* No command of ours is answered by an array, whose announced length would be allocated. */
static void *
refuse_array(const redisReadTask *task, int elements)
{
	(void)task;
	(void)elements;
	return NULL;
}

static int
open_socket(struct redis *redis, int64_t deadline_ms)
{
	const char *what, *why;

	redis->reader = redisReaderCreate();
	if (redis->reader == NULL)
		return fail(redis, "connect", "out of memory");
	redis->functions = *redis->reader->fn;
	redis->functions.createArray = refuse_array;
	redis->reader->fn = &redis->functions;
	if (redis_socket_open(redis, deadline_ms, &what, &why) < 0)
		return fail(redis, what, why);
	return 0;
}

/* A server that went away while nobody asked has closed the socket; and what it says unasked would
 * be taken for the next answer. */
static bool
is_alive(const struct redis *redis)
{
	char byte;

	return redis->fd >= 0 && recv(redis->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
	       (errno == EAGAIN || errno == EINTR);
}

static int
connect_anew(struct redis *redis, int64_t deadline_ms)
{
	int result;

	drop(redis);
	result = open_socket(redis, deadline_ms);
	if (result == 0)
		result = authenticate(redis, deadline_ms);
	return result == 0 ? select_database(redis, deadline_ms) : result;
}

/* An error that Redis answers: the connection is good, unless it is the wrong server now. */
static int
refused(struct redis *redis, const struct redis_command *command, const char *error)
{
	if (strncmp(error, "NOSCRIPT", 8) == 0)
		return -ENOEXEC;
	if (strncmp(error, "READONLY", 8) == 0 || strncmp(error, "NOAUTH", 6) == 0 ||
	    strncmp(error, "LOADING", 7) == 0 || strncmp(error, "MASTERDOWN", 10) == 0)
		return fail(redis, command->arguments[0], error);
	log_failure(redis, command->arguments[0], error);
	return -EIO;
}

int
redis_link_ask(struct redis *redis, const struct redis_command *command, redisReply **ret)
{
	int64_t now_ms = clock_monotonic_ms(), deadline_ms = now_ms + DEADLINE_MS;
	redisReply *reply;
	int result = 0;

	if (!is_alive(redis)) {
		if (now_ms < redis->not_before_ms)
			return -EIO;
		result = connect_anew(redis, deadline_ms);
	}
	if (result == 0)
		result = exchange(redis, command, deadline_ms, &reply);
	if (result < 0)
		return result;
	if (reply->type != REDIS_REPLY_ERROR) {
		*ret = reply;
		return 0;
	}
	result = refused(redis, command, reply->str);
	freeReplyObject(reply);
	return result;
}
