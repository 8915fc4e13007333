/*
 * relay-load: drives a relay, or a proxy for comparison, with the same bytes, and says what one
 * second of the server's processor time moved. One measurement a run, printed as one line of JSON;
 * loadtest/relay/run interleaves many and compares them.
 */
#include "identity/ticket.h"
#include "load_flow.h"
#include "loop/clock.h"

#include <dirent.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct options {
	bool is_relay;
	const char *mode; /* bulk, closed, idle, keys */
	const char *state, *certificate, *private_key;
	uint16_t port, back_port;
	unsigned pairs, batch, window;
	double seconds, warm_up;
	pid_t pid;
};

static void
signers_open(const char *state, struct ticket_signer **ret_node, struct ticket_signer **ret_session)
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

static void
open_leg(struct load_line *line, const struct options *options, SSL_CTX *tls,
	 const struct ticket_signer *signer, unsigned node, unsigned session)
{
	struct ticket ticket = { .role = session != 0 ? TICKET_ROLE_SESSION : TICKET_ROLE_NODE,
				 .group = "default",
				 .not_before_ms = clock_wall_ms() - 60 * 1000,
				 .expires_at_ms = clock_wall_ms() + 3600 * 1000 };
	char text[TICKET_TEXT_MAX_BYTES], id[UUID_TEXT_BYTES];

	memcpy(ticket.node_id, &node, sizeof(node));
	memcpy(ticket.session_id, &session, sizeof(session));
	uuid_format(session != 0 ? ticket.session_id : ticket.node_id, id);
	if (ticket_sign(signer, &ticket, text) < 0)
		load_die("cannot sign a ticket");
	load_line_connect(line, options->port, tls);
	load_line_upgrade(line, id, text);
}

static SSL_CTX *
tls_new(const struct options *options, bool is_server)
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

/* Each pair: a client leg and its node's leg. */
static void
connect_relay(struct load_flow *flow, const struct options *options, SSL_CTX *tls)
{
	struct ticket_signer *node = NULL, *session = NULL;

	signers_open(options->state, &node, &session);
	for (unsigned i = 0; i < flow->count; i++) {
		open_leg(&flow->pairs[i].receiver, options, tls, node, i + 1, 0);
		open_leg(&flow->pairs[i].sender, options, tls, session, i + 1, i + 1);
	}
}

/* Each pair: a connection to the proxy, and the one the proxy makes to us for it. */
static void
connect_proxy(struct load_flow *flow, const struct options *options, SSL_CTX *client_tls)
{
	SSL_CTX *server_tls = tls_new(options, true);
	int listen_fd = load_line_listen(options->back_port);

	for (unsigned i = 0; i < flow->count; i++) {
		unsigned hello = i, heard = 0;

		load_line_connect(&flow->pairs[i].sender, options->port, client_tls);
		load_line_write(&flow->pairs[i].sender, &hello, sizeof(hello));
		load_line_accept(&flow->pairs[i].receiver, listen_fd, server_tls);
		load_line_read(&flow->pairs[i].receiver, &heard, sizeof(heard));
		if (heard != i)
			load_die("the proxy crossed two connections");
	}
	close(listen_fd);
}

/* Nanoseconds that the process's threads have run. */
static uint64_t
processor_ns(pid_t pid)
{
	char path[300];
	uint64_t sum = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	const struct dirent *task;
	if (tasks == NULL)
		load_die("no process %d", pid);
	while ((task = readdir(tasks)) != NULL) {
		unsigned long long ns = 0;
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%d/task/%.20s/schedstat", pid, task->d_name);
		if (task->d_name[0] == '.' || (file = fopen(path, "re")) == NULL)
			continue;
		if (fscanf(file, "%llu", &ns) == 1)
			sum += ns;
		fclose(file);
	}
	closedir(tasks);
	return sum;
}

static long
resident_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "re");
	if (file == NULL)
		load_die("no process %d", pid);
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	fclose(file);
	return kib;
}

static void
measure_flow(const struct options *options)
{
	SSL_CTX *tls = tls_new(options, false);
	struct load_flow flow;
	struct rusage before, after;

	load_flow_init(&flow, options->pairs, options->batch, options->is_relay ? 4 : 0,
		       options->window);
	if (options->is_relay)
		connect_relay(&flow, options, tls);
	else
		connect_proxy(&flow, options, tls);
	load_flow_start(&flow);
	load_flow_run(&flow, options->warm_up);
	uint64_t received = flow.received, ns = processor_ns(options->pid);
	getrusage(RUSAGE_SELF, &before);
	double seconds = load_flow_run(&flow, options->seconds);
	getrusage(RUSAGE_SELF, &after);
	ns = processor_ns(options->pid) - ns;
	received = flow.received - received;
	uint64_t lost = load_flow_settle(&flow);
	double gbit = (double)received * options->batch * LOAD_DATAGRAM_BYTES * 8 / 1e9;
	double own = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec +
			      after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
		     (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec +
			      after.ru_stime.tv_usec - before.ru_stime.tv_usec) /
			     1e6;
	printf("{\"gbit_per_core_second\":%.3f,\"us_per_message\":%.3f,\"gbit_per_second\":%.3f,"
	       "\"server_busy\":%.3f,\"generator_busy\":%.3f,\"messages\":%llu,\"lost\":%llu}\n",
	       gbit / ((double)ns / 1e9), (double)ns / 1e3 / (double)received, gbit / seconds,
	       (double)ns / 1e9 / seconds, own / seconds, (unsigned long long)received,
	       (unsigned long long)lost);
}

