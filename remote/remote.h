/* SPDX-License-Identifier: MIT */
/* Storage that is reached by a name with a scheme, as a struct vhdx_io: an NBD export. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include <stdbool.h>

#include <vhdx.h>

/* How long a server may be silent, in seconds, where nothing else is said. */
#define REMOTE_TIMEOUT 60

/* How many threads keep a server busy: each waits for its own requests. */
#define REMOTE_THREADS 16

enum remote_kind {
	REMOTE_NONE = 0, /* the name of a file */
	REMOTE_NBD,
};

struct remote_options {
	unsigned timeout_s; /* how long a server may be silent; 0: REMOTE_TIMEOUT */
	int (*stopped)(
		void); /* does the user want an end? Then requests fail with -ECANCELED; may be NULL */
};

/* What went wrong: one line, without the name. */
struct remote_error {
	char text[512];
};

/* Says what @error is, printf's way, and returns -@errnum. */
int remote_fail(struct remote_error *ret_error, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* What kind of storage @name means, by its scheme. */
enum remote_kind remote_kind(const char *name);

/*
 * Opens what @name means, for writing too if @writing is set; @options may be NULL. Returns 0, or a negative
 * errno with @ret_error set. ret_io->close ends it.
 */
int remote_open(const char *name, bool writing, const struct remote_options *options,
		struct vhdx_io *ret_io, struct remote_error *ret_error);

#endif
