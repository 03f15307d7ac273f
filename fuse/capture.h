/* SPDX-License-Identifier: MIT */
/* Catches what a program that is run writes to standard error: fusermount3 says there what is wrong. */
#ifndef FUSE_CAPTURE_H
#define FUSE_CAPTURE_H

#include <stddef.h>

struct capture {
	int real;  /* standard error, or -1 when nothing is caught */
	int taken; /* in its place */
};

void capture_begin(struct capture *capture);

/* The first line that was caught, without fusermount3's name; "" when there is none. It lies in @buffer. */
const char *capture_end(struct capture *capture, char *buffer, size_t size);

#endif
