/*
 * A server that is no Redis: whatever it says is an error, and no answer. It is a child of the
 * program's own.
 */
#include "cache/cache.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { URL_BYTES = 128 };

static char folder[] = "/tmp/boson-nonsense-XXXXXX";

static int64_t
probe(struct cache *cache)
{
	return cache_probe(cache);
}

static int64_t
be_first(struct cache *cache)
{
	return cache_first(cache, "a", 600 * 1000, 0);
}

static int64_t
take(struct cache *cache)
{
	return cache_take(cache, "a", 1, 1, 0);
}

/* Says `head` to whoever comes, and then x for ever. */
static void
serve_nonsense(int listener, const char *head)
{
	static char rest[4096];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(rest, 'x', sizeof(rest));
	signal(SIGPIPE, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd < 0 || write(fd, head, strlen(head)) < 0)
			_exit(0);
		while (write(fd, rest, sizeof(rest)) > 0)
			;
		close(fd);
	}
}

static void
assert_nonsense_fails(const char *head, int64_t (*call)(struct cache *cache))
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char own[URL_BYTES];
	struct cache *other = NULL;
	pid_t child;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/nonsense", folder);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	child = fork();
	if (child == 0)
		serve_nonsense(listener, head);
	snprintf(own, sizeof(own), "redis://%s", address.sun_path);
	assert_int_equal(cache_open(own, 1, &other), 0);
	assert_int_equal(call(other), -EIO);
	cache_close(&other);
	close(listener);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(unlink(address.sun_path), 0);
}

static void
test_nonsense_and_endless_answers_are_errors(void **state)
{
	static const char *const heads[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"$2000000000\r\n",
		"$-7\r\n",
		"$1\r\n1\r\n",
		"*2000000000\r\n$1\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
		"-NOSCRIPT none\r\n",
		"+",
		"",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++) {
		assert_nonsense_fails(heads[i], probe);
		assert_nonsense_fails(heads[i], be_first);
		assert_nonsense_fails(heads[i], take);
	}
	assert_nonsense_fails(":1\r\n", be_first);
	assert_nonsense_fails(":-1\r\n", take);
	assert_nonsense_fails("+OK\r\n", take);
	assert_nonsense_fails("+PONG\r\n", probe);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nonsense_and_endless_answers_are_errors),
	};
	int result;

	if (mkdtemp(folder) == NULL)
		return EXIT_FAILURE;
	result = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(folder);
	return result;
}
