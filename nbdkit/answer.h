/* SPDX-License-Identifier: MIT */
/* What of the library's failures goes to nbdkit's log, and what to the client. */
#ifndef NBDKIT_ANSWER_H
#define NBDKIT_ANSWER_H

/* Logs this thread's last failure, whose errno is -@ret, and sets what the client is told. Returns -1. */
int answer_failure(int ret);

/* The same, of what the library does not know. */
int answer_error(const char *file, const char *text, int ret);

/* What a function of the plugin returns after a call of the library that returned @ret. */
static inline int answer(int ret)
{
	return ret ? answer_failure(ret) : 0;
}

/* Logs a warning. Fits struct vhdx_open_options; @opaque is not used. */
void answer_warning(void *opaque, const char *file, const char *text);

#endif
