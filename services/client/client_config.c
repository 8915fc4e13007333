/*
 * client_config: `higgs config`: a session of its own for a stock WireGuard app, as a configuration
 * file on stdout or in a file, and as a QR code. A new key each time; nothing of it stays here.
 * Asks: client_claim (a route), POST /wireguard/register.
 */
#include "client/client_claim.h"
#include "client/client_commands.h"
#include "client/client_conf.h"
#include "client/client_exit.h"
#include "client/client_qr.h"
#include "client/client_refusal.h"
#include "client/client_state.h"
#include "identity/state_file.h"
#include "net/http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ASK_TIMEOUT_MS = 15 * 1000, URL_BYTES = 700 };

struct asking {
	const struct client_options *options;
	struct loop *loop;
	struct http_client *http;
	char access_key[CLIENT_ACCESS_KEY_BYTES];
	char client_id[UUID_TEXT_BYTES];
	struct key private_key, public_key;
	struct client_route route;
	struct client_claim claim;
	char endpoint[CONF_ENDPOINT_BYTES];
	int status;
};

static void
end(struct asking *asking, int status)
{
	asking->status = status;
	loop_stop(asking->loop);
}

static void
cannot_ask(struct asking *asking, int error)
{
	client_complain("cannot ask the server: %s", strerror(-error));
	end(asking, EXIT_SYSTEM);
}

/* Sends a JSON body, and frees it. r: how it was made. */
static void
post(struct asking *asking, const char *path, const char *bearer, int r, char *body,
     http_answer_fn fn)
{
	char url[URL_BYTES];
	const struct http_request request = { .method = "POST",
					      .url = url,
					      .bearer = bearer,
					      .body = body,
					      .body_bytes = body != NULL ? strlen(body) : 0,
					      .timeout_ms = ASK_TIMEOUT_MS };

	if (r == 0)
		r = client_server_url(asking->options->server, path, url, sizeof url);
	if (r == 0)
		r = http_client_send(asking->http, &request, fn, asking);
	free(body);
	if (r < 0)
		cannot_ask(asking, r);
}

/* True when it is what was asked for; else the command ends with what it means. */
static bool
is_good(struct asking *asking, const struct http_answer *answer)
{
	struct client_refusal refusal;
	char text[CLIENT_TEXT_BYTES];

	if (answer->status == 200)
		return true;
	client_refusal_read(answer, asking->options->server, &refusal, text, sizeof text);
	client_complain("%s", text);
	end(asking, refusal.status);
	return false;
}

static void
on_registered(const struct http_answer *answer, void *arg)
{
	struct asking *asking = arg;

	if (!is_good(asking, answer))
		return;
	if (client_conf_endpoint(answer->body, answer->body_bytes, asking->endpoint) == 0) {
		end(asking, EXIT_OK);
		return;
	}
	client_complain("this server has no UDP endpoint for stock WireGuard apps; use `higgs "
			"connect`");
	end(asking, EXIT_NOT_AVAILABLE);
}

static void
on_route(const struct http_answer *answer, void *arg)
{
	struct asking *asking = arg;
	char error[CLIENT_TEXT_BYTES / 2] = "", shown[CLIENT_TEXT_BYTES / 2], *body = NULL;

	if (!is_good(asking, answer))
		return;
	if (client_route_parse(answer->body, answer->body_bytes, &asking->route, error,
			       sizeof error) < 0) {
		client_complain("the server's route makes no sense: %s",
				client_escape(error, shown, sizeof shown));
		end(asking, EXIT_PROTOCOL_WRONG);
		return;
	}
	int r = client_conf_registration(asking->client_id, &asking->public_key,
					 asking->route.session_id, &body);
	post(asking, "/api/v1/wireguard/register", asking->access_key, r, body, on_registered);
}

static void
ask(struct asking *asking)
{
	const struct client_route_wish wish = { .client_id = asking->client_id,
						.public_key = &asking->public_key,
						.node_id = asking->options->node,
						.country = asking->options->country };

	asking->claim = (struct client_claim){
		.http = asking->http,
		.server = asking->options->server,
		.access_key = asking->access_key,
		.private_key = &asking->private_key,
	};
	int r = client_claim_start(&asking->claim, &wish, on_route, asking);
	if (r < 0)
		cannot_ask(asking, r);
}

