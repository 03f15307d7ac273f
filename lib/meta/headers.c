/* SPDX-License-Identifier: MIT */
/* The two headers, which of them is current (F 2.1), and how they are updated (F 2.2). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/guid.h"
#include "base/rules.h"
#include "meta/headers.h"
#include "store/io.h"

static void report_invalid(struct image *image, unsigned slot)
{
	const struct header *header = &image->headers[slot];
	uint64_t at = header_offset(slot);

	if (!header->has_signature)
		vhdx_image_report(image, PROBLEM_HEADER_SIGNATURE, at,
				  "header %u: no signature (expected \"" HEADER_SIGNATURE "\")",
				  slot + 1);
	else if (!header_is_valid(header))
		vhdx_image_report(image, PROBLEM_HEADER_CHECKSUM,
				  at + offsetof(struct header_disk, checksum),
				  "header %u: checksum is %#010x (expected %#010x)", slot + 1,
				  header->stored_checksum, header->checksum);
}

/* Both are valid: the greater number is current; equal numbers will do only in equal headers. */
static unsigned choose_of_two(struct image *image, const struct header_disk disks[2])
{
	uint64_t a = image->headers[0].sequence_number;
	uint64_t b = image->headers[1].sequence_number;

	if (a != b)
		return a > b ? 0 : 1;
	if (memcmp(&disks[0], &disks[1], sizeof(disks[0])) != 0) {
		vhdx_image_report(image, PROBLEM_HEADERS_AMBIGUOUS, HEADER_1_OFFSET,
				  "headers 1 and 2: both have sequence number %" PRIu64
				  " and they differ (expected one greater than the other)",
				  a);
		return NO_HEADER;
	}
	vhdx_image_report(image, PROBLEM_HEADERS_IDENTICAL, HEADER_1_OFFSET,
			  "headers 1 and 2 are the same, with sequence number %" PRIu64, a);
	return 0;
}

static unsigned choose(struct image *image, const struct header_disk disks[2])
{
	bool first = header_is_valid(&image->headers[0]);
	bool second = header_is_valid(&image->headers[1]);

	if (first && second)
		return choose_of_two(image, disks);
	if (first || second)
		return first ? 0 : 1;
	vhdx_image_report(image, PROBLEM_HEADERS_BOTH_BAD, HEADER_1_OFFSET,
			  "headers 1 and 2: neither is valid (expected at least one)");
	return NO_HEADER;
}

static void check_guids(struct image *image)
{
	const struct header *a = &image->headers[0];
	const struct header *b = &image->headers[1];

	if (header_is_valid(a) && header_is_valid(b) &&
	    (!guid_equal(&a->data_write_guid, &b->data_write_guid) ||
	     !guid_equal(&a->file_write_guid, &b->file_write_guid)))
		vhdx_image_report(
			image, PROBLEM_HEADER_GUIDS_DIFFER, header_offset(!image->current),
			"headers 1 and 2 carry different write GUIDs; those of header %u count",
			image->current + 1);
}

static void check_current(struct image *image)
{
	const struct header *header = &image->headers[image->current];
	uint64_t at = header_offset(image->current);

	if (header->version != HEADER_VERSION)
		vhdx_image_report(image, PROBLEM_HEADER_VERSION,
				  at + offsetof(struct header_disk, version),
				  "header %u: Version is %u (expected %u)", image->current + 1,
				  header->version, HEADER_VERSION);
	if (header->sequence_number == UINT64_MAX)
		vhdx_image_report(image, PROBLEM_HEADER_SEQUENCE_END,
				  at + offsetof(struct header_disk, sequence_number),
				  "header %u: sequence number is %" PRIu64
				  " (expected one that can still grow)",
				  image->current + 1, header->sequence_number);
	check_guids(image);
}

int vhdx_image_load_headers(struct image *image)
{
	struct header_disk disks[2];

	for (unsigned slot = 0; slot < 2; slot++) {
		int ret = vhdx_io_read(image->file, &disks[slot], sizeof(disks[slot]),
				       header_offset(slot));

		if (ret)
			return vhdx_fail_errno(ret, image->name, "header %u cannot be read",
					       slot + 1);
		vhdx_header_decode(&disks[slot], sizeof(disks[slot]), &image->headers[slot]);
		report_invalid(image, slot);
	}
	image->current = choose(image, disks);
	if (image->current == NO_HEADER)
		return 0;
	image->known |= VHDX_KNOWN_HEADER;
	check_current(image);
	return 0;
}

int vhdx_headers_check_number(const struct image *image, unsigned updates)
{
	uint64_t number = image->headers[image->current].sequence_number;

	if (number <= UINT64_MAX - updates)
		return 0;
	return vhdx_fail(
		-EUCLEAN, PROBLEM_HEADER_SEQUENCE_END, image->name,
		header_offset(image->current) + offsetof(struct header_disk, sequence_number),
		"header %u: sequence number is %" PRIu64 " (expected one that can grow by %u)",
		image->current + 1, number, updates);
}

int vhdx_headers_put(struct image *image, unsigned slot, const struct header *contents,
		     uint64_t number)
{
	struct header next = *contents;
	uint8_t disk[HEADER_SIZE];

	next.sequence_number = number;
	vhdx_header_encode(&next, disk, sizeof(disk));
	int ret = vhdx_io_write(image->file, disk, sizeof(disk), header_offset(slot));

	if (ret)
		return vhdx_fail_io(ret, image->name, header_offset(slot),
				    "header %u cannot be written", slot + 1);
	vhdx_header_decode(disk, sizeof(disk), &image->headers[slot]);
	image->current = slot;
	image->header_unflushed = true;
	image->log = (struct log_place){next.log_offset, next.log_length, next.log_guid};
	return 0;
}

int vhdx_headers_update(struct image *image, const struct header *contents)
{
	int ret = vhdx_headers_check_number(image, 1);

	if (!ret && image->header_unflushed && OBEYS(RULE_OTHER_HEADER_DURABLE))
		ret = vhdx_image_flush(image);
	if (ret)
		return ret;
	return vhdx_headers_put(image, !image->current, contents,
				image->headers[image->current].sequence_number + 1);
}
