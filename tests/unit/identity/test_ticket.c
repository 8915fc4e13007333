/*
 * Tickets: T05 (theft across roles, forged grants), P05 (a leg without a ticket), W01, rotation.
 * The vector is the one of docs/protocol.md, "Tickets"; it was signed by another implementation.
 */
#include "../../temp_folder.h"
#include "identity/ticket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW_MS INT64_C(1700000000000)

static const char vector_public[] =
	"03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8\n";
static const char vector_ticket[] =
	"AQJWR1qnAAAPHi08S1pGl4h3ZlVEMyIRobLD1OX2RxiJq83vASNFZ2RlZmF1bHQAAAAAAAAAAAAAAAGLz-VoAAAA"
	"AYvQHFaAAAAE4gABAgMEBQYHyD55Hgy_IDxivcB24rtoVb1UKTQcV0sLGIilXakimS9KhQ1bbJnxRJKkTtKGRMSv"
	"SUrDC-e6e9ngUXfoB9CWDA";

static struct temp_folder folder;

/* Two signers and a relay's verifier, as the services have them. */
struct scene {
	struct ticket_signer *node_signer, *session_signer;
	struct ticket_verifier *verifier;
	struct ticket node, session;
	char text[TICKET_TEXT_MAX_BYTES];
};

static int
scene_make(void **state)
{
	static struct scene s;

	memset(&s, 0, sizeof(s));
	temp_folder_make(&folder);
	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "node.seed"),
					    temp_folder_file(&folder, "node.pub"), TICKET_ROLE_NODE,
					    &s.node_signer),
			 0);
	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "session.seed"),
					    temp_folder_file(&folder, "session.pub"),
					    TICKET_ROLE_SESSION, &s.session_signer),
			 0);
	assert_int_equal(ticket_verifier_open(temp_folder_file(&folder, "node.pub"),
					      temp_folder_file(&folder, "session.pub"), "default",
					      &s.verifier),
			 0);
	s.node = (struct ticket){ .role = TICKET_ROLE_NODE,
				  .group = "default",
				  .not_before_ms = NOW_MS,
				  .expires_at_ms = NOW_MS + 3600000 };
	assert_int_equal(uuid_parse("0f1e2d3c-4b5a-4697-8877-665544332211", s.node.node_id), 0);
	s.session = s.node;
	s.session.role = TICKET_ROLE_SESSION;
	s.session.rate_kbytes = 1250;
	assert_int_equal(uuid_parse("a1b2c3d4-e5f6-4718-89ab-cdef01234567", s.session.session_id),
			 0);
	*state = &s;
	return 0;
}

static int
scene_drop(void **state)
{
	struct scene *s = *state;

	ticket_signer_free(&s->node_signer);
	ticket_signer_free(&s->session_signer);
	ticket_verifier_free(&s->verifier);
	return temp_folder_drop(&folder);
}

static int
verify_at(struct scene *s, int64_t now_ms)
{
	struct ticket ticket;

	return ticket_verify(s->verifier, s->text, strlen(s->text), now_ms, &ticket);
}

static void
test_a_signed_ticket_comes_back_as_it_was(void **state)
{
	struct scene *s = *state;
	struct ticket back;

	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	assert_null(strpbrk(s->text, "+/= "));
	assert_int_equal(ticket_verify(s->verifier, s->text, strlen(s->text), NOW_MS, &back), 0);
	assert_int_equal(back.role, TICKET_ROLE_SESSION);
	assert_memory_equal(back.node_id, s->session.node_id, UUID_BYTES);
	assert_memory_equal(back.session_id, s->session.session_id, UUID_BYTES);
	assert_string_equal(back.group, "default");
	assert_int_equal(back.not_before_ms, s->session.not_before_ms);
	assert_int_equal(back.expires_at_ms, s->session.expires_at_ms);
	assert_int_equal(back.rate_kbytes, 1250);
	assert_int_equal(ticket_sign(s->node_signer, &s->node, s->text), 0);
	assert_int_equal(verify_at(s, NOW_MS), 0);
}

