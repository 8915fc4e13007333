/*
 * gateway_response: an answer as libmicrohttpd wants it; see the header.
 */
#include "gateway/gateway_response.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

static void
add_cors(struct MHD_Response *response, const struct gateway_request *request)
{
	const char *const *configured = request->gateway->cors_origins;
	const char *origin = gateway_request_origin_is_ours(request) ? request->head.origin : NULL;
	if (configured != NULL && *configured != NULL)
		MHD_add_response_header(response, "Vary", "Origin");
	if (origin == NULL)
		return;
	MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
	MHD_add_response_header(response, "Access-Control-Expose-Headers", "Retry-After");
	if (strcmp(request->head.method, "OPTIONS") != 0)
		return;
	MHD_add_response_header(response, "Access-Control-Allow-Methods", request->answer.allow);
	MHD_add_response_header(response, "Access-Control-Allow-Headers",
				"Authorization, Content-Type, Higgs-Proof");
	MHD_add_response_header(response, "Access-Control-Max-Age", "600");
}

static void
add_headers(struct MHD_Response *response, const struct gateway_request *request, bool close)
{
	const struct gateway_answer *answer = &request->answer;
	char seconds[16];
	if (answer->content_type != NULL)
		MHD_add_response_header(response, "Content-Type", answer->content_type);
	MHD_add_response_header(response, "Cache-Control", "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "X-Request-Id", request->trace);
	if (answer->allow[0] != '\0')
		MHD_add_response_header(response, "Allow", answer->allow);
	if (answer->status == 401)
		MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
	if (answer->retry_after_sec > 0) {
		snprintf(seconds, sizeof(seconds), "%u", answer->retry_after_sec);
		MHD_add_response_header(response, "Retry-After", seconds);
	}
	if (close)
		MHD_add_response_header(response, "Connection", "close");
	add_cors(response, request);
}

int
gateway_response_queue(struct MHD_Connection *mhd, struct gateway_request *request, bool close)
{
	struct gateway_answer *answer = &request->answer;
	static char nothing[1];
	bool has_body = answer->body != NULL;
	struct MHD_Response *response = MHD_create_response_from_buffer(
		answer->body_bytes, has_body ? answer->body : nothing,
		has_body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (response == NULL)
		return -ENOMEM;
	answer->body = NULL;
	add_headers(response, request, close);
	int r = MHD_queue_response(mhd, (unsigned int)answer->status, response) == MHD_YES
			? 0
			: -ENOMEM;
	MHD_destroy_response(response);
	return r;
}
