/*
 * gateway_tls_watch: see the header. Files are replaced one after the other, so a pair that does
 * not fit may be half of a change: the next look tells.
 */
#include "gateway/gateway_tls_watch.h"

#include "gateway/gateway_http.h"
#include "gateway/gateway_tls.h"
#include "log/log.h"
#include "loop/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PERIOD_MS = 1000, WARN_DAYS = 21, ERROR_BYTES = 256 };

#define DAY_MS (INT64_C(24) * 3600 * 1000)

struct gateway_tls_watch {
	struct gateway *gateway;
	const char *paths[2]; /* the config's */
	struct stat seen[2];
	struct loop_timer *timer;
	struct metric *expiry;
	int64_t expires_ms; /* epoch; 0: not known yet */
	int64_t warned_day; /* before its end; or -1 */
};

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* True when either file is another than last time, and both are there. */
static bool
has_changed(struct gateway_tls_watch *watch)
{
	struct stat now[2] = { 0 };
	if (stat(watch->paths[0], &now[0]) < 0 || stat(watch->paths[1], &now[1]) < 0)
		return false;
	bool changed = !is_same(&now[0], &watch->seen[0]) || !is_same(&now[1], &watch->seen[1]);
	memcpy(watch->seen, now, sizeof(now));
	return changed;
}

static void
note_expiry(struct gateway_tls_watch *watch, const struct gateway_tls *tls)
{
	watch->expires_ms = tls->expires_ms;
	watch->warned_day = -1;
	metric_set(watch->expiry, (double)(watch->expires_ms / 1000));
}

/* Once a day in its last weeks. */
static void
warn_of_expiry(struct gateway_tls_watch *watch, int64_t wall_ms)
{
	int64_t days = (watch->expires_ms - wall_ms) / DAY_MS;
	if (watch->expires_ms == 0 || days > WARN_DAYS || days == watch->warned_day)
		return;
	watch->warned_day = days;
	log_warn("certificate_expires", "path=%s days=%lld", watch->paths[0], (long long)days);
}

static void
load(struct gateway_tls_watch *watch, int64_t wall_ms)
{
	struct gateway_tls tls;
	char error[ERROR_BYTES] = "";
	int r = gateway_tls_load(watch->paths[0], watch->paths[1], &tls, error, sizeof(error));
	if (r == 0 && tls.expires_ms <= wall_ms) {
		snprintf(error, sizeof(error), "%s has expired", watch->paths[0]);
		r = -1;
	}
	if (r == 0 && gateway_http_set_tls(watch->gateway->http, &tls) < 0) {
		snprintf(error, sizeof(error), "%s cannot be used", watch->paths[0]);
		r = -1;
	}
	if (r == 0) {
		note_expiry(watch, &tls);
		log_info("certificate_loaded", "path=%s", watch->paths[0]);
	} else {
		log_error("certificate_unusable", "reason=%s", error);
	}
	gateway_tls_fini(&tls);
}

static void
look(struct loop *loop, void *arg)
{
	(void)loop;
	struct gateway_tls_watch *watch = arg;
	int64_t wall_ms = clock_wall_ms();
	if (has_changed(watch))
		load(watch, wall_ms);
	warn_of_expiry(watch, wall_ms);
}

int
gateway_tls_watch_new(struct gateway *gateway, const char *certificate_path,
		      const char *private_key_path, struct gateway_tls_watch **ret)
{
	struct gateway_tls_watch *watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return -ENOMEM;
	watch->gateway = gateway;
	watch->paths[0] = certificate_path;
	watch->paths[1] = private_key_path;
	watch->expiry = metrics_gauge(gateway->context->metrics, "certificate_expiry_seconds", NULL,
				      "When the served certificate ends, seconds since the epoch");
	/* They are loaded once more by the first look: what changed since the start is not missed.
	 */
	int r = loop_timer_start(gateway->context->loop, 0, PERIOD_MS, look, watch, &watch->timer);
	if (r < 0)
		gateway_tls_watch_free(&watch);
	*ret = watch;
	return r;
}

void
gateway_tls_watch_free(struct gateway_tls_watch **watch)
{
	if (*watch == NULL)
		return;
	loop_timer_stop(&(*watch)->timer);
	free(*watch);
	*watch = NULL;
}
