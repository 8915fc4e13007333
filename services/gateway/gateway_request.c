/*
 * gateway_request: the life of one request; see the header.
 */
#include "gateway/gateway_request.h"

#include "gateway/gateway_call.h"
#include "gateway/gateway_events.h"
#include "gateway/gateway_health.h"
#include "gateway/gateway_trace.h"
#include "gateway/gateway_upgrade.h"
#include "log/log.h"
#include "loop/clock.h"
#include "net/address.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void
gateway_request_init(struct gateway_request *request, struct gateway *gateway, const char *target)
{
	memset(request, 0, offsetof(struct gateway_request, path));
	request->gateway = gateway;
	request->started_us = clock_monotonic_us();
	gateway_trace_make(&gateway->traces, request->trace);
	request->path_result = gateway_path_parse(target, &request->path);
}

void
gateway_request_fini(struct gateway_request *request)
{
	free(request->body);
	gateway_answer_fini(&request->answer);
}

static int
refuse(struct gateway_request *request, int status, const char *code, const char *field)
{
	gateway_answer_error(&request->answer, status, code, field, request->trace);
	return -1;
}

/* What the gate lets through and nobody should; the connection is not to be trusted after it. */
static int
check_target(struct gateway_request *request)
{
	request->answer.closes = true;
	if (request->path_result == -ENAMETOOLONG)
		return refuse(request, 414, "uri_too_long", NULL);
	if (request->path_result == -EINVAL)
		return refuse(request, 400, "target", NULL);
	request->answer.closes = false;
	return 0;
}

bool
gateway_request_origin_is_ours(const struct gateway_request *request)
{
	const char *const *origin = request->gateway->cors_origins;
	for (; request->head.origin != NULL && origin != NULL && *origin != NULL; origin++) {
		if (strcmp(*origin, request->head.origin) == 0)
			return true;
	}
	return false;
}

/* The gate lets only an upgrade to WebSocket through. */
static int
check_upgrade(struct gateway_request *request)
{
	bool upgrades = (request->match.endpoint->flags & ENDPOINT_UPGRADE) != 0;
	if (!upgrades && request->head.tally.upgrades == 0)
		return 0;
	if (!upgrades || !gateway_upgrade_is_good(&request->head)) {
		request->answer.closes = true;
		return refuse(request, 400, "upgrade", NULL);
	}
	/* A page of anybody's may ask; its answer would be read before CORS is looked at. */
	if (request->head.origin != NULL && !gateway_request_origin_is_ours(request))
		return refuse(request, 403, "origin", NULL);
	return 0;
}

static int
limited(struct gateway_request *request, enum gateway_rate class, uint32_t wait_sec)
{
	metric_add(request->gateway->figures.limited[class], 1);
	request->answer.retry_after_sec = wait_sec;
	request->answer.allow[0] = '\0';
	return refuse(request, 429, NULL, NULL);
}

static int
check_address_rate(struct gateway_request *request)
{
	const struct gateway *gateway = request->gateway;
	const struct gateway_endpoint *endpoint = request->match.endpoint;
	enum gateway_rate class = endpoint != NULL ? endpoint->rate : RATE_GENERAL;
	uint32_t wait_sec = gateway_limits_take_address(&gateway->limits, class, &request->origin,
							clock_monotonic_ms());
	return wait_sec > 0 ? limited(request, class, wait_sec) : 0;
}

/* Tokens count each for itself; an access key may be in many hands, whose addresses count. */
static int
check_subject_rate(struct gateway_request *request)
{
	const struct gateway_caller *caller = &request->caller;
	if (caller->role == WHO_ANYONE || caller->expires_at_ms == 0)
		return 0;
	enum gateway_rate class =
		caller->role == WHO_ADMIN ? RATE_ADMIN : request->match.endpoint->rate;
	uint32_t wait_sec = gateway_limits_take_subject(&request->gateway->limits, class,
							caller->subject, clock_monotonic_ms());
	return wait_sec > 0 ? limited(request, class, wait_sec) : 0;
}

static int
find_endpoint(struct gateway_request *request)
{
	if (request->path_result < 0)
		return -ENOENT;
	return gateway_endpoints_match(request->head.method, &request->path, &request->match,
				       request->answer.allow);
}

