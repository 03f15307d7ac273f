/* SPDX-License-Identifier: MIT */
/* Sectors with the history of their contents. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crash/model.h"

#define MAGIC ((uint64_t)0x2178646876626c) /* "lbvhdx!" */

/* Of longer ranges that become zeros both ends are compared, besides what was written in them. */
#define LONG_RANGE     ((uint64_t)128 << 10)
#define LONG_RANGE_END ((uint64_t)2 << 10)

/* A content that a sector was given: all of it, or its bytes @from to @to only. */
struct version {
	const struct model_change *change; /* NULL: settled at @time */
	uint64_t time;
	uint16_t from;
	uint16_t to;
	uint8_t *bytes; /* whole, as of then */
	bool owned;	/* not of the change's buffer */
};

struct model_sector {
	uint64_t number;
	struct version *versions;
	size_t count; /* 0: the slot of the table is free */
};

static void *get_memory(void *old, size_t size)
{
	void *memory = realloc(old, size);

	if (!memory)
		abort();
	return memory;
}

#define GROW(array, count) \
	((array) = get_memory((array), ((count) + 1) * sizeof(*(array))), &(array)[(count)++])

void model_init(struct model *model, uint64_t disk_size, uint64_t parent_filled)
{
	*model = (struct model){.disk_size = disk_size, .parent_filled = parent_filled};
	pthread_mutex_init(&model->lock, NULL);
}

static void free_versions(struct model_sector *sector)
{
	for (size_t i = 0; i < sector->count; i++)
		if (sector->versions[i].owned)
			free(sector->versions[i].bytes);
	free(sector->versions);
	*sector = (struct model_sector){0};
}

static void forget(struct model *model)
{
	for (size_t i = 0; i < model->sector_room; i++)
		free_versions(&model->sectors[i]);
	free(model->sectors);
	for (size_t i = 0; i < model->change_count; i++) {
		free(model->changes[i]->bytes);
		free(model->changes[i]);
	}
	free(model->changes);
	free(model->flushes);
	free(model->sessions);
	model->sectors = NULL;
	model->changes = NULL;
	model->flushes = NULL;
	model->sessions = NULL;
	model->sector_count = model->sector_room = 0;
	model->change_count = model->flush_count = model->session_count = 0;
}

