/*
 * gateway_access: tokens and access keys; see the header.
 */
#include "gateway/gateway_access.h"

#include "identity/key.h"
#include "identity/mac.h"
#include "identity/state_file.h"
#include "log/log.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { ACCESS_KEYS = 3, ACCESS_KEY_RANDOM_BYTES = 32 };

static const struct {
	const char *file, *subject;
	enum gateway_who role;
} key_kinds[ACCESS_KEYS] = {
	{ "client.key", "client", WHO_CLIENT },
	{ "admin.key", "admin", WHO_ADMIN },
	{ "node.key", GATEWAY_ENROL_SUBJECT, WHO_NODE },
};

struct gateway_access {
	uint8_t secrets[2][TOKEN_SECRET_BYTES];
	struct token_keys keys;
	uint8_t digests[ACCESS_KEYS][MAC_BYTES]; /* of the access keys: the keys are not kept */
};

static int
path_join(char path[PATH_MAX], const char *folder, const char *file)
{
	int n = snprintf(path, PATH_MAX, "%s/%s", folder, file);
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int
access_key_make(const char *path)
{
	uint8_t random[ACCESS_KEY_RANDOM_BYTES];
	char line[2 * ACCESS_KEY_RANDOM_BYTES];
	int r = mac_random(random, sizeof(random));
	if (r < 0)
		return r;
	base64url_encode(random, sizeof(random), line);
	size_t n = strlen(line);
	line[n++] = '\n';
	r = state_file_create(path, 0600, line, n);
	key_wipe(random, sizeof(random));
	key_wipe(line, sizeof(line));
	return r == -EEXIST ? 0 : r;
}

/* One line of printable ASCII without blanks; kept as its digest. */
static int
access_key_load(const char *path, uint8_t ret_digest[MAC_BYTES])
{
	char line[GATEWAY_ACCESS_KEY_MAX_BYTES + 2];
	ssize_t got = state_file_read(path, true, line, sizeof(line));
	if (got < 0)
		return (int)got;
	size_t n = strcspn(line, "\n"), good = 0;
	while (good < n && line[good] > ' ' && line[good] < 0x7f)
		good++;
	bool whole = (size_t)got == n || (size_t)got == n + 1;
	int r = -EINVAL;
	if (whole && good == n && n >= GATEWAY_ACCESS_KEY_MIN_BYTES)
		r = mac_sha256(line, n, ret_digest);
	key_wipe(line, sizeof(line));
	return r;
}

static int
access_key_load_or_make(const char *path, uint8_t ret_digest[MAC_BYTES])
{
	int r = access_key_load(path, ret_digest);
	if (r != -ENOENT)
		return r;
	r = access_key_make(path);
	return r < 0 ? r : access_key_load(path, ret_digest);
}

static int
load_file(struct gateway_access *access, const char *state_dir, const char *file, int kind)
{
	char path[PATH_MAX];
	int r = path_join(path, state_dir, file);
	if (r == 0 && kind >= 0)
		r = access_key_load_or_make(path, access->digests[kind]);
	else if (r == 0)
		r = secret_file_load_or_create(path, access->secrets[0], TOKEN_SECRET_BYTES);
	if (r < 0)
		log_error("secret_unusable", "path=%s reason=%s", path,
			  r == -EPERM	 ? "others may read it"
			  : r == -EINVAL ? "it holds no secret"
					 : strerror(-r));
	return r;
}

/* The secret before the last change, so that a change does not throw anybody out. */
static int
load_previous(struct gateway_access *access, const char *state_dir)
{
	char path[PATH_MAX];
	int r = path_join(path, state_dir, "token-previous.secret");
	if (r == 0)
		r = secret_file_load(path, access->secrets[1], TOKEN_SECRET_BYTES);
	if (r == 0)
		access->keys.secrets[1] = access->secrets[1];
	if (r < 0 && r != -ENOENT)
		log_error("secret_unusable", "path=%s reason=%s", path, strerror(-r));
	return r == -ENOENT ? 0 : r;
}

int
gateway_access_open(const char *state_dir, struct gateway_access **ret)
{
	struct gateway_access *access = calloc(1, sizeof(*access));
	if (access == NULL)
		return -ENOMEM;
	access->keys.secrets[0] = access->secrets[0];
	int r = load_file(access, state_dir, "token.secret", -1);
	if (r == 0)
		r = load_previous(access, state_dir);
	for (int i = 0; r == 0 && i < ACCESS_KEYS; i++)
		r = load_file(access, state_dir, key_kinds[i].file, i);
	if (r < 0)
		gateway_access_close(&access);
	*ret = access;
	return r;
}

void
gateway_access_close(struct gateway_access **access)
{
	if (*access == NULL)
		return;
	key_wipe(*access, sizeof(**access));
	free(*access);
	*access = NULL;
}

/* The index of the key that text is, or -1. All are compared, whichever it is. */
static int
access_key_find(const struct gateway_access *access, const char *text, size_t n)
{
	uint8_t digest[MAC_BYTES];
	int found = -1;
	if (mac_sha256(text, n, digest) < 0)
		return -1;
	for (int i = 0; i < ACCESS_KEYS; i++) {
		if (CRYPTO_memcmp(digest, access->digests[i], MAC_BYTES) == 0)
			found = i;
	}
	return found;
}

static enum gateway_who
role_of_token(enum token_role role)
{
	switch (role) {
	case TOKEN_ROLE_NODE:
		return WHO_NODE;
	case TOKEN_ROLE_CLIENT:
		return WHO_CLIENT;
	case TOKEN_ROLE_ADMIN:
		return WHO_ADMIN;
	}
	return WHO_ANYONE;
}

int
gateway_access_check(const struct gateway_access *access, const char *header, int64_t wall_now_ms,
		     struct gateway_caller *ret)
{
	*ret = (struct gateway_caller){ .role = WHO_ANYONE };
	if (header == NULL)
		return -ENOENT;
	if (strncasecmp(header, "Bearer ", 7) != 0)
		return -EACCES;
	const char *text = header + 7;
	size_t n = strlen(text);
	if (n == 0 || n >= TOKEN_TEXT_MAX_BYTES)
		return -EACCES;

	int kind = access_key_find(access, text, n);
	if (kind >= 0) {
		ret->role = key_kinds[kind].role;
		snprintf(ret->subject, sizeof(ret->subject), "%s", key_kinds[kind].subject);
		return 0;
	}
	struct token token;
	int r = token_verify(&access->keys, text, n, wall_now_ms, &token);
	if (r < 0)
		return r;
	ret->role = role_of_token(token.role);
	memcpy(ret->subject, token.subject, sizeof(ret->subject));
	ret->issued_at_ms = token.issued_at_ms;
	ret->expires_at_ms = token.expires_at_ms;
	return 0;
}

int
gateway_access_mint(const struct gateway_access *access, enum gateway_who role, const char *subject,
		    int64_t wall_now_ms, int64_t lifetime_ms, char ret_text[TOKEN_TEXT_MAX_BYTES],
		    int64_t *ret_expires_at_ms)
{
	struct token token = {
		.role = role == WHO_NODE ? TOKEN_ROLE_NODE : TOKEN_ROLE_CLIENT,
		.issued_at_ms = wall_now_ms,
		.expires_at_ms = wall_now_ms + lifetime_ms,
	};
	size_t n = strlen(subject);
	if (n >= sizeof(token.subject) || (role != WHO_NODE && role != WHO_CLIENT))
		return -EINVAL;
	memcpy(token.subject, subject, n);
	*ret_expires_at_ms = token.expires_at_ms;
	return token_mint(&access->keys, &token, ret_text);
}
