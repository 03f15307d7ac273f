/* SPDX-License-Identifier: MIT */
/*
 * libvhdx: VHDX virtual disks (Hyper-V, Windows, Azure, WSL2), differencing chains included.
 *
 * Conventions, for every call unless its own text says otherwise:
 *
 *  - A call returns 0 or a negative errno. On failure vhdx_last_error() tells, for this thread, what
 *    was found, where, and what was expected; the library itself prints nothing. Outputs are named
 *    ret_x, come last, and are untouched on failure.
 *  - Option structs begin with their size; set it to sizeof(struct ...) and zero the rest. Zero means
 *    the default, and an unknown bit in a flags field is refused with -EINVAL.
 *  - Offsets and lengths are in bytes. "F n" names a section of docs/FORMAT.md, after [MS-VHDX].
 *  - A disk may be read, written, zeroed, trimmed and flushed from any number of threads at once.
 *    Opening, closing, checking, dumping and asking for the parent of one struct vhdx need it alone;
 *    different disks are independent.
 *  - Nothing that is opened for reading is ever written, and nothing but regular files is opened as a
 *    parent; parents are written only where write_parents of struct vhdx_open_options asks for it.
 */
#ifndef VHDX_H
#define VHDX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define VHDX_API __attribute__((visibility("default")))

/** An open virtual disk: one file and, for a differencing disk, the chain of its parents. */
struct vhdx;

/** The library's version, "major.minor.patch". */
VHDX_API const char *vhdx_version(void);

/* ---- GUIDs (F 10.2) ---- */

/** A GUID in the byte order of the disk. */
struct vhdx_guid {
	uint8_t bytes[16];
};

/** Room for the text of a GUID and its terminating NUL. */
#define VHDX_GUID_TEXT_SIZE 37

/** Writes @guid as 36 lowercase characters without braces. Returns @ret_text. */
VHDX_API char *vhdx_guid_text(const struct vhdx_guid *guid, char ret_text[VHDX_GUID_TEXT_SIZE]);

/* ---- Errors, problems, findings ---- */

/** Stands for an offset in a file or disk that is not known or does not apply. */
#define VHDX_NO_OFFSET UINT64_MAX

/** The last failure of a call in this thread. */
struct vhdx_error {
	int errnum; /**< what the call returned, a negative errno; 0 when nothing failed yet */
	unsigned problem; /**< number of the problem (vhdx_get_problem), 0 when none applies */
	const char *file; /**< the file concerned, "" when there is none */
	uint64_t offset;  /**< where in that file, or VHDX_NO_OFFSET */
	const char *text; /**< one line: what was found, what was expected; without the file */
};

/**
 * This thread's last failure. Never NULL; valid until the thread's next failing call.
 *
 * Errnos used throughout: EUCLEAN, the image breaks the format; ENOTSUP, it needs something unknown
 * here; EINVAL, an argument is out of range; ENOMEM; EAGAIN, another process holds the file's lock;
 * ECANCELED, a progress callback asked to stop; and whatever the storage returned.
 */
VHDX_API const struct vhdx_error *vhdx_last_error(void);

/** How much a problem matters. */
enum vhdx_severity {
	VHDX_NOTE = 0,	  /**< allowed, or harmless to every reader */
	VHDX_WINDOWS = 1, /**< allowed, but Windows is known to refuse it */
	VHDX_LEAK = 2,	  /**< file space that nothing refers to */
	VHDX_DAMAGE = 3,  /**< breaks the format; the disk can still be opened and read */
	VHDX_LOCKED = 4,  /**< as VHDX_DAMAGE, and nothing may be written before repair */
	VHDX_FATAL = 5,	  /**< the disk cannot be opened: -EUCLEAN */
	VHDX_FOREIGN = 6, /**< not an image, or one that needs something unknown: -ENOTSUP */
};

/** What a problem means for the guest: which part of the disk it costs. */
enum vhdx_loss {
	VHDX_LOSS_NONE = 0,  /**< nothing */
	VHDX_LOSS_DOUBT = 1, /**< the finding's part of the disk can be read, and may be wrong */
	VHDX_LOSS_PART = 2, /**< the finding's part of the disk cannot be read, or reads as zeros */
	VHDX_LOSS_DISK = 3, /**< none of the disk can be read while the problem is there */
};

/** Whether vhdx_repair mends a problem. */
enum vhdx_mended {
	VHDX_MENDED_NEVER = 0,	/**< something else is needed, or nothing is wrong */
	VHDX_MENDED_ALWAYS = 1, /**< it does, on an image without problems that it cannot mend */
	VHDX_MENDED_MAYBE = 2,	/**< it depends on what else is left of the image */
	VHDX_MENDED_DISCARD_LOG =
		3, /**< only with VHDX_REPAIR_DISCARD_LOG, for it may lose changes */
};

/** A row of the table of everything that can be wrong with an image. */
struct vhdx_problem {
	unsigned number;  /**< stable for ever */
	const char *name; /**< stable for ever, "HEADER_CHECKSUM" */
	enum vhdx_severity severity;
	enum vhdx_loss loss;
	enum vhdx_mended mended;
	const char *section; /**< of docs/FORMAT.md */
	const char *text;    /**< what the problem is, in general */
	/** What repair does; for VHDX_MENDED_NEVER what is needed instead, "" when nothing is. */
	const char *mend;
};

/** The problem of that @number, or NULL. */
VHDX_API const struct vhdx_problem *vhdx_get_problem(unsigned number);

/** Row @index of the table of problems, in the order of their numbers, or NULL past its end. */
VHDX_API const struct vhdx_problem *vhdx_problem_at(size_t index);

/** One fault found in one image. Pointers are valid during the callback. */
struct vhdx_finding {
	size_t size;
	const struct vhdx_problem *problem;
	const char *file;
	uint64_t offset;       /**< in the file, or VHDX_NO_OFFSET */
	const char *text;      /**< one line: what was found and what was expected */
	uint64_t guest_offset; /**< the part of the disk that is affected ... */
	uint64_t guest_length; /**< ... 0 when none, or when it cannot be told */
	uint64_t
		loss_bytes; /**< of that part, those that problem->loss is said of; in pieces, if fewer */
};

/** Receives findings one at a time, from the calling thread. */
typedef void vhdx_finding_fn(void *opaque, const struct vhdx_finding *finding);

/**
 * Receives progress from one thread at a time: @done of @total, in units of the operation, @done
 * never falling; @total is 0 where the end is not in sight. vhdx_convert tells @done equal to @total
 * when all of the source is read, and what is made has no name yet. Another value than 0 asks the operation
 * to stop: it returns -ECANCELED, and leaves what it was making as if it had not been called.
 */
typedef int vhdx_progress_fn(void *opaque, uint64_t done, uint64_t total);

/* ---- Storage ---- */

/**
 * Where the bytes of a file live. The library reaches storage through this table only. Functions
 * return 0, or a count where stated, or a negative errno; all but close may be called from several
 * threads at once. Optional members may be NULL. Members beyond @size are taken as NULL.
 */
struct vhdx_io {
	size_t size;
	void *opaque; /**< passed to every function */

