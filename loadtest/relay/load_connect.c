/*
 * load_connect: each kind of server in one function.
 */
#include "load_connect.h"

#include "leg/leg_frame.h"
#include "loop/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GREETINGS = 3 };

static struct ticket_signer *node_signer, *session_signer;
static SSL_CTX *client_tls, *server_tls;

bool
load_is_relay(const struct load_options *options)
{
	return strcmp(options->target, "relay") == 0;
}

void
load_signers(const char *state, struct ticket_signer **ret_node, struct ticket_signer **ret_session)
{
	char folder[400], seed[512], public_half[512];

	snprintf(folder, sizeof(folder), "%s/keys", state);
	mkdir(state, 0755);
	mkdir(folder, 0755);
	snprintf(seed, sizeof(seed), "%s/node.seed", state);
	snprintf(public_half, sizeof(public_half), "%s/ticket-node.pub", folder);
	int r = ticket_signer_open(seed, public_half, TICKET_ROLE_NODE, ret_node);
	snprintf(seed, sizeof(seed), "%s/session.seed", state);
	snprintf(public_half, sizeof(public_half), "%s/ticket-session.pub", folder);
	if (r < 0 || ticket_signer_open(seed, public_half, TICKET_ROLE_SESSION, ret_session) < 0)
		load_die("cannot make the ticket keys in %s", state);
}

static SSL_CTX *
tls_new(const struct load_options *options, bool is_server)
{
	if (options->certificate == NULL)
		return NULL;
	SSL_CTX *tls = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256");
	SSL_CTX_set_num_tickets(tls, 0);
	SSL_CTX_set_read_ahead(tls, 1);
	if (is_server &&
	    (SSL_CTX_use_certificate_chain_file(tls, options->certificate) != 1 ||
	     SSL_CTX_use_PrivateKey_file(tls, options->private_key, SSL_FILETYPE_PEM) != 1))
		load_die("cannot use the certificate");
	return tls;
}

static void
prepare(const struct load_options *options)
{
	if (client_tls == NULL)
		client_tls = tls_new(options, false);
	if (server_tls == NULL && !load_is_relay(options))
		server_tls = tls_new(options, true);
	if (load_is_relay(options) && node_signer == NULL)
		load_signers(options->state, &node_signer, &session_signer);
}

void
load_connect_leg(struct load_line *line, const struct load_options *options, unsigned node,
		 unsigned session)
{
	struct ticket ticket = { .role = session != 0 ? TICKET_ROLE_SESSION : TICKET_ROLE_NODE,
				 .group = "default",
				 .rate_kbytes = options->ticket_rate_kbytes,
				 .not_before_ms = clock_wall_ms() - 60 * 1000,
				 .expires_at_ms = clock_wall_ms() + 3600 * 1000 };
	char text[TICKET_TEXT_MAX_BYTES], id[UUID_TEXT_BYTES];

	prepare(options);
	memcpy(ticket.node_id, &node, sizeof(node));
	memcpy(ticket.session_id, &session, sizeof(session));
	uuid_format(session != 0 ? ticket.session_id : ticket.node_id, id);
	if (ticket_sign(session != 0 ? session_signer : node_signer, &ticket, text) < 0)
		load_die("cannot sign a ticket");
	load_line_connect(line, options->port, client_tls);
	load_line_ask(line, id, text);
	load_line_answered(line);
}

/* Each pair: a client leg, and its node's leg or a channel of the one node's. */
static void
connect_relay(struct load_flow *flow, const struct load_options *options)
{
	/* The relay's first channel number on a leg, and the next ones: serial and slot go up. */
	const uint32_t first = 1U << 16, step = (1U << 16) + 1;

	if (flow->trunk != NULL)
		load_connect_leg(&flow->trunk->line, options, 1, 0);
	for (unsigned i = 0; i < flow->count; i++) {
		struct load_end *ends = flow->pairs[i].ends;

		if (flow->trunk == NULL)
			load_connect_leg(&ends[LOAD_FAR].line, options, i + 1, 0);
		load_connect_leg(&ends[LOAD_NEAR].line, options, flow->trunk ? 1 : i + 1, i + 1);
	}
	load_chunk_build(&flow->near_chunk, 0, 0, 1, options->batch);
	load_chunk_build(&flow->far_chunk, first, step, flow->trunk != NULL ? flow->count : 1,
			 options->batch);
	flow->near_message = flow->near_chunk.frame_n - 8;
	flow->far_message = flow->near_message + 4;
}

