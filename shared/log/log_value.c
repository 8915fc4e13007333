/*
 * log_value: see log_value.h. The format is walked here rather than by vsnprintf, because only so
 * is it known where a value begins and ends.
 */
#include "log/log_value.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void
add_bytes(struct log_text *text, const char *bytes, size_t n)
{
	size_t room = sizeof(text->bytes) - 1 - text->n;

	if (n > room)
		n = room;
	memcpy(text->bytes + text->n, bytes, n);
	text->n += n;
	text->bytes[text->n] = '\0';
}

void
log_text_add(struct log_text *text, const char *literal)
{
	add_bytes(text, literal, strlen(literal));
}

static bool
is_continuation(const char *bytes, size_t n, size_t i)
{
	return i < n && ((unsigned char)bytes[i] & 0xc0) == 0x80;
}

/* Length of the valid UTF-8 sequence at the start of bytes, 0 when there is none. RFC 3629. */
static size_t
utf8_length(const char *bytes, size_t n)
{
	unsigned char a = (unsigned char)bytes[0];
	unsigned char b = n > 1 ? (unsigned char)bytes[1] : 0;

	if (a < 0x80)
		return 1;
	if (a < 0xc2 || !is_continuation(bytes, n, 1))
		return 0;
	if (a < 0xe0)
		return b < 0xa0 && a == 0xc2 ? 0 : 2; /* U+0080..9F are controls too */
	if (!is_continuation(bytes, n, 2) || (a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f))
		return 0;
	if (a < 0xf0)
		return 3;
	if (!is_continuation(bytes, n, 3) || a > 0xf4 || (a == 0xf0 && b < 0x90) ||
	    (a == 0xf4 && b > 0x8f))
		return 0;
	return 4;
}

/* Adds the next character of value, escaped. Returns how many bytes of value it took. */
static size_t
add_escaped(struct log_text *text, const char *value, size_t n)
{
	unsigned char c = (unsigned char)value[0];
	size_t length = utf8_length(value, n);
	char hex[8];

	if (length == 0 || c < 0x20 || c == 0x7f) {
		snprintf(hex, sizeof(hex), "\\x%02x", c);
		log_text_add(text, hex);
		return 1;
	}
	if (c == '"' || c == '\\')
		log_text_add(text, "\\");
	add_bytes(text, value, length);
	return length;
}

static bool
needs_quotes(const char *value, size_t n)
{
	return n == 0 || memchr(value, ' ', n) || memchr(value, '=', n) || memchr(value, '"', n);
}

/* One value of at most n bytes, escaped and cut; in quotes when it has a space, '=' or is empty. */
static void
add_value(struct log_text *text, const char *value, size_t n)
{
	bool in_quotes = text->n > 0 && text->bytes[text->n - 1] == '"';
	bool quote = !in_quotes && needs_quotes(value, n);
	size_t start = text->n;
	size_t i = 0;

	if (quote)
		log_text_add(text, "\"");
	while (i < n && text->n - start < LOG_VALUE_MAX_BYTES)
		i += add_escaped(text, value + i, n - i);
	if (i < n)
		log_text_add(text, "...");
	if (quote)
		log_text_add(text, "\"");
}

/* One conversion of the format: %[flags][width][.precision][length]letter. */
struct conversion {
	bool zero;
	int width;
	int precision; /* -1: none */
	int longs;     /* -2 hh, -1 h, 0, 1 l, 2 ll j z t */
	char letter;
};

static const char *
parse_number(const char *p, va_list *args, int *ret)
{
	if (*p == '*') {
		*ret = va_arg(*args, int);
		return p + 1;
	}
	for (*ret = 0; *p >= '0' && *p <= '9' && *ret < 1000; p++)
		*ret = *ret * 10 + (*p - '0');
	return p;
}

static const char *
parse_conversion(const char *p, va_list *args, struct conversion *ret)
{
	*ret = (struct conversion){ .precision = -1 };
	for (; *p && strchr("-+ #0", *p); p++)
		ret->zero |= *p == '0';
	p = parse_number(p, args, &ret->width);
	if (*p == '.')
		p = parse_number(p + 1, args, &ret->precision);
	for (; *p && strchr("hljzt", *p); p++) {
		if (*p == 'h')
			ret->longs--;
		else
			ret->longs += *p == 'l' ? 1 : 2;
	}
	ret->letter = *p;
	return *p ? p + 1 : p;
}

