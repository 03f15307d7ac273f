/* SPDX-License-Identifier: MIT */
/* The header of an image that has no valid one any more, from what is left of both and of the file. */
#include <string.h>

#include "base/guid.h"
#include "meta/headers.h"
#include "ops/headerfit.h"
#include "ops/lostheader.h"
#include "ops/orphanlog.h"
#include "store/draft.h"
#include "store/io.h"

/* Numbers that a new header leaves for what follows. */
#define NUMBERS_LEFT 16u

/* How good an image is with a header, the best last. */
enum standing {
	STANDS_WITHOUT_LOG, /* its log is not that of the image, or is damaged */
	STANDS_DAMAGED,	    /* it has other faults that keep it from being opened ... */
	STANDS_LOCKED,	    /* ... or written */
	STANDS,
};

/* How the image would stand with @contents as its header: on a draft of the draft. */
static int try_header(const struct repair *repair, const struct header *contents,
		      enum standing *ret_standing)
{
	struct image trial = {.name = repair->name};
	struct draft *draft;
	int ret = vhdx_draft_open(repair->io, NULL, &draft);

	if (ret)
		return ret;
	trial.file = vhdx_draft_io(draft);
	for (unsigned slot = 0; slot < 2 && !ret; slot++)
		ret = vhdx_headers_put(&trial, slot, contents, slot + 1);
	if (!ret) {
		ret = vhdx_image_load(&trial, repair->name, vhdx_draft_io(draft), NULL, NULL);
		*ret_standing = trial.log_state == VHDX_LOG_CORRUPT ? STANDS_WITHOUT_LOG
				: trial.has_fault		    ? STANDS_DAMAGED
				: trial.is_locked		    ? STANDS_LOCKED
								    : STANDS;
		vhdx_image_free(&trial);
	}
	vhdx_draft_close(draft);
	return ret;
}

/* Above what stands in the file, where that is not at its end: a header that is written alone must count. */
static uint64_t next_number(const struct image *image)
{
	uint64_t number = 0;

	for (unsigned slot = 0; slot < 2; slot++)
		if (header_is_valid(&image->headers[slot]))
			number = max_u64(number, image->headers[slot].sequence_number);
	return number > UINT64_MAX - NUMBERS_LEFT ? 1 : number + 1;
}

static int write_both(struct image *image, unsigned slot, const struct header *contents)
{
	uint64_t number = next_number(image);
	int ret = vhdx_headers_put(image, !slot, contents, number);

	return ret ? ret : vhdx_headers_put(image, slot, contents, number + 1);
}

int vhdx_mend_ambiguous_headers(struct repair *repair, struct image *image)
{
	struct header headers[2] = {image->headers[0], image->headers[1]};
	enum standing standing[2];
	int ret = try_header(repair, &headers[0], &standing[0]);

	if (!ret)
		ret = try_header(repair, &headers[1], &standing[1]);
	if (ret)
		return ret;
	unsigned slot = standing[1] > standing[0];

	ret = write_both(image, slot, &headers[slot]);
	if (!ret)
		vhdx_repair_mended(repair, PROBLEM_HEADERS_AMBIGUOUS, header_offset(!slot), 0, 0,
				   "header %u counts: the image %s", slot + 1,
				   standing[0] == standing[1] ? "is as good with either"
				   : standing[!slot] == STANDS_WITHOUT_LOG
					   ? "has no usable log with the other"
				   : standing[!slot] == STANDS_DAMAGED
					   ? "cannot be opened with the other"
					   : "could not be written with the other");
	return ret;
}

/* ---- both invalid: what their checksums prove ---- */

/* The newer of those that can be put together again; *ret_slot is 2 when none can. */
static int fit_headers(const struct image *image, struct header *ret_header, unsigned *ret_slot)
{
	struct header_disk disks[2];
	unsigned best = 2;
	int ret = 0;

	for (unsigned slot = 0; slot < 2 && !ret; slot++)
		ret = vhdx_io_read(image->file, &disks[slot], sizeof(disks[slot]),
				   header_offset(slot));
	if (ret)
		return vhdx_fail_errno(ret, image->name, "the headers cannot be read");
	for (unsigned slot = 0; slot < 2; slot++) {
		struct header_disk disk = disks[slot];
		struct header header;

		if (!vhdx_header_fit(&disk, &disks[!slot]))
			continue;
		vhdx_header_decode(&disk, sizeof(disk), &header);
		if (best == 2 || header.sequence_number > ret_header->sequence_number) {
			*ret_header = header;
			best = slot;
		}
	}
	*ret_slot = best;
	return 0;
}

/* ---- both invalid: what can be taken on trust ---- */

static bool place_is_plausible(const struct image *image, const struct header *header)
{
	struct image other = {.file_size = image->file_size,
			      .log = {header->log_offset, header->log_length, {{0}}}};

	if (!vhdx_image_log_is_usable(&other) || header->log_length > MAX_LOG_LENGTH)
		return false;
	for (uint32_t i = 0; i < image->region_count; i++)
		if (ranges_meet(header->log_offset, header->log_length,
				image->regions[i].file_offset, image->regions[i].length))
			return false;
	return true;
}

static bool is_plausible(const struct header *header)
{
	return header->has_signature && header->version == HEADER_VERSION;
}

