/*
 * client_nodes: `higgs nodes`: asks the gateway for the nodes, page by page, and prints them.
 */
#include "client/client_claim.h"
#include "client/client_commands.h"
#include "client/client_exit.h"
#include "client/client_refusal.h"
#include "client/client_state.h"
#include "discovery.pb-c.h"
#include "net/http_client.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { NODES_TIMEOUT_MS = 15 * 1000, PAGES_MAX = 50, CURSOR_BYTES = 128, URL_BYTES = 700 };

struct listing {
	const struct client_options *options;
	struct loop *loop;
	struct http_client *http;
	char access_key[CLIENT_ACCESS_KEY_BYTES];
	char cursor[CURSOR_BYTES];
	unsigned pages, nodes;
	int status;
};

static void ask_page(struct listing *listing);

static const char *
shown(const char *text, char *buffer, size_t capacity)
{
	return client_escape(text != NULL && *text != '\0' ? text : "-", buffer, capacity);
}

static void
print_node(struct listing *listing, const Boson__Discovery__Node *node)
{
	char id[64], country[16], region[32], status[16];
	const Boson__Common__Location *location = node->location;
	const Boson__Common__Bandwidth *bandwidth =
		node->capabilities != NULL ? node->capabilities->bandwidth : NULL;

	if (listing->nodes++ == 0)
		printf("%-36s  %-7s  %-16s  %-8s  %s\n", "NODE", "COUNTRY", "REGION", "STATUS",
		       "MBIT/S UP");
	printf("%-36s  %-7s  %-16s  %-8s  ", shown(node->node_id, id, sizeof id),
	       shown(location != NULL ? location->country : NULL, country, sizeof country),
	       shown(location != NULL ? location->region : NULL, region, sizeof region),
	       shown(node->status, status, sizeof status));
	if (bandwidth != NULL && bandwidth->has_up)
		printf("%.0f\n", bandwidth->up);
	else
		printf("-\n");
}

/* The cursor goes into a URL: only what needs no escape there. */
static bool
take_cursor(struct listing *listing, const char *cursor)
{
	if (cursor == NULL || *cursor == '\0' || strlen(cursor) >= CURSOR_BYTES ||
	    cursor[strspn(cursor, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				  "-._~")] != '\0')
		return false;
	strcpy(listing->cursor, cursor);
	return ++listing->pages < PAGES_MAX;
}

static void
take_page(struct listing *listing, const struct http_answer *answer)
{
	ProtobufCMessage *message = NULL;
	char field[JSON_FIELD_BYTES];

	if (json_message_read(&boson__discovery__list_nodes_reply__descriptor, answer->body,
			      answer->body_bytes, 0, &message, field) < 0) {
		client_complain("the server's answer is no list of nodes");
		listing->status = EXIT_PROTOCOL_WRONG;
		loop_stop(listing->loop);
		return;
	}
	const Boson__Discovery__ListNodesReply *reply =
		(const Boson__Discovery__ListNodesReply *)message;
	if (listing->options->json)
		printf("%s\n", answer->body);
	for (size_t i = 0; i < reply->n_nodes && !listing->options->json; i++)
		print_node(listing, reply->nodes[i]);
	bool has_more = take_cursor(listing, reply->next_cursor);
	protobuf_c_message_free_unpacked(message, NULL);
	if (has_more)
		ask_page(listing);
	else
		loop_stop(listing->loop);
}

static void
on_page(const struct http_answer *answer, void *arg)
{
	struct listing *listing = arg;
	struct client_refusal refusal;
	char text[CLIENT_TEXT_BYTES];

	if (answer->status == 200) {
		take_page(listing, answer);
		return;
	}
	client_refusal_read(answer, listing->options->server, &refusal, text, sizeof text);
	client_complain("%s", text);
	listing->status = refusal.status;
	loop_stop(listing->loop);
}

static void
ask_page(struct listing *listing)
{
	const char *country = listing->options->country;
	char path[URL_BYTES], url[URL_BYTES];
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.bearer = listing->access_key,
		.timeout_ms = NODES_TIMEOUT_MS,
	};

	snprintf(path, sizeof path, "/api/v1/nodes?limit=200%s%s%s%s",
		 country != NULL ? "&country=" : "", country != NULL ? country : "",
		 listing->cursor[0] != '\0' ? "&cursor=" : "", listing->cursor);
	int r = client_server_url(listing->options->server, path, url, sizeof url);
	if (r == 0)
		r = http_client_send(listing->http, &request, on_page, listing);
	if (r == 0)
		return;
	client_complain("cannot ask the server: %s", strerror(-r));
	listing->status = EXIT_SYSTEM;
	loop_stop(listing->loop);
}

int
client_command_nodes(const struct client_options *options)
{
	struct listing listing = { .options = options };
	char error[CLIENT_TEXT_BYTES];

	int status =
		client_access_key_read(options->key_file, listing.access_key, error, sizeof error);
	if (status != 0) {
		client_complain("%s", error);
		return status;
	}
	int r = loop_new(&listing.loop);
	if (r == 0)
		r = http_client_new(listing.loop, options->ca_file, &listing.http);
	if (r == 0) {
		ask_page(&listing);
		r = loop_run(listing.loop);
	}
	if (r < 0) {
		client_complain("cannot ask the server: %s", strerror(-r));
		listing.status = r == -ENOENT ? EXIT_NO_INPUT : EXIT_SYSTEM;
	} else if (listing.status == 0 && listing.nodes == 0 && !options->json) {
		printf("no nodes\n");
	}
	http_client_free(&listing.http);
	if (listing.loop != NULL)
		loop_free(&listing.loop);
	key_wipe(listing.access_key, sizeof listing.access_key);
	return listing.status;
}