static int
refuse_unmatched(struct gateway_request *request, int r)
{
	if (r == -ENOENT)
		return refuse(request, 404, NULL, NULL);
	if (strcmp(request->head.method, "OPTIONS") != 0)
		return refuse(request, 405, NULL, NULL);
	request->answer.status = 204;
	return -1;
}

/* Endpoints for anyone look at no credential, but for enrolment's key. */
static int
check_anyone(struct gateway_request *request)
{
	struct gateway_caller caller;
	if ((request->match.endpoint->flags & ENDPOINT_ENROLS) == 0)
		return 0;
	int r = gateway_access_check(request->gateway->access, request->head.authorization,
				     clock_wall_ms(), clock_boottime_ms(), &caller);
	if (r == 0 && caller.is_enrolment)
		request->caller = caller;
	return r == -EIO ? refuse(request, 503, "memory", NULL) : 0;
}

static int
check_access(struct gateway_request *request)
{
	const struct gateway_endpoint *endpoint = request->match.endpoint;
	struct gateway_caller *caller = &request->caller;
	if (endpoint->who == WHO_ANYONE)
		return check_anyone(request);
	if ((endpoint->flags & ENDPOINT_SCRAPE) != 0 && request->head.authorization == NULL &&
	    gateway_networks_have(&request->gateway->scrapers, &request->origin))
		return 0;
	int r = gateway_access_check(request->gateway->access, request->head.authorization,
				     clock_wall_ms(), clock_boottime_ms(), caller);
	if (r == -EIO)
		return refuse(request, 503, "memory", NULL);
	if (r < 0)
		return refuse(request, 401, r == -ETIME ? "token_expired" : NULL, NULL);
	/* The enrolment key has a node's role for discovery's sake, but opens one door only. */
	if ((endpoint->who & caller->role) == 0 || caller->is_enrolment)
		return refuse(request, 403, NULL, NULL);
	if ((endpoint->flags & ENDPOINT_OWN_NODE) == 0 || caller->role != WHO_NODE)
		return 0;
	for (size_t i = 0; i < request->match.parameters_n; i++) {
		const struct gateway_parameter *parameter = &request->match.parameters[i];
		if (parameter->name_bytes == strlen("nodeId") &&
		    memcmp(parameter->name, "nodeId", parameter->name_bytes) == 0 &&
		    strcmp(parameter->value, caller->subject) != 0)
			return refuse(request, 403, NULL, NULL);
	}
	return 0;
}

static bool
is_json(const char *content_type)
{
	static const char expected[] = "application/json";
	size_t n = sizeof(expected) - 1;
	if (content_type == NULL || strncasecmp(content_type, expected, n) != 0)
		return false;
	content_type += n + strspn(content_type + n, " \t");
	return *content_type == '\0' || *content_type == ';';
}

static int
check_body_head(struct gateway_request *request)
{
	const struct gate_tally *tally = &request->head.tally;
	uint32_t max_bytes = request->match.endpoint->body_max_bytes;
	if (max_bytes == 0)
		return tally->content_length > 0 || tally->encodings > 0
			       ? refuse(request, 400, "body", NULL)
			       : 0;
	if (!is_json(request->head.content_type))
		return refuse(request, 415, NULL, NULL);
	return tally->content_length > max_bytes ? refuse(request, 413, NULL, NULL) : 0;
}

void
gateway_request_begin(struct gateway_request *request)
{
	if (check_target(request) < 0)
		return;
	if (gateway_limits_origin(&request->gateway->limits, &request->head.peer,
				  request->head.forwarded_for, &request->origin) < 0) {
		refuse(request, 400, "forwarded_for", NULL);
		return;
	}
	int found = find_endpoint(request);
	if (check_address_rate(request) < 0)
		return;
	if (found < 0) {
		refuse_unmatched(request, found);
		return;
	}
	if (check_upgrade(request) == 0 && check_access(request) == 0 &&
	    check_subject_rate(request) == 0)
		check_body_head(request);
}

void
gateway_request_add_body(struct gateway_request *request, const char *bytes, size_t n)
{
	if (n > request->match.endpoint->body_max_bytes - request->body_bytes) {
		refuse(request, 413, NULL, NULL);
		return;
	}
	size_t need = request->body_bytes + n;
	if (need > request->body_capacity) {
		size_t capacity = request->body_capacity > 0 ? request->body_capacity : 1024;
		while (capacity < need)
			capacity *= 2;
		char *body = realloc(request->body, capacity);
		if (body == NULL) {
			refuse(request, 503, "memory", NULL);
			return;
		}
		request->body = body;
		request->body_capacity = capacity;
	}
	memcpy(request->body + request->body_bytes, bytes, n);
	request->body_bytes = need;
}

