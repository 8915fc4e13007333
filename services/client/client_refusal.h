/*
 * client_refusal: what an answer of the server that is not the one we wanted means to a person, and
 * how `higgs` then ends. Pure.
 */
#pragma once

#include "net/http_client.h"

#include <stdbool.h>
#include <stddef.h>

struct client_refusal {
	int status;	   /* to exit with */
	bool is_temporary; /* the same question may be answered later */
	bool is_session;   /* the session we wanted to go on with is gone */
	int retry_sec;	   /* when it is worth trying again; 0: nothing said */
};

/* server: its URL, for the text. */
void client_refusal_read(const struct http_answer *answer, const char *server,
			 struct client_refusal *ret, char *ret_text, size_t capacity);