/* A pong that nobody asked for goes to and fro. TCP acknowledges at once what comes to a socket
 * that has never answered, and every second segment only of one that has, as all legs have; the
 * first costs who sends a sixth less here. No line of a tunnel goes one way only. */
static void
greet(struct load_line *near, struct load_line *far)
{
	static const uint8_t pong[] = { 0x8a, 0x80, 1, 2, 3, 4 };
	uint8_t heard[sizeof(pong)];

	for (int i = 0; i < GREETINGS; i++) {
		load_line_write(near, pong, sizeof(pong));
		load_line_read(far, heard, sizeof(heard));
		load_line_write(far, pong, sizeof(pong));
		load_line_read(near, heard, sizeof(heard));
		if (memcmp(heard, pong, sizeof(pong)) != 0)
			load_die("the proxy changed what passed it");
	}
}

/* One connection to the proxy, and the one the proxy makes to us for it. */
static void
connect_by_proxy(struct load_line *near, struct load_line *far, const struct load_options *options,
		 int listen_fd, unsigned i)
{
	load_line_connect(near, options->port, client_tls);
	if (strcmp(options->target, "websocket") == 0) {
		load_line_ask(near, "0", "");
		load_line_accept(far, listen_fd, server_tls);
		load_line_grant(far);
		load_line_answered(near);
		greet(near, far);
		return;
	}
	unsigned heard = 0;
	load_line_write(near, &i, sizeof(i));
	load_line_accept(far, listen_fd, server_tls);
	load_line_read(far, &heard, sizeof(heard));
	if (heard != i)
		load_die("the proxy crossed two connections");
	greet(near, far);
}

static void
connect_proxy(struct load_flow *flow, const struct load_options *options)
{
	int listen_fd = load_line_listen(options->back_port);

	for (unsigned i = 0; i < flow->count; i++)
		connect_by_proxy(&flow->pairs[i].ends[LOAD_NEAR].line,
				 &flow->pairs[i].ends[LOAD_FAR].line, options, listen_fd, i);
	close(listen_fd);
	load_chunk_build(&flow->near_chunk, 0, 0, 1, options->batch);
	flow->far_chunk = flow->near_chunk;
	flow->near_message = flow->far_message = flow->near_chunk.frame_n - 8;
}

static void
connect_turn(struct load_flow *flow, const struct load_options *options)
{
	for (unsigned i = 0; i < flow->count; i++)
		load_connect_turn(&flow->pairs[i], options->port,
				  strcmp(options->target, "turn-udp") == 0);
	load_chunk_build_turn(&flow->near_chunk, LOAD_CHANNEL_DATA);
	load_chunk_build_turn(&flow->far_chunk, LOAD_BARE);
	flow->near_message = flow->far_message = LOAD_DATAGRAM_BYTES;
}

void
load_connect(struct load_flow *flow, const struct load_options *options)
{
	prepare(options);
	if (load_is_relay(options))
		connect_relay(flow, options);
	else if (strncmp(options->target, "turn", 4) == 0)
		connect_turn(flow, options);
	else
		connect_proxy(flow, options);
	for (unsigned i = 0; i < flow->count; i++) {
		flow->pairs[i].ends[LOAD_NEAR].chunk = &flow->near_chunk;
		flow->pairs[i].ends[LOAD_FAR].chunk = &flow->far_chunk;
	}
	if (flow->trunk != NULL)
		flow->trunk->chunk = &flow->far_chunk;
}

void
load_connect_idle(const struct load_options *options, unsigned count)
{
	struct load_line line, far;
	int listen_fd = -1;

	prepare(options);
	if (!load_is_relay(options))
		listen_fd = load_line_listen(options->back_port);
	for (unsigned i = 0; i < count; i++) {
		/* For the relay seven clients a node; for a proxy each pair is two of its own. */
		if (load_is_relay(options))
			load_connect_leg(&line, options, 2000000 + i / 8,
					 i % 8 == 0 ? 0 : 3000000 + i);
		else if (i % 2 == 0)
			connect_by_proxy(&line, &far, options, listen_fd, i);
	}
	if (listen_fd >= 0)
		close(listen_fd);
}
