/*
 * http_error: what a failed request is called towards people: what failed, where, and what to do.
 */
#include "net/http_inside.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "host:port" of the request, without path, query or user: those are nobody's business in a log. */
static void
write_place(const struct http_exchange *x, char *out, size_t capacity)
{
	CURLU *parts = curl_url();
	char *url = NULL, *host = NULL, *port = NULL;

	snprintf(out, capacity, "the server");
	curl_easy_getinfo(x->easy, CURLINFO_EFFECTIVE_URL, &url);
	if (parts && url && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
	    curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
		snprintf(out, capacity, "%s:%s", host, port);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
}

static const char *
connect_reason(const struct http_exchange *x)
{
	long error = 0;

	curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &error);
	switch (error) {
	case ECONNREFUSED:
		return "refused the connection: is the server running, and is the port right?";
	case ENETUNREACH:
	case EHOSTUNREACH:
		return "cannot be reached: is this machine online?";
	case EPERM:
	case EACCES:
		return "may not be reached from here: a firewall of this machine forbids it";
	default:
		return "cannot be connected to: check the URL, and that this machine is online";
	}
}

static const char *
certificate_reason(const struct http_exchange *x)
{
	long verify = X509_V_OK;

	curl_easy_getinfo(x->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	switch (verify) {
	/* curl compares the names itself, before it asks OpenSSL for a result. */
	case X509_V_OK:
	case X509_V_ERR_UNSPECIFIED:
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return "is for another name: use the name that stands in the certificate";
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return "has expired: its operator must renew it, or this machine's clock is wrong";
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return "is not valid yet: is this machine's clock right?";
	default:
		return "is not trusted: give the authority that signed it with --ca (ca_file in "
		       "the configuration)";
	}
}

static void
write_by_code(const struct http_exchange *x, CURLcode code, const char *place, char *out)
{
	const size_t n = HTTP_ERROR_BYTES;

	/* An int: curl has a hundred of them, and a switch over the enum would have to name all. */
	switch ((int)code) {
	case CURLE_COULDNT_RESOLVE_HOST:
		snprintf(out, n,
			 "the name in %s cannot be resolved: check the URL and this "
			 "machine's DNS",
			 place);
		return;
	case CURLE_COULDNT_RESOLVE_PROXY:
		snprintf(out, n,
			 "the proxy's name cannot be resolved: check https_proxy in the "
			 "environment");
		return;
	case CURLE_COULDNT_CONNECT:
		snprintf(out, n, "%s %s", place, connect_reason(x));
		return;
	case CURLE_OPERATION_TIMEDOUT:
		snprintf(out, n, "%s did not answer within %u s: try again, or check the network",
			 place, (unsigned)((x->timeout_ms + 999) / 1000));
		return;
	case CURLE_PEER_FAILED_VERIFICATION:
		snprintf(out, n, "the certificate of %s %s", place, certificate_reason(x));
		return;
	case CURLE_SSL_CACERT_BADFILE:
		snprintf(out, n,
			 "the file of trusted certificates (--ca, ca_file) cannot be used: "
			 "%s",
			 x->client->ca_file ? x->client->ca_file : "the system's");
		return;
	case CURLE_SSL_CONNECT_ERROR:
		snprintf(out, n, "no TLS with %s: is it an https server? (%.150s)", place,
			 x->detail);
		return;
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		snprintf(out, n, "%s closed the connection in the middle of an answer: try again",
			 place);
		return;
	default:
		snprintf(out, n, "the request to %s failed: %.150s", place,
			 x->detail[0] ? x->detail : curl_easy_strerror(code));
		return;
	}
}

void
http_error_write(const struct http_exchange *exchange, CURLcode code, long status,
		 char ret_text[HTTP_ERROR_BYTES])
{
	char place[300];

	ret_text[0] = '\0';
	write_place(exchange, place, sizeof(place));
	if (code == CURLE_OK) {
		if (status >= 300 && status < 400)
			snprintf(ret_text, HTTP_ERROR_BYTES,
				 "%s answered with a redirect, which is not followed: give the URL "
				 "it points to",
				 place);
		return;
	}
	if (exchange->is_refused_plain)
		snprintf(ret_text, HTTP_ERROR_BYTES,
			 "%s is another machine, and http:// would show it everything in the "
			 "clear: use https://",
			 place);
	else if (exchange->is_too_large || code == CURLE_FILESIZE_EXCEEDED)
		snprintf(ret_text, HTTP_ERROR_BYTES,
			 "the answer of %s is larger than 1 MiB: is it the right server?", place);
	else
		write_by_code(exchange, code, place, ret_text);
}
