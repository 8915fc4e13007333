/* Reads the key files of the bus. See service_curve.h. */
#include "service/service_curve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <zmq.h>

enum { KEY_CHARACTERS = 40, NAME_BYTES = 64, LINE_BYTES = 256 };

struct service_curve {
	char public_key[SERVICE_CURVE_TEXT_BYTES];
	char secret_key[SERVICE_CURVE_TEXT_BYTES];
	char keys[SERVICE_CURVE_ALLOWED_MAX][SERVICE_CURVE_TEXT_BYTES];
	char names[SERVICE_CURVE_ALLOWED_MAX][NAME_BYTES];
	const char *allowed_keys[SERVICE_CURVE_ALLOWED_MAX + 1];
	const char *allowed_names[SERVICE_CURVE_ALLOWED_MAX + 1];
	size_t n;
	struct bus_security security;
};

bool
service_curve_key_is_valid(const char *text)
{
	uint8_t bytes[32];

	return strlen(text) == KEY_CHARACTERS && zmq_z85_decode(bytes, text) != NULL;
}

/* Opens a key file; forbidden are the mode bits that others must not have. */
static int
open_checked(const char *path, mode_t forbidden, FILE **ret, char *ret_error, size_t error_bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	int result = EX_OK;

	if (fd < 0 || fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		snprintf(ret_error, error_bytes, "%s: %s", path,
			 fd < 0 ? strerror(errno) : "not a regular file");
		result = EX_NOINPUT;
	} else if ((status.st_mode & forbidden) != 0) {
		snprintf(ret_error, error_bytes, "%s: mode %04o lets others at it", path,
			 (unsigned)(status.st_mode & 07777));
		result = EX_NOPERM;
	} else {
		*ret = fdopen(fd, "re");
		if (*ret != NULL)
			return EX_OK;
		snprintf(ret_error, error_bytes, "%s: %s", path, strerror(errno));
		result = EX_OSERR;
	}
	if (fd >= 0)
		close(fd);
	return result;
}

static int
load_secret(struct service_curve *curve, const char *path, char *ret_error, size_t error_bytes)
{
	char line[LINE_BYTES] = "", rest[2];
	FILE *file = NULL;
	int result = open_checked(path, 0077, &file, ret_error, error_bytes);
	bool is_read;

	if (result != EX_OK)
		return result;
	setvbuf(file, NULL, _IONBF, 0); /* no copy of the secret in a buffer we cannot wipe */
	is_read =
		fgets(line, sizeof(line), file) != NULL && fgets(rest, sizeof(rest), file) == NULL;
	fclose(file);
	line[strcspn(line, "\r\n")] = '\0';
	if (!is_read || !service_curve_key_is_valid(line) ||
	    zmq_curve_public(curve->public_key, line) != 0) {
		snprintf(ret_error, error_bytes, "%s: must be one line of 40 characters of Z85",
			 path);
		result = EX_CONFIG;
	} else {
		memcpy(curve->secret_key, line, SERVICE_CURVE_TEXT_BYTES);
	}
	explicit_bzero(line, sizeof(line));
	return result;
}

/* `name z85key`; empty lines and comments are none. -1 when it is neither. */
static int
read_allowed(struct service_curve *curve, char *line)
{
	char *name, *key, *rest = line;

	if (line[strspn(line, " \t\r\n")] == '#')
		return 0;
	name = strtok_r(rest, " \t\r\n", &rest);
	if (name == NULL)
		return 0;
	key = strtok_r(NULL, " \t\r\n", &rest);
	if (key == NULL || strtok_r(NULL, " \t\r\n", &rest) != NULL || strlen(name) >= NAME_BYTES ||
	    !service_curve_key_is_valid(key) || curve->n == SERVICE_CURVE_ALLOWED_MAX)
		return -1;
	memcpy(curve->names[curve->n], name, strlen(name) + 1);
	memcpy(curve->keys[curve->n], key, SERVICE_CURVE_TEXT_BYTES);
	curve->allowed_names[curve->n] = curve->names[curve->n];
	curve->allowed_keys[curve->n] = curve->keys[curve->n];
	curve->n++;
	return 0;
}

static int
load_allowed(struct service_curve *curve, const char *path, char *ret_error, size_t error_bytes)
{
	char line[LINE_BYTES];
	FILE *file = NULL;
	/* whoever can write it lets himself in */
	int result = open_checked(path, 0022, &file, ret_error, error_bytes);

	if (result != EX_OK)
		return result;
	for (unsigned number = 1; fgets(line, sizeof(line), file) != NULL; number++)
		if (read_allowed(curve, line) < 0) {
			snprintf(ret_error, error_bytes,
				 "%s:%u: must be `name z85key`, at most %d lines", path, number,
				 SERVICE_CURVE_ALLOWED_MAX);
			result = EX_CONFIG;
			break;
		}
	fclose(file);
	return result;
}

int
service_curve_load(const char *secret_path, const char *allow_path, struct service_curve **ret,
		   char *ret_error, size_t error_bytes)
{
	struct service_curve *curve = calloc(1, sizeof(*curve));
	int result;

	if (curve == NULL) {
		snprintf(ret_error, error_bytes, "out of memory");
		return EX_OSERR;
	}
	curve->security = (struct bus_security){
		.public_key = curve->public_key,
		.secret_key = curve->secret_key,
		.allowed_keys = curve->allowed_keys,
		.allowed_names = curve->allowed_names,
	};
	result = load_secret(curve, secret_path, ret_error, error_bytes);
	if (result == EX_OK && *allow_path != '\0')
		result = load_allowed(curve, allow_path, ret_error, error_bytes);
	if (result != EX_OK) {
		service_curve_free(&curve);
		return result;
	}
	*ret = curve;
	return EX_OK;
}

void
service_curve_free(struct service_curve **curve)
{
	if (*curve == NULL)
		return;
	explicit_bzero((*curve)->secret_key, sizeof((*curve)->secret_key));
	free(*curve);
	*curve = NULL;
}

const struct bus_security *
service_curve_security(const struct service_curve *curve)
{
	return &curve->security;
}