static void
answer_openapi(struct gateway_request *request)
{
	struct json_text text = { 0 };
	json_text_raw(&text, request->gateway->openapi);
	gateway_answer_json(&request->answer, 200, &text, request->trace);
}

static void
run_confirmed(struct gateway_request *request)
{
	struct gateway_health *health = request->gateway->health;
	ProtobufCMessage *message = NULL;
	switch (request->match.endpoint->local) {
	case LOCAL_HEALTH:
		gateway_health_answer(health, &request->answer, request->trace);
		break;
	case LOCAL_READY:
		gateway_health_answer_ready(health, &request->answer, request->trace);
		break;
	case LOCAL_LIVE:
		gateway_health_answer_live(&request->answer, request->trace);
		break;
	case LOCAL_OPENAPI:
		answer_openapi(request);
		break;
	case LOCAL_EVENTS:
		if (gateway_events_have_room(request->gateway->events))
			request->answer.status = 101;
		else
			refuse(request, 503, "busy", NULL);
		break;
	case LOCAL_NONE:
		if (gateway_call_build(request, &message) == 0)
			gateway_call_send(request, &message);
		break;
	}
}

static void
on_confirmed(int result, void *arg)
{
	struct gateway_request *request = arg;
	bool enrols = (request->match.endpoint->flags & ENDPOINT_ENROLS) != 0;
	/* Who is known needs no key: discovery decides. */
	if (result == -EACCES && enrols)
		request->caller = (struct gateway_caller){ .role = WHO_ANYONE };
	if (result == 0 || (result == -EACCES && enrols))
		run_confirmed(request);
	else if (result == -EACCES)
		refuse(request, 401, NULL, NULL);
	else
		refuse(request, 503, "store_failed", NULL);
	if (request->answer.status != 0)
		request->on_answer(request, request->on_answer_arg);
}

/* What keys for nodes and clients are limited in; the others in all that they do. */
static bool
takes_use(const struct gateway_request *request)
{
	unsigned int flags = request->match.endpoint->flags;
	if (request->caller.is_enrolment)
		return (flags & ENDPOINT_ENROLS) != 0;
	return request->caller.role != WHO_CLIENT || (flags & ENDPOINT_MINTS_CLIENT) != 0;
}

void
gateway_request_run(struct gateway_request *request)
{
	if (!request->caller.is_unconfirmed)
		run_confirmed(request);
	else if (gateway_access_confirm(request->gateway->access, &request->caller,
					takes_use(request), clock_wall_ms(), on_confirmed,
					request) < 0)
		refuse(request, 503, "busy", NULL);
}

static bool
is_write(const char *method)
{
	return strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
}

void
gateway_request_done(struct gateway_request *request, bool sent)
{
	const struct gateway_endpoint *endpoint = request->match.endpoint;
	const struct gateway_figures *figures = &request->gateway->figures;
	const char *path = endpoint != NULL ? endpoint->path : "other";
	size_t row =
		endpoint != NULL ? (size_t)(endpoint - gateway_endpoints) : GATEWAY_ENDPOINTS_MAX;
	int64_t took_us = clock_monotonic_us() - request->started_us;
	int status = request->answer.status;
	char address[INET6_ADDRSTRLEN];

	gateway_access_settle(request->gateway->access, &request->caller, status);
	if (status < 600)
		metric_add(figures->requests[row][status / 100], 1);
	metric_observe_us(figures->seconds[row], (uint64_t)took_us);
	if (request->caller.role == WHO_ADMIN && is_write(request->head.method))
		log_info("admin_write", "endpoint=%s subject=%s status=%d trace=%s", path,
			 request->caller.subject, status, request->trace);
	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	address_format(&request->origin, address);
	log_debug(
		"request_done",
		"method=%s endpoint=%s status=%d code=%s took_us=%lld address=%s sent=%s trace=%s",
		request->head.method != NULL ? request->head.method : "", path, status,
		request->answer.code, (long long)took_us, address, sent ? "yes" : "no",
		request->trace);
}
