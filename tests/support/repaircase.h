/* SPDX-License-Identifier: MIT */
/* A small sound disk, or a child, that a test damages: what check finds, what repair does, and what is read then. */
#ifndef TESTS_SUPPORT_REPAIRCASE_H
#define TESTS_SUPPORT_REPAIRCASE_H

#include "support/bytes.h"
#include "support/recorder.h"
#include "support/unit.h"

#define CASE_MIB  ((uint64_t)1 << 20)
#define CASE_SIZE (8 * CASE_MIB)

#define PARAMETERS_ITEM "CAA16737-FA36-4D43-B3B6-33F0AA44E76B"
#define SIZE_ITEM	"2FA54224-CD1B-4876-B211-5DBED83BF4B8"
#define ID_ITEM		"BECA12AB-B2E6-4523-93EF-C309E000C746"
#define SECTOR_ITEM	"8141BF1D-A96F-4709-BA47-F233A8FAAB5F"
#define PHYSICAL_ITEM	"CDA348C7-445D-4471-9CC9-E9885251C556"
#define LOCATOR_ITEM	"A8D35F2D-B30B-454D-ABF7-D3D84834AB0C"

#define MOST_TOLD 1024

/* Problems by their numbers, in the order in which they were told. */
struct told {
	unsigned problems[MOST_TOLD];
	unsigned count;
	char text[512]; /* of the last */
	bool notes;	/* notes are told too */
};

struct repair_case {
	struct sparse parent; /* empty when there is none */
	struct sparse file;
	struct recorder recorder; /* of the file */
	struct vhdx_io io;
	uint8_t *contents; /* what the guest reads: CASE_SIZE bytes */
	uint64_t table;	   /* the metadata table's place in the file */
	uint64_t bat;
	struct told mended; /* by the last repair */
	struct told left;
	struct vhdx_repair_result result;
};

/* cmocka's setups and teardown. The disk has blocks of 1 MiB: 1, 2 and 5 hold data. */
int repair_case_make(void **state);
int repair_case_make_child(void **state);
int repair_case_drop(void **state);

/* ---- Damage ---- */

void case_put(struct repair_case *c, uint64_t offset, uint64_t value, unsigned width);
uint64_t case_get(const struct repair_case *c, uint64_t offset, unsigned width);

/* Where in the file the entry of that system item is, the first one; 0 when there is none. */
uint64_t case_entry(const struct repair_case *c, const char *guid);

/* Where in the file its value is. */
uint64_t case_value(const struct repair_case *c, const char *guid);

unsigned case_entry_count(const struct repair_case *c);

/* Adds an entry behind the last; the value goes to @offset of the region. Returns where the entry is. */
uint64_t case_add_item(struct repair_case *c, const char *guid, uint32_t offset, const void *value,
		       uint32_t length, uint32_t flags);

/* Adds items of different GUIDs and without a value. */
void case_add_empty_items(struct repair_case *c, unsigned count, uint32_t flags);

/* Adds an item that takes all of the region behind the others, which are packed. */
void case_fill_region(struct repair_case *c);

/* Adds a region that nobody knows, to both tables. */
void case_add_region(struct repair_case *c, const char *guid, uint64_t offset, uint32_t length);

/* Makes those of headers and region tables right again. */
void case_mend_checksums(struct repair_case *c);

/* ---- What check and repair say ---- */

bool was_told(const struct told *told, unsigned problem);

/* Problems of severity LEAK or more that a check finds. */
void case_check(struct repair_case *c, struct told *ret_told);

/* Repairs; returns as vhdx_repair_io. */
int case_repair(struct repair_case *c, uint32_t flags);

void case_expect_contents(struct repair_case *c);

/* Check finds @problem, if only as a note. */
void case_expect_found(struct repair_case *c, unsigned problem);

/* Repair with @flags mends what it is told of as @problem, and says so; the rest as case_expect_mended. */
void case_expect_repaired(struct repair_case *c, unsigned problem, uint32_t flags);

/* Check finds @problem, repair tells that it mended it; then check finds nothing, a repair does nothing, and all reads as before. */
void case_expect_mended(struct repair_case *c, unsigned problem);

/* Check finds @problem, repair returns @error because of it, and nothing is written. */
void case_expect_refused(struct repair_case *c, unsigned problem, int error);

#endif
