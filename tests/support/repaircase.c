/* SPDX-License-Identifier: MIT */
/* A small sound disk, or a child, that a test damages: what check finds, what repair does, and what is read then. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/memory.h"
#include "support/image.h"
#include "support/repaircase.h"

#define KIB_64		((uint64_t)64 << 10)
#define BAT_REGION	"2DC27766-F623-4200-9D64-115E9BFD4A08"
#define METADATA_REGION "8B7CA206-4790-4B9A-B8FE-575F050F886E"

static struct repair_case *new_case(void)
{
	struct repair_case *c = calloc(1, sizeof(*c));

	c->contents = calloc(1, CASE_SIZE);
	c->recorder.bytes = &c->file;
	c->io = recorder_io(&c->recorder);
	return c;
}

/* Bytes that tell where they belong, and of what disk they are. */
static void fill(struct repair_case *c, uint64_t offset, uint64_t length, unsigned salt)
{
	for (uint64_t at = offset; at < offset + length; at++)
		c->contents[at] = (uint8_t)(at / 512 * 7 + at + salt);
}

static uint64_t region(const struct repair_case *c, const char *guid)
{
	uint8_t wanted[16];
	uint8_t entry[32];

	put_guid(wanted, guid);
	for (uint64_t at = 3 * KIB_64 + 16;; at += sizeof(entry)) {
		sparse_read(&c->file, entry, sizeof(entry), at);
		if (!memcmp(entry, wanted, sizeof(wanted)))
			return get_number(entry + 16, 8);
	}
}

static void look_around(struct repair_case *c)
{
	c->table = region(c, METADATA_REGION);
	c->bat = region(c, BAT_REGION);
	recorder_clear(&c->recorder);
}

