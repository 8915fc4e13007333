/*
 * gateway_rig_client: raw bytes to the gateway and answers back; see gateway_rig.h.
 */
#include "gateway_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

struct rig_client {
	int fd;
	SSL_CTX *context;
	SSL *tls;
	char kept[RIG_ANSWER_BYTES]; /* received, not yet given out */
	size_t kept_n;
};

static bool
client_secure(struct rig_client *client, const struct rig *rig)
{
	char certificate[128];
	snprintf(certificate, sizeof(certificate), "%s/cert.pem", rig->folder);
	client->context = SSL_CTX_new(TLS_client_method());
	if (client->context == NULL ||
	    SSL_CTX_load_verify_locations(client->context, certificate, NULL) != 1)
		return false;
	SSL_CTX_set_verify(client->context, SSL_VERIFY_PEER, NULL);
	client->tls = SSL_new(client->context);
	return client->tls != NULL && SSL_set_fd(client->tls, client->fd) == 1 &&
	       SSL_connect(client->tls) == 1;
}

struct rig_client *
rig_connect(const struct rig *rig)
{
	struct rig_client *client = calloc(1, sizeof(*client));
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(rig->port),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	if (client == NULL)
		return NULL;
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = RIG_DEADLINE_MS / 1000 };
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(client->fd, (const struct sockaddr *)&to, sizeof(to)) < 0 ||
	    (rig->is_tls && !client_secure(client, rig))) {
		rig_disconnect(&client);
		return NULL;
	}
	return client;
}

void
rig_disconnect(struct rig_client **client)
{
	if (*client == NULL)
		return;
	SSL_free((*client)->tls);
	SSL_CTX_free((*client)->context);
	close((*client)->fd);
	free(*client);
	*client = NULL;
}

bool
rig_send(struct rig_client *client, const void *bytes, size_t n)
{
	const char *at = bytes;
	while (n > 0) {
		ssize_t sent = client->tls != NULL ? SSL_write(client->tls, at, (int)n)
						   : send(client->fd, at, n, MSG_NOSIGNAL);
		if (sent <= 0)
			return false;
		at += sent;
		n -= (size_t)sent;
	}
	return true;
}

bool
rig_send_text(struct rig_client *client, const char *text)
{
	return rig_send(client, text, strlen(text));
}

/* False at the end of the stream, or when nothing came in time. */
static bool
client_read_more(struct rig_client *client)
{
	size_t room = sizeof(client->kept) - 1 - client->kept_n;
	char *to = client->kept + client->kept_n;
	ssize_t n = client->tls != NULL ? SSL_read(client->tls, to, (int)room)
					: recv(client->fd, to, room, 0);
	if (n <= 0)
		return false;
	client->kept_n += (size_t)n;
	client->kept[client->kept_n] = '\0';
	return true;
}

static void
client_drop(struct rig_client *client, size_t n)
{
	client->kept_n -= n;
	memmove(client->kept, client->kept + n, client->kept_n);
	client->kept[client->kept_n] = '\0';
}

void
rig_receive(struct rig_client *client, struct rig_answer *ret)
{
	char *end;
	memset(ret, 0, sizeof(*ret));
	while ((end = strstr(client->kept, "\r\n\r\n")) == NULL) {
		if (!client_read_more(client))
			return;
	}
	size_t head = (size_t)(end - client->kept) + 4;
	snprintf(ret->head, sizeof(ret->head), "%.*s", (int)head, client->kept);
	client_drop(client, head);
	if (strncmp(ret->head, "HTTP/1.1 ", 9) == 0)
		ret->status = atoi(ret->head + 9);
	/* An answer to HEAD names a length and has no body: then the stream ends here. */
	const char *length = rig_header(ret, "Content-Length");
	size_t body = length != NULL ? strtoul(length, NULL, 10) : 0;
	while (client->kept_n < body) {
		if (!client_read_more(client))
			return;
	}
	memcpy(ret->body, client->kept, body);
	client_drop(client, body);
}

bool
rig_read(struct rig_client *client, void *bytes, size_t n)
{
	while (client->kept_n < n) {
		if (!client_read_more(client))
			return false;
	}
	memcpy(bytes, client->kept, n);
	client_drop(client, n);
	return true;
}

bool
rig_is_closed(struct rig_client *client)
{
	int64_t start_ms = rig_now_ms();
	if (client->kept_n > 0 || client_read_more(client))
		return false;
	return rig_now_ms() - start_ms < RIG_DEADLINE_MS;
}

bool
rig_ends(struct rig_client *client)
{
	int64_t start_ms = rig_now_ms();
	do {
		client->kept_n = 0;
	} while (client_read_more(client));
	return rig_now_ms() - start_ms < RIG_DEADLINE_MS;
}

const struct rig_answer *
rig_exchange(const struct rig *rig, const char *text)
{
	static struct rig_answer answer;
	struct rig_client *client = rig_connect(rig);
	memset(&answer, 0, sizeof(answer));
	if (client == NULL)
		return &answer;
	rig_send(client, text, strlen(text));
	rig_receive(client, &answer);
	rig_disconnect(&client);
	return &answer;
}

const struct rig_answer *
rig_request(const struct rig *rig, const char *method, const char *target, const char *bearer,
	    const char *headers, const char *json)
{
	static char text[RIG_ANSWER_BYTES];
	int n = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: gateway\r\n%s%s%s%s", method,
			 target, bearer != NULL ? "Authorization: " : "",
			 bearer != NULL ? bearer : "", bearer != NULL ? "\r\n" : "",
			 headers != NULL ? headers : "");
	size_t at = (size_t)n;
	if (json != NULL)
		snprintf(text + at, sizeof(text) - at,
			 "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			 strlen(json), json);
	else
		snprintf(text + at, sizeof(text) - at, "\r\n");
	return rig_exchange(rig, text);
}

const char *
rig_header(const struct rig_answer *answer, const char *name)
{
	static char value[512];
	size_t n = strlen(name);
	for (const char *line = strstr(answer->head, "\r\n"); line != NULL && line[2] != '\0';
	     line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line + 2, name, n) != 0 || line[2 + n] != ':')
			continue;
		const char *start = line + 3 + n + strspn(line + 3 + n, " ");
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(start, "\r"), start);
		return value;
	}
	return NULL;
}

const char *
rig_member(const struct rig_answer *answer, const char *path)
{
	static char value[2048];
	json_t *root = json_loads(answer->body, JSON_REJECT_DUPLICATES, NULL);
	const json_t *at = root;
	char name[64];
	while (*path != '\0' && at != NULL) {
		size_t n = strcspn(path, ".");
		snprintf(name, sizeof(name), "%.*s", (int)n, path);
		at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10))
				       : json_object_get(at, name);
		path += n + (path[n] == '.');
	}
	bool found = at != NULL;
	if (json_is_string(at)) {
		snprintf(value, sizeof(value), "%s", json_string_value(at));
	} else if (found) {
		char *text = json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT);
		snprintf(value, sizeof(value), "%s", text != NULL ? text : "");
		free(text);
	}
	json_decref(root);
	return found ? value : NULL;
}
