/* SPDX-License-Identifier: MIT */
/* What the fuzz targets do with the disk of a damaged chain. */
#ifndef TESTS_FUZZ_SESSION_H
#define TESTS_FUZZ_SESSION_H

#include "fuzz/input.h"
#include "fuzz/store.h"

/* The files of a case as stores, for vhdx_open_io and its open_parent. */
struct session {
	struct fuzz_case *fuzz_case;
	struct fuzz_store stores[MAX_LAYERS];
	bool hostile_parents; /* a locator's path chooses any layer, the child itself too */
	unsigned opened;      /* parents, by open_parent */
};

void session_init(struct session *session, struct fuzz_case *fuzz_case);

/*
 * Opens the first layer with VHDX_OPEN_* and its parents. Returns what vhdx_open_io does, and judges the
 * error if there is one.
 */
int session_open(struct session *session, uint32_t flags, struct vhdx **ret_disk);

/* Looks at the error of this thread after @ret was returned; one that breaks the contract ends the program. */
void judge_error(int ret);

/* Info, check, dumps, map and reads of an open disk, which is closed. */
void exercise_and_close(struct vhdx *disk);

/* ---- What a disk reads, at places spread over it ---- */

#define WINDOWS	    32u
#define WINDOW_SIZE 8192u

/* Sectors are of 512 bytes here. */
#define WINDOW_SECTORS (WINDOW_SIZE / 512)

struct window {
	uint64_t offset;
	uint32_t length; /* 0: not in use */
	uint32_t known;	 /* a bit a sector: what it reads is known */
	uint8_t bytes[WINDOW_SIZE];
};

/* Places windows over a disk: across the edges of its first blocks, at its end and between. */
void windows_place(const struct vhdx_info *info, struct window windows[WINDOWS]);

/* Notes what they read now; sectors that cannot be read are not known. */
void windows_read(struct vhdx *disk, struct window windows[WINDOWS]);

/* The first place where what is known on both sides differs, or UINT64_MAX. @fit: windows lie alike. */
uint64_t windows_differ(const struct window a[WINDOWS], const struct window b[WINDOWS]);

/* A change of a range of the disk: to zeros (@buf NULL) or @buf's bytes; when it failed: not known any more. */
void windows_write(struct window windows[WINDOWS], const uint8_t *buf, uint64_t offset,
		   uint64_t length, bool failed);

#endif
