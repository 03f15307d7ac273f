/* SPDX-License-Identifier: MIT */
/* The disk that a script works on, the scripts' numbers, and the one line that says why something failed. */
#ifndef TESTS_TOOLS_SESSION_H
#define TESTS_TOOLS_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include <vhdx.h>

#include "tools/counting.h"

struct session {
	const char *path;
	struct vhdx_open_options options;
	unsigned threads; /* of `random` and `verify` */
	bool counted;	  /* count the calls that reach the file */
	struct counts counts;
	struct vhdx *disk; /* NULL when closed */
	int errnum;	   /* of the last call of the library that failed, negative */
	char why[1024];	   /* why the last command failed */
};

/* Both return 0, or -1 with the reason in @session. */
int session_open(struct session *session);
int session_close(struct session *session);

/* Record why a command fails: in words, or as the library's error of a call that returned @errnum. Return -1. */
int refuse(struct session *session, const char *format, ...) __attribute__((format(printf, 2, 3)));
int library_failed(struct session *session, int errnum);

/* Reads a number, decimal or 0x..., with a suffix K, M, G or T (powers of 1024) or none. */
bool parse_number(const char *text, uint64_t *ret_number);

/*
 * Runs one command, of @count words, the first of which is its name; one that is about a closed disk is
 * refused. Returns 0, or -1 with the reason in @session.
 */
int run_command(struct session *session, char **words, int count);

/* The commands `random` and `verify`: words SEED COUNT MAXLEN RANGE [flush N]. */
int run_random(struct session *session, char **words, int count);
int run_verify(struct session *session, char **words, int count);

#endif
