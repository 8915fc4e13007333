/*
 * http_client: curl's multi interface on our loop: it says which sockets and which timeout it wants
 * watched, we tell it what happened. Answers are given out only after curl has returned, so their
 * functions may send and even free the client.
 */
#include "net/address.h"
#include "net/http_inside.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A socket of curl's. It is curl's to close. */
struct http_watch {
	struct http_client *client;
	LIST_ENTRY(http_watch) of_client;
	struct loop_fd *fd;
};

static void client_drop(struct http_client *client);

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready = CURLE_FAILED_INIT;

static void
curl_start(void)
{
	curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void
exchange_unlink(struct http_exchange *x)
{
	LIST_REMOVE(x, of_client);
	x->client->pending--;
}

/* Takes a finished request out of curl and tells its sender. */
static void
finish(struct http_client *client, CURL *easy, CURLcode code)
{
	struct http_exchange *x;
	char error[HTTP_ERROR_BYTES];
	struct http_answer answer = { .error = error };
	curl_off_t retry_after = 0;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &x);
	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
	http_error_write(x, code, status, error);
	curl_multi_remove_handle(client->multi, easy);
	exchange_unlink(x);
	if (code == CURLE_OK) {
		answer.status = (int)status;
		answer.retry_after_sec =
			(int)(retry_after < HTTP_RETRY_AFTER_MAX_SEC ? retry_after
								     : HTTP_RETRY_AFTER_MAX_SEC);
	}
	answer.body = x->received && code == CURLE_OK ? x->received : "";
	answer.body_bytes = code == CURLE_OK ? x->received_bytes : 0;
	x->fn(&answer, x->arg);
	http_exchange_free(x);
}

/* After each call into curl: hand out what is finished. */
static void
hand_out(struct http_client *client)
{
	CURLMsg *message;
	int left;

	client->busy++;
	while (!client->is_dropped && (message = curl_multi_info_read(client->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			finish(client, message->easy_handle, message->data.result);
	client->busy--;
	if (client->is_dropped && client->busy == 0)
		client_drop(client);
}

static void
on_socket_event(struct loop *loop, int fd, uint32_t events, void *arg)
{
	struct http_client *client = ((struct http_watch *)arg)->client;
	int running, flags = 0;

	(void)loop;
	if (events & EPOLLIN)
		flags |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		flags |= CURL_CSELECT_OUT;
	if (events & (EPOLLERR | EPOLLHUP))
		flags |= CURL_CSELECT_ERR;
	curl_multi_socket_action(client->multi, fd, flags, &running);
	hand_out(client);
}

static void
on_timer(struct loop *loop, void *arg)
{
	struct http_client *client = arg;
	int running;

	(void)loop;
	client->timer = NULL; /* it was for once */
	curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	hand_out(client);
}

static int
curl_wants_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http_client *client = arg;

	(void)multi;
	if (client->timer)
		loop_timer_stop(&client->timer);
	if (timeout_ms < 0)
		return 0;
	return loop_timer_start(client->loop, timeout_ms, 0, on_timer, client, &client->timer) < 0
		       ? -1
		       : 0;
}

static void
watch_free(struct http_watch *watch)
{
	if (watch->fd)
		loop_fd_remove(&watch->fd);
	LIST_REMOVE(watch, of_client);
	free(watch);
}

static struct http_watch *
watch_new(struct http_client *client, int fd, uint32_t events)
{
	struct http_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->client = client;
	if (loop_fd_add(client->loop, fd, events, on_socket_event, watch, &watch->fd) < 0) {
		free(watch);
		return NULL;
	}
	LIST_INSERT_HEAD(&client->watches, watch, of_client);
	return watch;
}

static int
curl_wants_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http_client *client = arg;
	struct http_watch *watch = socket_arg;
	uint32_t events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch)
			watch_free(watch);
		curl_multi_assign(client->multi, fd, NULL);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	if (watch)
		return loop_fd_set(watch->fd, events) < 0 ? -1 : 0;
	watch = watch_new(client, fd, events);
	if (!watch)
		return -1;
	curl_multi_assign(client->multi, fd, watch);
	return 0;
}