/* The better of two headers whose checksums are wrong; *ret_slot is 2 when both are beyond use. */
static int choose_plausible(const struct repair *repair, const struct image *image,
			    unsigned *ret_slot)
{
	const struct header *headers = image->headers;
	unsigned best = 2;
	enum standing best_standing = STANDS_WITHOUT_LOG;

	for (unsigned slot = 0; slot < 2; slot++) {
		enum standing standing = STANDS_WITHOUT_LOG;
		int ret = 0;

		if (!is_plausible(&headers[slot]))
			continue;
		if (place_is_plausible(image, &headers[slot]))
			ret = try_header(repair, &headers[slot], &standing);
		if (ret)
			return ret;
		if (best == 2 || standing > best_standing ||
		    (standing == best_standing &&
		     headers[slot].sequence_number > headers[best].sequence_number)) {
			best = slot;
			best_standing = standing;
		}
	}
	*ret_slot = best;
	return 0;
}

/* Are there entries of the session that the header names? Or does it say that there is none? */
static int log_is_known(const struct image *image, const struct header *header, bool *ret_known)
{
	const struct log_place log = {header->log_offset, header->log_length, header->log_guid};
	struct log_scan scan = {0};

	*ret_known = guid_is_zero(&header->log_guid);
	if (*ret_known || !header->log_length)
		return 0;
	int ret = vhdx_log_scan(image->file, &log, &scan);

	*ret_known = !ret && scan.count;
	if (!ret)
		vhdx_log_scan_free(&scan);
	return ret;
}

/* A GUID in place of each that is lost. */
static int renew_guids(struct repair *repair, struct header *contents)
{
	int ret = vhdx_guid_next(&repair->guids, &contents->file_write_guid);

	if (!ret)
		ret = vhdx_guid_next(&repair->guids, &contents->data_write_guid);
	return ret ? vhdx_fail_errno(ret, repair->name, "no new GUID can be had") : 0;
}

/* A replay that leaves the image worse than it is without is one of a log that was closed long ago. */
static int doubt_replay(const struct repair *repair, const struct header *contents, bool *ret_clear)
{
	struct header without = *contents;
	enum standing standing[2];
	int ret = try_header(repair, contents, &standing[0]);

	without.log_guid = (struct vhdx_guid){{0}};
	if (!ret)
		ret = try_header(repair, &without, &standing[1]);
	*ret_clear = !ret && (standing[0] >= standing[1] || standing[0] == STANDS_WITHOUT_LOG);
	return ret;
}

/* The log's place and GUID, by what the file says. *ret_clear: it says so without doubt. */
static int look_for_log(const struct repair *repair, const struct image *image, bool has_place,
			struct header *contents, bool *ret_clear)
{
	struct log_place place = {contents->log_offset, contents->log_length, {{0}}};
	enum orphan_verdict verdict = ORPHAN_CLOSED;
	int ret = has_place ? 0 : vhdx_find_orphan_log(image, &place);

	if (!ret)
		ret = vhdx_judge_orphan_log(image, &place, &verdict, &contents->log_guid);
	contents->log_offset = place.offset;
	contents->log_length = place.length;
	contents->version = HEADER_VERSION;
	contents->log_version = 0;
	*ret_clear = verdict != ORPHAN_UNCLEAR;
	if (!ret && verdict == ORPHAN_OPEN)
		ret = doubt_replay(repair, contents, ret_clear);
	if (!*ret_clear)
		contents->log_guid = (struct vhdx_guid){{0}};
	return ret;
}

static int write_rebuilt(struct repair *repair, struct image *image, unsigned slot,
			 const struct header *contents, bool is_clear)
{
	const struct header *headers = image->headers;
	bool guids_in_doubt = slot < 2 && is_plausible(&headers[!slot]) &&
			      !guid_equal(&headers[0].data_write_guid, &headers[1].data_write_guid);
	int ret = write_both(image, 0, contents);

	if (ret)
		return ret;
	vhdx_repair_mended(
		repair, PROBLEM_HEADERS_BOTH_BAD, HEADER_1_OFFSET, 0, 0, "%s%s%s",
		slot < 2 ? "the headers are rebuilt from what is left of them"
			 : "new headers are made, with new GUIDs: children of this image "
			   "must be rebased --unsafe",
		guids_in_doubt ? "; it is not certain which DataWriteGuid is right: children "
				 "may have to be rebased --unsafe"
			       : "",
		is_clear ? ""
			 : "; sessions of the log of which one may have been open are "
			   "discarded, and with them the changes of the BAT and of other "
			   "metadata that only they held");
	return 0;
}

static int rebuild(struct repair *repair, struct image *image)
{
	struct header contents = {0};
	unsigned slot;
	bool has_place = false;
	bool is_known = false;
	bool is_clear = true;
	int ret = choose_plausible(repair, image, &slot);

	if (!ret && slot < 2) {
		contents = image->headers[slot];
		has_place = place_is_plausible(image, &contents);
		ret = has_place ? log_is_known(image, &contents, &is_known) : 0;
	} else if (!ret) {
		ret = renew_guids(repair, &contents);
	}
	if (!ret && !is_known)
		ret = look_for_log(repair, image, has_place, &contents, &is_clear);
	if (ret || (!is_clear && !repair_may(repair, VHDX_REPAIR_DISCARD_LOG)))
		return ret;
	return write_rebuilt(repair, image, slot, &contents, is_clear);
}

int vhdx_mend_lost_headers(struct repair *repair, struct image *image)
{
	struct header contents;
	unsigned slot;
	int ret = fit_headers(image, &contents, &slot);

	if (ret)
		return ret;
	if (slot == 2)
		return rebuild(repair, image);
	ret = write_both(image, slot, &contents);
	if (!ret)
		vhdx_repair_mended(repair, PROBLEM_HEADERS_BOTH_BAD, header_offset(slot), 0, 0,
				   "header %u is put together from what is left of both: its "
				   "checksum shows that it is as it was",
				   slot + 1);
	return ret;
}
