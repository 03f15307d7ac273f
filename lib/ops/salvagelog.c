/* SPDX-License-Identifier: MIT */
/* What the log of a ruined image still tells, with a header to say which of its sessions counts or without. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/guid.h"
#include "base/zeros.h"
#include "meta/replay.h"
#include "ops/hunt.h"
#include "ops/logeffect.h"
#include "ops/salvage.h"
#include "store/overlay.h"

#define MAX_SESSIONS  16u	  /* more are not looked at */
#define MAX_FOUND_LOG (64 * MIB)  /* of a log that no header tells of */
#define MAX_SEARCHED  (256 * MIB) /* of data, for such a log: writers put it first */
#define LOG_GAP	      (4 * MIB)	  /* without an entry, which ends it */

/* The sessions whose entries stand in a log, by the place of their first one. */
struct sessions {
	struct vhdx_guid guids[MAX_SESSIONS];
	unsigned count;
};

static void add_session(struct sessions *sessions, const struct vhdx_guid *guid)
{
	for (unsigned i = 0; i < sessions->count; i++)
		if (guid_equal(&sessions->guids[i], guid))
			return;
	if (sessions->count < MAX_SESSIONS && !guid_is_zero(guid))
		sessions->guids[sessions->count++] = *guid;
}

static bool begins_entry(const uint8_t *sector)
{
	return !memcmp(sector, LOG_ENTRY_SIGNATURE, sizeof(LOG_ENTRY_SIGNATURE) - 1);
}

static int list_sessions(const struct vhdx_io *io, const struct log_place *log,
			 struct sessions *ret_sessions)
{
	struct log_reader reader;
	int ret = vhdx_log_reader_open(io, log, &reader);

	*ret_sessions = (struct sessions){.count = 0};
	for (uint64_t at = 0; at < log->length && !ret; at += LOG_SECTOR_SIZE) {
		const uint8_t *sector = vhdx_log_reader_sector(&reader, at, &ret);
		const struct log_entry_disk *entry = (const void *)sector;

		if (sector && begins_entry(sector))
			add_session(ret_sessions, &entry->log_guid);
	}
	vhdx_log_reader_close(&reader);
	return ret;
}

/* ---- Where it is ---- */

/* Where the log would begin that the entry at @place is of, by its tail: that is its own place, mostly. */
static uint64_t start_by_tail(const uint8_t *sector, uint64_t place)
{
	const struct log_entry_disk *disk = (const void *)sector;
	uint64_t tail = le32_get(disk->tail);

	if (tail > place || place - tail < HEADER_SECTION_SIZE || !is_aligned(place - tail, MIB))
		return 0;
	return place - tail;
}

struct log_hunt {
	const struct salvage *s;
	uint8_t *buf;
	uint64_t looked_at; /* MiB */
	uint64_t first;	    /* MiB that has an entry; 0: none yet */
	uint64_t last;
	uint64_t start; /* by a tail; 0: none tells */
};

static int look_for_entries(void *opaque, uint64_t offset)
{
	struct log_hunt *hunt = opaque;
	int ret = vhdx_io_read(&hunt->s->file, hunt->buf, MIB, offset);

	if (ret)
		return vhdx_fail_io(ret, hunt->s->name, offset, "cannot be searched for a log");
	for (uint64_t at = 0; at < MIB; at += LOG_SECTOR_SIZE) {
		if (!begins_entry(hunt->buf + at))
			continue;
		if (!hunt->first)
			hunt->first = offset;
		hunt->last = offset;
		if (!hunt->start)
			hunt->start = start_by_tail(hunt->buf + at, offset + at);
	}
	if (hunt->first && offset - hunt->last > LOG_GAP)
		return 1;
	return ++hunt->looked_at * MIB >= MAX_SEARCHED;
}

