/*
 * bus_zap: see bus_zap.h. The lists are guarded by a mutex, held only to look a key up.
 */
#include "bus/bus_zap.h"

#include "log/log.h"
#include "loop/clock.h"

#include <czmq.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

enum { KEY_BYTES = 32, KEY_TEXT_CHARS = 40, ZAP_PARTS = 7, REFUSED_LOG_MS = 60 * 1000 };

/* So often may one key connect to one domain: a few connections for each of its replicas at once,
 * then now and then. (B58) */
enum { CONNECTS_BURST = 200, CONNECT_EVERY_MS = 50 };

struct allowed {
	uint8_t key[KEY_BYTES];
	char name[BUS_PEER_NAME_BYTES];
	int64_t room_ms; /* bucket: a connection takes CONNECT_EVERY_MS from it, time brings it back
			  */
	int64_t filled_ms;
};

struct domain {
	char name[BUS_ZAP_DOMAIN_BYTES];
	struct allowed *allowed;
	size_t n;
	struct domain *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of the lists */
static struct domain *domains;
static unsigned last_number;

/* Starting and ending wait for the thread, and the thread waits for the other mutex. */
static pthread_mutex_t thread_mutex = PTHREAD_MUTEX_INITIALIZER;
static zactor_t *thread;

static bool
takes_connection(struct allowed *allowed)
{
	int64_t now_ms = clock_monotonic_ms();
	int64_t room_ms = allowed->room_ms + now_ms - allowed->filled_ms;

	if (room_ms > CONNECTS_BURST * CONNECT_EVERY_MS)
		room_ms = CONNECTS_BURST * CONNECT_EVERY_MS;
	allowed->filled_ms = now_ms;
	allowed->room_ms = room_ms;
	if (room_ms < CONNECT_EVERY_MS)
		return false;
	allowed->room_ms -= CONNECT_EVERY_MS;
	return true;
}

static bool
is_allowed(const char *domain, const uint8_t key[KEY_BYTES], char ret_name[BUS_PEER_NAME_BYTES])
{
	bool found = false, admitted = false;

	pthread_mutex_lock(&mutex);
	for (const struct domain *d = domains; d && !found; d = d->next) {
		if (strcmp(d->name, domain) != 0)
			continue;
		for (size_t i = 0; i < d->n && !found; i++) {
			struct allowed *allowed = &d->allowed[i];

			/* A public key: nothing to learn from how long this takes. */
			if (memcmp(allowed->key, key, KEY_BYTES) != 0)
				continue;
			found = true;
			admitted = takes_connection(allowed);
			memcpy(ret_name, allowed->name, BUS_PEER_NAME_BYTES);
		}
	}
	pthread_mutex_unlock(&mutex);
	return admitted;
}

/* At most a line a minute, however often strangers knock. (B58) */
static void
note_refusal(const char *domain, const char *name)
{
	static int64_t logged_ms;
	static uint64_t refused;

	refused++;
	if (logged_ms && clock_monotonic_ms() - logged_ms < REFUSED_LOG_MS)
		return;
	logged_ms = clock_monotonic_ms();
	log_warn(*name ? "bus_peer_too_often" : "bus_stranger_refused",
		 "domain=%s name=%s refused=%llu", domain, name, (unsigned long long)refused);
}

/* version, request id, domain, address, routing id, mechanism, client key */
static void
answer(zsock_t *replier, zmsg_t *request)
{
	zframe_t *part[ZAP_PARTS] = { 0 };
	char name[BUS_PEER_NAME_BYTES] = "", domain[BUS_ZAP_DOMAIN_BYTES] = "";
	bool admitted = false;

	for (size_t i = 0; i < ZAP_PARTS; i++)
		part[i] = i == 0 ? zmsg_first(request) : zmsg_next(request);
	if (part[6] && zframe_streq(part[0], "1.0") && zframe_streq(part[5], "CURVE") &&
	    zframe_size(part[6]) == KEY_BYTES && zframe_size(part[2]) < sizeof(domain)) {
		memcpy(domain, zframe_data(part[2]), zframe_size(part[2]));
		admitted = is_allowed(domain, zframe_data(part[6]), name);
	}
	if (!admitted)
		note_refusal(domain, name);
	zmsg_t *reply = zmsg_new();
	zmsg_addstr(reply, "1.0");
	zmsg_addmem(reply, part[1] ? zframe_data(part[1]) : (const void *)"",
		    part[1] ? zframe_size(part[1]) : 0);
	zmsg_addstr(reply, admitted ? "200" : "400");
	zmsg_addstr(reply, admitted ? "OK" : "no access");
	zmsg_addstr(reply, admitted ? name : "");
	zmsg_addmem(reply, "", 0);
	zmsg_send(&reply, replier);
}

static void
zap_main(zsock_t *pipe, void *arg)
{
	zsock_t *replier = arg;
	zpoller_t *poller = zpoller_new(pipe, replier, NULL);

	log_set_service("bus-zap");
	zsock_signal(pipe, 0);
	for (;;) {
		void *ready = zpoller_wait(poller, -1);
		if (ready != replier)
			break; /* $TERM, or the context ends */
		zmsg_t *request = zmsg_recv(replier);
		if (request)
			answer(replier, request);
		zmsg_destroy(&request);
	}
	zpoller_destroy(&poller);
	zmq_unbind(zsock_resolve(replier), ZAP_ENDPOINT); /* free for the next at once */
	zsock_destroy(&replier);
}

/* Signals are for the process's own threads. */
static zactor_t *
start_without_signals(zsock_t *replier)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	zactor_t *started = zactor_new(zap_main, replier);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return started;
}

