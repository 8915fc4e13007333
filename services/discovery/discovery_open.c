/*
 * discovery_open: the store at start. A database server that does not answer then is waited for:
 * the mailbox is open meanwhile, and says UNAVAILABLE to everybody (F13).
 */
#include "discovery/discovery_replicas.h"

#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum { URL_BYTES = 1024, OPEN_AGAIN_MS = 1000 };

static void
store_url(const struct discovery *discovery, char ret_url[URL_BYTES])
{
	const struct actor_context *context = discovery->context;
	const char *configured = config_string(context->config, "discovery", "store");

	if (configured[0] != '\0')
		(void)snprintf(ret_url, URL_BYTES, "%s", configured);
	else
		(void)snprintf(ret_url, URL_BYTES, "sqlite:%s/discovery.db", context->state_dir);
}

/* 0, or -errno of store_open or of loading, and then nothing is open. */
static int
open_and_load(struct discovery *discovery)
{
	char url[URL_BYTES], reason[256];
	int error;

	store_url(discovery, url);
	discovery->is_shared = strncmp(url, "postgresql:", strlen("postgresql:")) == 0;
	error = discovery_store_open(url, &discovery->store, reason, sizeof(reason));
	if (error != 0) {
		log_error("store_not_opened", "reason=%s", reason);
		return error;
	}
	error = registry_init(&discovery->registry, discovery->offline_after_ms,
			      (uint64_t)clock_wall_ms() * 1000);
	if (error == 0)
		error = discovery_load(discovery);
	if (error == 0)
		error = discovery_liveness_start(discovery);
	if (error == 0) {
		discovery->is_loaded = true;
		log_info("loaded", "nodes=%zu relays=%zu shared=%d", discovery->registry.count,
			 discovery->relays.count, discovery->is_shared);
		return 0;
	}
	log_error("nodes_not_loaded", "error=%d", error);
	registry_fini(&discovery->registry);
	store_close(&discovery->store);
	return error;
}

static void
on_open_timer(struct loop *loop, void *arg)
{
	struct discovery *discovery = arg;
	int error = open_and_load(discovery);

	if (error == -EIO)
		return; /* again in a while */
	loop_timer_stop(&discovery->open_timer);
	(void)loop;
	if (error != 0)
		actor_failed(discovery->context, store_exit_code(error));
}

int
discovery_store_start(struct discovery *discovery)
{
	uint64_t number = 0;
	int error;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EIO;
	discovery->writer = (int64_t)(number >> 1);
	discovery->epoch = (uint32_t)number;
	error = store_lease_init(&discovery->lease, "sweep", DISCOVERY_LEASE_MS);
	if (error == 0)
		error = open_and_load(discovery);
	if (error == 0)
		return 0;
	if (error != -EIO || !discovery->is_shared)
		return store_exit_code(error);
	return loop_timer_start(discovery->context->loop, OPEN_AGAIN_MS, OPEN_AGAIN_MS,
				on_open_timer, discovery, &discovery->open_timer);
}
