/*
 * leg_thread: one libwebsockets context and the thread that runs it. The owner talks to it by
 * leg_inside.h's queues and order, and wakes it; it talks back by the rx queue and an eventfd.
 *
 * Its loop is libwebsockets' own poll: with a single socket that is two system calls fewer a
 * message than libev through the plugin, which also would take SIGINT from the process (see
 * docs/protocol.md, "The client's engine").
 */
#include "leg/leg_thread.h"

#include "log/log.h"
#include "loop/lookup.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SERVICE_BUFFER_BYTES = 128 * 1024, /* one read; engine figures: 4 KB costs half the speed */
	DESCRIPTORS_MAX = 16,
	STACK_BYTES = 1024 * 1024, /* whatever the limit of the process is (F33) */
	PING_SEC = 15,
	HANGUP_SEC = 30,
};

static const lws_retry_bo_t idle_policy = {
	.secs_since_valid_ping = PING_SEC,
	.secs_since_valid_hangup = HANGUP_SEC,
};

static const struct lws_protocols protocols[] = {
	{ .name = "higgs.v1",
	  .callback = leg_socket_callback,
	  .rx_buffer_size = SERVICE_BUFFER_BYTES },
	{ 0 },
};

/* libwebsockets' own lines: peers' addresses may be in them, so debug only. */
static void
on_lws_log(int level, const char *line)
{
	(void)level;
	log_debug("lws", "text=%.*s", (int)strcspn(line, "\n"), line);
}

static void
log_init_once(void)
{
	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
}

static void *
thread_main(void *arg)
{
	struct leg_thread *thread = arg;

	while (!thread->is_done)
		if (lws_service(thread->context, 0) < 0)
			break;
	return NULL;
}

static int
make_context(struct leg_thread *thread, const char *ca_file)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocols,
		.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT | LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
		.pt_serv_buf_size = SERVICE_BUFFER_BYTES,
		.fd_limit_per_thread = DESCRIPTORS_MAX,
		.retry_and_idle_policy = &idle_policy,
		.http_proxy_address = "", /* ours, by URL, at each attempt */
		.vhost_name = "leg",
		.user = thread,
	};

	pthread_once(&once, log_init_once);
	thread->tls = info.provided_client_ssl_ctx = leg_tls_new(ca_file);
	if (thread->tls == NULL)
		return -EIO;
	leg_sessions_watch(&thread->sessions, thread->tls);
	thread->context = lws_create_context(&info);
	if (thread->context == NULL)
		return -EIO;
	thread->vhost = lws_create_vhost(thread->context, &info);
	return thread->vhost == NULL ? -EIO : 0;
}

static void
thread_free(struct leg_thread *thread)
{
	/* Closes what is left, by the same callbacks. */
	thread->is_done = true;
	if (thread->context != NULL)
		lws_context_destroy(thread->context);
	SSL_CTX_free(thread->tls);
	lookup_stop(&thread->lookup);
	leg_sessions_fini(&thread->sessions);
	for (size_t i = 0; i < LEG_SPARES; i++)
		free(thread->spares[i]);
	free(thread->assembly);
	if (thread->order != NULL)
		explicit_bzero(thread->order->ticket, sizeof thread->order->ticket);
	free(thread->order);
	free(thread);
}

int
leg_thread_start(struct leg_line *line, const char *ca_file, struct leg_thread **ret)
{
	struct leg_thread *thread = calloc(1, sizeof *thread);
	pthread_attr_t attributes;
	sigset_t all, before;
	int r;

	if (thread == NULL)
		return -ENOMEM;
	thread->line = line;
	r = make_context(thread, ca_file);
	if (r == 0) {
		/* The process's signals are the owner's; SIGPIPE of OpenSSL's write nobody's. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		pthread_attr_init(&attributes);
		pthread_attr_setstacksize(&attributes, STACK_BYTES);
		r = -pthread_create(&thread->id, &attributes, thread_main, thread);
		pthread_attr_destroy(&attributes);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (r < 0) {
		thread_free(thread);
		return r;
	}
	*ret = thread;
	return 0;
}

void
leg_thread_stop(struct leg_thread **thread_pointer)
{
	struct leg_thread *thread = *thread_pointer;

	if (thread == NULL)
		return;
	atomic_store(&thread->stop, true);
	leg_thread_wake(thread);
	pthread_join(thread->id, NULL);
	thread_free(thread);
	*thread_pointer = NULL;
}

void
leg_thread_wake(struct leg_thread *thread)
{
	lws_cancel_service(thread->context);
}

void
leg_thread_tell(struct leg_thread *thread, struct leg_message *message)
{
	struct leg_line *line = thread->line;
	const uint64_t one = 1;

	message->generation = thread->generation;
	pthread_mutex_lock(&line->lock);
	bool wake = line->rx.first == NULL;
	/* What is left over the limit can only be control. */
	bool is_flood = line->rx.bytes > 2 * line->queue_bytes;
	if (!is_flood || message->kind == LEG_MESSAGE_STATE)
		leg_queue_push(&line->rx, message);
	else
		free(message);
	unsigned dropped = is_flood + leg_queue_trim(&line->rx, line->queue_bytes);
	pthread_mutex_unlock(&line->lock);
	metric_add(line->dropped_rx, dropped);
	if (wake && write(line->event_fd, &one, sizeof one) < 0)
		log_error("leg_wake", "error=%s", strerror(errno));
	if (is_flood && thread->phase == LEG_PHASE_UP) {
		leg_tell_reason(thread, 0, "too many control messages");
		leg_attempt_close(thread);
	}
}
