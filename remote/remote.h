/* SPDX-License-Identifier: MIT */
/* Storage that is reached by a name with a scheme, as a struct vhdx_io: an NBD export, a Ceph RBD image. */
#ifndef REMOTE_REMOTE_H
#define REMOTE_REMOTE_H

#include <stdbool.h>

#include <vhdx.h>

/* How long a server or cluster may be silent, in seconds, where nothing else is said. */
#define REMOTE_TIMEOUT 60

/* How many threads keep a server busy: each waits for its own requests. */
#define REMOTE_THREADS 16

enum remote_kind {
	REMOTE_NONE = 0, /* the name of a file */
	REMOTE_NBD,
	REMOTE_RBD,
};

struct remote_options {
	const char *ceph_conf; /* NULL: CEPH_CONF in the environment, else where librados looks */
	const char *ceph_id;   /* NULL: librados's default */
	unsigned timeout_s;    /* how long a server or cluster may be silent; 0: REMOTE_TIMEOUT */
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

/*
 * Is everything that is open only to be read still there? An RBD image that is removed reads as zeros, so this is asked
 * behind the last read, before what was read is taken for what it held. Any thread. Returns 0, or a negative errno with
 * @ret_error set, which says of what.
 */
int remote_check_read(struct remote_error *ret_error);

/*
 * Something new, made under another name until it is whole: so far an RBD image. remote_target_finish or
 * remote_target_abandon ends it.
 */
struct remote_target;

/*
 * Begins the target that @name means: ret_io is empty storage that grows, and is not closed. With @replace one
 * that is there is replaced in the end, else it is refused with -EEXIST; -EBUSY when somebody uses it, or makes
 * it now. Returns 0, or a negative errno with @ret_error set.
 */
int remote_target_begin(const char *name, bool replace, const struct remote_options *options,
			struct remote_target **ret_target, struct vhdx_io *ret_io,
			struct remote_error *ret_error);

/* Leaves a note in what is being made, which stays with it. */
int remote_target_set_note(struct remote_target *target, const char *key, const char *value,
			   struct remote_error *ret_error);

/* Gives what was made and flushed its name. The target is gone, and after a failure what was made too. */
int remote_target_finish(struct remote_target *target, struct remote_error *ret_error);

/* Removes what is half made, where the storage answers. NULL is allowed. */
void remote_target_abandon(struct remote_target *target);

/*
 * Where a target that was given up, and could not be removed, is left, in words; empty: there is none.
 * remote_say_left puts it behind an error's text.
 */
const char *remote_left(void);
void remote_say_left(struct remote_error *error);

/*
 * Reads the note @key of what @name means into @buf. -ENOENT: there is no such note, or nothing that could have one; -ERANGE:
 * it has no room in @size bytes with its ending zero.
 */
int remote_get_note(const char *name, const char *key, const struct remote_options *options,
		    char *buf, size_t size, struct remote_error *ret_error);

/* Was a request given up that may still hang? Then the process must end without waiting for its threads. */
bool remote_hangs(void);

/* The seconds without an answer after which a request was given up last; 0: none was. */
unsigned remote_silence(void);

#endif