/* Legs that do nothing: for the relay seven clients a node, for the proxy so many connections. */
static void
measure_idle(const struct options *options)
{
	SSL_CTX *tls = tls_new(options, false);
	struct load_line *lines = calloc(options->pairs, sizeof(*lines));
	struct ticket_signer *node = NULL, *session = NULL;
	struct load_flow flow;

	if (lines == NULL)
		load_die("out of memory");
	/* The first connections pay for what all share. */
	load_flow_init(&flow, 16, 1, 0, 1);
	if (options->is_relay)
		connect_relay(&flow, options, tls);
	else
		connect_proxy(&flow, options, tls);
	usleep(500 * 1000);
	long before_kib = resident_kib(options->pid);
	if (options->is_relay) {
		signers_open(options->state, &node, &session);
		for (unsigned i = 0; i < options->pairs; i++)
			open_leg(&lines[i], options, tls, i % 8 == 0 ? node : session, 100 + i / 8,
				 i % 8 == 0 ? 0 : 1000 + i);
	} else {
		load_flow_init(&flow, options->pairs, 1, 0, 1);
		connect_proxy(&flow, options, tls);
	}
	usleep(500 * 1000);
	long kib = resident_kib(options->pid) - before_kib;
	printf("{\"idle\":%u,\"rss_bytes_each\":%.0f}\n", options->pairs,
	       (double)kib * 1024 / options->pairs);
}

static void
read_options(int argc, char **argv, struct options *options)
{
	static const struct option names[] = {
		{ "target", required_argument, NULL, 't' },
		{ "mode", required_argument, NULL, 'm' },
		{ "state", required_argument, NULL, 's' },
		{ "certificate", required_argument, NULL, 'c' },
		{ "private-key", required_argument, NULL, 'k' },
		{ "port", required_argument, NULL, 'p' },
		{ "back-port", required_argument, NULL, 'b' },
		{ "pairs", required_argument, NULL, 'n' },
		{ "batch", required_argument, NULL, 'B' },
		{ "window", required_argument, NULL, 'w' },
		{ "seconds", required_argument, NULL, 'S' },
		{ "warm-up", required_argument, NULL, 'W' },
		{ "pid", required_argument, NULL, 'P' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		switch (c) {
		case 't':
			options->is_relay = strcmp(optarg, "relay") == 0;
			break;
		case 'm':
			options->mode = optarg;
			break;
		case 's':
			options->state = optarg;
			break;
		case 'c':
			options->certificate = optarg;
			break;
		case 'k':
			options->private_key = optarg;
			break;
		case 'p':
			options->port = (uint16_t)atoi(optarg);
			break;
		case 'b':
			options->back_port = (uint16_t)atoi(optarg);
			break;
		case 'n':
			options->pairs = (unsigned)atoi(optarg);
			break;
		case 'B':
			options->batch = (unsigned)atoi(optarg);
			break;
		case 'w':
			options->window = (unsigned)atoi(optarg);
			break;
		case 'S':
			options->seconds = atof(optarg);
			break;
		case 'W':
			options->warm_up = atof(optarg);
			break;
		case 'P':
			options->pid = atoi(optarg);
			break;
		default:
			exit(64);
		}
	}
	if (options->batch < 1 || options->batch > LOAD_BATCH_MAX || options->pairs < 1 ||
	    options->window < 1)
		load_die("--pairs, --batch (1 to %d) and --window must be more", LOAD_BATCH_MAX);
}

int
main(int argc, char **argv)
{
	struct options options = { .is_relay = true,
				   .mode = "bulk",
				   .pairs = 8,
				   .batch = 8,
				   .window = 20,
				   .seconds = 2,
				   .warm_up = 0.5 };
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	read_options(argc, argv, &options);
	if (strcmp(options.mode, "keys") == 0) {
		struct ticket_signer *node = NULL, *session = NULL;

		signers_open(options.state, &node, &session);
		ticket_signer_free(&node);
		ticket_signer_free(&session);
	} else if (strcmp(options.mode, "idle") == 0) {
		measure_idle(&options);
	} else {
		measure_flow(&options);
	}
	return 0;
}
