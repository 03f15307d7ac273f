/* SPDX-License-Identifier: MIT */
/* Every metadata structure of one file as found, with what is wrong with each. */
#ifndef VHDX_META_IMAGE_H
#define VHDX_META_IMAGE_H

#include "base/error.h"
#include "format/header.h"
#include "format/locator.h"
#include "format/metadata.h"
#include "format/region.h"
#include "meta/bat.h"
#include "meta/logscan.h"

#define NO_HEADER 2u
#define NO_TABLE  2u

/* Where in the file the value of a known item is. */
struct found_item {
	bool present; /* it is there, and its value can be read */
	uint64_t offset;
	uint32_t length;
};

#define MAX_PROBLEMS 256u /* rows that the table of problems may have */

/* Findings of one problem that get a text; a damaged BAT has up to 67 million, and each would take its time. */
#define MAX_TOLD 1000u

/*
 * Members from a structure that could not be read are zero, and their VHDX_KNOWN_ bit is not set. After
 * a fatal finding (has_fault), what follows is found as far as it can be.
 */
struct image {
	const char *name;	    /* for messages */
	const struct vhdx_io *file; /* as it lies */
	struct vhdx_io replayed;    /* the log replayed over it, when it has to be */
	const struct vhdx_io *view; /* replayed or file: for all but headers and log */
	uint64_t file_size;
	/* image_view_size, image_set_view_size; aligned, for 32-bit hosts load it at once only so */
	_Alignas(8) uint64_t view_size;
	uint32_t known; /* VHDX_KNOWN_* */

	struct identifier identifier;
	struct header headers[2];
	unsigned current;      /* of headers, or NO_HEADER */
	bool header_unflushed; /* the last header written, by anyone, may not be durable */
	uint64_t
		flushed_size; /* the file's size when the last completed flush began; 0: none yet */
	struct log_place log;
	enum vhdx_log_state log_state;
	size_t log_entries; /* of the active sequence */

	struct region_table tables[2];
	unsigned table; /* of tables, or NO_TABLE */
	struct region *regions;
	uint32_t region_count;
	struct region bat;
	struct region metadata;

	struct metadata_table metadata_table;
	struct metadata_item *items;
	unsigned item_count;
	struct found_item known_items[KNOWN_ITEMS];
	struct file_parameters parameters;
	uint64_t virtual_size;
	uint32_t logical_sector_size;
	uint32_t physical_sector_size;
	struct vhdx_guid disk_id;
	struct geometry geometry;
	struct locator locator;
	bool locator_is_usable; /* it can be followed to the parent */

	uint64_t memory; /* bytes that this image keeps, for the chain's limit */

	unsigned
		cut_structures; /* log and regions that are behind the file's end, or go on there */

	bool has_fault;		       /* it must not be opened ... */
	struct kept_error fault;       /* ... for this reason, the first found */
	bool is_locked;		       /* it must not be written before repair ... */
	struct kept_error lock_reason; /* ... for this reason, the first found */

	vhdx_finding_fn *finding; /* told of everything found; may be NULL */
	void *opaque;
	unsigned told[MAX_PROBLEMS]; /* findings with a text, by row of the table of problems */
};

/*
 * Reads everything but the BAT from @file, which must outlive the image. Returns 0 also for a damaged
 * image (see has_fault); -ENOMEM, or as the storage fails. @finding may be NULL. Call vhdx_image_free
 * whatever it returns.
 */
int vhdx_image_load(struct image *image, const char *name, const struct vhdx_io *file,
		    vhdx_finding_fn *finding, void *opaque);

void vhdx_image_free(struct image *image);

/* Have there been MAX_TOLD findings of that problem? Those that follow have no text. */
bool vhdx_image_told_enough(struct image *image, enum problem problem);

/* Notes a problem; a fatal one becomes the image's fault when it is the first. */
void vhdx_image_report(struct image *image, enum problem problem, uint64_t offset,
		       const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A part of the disk that a problem affects. */
struct guest_part {
	uint64_t offset;
	uint64_t length;
	uint64_t loss_bytes; /* in it, that the problem costs */
};

/* As vhdx_image_report, for a problem that affects a part of the disk. */
void vhdx_image_report_guest(struct image *image, enum problem problem, uint64_t offset,
			     const struct guest_part *part, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static inline bool image_has_parent(const struct image *image)
{
	return image->parameters.flags & PARAMETER_HAS_PARENT;
}

static inline enum vhdx_type image_type(const struct image *image)
{
	if (image_has_parent(image))
		return VHDX_DIFFERENCING;
	return image->parameters.flags & PARAMETER_LEAVE_BLOCKS_ALLOCATED ? VHDX_FIXED
									  : VHDX_DYNAMIC;
}

/* The size of the view. Readers may ask while a writer makes the file grow. */
static inline uint64_t image_view_size(const struct image *image)
{
	return __atomic_load_n(&image->view_size, __ATOMIC_ACQUIRE);
}

/* For after the file really has that size. */
static inline void image_set_view_size(struct image *image, uint64_t size)
{
	__atomic_store_n(&image->view_size, size, __ATOMIC_RELEASE);
}

/* The file's end for structures: blocks come in whole MiB even where the file does not (F 1). */
static inline uint64_t image_end(const struct image *image)
{
	return round_up_saturated(image_view_size(image), MIB);
}

/* F 2: does the log lie where it may when it has to be replayed? */
bool vhdx_image_log_is_usable(const struct image *image);

/* F 2: what keeps a log with nothing to replay from being used; NO_PROBLEM when it can be. */
enum problem vhdx_image_idle_log_fault(const struct image *image);

/*
 * Makes durable what was written to the file, the last header too. One at a time, and not beside a write
 * of a header. On failure nothing is known of what is durable.
 */
int vhdx_image_flush(struct image *image);

/*
 * Makes sure that writes to a range of the file cannot fail for want of space, where the storage can
 * promise that. @what names the range in the error.
 */
int vhdx_image_reserve(const struct image *image, uint64_t offset, uint64_t length,
		       const char *what);

/* Parts of vhdx_image_load, in their order; each returns as it does. */
int vhdx_image_load_headers(struct image *image);
int vhdx_image_load_regions(struct image *image);
int vhdx_image_load_items(struct image *image);

/* Reports what Microsoft's parser is known to refuse (F 11.4), and no other rule: of items and log. */
void vhdx_image_check_windows(struct image *image);

#endif
