/* SPDX-License-Identifier: MIT */
/* The walk that finds how two contents differ: which sectors, with which bytes, and what is read for it. */
#include <errno.h>

#include "base/arith.h"
#include "ops/differ.h"
#include "support/endpoints.h"
#include "support/fixture.h"

#define ROOM (5 * MIB)

/* What was found, and where the walk shall end. */
struct found {
	uint32_t sector_size;
	uint64_t end;	  /* of the last run */
	uint8_t *differs; /* a byte for each of the disk: it is in a run */
	uint8_t *bytes;	  /* which the runs had */
	uint64_t room;
	unsigned runs;
	unsigned zero_runs;
	unsigned stop_after; /* runs; 0: never */
	int stop_with;
};

static int note(void *opaque, uint64_t offset, uint64_t length, const void *bytes)
{
	struct found *found = opaque;

	CHECK(length && offset >= found->end, "a run of %llu at %llu", (unsigned long long)length,
	      (unsigned long long)offset);
	CHECK(!(offset % found->sector_size) && !(length % found->sector_size),
	      "a run of %llu at %llu", (unsigned long long)length, (unsigned long long)offset);
	CHECK(!bytes || offset / MIB == (offset + length - 1) / MIB, "a run of more than a MiB");
	found->end = offset + length;
	found->runs++;
	found->zero_runs += !bytes;
	if (found->differs) {
		CHECK(offset + length <= found->room, "a run behind the end");
		memset(found->differs + offset, 1, length);
		if (bytes)
			memcpy(found->bytes + offset, bytes, length);
		else
			memset(found->bytes + offset, 0, length);
	}
	return found->stop_after && found->runs >= found->stop_after ? found->stop_with : 0;
}

struct walk_case {
	struct judged a;
	struct judged b;
	uint32_t sector_size;
	uint64_t end;
	struct watched watched;
};

static int walk(struct walk_case *how, struct found *found)
{
	struct vhdx_io a_io = judged_io(&how->a);
	struct vhdx_io b_io = judged_io(&how->b);
	struct vhdx_source a_given = from_io(&a_io);
	struct vhdx_source b_given = from_io(&b_io);
	struct source a, b;
	struct differ differ = {
		.first = &a,
		.second = &b,
		.sector_size = how->sector_size ? how->sector_size : 512,
		.end = how->end ? how->end : UINT64_MAX,
		.found = note,
		.opaque = found,
		.progress = watch,
		.progress_opaque = &how->watched,
	};

	found->sector_size = differ.sector_size;
	assert_int_equal(vhdx_source_open(&a_given, false, &a), 0);
	assert_int_equal(vhdx_source_open(&b_given, false, &b), 0);
	int ret = vhdx_differ(&differ);

	vhdx_source_close(&a);
	vhdx_source_close(&b);
	return ret;
}

/* ---- Any contents, against a comparison byte by byte ---- */

/* Contents in the data range, zeros around it, and storage that may or may not know where it holds data. */
static void make_side(struct rng *rng, struct judged *judged, const uint8_t *like)
{
	*judged = (struct judged){.size = rng_below(rng, ROOM)};
	judged->bytes = calloc(1, ROOM);
	uint64_t start = rng_below(rng, judged->size + 1);
	uint64_t end = rng_between(rng, start, judged->size);

	if (like)
		memcpy(judged->bytes + start, like + start, end - start);
	for (unsigned i = 0; i < 12 && end > start; i++) {
		uint64_t at = rng_between(rng, start, end - 1);
		uint64_t length = rng_length(rng, end - at);

		if (rng_chance(rng, 40))
			memset(judged->bytes + at, 0, length);
		else
			rng_fill(rng, judged->bytes + at, length);
	}
	if (rng_chance(rng, 70) && end > start) {
		judged->data_start = start;
		judged->data_end = end;
	}
}

/* Each sector is in a run just when it differs, and the run has the second's bytes. */
static void check_found(const struct walk_case *how, const struct found *found)
{
	uint32_t sector = how->sector_size;
	uint64_t end = round_up(max_u64(how->a.size, how->b.size), sector);
	uint8_t *expected = calloc(1, found->room);

	end = how->end ? min_u64(end, how->end) : end;
	for (uint64_t at = 0; at < end; at += sector)
		if (memcmp(how->a.bytes + at, how->b.bytes + at, sector) != 0)
			memset(expected + at, 1, sector);
	CHECK(!memcmp(found->differs, expected, found->room), "other sectors were found");
	for (uint64_t at = 0; at < end; at += sector)
		CHECK(!expected[at] || !memcmp(found->bytes + at, how->b.bytes + at, sector),
		      "other bytes at %llu", (unsigned long long)at);
	free(expected);
}

