/*
 * leg_tell: what the owner is told of a connection: its state, and why it is gone. With memory that
 * was had before, so that it cannot fail. On the leg's thread.
 */
#include "leg/leg_thread.h"

#include <string.h>

void
leg_tell_state(struct leg_thread *thread, enum leg_state state)
{
	for (size_t i = 0; i < LEG_SPARES; i++) {
		struct leg_message *message = thread->spares[i];
		if (message == NULL)
			continue;
		thread->spares[i] = NULL;
		message->state = (int)state;
		message->code = thread->code;
		message->n = strlen(thread->reason) + 1;
		memcpy(message->payload, thread->reason, message->n);
		char *url = (char *)message->payload + message->n;
		*url = '\0';
		if (state != LEG_DOWN)
			leg_url_format(&thread->used.url, url);
		leg_thread_tell(thread, message);
		return;
	}
}

bool
leg_tell_prepare(struct leg_thread *thread)
{
	for (size_t i = 0; i < LEG_SPARES; i++)
		if (thread->spares[i] == NULL) {
			thread->spares[i] = leg_message_new(LEG_MESSAGE_STATE,
							    LEG_REASON_BYTES + LEG_URL_TEXT_BYTES);
			if (thread->spares[i] == NULL)
				return false;
		}
	return true;
}

void
leg_tell_reason(struct leg_thread *thread, int code, const char *text)
{
	leg_tell_foreign_reason(thread, code, text, strlen(text));
}

void
leg_tell_foreign_reason(struct leg_thread *thread, int code, const char *text, size_t n)
{
	if (thread->code == 0)
		thread->code = code;
	if (thread->reason[0] != '\0')
		return;
	if (n >= sizeof thread->reason)
		n = sizeof thread->reason - 1;
	for (size_t i = 0; i < n; i++)
		thread->reason[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	thread->reason[n] = '\0';
}