	/** Reads at @offset; returns the bytes read, fewer than asked only at the end. */
	ssize_t (*preadv)(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset);
	/** Writes at @offset, extending the storage; returns the bytes written. NULL: read-only. */
	ssize_t (*pwritev)(void *opaque, const struct iovec *iov, int iovcnt, uint64_t offset);
	/**
	 * Makes every completed write, size change, punch and zero durable. One at a time, unless
	 * parallel_flushes says otherwise. NULL: nothing to do.
	 */
	int (*flush)(void *opaque);
	int (*get_size)(void *opaque, uint64_t *ret_size);
	/** Cuts or grows; growth reads as zeros. NULL: the size is fixed. */
	int (*set_size)(void *opaque, uint64_t size);

	/** Optional. Releases a range's space; it reads as zeros afterwards. */
	int (*punch)(void *opaque, uint64_t offset, uint64_t length);
	/** Optional. Makes a range read as zeros without releasing its space. */
	int (*zero)(void *opaque, uint64_t offset, uint64_t length);
	/** Optional. Makes sure that writes to a range cannot fail for want of space; contents stay. */
	int (*reserve)(void *opaque, uint64_t offset, uint64_t length);
	/**
	 * Optional. The first range at or after @offset that may hold anything but zeros: where it
	 * begins and ends (exclusive). -ENXIO when there is none up to the end.
	 */
	int (*next_data)(void *opaque, uint64_t offset, uint64_t *ret_start, uint64_t *ret_end);
	/** Optional. Locks for reading (others may read too) or writing (alone); -EAGAIN when taken. */
	int (*lock)(void *opaque, int exclusive);
	/**
	 * Optional. Shares a range of @source's blocks with this storage. -EOPNOTSUPP or -EXDEV when the two
	 * never can, -EINVAL when this range cannot be; what the range then holds is the old or the new.
	 */
	int (*clone)(void *opaque, uint64_t offset, const struct vhdx_io *source,
		     uint64_t source_offset, uint64_t length);
	/** Optional. Called once, last. */
	void (*close)(void *opaque);
	/**
	 * Optional. How many flushes may run at once, if each of them fails when a write that was completed
	 * before its call is lost, whatever the others were told; 0 and 1: one at a time.
	 */
	unsigned parallel_flushes;
	/** Optional. Aligned pieces of this size, a power of two, cost least when all is copied; 0: any do. */
	uint64_t best_transfer;
	/**
	 * Optional, both or none. Gives memory, aligned to 4096 bytes, between which and the storage nothing need be
	 * copied; and takes it back, when no call uses it. NULL: there is none. Any thread.
	 */
	void *(*get_buffer)(void *opaque, size_t size);
	void (*put_buffer)(void *opaque, void *buf, size_t size);
};

/** vhdx_file_io: open for writing too. */
#define VHDX_FILE_WRITE 0x1u
/** vhdx_file_io: go past the page cache where the file system can. Buffers need no alignment. */
#define VHDX_FILE_DIRECT 0x2u

/**
 * Storage in a regular file or block device at @path. @flags: VHDX_FILE_*. The caller ends it with
 * ret_io->close, unless a call that takes it says otherwise. Flushes may run at once, for which it opens the
 * file up to 16 times more; after one has failed, all do.
 */
VHDX_API int vhdx_file_io(const char *path, uint32_t flags, struct vhdx_io *ret_io);

/* ---- Opening ---- */

/** Open this file alone: what is the parent's reads as zeros. */
#define VHDX_OPEN_NO_PARENT 0x1u
/** Follow the parent locator outside the child's folder and parent_dirs too. */
#define VHDX_OPEN_ANY_PARENT 0x2u
/** Take a parent whose DataWriteGuid is not the one that the child names; warns. */
#define VHDX_OPEN_IGNORE_ID_MISMATCH 0x4u
/** Take no lock: read beside a writer, at one's own risk. */
#define VHDX_OPEN_FORCE_SHARE 0x8u
/**
 * Open whatever can be read of a damaged image: nothing but a file that cannot be read at all fails.
 * vhdx_get_info, vhdx_check and vhdx_dump work as far as the image goes; reading the disk fails with
 * the image's error if there is a fatal one. A missing parent is no error either.
 */
#define VHDX_OPEN_EXAMINE 0x10u
/**
 * Open for writing too. The file is locked against every other user, QEMU's processes included; a log
 * that must be replayed is replayed to the file (F 4.4). Nothing else is written before the first
 * change of the disk. Not with EXAMINE or FORCE_SHARE.
 */
#define VHDX_OPEN_WRITE 0x20u
/** Never make the file sparse, for hosts that refuse such files: nothing is punched, growth is reserved. */
#define VHDX_OPEN_NO_HOLES 0x40u
/** Write also where the file system has no locks; the caller keeps others out. */
#define VHDX_OPEN_NO_LOCK 0x80u

struct vhdx_open_options {
	size_t size;
	uint32_t flags; /**< VHDX_OPEN_* */
	/** More folders where parents may lie; NULL-terminated, or NULL. */
	const char *const *parent_dirs;
	/** Told, during the open, of what the caller should know but what is no error; may be NULL. */
	void (*warning)(void *opaque, const char *file, const char *text);
	/**
	 * For chains on storage of the caller's own: opens the parent that a child's locator names by
	 * @key ("relative_path", ...) and @path; -ENOENT goes on to the next key. The library closes
	 * what it is given. When NULL, vhdx_open_io refuses differencing disks unless NO_PARENT is set.
	 */
	int (*open_parent)(void *opaque, const char *child, const char *key, const char *path,
			   struct vhdx_io *ret_io);
	void *opaque;	  /**< for the functions here */
	const char *name; /**< vhdx_open_io: what messages call the storage; NULL: "(storage)" */
	/** How long to wait for a lock that another process holds, in milliseconds; 0: not at all. */
	unsigned lock_wait_ms;
	/**
	 * With VHDX_OPEN_WRITE: so many parents, from the nearest on, are opened for writing too, under
	 * the same rules as the file itself; -EINVAL when there are fewer. For vhdx_commit: whoever
	 * writes to a parent by other means breaks its children.
	 */
	unsigned write_parents;
	/**
	 * For chains whose order the caller knows: opens the parent of @child, whatever the locator says of where
	 * it lies. Called once a child, the disk's own first. *ret_name is what messages call the storage, and
	 * is copied. That it is the parent that the child was made from is verified. -ENOENT: the caller knows
	 * of none, and it is looked for; another errno ends the search. The library closes what it is given.
	 */
	int (*next_parent)(void *opaque, const char *child, struct vhdx_io *ret_io,
			   const char **ret_name);
};

/**
 * Opens the virtual disk in the file at @path, and its parents (F 8), for reading, or with
 * VHDX_OPEN_WRITE for writing. A log that must be replayed is replayed in memory (F 4.4), or, of a file
 * that is opened for writing, to the file. @options may be NULL.
 *
 * Parents are looked for at the locator's relative_path, then under the last component of its other
 * paths, beside the child and in each parent_dirs. Symbolic links are resolved first, and nothing
 * outside those folders is opened without VHDX_OPEN_ANY_PARENT.
 *
 * A writable open of an image that needs repair first is refused with -EUCLEAN; of one that an image
 * beside it names as its parent it warns, for writing breaks that child.
 *
 * Fails with -EUCLEAN, -ENOTSUP, -ENOENT (a parent is missing), -EAGAIN (in use by another process), or
 * as open(2). Takes at most a few MiB of memory, whatever the disk's size.
 */