/* From its first MiB with entries, or where their tails say, to the last. */
int vhdx_salvage_find_log(struct salvage *s, bool *ret_found)
{
	auto_free uint8_t *buf = malloc(MIB);
	struct log_hunt hunt = {.s = s, .buf = buf};

	if (!buf)
		return vhdx_fail_memory();
	int ret = vhdx_hunt_places(&s->file, s->name, HEADER_SECTION_SIZE, s->image.file_size,
				   look_for_entries, &hunt);

	*ret_found = ret >= 0 && hunt.first;
	if (!*ret_found)
		return ret < 0 ? ret : 0;
	uint64_t start = hunt.start && hunt.start < hunt.first ? hunt.start : hunt.first;
	uint64_t length = min_u64(hunt.last + MIB - start, MAX_FOUND_LOG);

	s->image.log = (struct log_place){.offset = start, .length = (uint32_t)length};
	return 0;
}

/* ---- A replay without a header ---- */

/* 1, with the view, when the session can be replayed and changes something. */
static int try_session(struct salvage *s, struct vhdx_io *ret_view, uint64_t *ret_size)
{
	struct log_effect effect = {.file = &s->file, .name = s->name};
	struct fault fault = {0};
	struct log_scan scan;
	int ret = vhdx_log_scan(&s->file, &s->image.log, &scan);

	if (ret)
		return ret;
	if (scan.active_count)
		ret = vhdx_replay_view(&s->file, s->image.file_size, &s->image.log, &scan, ret_view,
				       ret_size, &fault);
	if (!ret && scan.active_count)
		ret = vhdx_log_changes_anything(&effect, ret_view, &s->image.log, &scan);
	vhdx_log_scan_free(&scan);
	return ret == -EUCLEAN ? 0 : ret;
}

/*
 * Writers begin a session at the start of the log, so the newest is that of the first entry. Older ones must
 * not be replayed, though they may be complete still, and say something else than what is there.
 */
int vhdx_salvage_replay(struct salvage *s)
{
	struct vhdx_io view = {0};
	struct sessions sessions;
	uint64_t size;
	int ret = list_sessions(&s->file, &s->image.log, &sessions);

	if (ret || !sessions.count)
		return ret;
	s->result.log_offset = s->image.log.offset;
	s->image.log.guid = sessions.guids[0];
	ret = try_session(s, &view, &size);
	if (ret <= 0) {
		vhdx_io_close(&view);
		fact_set(&s->result.log_fact, VHDX_SALVAGE_BY_SIGNATURE,
			 "its newest session has nothing to replay");
		return ret;
	}
	s->image.replayed = view;
	s->image.view = &s->image.replayed;
	image_set_view_size(&s->image, size);
	s->order_is_guessed = true;
	s->guess = "a log was replayed that no header names";
	fact_set(&s->result.log_fact, VHDX_SALVAGE_BY_GUESS,
		 "its newest session was replayed, for it changes something");
	return 0;
}

/* ---- Pages of the BAT ---- */

struct page_hunt {
	const struct salvage *s;
	bool is_gone;
	struct overlay_change *pages; /* of each page of the BAT, the newest; length 0: none */
	uint64_t count;
	unsigned session;	/* from 1 on ... */
	uint8_t *sessions_seen; /* ... that each page's image is of */
};

/* Of one session, later entries are newer; sessions before count more. */
static int take_page(void *opaque, const struct logged_change *change)
{
	struct page_hunt *hunt = opaque;
	const struct log_descriptor *page = &change->descriptor;
	uint64_t start = hunt->s->image.bat.file_offset;

	if (page->is_zero || page->file_offset < start)
		return 0;
	uint64_t index = (page->file_offset - start) / PAGE_SIZE;

	if (index >= hunt->count ||
	    (hunt->sessions_seen[index] && hunt->sessions_seen[index] < hunt->session))
		return 0;
	hunt->sessions_seen[index] = (uint8_t)hunt->session;
	hunt->pages[index] = (struct overlay_change){
		.offset = page->file_offset,
		.length = page->length,
		.descriptor = change->descriptor_at,
		.sector = change->sector_at,
	};
	return 0;
}

