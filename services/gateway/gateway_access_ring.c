/*
 * gateway_access_ring: see the header. Asking for the file's times costs a microsecond, so a token
 * that does not verify may ask too, a few times a second at most: it may be signed by another
 * gateway that read the new file a moment before us.
 */
#include "gateway/gateway_access_ring.h"

#include "identity/key.h"
#include "log/log.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { RING_SECRETS = 2, LOOK_PERIOD_MS = 1000, LOOK_AGAIN_MS = 100 };

struct access_ring {
	char path[PATH_MAX];
	uint8_t secrets[RING_SECRETS][TOKEN_SECRET_BYTES];
	struct token_keys keys;
	struct stat seen; /* what was loaded, or found unusable, last */
	int64_t looked_ms;
};

/* A file that is mounted may be a link to its newest version. */
static int
load(struct access_ring *ring)
{
	uint8_t secrets[RING_SECRETS][TOKEN_SECRET_BYTES] = { 0 };
	char *real = realpath(ring->path, NULL);
	int n = real != NULL
			? secret_file_load_ring(real, secrets[0], TOKEN_SECRET_BYTES, RING_SECRETS)
			: -errno;
	free(real);
	if (n < 0)
		return n;
	memcpy(ring->secrets, secrets, sizeof(secrets));
	key_wipe(secrets, sizeof(secrets));
	token_keys_init(&ring->keys, ring->secrets[0], n > 1 ? ring->secrets[1] : NULL);
	return n;
}

static void
complain(const struct access_ring *ring, int error)
{
	log_error("secret_unusable", "path=%s reason=%s", ring->path,
		  error == -EPERM    ? "others may read it"
		  : error == -EINVAL ? "it does not hold one or two secrets"
				     : strerror(-error));
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* True when there are other secrets now. */
static bool
look(struct access_ring *ring, int64_t period_ms, int64_t steady_ms)
{
	struct stat now = { 0 };
	if (steady_ms - ring->looked_ms < period_ms)
		return false;
	ring->looked_ms = steady_ms;
	if (stat(ring->path, &now) < 0 || is_same(&now, &ring->seen))
		return false;
	ring->seen = now;
	int n = load(ring);
	if (n < 0)
		complain(ring, n);
	else
		log_info("token_secrets_loaded", "path=%s secrets=%d", ring->path, n);
	return n > 0;
}

int
access_ring_open(const char *path, struct access_ring **ret)
{
	struct access_ring *ring = calloc(1, sizeof(*ring));
	if (ring == NULL)
		return -ENOMEM;
	int r = snprintf(ring->path, sizeof(ring->path), "%s", path) < PATH_MAX ? 0 : -ENAMETOOLONG;
	if (r == 0)
		r = load(ring);
	if (r == -ENOENT) {
		r = secret_file_load_or_create(path, ring->secrets[0], TOKEN_SECRET_BYTES);
		if (r == 0)
			r = load(ring);
	}
	if (r < 0) {
		complain(ring, r);
		access_ring_free(&ring);
		return r;
	}
	(void)stat(ring->path, &ring->seen);
	ring->looked_ms = INT64_MIN / 2;
	*ret = ring;
	return 0;
}

void
access_ring_free(struct access_ring **ring)
{
	if (*ring == NULL)
		return;
	key_wipe(*ring, sizeof(**ring));
	free(*ring);
	*ring = NULL;
}

int
access_ring_mint(struct access_ring *ring, const struct token *token, int64_t steady_ms,
		 char ret_text[TOKEN_TEXT_MAX_BYTES])
{
	(void)look(ring, LOOK_PERIOD_MS, steady_ms);
	return token_mint(&ring->keys, token, ret_text);
}

int
access_ring_verify(struct access_ring *ring, const char *text, size_t n, int64_t wall_ms,
		   int64_t steady_ms, struct token *ret)
{
	(void)look(ring, LOOK_PERIOD_MS, steady_ms);
	int r = token_verify(&ring->keys, text, n, wall_ms, ret);
	if (r == -EACCES && look(ring, LOOK_AGAIN_MS, steady_ms))
		r = token_verify(&ring->keys, text, n, wall_ms, ret);
	return r;
}
