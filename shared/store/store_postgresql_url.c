/*
 * store_postgresql_url: what a postgresql: URL says, and what we add to it. The URL is libpq's but
 * for `schema`, which libpq does not know, and for passwords, which we do not want in it.
 */
#include "store/store_postgresql.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { OPTIONS_MAX = 80, ITEM_BYTES = 256, SESSION_BYTES = 512 };

/* Used where the URL does not say otherwise. A primary that vanished from the network is noticed in
 * seconds, and after a failover only the new primary will do. */
static const struct {
	const char *keyword, *value;
} defaults[] = {
	{ "target_session_attrs", "read-write" },
	{ "tcp_user_timeout", "5000" },
	{ "keepalives_idle", "10" },
	{ "keepalives_interval", "2" },
	{ "keepalives_count", "3" },
	{ "gssencmode", "disable" },
	{ "application_name", "boson" },
	{ "client_encoding", "UTF8" },
};

static int
refuse(char *ret_error, size_t error_bytes, const char *what)
{
	snprintf(ret_error, error_bytes, "store: postgresql: %s", what);
	return -EINVAL;
}

static bool
is_schema(const char *name, size_t n)
{
	if (n == 0 || n >= PG_SCHEMA_BYTES || strncmp(name, "pg_", 3) == 0 ||
	    !((*name >= 'a' && *name <= 'z') || *name == '_'))
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") >= n;
}

/* Takes schema=NAME out of the query part of a URL that is ours to change. */
static int
cut_schema(char *url, char ret_schema[PG_SCHEMA_BYTES])
{
	char *at = strchr(url, '?');

	while (at != NULL && strncmp(at + 1, "schema=", 7) != 0)
		at = strchr(at + 1, '&');
	if (at != NULL) {
		const char *name = at + 1 + 7;
		size_t n = strcspn(name, "&");

		if (!is_schema(name, n))
			return -EINVAL;
		memcpy(ret_schema, name, n);
		ret_schema[n] = '\0';
		if (name[n] == '&')
			memmove(at + 1, name + n + 1, strlen(name + n + 1) + 1);
		else
			*at = '\0';
	}
	return 0;
}

static const char *
option(const struct pg_target *target, const char *keyword)
{
	for (const PQconninfoOption *o = target->options; o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val;
	return NULL;
}

static size_t
items(const char *list)
{
	size_t n = 1;

	if (list == NULL)
		return 0;
	for (; *list != '\0'; list++)
		n += *list == ',' ? 1 : 0;
	return n;
}

/* libpq passes over a file that is missing or open to others, and the server then complains of a
 * password that it never got. */
static int
check_passfile(const char *path, char *ret_error, size_t error_bytes)
{
	struct stat status;

	if (path == NULL)
		return 0;
	if (stat(path, &status) < 0 || !S_ISREG(status.st_mode)) {
		snprintf(ret_error, error_bytes, "store: postgresql: no passfile at %s", path);
		return -EINVAL;
	}
	if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0)
		return 0;
	snprintf(ret_error, error_bytes, "store: postgresql: %s must be for its owner only (0600)",
		 path);
	return -EINVAL;
}

static int
check_options(struct pg_target *target, char *ret_error, size_t error_bytes)
{
	size_t hosts = items(option(target, "host")), addresses = items(option(target, "hostaddr"));
	size_t ports = items(option(target, "port"));

	if (option(target, "password") != NULL || option(target, "sslpassword") != NULL)
		return refuse(ret_error, error_bytes,
			      "a password belongs in a file: passfile=/path (0600, lines of "
			      "host:port:database:user:password)");
	target->hosts_n = hosts > addresses ? hosts : addresses;
	if (target->hosts_n == 0)
		target->hosts_n = 1;
	if ((hosts > 0 && addresses > 0 && hosts != addresses) ||
	    (ports > 1 && ports != target->hosts_n))
		return refuse(ret_error, error_bytes, "hosts and ports do not match");
	return check_passfile(option(target, "passfile"), ret_error, error_bytes);
}

int
pg_target_parse(const char *location, struct pg_target *ret, char *ret_error, size_t error_bytes)
{
	struct pg_target target = { 0 };
	char *url = NULL, *message = NULL;
	int result;

	if (strncmp(location, "//", 2) != 0 || asprintf(&url, "postgresql:%s", location) < 0)
		return refuse(ret_error, error_bytes, "the URL must go on with //");
	result = cut_schema(url, target.schema);
	if (result < 0)
		refuse(ret_error, error_bytes,
		       "schema must be 1 to 63 of a-z 0-9 _, and not begin with a digit or pg_");
	else if (target.schema[0] == '\0')
		result = refuse(ret_error, error_bytes, "the URL must name a schema: ?schema=NAME");
	if (result == 0) {
		target.options = PQconninfoParse(url, &message);
		PQfreemem(message); /* may quote a password */
		result = target.options != NULL
				 ? check_options(&target, ret_error, error_bytes)
				 : refuse(ret_error, error_bytes, "libpq cannot read the URL");
	}
	explicit_bzero(url, strlen(url));
	free(url);
	if (result < 0)
		pg_target_fini(&target);
	else
		*ret = target;
	return result;
}

void
pg_target_fini(struct pg_target *target)
{
	PQconninfoFree(target->options);
	target->options = NULL;
}

/* Item i of a list, or its only one; empty where libpq shall take its default. */
static const char *
item(const char *list, size_t i, char ret[ITEM_BYTES])
{
	size_t n;

	if (items(list) == 1)
		i = 0;
	for (; i > 0; i--)
		list = strchr(list, ',') + 1;
	n = strcspn(list, ",");
	if (n >= ITEM_BYTES)
		n = ITEM_BYTES - 1;
	memcpy(ret, list, n);
	ret[n] = '\0';
	return ret;
}

PGconn *
pg_target_connect(const struct pg_target *target, size_t i, const char *session)
{
	const char *keywords[OPTIONS_MAX], *values[OPTIONS_MAX];
	char host[ITEM_BYTES], address[ITEM_BYTES], port[ITEM_BYTES], settings[SESSION_BYTES];
	const char *own = option(target, "options");
	size_t n = 0;

	for (size_t k = 0; k < sizeof(defaults) / sizeof(*defaults); k++)
		if (option(target, defaults[k].keyword) == NULL) {
			keywords[n] = defaults[k].keyword;
			values[n++] = defaults[k].value;
		}
	snprintf(settings, sizeof(settings), "%s %s", session, own != NULL ? own : "");
	keywords[n] = "options";
	values[n++] = settings;
	for (const PQconninfoOption *o = target->options; o->keyword != NULL && n < OPTIONS_MAX - 1;
	     o++) {
		if (o->val == NULL || strcmp(o->keyword, "options") == 0)
			continue;
		keywords[n] = o->keyword;
		values[n] = o->val;
		if (strcmp(o->keyword, "host") == 0)
			values[n] = item(o->val, i, host);
		else if (strcmp(o->keyword, "hostaddr") == 0)
			values[n] = item(o->val, i, address);
		else if (strcmp(o->keyword, "port") == 0)
			values[n] = item(o->val, i, port);
		n++;
	}
	keywords[n] = values[n] = NULL;
	return PQconnectStartParams(keywords, values, 0);
}