void model_free(struct model *model)
{
	forget(model);
	for (size_t i = 0; i < model->range_count; i++) {
		free(model->ranges[i].initial);
		free(model->ranges[i].sectors);
	}
	free(model->ranges);
	pthread_mutex_destroy(&model->lock);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = (a ^ b * 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;

	return x ^ x >> 31;
}

void model_pattern(enum origin origin, uint64_t generation, uint64_t sector,
		   uint8_t ret_bytes[ATOM])
{
	uint64_t words[ATOM / 8] = {MAGIC, sector, generation << 8 | origin};

	for (size_t i = 3; i < ATOM / 8; i++)
		words[i] = mix(sector + ((uint64_t)i << 48), words[2]);
	memcpy(ret_bytes, words, ATOM);
}

bool model_is_pattern(const uint8_t bytes[ATOM])
{
	uint64_t word;

	memcpy(&word, bytes, sizeof(word));
	return word == MAGIC;
}

void model_describe(const uint8_t bytes[ATOM], char *ret_text, size_t size)
{
	static const char *const origins[] = {"?", "the disk", "the parent", "the judge",
					      "leftover space"};
	uint8_t pattern[ATOM];
	uint64_t words[3];
	size_t same = 0;

	memcpy(words, bytes, sizeof(words));
	unsigned origin = (unsigned)(words[2] & 0xff);

	if (!bytes[0] && !memcmp(bytes, bytes + 1, ATOM - 1)) {
		snprintf(ret_text, size, "zeros");
		return;
	}
	if (words[0] != MAGIC || origin > ORIGIN_LEFTOVER) {
		snprintf(ret_text, size, "foreign bytes %02x %02x %02x %02x", bytes[0], bytes[1],
			 bytes[2], bytes[3]);
		return;
	}
	model_pattern((enum origin)origin, words[2] >> 8, words[1], pattern);
	while (same < ATOM && bytes[same] == pattern[same])
		same++;
	snprintf(ret_text, size, "sector %" PRIu64 ", generation %" PRIu64 ", of %s%s", words[1],
		 words[2] >> 8, origins[origin], same < ATOM ? ", in part" : "");
}

static bool begins_as_parent(const struct model *model, uint64_t number)
{
	uint64_t at = number * ATOM;

	return at < model->parent_filled && (at < model->hidden_from || at >= model->hidden_to);
}

/* What a sector held before all changes. */
static void initial_contents(const struct model *model, uint64_t number, uint8_t ret_bytes[ATOM])
{
	if (begins_as_parent(model, number))
		model_pattern(ORIGIN_PARENT, 1, number, ret_bytes);
	else
		memset(ret_bytes, 0, ATOM);
}

/* The sector's place in the table, or the free one where it belongs. */
static struct model_sector *find_slot(const struct model *model, uint64_t number)
{
	size_t at = (size_t)(mix(number, 7) % model->sector_room);

	while (model->sectors[at].count && model->sectors[at].number != number)
		at = (at + 1) % model->sector_room;
	return &model->sectors[at];
}

static struct model_sector *find_sector(const struct model *model, uint64_t number)
{
	struct model_sector *sector = model->sector_room ? find_slot(model, number) : NULL;

	return sector && sector->count ? sector : NULL;
}

static void grow_table(struct model *model)
{
	struct model old = *model;

	model->sector_room = old.sector_room * 2 + 1024;
	model->sectors = get_memory(NULL, model->sector_room * sizeof(*model->sectors));
	memset(model->sectors, 0, model->sector_room * sizeof(*model->sectors));
	for (size_t i = 0; i < old.sector_room; i++)
		if (old.sectors[i].count)
			*find_slot(model, old.sectors[i].number) = old.sectors[i];
	free(old.sectors);
}

/* The sector, with its initial contents as its first version if it is new. */
static struct model_sector *get_sector(struct model *model, uint64_t number)
{
	struct model_sector *sector = find_sector(model, number);

	if (sector)
		return sector;
	if (model->sector_count * 2 >= model->sector_room)
		grow_table(model);
	sector = find_slot(model, number);
	sector->number = number;
	struct version *version = GROW(sector->versions, sector->count);

	*version = (struct version){.to = ATOM, .bytes = get_memory(NULL, ATOM), .owned = true};
	initial_contents(model, number, version->bytes);
	model->sector_count++;
	return sector;
}

static void add_range(struct model *model, uint64_t offset, uint64_t length)
{
	struct model_range *range = GROW(model->ranges, model->range_count);
	uint64_t end = offset + length < model->disk_size ? offset + length : model->disk_size;

	*range = (struct model_range){.offset = offset / ATOM * ATOM};
	range->length = (end + ATOM - 1) / ATOM * ATOM - range->offset;
}

void model_watch(struct model *model, uint64_t offset, uint64_t length)
{
	pthread_mutex_lock(&model->lock);
	add_range(model, offset, length);
	pthread_mutex_unlock(&model->lock);
}

/* With the sectors before and behind it. */
static void add_change_ranges(struct model *model, uint64_t offset, uint64_t length, bool whole)
{
	uint64_t before = offset >= ATOM ? ATOM : 0;

	if (whole || length <= LONG_RANGE) {
		add_range(model, offset - before, before + length + ATOM);
		return;
	}
	add_range(model, offset - before, before + LONG_RANGE_END);
	add_range(model, offset + length - LONG_RANGE_END, LONG_RANGE_END + ATOM);
}

/* Gives one sector of a change its part of it. */
static void change_sector(struct model *model, struct model_change *change, uint64_t number,
			  const uint8_t *content)
{
	uint64_t start = number * ATOM, end = change->offset + change->length;
	struct version version = {
		.change = change,
		.from = (uint16_t)(change->offset > start ? change->offset - start : 0),
		.to = (uint16_t)(end < start + ATOM ? end - start : ATOM),
		.bytes = change->bytes + (start - change->offset / ATOM * ATOM),
	};
	struct model_sector *sector = get_sector(model, number);

	memcpy(version.bytes, sector->versions[sector->count - 1].bytes, ATOM);
	memcpy(version.bytes + version.from, content + version.from, version.to - version.from);
	*GROW(sector->versions, sector->count) = version;
}

/* Zeros that become zeros need no history. */
static bool stays_zero(const struct model *model, uint64_t number)
{
	return !begins_as_parent(model, number) && !find_sector(model, number);
}

struct model_change *model_begin(struct model *model, uint64_t begin, uint64_t offset,
				 uint64_t length, uint8_t **ret_data)
{
	struct model_change *change = get_memory(NULL, sizeof(*change));
	uint64_t first = offset / ATOM, end = (offset + length + ATOM - 1) / ATOM;
	uint8_t content[ATOM] = {0};

	*change = (struct model_change){offset, length, begin, NEVER, NULL};
	change->bytes = get_memory(NULL, (size_t)((end - first) * ATOM));
	pthread_mutex_lock(&model->lock);
	uint64_t generation = ++model->generation;

	for (uint64_t number = first; number < end; number++) {
		if (ret_data)
			model_pattern(ORIGIN_DISK, generation, number, content);
		else if (stays_zero(model, number))
			continue;
		change_sector(model, change, number, content);
	}
	add_change_ranges(model, offset, length, ret_data);
	*GROW(model->changes, model->change_count) = change;
	pthread_mutex_unlock(&model->lock);
	if (ret_data) {
		*ret_data = get_memory(NULL, (size_t)length);
		memcpy(*ret_data, change->bytes + offset % ATOM, (size_t)length);
	}
	return change;
}

void model_end(struct model *model, struct model_change *change, uint64_t end)
{
	pthread_mutex_lock(&model->lock);
	change->end = end;
	pthread_mutex_unlock(&model->lock);
}

char *model_settle(struct model *model, uint64_t time, uint64_t offset, uint64_t length,
		   const uint8_t *bytes)
{
	char *fault = NULL, text[120];

	pthread_mutex_lock(&model->lock);
	for (uint64_t at = offset / ATOM * ATOM; at < offset + length && !fault; at += ATOM) {
		if (stays_zero(model, at / ATOM))
			continue;
		struct model_sector *sector = get_sector(model, at / ATOM);
		const struct version *newest = &sector->versions[sector->count - 1];
		const struct version *before = newest - (sector->count > 1);
		const uint8_t *found = bytes + (at - offset / ATOM * ATOM);
		struct version settled = {.time = time, .to = ATOM, .owned = true};

		if (memcmp(found, newest->bytes, ATOM) && memcmp(found, before->bytes, ATOM)) {
			model_describe(found, text, sizeof(text));
			if (asprintf(&fault, "sector %" PRIu64 " reads as %s", at / ATOM, text) < 0)
				abort();
			break;
		}
		settled.bytes = get_memory(NULL, ATOM);
		memcpy(settled.bytes, found, ATOM);
		*GROW(sector->versions, sector->count) = settled;
	}
	pthread_mutex_unlock(&model->lock);
	return fault;
}

void model_revert(struct model *model, uint64_t time, uint64_t offset, uint64_t length)
{
	pthread_mutex_lock(&model->lock);
	for (uint64_t number = offset / ATOM; number < (offset + length) / ATOM; number++) {
		struct model_sector *sector = find_sector(model, number);
		struct version reverted = {.time = time, .to = ATOM, .owned = true};

		if (!sector)
			continue;
		reverted.bytes = get_memory(NULL, ATOM);
		initial_contents(model, number, reverted.bytes);
		*GROW(sector->versions, sector->count) = reverted;
	}
	*GROW(model->flushes, model->flush_count) = (struct model_flush){time, time};
	pthread_mutex_unlock(&model->lock);
}

void model_flush(struct model *model, uint64_t begin, uint64_t end)
{
	pthread_mutex_lock(&model->lock);
	*GROW(model->flushes, model->flush_count) = (struct model_flush){begin, end};
	pthread_mutex_unlock(&model->lock);
}

void model_session(struct model *model, uint64_t begin, const struct vhdx_info *info)
{
	pthread_mutex_lock(&model->lock);
	*GROW(model->sessions, model->session_count) = (struct model_session){
		.begin = begin, .at_start = info->data_write_guid, .size = info->virtual_size};
	pthread_mutex_unlock(&model->lock);
}

void model_newest(struct model *model, uint8_t *buf, uint64_t length, uint64_t offset)
{
	uint8_t bytes[ATOM];

	pthread_mutex_lock(&model->lock);
	for (uint64_t at = offset; at < offset + length;) {
		const struct model_sector *sector = find_sector(model, at / ATOM);
		uint64_t left = offset + length - at, part = ATOM - at % ATOM;

		part = part < left ? part : left;
		if (sector)
			memcpy(bytes, sector->versions[sector->count - 1].bytes, ATOM);
		else
			initial_contents(model, at / ATOM, bytes);
		memcpy(buf + (at - offset), bytes + at % ATOM, (size_t)part);
		at += part;
	}
	pthread_mutex_unlock(&model->lock);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct model_range *left = a, *right = b;

	return (left->offset > right->offset) - (left->offset < right->offset);
}

static void merge_ranges(struct model *model)
{
	size_t count = 0;

	qsort(model->ranges, model->range_count, sizeof(*model->ranges), compare_ranges);
	for (size_t i = 0; i < model->range_count; i++) {
		struct model_range *range = &model->ranges[i];
		struct model_range *last = count ? &model->ranges[count - 1] : NULL;

		free(range->initial);
		free(range->sectors);
		range->initial = NULL;
		range->sectors = NULL;
		if (!last || last->offset + last->length < range->offset)
			model->ranges[count++] = *range;
		else if (last->offset + last->length < range->offset + range->length)
			last->length = range->offset + range->length - last->offset;
	}
	model->range_count = count;
}

void model_freeze(struct model *model)
{
	merge_ranges(model);
	model->total = 0;
	for (size_t i = 0; i < model->range_count; i++) {
		struct model_range *range = &model->ranges[i];

		range->initial = get_memory(NULL, (size_t)range->length);
		range->sectors = get_memory(NULL, range->length / ATOM * sizeof(*range->sectors));
		for (uint64_t at = 0; at < range->length; at += ATOM) {
			uint64_t number = (range->offset + at) / ATOM;

			initial_contents(model, number, range->initial + at);
			range->sectors[at / ATOM] = find_sector(model, number);
		}
		model->total += range->length;
	}
}

void model_adopt(struct model *model, const uint8_t *contents)
{
	forget(model);
	for (size_t i = 0; i < model->range_count; i++) {
		const struct model_range *range = &model->ranges[i];

		for (uint64_t at = 0; at < range->length; at += ATOM, contents += ATOM) {
			if (!memcmp(contents, range->initial + at, ATOM))
				continue;
			struct model_sector *sector =
				get_sector(model, (range->offset + at) / ATOM);

			memcpy(sector->versions[0].bytes, contents, ATOM);
		}
	}
}

/* ---- Judging ---- */

static uint64_t version_begin(const struct version *version)
{
	return version->change ? version->change->begin : version->time;
}

static uint64_t version_end(const struct version *version)
{
	return version->change ? version->change->end : version->time;
}

/* The time before which everything that had ended is durable at @crash. */
static uint64_t durable_time(const struct model *model, uint64_t crash)
{
	uint64_t durable = 0;

	for (size_t i = 0; i < model->flush_count; i++)
		if (model->flushes[i].end <= crash && model->flushes[i].begin > durable)
			durable = model->flushes[i].begin;
	return durable;
}

/* Whether the bytes are @base with any of the versions from @next on laid over it, in their order. */
static bool composed_of(const struct model_sector *sector, size_t next, uint64_t crash,
			const uint8_t *base, const uint8_t *found)
{
	uint8_t with[ATOM];

	if (!memcmp(base, found, ATOM))
		return true;
	for (; next < sector->count; next++) {
		const struct version *version = &sector->versions[next];

		if (version_begin(version) > crash)
			return false;
		memcpy(with, base, ATOM);
		memcpy(with + version->from, version->bytes + version->from,
		       version->to - version->from);
		if (composed_of(sector, next + 1, crash, with, found))
			return true;
	}
	return false;
}

/* Whether a sector may hold these bytes, when what had ended at @durable is. */
static bool permitted(const struct model_sector *sector, uint64_t crash, uint64_t durable,
		      const uint8_t *found)
{
	size_t flushed = 0;

	for (size_t i = sector->count; i-- > 0;) {
		const struct version *version = &sector->versions[i];

		/* Whole contents are the common case. */
		if (version_begin(version) <= crash && version_end(version) > durable &&
		    version->to - version->from == ATOM && !memcmp(version->bytes, found, ATOM))
			return true;
		if (version_end(version) <= durable) {
			flushed = i;
			break;
		}
	}
	return composed_of(sector, flushed + 1, crash, sector->versions[flushed].bytes, found);
}

static char *fault_of(const struct model *model, const struct model_sector *sector, uint64_t number,
		      uint64_t durable, const uint8_t *found)
{
	char has[120], had[120];
	size_t flushed = 0;
	char *text;

	(void)model;
	model_describe(found, has, sizeof(has));
	for (size_t i = 0; sector && i < sector->count; i++)
		if (version_end(&sector->versions[i]) <= durable)
			flushed = i;
	if (sector)
		model_describe(sector->versions[flushed].bytes, had, sizeof(had));
	else
		snprintf(had, sizeof(had), "what it held at first, for it was never changed");
	if (asprintf(&text, "sector %" PRIu64 " holds %s; durable was %s, changed %zu times since",
		     number, has, had, sector ? sector->count - 1 - flushed : 0) < 0)
		abort();
	return text;
}

/* The version that a sector had when a session began. */
static const uint8_t *contents_at(const struct model_sector *sector, uint64_t time)
{
	const uint8_t *bytes = sector->versions[0].bytes;

	for (size_t i = 1; i < sector->count && version_end(&sector->versions[i]) <= time; i++)
		bytes = sector->versions[i].bytes;
	return bytes;
}

static char *judge_guid(struct model *model, struct model_session *session, uint64_t crash,
			bool differs, const struct vhdx_guid *guid)
{
	bool begun = sizes_changed(&model->sizes, session->begin, crash);
	for (size_t i = 0; i < model->change_count; i++)
		begun |= model->changes[i]->begin > session->begin &&
			 model->changes[i]->begin <= crash;
	if (!memcmp(guid, &session->at_start, sizeof(*guid)))
		return differs ? strdup("the contents changed under the old DataWriteGuid") : NULL;
	if (!begun)
		return strdup("DataWriteGuid changed before the guest changed anything");
	if (session->has_changed && memcmp(guid, &session->changed, sizeof(*guid)))
		return strdup("DataWriteGuid changed twice in a session");
	session->changed = *guid;
	session->has_changed = true;
	return NULL;
}

char *model_judge(struct model *model, uint64_t crash, const uint8_t *contents,
		  const struct vhdx_info *info)
{
	uint64_t durable = durable_time(model, crash);
	struct model_session *session = NULL;
	bool differs = false;

	for (size_t i = 0; i < model->session_count; i++)
		if (model->sessions[i].begin <= crash)
			session = &model->sessions[i];
	for (size_t i = 0; i < model->range_count; i++) {
		const struct model_range *range = &model->ranges[i];

		for (uint64_t at = 0; at < range->length; at += ATOM, contents += ATOM) {
			uint64_t number = (range->offset + at) / ATOM;
			const struct model_sector *sector = range->sectors[at / ATOM];

			if (sector ? !permitted(sector, crash, durable, contents)
				   : memcmp(contents, range->initial + at, ATOM))
				return fault_of(model, sector, number, durable, contents);
			differs |= sector && session &&
				   memcmp(contents, contents_at(sector, session->begin), ATOM);
		}
	}
	char *fault = sizes_judge(&model->sizes, crash, info->virtual_size);

	if (fault || !session)
		return fault;
	differs |= info->virtual_size != session->size;
	return judge_guid(model, session, crash, differs, &info->data_write_guid);
}
