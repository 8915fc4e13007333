/*
 * access_rig: gateway_access with its store and a loop, for tests: a key made, revoked, shown. On
 * SQLite, and under with_servers on PostgreSQL. What goes wrong in here fails the running test.
 */
#pragma once

#include "gateway/gateway_access.h"
#include "gateway/gateway_side.h"

enum { ACCESS_URL_BYTES = 512, ACCESS_HEADER_BYTES = 80 };

struct access_rig {
	char folder[64], url[ACCESS_URL_BYTES];
	struct loop *loop;
	struct loop_timer *deadline;
	struct gateway_access *access;
};

/* Of a test: *state is a rig of its own. */
int access_rig_setup(void **state);
int access_rig_teardown(void **state);

bool access_rig_is_on_servers(void);

/* A gateway on the rig's store; -errno or an exit code. */
int access_rig_open(const struct access_rig *rig, struct gateway_access **ret);
void access_rig_reopen(struct access_rig *rig);

/* The store of a rig that is closed. */
struct store *access_rig_store(const struct access_rig *rig);

/* Runs the loop until somebody stops it. */
void access_rig_run(struct access_rig *rig);

/* Runs it until the store has done what it was asked to before. */
void access_rig_settle(struct access_rig *rig);

/* A new key as an Authorization header, and the id it can be revoked by. */
void access_rig_make_key(struct access_rig *rig, enum access_key_kind kind, int64_t uses_max,
			 int64_t lifetime_ms, char ret_header[ACCESS_HEADER_BYTES],
			 char ret_id[ACCESS_KEY_ID_BYTES]);
int access_rig_revoke_key(struct access_rig *rig, const char *id);

/* One that shows a key. */
struct showing {
	struct loop *loop;
	struct gateway_caller caller;
	int result;
	unsigned *left; /* stops the loop at 0 */
};

/* Checks, and asks the store; does not wait. */
void access_rig_show_soon(struct access_rig *rig, const char *header, bool takes_use,
			  unsigned *left, struct showing *ret);
void access_rig_on_shown(int result, void *arg);

/* The same, and waits. */
int access_rig_show(struct access_rig *rig, const char *header, bool takes_use,
		    struct gateway_caller *ret);
