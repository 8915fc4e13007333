/* lookup: who asks the resolver does not wait for it. The resolver is scripted by a link seam. */
#include "loop/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		       struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		       struct addrinfo **ret);

/* Held by a test, it keeps the resolver from answering. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

/* A host that begins with a digit stands for itself; nobody knows the others. */
int
__wrap_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		   struct addrinfo **ret)
{
	const struct addrinfo numeric = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST };

	(void)hints;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return *host >= '0' && *host <= '9' ? __real_getaddrinfo(host, service, &numeric, ret)
					    : EAI_NONAME;
}

static struct loop *loop;
static struct lookup *lookup;
static struct sockaddr_storage first;
static size_t found;
static char error[128];

static void
on_found(const struct sockaddr_storage *addresses, size_t n, const char *why, void *arg)
{
	(void)arg;
	assert_null(lookup); /* it is over by then */
	found = n;
	if (n > 0)
		first = addresses[0];
	strncpy(error, why != NULL ? why : "", sizeof(error) - 1);
	loop_stop(loop);
}

static int
setup(void **state)
{
	(void)state;
	found = 99;
	error[0] = '\0';
	return loop_new(&loop);
}

static int
teardown(void **state)
{
	(void)state;
	lookup_stop(&lookup);
	loop_free(&loop);
	return 0;
}

static void
look_up(const char *host)
{
	assert_int_equal(lookup_start(loop, host, on_found, NULL, &lookup), 0);
	assert_int_equal(loop_run(loop), 0);
}

static void
test_addresses_of_both_families_come_to_the_loop(void **state)
{
	(void)state;
	look_up("192.0.2.7");
	assert_int_equal(found, 1);
	assert_int_equal(((struct sockaddr_in *)&first)->sin_addr.s_addr, htonl(0xc0000207));
	assert_int_equal(((struct sockaddr_in *)&first)->sin_port, 0);
	look_up("2001:db8::7");
	assert_int_equal(found, 1);
	assert_int_equal(first.ss_family, AF_INET6);
	assert_string_equal(error, "");
}

static void
test_name_that_nobody_knows_has_a_reason(void **state)
{
	(void)state;
	look_up("nobody.test");
	assert_int_equal(found, 0);
	assert_string_equal(error, gai_strerror(EAI_NONAME));
}

static void
test_name_that_is_too_long_is_not_asked_for(void **state)
{
	char host[LOOKUP_HOST_BYTES + 1];

	(void)state;
	memset(host, 'x', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	assert_int_equal(lookup_start(loop, host, on_found, NULL, &lookup), -ENAMETOOLONG);
	assert_null(lookup);
}

static void
test_stopped_lookup_calls_nobody_when_the_resolver_answers(void **state)
{
	struct lookup *stopped;

	(void)state;
	pthread_mutex_lock(&gate);
	assert_int_equal(lookup_start(loop, "nobody.test", on_found, NULL, &stopped), 0);
	lookup_stop(&stopped);
	assert_null(stopped);
	pthread_mutex_unlock(&gate);
	look_up("192.0.2.7");
	assert_int_equal(found, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_addresses_of_both_families_come_to_the_loop),
		TEST(test_name_that_nobody_knows_has_a_reason),
		TEST(test_name_that_is_too_long_is_not_asked_for),
		TEST(test_stopped_lookup_calls_nobody_when_the_resolver_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