VHDX_API int vhdx_open(const char *path, const struct vhdx_open_options *options,
		       struct vhdx **ret_disk);

/**
 * As vhdx_open, on storage of the caller's own. Success takes @io over: vhdx_close closes it. After a
 * failure it is the caller's, with the lock that may have been taken.
 */
VHDX_API int vhdx_open_io(const struct vhdx_io *io, const struct vhdx_open_options *options,
			  struct vhdx **ret_disk);

/**
 * Closes the disk and its parents and frees all, whatever it returns. NULL is allowed. Disks of the chain
 * that were changed are closed cleanly, the nearest first: every change made durable, the log emptied,
 * space that the file grew by and that was not used given back. Returns the first failure (the storage's
 * errno), and the other disks are closed cleanly still; the image that failed is as after a crash: what
 * was flushed is there, and the next open replays the log.
 */
VHDX_API int vhdx_close(struct vhdx *disk);

/** 1 when the file at @path begins as VHDX images do (F 1.1), 0 when it does not; < 0: an errno. */
VHDX_API int vhdx_probe(const char *path);

/* ---- What a disk is ---- */

enum vhdx_type {
	VHDX_DYNAMIC = 0,
	VHDX_FIXED = 1,
	VHDX_DIFFERENCING = 2,
};

enum vhdx_log_state {
	VHDX_LOG_CLEAN = 0, /**< nothing to replay: LogGuid is zero */
	VHDX_LOG_EMPTY = 1, /**< not closed cleanly, but the log changes nothing */
	/** There are changes to replay; reads see them. Of a disk that was changed: until it is closed. */
	VHDX_LOG_DIRTY = 2,
	VHDX_LOG_CORRUPT =
		3, /**< LogGuid is set, and no complete sequence of entries can be found */
};

/* Which members of struct vhdx_info are known; all of them on a disk opened without EXAMINE. */
#define VHDX_KNOWN_CREATOR  0x1u
#define VHDX_KNOWN_HEADER   0x2u  /**< write GUIDs, sequence number, log_* */
#define VHDX_KNOWN_LOG	    0x4u  /**< log_state, log_entries */
#define VHDX_KNOWN_REGIONS  0x8u  /**< bat_*, metadata_* */
#define VHDX_KNOWN_GEOMETRY 0x10u /**< type, sizes, disk_id, blocks */
#define VHDX_KNOWN_LOCATOR  0x20u /**< parent_linkage and the paths; differencing disks only */

/** Strings belong to the disk and end with it; NULL when not there. */
struct vhdx_info {
	size_t size;
	uint32_t known; /**< VHDX_KNOWN_* */
	const char *path;
	uint64_t file_size;  /**< as it lies on storage, before a replay in memory */
	const char *creator; /**< F 1.1, as UTF-8 */

	unsigned current_header; /**< 1 or 2 */
	uint64_t sequence_number;
	struct vhdx_guid file_write_guid;
	struct vhdx_guid data_write_guid;
	struct vhdx_guid log_guid;
	uint64_t log_offset;
	uint64_t log_length;

	enum vhdx_log_state log_state;
	uint64_t log_entries;	   /**< in the active sequence */
	uint64_t replayed_entries; /**< that this open replayed to the file (VHDX_OPEN_WRITE) */

	uint64_t bat_offset;
	uint64_t bat_length;
	uint64_t metadata_offset;
	uint64_t metadata_length;

	enum vhdx_type type;
	uint64_t virtual_size;
	uint32_t block_size;
	uint32_t logical_sector_size;
	uint32_t physical_sector_size;
	struct vhdx_guid disk_id;
	uint64_t blocks; /**< payload blocks of the disk, present or not */

	const char *parent_linkage;
	const char *parent_linkage2;
	const char *relative_path;
	const char *volume_path;
	const char *absolute_win32_path;
};

/** What the disk is; parents have their own (vhdx_get_parent). Set ret_info->size first. */
VHDX_API int vhdx_get_info(const struct vhdx *disk, struct vhdx_info *ret_info);

/**
 * What keeps a disk opened with EXAMINE from being read: its image's first fatal fault, or that its
 * parent was not found or does not fit; NULL when there is none. Open parents have their own.
 */
VHDX_API const struct vhdx_error *vhdx_get_fault(const struct vhdx *disk);

/**
 * What refuses a writable open of the image of @disk, though it can be read: it must be repaired first;
 * NULL when nothing that is known without reading its BAT does.
 */
VHDX_API const struct vhdx_error *vhdx_get_write_fault(const struct vhdx *disk);

/** The open parent of a differencing disk, or NULL. It belongs to @disk: do not close it. */
VHDX_API struct vhdx *vhdx_get_parent(const struct vhdx *disk);

enum vhdx_candidate_state {
	VHDX_PARENT_OPENED = 0,	  /**< this is the parent */
	VHDX_PARENT_MISSING = 1,  /**< no such file */
	VHDX_PARENT_OUTSIDE = 2,  /**< outside the folders that may be opened */
	VHDX_PARENT_MISMATCH = 3, /**< an image, but not the one that the child was made from */
	VHDX_PARENT_UNUSABLE = 4, /**< not a regular file, or not an image that can be opened */
};

/** A place where the parent was looked for. */
struct vhdx_candidate {
	size_t size;
	/** Of the locator: "relative_path", "volume_path", "absolute_win32_path"; "given": by next_parent. */
	const char *key;
	const char *path; /**< on this machine */
	enum vhdx_candidate_state state;
	const char *text; /**< more on the state, "" when it says all */
};

/** Where the parent of @disk was looked for: number @index, in the order tried; -ENOENT past the end. */
VHDX_API int vhdx_get_candidate(const struct vhdx *disk, size_t index,
				struct vhdx_candidate *ret_candidate);

/* ---- Data ---- */

/**
 * Reads @count bytes at @offset of the disk, any alignment, through the chain. What no file of the
 * chain holds reads as zeros. Fails with -EINVAL past the end of the disk, -EUCLEAN at a block whose
 * BAT entry or bitmap is damaged (blocks beside it stay readable), or as the storage does; then part
 * of @buf may have been written. Thread-safe.
 */
VHDX_API int vhdx_pread(struct vhdx *disk, void *buf, size_t count, uint64_t offset);

/** As vhdx_pread, into @iovcnt buffers one after the other. */
VHDX_API int vhdx_preadv(struct vhdx *disk, const struct iovec *iov, int iovcnt, uint64_t offset);

/** On vhdx_pwrite, vhdx_zero and vhdx_trim: force unit access, as a vhdx_flush afterwards. */
#define VHDX_FUA 0x1u
/** vhdx_zero: whole blocks may give up their space in the file, and parts of blocks become holes. */
#define VHDX_ZERO_MAY_UNMAP 0x2u
/** vhdx_zero: fail with -EOPNOTSUPP rather than write zeros one by one. */
#define VHDX_ZERO_FAST 0x4u

