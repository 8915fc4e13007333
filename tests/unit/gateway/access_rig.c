/*
 * access_rig: see the header.
 */
#include "access_rig.h"

#include "loop/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAIT_MS = 20 * 1000 };

bool
access_rig_is_on_servers(void)
{
	return getenv("RIG_POSTGRESQL") != NULL;
}

int
access_rig_open(const struct access_rig *rig, struct gateway_access **ret)
{
	return gateway_access_open(&(struct gateway_access_options){ .state_dir = rig->folder,
								     .store = rig->url,
								     .loop = rig->loop },
				   ret);
}

void
access_rig_reopen(struct access_rig *rig)
{
	gateway_access_close(&rig->access);
	assert_int_equal(access_rig_open(rig, &rig->access), 0);
}

struct store *
access_rig_store(const struct access_rig *rig)
{
	char reason[256], url[ACCESS_URL_BYTES];
	struct store *store = NULL;
	snprintf(url, sizeof(url), "sqlite:%s/gateway.db", rig->folder);
	assert_int_equal(access_store_open(access_rig_is_on_servers() ? rig->url : url, &store,
					   reason, sizeof(reason)),
			 0);
	return store;
}

int
access_rig_setup(void **state)
{
	static unsigned number;
	static struct access_rig rig;
	rig = (struct access_rig){ .folder = "/tmp/test_gateway_access.XXXXXX" };
	*state = &rig;
	if (mkdtemp(rig.folder) == NULL || loop_new(&rig.loop) < 0)
		return -1;
	if (access_rig_is_on_servers())
		snprintf(rig.url, sizeof(rig.url), "%s&schema=access_%ld_%u",
			 getenv("RIG_POSTGRESQL"), (long)getpid(), number++);
	return access_rig_open(&rig, &rig.access);
}

int
access_rig_teardown(void **state)
{
	struct access_rig *rig = *state;
	char command[128];
	gateway_access_close(&rig->access);
	loop_free(&rig->loop);
	snprintf(command, sizeof(command), "rm -r %s", rig->folder);
	return system(command);
}

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

void
access_rig_run(struct access_rig *rig)
{
	assert_int_equal(loop_timer_start(rig->loop, WAIT_MS, 0, on_deadline, rig, &rig->deadline),
			 0);
	assert_int_equal(loop_run(rig->loop), 0);
	loop_timer_stop(&rig->deadline);
}

/* ---- jobs of the store ---- */

struct making {
	struct side_job job;
	struct loop *loop;
	uint8_t digest[MAC_BYTES];
	struct access_row row;
	char id[ACCESS_KEY_ID_BYTES];
	int result;
};

static int
add_run(struct store *store, struct side_job *job)
{
	struct making *making = (struct making *)job;
	return access_store_add(store, making->digest, &making->row);
}

static int
revoke_run(struct store *store, struct side_job *job)
{
	return access_store_revoke(store, ((struct making *)job)->id, clock_wall_ms());
}

static int
nothing_run(struct store *store, struct side_job *job)
{
	(void)store;
	(void)job;
	return 0;
}

static void
making_done(struct side_job *job)
{
	struct making *making = (struct making *)job;
	making->result = job->result;
	loop_stop(making->loop);
}

static int
do_making(struct access_rig *rig, side_job_fn run, struct making *making)
{
	making->loop = rig->loop;
	making->job = (struct side_job){ .run = run, .done = making_done };
	making->result = 1;
	assert_int_equal(side_thread_run(gateway_access_store(rig->access), &making->job), 0);
	access_rig_run(rig);
	return making->result;
}

void
access_rig_settle(struct access_rig *rig)
{
	assert_int_equal(do_making(rig, nothing_run, &(struct making){ 0 }), 0);
}

void
access_rig_make_key(struct access_rig *rig, enum access_key_kind kind, int64_t uses_max,
		    int64_t lifetime_ms, char ret_header[ACCESS_HEADER_BYTES],
		    char ret_id[ACCESS_KEY_ID_BYTES])
{
	struct making making = { .row = { .kind = kind, .uses_max = uses_max } };
	strcpy(making.row.name, "tester");
	making.row.created_ms = clock_wall_ms();
	if (lifetime_ms != 0)
		making.row.expires_ms = making.row.created_ms + lifetime_ms;
	strcpy(ret_header, "Bearer ");
	assert_int_equal(access_key_make(kind, ret_header + 7), 0);
	assert_int_equal(mac_sha256(ret_header + 7, strlen(ret_header + 7), making.digest), 0);
	assert_int_equal(do_making(rig, add_run, &making), 0);
	memcpy(ret_id, making.row.id, ACCESS_KEY_ID_BYTES);
}

int
access_rig_revoke_key(struct access_rig *rig, const char *id)
{
	struct making making = { 0 };
	snprintf(making.id, sizeof(making.id), "%s", id);
	return do_making(rig, revoke_run, &making);
}

/* ---- showing keys ---- */

void
access_rig_on_shown(int result, void *arg)
{
	struct showing *showing = arg;
	showing->result = result;
	if (--*showing->left == 0)
		loop_stop(showing->loop);
}

void
access_rig_show_soon(struct access_rig *rig, const char *header, bool takes_use, unsigned *left,
		     struct showing *ret)
{
	int r = gateway_access_check(rig->access, header, clock_wall_ms(), clock_boottime_ms(),
				     &ret->caller);
	assert_int_equal(r, 0);
	assert_true(ret->caller.is_unconfirmed);
	ret->loop = rig->loop;
	ret->left = left;
	ret->result = 1;
	assert_int_equal(gateway_access_confirm(rig->access, &ret->caller, takes_use,
						clock_wall_ms(), access_rig_on_shown, ret),
			 0);
	assert_int_equal(ret->result, 1);
}

int
access_rig_show(struct access_rig *rig, const char *header, bool takes_use,
		struct gateway_caller *ret)
{
	struct showing showing = { 0 };
	unsigned left = 1;
	access_rig_show_soon(rig, header, takes_use, &left, &showing);
	access_rig_run(rig);
	*ret = showing.caller;
	return showing.result;
}