static long long
take_signed(const struct conversion *c, va_list *args)
{
	if (c->longs >= 2)
		return va_arg(*args, long long);
	if (c->longs == 1)
		return va_arg(*args, long);
	return va_arg(*args, int);
}

static unsigned long long
take_unsigned(const struct conversion *c, va_list *args)
{
	if (c->longs >= 2)
		return va_arg(*args, unsigned long long);
	if (c->longs == 1)
		return va_arg(*args, unsigned long);
	if (c->longs == -1)
		return (unsigned short)va_arg(*args, unsigned);
	if (c->longs <= -2)
		return (unsigned char)va_arg(*args, unsigned);
	return va_arg(*args, unsigned);
}

static void
add_unsigned(struct log_text *text, const struct conversion *c, unsigned long long value)
{
	char digits[64];
	int width = c->width > 32 ? 32 : c->width;

	if (c->letter == 'u')
		snprintf(digits, sizeof(digits), c->zero ? "%0*llu" : "%*llu", width, value);
	else if (c->letter == 'o')
		snprintf(digits, sizeof(digits), c->zero ? "%0*llo" : "%*llo", width, value);
	else if (c->letter == 'X')
		snprintf(digits, sizeof(digits), c->zero ? "%0*llX" : "%*llX", width, value);
	else
		snprintf(digits, sizeof(digits), c->zero ? "%0*llx" : "%*llx", width, value);
	log_text_add(text, digits);
}

static void
add_string(struct log_text *text, const struct conversion *c, const char *value)
{
	if (!value)
		value = "-";
	add_value(text, value,
		  c->precision >= 0 ? strnlen(value, (size_t)c->precision) : strlen(value));
}

static void
add_double(struct log_text *text, const struct conversion *c, double value)
{
	char digits[400];
	int precision = c->precision >= 0 && c->precision < 20 ? c->precision : 6;

	if (c->letter == 'f' || c->letter == 'F')
		snprintf(digits, sizeof(digits), "%.*f", precision, value);
	else if (c->letter == 'e' || c->letter == 'E')
		snprintf(digits, sizeof(digits), "%.*e", precision, value);
	else
		snprintf(digits, sizeof(digits), "%.*g", precision, value);
	log_text_add(text, digits);
}

/* False when the letter is none we know: then the arguments can no longer be told apart. */
static bool
add_conversion(struct log_text *text, const struct conversion *c, int saved_errno, va_list *args)
{
	char small[32];

	switch (c->letter) {
	case 'd':
	case 'i':
		snprintf(small, sizeof(small), "%lld", take_signed(c, args));
		log_text_add(text, small);
		return true;
	case 'u':
	case 'x':
	case 'X':
	case 'o':
		add_unsigned(text, c, take_unsigned(c, args));
		return true;
	case 'c':
		small[0] = (char)va_arg(*args, int);
		add_value(text, small, 1);
		return true;
	case 's':
		add_string(text, c, va_arg(*args, const char *));
		return true;
	case 'm':
		add_string(text, c, strerrordesc_np(saved_errno));
		return true;
	case 'p':
		snprintf(small, sizeof(small), "%p", va_arg(*args, void *));
		log_text_add(text, small);
		return true;
	case 'f':
	case 'F':
	case 'e':
	case 'E':
	case 'g':
	case 'G':
		add_double(text, c, va_arg(*args, double));
		return true;
	case '%':
		log_text_add(text, "%");
		return true;
	default:
		return false;
	}
}

void
log_text_add_format(struct log_text *text, const char *format, va_list args)
{
	int saved_errno = errno;
	struct conversion conversion;
	bool ok = true;
	va_list copy;

	va_copy(copy, args);
	for (const char *p = format; ok && *p;) {
		if (*p != '%') {
			size_t n = strcspn(p, "%");
			add_bytes(text, p, n);
			p += n;
			continue;
		}
		p = parse_conversion(p + 1, &copy, &conversion);
		ok = add_conversion(text, &conversion, saved_errno, &copy);
	}
	va_end(copy);
}