/**
 * Writes @count bytes at @offset of the disk, any alignment. @flags: VHDX_FUA. The disk must be open
 * with VHDX_OPEN_WRITE (-EROFS). The change is durable after a later vhdx_flush; until then a crash
 * leaves of each logical sector its old or its new contents. The first change of a session gives the
 * image a new DataWriteGuid (F 2.3), by which children know their parent.
 *
 * Fails with -EINVAL past the end of the disk; -ENOSPC when the file cannot grow, which leaves the disk
 * usable and the range's contents old or new; -EUCLEAN when the image must be repaired first, or at a
 * damaged block; or as the storage does. After a failure of the storage that leaves in doubt what it
 * holds, every further change fails with that error, and reading goes on. Thread-safe; requests over
 * several blocks are not atomic.
 */
VHDX_API int vhdx_pwrite(struct vhdx *disk, const void *buf, size_t count, uint64_t offset,
			 uint32_t flags);

/** As vhdx_pwrite, from @iovcnt buffers one after the other. */
VHDX_API int vhdx_pwritev(struct vhdx *disk, const struct iovec *iov, int iovcnt, uint64_t offset,
			  uint32_t flags);

/**
 * Makes @length bytes at @offset of the disk read as zeros. @flags: VHDX_FUA, VHDX_ZERO_MAY_UNMAP,
 * VHDX_ZERO_FAST. What reads as zeros already is left alone; a fixed disk keeps every block. Durability,
 * errors and threads as vhdx_pwrite; with FAST, -EOPNOTSUPP may come after a part was done.
 */
VHDX_API int vhdx_zero(struct vhdx *disk, uint64_t offset, uint64_t length, uint32_t flags);

/**
 * The guest needs @length bytes at @offset of the disk no more: whole blocks become UNMAPPED and give up
 * their space, parts of blocks become holes where the file system can. Afterwards each sector reads as
 * zeros, or as before where nothing was to be gained (a part of a block that is the parent's). @flags:
 * VHDX_FUA. A fixed disk keeps every block. Durability, errors and threads as vhdx_pwrite.
 */
VHDX_API int vhdx_trim(struct vhdx *disk, uint64_t offset, uint64_t length, uint32_t flags);

/**
 * Makes everything durable that was written, zeroed or trimmed before the call: one flush of the file,
 * or two when recycled space or a parent's sectors are concerned (F 9.2). Calls of several threads at
 * once share their flushes. Fails as the storage does; a failed flush makes every later change fail
 * too. Does nothing on a disk that is only read. Thread-safe.
 */
VHDX_API int vhdx_flush(struct vhdx *disk);

enum vhdx_extent_type {
	VHDX_EXTENT_DATA = 0,	/**< in a file of the chain, at file_offset */
	VHDX_EXTENT_ZERO = 1,	/**< some layer says that it is zero, or holds no space for it */
	VHDX_EXTENT_ABSENT = 2, /**< no layer says anything: reads as zeros */
	VHDX_EXTENT_PARENT = 3, /**< the parent's (with VHDX_EXTENTS_THIS_LAYER) */
};

struct vhdx_extent {
	uint64_t offset; /**< of the disk */
	uint64_t length;
	uint64_t file_offset; /**< DATA: in the file of that depth; else VHDX_NO_OFFSET */
	enum vhdx_extent_type type;
	unsigned depth; /**< which layer says so: 0 this file, 1 its parent, ... */
};

/** Report what this file holds; the rest is VHDX_EXTENT_PARENT. */
#define VHDX_EXTENTS_THIS_LAYER 0x1u
/** Report ranges of present blocks that the file itself does not hold (holes) as VHDX_EXTENT_ZERO. */
#define VHDX_EXTENTS_FILE_HOLES 0x2u

/**
 * What lies where in [@offset, @offset + @length) of the disk: fills at most *@count extents, without
 * gaps from @offset on, neighbours of one kind merged, and sets *@count to their number. They end
 * before the range does when the array is full; ask again from there. @flags: VHDX_EXTENTS_*. Costs
 * time by what the BAT holds, not by the disk's size. Errors as vhdx_pread; extents before the
 * damaged block are returned first. Thread-safe.
 */
VHDX_API int vhdx_extents(struct vhdx *disk, uint64_t offset, uint64_t length, uint32_t flags,
			  struct vhdx_extent *ret_extents, size_t *count);

/* ---- Check and dump ---- */

/** vhdx_check: count the faults of the parents too, and what is wrong with the chain itself. */
#define VHDX_CHECK_CHAIN 0x1u
/** vhdx_check: count what Windows is known to refuse (F 11.4). */
#define VHDX_CHECK_WINDOWS 0x2u

/** What a check found of one problem in all. */
struct vhdx_problem_total {
	uint64_t findings; /**< with those that were not reported */
	uint64_t
		loss_bytes; /**< of the disk, that they cost; a byte counts in each of its problems */
};

struct vhdx_check_options {
	size_t size;
	uint32_t flags;		    /**< VHDX_CHECK_* */
	vhdx_finding_fn *finding;   /**< may be NULL */
	vhdx_progress_fn *progress; /**< in bytes of BAT read; may be NULL */
	void *opaque;		    /**< for both */
	/** To be added to: one for each row of the table of problems, as vhdx_problem_at counts. May be NULL. */
	struct vhdx_problem_total *totals;
	size_t total_count; /**< of @totals; problems of rows behind it are not added */
};

struct vhdx_check_result {
	size_t size;
	uint64_t notes; /**< findings that do not count */
	uint64_t leaks; /**< ranges of file space that nothing refers to and that take room ... */
	uint64_t leaked_bytes; /**< ... and their size */
	uint64_t damages;      /**< findings that do count */
	uint64_t blocks;       /**< payload blocks of the disk ... */
	uint64_t present;      /**< ... and how many of them have space in the file */
	/**
	 * What the faults cost of the disk: it cannot be read, or can be and may be wrong. Each byte is counted
	 * once. With CHAIN the images are added up, a parent's blocks that its child hides too.
	 */
	uint64_t lost_bytes;
	uint64_t doubtful_bytes;
	uint64_t lost_blocks; /**< payload blocks with lost bytes */
	/** Payload blocks whose place is all or partly behind the end of the file, as in a copy cut short ... */
	uint64_t cut_blocks;
	uint64_t cut_bytes;	 /**< ... and what of the disk lies there */
	uint64_t cut_structures; /**< the log, regions and sector bitmap blocks that lie there */
};

/**
 * Checks every rule of F 1-8 on the image of @disk, which should have been opened with EXAMINE, and
 * reports each fault found; nothing is written. All are counted; of each problem the first 1000 in
 * an image are reported. Returns 0 when the check was done, whatever it found,
 * -ECANCELED, -ENOMEM, or as the storage fails. Uses at most 48 MiB of memory.
 */
VHDX_API int vhdx_check(struct vhdx *disk, const struct vhdx_check_options *options,
			struct vhdx_check_result *ret_result);