static void make_disk(struct repair_case *c, const struct vhdx_io *io)
{
	struct vhdx_create_options options = {
		.size = sizeof(options), .virtual_size = CASE_SIZE, .block_size = CASE_MIB};
	struct vhdx_open_options open = {.size = sizeof(open), .flags = VHDX_OPEN_WRITE};
	struct vhdx *disk;

	fill(c, CASE_MIB, 2 * CASE_MIB, 1);
	fill(c, 5 * CASE_MIB, CASE_MIB / 2, 2);
	assert_int_equal(vhdx_create_io(io, &options), 0);
	assert_int_equal(vhdx_open_io(io, &open, &disk), 0);
	assert_int_equal(vhdx_pwrite(disk, c->contents + CASE_MIB, 2 * CASE_MIB, CASE_MIB, 0), 0);
	assert_int_equal(
		vhdx_pwrite(disk, c->contents + 5 * CASE_MIB, CASE_MIB / 2, 5 * CASE_MIB, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
}

int repair_case_make(void **state)
{
	struct repair_case *c = new_case();

	make_disk(c, &c->io);
	look_around(c);
	*state = c;
	return 0;
}

/* Of block 2 of its parent it has a few sectors, of block 4 everything. */
int repair_case_make_child(void **state)
{
	struct repair_case *c = new_case();
	struct recorder recorder = {.bytes = &c->parent};
	struct vhdx_io parent = recorder_io(&recorder);
	struct vhdx_io raw;
	struct vhdx_open_options open = {.size = sizeof(open)};
	struct vhdx_diff_options options = {
		.size = sizeof(options), .block_size = CASE_MIB, .relative_path = ".\\parent.vhdx"};
	struct vhdx *disk;

	make_disk(c, &parent);
	fill(c, 2 * CASE_MIB + 4096, 9 * 512, 3);
	fill(c, 4 * CASE_MIB, CASE_MIB, 4);
	assert_int_equal(vhdx_memory_io(c->contents, CASE_SIZE, &raw), 0);
	assert_int_equal(vhdx_open_io(&parent, &open, &disk), 0);
	struct vhdx_source contents = {.size = sizeof(contents), .io = &raw};

	assert_int_equal(vhdx_diff_io(disk, &contents, &c->io, &options), 0);
	vhdx_close(disk);
	raw.close(raw.opaque);
	recorder_clear(&recorder);
	look_around(c);
	*state = c;
	return 0;
}

int repair_case_drop(void **state)
{
	struct repair_case *c = *state;

	recorder_clear(&c->recorder);
	sparse_free(&c->parent);
	sparse_free(&c->file);
	free(c->contents);
	free(c);
	return 0;
}

/* ---- damage ---- */

void case_put(struct repair_case *c, uint64_t offset, uint64_t value, unsigned width)
{
	uint8_t bytes[8];

	put_number(bytes, value, 8);
	sparse_write(&c->file, bytes, width, offset);
}

uint64_t case_get(const struct repair_case *c, uint64_t offset, unsigned width)
{
	uint8_t bytes[8];

	sparse_read(&c->file, bytes, width, offset);
	return get_number(bytes, width);
}

unsigned case_entry_count(const struct repair_case *c)
{
	return (unsigned)case_get(c, c->table + 10, 2);
}

uint64_t case_entry(const struct repair_case *c, const char *guid)
{
	uint8_t wanted[16];
	uint8_t entry[32];

	put_guid(wanted, guid);
	for (unsigned i = 0; i < case_entry_count(c); i++) {
		uint64_t at = c->table + 32 + 32 * i;

		sparse_read(&c->file, entry, sizeof(entry), at);
		if (!memcmp(entry, wanted, sizeof(wanted)) && !(entry[24] & 1))
			return at;
	}
	return 0;
}

uint64_t case_value(const struct repair_case *c, const char *guid)
{
	return c->table + case_get(c, case_entry(c, guid) + 16, 4);
}

uint64_t case_add_item(struct repair_case *c, const char *guid, uint32_t offset, const void *value,
		       uint32_t length, uint32_t flags)
{
	unsigned count = case_entry_count(c);
	uint64_t at = c->table + 32 + 32 * count;
	uint8_t entry[32] = {0};

	put_guid(entry, guid);
	put_number(entry + 16, offset, 4);
	put_number(entry + 20, length, 4);
	put_number(entry + 24, flags, 4);
	sparse_write(&c->file, entry, sizeof(entry), at);
	if (value)
		sparse_write(&c->file, value, length, c->table + offset);
	case_put(c, c->table + 10, count + 1, 2);
	return at;
}

void case_add_empty_items(struct repair_case *c, unsigned count, uint32_t flags)
{
	char guid[] = "01234567-89AB-CDEF-0123-456789AB0000";

	for (unsigned i = 0; i < count; i++) {
		for (unsigned digit = 0; digit < 4; digit++)
			guid[35 - digit] = "0123456789ABCDEF"[i >> 4 * digit & 15];
		case_add_item(c, guid, 0, NULL, 0, flags);
	}
}

void case_fill_region(struct repair_case *c)
{
	uint32_t end = 0x10000;

	for (unsigned i = 0; i < case_entry_count(c); i++) {
		uint64_t entry = c->table + 32 + 32 * (uint64_t)i;
		uint32_t item_end =
			(uint32_t)(case_get(c, entry + 16, 4) + case_get(c, entry + 20, 4));

		end = item_end > end ? item_end : end;
	}
	case_add_item(c, "01234567-89AB-CDEF-0123-456789ABCDE9", end, NULL,
		      (uint32_t)CASE_MIB - end, 0);
}

void case_mend_checksums(struct repair_case *c)
{
	image_mend_checksums(&c->file, 0, 0);
}

void case_add_region(struct repair_case *c, const char *guid, uint64_t offset, uint32_t length)
{
	for (uint64_t table = 3 * KIB_64; table <= 4 * KIB_64; table += KIB_64) {
		uint64_t count = case_get(c, table + 8, 4);
		uint8_t entry[32] = {0};

		put_guid(entry, guid);
		put_number(entry + 16, offset, 8);
		put_number(entry + 24, length, 4);
		sparse_write(&c->file, entry, sizeof(entry), table + 16 + 32 * count);
		case_put(c, table + 8, count + 1, 4);
	}
	case_mend_checksums(c);
}

/* ---- what check and repair say ---- */

bool was_told(const struct told *told, unsigned problem)
{
	for (unsigned i = 0; i < told->count; i++)
		if (told->problems[i] == problem)
			return true;
	return false;
}

static void tell(void *opaque, const struct vhdx_finding *finding)
{
	struct told *told = opaque;

	if (finding->problem->severity < VHDX_LEAK && !told->notes)
		return;
	assert_true(told->count < MOST_TOLD);
	told->problems[told->count++] = finding->problem->number;
	strncpy(told->text, finding->text, sizeof(told->text) - 1);
}

static void note_mended(void *opaque, const struct vhdx_finding *finding)
{
	tell(&((struct repair_case *)opaque)->mended, finding);
}

static void note_left(void *opaque, const struct vhdx_finding *finding)
{
	tell(&((struct repair_case *)opaque)->left, finding);
}

static int open_parent(void *opaque, const char *child, const char *key, const char *path,
		       struct vhdx_io *ret_io)
{
	struct recorder *recorder = opaque;

	(void)child;
	(void)key;
	(void)path;
	if (!recorder->bytes->size)
		return -ENOENT;
	*ret_io = recorder_io(recorder);
	return 0;
}

static struct vhdx_open_options open_options(struct recorder *parent, uint32_t flags)
{
	return (struct vhdx_open_options){
		.size = sizeof(struct vhdx_open_options),
		.flags = flags,
		.open_parent = open_parent,
		.opaque = parent,
		.name = "disk.vhdx",
	};
}

void case_check(struct repair_case *c, struct told *ret_told)
{
	struct recorder parent = {.bytes = &c->parent};
	struct vhdx_open_options open = open_options(&parent, VHDX_OPEN_EXAMINE);
	struct vhdx_check_options options = {
		.size = sizeof(options), .finding = tell, .opaque = ret_told};
	struct vhdx_check_result result = {.size = sizeof(result)};
	struct vhdx *disk;

	*ret_told = (struct told){.notes = ret_told->notes};
	assert_int_equal(vhdx_open_io(&c->io, &open, &disk), 0);
	assert_int_equal(vhdx_check(disk, &options, &result), 0);
	vhdx_close(disk);
}

int case_repair(struct repair_case *c, uint32_t flags)
{
	struct vhdx_repair_options options = {
		.size = sizeof(options),
		.flags = flags,
		.mended = note_mended,
		.left = note_left,
		.opaque = c,
	};

	c->mended = (struct told){.notes = true};
	c->left = (struct told){.count = 0};
	c->result = (struct vhdx_repair_result){.size = sizeof(c->result)};
	recorder_clear(&c->recorder);
	return vhdx_repair_io(&c->io, "disk.vhdx", &options, &c->result);
}

void case_expect_contents(struct repair_case *c)
{
	struct recorder parent = {.bytes = &c->parent};
	struct vhdx_open_options open = open_options(&parent, 0);
	uint8_t *found = malloc(CASE_SIZE);
	struct vhdx *disk;

	assert_int_equal(vhdx_open_io(&c->io, &open, &disk), 0);
	assert_int_equal(vhdx_pread(disk, found, CASE_SIZE, 0), 0);
	assert_memory_equal(found, c->contents, CASE_SIZE);
	vhdx_close(disk);
	free(found);
}

void case_expect_found(struct repair_case *c, unsigned problem)
{
	struct told found = {.notes = true};

	case_check(c, &found);
	if (!was_told(&found, problem))
		fail_msg("problem %u is not found", problem);
}

void case_expect_repaired(struct repair_case *c, unsigned problem, uint32_t flags)
{
	struct told found = {.count = 0};
	struct told noted = {.notes = true};
	int ret = case_repair(c, flags);

	if (ret)
		fail_msg("problem %u: repair returns %d, %s", problem, ret,
			 vhdx_last_error()->text);
	if (!was_told(&c->mended, problem))
		fail_msg("problem %u is not told as mended", problem);
	assert_int_equal(c->result.left, 0);
	case_check(c, &found);
	if (found.count)
		fail_msg("problem %u: %u is found after repair, %s", problem, found.problems[0],
			 found.text);
	case_check(c, &noted);
	if (was_told(&noted, problem))
		fail_msg("problem %u is found after repair", problem);
	case_expect_contents(c);
	struct told first = c->mended;

	assert_int_equal(case_repair(c, flags), 0);
	assert_int_equal(c->result.mended, 0);
	assert_int_equal(c->recorder.count, 0);
	c->mended = first;
}

void case_expect_mended(struct repair_case *c, unsigned problem)
{
	case_expect_found(c, problem);
	case_expect_repaired(c, problem, 0);
}

void case_expect_refused(struct repair_case *c, unsigned problem, int error)
{
	case_expect_found(c, problem);
	int ret = case_repair(c, 0);

	if (ret != error)
		fail_msg("problem %u: repair returns %d", problem, ret);
	assert_int_equal(vhdx_last_error()->problem, problem);
	assert_int_equal(c->recorder.count, 0);
}
