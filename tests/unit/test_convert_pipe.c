/* SPDX-License-Identifier: MIT */
/* vhdx_convert into a pipe, which takes pages of the source: what its reader gets, whenever it reads. */
#include <pthread.h>
#include <sys/syscall.h>

#include "base/arith.h"
#include "support/endpoints.h"

#define SIZE (40 * MIB + 777)
#define PAGE 4096u /* of a full pipe, each slot holds one */

static unsigned spliced; /* calls that gave the pipe pages of a file */

/* Takes libc's place, to count. */
ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size,
	       unsigned flags)
{
	if (from_offset)
		spliced++;
	return syscall(SYS_splice, from, from_offset, to, to_offset, size, flags);
}

/* Who reads the pipe: all at once, or up to somewhere until it is told to go on. */
struct reader {
	int ends[2];
	int passed[2]; /* a pipe that it passes pages on through, as they are */
	bool passes;
	uint64_t pause_at;
	uint8_t *bytes;
	uint64_t done;
};

static void read_up_to(struct reader *reader, int fd, uint64_t end)
{
	while (reader->done < end) {
		ssize_t done = read(fd, reader->bytes + reader->done, end - reader->done);

		assert_true(done > 0);
		reader->done += (uint64_t)done;
	}
}

/* The second pipe is full in the end. */
static void *read_some(void *opaque)
{
	struct reader *reader = opaque;

	read_up_to(reader, reader->ends[0], reader->pause_at);
	for (size_t left = MIB; reader->passes && left;) {
		ssize_t done = splice(reader->ends[0], NULL, reader->passed[1], NULL, left, 0);

		assert_true(done > 0);
		left -= (size_t)done;
	}
	return NULL;
}

static void make_noise(const char *path, uint64_t size)
{
	uint8_t *buf = malloc(size);
	struct rng rng = rng_make(3);

	rng_fill(&rng, buf, size);
	scratch_write(path, buf, size, 0);
	free(buf);
}

static void convert_to(struct vhdx_source source, struct reader *reader, uint32_t flags)
{
	struct vhdx_destination to = {.size = sizeof(to), .use_fd = 1, .fd = reader->ends[1]};
	struct vhdx_convert_options options = {
		.size = sizeof(options), .threads = 2, .flags = flags};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, read_some, reader), 0);
	assert_int_equal(vhdx_convert(&source, &to, &options), 0);
	pthread_join(thread, NULL);
	close(reader->ends[1]);
}

static void begin(struct reader *reader)
{
	assert_int_equal(pipe(reader->ends), 0);
	assert_int_equal(pipe(reader->passed), 0);
	assert_int_equal(fcntl(reader->passed[1], F_SETPIPE_SZ, MIB), MIB);
	reader->bytes = malloc(64 * MIB);
	spliced = 0;
}

static void assert_got(struct reader *reader, const char *path)
{
	size_t size;
	uint8_t *expected = scratch_read(path, &size);

	if (reader->passes)
		read_up_to(reader, reader->passed[0], reader->done + MIB);
	read_up_to(reader, reader->ends[0], size);
	assert_int_equal(memcmp(reader->bytes, expected, size), 0);
	free(expected);
	free(reader->bytes);
	close(reader->ends[0]);
	close(reader->passed[0]);
	close(reader->passed[1]);
}

static void overwrite(const char *path)
{
	uint64_t size = scratch_size(path);
	uint8_t *other = calloc(1, size);

	scratch_write(path, other, size, 0);
	free(other);
}

static void check_reads_the_old(struct reader *reader)
{
	make_noise("raw", SIZE);
	make_noise("same", SIZE);
	begin(reader);
	convert_to(from_path("raw"), reader, 0);
	assert_true(spliced > 0);
	overwrite("raw");
	assert_got(reader, "same");
}

static void test_a_source_that_changes_afterwards_changes_nothing_in_the_pipe(void **state)
{
	struct reader reader = {.pause_at = 39 * MIB + 2 * PAGE};

	(void)state;
	check_reads_the_old(&reader);
}

static void test_nor_in_a_pipe_to_which_its_pages_were_passed_on(void **state)
{
	struct reader reader = {.pause_at = 38 * MIB + 2 * PAGE, .passes = true};

	(void)state;
	check_reads_the_old(&reader);
}

static void test_a_disk_and_its_holes_come_through(void **state)
{
	static uint8_t buf[MIB];
	struct vhdx_info info = {0};
	struct reader reader = {0};

	(void)state;
	make_noise("raw", 12 * MIB);
	scratch_resize("raw", 60 * MIB);
	memset(buf, 1, sizeof(buf));
	scratch_write("raw", buf, sizeof(buf), 30 * MIB - 1);
	scratch_write("raw", buf, sizeof(buf), 59 * MIB);
	to_vhdx(from_path("raw"), "disk", made(VHDX_DYNAMIC, 2 * MIB), 2);
	struct vhdx *disk = open_disk("disk", &info);

	reader.pause_at = 60 * MIB;
	begin(&reader);
	convert_to(from_disk(disk), &reader, 0);
	vhdx_close(disk);
	assert_true(spliced > 0);
	assert_got(&reader, "raw");
}

static void test_direct_transfers_take_no_pages_of_the_cache(void **state)
{
	struct reader reader = {.pause_at = SIZE};

	(void)state;
	make_noise("raw", SIZE);
	begin(&reader);
	convert_to(from_path("raw"), &reader, VHDX_CONVERT_DIRECT);
	assert_int_equal(spliced, 0);
	assert_got(&reader, "raw");
}

static void test_what_is_no_file_comes_through_too(void **state)
{
	struct judged judged = {.size = SIZE, .bytes = malloc(SIZE)};
	struct vhdx_io io = judged_io(&judged);
	struct reader reader = {.pause_at = SIZE};

	(void)state;
	memset(judged.bytes, 7, SIZE);
	scratch_write("raw", judged.bytes, SIZE, 0);
	begin(&reader);
	convert_to(from_io(&io), &reader, 0);
	assert_int_equal(spliced, 0);
	assert_got(&reader, "raw");
	free(judged.bytes);
}

/* The fourth question finds the pipe full. */
static int give_up(void *opaque, uint64_t done, uint64_t total)
{
	unsigned *asked = opaque;

	(void)done;
	(void)total;
	return ++*asked > 3;
}

static void test_a_cancel_is_noticed_while_nobody_reads(void **state)
{
	unsigned asked = 0;
	int ends[2];
	struct vhdx_source source = from_path("raw");
	struct vhdx_destination to = {.size = sizeof(to), .use_fd = 1};
	struct vhdx_convert_options options = {
		.size = sizeof(options), .threads = 1, .progress = give_up, .opaque = &asked};

	(void)state;
	make_noise("raw", SIZE);
	assert_int_equal(pipe(ends), 0);
	to.fd = ends[1];
	assert_int_equal(vhdx_convert(&source, &to, &options), -ECANCELED);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRATCH_TEST(test_a_source_that_changes_afterwards_changes_nothing_in_the_pipe),
		SCRATCH_TEST(test_nor_in_a_pipe_to_which_its_pages_were_passed_on),
		SCRATCH_TEST(test_a_disk_and_its_holes_come_through),
		SCRATCH_TEST(test_direct_transfers_take_no_pages_of_the_cache),
		SCRATCH_TEST(test_what_is_no_file_comes_through_too),
		SCRATCH_TEST(test_a_cancel_is_noticed_while_nobody_reads),
	};

	return RUN_TESTS(tests);
}
