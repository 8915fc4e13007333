/*
 * gateway_access: who a request comes from, by its Authorization header: a session token that a
 * gateway minted, or an access key. The only holder of the token secrets.
 *
 *	gateway_access_check     token: who it is. Key: who it says it is, is_unconfirmed
 *	gateway_access_confirm   key: asks the store (gateway_side); takes a use
 *	gateway_access_settle    gives a use back that came to nothing
 *
 * Access keys are rows of the store, made and revoked by bosonctl (gateway_access_mailbox). Three
 * are made at first start and lie as files in the state folder: client.key, admin.key, node.key.
 * One thread.
 */
#pragma once

#include "gateway/gateway_access_store.h"
#include "gateway/gateway_endpoints.h"
#include "identity/key.h"
#include "identity/token.h"
#include "loop/loop.h"

#include <stdint.h>

struct gateway_access;
struct side_thread;

/* One caller. */
struct gateway_caller {
	enum gateway_who role; /* WHO_ANYONE, or one bit */
	/* Of a token its own; of an access key "enrol" when it is for nodes, else "key:" and its
	 * name ("client" and "admin" of the first ones). */
	char subject[TOKEN_SUBJECT_BYTES];
	int64_t issued_at_ms, expires_at_ms; /* epoch; of a token, else 0 */

	/* Of an access key. */
	bool is_enrolment;   /* for nodes that enrol, and nothing else */
	bool is_unconfirmed; /* what it says of itself; the store was not asked yet */
	bool has_use;	     /* one was taken */
	uint8_t digest[MAC_BYTES];
};

enum { GATEWAY_ACCESS_KEY_MIN_BYTES = 16, GATEWAY_ACCESS_KEY_MAX_BYTES = 128 };

#define GATEWAY_ENROL_SUBJECT "enrol"

struct gateway_access_options {
	const char *state_dir;
	const char *token_secret; /* path; "": token.secret in state_dir */
	const char *store;	  /* URL; "": SQLite in state_dir */
	struct loop *loop;	  /* NULL: no store; the files' keys hold without it */
};

/* Loads the secrets, or makes those that are missing; opens the store. 0, or an exit code of
 * sysexits.h, or -errno, after a log line. */
int gateway_access_open(const struct gateway_access_options *options, struct gateway_access **ret);

/* Who waits for a confirmation hears -EIO from in here; the store is closed. */
void gateway_access_stop(struct gateway_access *access);
void gateway_access_close(struct gateway_access **access);

/* header: the Authorization header's value, NULL when there was none. 0 and *ret; -ENOENT no
 * credential; -EACCES one that is not good, whatever the reason; -ETIME it was good once.
 * steady_ms: clock_boottime_ms. */
int gateway_access_check(struct gateway_access *access, const char *header, int64_t wall_now_ms,
			 int64_t steady_ms, struct gateway_caller *ret);

/* For a caller that is_unconfirmed: asks the store. takes_use: this request is one that a key with
 * a limit is limited in. fn is called once, never from in here, with 0 and the caller confirmed
 * (its subject names it, has_use says whether a use was taken, durably); -EACCES: no such key (any
 * more); -EIO: the store failed. caller must live until then. 0; -errno when fn will not be called.
 */
typedef void (*gateway_access_fn)(int result, void *arg);
int gateway_access_confirm(struct gateway_access *access, struct gateway_caller *caller,
			   bool takes_use, int64_t wall_now_ms, gateway_access_fn fn, void *arg);

/* The request is answered: a use that enrolled nobody new, or made no route, is given back. */
void gateway_access_settle(struct gateway_access *access, struct gateway_caller *caller,
			   int status);

/* A token for this subject, good from issued_at_ms (epoch). 0 or -EINVAL. */
int gateway_access_mint(struct gateway_access *access, enum gateway_who role, const char *subject,
			int64_t issued_at_ms, int64_t lifetime_ms,
			char ret_text[TOKEN_TEXT_MAX_BYTES], int64_t *ret_expires_at_ms);

/* Tokens of this node that were made before are void: it was deleted, or has another key since. */
void gateway_access_revoke(struct gateway_access *access, const uint8_t node_id[UUID_BYTES],
			   int64_t since_ms);

/* For the mailbox; NULL without a store. */
struct side_thread *gateway_access_store(const struct gateway_access *access);
