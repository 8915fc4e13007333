/*
 * client_qr: libqrencode makes the modules, two rows of which fit a line of text.
 */
#include "client/client_qr.h"

#include <errno.h>
#include <qrencode.h>

enum { QUIET_MODULES = 2 };

static bool
is_dark(const QRcode *code, int x, int y)
{
	if (x < 0 || y < 0 || x >= code->width || y >= code->width)
		return false;
	return code->data[y * code->width + x] & 1;
}

static void
print_blocks(FILE *to, const QRcode *code)
{
	static const char *const blocks[] = { "\u2588", "\u2580", "\u2584", " " };
	int end = code->width + QUIET_MODULES;

	for (int y = -QUIET_MODULES; y < end; y += 2) {
		for (int x = -QUIET_MODULES; x < end; x++)
			fputs(blocks[(is_dark(code, x, y) ? 2 : 0) |
				     (is_dark(code, x, y + 1) ? 1 : 0)],
			      to);
		fputc('\n', to);
	}
}

static void
print_ascii(FILE *to, const QRcode *code)
{
	int end = code->width + QUIET_MODULES;

	for (int y = -QUIET_MODULES; y < end; y++) {
		for (int x = -QUIET_MODULES; x < end; x++)
			fputs(is_dark(code, x, y) ? "  " : "##", to);
		fputc('\n', to);
	}
}

int
client_qr_print(FILE *to, const char *text, bool in_blocks)
{
	QRcode *code = QRcode_encodeString8bit(text, 0, QR_ECLEVEL_L);

	if (code == NULL)
		return errno == ERANGE ? -E2BIG : -ENOMEM;
	if (in_blocks)
		print_blocks(to, code);
	else
		print_ascii(to, code);
	QRcode_free(code);
	return 0;
}