static int
start_locked(void)
{
	zsock_t *replier = zsock_new(ZMQ_REP);

	if (!replier)
		return -ENOMEM;
	if (zsock_bind(replier, ZAP_ENDPOINT) < 0) {
		zsock_destroy(&replier);
		return -EADDRINUSE;
	}
	thread = start_without_signals(replier);
	if (!thread) {
		zsock_destroy(&replier);
		return -ENOMEM;
	}
	return 0;
}

static void
domain_free(struct domain *domain)
{
	free(domain->allowed);
	free(domain);
}

static int
take_allowed(struct domain *domain, const char *key, const char *name)
{
	struct allowed *allowed = &domain->allowed[domain->n];

	if (strlen(key) != KEY_TEXT_CHARS || !zmq_z85_decode(allowed->key, key))
		return -EINVAL;
	if (!name || !*name || strlen(name) >= sizeof(allowed->name))
		return -EINVAL;
	strcpy(allowed->name, name);
	allowed->room_ms = CONNECTS_BURST * CONNECT_EVERY_MS;
	allowed->filled_ms = clock_monotonic_ms();
	domain->n++;
	return 0;
}

static int
domain_new(const struct bus_security *security, struct domain **ret)
{
	struct domain *domain = calloc(1, sizeof(*domain));
	size_t n = 0;
	int r = 0;

	if (!domain)
		return -ENOMEM;
	while (security->allowed_keys && security->allowed_keys[n])
		n++;
	domain->allowed = calloc(n + 1, sizeof(*domain->allowed));
	if (!domain->allowed)
		r = -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		r = take_allowed(domain, security->allowed_keys[i],
				 security->allowed_names ? security->allowed_names[i] : NULL);
	if (r < 0) {
		domain_free(domain);
		return r;
	}
	*ret = domain;
	return 0;
}

int
bus_zap_add(const struct bus_security *security, char ret_domain[BUS_ZAP_DOMAIN_BYTES])
{
	struct domain *domain = NULL;
	int r = domain_new(security, &domain);

	if (r < 0)
		return r;
	pthread_mutex_lock(&thread_mutex);
	if (!thread)
		r = start_locked();
	if (r == 0) {
		pthread_mutex_lock(&mutex);
		snprintf(domain->name, sizeof(domain->name), "bus-%u", ++last_number);
		strcpy(ret_domain, domain->name);
		domain->next = domains;
		domains = domain;
		pthread_mutex_unlock(&mutex);
	}
	pthread_mutex_unlock(&thread_mutex);
	if (r < 0)
		domain_free(domain);
	return r;
}

/* True when no domain is left. */
static bool
forget_domain(const char *name)
{
	pthread_mutex_lock(&mutex);
	for (struct domain **at = &domains; *at; at = &(*at)->next) {
		if (strcmp((*at)->name, name) == 0) {
			struct domain *gone = *at;
			*at = gone->next;
			domain_free(gone);
			break;
		}
	}
	bool last = !domains;
	pthread_mutex_unlock(&mutex);
	return last;
}

void
bus_zap_remove(const char *domain)
{
	pthread_mutex_lock(&thread_mutex);
	if (forget_domain(domain))
		zactor_destroy(&thread);
	pthread_mutex_unlock(&thread_mutex);
}

void
bus_zap_kill(void)
{
	pthread_mutex_lock(&thread_mutex);
	zactor_destroy(&thread);
	pthread_mutex_unlock(&thread_mutex);
}
