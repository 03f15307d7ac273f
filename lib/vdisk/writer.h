/* SPDX-License-Identifier: MIT */
/* What a disk that is open for writing has beside what reading needs, and the gate before its first change. */
#ifndef VHDX_VDISK_WRITER_H
#define VHDX_VDISK_WRITER_H

#include "meta/journal.h"
#include "meta/patch.h"
#include "vdisk/disk.h"
#include "vdisk/space.h"

/* What a session is about to change, and so which GUIDs must change before (F 2.3). */
enum gate {
	GATE_CLOSED,
	GATE_METADATA, /* nothing that a guest could see */
	GATE_DATA,
};

struct writer {
	_Atomic(enum gate) passed;
	pthread_mutex_t lock; /* of the gate: the outermost */
	bool was_started;     /* the journal's log may be on storage */
	/* The DataWriteGuid that the next GATE_DATA sets; zero: a random one. */
	struct vhdx_guid given_data_write;
	struct journal journal;
	struct patch_areas areas;
	struct space space;
	pthread_mutex_t new_bitmap; /* held while a chunk gets its bitmap block */
};

/* For a disk that was opened with VHDX_OPEN_WRITE, once all else is done. -ENOMEM. */
int vhdx_writer_make(struct vhdx *disk);

/*
 * Ends a session: the log is emptied, the file cut to what it needs. Returns why it could not; then the
 * next open replays the log. Nothing on a disk without a writer. The caller is alone.
 */
int vhdx_writer_stop(struct vhdx *disk);

/* Frees the writer, in whatever state. The pages of the disk are still there. */
void vhdx_writer_free(struct vhdx *disk);

/* Has the gate been passed, and may still be written? */
static inline bool gate_is_open(const struct writer *writer, enum gate gate)
{
	return atomic_load_explicit(&writer->passed, memory_order_acquire) >= gate &&
	       !atomic_load_explicit(&writer->journal.failed, memory_order_acquire);
}

/*
 * Called before any change, holding no lock: once a session it maps the file's space, which proves that
 * no two structures overlap, and starts the journal. -EROFS; -EUCLEAN until repair; the failure that
 * ended writing; or -ENOSPC, -ENOMEM or as the storage fails, and the next call tries again.
 */
int vhdx_gate_pass(struct vhdx *disk, enum gate gate);

#endif
