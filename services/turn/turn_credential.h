/*
 * turn_credential: a short-lived username and password that coturn checks without asking us
 * (use-auth-secret; draft-uberti-behave-turn-rest). The model: no I/O, no clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
	TURN_SUBJECT_MAX_BYTES = 64,
	TURN_USERNAME_BYTES = 112, /* expiry:role:subject */
	TURN_PASSWORD_BYTES = 29,  /* base64 of 20 bytes, and NUL */
	TURN_TTL_MAX_MS = 10 * 60 * 1000,
};

struct turn_credential {
	char username[TURN_USERNAME_BYTES];
	char password[TURN_PASSWORD_BYTES];
	int64_t expires_at_ms; /* epoch, a whole second */
};

/* secret: the text that coturn has as static-auth-secret. role is ours, subject a stranger's: 1 to
 * 64 of [A-Za-z0-9._-]. 0 or -EINVAL. */
int turn_credential_make(const char *secret, const char *role, const char *subject,
			 int64_t now_wall_ms, int64_t ttl_ms, struct turn_credential *ret);
