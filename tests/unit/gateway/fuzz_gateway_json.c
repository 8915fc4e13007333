/*
 * Any bytes as the body of any request: read, written and read again without harm. The first byte
 * chooses the endpoint.
 */
#include "gateway/gateway_endpoints.h"
#include "json/json_message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	unsigned int index;
	char field[JSON_FIELD_BYTES];
	ProtobufCMessage *message = NULL, *again = NULL;
	if (n == 0)
		return 0;
	const ProtobufCMethodDescriptor *rpc =
		gateway_endpoint_rpc(&gateway_endpoints[data[0] % gateway_endpoints_n], &index);
	if (rpc == NULL)
		return 0;
	unsigned int flags = (data[0] & 0x80) != 0 ? JSON_MESSAGE_INTERNAL : 0;
	if (json_message_read(rpc->input, (const char *)data + 1, n - 1, flags, &message, field) <
	    0)
		return 0;
	struct json_text text = { 0 };
	json_message_write(&text, message, flags);
	/* What we write ourselves must be readable, numbers beyond JSON's integers excepted. */
	if (json_message_read(rpc->input, text.bytes, text.n, flags, &again, field) < 0)
		abort();
	protobuf_c_message_free_unpacked(again, NULL);
	protobuf_c_message_free_unpacked(message, NULL);
	json_text_fini(&text);
	return 0;
}
