/*
 * What log_write makes of values, read back from a pipe in stderr's place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int saved_stderr;
static int ends[2]; /* 0: where the lines come out */

static void
take_stderr(void)
{
	saved_stderr = dup(STDERR_FILENO);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
}

static int
setup_pipe(void **state)
{
	(void)state;
	assert_int_equal(pipe(ends), 0);
	take_stderr();
	log_init("test", LOG_LEVEL_DEBUG);
	return 0;
}

static int
setup_socket(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	take_stderr();
	log_init("test", LOG_LEVEL_DEBUG);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	close(ends[0]);
	return 0;
}

static const char *
line(void)
{
	static char text[8192];
	ssize_t n = read(ends[0], text, sizeof(text) - 1);

	assert_true(n >= 0);
	text[n] = '\0';
	return text;
}

static void
test_line_is_level_service_event_and_pairs(void **state)
{
	(void)state;
	log_info("leg_attached", "node=%s channels=%d", "n1", 3);
	assert_string_equal(line(), "info test leg_attached node=n1 channels=3\n");
	log_error("stopped", " ");
	assert_string_equal(line(), "error test stopped  \n");
}

static void
test_conversions_are_those_of_printf(void **state)
{
	(void)state;
	log_warn("x", "a=%d b=%u c=%lld d=%llu e=%zu f=%x g=%08lx h=%c i=%.2f j=%% k=%hhu l=%ld",
		 -1, 2u, -3LL, 4ULL, (size_t)5, 0xabu, 0xcdUL, 'z', 1.5, (unsigned char)200, -6L);
	assert_string_equal(line(), "warn test x a=-1 b=2 c=-3 d=4 e=5 f=ab g=000000cd h=z i=1.50 "
				    "j=% k=200 l=-6\n");
	log_warn("x", "a=%.*s b=%.3s c=%04o d=%5d", 2, "abcd", "vwxyz", 0711u, 7);
	assert_string_equal(line(), "warn test x a=ab b=vwx c=0711 d=7\n");
}

static void
test_errno_is_shown_and_kept(void **state)
{
	(void)state;
	errno = ENOENT;
	log_warn("x", "error=%m");
	assert_int_equal(errno, ENOENT);
	assert_string_equal(line(), "warn test x error=\"No such file or directory\"\n");
}

static void
test_value_can_neither_break_nor_forge_a_line(void **state)
{
	(void)state;
	log_info("x", "name=%s", "a\nerror test fake y=1");
	assert_string_equal(line(), "info test x name=\"a\\x0aerror test fake y=1\"\n");
	log_info("x", "name=%s", "a\" b=\"c");
	assert_string_equal(line(), "info test x name=\"a\\\" b=\\\"c\"\n");
	log_info("x", "name=%s", "back\\slash");
	assert_string_equal(line(), "info test x name=back\\\\slash\n");
	log_info("x", "name=%s also=\"%s\"", "", "in quotes");
	assert_string_equal(line(), "info test x name=\"\" also=\"in quotes\"\n");
}