enum vhdx_structure {
	VHDX_DUMP_HEADER = 0,	/**< identifier and both headers */
	VHDX_DUMP_REGION = 1,	/**< both region tables */
	VHDX_DUMP_METADATA = 2, /**< metadata table and items, parent locator */
	VHDX_DUMP_LOG = 3,	/**< every valid log entry, and which are active */
	VHDX_DUMP_BAT = 4,	/**< every entry that is not zero */
};

/** Receives a dump as a tree of named values. Names inside arrays are NULL. */
struct vhdx_dump_visitor {
	size_t size;
	void (*begin_object)(void *opaque, const char *name);
	void (*end_object)(void *opaque);
	void (*begin_array)(void *opaque, const char *name);
	void (*end_array)(void *opaque);
	void (*number)(void *opaque, const char *name, uint64_t value);
	/** An offset or a bit pattern: hexadecimal in text. */
	void (*offset)(void *opaque, const char *name, uint64_t value);
	void (*boolean)(void *opaque, const char *name, int value);
	void (*string)(void *opaque, const char *name, const char *value);
	void *opaque;
};

/** Shows a structure as it stands in the image, after replay in memory; damaged ones too. */
VHDX_API int vhdx_dump(struct vhdx *disk, enum vhdx_structure structure,
		       const struct vhdx_dump_visitor *visitor);

/* ---- Create ---- */

/** Replace a file that exists. */
#define VHDX_CREATE_FORCE 0x1u
/** Leave no holes in the file: every byte really has space, for hosts that refuse sparse files. */
#define VHDX_CREATE_NO_HOLES 0x2u
/** Do not wait for the file to be durable. */
#define VHDX_CREATE_NO_SYNC 0x4u

struct vhdx_create_options {
	size_t size;
	uint32_t flags; /**< VHDX_CREATE_* */
	enum vhdx_type type;
	/** Of the disk: a multiple of the logical sector size, at most 64 TiB. 0 for a child: its parent's. */
	uint64_t virtual_size;
	uint32_t block_size;	      /**< a power of two, 1 to 256 MiB; default 2 MiB */
	uint32_t log_length;	      /**< a multiple of 1 MiB; default 1 MiB */
	uint32_t logical_sector_size; /**< 512 or 4096; default 512, or the parent's */
	/** 512 or 4096, not below the logical; default 4096, or the parent's. */
	uint32_t physical_sector_size;
	/** Makes the GUIDs, and so every byte, reproducible; NULL: random. */
	const void *seed;
	size_t seed_size;    /**< in bytes */
	const char *creator; /**< F 1.1; NULL: the library's name and version */

	/** Differencing: the parent's file. Its name relative to the child goes into the locator. */
	const char *parent;
	/** Differencing: the parent's path as Windows will see it, for absolute_win32_path; may be NULL. */
	const char *windows_path;
	/** Differencing: how to open the parent and its own parents; may be NULL. */
	const struct vhdx_open_options *parent_options;
};

/**
 * Makes a new image at @path (F 9.7): dynamic, fixed with its space reserved and every block present,
 * or differencing. It appears under its name only when it is complete and, unless NO_SYNC, durable;
 * after a failure nothing is left. -EEXIST when @path exists and FORCE is not set.
 */
VHDX_API int vhdx_create(const char *path, const struct vhdx_create_options *options);

/**
 * As vhdx_create, into storage of the caller's own, whose contents are replaced. A parent's path is
 * recorded relative to the current folder.
 */
VHDX_API int vhdx_create_io(const struct vhdx_io *io, const struct vhdx_create_options *options);

/* ---- Commit ---- */

/** Go on although other children of a disk that the merge concerns are found beside it: they break. */
#define VHDX_COMMIT_FORCE 0x1u
/** The caller removes the merged layers afterwards, so other children of the disk itself matter too. */
#define VHDX_COMMIT_REMOVING 0x2u

struct vhdx_commit_options {
	size_t size;
	uint32_t flags;	   /**< VHDX_COMMIT_* */
	struct vhdx *into; /**< which ancestor of the disk (vhdx_get_parent); NULL: its parent */
	vhdx_progress_fn *progress; /**< in bytes of the disk; may be NULL */
	void *opaque;
};

/**
 * Merges what @disk and the layers between it and an ancestor hold into the ancestor, which grows first
 * when the disk is larger. Then the ancestor reads as the disk does (a part that it has behind the disk's
 * end stays), and has its ID, its physical sector size and the other items that belong to a virtual disk
 * (F 5). The merged layers stay, and @disk reads as before; a layer between it and the ancestor, opened by
 * itself, does not. Who wants can remove them, the disk's first.
 *
 * The disk must be opened with VHDX_OPEN_WRITE and write_parents up to the ancestor. Any other child of
 * the ancestor, or of a layer between, would read wrong contents afterwards: when one is found beside
 * its parent, nothing is written and -EBUSY returned, unless FORCE is set.
 *
 * After a crash, a failure or a cancel at any point the chain opens and @disk reads as before, and the
 * next run finishes; the ancestor by itself may hold a part of what is merged. Success is durable. Takes time by what the layers hold, and at most 48 MiB of
 * memory. Fails with -EROFS, -EUCLEAN when the chain was opened although it does not fit together,
 * -ENOSPC, -ECANCELED, or as reading and writing fail.
 */
VHDX_API int vhdx_commit(struct vhdx *disk, const struct vhdx_commit_options *options);

/* ---- Rebase ---- */

/** Change only what the child says of its parent; what it reads may become something else. */
#define VHDX_REBASE_UNSAFE 0x1u

struct vhdx_rebase_options {
	size_t size;
	uint32_t flags; /**< VHDX_REBASE_* */
	const char *
		parent; /**< the new parent's file, or what parent_options->open_parent knows it by */
	/**
	 * What the child's locator says: relative to the child's folder, as Windows sees it with a drive
	 * or share, and as "\\?\Volume{GUID}\...". "" drops the path. NULL: relative_path is found from
	 * where both files are (of storage of the caller's own it is @parent); the other two are kept when
	 * the new parent is the one that the child names already, and else dropped.
	 */
	const char *relative_path;
	const char *windows_path;
	const char *volume_path;
	/** How to open the new parent and its parents, as a child of @parent would; may be NULL. */
	const struct vhdx_open_options *parent_options;
	vhdx_progress_fn *progress; /**< in bytes of the disk; may be NULL */
	void *opaque;
};

/**
 * Gives the child @disk, opened with VHDX_OPEN_WRITE, another parent. It reads as before: where the new
 * parent's contents differ from the old one's, and the child itself holds nothing, these are first copied
 * into the child. With UNSAFE nothing is compared or copied, so the disk can be opened with
 * VHDX_OPEN_NO_PARENT too: for a parent that was moved, or whose contents are known to be the same.
 *
 * The locator changes at once, and last. Values in it that are not about the parent's identity and
 * place stay. The child keeps its DataWriteGuid, so its own children stay valid. Success is durable, and
 * @disk then has the new parent open, unless it was opened without one. After a failure, a cancel or a
 * crash at any time the child has its old parent or the new one, and reads the same either way; the call
 * may be repeated.
 *
 * Fails with -EINVAL when the child is not differencing, when it is the new parent or one of its parents, or
 * when a path cannot be recorded or none would be left; -EUCLEAN when the sector sizes are not the same;
 * -EROFS, -ENOSPC, -ECANCELED, as vhdx_open does for the new parent, or as reading and writing fail.
 */