static void test_runs_are_the_sectors_that_differ(void **state)
{
	static const uint32_t sectors[] = {1, 512, 4096};
	uint64_t first, last;

	(void)state;
	seeds_to_run(60, &first, &last);
	for (current_seed = first; current_seed <= last; current_seed++) {
		struct rng rng = rng_make(current_seed);
		struct walk_case how = {.sector_size = sectors[rng_below(&rng, 3)]};
		struct found found = {.room = ROOM};

		make_side(&rng, &how.a, NULL);
		make_side(&rng, &how.b, how.a.bytes);
		if (rng_chance(&rng, 30))
			how.end = round_down(rng_between(&rng, 4096, ROOM), how.sector_size);
		found.differs = calloc(1, ROOM);
		found.bytes = calloc(1, ROOM);
		CHECK(walk(&how, &found) == 0, "%s", vhdx_last_error()->text);
		check_found(&how, &found);
		CHECK(how.watched.last == how.watched.total, "progress ended early");
		free(found.differs);
		free(found.bytes);
		free(how.a.bytes);
		free(how.b.bytes);
	}
}

/* ---- One thing each ---- */

static struct walk_case make_case(uint64_t size)
{
	return (struct walk_case){
		.a = {.bytes = calloc(1, size), .size = size},
		.b = {.bytes = calloc(1, size), .size = size},
	};
}

static void drop_case(struct walk_case *how)
{
	free(how->a.bytes);
	free(how->b.bytes);
}

static void test_zeros_are_told_whether_the_second_holds_them_or_not(void **state)
{
	struct walk_case how = make_case(4 * MIB);
	struct found found = {0};

	(void)state;
	memset(how.a.bytes + MIB, 1, 2 * MIB);
	assert_int_equal(walk(&how, &found), 0);
	assert_int_equal(found.runs, 2);
	assert_int_equal(found.zero_runs, 2);
	how.b.data_start = 0;
	how.b.data_end = MIB + 4096; /* a hole from there on */
	how.watched = (struct watched){0};
	found = (struct found){0};
	assert_int_equal(walk(&how, &found), 0);
	assert_int_equal(found.end, 3 * MIB);
	assert_int_equal(found.zero_runs, found.runs);
	drop_case(&how);
}

static void test_the_shorter_one_reads_as_zeros_behind_its_end(void **state)
{
	struct walk_case how = make_case(3 * MIB);
	struct found found = {0};

	(void)state;
	memset(how.a.bytes, 1, 3 * MIB);
	memset(how.b.bytes, 1, 3 * MIB);
	how.b.size = MIB + 100;
	assert_int_equal(walk(&how, &found), 0);
	assert_int_equal(found.end, 3 * MIB);
	assert_int_equal(found.runs, 3);
	assert_int_equal(found.zero_runs, 2); /* the sector of the last 100 bytes is none */
	drop_case(&how);
}

static void test_what_neither_holds_is_not_read_and_takes_no_time(void **state)
{
	struct walk_case how = {
		.a = {.size = 8 * TIB, .data_start = TIB, .data_end = TIB + MIB},
		.b = {.size = 8 * TIB, .data_start = 2 * TIB + 512, .data_end = 2 * TIB + 1024},
		.sector_size = 4096,
	};
	struct found found = {0};

	(void)state;
	assert_int_equal(walk(&how, &found), 0);
	assert_int_equal(found.runs, 0);
	assert_int_equal(how.a.read_bytes, MIB);
	assert_int_equal(how.b.read_bytes, 4096);
	assert_int_equal(how.a.questions, 2);
}

static void test_nothing_behind_the_end_is_read(void **state)
{
	struct walk_case how = {
		.a = {.size = 8 * TIB, .data_start = TIB - MIB, .data_end = 3 * TIB},
		.b = {.size = 4 * TIB},
		.end = TIB,
	};
	struct found found = {0};

	(void)state;
	how.b.data_end = 1; /* as good as nothing */
	assert_int_equal(walk(&how, &found), 0);
	assert_int_equal(how.a.read_bytes, MIB);
	assert_int_equal(how.watched.total, TIB);
}

static void test_another_value_than_0_ends_the_walk(void **state)
{
	struct walk_case how = make_case(4 * MIB);
	struct found found = {.stop_after = 2, .stop_with = -ENOSPC};

	(void)state;
	memset(how.b.bytes, 1, 4 * MIB);
	assert_int_equal(walk(&how, &found), -ENOSPC);
	assert_int_equal(found.runs, 2);
	how.watched = (struct watched){0};
	found = (struct found){.stop_after = 1, .stop_with = 7};
	assert_int_equal(walk(&how, &found), 7);
	assert_int_equal(found.runs, 1);
	drop_case(&how);
}

static void test_progress_can_stop_it(void **state)
{
	struct walk_case how = make_case(20 * MIB);
	struct found found = {0};

	(void)state;
	memset(how.b.bytes, 1, 20 * MIB);
	how.watched.stop_at = 3 * MIB;
	assert_int_equal(walk(&how, &found), -ECANCELED);
	assert_true(found.end < 8 * MIB);
	drop_case(&how);
}

