/*
 * leg_resume: OpenSSL tells of each session it is given; it is asked for one when a handshake
 * begins. A session is used once (RFC 8446, C.4): the next one comes with the handshake.
 */
#include "leg/leg_resume.h"

#include <pthread.h>
#include <string.h>

static int data_index;

static void
make_index(void)
{
	data_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct leg_sessions *
sessions_of(const SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), data_index);
}

static struct leg_session *
find(struct leg_sessions *sessions)
{
	for (size_t i = 0; sessions->authority != NULL && i < LEG_SESSIONS_MAX; i++)
		if (strcmp(sessions->kept[i].authority, sessions->authority) == 0)
			return &sessions->kept[i];
	return NULL;
}

static int
on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct leg_sessions *sessions = sessions_of(ssl);
	struct leg_session *kept = find(sessions);

	if (sessions->authority == NULL || strlen(sessions->authority) >= sizeof kept->authority)
		return 0;
	if (kept == NULL) {
		kept = &sessions->kept[sessions->next++ % LEG_SESSIONS_MAX];
		strcpy(kept->authority, sessions->authority);
	}
	SSL_SESSION_free(kept->session);
	/* A copy: OpenSSL spoils its own when the connection is lost, which is what this is for. */
	kept->session = SSL_SESSION_dup(session);
	return 0;
}

static void
on_info(const SSL *ssl, int where, int value)
{
	(void)value;
	if ((where & SSL_CB_HANDSHAKE_START) == 0 || SSL_is_init_finished(ssl))
		return;
	struct leg_session *kept = find(sessions_of(ssl));
	if (kept == NULL || kept->session == NULL)
		return;
	SSL_set_session((SSL *)(uintptr_t)ssl, kept->session);
	SSL_SESSION_free(kept->session);
	kept->session = NULL;
}

void
leg_sessions_watch(struct leg_sessions *sessions, SSL_CTX *context)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_index);
	SSL_CTX_set_ex_data(context, data_index, sessions);
	SSL_CTX_set_session_cache_mode(context,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(context, on_new_session);
	SSL_CTX_set_info_callback(context, on_info);
}

void
leg_sessions_fini(struct leg_sessions *sessions)
{
	for (size_t i = 0; i < LEG_SESSIONS_MAX; i++)
		SSL_SESSION_free(sessions->kept[i].session);
	memset(sessions, 0, sizeof *sessions);
}
