/*
 * The little of DNS that the forwarder reads.
 */
#include "forwarder/dns_message.h"
#include "forwarder/dns_upstreams.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A query for boson.test, type A, with recursion desired. */
static const uint8_t query[] = { 0x12, 0x34, 0x01, 0x00, 0, 1,	 0,   0,   0,	0, 0, 0, 5, 'b',
				 'o',  's',  'o',  'n',	 4, 't', 'e', 's', 't', 0, 0, 1, 0, 1 };

static void
test_query_with_one_question_is_taken(void **state)
{
	(void)state;
	uint8_t with_more[sizeof query + 11] = { 0 };
	assert_int_equal(dns_query_check(query, sizeof query), sizeof query);
	memcpy(with_more, query, sizeof query); /* EDNS comes after the question */
	assert_int_equal(dns_query_check(with_more, sizeof with_more), sizeof query);
}

static void
test_query_that_is_cut_anywhere_is_refused(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof query; n++) {
		uint8_t *exact =
			malloc(n ? n : 1); /* so that a sanitizer sees each byte too many */
		memcpy(exact, query, n);
		assert_int_equal(dns_query_check(exact, n), -EBADMSG);
		free(exact);
	}
}

static void
refuse_with(size_t at, uint8_t byte)
{
	uint8_t bad[sizeof query];
	memcpy(bad, query, sizeof query);
	bad[at] = byte;
	assert_int_equal(dns_query_check(bad, sizeof bad), -EBADMSG);
}

static void
test_what_is_no_plain_query_is_refused(void **state)
{
	(void)state;
	refuse_with(2, 0x81);  /* an answer */
	refuse_with(2, 0x28);  /* an update */
	refuse_with(5, 0);     /* no question */
	refuse_with(5, 2);     /* two */
	refuse_with(12, 0xc0); /* a compressed name */
	refuse_with(12, 63);   /* a label beyond the end */
}

static void
test_answer_must_have_id_and_question_of_the_query(void **state)
{
	(void)state;
	uint8_t answer[sizeof query + 16] = { 0 };
	memcpy(answer, query, sizeof query);
	answer[2] |= 0x80;
	assert_true(dns_answer_matches(answer, sizeof answer, query, sizeof query));
	assert_false(dns_answer_matches(answer, sizeof query - 1, query, sizeof query));
	answer[0] ^= 1;
	assert_false(dns_answer_matches(answer, sizeof answer, query, sizeof query));
	answer[0] ^= 1;
	answer[14] ^= 1;
	assert_false(dns_answer_matches(answer, sizeof answer, query, sizeof query));
	answer[14] ^= 1;
	answer[2] &= 0x7f;
	assert_false(dns_answer_matches(answer, sizeof answer, query, sizeof query));
}

static void
test_servfail_keeps_id_and_question(void **state)
{
	(void)state;
	uint8_t message[sizeof query];
	memcpy(message, query, sizeof query);
	message[11] = 1;
	dns_make_servfail(message);
	assert_true(dns_answer_matches(message, sizeof message, query, sizeof query));
	assert_int_equal(message[3] & 0x0f, 2);
	assert_int_equal(message[2] & 0x01, 1);
	assert_int_equal(message[11], 0);
}

static void
test_upstreams_are_addresses_with_or_without_a_port(void **state)
{
	(void)state;
	struct dns_upstreams upstreams;
	const char *good[] = { "192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353",
			       NULL };
	static const char *const bad[] = { "dns.test",	    "192.0.2.1:0",
					   "192.0.2.1:x",   "[2001:db8::1",
					   "[::1]5353",	    "192.0.2.1:65536",
					   ":53",	    "",
					   "192.0.2.1:+53", "192.0.2.1: 53" };
	assert_int_equal(dns_upstreams_init(&upstreams, good, "/nonexistent"), 0);
	assert_int_equal(upstreams.count, 4);
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&upstreams.addresses[1];
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&upstreams.addresses[3];
	assert_int_equal(ntohs(v4->sin_port), 5353);
	assert_int_equal(ntohs(v6->sin6_port), 5353);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *one[] = { bad[i], NULL };
		assert_int_equal(dns_upstreams_init(&upstreams, one, "/nonexistent"), -EINVAL);
	}
}

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void
test_resolv_conf_is_read_and_read_again_when_it_changes(void **state)
{
	(void)state;
	struct dns_upstreams upstreams;
	char path[] = "/tmp/higgs-resolv-XXXXXX", moved[64];
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	write_file(path, "# a comment\nnameserver 192.0.2.1\nsearch home\nnameserver nonsense\n"
			 "nameserver 2001:db8::1\n");
	assert_int_equal(dns_upstreams_init(&upstreams, NULL, path), 0);
	assert_int_equal(upstreams.count, 2);
	snprintf(moved, sizeof moved, "%s.new", path);
	write_file(moved, "nameserver 192.0.2.9\n");
	assert_int_equal(rename(moved, path), 0);
	/* The time of change is what counts, and may be the same within a clock tick. */
	upstreams.read_at.tv_sec--;
	dns_upstreams_refresh(&upstreams);
	assert_int_equal(upstreams.count, 1);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query_with_one_question_is_taken),
		cmocka_unit_test(test_query_that_is_cut_anywhere_is_refused),
		cmocka_unit_test(test_what_is_no_plain_query_is_refused),
		cmocka_unit_test(test_answer_must_have_id_and_question_of_the_query),
		cmocka_unit_test(test_servfail_keeps_id_and_question),
		cmocka_unit_test(test_upstreams_are_addresses_with_or_without_a_port),
		cmocka_unit_test(test_resolv_conf_is_read_and_read_again_when_it_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