static void
test_the_documented_vector_is_accepted(void **state)
{
	struct scene *s = *state;
	struct ticket ticket;
	static const uint8_t serial[8] = { 0, 1, 2, 3, 4, 5, 6, 7 };

	temp_folder_write(&folder, "session.pub", vector_public, 0644);
	assert_int_equal(
		ticket_verify(s->verifier, vector_ticket, strlen(vector_ticket), NOW_MS, &ticket),
		0);
	assert_memory_equal(ticket.node_id, s->session.node_id, UUID_BYTES);
	assert_memory_equal(ticket.session_id, s->session.session_id, UUID_BYTES);
	assert_string_equal(ticket.group, "default");
	assert_int_equal(ticket.rate_kbytes, 1250);
	assert_memory_equal(ticket.serial, serial, sizeof(serial));
}

static void
test_two_tickets_of_one_session_differ(void **state)
{
	struct scene *s = *state;
	char other[TICKET_TEXT_MAX_BYTES];

	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	assert_int_equal(ticket_sign(s->session_signer, &s->session, other), 0);
	assert_string_not_equal(s->text, other);
}

static void
test_ticket_of_another_group_is_refused(void **state)
{
	struct scene *s = *state;

	memset(s->session.group, 0, TICKET_GROUP_BYTES);
	strcpy(s->session.group, "default2");
	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	assert_int_equal(verify_at(s, NOW_MS), -EACCES);
}

/* T05: routing's key must not make a node's ticket, nor discovery's a session's. */
static void
test_t05_a_ticket_signed_by_the_other_role_is_refused(void **state)
{
	struct scene *s = *state;
	struct ticket_signer *wrong = NULL;

	assert_int_equal(ticket_sign(s->session_signer, &s->node, s->text), -EINVAL);
	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "session.seed"),
					    temp_folder_file(&folder, "elsewhere.pub"),
					    TICKET_ROLE_NODE, &wrong),
			 0);
	assert_int_equal(ticket_sign(wrong, &s->node, s->text), 0);
	assert_int_equal(verify_at(s, NOW_MS), -EACCES);
	ticket_signer_free(&wrong);
}

static void
test_t05_a_ticket_of_a_stranger_is_refused(void **state)
{
	struct scene *s = *state;
	struct ticket_signer *stranger = NULL;

	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "stranger.seed"),
					    temp_folder_file(&folder, "stranger.pub"),
					    TICKET_ROLE_SESSION, &stranger),
			 0);
	assert_int_equal(ticket_sign(stranger, &s->session, s->text), 0);
	assert_int_equal(verify_at(s, NOW_MS), -EACCES);
	ticket_signer_free(&stranger);
}

static void
test_w01_a_ticket_lives_from_its_start_to_its_end_with_30_s_leeway(void **state)
{
	struct scene *s = *state;
	int64_t end = s->session.expires_at_ms;

	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	assert_int_equal(verify_at(s, NOW_MS - 30000), 0);
	assert_int_equal(verify_at(s, NOW_MS - 30001), -ETIME);
	assert_int_equal(verify_at(s, end + 29999), 0);
	assert_int_equal(verify_at(s, end + 30000), -ETIME);
	assert_int_equal(verify_at(s, INT64_MAX), -ETIME);
	assert_int_equal(verify_at(s, 0), -ETIME);
}

static void
test_w01_every_changed_character_is_noticed(void **state)
{
	struct scene *s = *state;

	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	for (size_t i = 0; s->text[i]; i++) {
		char was = s->text[i];

		s->text[i] = was == 'B' ? 'C' : 'B';
		assert_true(verify_at(s, NOW_MS) == -EACCES || verify_at(s, NOW_MS) == -EBADMSG);
		s->text[i] = was;
	}
	assert_int_equal(verify_at(s, NOW_MS), 0);
}

static void
test_tickets_of_another_length_are_malformed(void **state)
{
	struct scene *s = *state;
	struct ticket ticket;
	size_t n;

	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	n = strlen(s->text);
	for (size_t keep = 0; keep < n; keep++)
		assert_int_equal(ticket_verify(s->verifier, s->text, keep, NOW_MS, &ticket),
				 -EBADMSG);
	strcpy(s->text + n, "A");
	assert_int_equal(ticket_verify(s->verifier, s->text, n + 1, NOW_MS, &ticket), -EBADMSG);
}

