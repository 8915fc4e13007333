/*
 * gateway_access: who a request comes from, by its Authorization header: a session token that this
 * gateway minted, or one of three access keys that lie as files in its state folder (client.key,
 * admin.key, node.key; made at first start). The only holder of the token secret. One thread.
 */
#pragma once

#include "gateway/gateway_endpoints.h"
#include "identity/token.h"

#include <stdint.h>

struct gateway_access;

/* One caller. An access key's subject is its name: "client", "admin", "enrol". */
struct gateway_caller {
	enum gateway_who role; /* WHO_ANYONE, or one bit */
	char subject[TOKEN_SUBJECT_BYTES];
	int64_t issued_at_ms, expires_at_ms; /* epoch; of a token, else 0 */
};

enum { GATEWAY_ACCESS_KEY_MIN_BYTES = 16, GATEWAY_ACCESS_KEY_MAX_BYTES = 128 };

#define GATEWAY_ENROL_SUBJECT "enrol"

/* Loads the secrets, or makes those that are missing. token-previous.secret, when there, still
 * verifies. 0 or -errno after a log line: -EPERM others may read a file, -EINVAL it holds nothing
 * usable. */
int gateway_access_open(const char *state_dir, struct gateway_access **ret);
void gateway_access_close(struct gateway_access **access);

/* header: the Authorization header's value, NULL when there was none. 0 and *ret; -ENOENT no
 * credential; -EACCES one that is not good, whatever the reason; -ETIME it was good once. */
int gateway_access_check(const struct gateway_access *access, const char *header,
			 int64_t wall_now_ms, struct gateway_caller *ret);

/* A token for this subject. 0 or -EINVAL. */
int gateway_access_mint(const struct gateway_access *access, enum gateway_who role,
			const char *subject, int64_t wall_now_ms, int64_t lifetime_ms,
			char ret_text[TOKEN_TEXT_MAX_BYTES], int64_t *ret_expires_at_ms);