static void test_what_cannot_be_read_is_an_error(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct walk_case how = make_case(4 * MIB);
		struct found found = {0};

		(i ? &how.b : &how.a)->fail_read_at = 2 * MIB + 5;
		assert_int_equal(walk(&how, &found), -EIO);
		drop_case(&how);
	}
}

/* ---- Chains with a file in common ---- */

/* Bytes that this process has read from files, ever. */
static uint64_t bytes_read(void)
{
	FILE *file = fopen("/proc/self/io", "r");
	unsigned long long count = 0;

	if (!file)
		skip();
	assert_int_equal(fscanf(file, "rchar: %llu", &count), 1);
	fclose(file);
	return count;
}

static void write_to(const char *path, uint8_t value, uint64_t offset, size_t length)
{
	struct vhdx_open_options open = {.size = sizeof(open),
					 .flags = VHDX_OPEN_WRITE | VHDX_OPEN_ANY_PARENT};
	uint8_t *buf = malloc(length);
	struct vhdx *disk;

	memset(buf, value, length);
	assert_int_equal(vhdx_open(path, &open, &disk), 0);
	assert_int_equal(vhdx_pwrite(disk, buf, length, offset, 0), 0);
	assert_int_equal(vhdx_close(disk), 0);
	free(buf);
}

/* Two children of a disk of 16 MiB that is all there; both hold the same 4 KiB, and one of them a sector. */
static void make_family(void)
{
	create("base", VHDX_DYNAMIC, 16 * MIB, MIB);
	write_to("base", 1, 0, 16 * MIB);
	create_child("one", "base");
	create_child("other", "base");
	write_to("one", 2, 5 * MIB + 512, 4096);
	write_to("other", 2, 5 * MIB + 512, 4096);
	write_to("other", 3, 9 * MIB, 512);
}

/* Returns how many bytes that took to read. */
static uint64_t walk_disks(struct vhdx *first, struct vhdx *second, struct found *found)
{
	struct vhdx_source a_given = from_disk(first), b_given = from_disk(second);
	struct source a, b;
	struct differ differ = {
		.first = &a,
		.second = &b,
		.sector_size = 512,
		.end = UINT64_MAX,
		.found = note,
		.opaque = found,
	};
	uint64_t before = bytes_read();

	*found = (struct found){.sector_size = 512};
	assert_int_equal(vhdx_source_open(&a_given, false, &a), 0);
	assert_int_equal(vhdx_source_open(&b_given, false, &b), 0);
	assert_int_equal(vhdx_differ(&differ), 0);
	vhdx_source_close(&a);
	vhdx_source_close(&b);
	return bytes_read() - before;
}

static void test_what_both_have_of_one_file_is_not_read(void **state)
{
	struct vhdx_info info;
	struct found found;

	(void)state;
	make_family();
	struct vhdx *one = open_disk("one", &info);
	struct vhdx *other = open_disk("other", &info);

	assert_in_range(walk_disks(one, other, &found), 512, MIB);
	assert_int_equal(found.runs, 1);
	assert_int_equal(found.end, 9 * MIB + 512);
	assert_in_range(walk_disks(vhdx_get_parent(one), other, &found), 4096, MIB);
	assert_int_equal(found.runs, 2);
	assert_in_range(walk_disks(one, vhdx_get_parent(one), &found), 4096, MIB);
	assert_int_equal(found.runs, 1);
	assert_int_equal(found.end, 5 * MIB + 512 + 4096);
	vhdx_close(one);
	vhdx_close(other);
}

static void test_files_that_are_alike_are_read(void **state)
{
	struct vhdx_info info;
	struct found found;

	(void)state;
	for (int i = 0; i < 2; i++) {
		create(i ? "b" : "a", VHDX_DYNAMIC, 4 * MIB, MIB);
		write_to(i ? "b" : "a", 1, 0, 4 * MIB);
	}
	write_to("b", 2, 3 * MIB, 512);
	struct vhdx *a = open_disk("a", &info);
	struct vhdx *b = open_disk("b", &info);

	assert_in_range(walk_disks(a, b, &found), 8 * MIB, 9 * MIB);
	assert_int_equal(found.runs, 1);
	vhdx_close(a);
	vhdx_close(b);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_runs_are_the_sectors_that_differ),
		cmocka_unit_test(test_zeros_are_told_whether_the_second_holds_them_or_not),
		cmocka_unit_test(test_the_shorter_one_reads_as_zeros_behind_its_end),
		cmocka_unit_test(test_what_neither_holds_is_not_read_and_takes_no_time),
		cmocka_unit_test(test_nothing_behind_the_end_is_read),
		cmocka_unit_test(test_another_value_than_0_ends_the_walk),
		cmocka_unit_test(test_progress_can_stop_it),
		cmocka_unit_test(test_what_cannot_be_read_is_an_error),
		SCRATCH_TEST(test_what_both_have_of_one_file_is_not_read),
		SCRATCH_TEST(test_files_that_are_alike_are_read),
	};

	seeds_from_arguments(argc, argv);
	return RUN_TESTS(tests);
}