static void
test_a_signer_refuses_what_no_verifier_would_take(void **state)
{
	struct scene *s = *state;
	struct ticket t = s->session;

	memset(t.session_id, 0, UUID_BYTES);
	assert_int_equal(ticket_sign(s->session_signer, &t, s->text), -EINVAL);
	t = s->node;
	t.session_id[0] = 1;
	assert_int_equal(ticket_sign(s->node_signer, &t, s->text), -EINVAL);
	t = s->session;
	memset(t.node_id, 0, UUID_BYTES);
	assert_int_equal(ticket_sign(s->session_signer, &t, s->text), -EINVAL);
	t = s->session;
	t.group[12] = 'x'; /* behind the NUL */
	assert_int_equal(ticket_sign(s->session_signer, &t, s->text), -EINVAL);
	t = s->session;
	memset(t.group, 0, TICKET_GROUP_BYTES);
	assert_int_equal(ticket_sign(s->session_signer, &t, s->text), -EINVAL);
	t = s->session;
	t.expires_at_ms = t.not_before_ms;
	assert_int_equal(ticket_sign(s->session_signer, &t, s->text), -EINVAL);
	t = s->session;
	t.expires_at_ms = INT64_MAX;
	assert_int_equal(ticket_sign(s->session_signer, &t, s->text), -EINVAL);
}

static void
test_a_group_of_sixteen_bytes_needs_no_nul(void **state)
{
	struct scene *s = *state;
	struct ticket_verifier *verifier = NULL;
	struct ticket back;

	memcpy(s->session.group, "sixteen-bytes-ab", TICKET_GROUP_BYTES);
	assert_int_equal(ticket_verifier_open(temp_folder_file(&folder, "node.pub"),
					      temp_folder_file(&folder, "session.pub"),
					      "sixteen-bytes-ab", &verifier),
			 0);
	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	assert_int_equal(ticket_verify(verifier, s->text, strlen(s->text), NOW_MS, &back), 0);
	ticket_verifier_free(&verifier);
	assert_int_equal(ticket_verifier_open("a", "b", "seventeen-bytes-a", &verifier), -EINVAL);
	assert_int_equal(ticket_verifier_open("a", "b", "", &verifier), -EINVAL);
}

/* A relay may start before discovery has published its key. */
static void
test_a_key_that_comes_later_is_found_within_a_second(void **state)
{
	struct scene *s = *state;
	struct ticket_verifier *verifier = NULL;
	struct ticket_signer *late = NULL;
	struct ticket back;

	assert_int_equal(ticket_verifier_open(temp_folder_file(&folder, "late.pub"),
					      temp_folder_file(&folder, "session.pub"), "default",
					      &verifier),
			 0);
	assert_int_equal(ticket_sign(s->node_signer, &s->node, s->text), 0);
	assert_int_equal(ticket_verify(verifier, s->text, strlen(s->text), NOW_MS, &back), -EACCES);
	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "node.seed"),
					    temp_folder_file(&folder, "late.pub"), TICKET_ROLE_NODE,
					    &late),
			 0);
	assert_int_equal(ticket_verify(verifier, s->text, strlen(s->text), NOW_MS + 999, &back),
			 -EACCES);
	assert_int_equal(ticket_verify(verifier, s->text, strlen(s->text), NOW_MS + 1000, &back),
			 0);
	ticket_signer_free(&late);
	ticket_verifier_free(&verifier);
}

static void
test_a_key_file_that_goes_away_takes_nothing_back(void **state)
{
	struct scene *s = *state;

	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	assert_int_equal(verify_at(s, NOW_MS), 0);
	assert_int_equal(unlink(temp_folder_file(&folder, "session.pub")), 0);
	assert_int_equal(verify_at(s, NOW_MS + 5000), 0);
	temp_folder_write(&folder, "session.pub", "half a li", 0644);
	assert_int_equal(verify_at(s, NOW_MS + 10000), 0);
}

