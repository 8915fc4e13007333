/*
 * http_scene: see http_scene.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_scene.h"

#include <stdio.h>
#include <string.h>

/* What the server answers is chosen by the path. */
static bool
respond(const char *request, FILE *out, void *arg)
{
	(void)arg;
	if (strncmp(request, "GET /hang", 9) == 0)
		return false;
	if (strncmp(request, "GET /moved", 10) == 0)
		tls_server_write(out, 302, "Location: http://127.0.0.1:9/\r\n", "");
	else if (strncmp(request, "GET /busy", 9) == 0)
		tls_server_write(out, 503, "Retry-After: 17\r\n", "{}");
	else if (strncmp(request, "GET /cut", 8) == 0)
		fputs("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":", out);
	else if (strncmp(request, "GET /large", 10) == 0) {
		fputs("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", out);
		for (size_t i = 0; i < LARGE_BYTES; i++)
			putc('x', out);
	} else if (strncmp(request, "GET /declared", 13) == 0)
		fprintf(out, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE_BYTES);
	else if (strncmp(request, "GET /nothing", 12) == 0)
		return true;
	else if (strncmp(request, "POST /echo", 10) == 0)
		tls_server_write(out, 201, "", strstr(request, "\r\n\r\n") + 4);
	else {
		const char *wanted = strstr(request, "\r\nAuthorization: Bearer secret\r\n");

		tls_server_write(out, wanted ? 200 : 401, "", "{\"status\":\"ok\"}");
	}
	return true;
}

void
scene_on_answer(const struct http_answer *answer, void *arg)
{
	struct scene *s = arg;

	s->answers++;
	s->last = *answer;
	assert_int_equal(answer->body[answer->body_bytes], '\0');
	snprintf(s->body, sizeof(s->body), "%s", answer->body);
	snprintf(s->error, sizeof(s->error), "%s", answer->error);
	loop_stop(s->loop);
}

static void
on_deadline(struct loop *loop, void *arg)
{
	(void)arg;
	loop_stop(loop);
}

void
scene_run(struct scene *s)
{
	struct loop_timer *deadline = NULL;
	unsigned before = s->answers;

	assert_int_equal(loop_timer_start(s->loop, DEADLINE_MS, 0, on_deadline, NULL, &deadline),
			 0);
	assert_int_equal(loop_run(s->loop), 0);
	assert_int_equal(s->answers, before + 1);
	loop_timer_stop(&deadline);
}

void
scene_request(struct scene *s, const struct http_request *what)
{
	assert_int_equal(http_client_send(s->client, what, scene_on_answer, s), 0);
	scene_run(s);
}

void
get_from(struct scene *s, const char *scheme, const char *host, const char *path)
{
	char url[192];
	struct http_request what = { .method = "GET", .url = url, .timeout_ms = 10000 };

	snprintf(url, sizeof(url), "%s://%s:%u%s", scheme, host, tls_server_port(s->server), path);
	scene_request(s, &what);
}

void
get(struct scene *s, const char *path)
{
	get_from(s, "https", "localhost", path);
}

void
scene_open(struct scene *s, const struct tls_server_options *options, bool with_ca)
{
	struct tls_server_options o = *options;

	o.fn = respond;
	assert_int_equal(loop_new(&s->loop), 0);
	assert_int_equal(tls_server_start(&o, &s->server), 0);
	assert_int_equal(http_client_new(s->loop, with_ca ? tls_server_ca_file(s->server) : NULL,
					 &s->client),
			 0);
}

void
scene_close(struct scene *s)
{
	http_client_free(&s->client);
	tls_server_stop(&s->server);
	loop_free(&s->loop);
}

int
scene_setup(void **state)
{
	static struct scene s;

	memset(&s, 0, sizeof(s));
	scene_open(&s, &(struct tls_server_options){ 0 }, true);
	*state = &s;
	return 0;
}

int
scene_teardown(void **state)
{
	scene_close(*state);
	return 0;
}
