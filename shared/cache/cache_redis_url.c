/*
 * cache_redis_url: what a redis: URL says.
 *
 *	redis://[user@]/run/redis/redis.sock?db=0
 *	redis://[user@]127.0.0.1:6379[/0]	or a host name
 *	&prefix=boson:  &passfile=/path (0600, one line)  &clear_text=yes
 */
#include "cache/cache_redis.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { URL_BYTES = 512, PORT = 6379, DATABASE_MAX = 1023 };

static int
refuse(char *ret_error, size_t error_bytes, const char *what)
{
	snprintf(ret_error, error_bytes, "cache: redis: %s", what);
	return -EINVAL;
}

static int
parse_number(const char *text, unsigned long max, unsigned long *ret)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*ret = strtoul(text, &end, 10);
	return *end != '\0' || errno != 0 || *ret > max ? -EINVAL : 0;
}

static int
copy(const char *text, char *ret, size_t bytes)
{
	int n = snprintf(ret, bytes, "%s", text);

	return n > 0 && (size_t)n < bytes ? 0 : -EINVAL;
}

static int
parse_query(char *query, struct redis_target *target, bool *ret_clear_text)
{
	char *rest = query;
	int result = 0;

	for (char *name; result == 0 && (name = strsep(&rest, "&")) != NULL;) {
		char *value = strchr(name, '=');
		unsigned long number;

		if (value == NULL)
			return -EINVAL;
		*value++ = '\0';
		if (strcmp(name, "db") == 0) {
			result = parse_number(value, DATABASE_MAX, &number);
			if (result == 0)
				target->database = (unsigned)number;
		} else if (strcmp(name, "prefix") == 0) {
			result = copy(value, target->prefix, sizeof(target->prefix));
		} else if (strcmp(name, "passfile") == 0) {
			result = copy(value, target->passfile, sizeof(target->passfile));
		} else if (strcmp(name, "clear_text") == 0) {
			*ret_clear_text = strcmp(value, "yes") == 0;
		} else {
			result = -EINVAL;
		}
	}
	return result;
}

static int
parse_unix(const char *path, struct redis_target *target)
{
	struct sockaddr_un *address = (struct sockaddr_un *)&target->address;

	address->sun_family = AF_UNIX;
	return copy(path, address->sun_path, sizeof(address->sun_path));
}

static bool
is_loopback(const struct redis_target *target)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&target->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&target->address;

	if (target->host[0] != '\0')
		return strcmp(target->host, "localhost") == 0;
	if (target->address.ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return target->address.ss_family == AF_UNIX || IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

/* What inet_pton does not take and DNS could: no address with a slip in it. */
static bool
is_name(const char *host)
{
	size_t n =
		strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.");

	return n > 0 && host[n] == '\0' && host[strspn(host, "0123456789.")] != '\0';
}

/* Cuts the port off host:port or [v6]:port. */
static int
split_port(char *host, char **ret_address, char **ret_port)
{
	bool is_v6 = *host == '[';
	char *end = strchr(host, is_v6 ? ']' : ':');

	*ret_address = is_v6 ? host + 1 : host;
	*ret_port = NULL;
	if (is_v6 && (end == NULL || (end[1] != ':' && end[1] != '\0')))
		return -EINVAL;
	if (is_v6)
		*end++ = '\0';
	if (end == NULL || (is_v6 && *end == '\0'))
		return 0;
	*end = '\0';
	*ret_port = end + 1;
	return 0;
}

static int
parse_host(char *host, struct redis_target *target)
{
	char *address, *port;

	target->port = PORT;
	if (split_port(host, &address, &port) < 0 ||
	    (port != NULL && address_parse_port(port, strlen(port), &target->port) < 0))
		return -EINVAL;
	if (address_parse_socket(address, target->port, &target->address) == 0)
		return 0;
	return address == host && is_name(address)
		       ? copy(address, target->host, sizeof(target->host))
		       : -EINVAL;
}

/* [user@] and /path/of/socket or host[:port][/database] */
static int
parse_authority(char *authority, struct redis_target *target)
{
	char *at = strrchr(authority, '@'), *slash;
	unsigned long number;

	if (at != NULL) {
		*at = '\0';
		if (copy(authority, target->user, sizeof(target->user)) < 0)
			return -EINVAL;
		authority = at + 1;
	}
	if (*authority == '/')
		return parse_unix(authority, target);
	slash = strchr(authority, '/');
	if (slash != NULL) {
		*slash++ = '\0';
		if (*slash != '\0' && parse_number(slash, DATABASE_MAX, &number) < 0)
			return -EINVAL;
		if (*slash != '\0')
			target->database = (unsigned)number;
	}
	return parse_host(authority, target);
}

static int
check_passfile(const char *path, char *ret_error, size_t error_bytes)
{
	struct stat status;

	if (*path == '\0')
		return 0;
	if (stat(path, &status) < 0 || !S_ISREG(status.st_mode)) {
		snprintf(ret_error, error_bytes, "cache: redis: no passfile at %s", path);
		return -EINVAL;
	}
	if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0)
		return 0;
	snprintf(ret_error, error_bytes, "cache: redis: %s must be for its owner only (0600)",
		 path);
	return -EINVAL;
}

int
redis_target_parse(const char *location, struct redis_target *ret, char *ret_error,
		   size_t error_bytes)
{
	struct redis_target target = { .prefix = "boson:" };
	bool clear_text = false;
	char url[URL_BYTES], *query, *at;

	if (strncmp(location, "//", 2) != 0 || copy(location + 2, url, sizeof(url)) < 0)
		return refuse(ret_error, error_bytes, "the URL must go on with //");
	query = strchr(url, '?');
	at = strrchr(url, '@');
	if (at != NULL && memchr(url, ':', (size_t)(at - url)) != NULL)
		return refuse(ret_error, error_bytes,
			      "a password belongs in a file: passfile=/path (0600, one line)");
	if (query != NULL)
		*query++ = '\0';
	if (query != NULL && parse_query(query, &target, &clear_text) < 0)
		return refuse(ret_error, error_bytes,
			      "after ? come db, prefix, passfile and clear_text");
	if (parse_authority(url, &target) < 0)
		return refuse(ret_error, error_bytes,
			      "the URL must be redis://[user@]/path or "
			      "redis://[user@]host[:port][/db]");
	if (!is_loopback(&target) && !clear_text)
		return refuse(ret_error, error_bytes,
			      "TLS is not spoken: beyond loopback use a tunnel, or say "
			      "clear_text=yes where the network itself is trusted");
	if (check_passfile(target.passfile, ret_error, error_bytes) < 0)
		return -EINVAL;
	*ret = target;
	return 0;
}