VHDX_API int vhdx_rebase(struct vhdx *disk, const struct vhdx_rebase_options *options);

/* ---- Convert and compare ---- */

/** Of a path: take no lock, and read beside a writer, at one's own risk. */
#define VHDX_SOURCE_FORCE_SHARE 0x1u

/** Where contents come from: set exactly one of disk, path, io, or use_fd. */
struct vhdx_source {
	size_t size;
	uint32_t flags;		  /**< VHDX_SOURCE_* */
	struct vhdx *disk;	  /**< a disk, through its chain */
	const char *path;	  /**< a raw file or block device */
	const struct vhdx_io *io; /**< raw storage of the caller's own; not closed */
	int use_fd;		  /**< nonzero: read @fd to its end, without seeking (a pipe) */
	int fd;
	const char *name; /**< of an io: what messages call it; NULL: "(storage)" */
};

enum vhdx_format {
	VHDX_FORMAT_RAW = 0,
	VHDX_FORMAT_VHDX = 1,
};

/** Where contents go: set exactly one of path, io, or use_fd. */
struct vhdx_destination {
	size_t size;
	enum vhdx_format format;
	const char *path; /**< a new file, or for raw an existing block device */
	/**
	 * Raw storage that is big enough, overwritten; or empty with set_size, which then gets the contents' size;
	 * or a VHDX's.
	 */
	const struct vhdx_io *io;
	/** Raw only; nonzero: write to @fd in order, without seeking. A pipe is made larger if it may be. */
	int use_fd;
	int fd;
	/**
	 * For VHDX: what to make, differencing excepted; may be NULL. virtual_size is the source's, block
	 * and sector sizes default to a VHDX source's (or as for vhdx_create). For raw: flags only.
	 */
	const struct vhdx_create_options *create;
	const char *name; /**< of an io: what messages call it; NULL: "(storage)" */
};

/** vhdx_convert: go past the page cache where possible. */
#define VHDX_CONVERT_DIRECT 0x1u
/**
 * vhdx_convert: copy every byte and look for zeros. Otherwise a file shares the source's blocks where the
 * file system can (FICLONERANGE), zeros in them too, unless it shall have no holes or be a fixed VHDX: what
 * is shared is no space of its own, nor any more of the source's, where a later write needs new space. Of a
 * pipe: it gets the bytes, not pages of the file.
 */
#define VHDX_CONVERT_NO_CLONE 0x2u

struct vhdx_convert_options {
	size_t size;
	uint32_t flags;		    /**< VHDX_CONVERT_* */
	unsigned threads;	    /**< 1 to 64; default by the machine, at most 4 */
	vhdx_progress_fn *progress; /**< in bytes of the disk; may be NULL */
	void *opaque;
};

/**
 * Copies a disk's contents. Holes of the source are not read, and zeros are not written where the
 * destination reads zeros anyway. A new VHDX's blocks lie in the order of the disk. A new file appears
 * whole and, unless VHDX_CREATE_NO_SYNC, durable under its name, or not at all; an existing file is
 * refused with -EEXIST unless VHDX_CREATE_FORCE; a device that is too small with -ENOSPC. A source
 * whose size is not a multiple of the destination's sector is padded with zeros.
 */
VHDX_API int vhdx_convert(const struct vhdx_source *source,
			  const struct vhdx_destination *destination,
			  const struct vhdx_convert_options *options);

struct vhdx_compare_options {
	size_t size;
	vhdx_progress_fn *progress; /**< in bytes of the disk; may be NULL */
	void *opaque;
};

struct vhdx_difference {
	size_t size;
	int differ;	 /**< 0: the same contents; 1: they differ */
	uint64_t offset; /**< of the first byte that differs */
	uint64_t a_size; /**< of the contents; UINT64_MAX of a stream not read to its end */
	uint64_t b_size;
};

/**
 * Compares contents as a guest sees them. Contents that differ only by zeros at the longer one's end
 * count as the same, and a_size and b_size tell. Returns 0 when the comparison was done.
 */
VHDX_API int vhdx_compare(const struct vhdx_source *a, const struct vhdx_source *b,
			  const struct vhdx_compare_options *options,
			  struct vhdx_difference *ret_difference);

/* ---- Compact ---- */

/** Write nothing: say what would be done. */
#define VHDX_COMPACT_DRY_RUN 0x1u
/** Of an output: leave no holes in the file. */
#define VHDX_COMPACT_NO_HOLES 0x2u

struct vhdx_compact_options {
	size_t size;
	uint32_t flags; /**< VHDX_COMPACT_* */
	/**
	 * Says whether nothing uses @length bytes at @offset of the disk: 1, so that their contents may go;
	 * 0 when something may; or a negative errno, which ends the operation. May be NULL: all is used.
	 */
	int (*is_free)(void *opaque, uint64_t offset, uint64_t length);
	void *is_free_opaque;
	/** Write a new image instead: at a path, which must not exist, or to storage of the caller's own. */
	const char *output;
	const struct vhdx_io *output_io;
	vhdx_progress_fn *progress; /**< in bytes; may be NULL */
	void *opaque;
};

struct vhdx_compact_result {
	size_t size;
	uint64_t file_size_before;
	uint64_t file_size_after; /**< of the output, if there is one */
	uint64_t present;	  /**< blocks that had space in the file; of them ... */
	uint64_t zero;	 /**< ... gave it up because they hold zeros, or the parent's data alone */
	uint64_t unused; /**< ... because nothing uses what they hold */
	uint64_t moved;	 /**< ... lie elsewhere in the file now */
	uint64_t kept_bytes; /**< space of the payload blocks that stay */
	uint64_t
		other_bytes; /**< given up: offsets that blocks without contents kept, bitmap blocks */
	int keeps_blocks;    /**< nothing was done: a fixed disk keeps all its blocks */
};

/**
 * Makes the file of @disk smaller; the disk reads as before. Blocks that are all zero give up their space,
 * and so do those that @is_free names, offsets that blocks without contents kept, and bitmap blocks that
 * no block needs. Then what lies at the end of the file moves into the free space before it, and the file is
 * cut. The disk must be open with VHDX_OPEN_WRITE, unless DRY_RUN or an output is given, and the caller
 * must have it alone; parents are not needed. What was written before becomes durable. With DRY_RUN the
 * result says what would be, and nothing is written.
 *
 * A fixed disk is left alone. The DataWriteGuid stays, so children stay valid, unless blocks go because of
 * @is_free. After a failure or a cancel (-ECANCELED) the image is valid, and what was done stays done; so it
 * is after a crash, and another run goes on.
 *
 * With an output @disk is only read, and the new image holds its layer with the blocks in order: the same
 * identity, so that it can take the place of the old one, metadata items, and parent, to which its path leads
 * from the new folder; a fixed disk becomes dynamic. It appears whole and durable, or not at all.
 *
 * Memory: less than 64 MiB, whatever the disk. Errors as vhdx_pwrite; -EEXIST when @output exists.
 */
