/*
 * bosonctl_keys: see the header.
 */
#include "bosonctl/bosonctl_keys.h"

#include "identity/state_file.h"
#include "log/text_file.h"
#include "service/service_config.h"
#include "service/service_curve.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <zmq.h>

enum { NAME_MAX_CHARS = 63, NAMES_MAX = SERVICE_CURVE_ALLOWED_MAX };

/* What is written, once all keys are made. */
struct ring {
	const char *folder;
	const char *const *names;
	size_t n;
	char (*secrets)[SERVICE_CURVE_TEXT_BYTES];
	char *allow, *conf;
	size_t allow_bytes, conf_bytes;
};

static int
complain(int code, const char *what, const char *why)
{
	fprintf(stderr, "bosonctl: %s: %s\n", what, why);
	return code;
}

/* ---- names ---- */

/* It becomes a file's name and a word of a line. */
static bool
is_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > NAME_MAX_CHARS || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
			return false;
	return true;
}

static int
check_names(const char *const *names, size_t n)
{
	if (n > NAMES_MAX)
		return complain(EX_USAGE, "keys", "too many names for one allow-list");
	for (size_t i = 0; i < n; i++) {
		if (!is_name(names[i])) /* not echoed: it may be anything */
			return complain(EX_USAGE, "keys",
					"a name has 1 to 63 of [A-Za-z0-9._-], a letter or digit "
					"first");
		for (size_t k = 0; k < i; k++)
			if (strcmp(names[i], names[k]) == 0)
				return complain(EX_USAGE, names[i], "named twice");
	}
	return EX_OK;
}

/* A service with a mailbox has its key in [bus]; a second relay announces its own. */
static bool
has_config_key(const char *name)
{
	for (const char *const *known = service_names("boson"); *known != NULL; known++)
		if (strcmp(*known, name) == 0)
			return true;
	return false;
}

/* ---- files ---- */

static int
path_of(const struct ring *ring, const char *name, const char *suffix, char ret_path[PATH_MAX])
{
	if (snprintf(ret_path, PATH_MAX, "%s/%s%s", ring->folder, name, suffix) < PATH_MAX)
		return EX_OK;
	return complain(EX_USAGE, "keys", "the folder's name is too long");
}

static int
check_absent(const struct ring *ring, const char *name, const char *suffix)
{
	char path[PATH_MAX];
	int code = path_of(ring, name, suffix, path);

	if (code != EX_OK || access(path, F_OK) != 0)
		return code;
	return complain(EX_CANTCREAT, path, "is there already; --force makes new keys");
}

static int
check_all_absent(const struct ring *ring)
{
	int code = check_absent(ring, "allow", "");

	if (code == EX_OK)
		code = check_absent(ring, "bus", ".conf");
	for (size_t i = 0; i < ring->n && code == EX_OK; i++)
		code = check_absent(ring, ring->names[i], ".secret");
	return code;
}

static int
write_one(const struct ring *ring, const char *name, const char *suffix, mode_t mode,
	  const char *bytes, size_t n)
{
	char path[PATH_MAX];
	int code = path_of(ring, name, suffix, path), r;

	if (code != EX_OK)
		return code;
	r = state_file_replace(path, mode, bytes, n);
	return r == 0 ? EX_OK : complain(EX_CANTCREAT, path, strerror(-r));
}

static int
write_all(const struct ring *ring)
{
	int code = EX_OK;

	if (mkdir(ring->folder, 0700) < 0 && errno != EEXIST)
		return complain(EX_CANTCREAT, ring->folder, strerror(errno));
	for (size_t i = 0; i < ring->n && code == EX_OK; i++) {
		char line[SERVICE_CURVE_TEXT_BYTES + 1];
		int length = snprintf(line, sizeof(line), "%s\n", ring->secrets[i]);

		code = write_one(ring, ring->names[i], ".secret", 0600, line, (size_t)length);
		explicit_bzero(line, sizeof(line));
	}
	if (code == EX_OK)
		code = write_one(ring, "allow", "", 0644, ring->allow, ring->allow_bytes);
	if (code == EX_OK)
		code = write_one(ring, "bus", ".conf", 0644, ring->conf, ring->conf_bytes);
	return code;
}

/* ---- keys ---- */

/* In the configuration a value that begins with # would be a comment. */
static int
make_pair(char public_key[SERVICE_CURVE_TEXT_BYTES], char secret_key[SERVICE_CURVE_TEXT_BYTES])
{
	do {
		if (zmq_curve_keypair(public_key, secret_key) != 0)
			return complain(EX_OSERR, "keys", zmq_strerror(zmq_errno()));
	} while (public_key[0] == '#');
	return EX_OK;
}

static int
make_all(struct ring *ring)
{
	struct text_file allow, conf;
	int code = EX_OK;

	if (text_file_open(&allow) < 0)
		return EX_OSERR;
	if (text_file_open(&conf) < 0) {
		(void)text_file_close(&allow, &ring->allow, &ring->allow_bytes);
		return EX_OSERR;
	}
	fputs("[bus]\n", conf.stream);
	for (size_t i = 0; i < ring->n && code == EX_OK; i++) {
		char key[SERVICE_CURVE_TEXT_BYTES];

		code = make_pair(key, ring->secrets[i]);
		if (code != EX_OK)
			break;
		fprintf(allow.stream, "%s %s\n", ring->names[i], key);
		if (has_config_key(ring->names[i]))
			fprintf(conf.stream, "%s_key = %s\n", ring->names[i], key);
	}
	if (text_file_close(&allow, &ring->allow, &ring->allow_bytes) < 0)
		code = EX_OSERR;
	if (text_file_close(&conf, &ring->conf, &ring->conf_bytes) < 0)
		code = EX_OSERR;
	return code;
}

static int
make_and_write(struct ring *ring)
{
	int code = make_all(ring);

	if (code == EX_OK)
		code = write_all(ring);
	if (code != EX_OK)
		return code;
	if (fputs(ring->conf, stdout) == EOF || fflush(stdout) != 0)
		return complain(EX_IOERR, "stdout", strerror(errno));
	return EX_OK;
}

/* The services, and us. */
static size_t
list_usual(const char *ret_names[SERVICE_TABLES_MAX])
{
	const char *const *services = service_names("boson");
	size_t n = 0;

	for (; services[n] != NULL; n++)
		ret_names[n] = services[n];
	ret_names[n++] = "bosonctl";
	return n;
}

int
bosonctl_keys(const char *folder, const char *const *names, size_t n, bool force)
{
	struct ring ring = { .folder = folder, .names = names, .n = n };
	const char *usual[SERVICE_TABLES_MAX];
	int code;

	if (n == 0) {
		ring.names = usual;
		ring.n = list_usual(usual);
	}
	code = check_names(ring.names, ring.n);
	if (code == EX_OK && !force)
		code = check_all_absent(&ring);
	if (code != EX_OK)
		return code;
	ring.secrets = calloc(ring.n, sizeof(*ring.secrets));
	if (ring.secrets == NULL)
		return complain(EX_OSERR, "keys", "out of memory");
	code = make_and_write(&ring);
	explicit_bzero(ring.secrets, ring.n * sizeof(*ring.secrets));
	free(ring.secrets);
	free(ring.allow);
	free(ring.conf);
	return code;
}
