/* SPDX-License-Identifier: MIT */
/* Writes entries into the log's ring (F 4.1, F 4.6), and knows which of its space may be overwritten. */
#ifndef VHDX_META_LOGRING_H
#define VHDX_META_LOGRING_H

#include "meta/image.h"
#include "meta/transaction.h"

struct log_ring {
	struct image *image;
	uint64_t sequence_number; /* of the next entry */
	uint32_t head;		  /* where that begins */
	uint32_t
		durable_tail; /* what lies from here to the head is what a reader would find on disk */
};

/* An entry as it is written. */
struct ring_entry {
	const struct capture *capture; /* NULL: an empty entry */
	uint32_t tail;		       /* the oldest entry that is still needed */
	bool is_tail;		       /* the entry itself is */
	uint64_t last_file_offset;

	/* Set by the write */
	uint32_t position;
	uint32_t length;
};

void vhdx_log_ring_init(struct log_ring *ring, struct image *image);

/* Bytes of an entry of @count pages. */
uint32_t vhdx_log_ring_entry_length(unsigned count);

/*
 * Bytes that an entry with pages may take, when no other entries are needed than those from @tail on:
 * one sector stays for the empty entry that frees a full log.
 */
uint32_t vhdx_log_ring_room(const struct log_ring *ring, uint32_t tail);

/*
 * Writes an entry at the head, which moves on only when that succeeds; flushes nothing. An empty one
 * may take the last sector. -ENOMEM, or as the storage fails.
 */
int vhdx_log_ring_write(struct log_ring *ring, struct ring_entry *entry);

/* That entry, the last, is durable. */
void vhdx_log_ring_durable(struct log_ring *ring, const struct ring_entry *entry);

#endif
