/*
 * gateway_access_ring: the secrets of session tokens, from a file of one or two lines: the first
 * signs, both verify. A changed file is taken without a restart: the ring looks at it again at most
 * once a second, when a token is checked or made, and sooner when one does not verify. A file that
 * became unusable changes nothing, and is complained of once.
 */
#pragma once

#include "identity/token.h"

#include <stdint.h>

struct access_ring;

/* The file is made (0600, one secret) when missing. 0 or -errno after a log line: -EPERM others may
 * read it, -EINVAL it holds no secret. */
int access_ring_open(const char *path, struct access_ring **ret);
void access_ring_free(struct access_ring **ring);

/* As token_mint and token_verify. steady_ms: a clock that nobody sets. */
int access_ring_mint(struct access_ring *ring, const struct token *token, int64_t steady_ms,
		     char ret_text[TOKEN_TEXT_MAX_BYTES]);
int access_ring_verify(struct access_ring *ring, const char *text, size_t n, int64_t wall_ms,
		       int64_t steady_ms, struct token *ret);