/* F35: with a new seed, old tickets live on until the public file is cleared of the old key. */
static void
test_f35_after_a_rotation_old_and_new_tickets_admit(void **state)
{
	struct scene *s = *state;
	char fresh[TICKET_TEXT_MAX_BYTES];
	struct ticket back;

	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	assert_int_equal(verify_at(s, NOW_MS), 0);
	ticket_signer_free(&s->session_signer);
	assert_int_equal(unlink(temp_folder_file(&folder, "session.seed")), 0);
	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "session.seed"),
					    temp_folder_file(&folder, "session.pub"),
					    TICKET_ROLE_SESSION, &s->session_signer),
			 0);
	assert_int_equal(ticket_sign(s->session_signer, &s->session, fresh), 0);
	assert_int_equal(verify_at(s, NOW_MS + 2000), 0);
	assert_int_equal(ticket_verify(s->verifier, fresh, strlen(fresh), NOW_MS + 2000, &back), 0);
	/* The operator clears the file: only the new key is published again. */
	ticket_signer_free(&s->session_signer);
	assert_int_equal(unlink(temp_folder_file(&folder, "session.pub")), 0);
	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "session.seed"),
					    temp_folder_file(&folder, "session.pub"),
					    TICKET_ROLE_SESSION, &s->session_signer),
			 0);
	assert_int_equal(verify_at(s, NOW_MS + 4000), -EACCES);
	assert_int_equal(ticket_verify(s->verifier, fresh, strlen(fresh), NOW_MS + 4000, &back), 0);
}

static void
test_a_restarted_signer_keeps_its_key(void **state)
{
	struct scene *s = *state;

	assert_int_equal(ticket_sign(s->session_signer, &s->session, s->text), 0);
	ticket_signer_free(&s->session_signer);
	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "session.seed"),
					    temp_folder_file(&folder, "session.pub"),
					    TICKET_ROLE_SESSION, &s->session_signer),
			 0);
	assert_int_equal(verify_at(s, NOW_MS + 2000), 0);
}

/* Replicas with one seed have one secret; it is another for each purpose, and not the seed. */
static void
test_a_secret_derived_of_a_seed_is_its_holders(void **state)
{
	uint8_t one[TICKET_SEED_BYTES], again[TICKET_SEED_BYTES], other[TICKET_SEED_BYTES];
	uint8_t seed[TICKET_SEED_BYTES];
	struct scene *s = *state;
	struct ticket_signer *replica = NULL;

	assert_int_equal(ticket_signer_open(temp_folder_file(&folder, "session.seed"),
					    temp_folder_file(&folder, "replica.pub"),
					    TICKET_ROLE_SESSION, &replica),
			 0);
	assert_int_equal(ticket_signer_derive(s->session_signer, "a purpose", one), 0);
	assert_int_equal(ticket_signer_derive(replica, "a purpose", again), 0);
	assert_memory_equal(one, again, sizeof(one));
	assert_int_equal(ticket_signer_derive(replica, "another", other), 0);
	assert_memory_not_equal(one, other, sizeof(one));
	assert_int_equal(ticket_signer_derive(s->node_signer, "a purpose", other), 0);
	assert_memory_not_equal(one, other, sizeof(one));
	assert_int_equal(
		secret_file_load(temp_folder_file(&folder, "session.seed"), seed, sizeof(seed)), 0);
	assert_memory_not_equal(one, seed, sizeof(one));
	ticket_signer_free(&replica);
}

#define scene_test(f) cmocka_unit_test_setup_teardown(f, scene_make, scene_drop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(test_a_signed_ticket_comes_back_as_it_was),
		scene_test(test_the_documented_vector_is_accepted),
		scene_test(test_two_tickets_of_one_session_differ),
		scene_test(test_ticket_of_another_group_is_refused),
		scene_test(test_t05_a_ticket_signed_by_the_other_role_is_refused),
		scene_test(test_t05_a_ticket_of_a_stranger_is_refused),
		scene_test(test_w01_a_ticket_lives_from_its_start_to_its_end_with_30_s_leeway),
		scene_test(test_w01_every_changed_character_is_noticed),
		scene_test(test_tickets_of_another_length_are_malformed),
		scene_test(test_a_signer_refuses_what_no_verifier_would_take),
		scene_test(test_a_group_of_sixteen_bytes_needs_no_nul),
		scene_test(test_a_key_that_comes_later_is_found_within_a_second),
		scene_test(test_a_key_file_that_goes_away_takes_nothing_back),
		scene_test(test_f35_after_a_rotation_old_and_new_tickets_admit),
		scene_test(test_a_restarted_signer_keeps_its_key),
		scene_test(test_a_secret_derived_of_a_seed_is_its_holders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
