/*
 * bosonctl_call: see the header. Talks to: one service's mailbox, by shared/bus.
 */
#include "bosonctl/bosonctl_call.h"

#include "bus/bus.h"
#include "identity/key.h"
#include "loop/loop.h"
#include "metrics/metrics.h"
#include "json/json_message.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { CURSOR_BYTES = 256 };

struct run {
	struct loop *loop;
	struct metrics *metrics;
	struct bus *bus;
	struct bus_peer *peer;
	const struct bosonctl_call *call;
	int exit_code;
	char cursor[CURSOR_BYTES]; /* of the next page; "": there is none */
};

static int
print_message(const ProtobufCMessage *message)
{
	struct json_text text = { 0 };
	json_message_write(&text, message, JSON_MESSAGE_INTERNAL);
	if (json_text_failed(&text)) {
		json_text_fini(&text);
		fprintf(stderr, "bosonctl: out of memory\n");
		return EX_OSERR;
	}
	printf("%s\n", text.bytes);
	key_wipe(text.bytes, text.n);
	json_text_fini(&text);
	return EX_OK;
}

static const void *
member_of(const ProtobufCMessage *message, const char *name, const ProtobufCFieldDescriptor **ret)
{
	*ret = protobuf_c_message_descriptor_get_field_by_name(message->descriptor, name);
	return *ret != NULL ? (const char *)message + (*ret)->offset : NULL;
}

static void
note_cursor(struct run *run, const ProtobufCMessage *answer)
{
	const ProtobufCFieldDescriptor *field;
	const char *const *cursor = member_of(answer, "next_cursor", &field);
	run->cursor[0] = '\0';
	if (cursor != NULL && *cursor != NULL && strlen(*cursor) < CURSOR_BYTES)
		strcpy(run->cursor, *cursor);
}

static int
print_list(struct run *run, const ProtobufCMessage *answer)
{
	const ProtobufCFieldDescriptor *field;
	ProtobufCMessage *const *const *items = member_of(answer, run->call->list, &field);
	const size_t *n =
		(const size_t *)(const void *)((const char *)answer + field->quantifier_offset);
	int code = EX_OK;
	for (size_t i = 0; i < *n && code == EX_OK; i++)
		code = print_message((*items)[i]);
	note_cursor(run, answer);
	return code;
}

static int
print_answer(struct run *run, const ProtobufCMessage *answer)
{
	const struct bosonctl_call *call = run->call;
	int code = call->take != NULL ? call->take(answer, call->take_arg) : EX_OK;
	if (code == EX_OK && !call->is_quiet)
		code = call->list != NULL ? print_list(run, answer) : print_message(answer);
	if (code == EX_OK && (ferror(stdout) != 0 || fflush(stdout) != 0)) {
		fprintf(stderr, "bosonctl: cannot write the answer: %s\n", strerror(errno));
		return EX_IOERR;
	}
	return code;
}

static int
explain(const struct run *run, const struct bus_result *result)
{
	if (result->status == BUS_UNAVAILABLE || result->status == BUS_DEADLINE) {
		fprintf(stderr,
			"bosonctl: %s does not answer (%s). Is it running, and is its [bus] "
			"endpoint in this file one that other processes reach?\n",
			run->call->service, result->code);
		return EX_TEMPFAIL;
	}
	/* What another version, or no service of ours, would say. */
	if (result->status == BUS_INTERNAL) {
		fprintf(stderr, "bosonctl: %s does not speak as it should: %s\n",
			run->call->service, result->code);
		return EX_PROTOCOL;
	}
	if (strcmp(result->code, "field") == 0)
		fprintf(stderr, "bosonctl: %s refused: the %s is not one that it takes\n",
			run->call->service, result->field);
	else
		fprintf(stderr, "bosonctl: %s refused: %s%s%s\n", run->call->service, result->code,
			result->field[0] ? ", field " : "", result->field);
	return EX_UNAVAILABLE;
}

static void
on_answer(const ProtobufCMessage *answer, void *arg)
{
	struct run *run = arg;
	run->exit_code =
		answer ? print_answer(run, answer) : explain(run, bus_peer_result(run->peer));
	loop_stop(run->loop);
}