VHDX_API int vhdx_compact(struct vhdx *disk, const struct vhdx_compact_options *options,
			  struct vhdx_compact_result *ret_result);

/* ---- Incremental backups ---- */

struct vhdx_diff_options {
	size_t size;
	uint32_t flags;	     /**< VHDX_CREATE_* */
	uint32_t block_size; /**< of the child, as for vhdx_create */
	uint32_t log_length;
	/** The base's path as Windows will see it, for absolute_win32_path; may be NULL. */
	const char *windows_path;
	/**
	 * What the child calls its base, by Windows' rules (".\\base.vhdx"); NULL: the way to the base's
	 * file. Needed of a base on storage of the caller's own.
	 */
	const char *relative_path;
	/** Told what the caller should know but what is no error; may be NULL. */
	void (*warning)(void *opaque, const char *file, const char *text);
	vhdx_progress_fn *progress; /**< in bytes of the disk; may be NULL */
	void *opaque;		    /**< for both functions above */
};

/**
 * Makes a differencing disk at @path: a child of @base, as large as @contents, that reads as @contents does.
 * Its blocks and bits are exactly the sectors in which both differ; beyond its end, the shorter one
 * reads as zeros. What neither holds is not read. Sectors are the base's, and @contents are padded with
 * zeros to a whole one.
 *
 * @base must be open for reading, with its parents, and alone. @contents: anything whose size is known,
 * so not a stream; the base itself or a child of it too.
 * The new file appears whole and, unless NO_SYNC, durable under its name, or not at all; an existing file
 * is refused with -EEXIST unless FORCE. Uses at most 64 MiB of memory. Errors as vhdx_create and vhdx_pwrite.
 */
VHDX_API int vhdx_diff(struct vhdx *base, const struct vhdx_source *contents, const char *path,
		       const struct vhdx_diff_options *options);

/**
 * As vhdx_diff, into storage of the caller's own, whose contents are replaced: after a failure they are of
 * no use. The base's path is recorded relative to the current folder.
 */
VHDX_API int vhdx_diff_io(struct vhdx *base, const struct vhdx_source *contents,
			  const struct vhdx_io *io, const struct vhdx_diff_options *options);

/* ---- Resize ---- */

/** vhdx_resize: the disk may become smaller. */
#define VHDX_RESIZE_SHRINK 0x1u
/** vhdx_resize: of what would be cut off, the backup of a GUID partition table need not be zeros. */
#define VHDX_RESIZE_FORCE 0x2u

struct vhdx_resize_options {
	size_t size;
	uint32_t flags;		    /**< VHDX_RESIZE_* */
	vhdx_progress_fn *progress; /**< in bytes by which the disk grows or shrinks; may be NULL */
	void *opaque;
};

/**
 * Gives @disk, opened with VHDX_OPEN_WRITE, another size: 1 logical sector to 64 TiB, a multiple of the
 * sector. With the size that it has, nothing is done. @options may be NULL.
 *
 * What a disk grows by reads as zeros, whatever the file or a larger parent holds there; a fixed disk gets
 * all of its new blocks, with their space reserved. Where the BAT is too small, a larger one takes its
 * place. Partitions and file systems stay as they are. A disk shrinks only with SHRINK, and only when all
 * that is cut off reads as zeros (FORCE); that space is given back, and the file ends behind what is left.
 *
 * The new size is durable on return; until then, after a failure, a cancel or a crash at any time, the disk
 * has its old size and contents (but for a backup given up by FORCE), and the call may be repeated. The
 * image gets a new DataWriteGuid, so its children become useless. Needs the disk alone; strings of an earlier
 * vhdx_get_info end.
 *
 * Fails with -EINVAL for a size that cannot be, or a smaller one without SHRINK; -ENOTEMPTY when what would
 * be cut off is not all zeros; -EROFS; -ENOSPC; -ECANCELED; -EUCLEAN when the image must be repaired first;
 * or as the storage does. A failure in the last step, of which it is not known whether it took effect, makes
 * every further change fail until the disk is opened again.
 */
VHDX_API int vhdx_resize(struct vhdx *disk, uint64_t virtual_size,
			 const struct vhdx_resize_options *options);

/* ---- Repair and salvage ---- */

/** vhdx_repair: do all on a draft beside the image, and change nothing. */
#define VHDX_REPAIR_DRY_RUN 0x1u
/** vhdx_repair: discard a log that cannot be replayed. Changes that only the log holds are lost. */
#define VHDX_REPAIR_DISCARD_LOG 0x2u
/** vhdx_repair: never make the file sparse. Space that nothing refers to stays lost. */
#define VHDX_REPAIR_NO_HOLES 0x4u
/** vhdx_repair, vhdx_undo_repair: write also where the file system has no locks. */
#define VHDX_REPAIR_NO_LOCK 0x8u

struct vhdx_repair_options {
	size_t size;
	uint32_t flags; /**< VHDX_REPAIR_* */
	/**
	 * vhdx_repair: where the undo file goes; NULL: the image's path and ".undo". It appears when there is
	 * something to write, and must not exist, unless a repair of this image that did not end left it: then
	 * what that repair did is undone first.
	 */
	const char *undo_path;
	/** Told of each fault that was mended, of one problem at most 1000: what was done, and the part of the disk that it costs. */
	vhdx_finding_fn *mended;
	/** Told, as vhdx_check would tell, of each fault that is left. May be NULL, as the others. */
	vhdx_finding_fn *left;
	vhdx_progress_fn *progress; /**< its unit is not fixed; total may grow */
	void *opaque;		    /**< for all three */
	/** vhdx_repair_io: empty storage that receives the undo file. It stays the caller's. */
	const struct vhdx_io *undo;
	/** vhdx_repair_io: empty storage for the draft, as large as what changes; stays the caller's. NULL: RAM. */
	const struct vhdx_io *scratch;
	/**
	 * vhdx_repair: the image lies here, and @path only names it; undo_path is needed. It stays the caller's,
	 * unlocked, and keeps its size.
	 */
	const struct vhdx_io *io;
};

struct vhdx_repair_result {
	size_t size;
	uint64_t mended;	 /**< things that were mended */
	uint64_t left;		 /**< faults (of severity LEAK or more) that are left */
	uint64_t lost_bytes;	 /**< of the disk, which what was mended costs */
	uint64_t changed_bytes;	 /**< of the file, written or released */
	uint64_t released_bytes; /**< of the file, which nothing referred to */
	int undo_was_used; /**< an earlier repair had not ended: what it did was undone first */
	int is_written; /**< the file was changed, and the undo file holds what was there before */
};

