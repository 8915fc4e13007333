/*
 * token: REST session tokens: JWT with exactly the header {"alg":"HS256","typ":"JWT"} (plus a key
 * id of one digit), claims iss, aud, sub, role, iat, exp. Minted and checked by the gateway alone.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	TOKEN_TEXT_MAX_BYTES = 512,
	TOKEN_SUBJECT_BYTES = 64,
	TOKEN_SECRET_BYTES = 32,
	TOKEN_HEADER_BYTES = 64,
	TOKEN_LIFETIME_MAX_MS = 3600 * 1000 * 24
};

enum token_role { TOKEN_ROLE_NODE = 1, TOKEN_ROLE_CLIENT = 2, TOKEN_ROLE_ADMIN = 3 };

struct token {
	enum token_role role;
	char subject[TOKEN_SUBJECT_BYTES];
	int64_t issued_at_ms, expires_at_ms; /* epoch */
};

/* secrets[0] signs, both verify. */
struct token_keys {
	const uint8_t *secrets[2];
	char headers[2][TOKEN_HEADER_BYTES]; /* what tokens signed by each begin with */
};

/* Borrows the secrets; older may be NULL. */
void token_keys_init(struct token_keys *keys, const uint8_t newest[TOKEN_SECRET_BYTES],
		     const uint8_t *older);

int token_mint(const struct token_keys *keys, const struct token *token,
	       char ret_text[TOKEN_TEXT_MAX_BYTES]);

/* 0, or -EACCES for anything wrong; -ETIME for a genuine one that is expired or not yet valid; -EIO
 * when it cannot be told now: as good as out of memory. */
int token_verify(const struct token_keys *keys, const char *text, size_t n, int64_t wall_now_ms,
		 struct token *ret);