static void
test_bytes_that_are_no_text_are_escaped(void **state)
{
	(void)state;
	log_info("x", "v=%s", "\x7f\x1b[31m\xff\xc3\x28");
	assert_string_equal(line(), "info test x v=\\x7f\\x1b[31m\\xff\\xc3(\n");
	log_info("x", "v=%s", "caf\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	assert_string_equal(line(), "info test x v=caf\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n");
	/* Over-long, surrogate, beyond Unicode, C1 control. */
	log_info("x", "v=%s", "\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80\xc2\x85");
	assert_string_equal(line(), "info test x v=\\xc0\\x80\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80"
				    "\\xc2\\x85\n");
}

static void
test_long_value_is_cut_and_the_next_field_still_there(void **state)
{
	char value[2000];

	(void)state;
	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_info("x", "v=%s next=%d", value, 1);
	const char *text = line();
	assert_true(strlen(text) < 300);
	assert_non_null(strstr(text, "x... next=1\n"));
}

static void
test_null_text_is_a_dash(void **state)
{
	const char *volatile nothing = NULL; /* gcc would see it */

	(void)state;
	log_info("x", "v=%s", nothing);
	assert_string_equal(line(), "info test x v=-\n");
}

static void
test_line_longer_than_a_page_is_cut_and_ended(void **state)
{
	char value[200];

	(void)state;
	memset(value, 'y', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	log_info("x", "%s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s %s",
		 value, value, value, value, value, value, value, value, value, value, value, value,
		 value, value, value, value, value, value, value, value, value, value, value,
		 value);
	const char *text = line();
	assert_true(strlen(text) <= 4096);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void
test_lines_above_the_level_are_not_written(void **state)
{
	(void)state;
	log_init("test", LOG_LEVEL_WARN);
	log_info("unheard", "x=%d", 1);
	log_warn("heard", "x=%d", 2);
	assert_string_equal(line(), "warn test heard x=2\n");
}

static void *
log_from_thread(void *arg)
{
	(void)arg;
	log_set_service("relay");
	log_info("x", "a=%d", 1);
	return NULL;
}

static void
test_thread_names_its_own_lines(void **state)
{
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, log_from_thread, NULL);
	pthread_join(thread, NULL);
	assert_string_equal(line(), "info relay x a=1\n");
	log_info("x", "a=%d", 2);
	assert_string_equal(line(), "info test x a=2\n");
}

/* Those that wait to be read. */
static uint64_t
count_lines(void)
{
	static char text[1 << 16];
	uint64_t lines = 0;
	ssize_t n;

	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = read(ends[0], text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	return lines;
}

/* C59, F46: the only place for lines is stderr, and nobody reads it. Each line that is not there
 * was counted, and there is room again once somebody reads. */
static void
test_full_stderr_loses_lines_and_blocks_nobody(void **state)
{
	enum { LINES = 20000 };
	uint64_t before = log_lost_count();

	(void)state;
	for (int i = 0; i < LINES; i++)
		log_info("noise", "text=%s", "0123456789012345678901234567890123456789");
	uint64_t lost = log_lost_count() - before;
	assert_true(lost > 0);
	assert_int_equal(count_lines(), LINES - lost);
	log_info("heard", "x=%d", 1);
	assert_string_equal(line(), "info test heard x=1\n");
	assert_int_equal(log_lost_count() - before, lost);
	/* And stderr itself was left as it was, for those who share it. */
	assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
}

/* C59: whoever read it has gone. Our programs ignore SIGPIPE. */
static void
test_stderr_without_a_reader_loses_lines_and_ends_nobody(void **state)
{
	uint64_t before = log_lost_count();

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	close(ends[0]);
	for (int i = 0; i < 10; i++)
		log_info("unheard", "i=%d", i);
	assert_int_equal(log_lost_count() - before, 10);
	ends[0] = open("/dev/null", O_RDONLY | O_CLOEXEC); /* for teardown */
	signal(SIGPIPE, SIG_DFL);
}

static void *
log_much(void *arg)
{
	for (int i = 0; i < 200; i++)
		log_info("line", "from=%s i=%d", (const char *)arg, i);
	return NULL;
}

static void
test_lines_of_threads_do_not_mix(void **state)
{
	pthread_t a, b;
	static char text[1 << 20];
	size_t n = 0;

	(void)state;
	pthread_create(&a, NULL, log_much, (void *)(uintptr_t) "a");
	pthread_create(&b, NULL, log_much, (void *)(uintptr_t) "b");
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	log_info("last", "end=%d", 1);
	while (!strstr(text, "last"))
		n += (size_t)read(ends[0], text + n, sizeof(text) - 1 - n);
	unsigned lines = 0;
	for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n"), lines++)
		assert_memory_equal(at, "info test l", 11);
	assert_int_equal(lines, 401);
}

static void
test_level_is_read_from_its_name(void **state)
{
	enum log_level level = LOG_LEVEL_ERROR;

	(void)state;
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("loud", &level), -EINVAL);
	assert_int_equal(log_level_parse(NULL, &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
}

#define PIPE(name)   cmocka_unit_test_setup_teardown(name, setup_pipe, teardown)
#define SOCKET(name) cmocka_unit_test_setup_teardown(name, setup_socket, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		PIPE(test_line_is_level_service_event_and_pairs),
		SOCKET(test_line_is_level_service_event_and_pairs),
		PIPE(test_conversions_are_those_of_printf),
		PIPE(test_errno_is_shown_and_kept),
		PIPE(test_value_can_neither_break_nor_forge_a_line),
		PIPE(test_bytes_that_are_no_text_are_escaped),
		PIPE(test_long_value_is_cut_and_the_next_field_still_there),
		PIPE(test_null_text_is_a_dash),
		PIPE(test_line_longer_than_a_page_is_cut_and_ended),
		PIPE(test_lines_above_the_level_are_not_written),
		PIPE(test_thread_names_its_own_lines),
		PIPE(test_full_stderr_loses_lines_and_blocks_nobody),
		SOCKET(test_full_stderr_loses_lines_and_blocks_nobody),
		PIPE(test_stderr_without_a_reader_loses_lines_and_ends_nobody),
		SOCKET(test_stderr_without_a_reader_loses_lines_and_ends_nobody),
		PIPE(test_lines_of_threads_do_not_mix),
		cmocka_unit_test(test_level_is_read_from_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
