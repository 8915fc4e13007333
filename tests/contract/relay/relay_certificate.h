/*
 * relay_certificate: what a relay of a test shows for 127.0.0.1: a key of its own, signed by
 * itself.
 */
#pragma once

/* Writes both as PEM; fails the test when it cannot. */
void relay_certificate_write(const char *certificate_path, const char *key_path);
