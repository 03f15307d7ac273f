/* SPDX-License-Identifier: MIT */
/* Every valid entry of a log, and the active sequence among them (F 4.2, F 4.3). */
#ifndef VHDX_META_LOGSCAN_H
#define VHDX_META_LOGSCAN_H

#include "format/logentry.h"

/* A valid entry, and where it stands in its log. */
struct log_span {
	uint32_t position; /* from the start of the log */
	uint32_t length;
	uint32_t tail;
	uint32_t descriptor_count;
	uint64_t sequence_number;
	uint64_t flushed_file_offset;
	uint64_t last_file_offset;
	struct vhdx_guid guid; /* of its session */
};

struct log_scan {
	struct log_span *spans; /* by position */
	size_t count;
	uint32_t *active;    /* indexes of spans, from the tail's to the head's */
	size_t active_count; /* 0: there is no complete sequence */
};

/* Reads the whole log of at most MAX_LOG_LENGTH, in time linear in it. -ENOMEM, or as the storage fails. */
int vhdx_log_scan(const struct vhdx_io *io, const struct log_place *log, struct log_scan *ret_scan);

/* Told of one session: what vhdx_log_scan finds for its LogGuid, valid during the call. Not 0 ends the walk. */
typedef int log_session_visitor(void *opaque, const struct log_place *session,
				const struct log_scan *scan);

/*
 * Visits every session of which valid entries are left in a log, whatever the GUID of @log. Errors are
 * the visitor's, -ENOMEM, or as the storage fails.
 */
int vhdx_log_walk_sessions(const struct vhdx_io *io, const struct log_place *log,
			   log_session_visitor *visit, void *opaque);

/* Descriptors of the active sequence. */
uint64_t vhdx_log_scan_changes(const struct log_scan *scan);

void vhdx_log_scan_free(struct log_scan *scan);

/* A window on the log's sectors, over its wrap. */
struct log_reader {
	const struct vhdx_io *io;
	const struct log_place *log;
	uint8_t *window;
	uint64_t start; /* of the log, of what the window holds */
	uint64_t held;
};

int vhdx_log_reader_open(const struct vhdx_io *io, const struct log_place *log,
			 struct log_reader *ret_reader);
void vhdx_log_reader_close(struct log_reader *reader);

/* The sector at @position, taken modulo the log's length; valid until the next call. NULL: *ret_error. */
const uint8_t *vhdx_log_reader_sector(struct log_reader *reader, uint64_t position, int *ret_error);

/* The descriptor sector @index of an entry begins with that descriptor; *ret_count of them follow. */
const struct log_descriptor_disk *vhdx_log_descriptors(const uint8_t *sector, uint64_t index,
						       uint32_t total, uint32_t *ret_count);

/* A change that an entry makes. */
struct logged_change {
	struct log_descriptor descriptor;
	uint64_t descriptor_at; /* in the file */
	uint64_t sector_at;	/* in the file, of its data sector */
};

/* Another value than 0 ends the walk, which returns it. */
typedef int logged_change_visitor(void *opaque, const struct logged_change *change);

/*
 * Visits the changes of a valid entry, in their order. -EIO when the log changed since it was found
 * valid; or as the storage or the visitor fails.
 */
int vhdx_log_walk_changes(struct log_reader *reader, const struct log_span *span,
			  logged_change_visitor *visit, void *opaque);

#endif
