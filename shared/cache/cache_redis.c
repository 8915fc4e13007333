/*
 * cache_redis: the cache of several processes, in a Redis. Its clock is Redis's, for the monotonic
 * clocks of two hosts have nothing to do with each other. Each call is one command, so replicas
 * cannot come between. How much fits, and what goes first, is Redis's configuration
 * (maxmemory, maxmemory-policy).
 */
#include "cache/cache_redis.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	KEY_BYTES = REDIS_PREFIX_BYTES + 2 + CACHE_KEY_MAX_BYTES + 1,
	NUMBER_BYTES = 24,
	SHA1_BYTES = 20,
	SHA1_TEXT_BYTES = 41,
};

/* Redis counts in milliseconds since 1970 and must not overflow. */
static const int64_t ttl_max_ms = 3650LL * 24 * 3600 * 1000;

/*
 * The memory driver's bucket: ARGV[1] is the rate, in parts that refill in a ms; 60000 parts are a
 * token; ARGV[2] are the parts of a full bucket; ARGV[3] are tokens to be taken whether they are
 * there or not ("": one, if it is). When the wall clock was set back the bucket goes on from there.
 */
static const char bucket_script[] =
	"local t = redis.call('TIME') "
	"local now = t[1] * 1000 + math.floor(t[2] / 1000) "
	"local rate, full = tonumber(ARGV[1]), tonumber(ARGV[2]) "
	"local b = redis.call('HMGET', KEYS[1], 'level', 'at') "
	"local level, at = tonumber(b[1]) or full, tonumber(b[2]) or now "
	"level = math.min(full, level + math.max(0, now - at) * rate) "
	"local count, answer = tonumber(ARGV[3]), 0 "
	"if count then level = math.max(-full, level - count * 60000) "
	"answer = math.floor(level / 60000) "
	"elseif level < 60000 then answer = math.ceil((60000 - level) / rate) "
	"else level = level - 60000 end "
	"redis.call('HSET', KEYS[1], 'level', string.format('%.0f', level),"
	" 'at', string.format('%.0f', now)) "
	"redis.call('PEXPIRE', KEYS[1],"
	" string.format('%.0f', math.ceil((full - level) / rate) + 1)) "
	"return answer";

struct driver {
	struct redis link;
	char script_sha1[SHA1_TEXT_BYTES];
};

enum kind { KIND_MARK = 'm', KIND_BUCKET = 'b', KIND_PROBE = 'p' };

struct name {
	char bytes[KEY_BYTES];
};

static const char *
make_name(const struct driver *driver, enum kind kind, const char *key, struct name *ret)
{
	snprintf(ret->bytes, sizeof(ret->bytes), "%s%c:%s", driver->link.target.prefix, (char)kind,
		 key);
	return ret->bytes;
}

static void
add(struct redis_command *command, const char *argument)
{
	command->arguments[command->n] = argument;
	command->lengths[command->n++] = strlen(argument);
}

static const char *
format_ttl(int64_t ttl_ms, char ret[NUMBER_BYTES])
{
	snprintf(ret, NUMBER_BYTES, "%" PRId64, ttl_ms < ttl_max_ms ? ttl_ms : ttl_max_ms);
	return ret;
}

static int
redis_check(const char *location, char *ret_error, size_t error_bytes)
{
	struct redis_target target;

	return redis_target_parse(location, &target, ret_error, error_bytes);
}

static void
redis_close(void *db)
{
	struct driver *driver = db;

	redis_link_close(&driver->link);
	free(driver);
}

static int
hash_script(char ret[SHA1_TEXT_BYTES])
{
	unsigned char digest[SHA1_BYTES];

	if (EVP_Digest(bucket_script, strlen(bucket_script), digest, NULL, EVP_sha1(), NULL) != 1)
		return -EIO;
	for (size_t i = 0; i < SHA1_BYTES; i++)
		snprintf(ret + 2 * i, 3, "%02x", digest[i]);
	return 0;
}

/* Does not connect: who cannot reach the cache starts all the same. */
static int
redis_open(const char *location, size_t max_entries, void **ret)
{
	struct driver *driver = calloc(1, sizeof(*driver));
	char reason[256];
	int result = driver == NULL ? -EIO : 0;

	(void)max_entries;
	if (result == 0)
		result = redis_target_parse(location, &driver->link.target, reason, sizeof(reason));
	if (result == 0)
		result = hash_script(driver->script_sha1);
	if (result < 0) {
		free(driver);
		return result;
	}
	driver->link.fd = -1;
	driver->link.logged_at_ms = INT64_MIN / 2;
	*ret = driver;
	return 0;
}