/* ---- what comes of it ---- */

static int
write_into(const char *path, bool is_forced, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (is_forced ? O_TRUNC : O_EXCL), 0600);

	if (fd < 0)
		return -errno;
	/* Of one that was there, too: it holds a private key now. */
	ssize_t n = fchmod(fd, 0600) < 0 ? -1 : write(fd, text, strlen(text));
	int r = n < 0 ? -errno : (size_t)n < strlen(text) ? -ENOSPC : 0;
	if (close(fd) < 0 && r == 0)
		r = -errno;
	if (r < 0 && !is_forced)
		unlink(path); /* made here, and no half of it is of use */
	return r;
}

/* A file of ours is replaced in one step, so that a full disk leaves the old one; a device, a link
 * or a file of another account is written to. */
static int
write_output(const struct client_options *options, const char *text)
{
	struct stat st;

	if (options->force && lstat(options->output, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_uid == geteuid()) {
		int r = state_file_replace(options->output, 0600, text, strlen(text));
		if (r != -EACCES) /* the folder's: then the file itself may do */
			return r;
	}
	return write_into(options->output, options->force, text);
}

static int
write_file(const struct client_options *options, const char *text)
{
	char shown[CLIENT_TEXT_BYTES / 2];
	int r = write_output(options, text);

	client_escape(options->output, shown, sizeof shown);
	if (r == -EEXIST)
		client_complain("%s is there already; --force replaces it", shown);
	else if (r < 0)
		client_complain("%s: %s", shown, strerror(-r));
	if (r == 0)
		return EXIT_OK;
	return r == -ENOSPC || r == -EDQUOT || r == -EIO ? EXIT_IO : EXIT_CANNOT_CREATE;
}

static int
print_code(const char *text)
{
	setlocale(LC_CTYPE, "");
	int r = client_qr_print(stdout, text, strcmp(nl_langinfo(CODESET), "UTF-8") == 0);

	if (r == 0)
		return EXIT_OK;
	client_complain("no QR code: %s", strerror(-r));
	return EXIT_SYSTEM;
}

static int
deliver(const struct asking *asking)
{
	const struct client_options *options = asking->options;
	char text[CONF_TEXT_BYTES];
	int status = EXIT_OK;

	if (client_conf_write(&asking->route, &asking->private_key, asking->endpoint, text) < 0) {
		client_complain("the server's route is too long");
		return EXIT_PROTOCOL_WRONG;
	}
	if (options->output != NULL)
		status = write_file(options, text);
	if (status == EXIT_OK && options->qr)
		status = print_code(text);
	if (status == EXIT_OK && options->output == NULL && !options->qr)
		fputs(text, stdout);
	key_wipe(text, sizeof text);
	return status;
}

static int
prepare(struct asking *asking)
{
	int r = uuid_generate_text(asking->client_id);

	if (r == 0)
		r = key_generate(&asking->private_key);
	if (r == 0)
		r = key_public(&asking->private_key, &asking->public_key);
	if (r == 0)
		r = loop_new(&asking->loop);
	if (r == 0)
		r = http_client_new(asking->loop, asking->options->ca_file, &asking->http);
	return r;
}

int
client_command_config(const struct client_options *options)
{
	struct asking asking = { .options = options };
	char error[CLIENT_TEXT_BYTES];

	int status =
		client_access_key_read(options->key_file, asking.access_key, error, sizeof error);
	if (status != 0) {
		client_complain("%s", error);
		return status;
	}
	int r = prepare(&asking);
	if (r == 0) {
		ask(&asking);
		r = loop_run(asking.loop);
	}
	if (r < 0) {
		client_complain("cannot ask the server: %s", strerror(-r));
		asking.status = r == -ENOENT ? EXIT_NO_INPUT : EXIT_SYSTEM;
	} else if (asking.status == EXIT_OK) {
		asking.status = deliver(&asking);
	}
	http_client_free(&asking.http);
	client_claim_fini(&asking.claim);
	if (asking.loop != NULL)
		loop_free(&asking.loop);
	client_route_wipe(&asking.route);
	status = asking.status;
	key_wipe(&asking, sizeof asking);
	return status;
}