static int compare_sequence(const void *a, const void *b)
{
	const struct log_span *x = a;
	const struct log_span *y = b;

	return (x->sequence_number > y->sequence_number) -
	       (x->sequence_number < y->sequence_number);
}

static int take_session(struct page_hunt *hunt, const struct log_place *log)
{
	struct log_scan scan;
	struct log_reader reader;
	int ret = vhdx_log_scan(&hunt->s->file, log, &scan);

	if (ret)
		return ret;
	if (scan.count)
		qsort(scan.spans, scan.count, sizeof(*scan.spans), compare_sequence);
	ret = vhdx_log_reader_open(&hunt->s->file, log, &reader);
	for (size_t i = 0; i < scan.count && !ret; i++)
		ret = vhdx_log_walk_changes(&reader, &scan.spans[i], take_page, hunt);
	vhdx_log_reader_close(&reader);
	vhdx_log_scan_free(&scan);
	return ret;
}

/* Most entries of a bad page mean nothing. */
static bool page_is_bad(const struct salvage *s, const uint8_t *page)
{
	uint64_t filled = 0;
	uint64_t bad = 0;

	for (unsigned i = 0; i < PAGE_SIZE / BAT_ENTRY_SIZE; i++) {
		uint64_t entry = le64_get(((const struct le64 *)(const void *)page)[i]);

		filled += entry != 0;
		bad += entry && vhdx_salvage_entry_is_garbage(s, entry);
	}
	return bad && bad * 2 >= filled;
}

/* Leaves of the images those of pages that need them; *ret_used is their number. */
static int keep_needed(struct page_hunt *hunt, uint64_t *ret_used)
{
	const struct salvage *s = hunt->s;
	uint64_t used = 0;

	for (uint64_t i = 0; i < hunt->count; i++) {
		uint8_t page[PAGE_SIZE];

		if (!hunt->sessions_seen[i])
			continue;
		int ret = vhdx_io_read(s->image.view, page, sizeof(page),
				       s->image.bat.file_offset + i * PAGE_SIZE);
		if (ret)
			return vhdx_fail_errno(ret, s->name, "the BAT cannot be read");
		if (page_is_bad(s, page) || (hunt->is_gone && vhdx_is_zeros(page, sizeof(page))))
			hunt->pages[used++] = hunt->pages[i];
	}
	*ret_used = used;
	return 0;
}

static int collect(struct page_hunt *hunt, uint64_t *ret_used)
{
	struct log_place log = hunt->s->image.log;
	struct sessions sessions;
	int ret = list_sessions(&hunt->s->file, &log, &sessions);

	for (unsigned i = 0; i < sessions.count && !ret; i++) {
		hunt->session = i + 1;
		log.guid = sessions.guids[i];
		ret = take_session(hunt, &log);
	}
	return ret ? ret : keep_needed(hunt, ret_used);
}

int vhdx_salvage_log_pages(struct salvage *s, bool is_gone, uint64_t *ret_used)
{
	uint64_t count = min_u64(s->image.bat.length, MAX_BAT_LENGTH) / PAGE_SIZE;
	auto_free uint8_t *seen = NULL;
	struct page_hunt hunt = {.s = s, .is_gone = is_gone, .count = count};

	*ret_used = 0;
	if (!s->image.log.length || s->image.log.length > MAX_LOG_LENGTH || !count)
		return 0;
	hunt.pages = calloc(count, sizeof(*hunt.pages));
	hunt.sessions_seen = seen = calloc(count, 1);
	int ret = hunt.pages && seen ? collect(&hunt, ret_used) : vhdx_fail_memory();

	if (ret || !*ret_used) {
		free(hunt.pages);
		return ret;
	}
	/* The overlay takes the pages over. */
	return vhdx_overlay_io(s->image.view, hunt.pages, (size_t)*ret_used,
			       image_view_size(&s->image), &s->paged);
}
