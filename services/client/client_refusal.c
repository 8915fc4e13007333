/*
 * client_refusal: see the header.
 */
#include "client/client_refusal.h"

#include "client/client_exit.h"
#include "client/client_route.h"

#include <stdio.h>
#include <string.h>

enum { RETRY_DEFAULT_SEC = 5, CODE_BYTES = 64 };

static void
no_answer(const struct http_answer *answer, const char *server, struct client_refusal *refusal,
	  char *text, size_t capacity)
{
	char why[CLIENT_TEXT_BYTES / 2];

	refusal->status = EXIT_TRY_LATER;
	refusal->is_temporary = true;
	refusal->retry_sec = RETRY_DEFAULT_SEC;
	snprintf(text, capacity, "cannot reach %s: %s; try again in %d s", server,
		 client_escape(answer->error, why, sizeof why), refusal->retry_sec);
}

static void
not_found(const char *code, struct client_refusal *refusal, char *text, size_t capacity)
{
	refusal->status = EXIT_NOT_AVAILABLE;
	if (strcmp(code, "session_unknown") == 0) {
		refusal->is_session = true;
		snprintf(text, capacity, "the session is over");
	} else if (strcmp(code, "no_suitable_node") == 0) {
		snprintf(text, capacity,
			 "no node fits; `higgs nodes` lists them, --country and --node choose");
	} else {
		refusal->status = EXIT_PROTOCOL_WRONG;
		snprintf(text, capacity, "the server knows no routes: is the URL right?");
	}
}

/* Of another replica than we asked for the challenge, say, with another secret. */
static void
no_proof(const char *server, struct client_refusal *refusal, char *text, size_t capacity)
{
	refusal->status = EXIT_TRY_LATER;
	refusal->is_temporary = true;
	refusal->retry_sec = RETRY_DEFAULT_SEC;
	snprintf(text, capacity, "%s does not take the proof of our key; try again in %d s", server,
		 refusal->retry_sec);
}

static void
by_status(const struct http_answer *answer, const char *server, struct client_refusal *refusal,
	  char *text, size_t capacity)
{
	int status = answer->status;

	refusal->retry_sec =
		answer->retry_after_sec > 0 ? answer->retry_after_sec : RETRY_DEFAULT_SEC;
	if (status == 401) {
		refusal->status = EXIT_NOT_PERMITTED;
		snprintf(text, capacity,
			 "%s does not accept this access key; check --key-file, or ask its "
			 "operator for a new one",
			 server);
	} else if (status == 403) {
		refusal->status = EXIT_NOT_PERMITTED;
		snprintf(text, capacity, "this access key may not do that at %s", server);
	} else if (status == 409) {
		refusal->status = EXIT_NOT_PERMITTED;
		snprintf(text, capacity, "the key does not match the id that %s knows it by",
			 server);
	} else if (status == 429) {
		refusal->status = EXIT_TRY_LATER;
		refusal->is_temporary = true;
		snprintf(text, capacity, "too many requests; try again in %d s",
			 refusal->retry_sec);
	} else if (status >= 500 && status <= 599) {
		refusal->status = EXIT_TRY_LATER;
		refusal->is_temporary = true;
		snprintf(text, capacity, "%s cannot help now (HTTP %d); try again in %d s", server,
			 status, refusal->retry_sec);
	} else if (status >= 300 && status <= 399) {
		refusal->status = EXIT_PROTOCOL_WRONG;
		snprintf(text, capacity, "%s wants to send us elsewhere, which we do not follow",
			 server);
	} else {
		refusal->status = EXIT_PROTOCOL_WRONG;
		snprintf(text, capacity, "%s answered HTTP %d, which makes no sense here", server,
			 status);
	}
}

void
client_refusal_read(const struct http_answer *answer, const char *server,
		    struct client_refusal *ret, char *ret_text, size_t capacity)
{
	struct client_refusal refusal = { 0 };
	char code[CODE_BYTES];

	client_route_error_code(answer->body, answer->body_bytes, code, sizeof code);
	if (answer->status == 0)
		no_answer(answer, server, &refusal, ret_text, capacity);
	else if (answer->status == 404)
		not_found(code, &refusal, ret_text, capacity);
	else if (answer->status == 401 && strcmp(code, "challenge") == 0)
		no_proof(server, &refusal, ret_text, capacity);
	else
		by_status(answer, server, &refusal, ret_text, capacity);
	*ret = refusal;
}
