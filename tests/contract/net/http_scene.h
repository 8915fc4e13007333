/*
 * http_scene: a loop, a real HTTPS server whose answer the path chooses, and the HTTP client, for
 *the client's tests.
 *
 *	/moved 302	/busy 503 with Retry-After	/echo the body, 201	/hang silence
 *	/cut, /nothing	an answer cut short, or none	/large, /declared	more than 1 MiB
 *	else		200 to the bearer `secret`, 401
 */
#pragma once

#include "net/http_client.h"
#include "tls_server.h"

#include <stdbool.h>
#include <stdio.h>

enum { DEADLINE_MS = 20 * 1000, LARGE_BYTES = 1024 * 1024 + 1 };

struct scene {
	struct loop *loop;
	struct tls_server *server;
	struct http_client *client;
	unsigned answers;
	struct http_answer last;
	char body[256], error[600];
};

void scene_open(struct scene *s, const struct tls_server_options *options, bool with_ca);
void scene_close(struct scene *s);

/* Of a test with a trusted server. */
int scene_setup(void **state);
int scene_teardown(void **state);
#define SCENE_TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

/* Keeps the answer and stops the loop. */
void scene_on_answer(const struct http_answer *answer, void *arg);
/* Runs the loop until the next answer. */
void scene_run(struct scene *s);
void scene_request(struct scene *s, const struct http_request *what);
void get_from(struct scene *s, const char *scheme, const char *host, const char *path);
void get(struct scene *s, const char *path);
