/*
 * bosonctl_access: see the header. The file is made before the key, so that no key is made for
 * nobody.
 */
#include "bosonctl/bosonctl_access.h"

#include "bosonctl/bosonctl_call.h"
#include "bosonctl/bosonctl_mailboxes.h"
#include "identity/key.h"
#include "json/json_text.h"

#include "gateway.pb-c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { CALL_TIMEOUT_MS = 5000, NUMBER_DIGITS_MAX = 12 };

struct wish {
	const char *kind, *name, *out;
	uint64_t uses, lifetime_sec; /* 0: not said */
	int fd;			     /* of out */
};

void
bosonctl_access_help(FILE *file)
{
	fputs("      --uses N        serves so often: enrolments of new nodes, routes, requests\n"
	      "      --expires TIME  and so long: 90s, 30m, 12h, 30d\n"
	      "      --out FILE      the key goes there (0600), not to the screen\n",
	      file);
}

static int
complain(const char *why)
{
	fprintf(stderr, "bosonctl: keys create: %s; see bosonctl --help\n", why);
	return EX_USAGE;
}

/* Decimal digits and nothing else, as far as they go. */
static const char *
take_number(const char *text, uint64_t *ret)
{
	size_t n = strspn(text, "0123456789");
	if (n == 0 || n > NUMBER_DIGITS_MAX)
		return NULL;
	*ret = strtoull(text, NULL, 10);
	return *ret > 0 ? text + n : NULL;
}

static bool
parse_uses(const char *text, uint64_t *ret)
{
	const char *end = take_number(text, ret);
	return end != NULL && *end == '\0';
}

static bool
parse_lifetime(const char *text, uint64_t *ret)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	const char *end = take_number(text, ret);
	for (size_t i = 0; end != NULL && i < sizeof(units) / sizeof(units[0]); i++) {
		if (end[0] != units[i].unit || end[1] != '\0')
			continue;
		*ret *= units[i].seconds;
		return true;
	}
	return false;
}

static int
take_option(struct wish *wish, const char *name, const char *value)
{
	if (value == NULL)
		return complain("an option without its value");
	if (strcmp(name, "--uses") == 0)
		return parse_uses(value, &wish->uses) ? EX_OK : complain("--uses takes a number");
	if (strcmp(name, "--expires") == 0)
		return parse_lifetime(value, &wish->lifetime_sec)
			       ? EX_OK
			       : complain("--expires takes a time with a unit, as in 30d");
	if (strcmp(name, "--out") != 0)
		return complain("that option is not known");
	wish->out = value;
	return EX_OK;
}

static int
read_words(int n, char **words, struct wish *ret)
{
	int code = EX_OK;
	for (int i = 0; i < n && code == EX_OK; i++) {
		if (words[i][0] == '-') {
			code = take_option(ret, words[i], i + 1 < n ? words[i + 1] : NULL);
			i++;
		} else if (ret->kind == NULL) {
			ret->kind = words[i];
		} else if (ret->name == NULL) {
			ret->name = words[i];
		} else {
			return complain("too many words");
		}
	}
	if (code == EX_OK && ret->name == NULL)
		return complain("it takes KIND NAME");
	if (code == EX_OK && protobuf_c_enum_descriptor_get_value_by_name(
				     &boson__gateway__key_kind__descriptor, ret->kind) == NULL)
		return complain("KIND is node, client, admin or scraper");
	return code;
}

static int
make_file(struct wish *wish)
{
	wish->fd = -1;
	if (wish->out == NULL)
		return EX_OK;
	wish->fd = open(wish->out, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (wish->fd >= 0)
		return EX_OK;
	fprintf(stderr, "bosonctl: the file for the key: %s\n", strerror(errno));
	return EX_CANTCREAT;
}

/* Takes the key out of the answer: 0, or an exit code after a sentence. */
static int
save(const ProtobufCMessage *answer, void *arg)
{
	const struct wish *wish = arg;
	Boson__Gateway__CreateKeyReply *reply = (Boson__Gateway__CreateKeyReply *)(uintptr_t)answer;
	size_t n = reply->secret != NULL ? strlen(reply->secret) : 0;
	bool good = n > 0 && write(wish->fd, reply->secret, n) == (ssize_t)n &&
		    write(wish->fd, "\n", 1) == 1 && fsync(wish->fd) == 0;
	if (reply->secret != NULL)
		key_wipe(reply->secret, n);
	if (good)
		return EX_OK;
	fprintf(stderr, "bosonctl: the key cannot be written (%s); revoke it\n", strerror(errno));
	return EX_IOERR;
}

static void
write_request(const struct wish *wish, struct json_text *text)
{
	json_text_open(text, '{');
	json_text_member(text, "kind", wish->kind);
	json_text_member(text, "name", wish->name);
	if (wish->uses > 0) {
		json_text_member_uint(text, "usesMax", wish->uses);
	}
	if (wish->lifetime_sec > 0) {
		json_text_member_uint(text, "lifetimeSec", wish->lifetime_sec);
	}
	json_text_close(text, '}');
}

static int
create(const struct service_bus *bus, struct wish *wish)
{
	struct json_text text = { 0 };
	struct bosonctl_call call = { .service = "gateway",
				      .mailbox = mailbox_find("gateway"),
				      .timeout_ms = CALL_TIMEOUT_MS };
	int code;
	call.method = (unsigned int)mailbox_rpc_find(call.mailbox, "CreateKey");
	if (wish->fd >= 0) {
		call.take = save;
		call.take_arg = wish;
	}
	write_request(wish, &text);
	call.json = text.bytes;
	code = json_text_failed(&text) ? EX_OSERR : bosonctl_call(bus, &call);
	json_text_fini(&text);
	return code;
}

int
bosonctl_access_create(const struct bosonctl_where *where, int n, char **words)
{
	struct wish wish = { 0 };
	struct service_bus *bus = NULL;
	int code = read_words(n, words, &wish);
	if (code == EX_OK)
		code = where->open(where->arg, &bus);
	if (code == EX_OK)
		code = make_file(&wish);
	else
		wish.fd = -1;
	if (code == EX_OK)
		code = create(bus, &wish);
	if (wish.fd >= 0) {
		close(wish.fd);
		if (code != EX_OK && code != EX_IOERR)
			unlink(wish.out);
	}
	service_bus_free(&bus);
	return code;
}
