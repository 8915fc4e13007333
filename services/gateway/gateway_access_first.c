/*
 * gateway_access_first: see the header. Whoever writes a file first decides: two gateways that
 * start on one folder agree on its keys.
 */
#include "gateway/gateway_access_first.h"

#include "gateway/gateway_access.h"
#include "identity/key.h"
#include "identity/state_file.h"
#include "log/log.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *file, *subject;
	enum access_key_kind kind;
} files[ACCESS_FIRST_KEYS] = {
	{ "client.key", "client", ACCESS_KEY_CLIENT },
	{ "admin.key", "admin", ACCESS_KEY_ADMIN },
	{ "node.key", GATEWAY_ENROL_SUBJECT, ACCESS_KEY_NODE },
};

static int
make(const char *path, enum access_key_kind kind)
{
	char line[ACCESS_KEY_TEXT_BYTES + 1];
	int r = access_key_make(kind, line);
	if (r < 0)
		return r;
	size_t n = strlen(line);
	line[n++] = '\n';
	r = state_file_create(path, 0600, line, n);
	key_wipe(line, sizeof(line));
	return r == -EEXIST ? 0 : r;
}

/* One line of printable ASCII without blanks, whoever chose it; kept as its digest. */
static int
load(const char *path, uint8_t ret_digest[MAC_BYTES])
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
load_or_make(const char *path, enum access_key_kind kind, uint8_t ret_digest[MAC_BYTES])
{
	int r = load(path, ret_digest);
	if (r != -ENOENT)
		return r;
	r = make(path, kind);
	return r < 0 ? r : load(path, ret_digest);
}

int
access_first_load(const char *state_dir, struct access_first *ret)
{
	char path[PATH_MAX];
	for (size_t i = 0; i < ACCESS_FIRST_KEYS; i++) {
		struct access_first_key *key = &ret->keys[i];
		int n = snprintf(path, sizeof(path), "%s/%s", state_dir, files[i].file);
		int r = n < PATH_MAX ? load_or_make(path, files[i].kind, key->digest)
				     : -ENAMETOOLONG;
		if (r < 0) {
			log_error("secret_unusable", "path=%s reason=%s", path,
				  r == -EPERM	 ? "others may read it"
				  : r == -EINVAL ? "it holds no key"
						 : strerror(-r));
			return r;
		}
		key->kind = files[i].kind;
		key->subject = files[i].subject;
	}
	return 0;
}

const struct access_first_key *
access_first_find(const struct access_first *first, const uint8_t digest[MAC_BYTES])
{
	const struct access_first_key *found = NULL;
	for (size_t i = 0; i < ACCESS_FIRST_KEYS; i++) {
		if (CRYPTO_memcmp(digest, first->keys[i].digest, MAC_BYTES) == 0)
			found = &first->keys[i];
	}
	return found;
}

static int
enter(const struct access_first_key *key, struct store *store, int64_t wall_now_ms)
{
	struct access_row row = { 0 };
	int r = access_store_find(store, key->digest, &row);
	if (r != -ENOENT)
		return r;
	row = (struct access_row){ .kind = key->kind, .created_ms = wall_now_ms };
	snprintf(row.name, sizeof(row.name), "first-%s", access_key_kind_name(key->kind));
	r = access_store_add(store, key->digest, &row);
	return r == -EEXIST ? 0 : r; /* another gateway of this folder was faster */
}

int
access_first_enter(const struct access_first *first, struct store *store, int64_t wall_now_ms)
{
	int r = store_begin(store);
	for (size_t i = 0; r == 0 && i < ACCESS_FIRST_KEYS; i++)
		r = enter(&first->keys[i], store, wall_now_ms);
	if (r == 0)
		return store_commit(store);
	store_rollback(store);
	return r;
}