/* A socket that is there and not for us would look like one where nobody answers. */
static int
check_socket(const char *endpoint)
{
	static const char ipc[] = "ipc://";
	const char *path = endpoint + sizeof(ipc) - 1;
	if (strncmp(endpoint, ipc, sizeof(ipc) - 1) != 0 || access(path, W_OK) == 0 ||
	    (errno != EACCES && errno != EPERM))
		return EX_OK;
	fprintf(stderr, "bosonctl: %s: %s; run it as the account of the service, or as root\n",
		path, strerror(errno));
	return EX_NOPERM;
}

static const char *
endpoint_of(const struct bosonctl_call *call, const struct service_bus *where)
{
	return call->endpoint != NULL ? call->endpoint : service_bus_endpoint(where, call->service);
}

static int
open_peer(struct run *run, const struct service_bus *where)
{
	const struct bosonctl_call *call = run->call;
	const char *server_key = call->endpoint != NULL
					 ? call->server_key
					 : service_bus_server_key(where, call->service);
	int r = loop_new(&run->loop);
	if (r == 0)
		r = metrics_new("bosonctl", &run->metrics);
	if (r == 0)
		r = bus_new(run->loop, run->metrics, "bosonctl", service_bus_security(where),
			    &run->bus);
	if (r == 0)
		r = bus_peer_new(run->bus, endpoint_of(call, where), server_key, call->mailbox,
				 &run->peer);
	return r;
}

static void
close_peer(struct run *run)
{
	bus_peer_free(&run->peer);
	bus_free(&run->bus);
	metrics_free(&run->metrics);
	loop_free(&run->loop);
}

static int
complain_request(const ProtobufCMessageDescriptor *input, int r, const char *field)
{
	fprintf(stderr, "bosonctl: the request is not a JSON object for %s: %s%s%s\n", input->name,
		strerror(-r), field[0] ? ", field " : "", field);
	return EX_DATAERR;
}

/* 0 and the request, or an exit code after a sentence. */
static int
read_request(const struct bosonctl_call *call, ProtobufCMessage **ret)
{
	char field[JSON_FIELD_BYTES];
	const ProtobufCMessageDescriptor *input = call->mailbox->methods[call->method].input;
	const char *more = call->more_json;
	size_t n = strlen(call->json);
	int r;
	if (more == NULL || strcmp(more, "{}") == 0) {
		r = json_message_read(input, call->json, n, JSON_MESSAGE_INTERNAL, ret, field);
		return r == 0 ? EX_OK : complain_request(input, r, field);
	}
	/* Two objects of our own making, as one. */
	char *joined = malloc(n + strlen(more) + 2);
	if (joined == NULL)
		return EX_OSERR;
	bool is_empty = strcmp(call->json, "{}") == 0;
	sprintf(joined, "%.*s%s%s", (int)n - 1, call->json, is_empty ? "" : ",", more + 1);
	r = json_message_read(input, joined, strlen(joined), JSON_MESSAGE_INTERNAL, ret, field);
	free(joined);
	return r == 0 ? EX_OK : complain_request(input, r, field);
}

/* One request after the other, while there are further pages. */
static void
invoke(struct run *run, ProtobufCMessage *request)
{
	ProtobufCService *service = bus_peer_service(run->peer);
	do {
		if (run->cursor[0] != '\0' &&
		    json_message_set(request, "cursor", run->cursor) < 0) {
			run->exit_code = EX_SOFTWARE;
			return;
		}
		run->cursor[0] = '\0';
		bus_peer_next(run->peer, run->call->timeout_ms, NULL);
		service->invoke(service, run->call->method, request, on_answer, run);
		(void)loop_run(run->loop);
	} while (run->exit_code == EX_OK && run->cursor[0] != '\0');
}

int
bosonctl_call(const struct service_bus *where, const struct bosonctl_call *call)
{
	ProtobufCMessage *request = NULL;
	int code = check_socket(endpoint_of(call, where));
	if (code == EX_OK)
		code = read_request(call, &request);
	if (code != EX_OK)
		return code;

	struct run run = { .call = call, .exit_code = EX_SOFTWARE };
	int r = open_peer(&run, where);
	if (r < 0) {
		fprintf(stderr, "bosonctl: cannot use the bus at %s: %s\n",
			endpoint_of(call, where), strerror(-r));
		run.exit_code = EX_CONFIG;
	} else {
		invoke(&run, request);
	}
	protobuf_c_message_free_unpacked(request, NULL);
	close_peer(&run);
	return run.exit_code;
}