static int
client_init(struct http_client *client, const char *ca_file)
{
	if (ca_file && !(client->ca_file = strdup(ca_file)))
		return -ENOMEM;
	client->multi = curl_multi_init();
	if (!client->multi)
		return -ENOMEM;
	if (curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, curl_wants_socket) ||
	    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client) ||
	    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, curl_wants_timer) ||
	    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client) ||
	    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, 8L) ||
	    curl_multi_setopt(client->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING))
		return -EINVAL;
	return 0;
}

int
http_client_new(struct loop *loop, const char *ca_file, struct http_client **ret)
{
	struct http_client *client;
	int r;

	pthread_once(&curl_once, curl_start);
	if (curl_ready != CURLE_OK)
		return -ENOMEM;
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->loop = loop;
	r = client_init(client, ca_file);
	if (r < 0)
		client_drop(client);
	else
		*ret = client;
	return r;
}

static void
client_drop(struct http_client *client)
{
	while (!LIST_EMPTY(&client->exchanges)) {
		struct http_exchange *x = LIST_FIRST(&client->exchanges);

		curl_multi_remove_handle(client->multi, x->easy);
		exchange_unlink(x);
		http_exchange_free(x);
	}
	/* Closes idle connections; curl asks us to forget their sockets meanwhile. */
	curl_multi_cleanup(client->multi);
	while (!LIST_EMPTY(&client->watches))
		watch_free(LIST_FIRST(&client->watches));
	if (client->timer)
		loop_timer_stop(&client->timer);
	free(client->ca_file);
	free(client);
}

void
http_client_free(struct http_client **client)
{
	struct http_client *dropped = *client;

	*client = NULL;
	if (!dropped)
		return;
	dropped->is_dropped = true;
	if (dropped->busy == 0)
		client_drop(dropped);
}

/* The pin of host:port, or the place for one; NULL: no room. prefix: "host:port:". */
static char *
pin_place(struct http_client *client, const char *prefix)
{
	for (size_t i = 0; i < client->pins_count; i++)
		if (strncasecmp(client->pins[i], prefix, strlen(prefix)) == 0)
			return client->pins[i];
	return client->pins_count < HTTP_PINS_MAX ? client->pins[client->pins_count++] : NULL;
}

int
http_client_pin(struct http_client *client, const char *host, uint16_t port, const char *address)
{
	struct in6_addr parsed;
	char prefix[HTTP_PIN_BYTES - INET6_ADDRSTRLEN - 2];
	char *place;

	/* What would mean something else in curl's syntax is no host. */
	if (address_parse(address, &parsed) < 0 || !host[0] || strlen(host) > 253 ||
	    strpbrk(host, ":,+ \r\n") || host[0] == '-' || host[0] == '*')
		return -EINVAL;
	snprintf(prefix, sizeof(prefix), "%s:%u:", host, port);
	place = pin_place(client, prefix);
	if (!place)
		return -ENOSPC;
	snprintf(place, HTTP_PIN_BYTES, strchr(address, ':') ? "%s[%s]" : "%s%s", prefix, address);
	return 0;
}

int
http_client_send(struct http_client *client, const struct http_request *request, http_answer_fn fn,
		 void *arg)
{
	struct http_exchange *x;
	int r;

	if (client->pending >= HTTP_PENDING_MAX)
		return -EAGAIN;
	r = http_exchange_new(client, request, fn, arg, &x);
	if (r < 0)
		return r;
	LIST_INSERT_HEAD(&client->exchanges, x, of_client);
	client->pending++;
	/* Nothing runs yet: curl asks for a timeout of 0 ms, which our loop brings. */
	if (curl_multi_add_handle(client->multi, x->easy) != CURLM_OK) {
		exchange_unlink(x);
		http_exchange_free(x);
		return -ENOMEM;
	}
	return 0;
}