/* Not PING, which a replica that takes no writes answers as well, and for which the user would need
 * one more right: an end is set to what is not there. */
static int
redis_probe(void *db)
{
	struct driver *driver = db;
	struct redis_command command = { 0 };
	redisReply *reply;
	struct name name;
	int result;

	add(&command, "PEXPIRE");
	add(&command, make_name(driver, KIND_PROBE, "", &name));
	add(&command, "1");
	result = redis_link_ask(&driver->link, &command, &reply);
	if (result < 0)
		return -EIO;
	result = reply->type == REDIS_REPLY_INTEGER ? 0 : -EIO;
	freeReplyObject(reply);
	return result;
}

static int
redis_first(void *db, const char *key, int64_t ttl_ms, int64_t now_ms)
{
	struct driver *driver = db;
	struct redis_command command = { 0 };
	char ttl[NUMBER_BYTES];
	redisReply *reply;
	struct name name;
	int result;

	(void)now_ms;
	add(&command, "SET");
	add(&command, make_name(driver, KIND_MARK, key, &name));
	add(&command, "1");
	add(&command, "NX");
	add(&command, "PX");
	add(&command, format_ttl(ttl_ms, ttl));
	result = redis_link_ask(&driver->link, &command, &reply);
	if (result < 0)
		return -EIO;
	if (reply->type == REDIS_REPLY_STATUS)
		result = 1;
	else if (reply->type != REDIS_REPLY_NIL)
		result = -EIO;
	freeReplyObject(reply);
	return result;
}

/* By its hash; by its text where Redis has lost it or never had it. */
static int
run_script(struct driver *driver, const char *name, const char *rate, const char *full,
	   const char *count, redisReply **ret)
{
	struct redis_command command = { 0 };
	int result;

	add(&command, "EVALSHA");
	add(&command, driver->script_sha1);
	add(&command, "1");
	add(&command, name);
	add(&command, rate);
	add(&command, full);
	add(&command, count);
	result = redis_link_ask(&driver->link, &command, ret);
	if (result != -ENOEXEC)
		return result;
	command.arguments[0] = "EVAL";
	command.lengths[0] = strlen("EVAL");
	command.arguments[1] = bucket_script;
	command.lengths[1] = strlen(bucket_script);
	return redis_link_ask(&driver->link, &command, ret);
}

static int
ask_bucket(struct driver *driver, const char *key, uint32_t rate_per_minute, uint32_t burst,
	   const char *count, int64_t *ret)
{
	char rate[NUMBER_BYTES], full[NUMBER_BYTES];
	redisReply *reply;
	struct name name;
	int result;

	snprintf(rate, sizeof(rate), "%" PRIu32, rate_per_minute);
	snprintf(full, sizeof(full), "%" PRIu64, (uint64_t)burst * 60000);
	result = run_script(driver, make_name(driver, KIND_BUCKET, key, &name), rate, full, count,
			    &reply);
	if (result < 0)
		return -EIO;
	result = reply->type == REDIS_REPLY_INTEGER ? 0 : -EIO;
	*ret = reply->integer;
	freeReplyObject(reply);
	return result;
}

static int64_t
redis_take(void *db, const char *key, uint32_t rate_per_minute, uint32_t burst, int64_t now_ms)
{
	int64_t wait_ms = 0;
	int result = ask_bucket(db, key, rate_per_minute, burst, "", &wait_ms);

	(void)now_ms;
	return result < 0 || wait_ms < 0 ? -EIO : wait_ms;
}

static int
redis_charge(void *db, const char *key, uint32_t rate_per_minute, uint32_t burst, uint32_t count,
	     int64_t now_ms, int64_t *ret_left)
{
	char text[NUMBER_BYTES];

	(void)now_ms;
	snprintf(text, sizeof(text), "%" PRIu32, count);
	return ask_bucket(db, key, rate_per_minute, burst, text, ret_left);
}

const struct cache_driver cache_driver_redis = {
	.scheme = "redis:",
	.check = redis_check,
	.open = redis_open,
	.close = redis_close,
	.probe = redis_probe,
	.first = redis_first,
	.take = redis_take,
	.charge = redis_charge,
};