/**
 * Mends what vhdx_check finds in the image at @path, by the rule that the table of problems gives; its
 * parents are neither read nor changed. All is done on a draft first; then the undo file, which holds what
 * is overwritten, is made and flushed; then the file is written, in an order in which a crash leaves an
 * image that a second repair mends as well. Afterwards a check finds nothing but what @left was told, and
 * a second repair does nothing. The image gets a new FileWriteGuid, and a new DataWriteGuid only when
 * something reads differently that could be read before (F 2.3).
 *
 * While a fatal fault would be left nothing is written: -EUCLEAN (or -ENOTSUP), with that fault as the
 * error. -EEXIST when the undo file is there already and is not that of an unfinished repair; -EFBIG when
 * more would change than a draft may hold; -ECANCELED, before anything is written; -EAGAIN, -ENOMEM, or as
 * the storage fails. @options may be NULL. At most 64 MiB of memory.
 */
VHDX_API int vhdx_repair(const char *path, const struct vhdx_repair_options *options,
			 struct vhdx_repair_result *ret_result);

/** As vhdx_repair, on storage of the caller's own, called @name in messages, which stays his; takes no lock. */
VHDX_API int vhdx_repair_io(const struct vhdx_io *io, const char *name,
			    const struct vhdx_repair_options *options,
			    struct vhdx_repair_result *ret_result);

/**
 * Puts back what a repair overwrote in the image at @path, from its undo file, byte for byte. Refused with
 * -EUCLEAN when the undo file is damaged, and with -ESTALE when it is of another file or the image was
 * changed since. @flags: VHDX_REPAIR_NO_LOCK. The undo file stays. May be called again after a crash.
 */
VHDX_API int vhdx_undo_repair(const char *path, const char *undo_path, uint32_t flags);

/** As vhdx_undo_repair, on storage of the caller's own. */
VHDX_API int vhdx_undo_repair_io(const struct vhdx_io *io, const char *name,
				 const struct vhdx_io *undo, const char *undo_name);

/** What is known of a range of a salvaged disk. */
enum vhdx_salvage_kind {
	VHDX_SALVAGE_ZERO = 0,	  /**< the image says that it is zeros, or holds no block for it */
	VHDX_SALVAGE_PARENT = 1,  /**< a child's image says that its parent holds it: zeros here */
	VHDX_SALVAGE_FOUND = 2,	  /**< copied, by structures that were right */
	VHDX_SALVAGE_GUESSED = 3, /**< copied from a place that was guessed, or to one */
	VHDX_SALVAGE_LOST = 4,	  /**< zeros, for what was there cannot be had */
};

/** A range of the disk; neighbours of one kind and one text are one range where they lie so in the file. */
struct vhdx_salvage_range {
	size_t size;
	uint64_t offset; /**< of the disk */
	uint64_t length;
	uint64_t file_offset; /**< of what was copied; else VHDX_NO_OFFSET */
	enum vhdx_salvage_kind kind;
	const char *text; /**< why it is lost, or what was guessed; else "" */
};

/** How a property of a ruined image is known. */
enum vhdx_salvage_how {
	VHDX_SALVAGE_NOT_KNOWN = 0,    /**< nothing tells */
	VHDX_SALVAGE_READ = 1,	       /**< the structures that should tell it do */
	VHDX_SALVAGE_OVERRIDDEN = 2,   /**< the caller gave it */
	VHDX_SALVAGE_BY_SIGNATURE = 3, /**< by a structure that was searched for */
	VHDX_SALVAGE_BY_GUESS = 4,     /**< from what is left */
};

/** With a line of text on it: "guessed from the spacing of blocks". Static; never NULL. */
struct vhdx_salvage_fact {
	enum vhdx_salvage_how how;
	const char *text;
};

struct vhdx_salvage_result {
	size_t size;
	uint64_t virtual_size;
	uint32_t block_size;
	uint32_t logical_sector_size;
	enum vhdx_type type;
	uint64_t log_offset;	  /**< VHDX_NO_OFFSET when no log was used */
	uint64_t metadata_offset; /**< VHDX_NO_OFFSET when there is none, as for the BAT */
	uint64_t bat_offset;
	/** Bytes cut off before the first one of the file, where that is not the image's: else 0. */
	uint64_t missing_bytes;
	struct vhdx_salvage_fact virtual_size_fact;
	struct vhdx_salvage_fact block_size_fact;
	struct vhdx_salvage_fact logical_sector_size_fact;
	struct vhdx_salvage_fact type_fact;
	struct vhdx_salvage_fact log_fact;
	struct vhdx_salvage_fact metadata_fact;
	struct vhdx_salvage_fact bat_fact;
	/** Of the disk, by kind; in all its size. */
	uint64_t zero_bytes;
	uint64_t parent_bytes;
	uint64_t found_bytes;
	uint64_t guessed_bytes;
	uint64_t lost_bytes;
	uint64_t blocks;      /**< that hold data, or should ... */
	uint64_t lost_blocks; /**< ... of which something is lost */
};

/** vhdx_salvage: replace an output that exists. */
#define VHDX_SALVAGE_FORCE 0x1u

struct vhdx_salvage_options {
	size_t size;
	uint32_t flags; /**< VHDX_SALVAGE_* */
	/** What is given here is not looked for, and not doubted; 0: it is found or guessed. */
	uint32_t block_size;
	uint64_t virtual_size;
	uint32_t logical_sector_size;
	/** Told of every range of the disk in order; may be NULL. */
	void (*range)(void *opaque, const struct vhdx_salvage_range *range);
	vhdx_progress_fn
		*progress; /**< in bytes of the disk; total is 0 while structures are searched */
	void *opaque;	   /**< for both */
	/** vhdx_salvage: the image lies here, and @path only names it. It stays the caller's, unlocked. */
	const struct vhdx_io *io;
};

/**
 * Copies what can still be read of the ruined image at @path, as a raw disk, to a new sparse file at
 * @output, which appears whole and durable, or not at all. Nothing needs to be right: headers, region tables,
 * and metadata are searched for by their signatures, the BAT by its shape and in the log, and what none of
 * them tells is guessed, which the result and the ranges say. An image that can be opened comes out as
 * vhdx_convert reads it, with zeros for what its parents hold; but one that has data and a BAT without any
 * entry counts as one whose BAT is gone. A log that can be replayed is, in memory; another one is
 * ignored. What the storage cannot read (-EIO) is lost, and not an error.
 *
 * @ret_result may be NULL. Returns 0 however little was found, but -ENOTSUP when nothing tells that this
 * was an image and @options do not give a size; -EEXIST; -EAGAIN when another process has the image open for
 * writing; -EINVAL, -ENOMEM, -ECANCELED, or as the storage fails. At most 64 MiB of memory; the output
 * is no larger than 64 TiB, and takes no more space than the disk's blocks.
 */
VHDX_API int vhdx_salvage(const char *path, const char *output,
			  const struct vhdx_salvage_options *options,
			  struct vhdx_salvage_result *ret_result);

/**
 * As vhdx_salvage, of storage of the caller's own, called @name in messages (NULL: "(storage)"), to @output,
 * which is given the disk's size if it can grow, and else must have it; takes no lock, and flushes it at
 * the end. Both stay the caller's.
 */
VHDX_API int vhdx_salvage_io(const struct vhdx_io *io, const char *name,
			     const struct vhdx_io *output,
			     const struct vhdx_salvage_options *options,
			     struct vhdx_salvage_result *ret_result);

#ifdef __cplusplus
}
#endif

#endif
