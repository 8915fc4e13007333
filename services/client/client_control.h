/*
 * client_control: how `status` and `disconnect` speak with the client that runs: a unix socket 0600
 * in the state folder, one line of command, one answer, end. The kernel says who asks
 * (SO_PEERCRED): root and the account that runs it.
 */
#pragma once

#include "loop/loop.h"

#include <stddef.h>

enum { CONTROL_ANSWER_BYTES = 16 * 1024 };

struct client_control;

/* command: without its newline. Writes the answer and returns its size, or 0: the answer comes
 * later, by client_control_answer. */
typedef size_t (*client_control_fn)(const char *command, char *ret_answer, size_t capacity,
				    void *arg);

int client_control_new(struct loop *loop, const char *folder, client_control_fn fn, void *arg,
		       struct client_control **ret);

/* To all who still wait. */
void client_control_answer(struct client_control *control, const char *answer);

/* Removes the socket. */
void client_control_free(struct client_control **control);

/* The other side; blocks up to 15 s. 0 and the answer; -ENOENT: nobody runs; -EACCES: it is not for
 * us; -EPERM: the socket is somebody else's; -ETIMEDOUT; -EBADMSG: no answer or too large. */
int client_control_ask(const char *folder, const char *command, char *ret_answer, size_t capacity);
