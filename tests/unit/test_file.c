/* SPDX-License-Identifier: MIT */
/* Storage in a file: ends, holes, kinds of file, and locks, QEMU's among them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arith.h"
#include "store/file.h"
#include "store/io.h"
#include "support/unit.h"

static char folder[64];
static char path[80];
static char other[80];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/vhdx-test-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	int fd = open(path, O_CREAT | O_RDWR, 0600);

	if (fd < 0 || ftruncate(fd, 8 << 20) || pwrite(fd, "data", 4, 1 << 20) != 4 ||
	    pwrite(fd, "more", 4, 5 << 20) != 4)
		return -1;
	return close(fd);
}

static int drop_folder(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return rmdir(folder);
}

static struct vhdx_io must_open(uint32_t flags)
{
	struct vhdx_io io;

	assert_int_equal(vhdx_file_io(path, flags, &io), 0);
	return io;
}

/* A block device with sectors of 4096 bytes over the file; false where none can be had. */
static bool make_device(char device[64])
{
	char command[160];

	snprintf(command, sizeof(command), "losetup -b 4096 -f --show %s 2>/dev/null", path);
	FILE *pipe = popen(command, "r");
	bool made = pipe && fgets(device, 64, pipe);

	if (made)
		device[strcspn(device, "\n")] = 0;
	return (!pipe || !pclose(pipe)) && made;
}

static void test_a_block_device_cannot_grow_nor_clear_less_than_its_sectors(void **state)
{
	char device[64];
	char command[96];
	struct vhdx_io io;

	(void)state;
	if (!make_device(device))
		skip();
	int opened = vhdx_file_io(device, VHDX_FILE_WRITE, &io);

	if (!opened) {
		assert_int_equal(vhdx_io_set_size(&io, 16 << 20), -EOPNOTSUPP);
		assert_int_equal(vhdx_io_punch(&io, 0, 512), -EOPNOTSUPP);
		assert_int_equal(vhdx_io_zero(&io, 0, 512), -EOPNOTSUPP);
		vhdx_io_close(&io);
	}
	snprintf(command, sizeof(command), "losetup -d %s", device);
	assert_int_equal(system(command), 0);
	assert_int_equal(opened, 0);
}

static void test_reads_end_at_the_end(void **state)
{
	struct vhdx_io io = must_open(0);
	char buf[8];
	uint64_t size;

	(void)state;
	assert_int_equal(vhdx_io_get_size(&io, &size), 0);
	assert_int_equal(size, 8 << 20);
	assert_int_equal(io.preadv(io.opaque, &(struct iovec){buf, 8}, 1, (8 << 20) - 3), 3);
	assert_int_equal(io.preadv(io.opaque, &(struct iovec){buf, 8}, 1, 8 << 20), 0);
	assert_int_equal(io.preadv(io.opaque, &(struct iovec){buf, 8}, 1, UINT64_MAX - 2), 0);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(vhdx_io_read(&io, buf, 8, (1 << 20) + 2), 0);
	assert_memory_equal(buf, "ta\0\0\0\0\0\0", 8);
	vhdx_io_close(&io);
}

static void test_several_buffers_at_once(void **state)
{
	struct vhdx_io io = must_open(VHDX_FILE_WRITE);
	char a[3];
	char b[5];
	struct iovec iov[2] = {{a, 3}, {b, 5}};

	(void)state;
	memcpy(a, "abc", 3);
	memcpy(b, "defgh", 5);
	assert_int_equal(io.pwritev(io.opaque, iov, 2, 100), 8);
	memset(a, 0, 3);
	memset(b, 0, 5);
	assert_int_equal(io.preadv(io.opaque, iov, 2, 100), 8);
	assert_memory_equal(a, "abc", 3);
	assert_memory_equal(b, "defgh", 5);
	assert_int_equal(vhdx_io_flush(&io), 0);
	vhdx_io_close(&io);
}

static void test_direct_reads_give_the_same_bytes(void **state)
{
	struct vhdx_io io = must_open(VHDX_FILE_DIRECT);
	char *buf = aligned_alloc(4096, 8192);

	(void)state;
	assert_int_equal(vhdx_io_read(&io, buf, 8192, 1 << 20), 0);
	assert_memory_equal(buf, "data", 5);
	assert_int_equal(vhdx_io_read(&io, buf + 1, 100, (5 << 20) + 1), 0); /* not aligned */
	assert_memory_equal(buf + 1, "ore", 4);
	free(buf);
	vhdx_io_close(&io);
}

static void test_holes_are_told(void **state)
{
	struct vhdx_io io = must_open(0);
	uint64_t start;
	uint64_t end;

	(void)state;
	assert_int_equal(vhdx_io_next_data(&io, 0, 8 << 20, &start, &end), 0);
	if (start == 0 && end == 8 << 20) { /* no holes on this file system */
		vhdx_io_close(&io);
		skip();
	}
	assert_int_equal(start, 1 << 20);
	assert_true(end > start && end <= 5 << 20);
	assert_int_equal(vhdx_io_next_data(&io, end, 8 << 20, &start, &end), 0);
	assert_int_equal(start, 5 << 20);
	assert_int_equal(vhdx_io_next_data(&io, (5 << 20) + 2, 8 << 20, &start, &end), 0);
	assert_int_equal(start, (5 << 20) + 2);
	assert_int_equal(vhdx_io_next_data(&io, end, 8 << 20, &start, &end), -ENXIO);
	assert_int_equal(vhdx_io_next_data(&io, UINT64_MAX - 5, UINT64_MAX, &start, &end), -ENXIO);
	vhdx_io_close(&io);
}

static void test_a_file_opened_for_reading_has_no_functions_to_change_it(void **state)
{
	struct vhdx_io io = must_open(0);

	(void)state;
	assert_null(io.pwritev);
	assert_null(io.set_size);
	assert_null(io.punch);
	assert_null(io.zero);
	assert_null(io.reserve);
	assert_null(io.clone);
	vhdx_io_close(&io);
}

static void test_punched_and_zeroed_ranges_read_as_zeros(void **state)
{
	struct vhdx_io io = must_open(VHDX_FILE_WRITE);
	char buf[4];
	uint64_t size;

	(void)state;
	int ret = io.punch(io.opaque, 1 << 20, 4096);

	if (ret == -EOPNOTSUPP) {
		vhdx_io_close(&io);
		skip();
	}
	assert_int_equal(ret, 0);
	assert_int_equal(vhdx_io_read(&io, buf, 4, 1 << 20), 0);
	assert_memory_equal(buf, "\0\0\0\0", 4);
	ret = io.zero(io.opaque, 5 << 20, 4 << 20);
	if (!ret) {
		assert_int_equal(vhdx_io_read(&io, buf, 4, 5 << 20), 0);
		assert_memory_equal(buf, "\0\0\0\0", 4);
	}
	assert_int_equal(vhdx_io_get_size(&io, &size), 0);
	assert_int_equal(size, 8 << 20);
	assert_int_equal(io.punch(io.opaque, UINT64_MAX, 1), -EFBIG);
	vhdx_io_close(&io);
}

static void test_sizes_change(void **state)
{
	struct vhdx_io io = must_open(VHDX_FILE_WRITE);
	uint64_t size;

	(void)state;
	assert_int_equal(vhdx_io_set_size(&io, 3 << 20), 0);
	assert_int_equal(vhdx_io_get_size(&io, &size), 0);
	assert_int_equal(size, 3 << 20);
	assert_int_equal(vhdx_io_set_size(&io, UINT64_MAX), -EFBIG);
	vhdx_io_close(&io);
}

static void test_folders_and_pipes_are_refused_at_once(void **state)
{
	struct vhdx_io io;

	(void)state;
	assert_int_equal(vhdx_file_io(folder, 0, &io), -EISDIR);
	assert_int_equal(mkfifo(other, 0600), 0);
	assert_int_equal(vhdx_file_io(other, 0, &io), -EINVAL);
	assert_int_equal(vhdx_file_io_resolved(other, 0, &io), -EINVAL);
	assert_int_equal(vhdx_file_io("/dev/null", 0, &io), -EINVAL);
	assert_int_equal(vhdx_file_io("/nowhere/at/all", 0, &io), -ENOENT);
	assert_int_equal(vhdx_file_io(path, 0x80, &io), -EINVAL);
	assert_int_equal(vhdx_file_io(NULL, 0, &io), -EINVAL);
}

static void test_resolved_opens_follow_no_link(void **state)
{
	struct vhdx_io io;

	(void)state;
	assert_int_equal(symlink(path, other), 0);
	assert_int_equal(vhdx_file_io(other, 0, &io), 0);
	vhdx_io_close(&io);
	assert_int_equal(vhdx_file_io_resolved(other, 0, &io), -ELOOP);
	assert_int_equal(vhdx_file_io_resolved(path, 0, &io), 0);
	vhdx_io_close(&io);
}

static void test_identity_tells_files_apart(void **state)
{
	struct vhdx_io a = must_open(0);
	struct vhdx_io b = must_open(0);
	struct file_identity x;
	struct file_identity y;
	struct vhdx_io none = {.size = sizeof(none)};

	(void)state;
	assert_true(vhdx_file_identity(&a, &x));
	assert_true(vhdx_file_identity(&b, &y));
	assert_int_equal(x.inode, y.inode);
	assert_int_equal(x.device, y.device);
	assert_false(vhdx_file_identity(&none, &x));
	assert_int_equal(vhdx_file_fd(&none), -1);
	vhdx_io_close(&a);
	vhdx_io_close(&b);
}

static void test_readers_share(void **state)
{
	struct vhdx_io a = must_open(0);
	struct vhdx_io b = must_open(0);

	(void)state;
	assert_int_equal(a.lock(a.opaque, 0), 0);
	assert_int_equal(b.lock(b.opaque, 0), 0);
	vhdx_io_close(&a);
	vhdx_io_close(&b);
}

static void test_a_reader_keeps_writers_out_until_it_closes(void **state)
{
	struct vhdx_io reader = must_open(0);
	struct vhdx_io writer = must_open(VHDX_FILE_WRITE);
	struct vhdx_io again = must_open(VHDX_FILE_WRITE);

	(void)state;
	assert_int_equal(reader.lock(reader.opaque, 0), 0);
	assert_int_equal(writer.lock(writer.opaque, 1), -EAGAIN);
	vhdx_io_close(&writer);
	vhdx_io_close(&reader);
	assert_int_equal(again.lock(again.opaque, 1), 0);
	vhdx_io_close(&again);
}

static void test_a_writer_keeps_everybody_out(void **state)
{
	struct vhdx_io writer = must_open(VHDX_FILE_WRITE);
	struct vhdx_io reader = must_open(0);
	struct vhdx_io second = must_open(VHDX_FILE_WRITE);

	(void)state;
	assert_int_equal(writer.lock(writer.opaque, 1), 0);
	assert_int_equal(reader.lock(reader.opaque, 0), -EAGAIN);
	assert_int_equal(second.lock(second.opaque, 1), -EAGAIN);
	vhdx_io_close(&writer);
	vhdx_io_close(&second);
	vhdx_io_close(&reader);
}

/* Takes a byte as QEMU does: byte 100 + p says that permission p is used, 200 + p that it is not shared. */
static int open_as_qemu(const int *bytes, int count)
{
	int fd = open(path, O_RDWR);

	assert_true(fd >= 0);
	for (int i = 0; i < count; i++) {
		struct flock lock = {
			.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = bytes[i], .l_len = 1};

		assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	}
	return fd;
}

static void check_beside_qemu(const int *bytes, int count, int exclusive, int expected)
{
	int fd = open_as_qemu(bytes, count);
	struct vhdx_io io = must_open(exclusive ? VHDX_FILE_WRITE : 0);

	assert_int_equal(io.lock(io.opaque, exclusive), expected);
	vhdx_io_close(&io);
	close(fd);
}

static void test_qemu_reading_keeps_writers_out_and_lets_readers_in(void **state)
{
	static const int reading[] = {100, 201,
				      203}; /* reads; shares neither writing nor resizing */

	(void)state;
	check_beside_qemu(reading, 3, 0, 0);
	check_beside_qemu(reading, 3, 1, -EAGAIN);
}

static void test_qemu_writing_keeps_everybody_out(void **state)
{
	static const int writing[] = {100, 101, 103, 201, 203};

	(void)state;
	check_beside_qemu(writing, 5, 0, -EAGAIN);
	check_beside_qemu(writing, 5, 1, -EAGAIN);
}

static bool qemu_may_take(int byte)
{
	int fd = open(path, O_RDWR);
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
	close(fd);
	return lock.l_type == F_UNLCK;
}

static void test_our_locks_are_on_the_bytes_that_qemu_looks_at(void **state)
{
	struct vhdx_io reader = must_open(0);
	struct vhdx_io writer = must_open(VHDX_FILE_WRITE);

	(void)state;
	assert_int_equal(reader.lock(reader.opaque, 0), 0);
	assert_false(qemu_may_take(100)); /* reading is used */
	assert_true(qemu_may_take(200));  /* and shared */
	assert_false(qemu_may_take(201)); /* writing is not */
	assert_true(qemu_may_take(101));
	assert_false(qemu_may_take(203));
	vhdx_io_close(&reader);
	assert_int_equal(writer.lock(writer.opaque, 1), 0);
	assert_false(qemu_may_take(101));
	assert_false(qemu_may_take(103));
	assert_false(qemu_may_take(200));
	assert_false(qemu_may_take(201));
	vhdx_io_close(&writer);
	assert_true(qemu_may_take(101));
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_a_block_device_cannot_grow_nor_clear_less_than_its_sectors),
		IN_FOLDER(test_reads_end_at_the_end),
		IN_FOLDER(test_several_buffers_at_once),
		IN_FOLDER(test_direct_reads_give_the_same_bytes),
		IN_FOLDER(test_holes_are_told),
		IN_FOLDER(test_a_file_opened_for_reading_has_no_functions_to_change_it),
		IN_FOLDER(test_punched_and_zeroed_ranges_read_as_zeros),
		IN_FOLDER(test_sizes_change),
		IN_FOLDER(test_folders_and_pipes_are_refused_at_once),
		IN_FOLDER(test_resolved_opens_follow_no_link),
		IN_FOLDER(test_identity_tells_files_apart),
		IN_FOLDER(test_readers_share),
		IN_FOLDER(test_a_reader_keeps_writers_out_until_it_closes),
		IN_FOLDER(test_a_writer_keeps_everybody_out),
		IN_FOLDER(test_qemu_reading_keeps_writers_out_and_lets_readers_in),
		IN_FOLDER(test_qemu_writing_keeps_everybody_out),
		IN_FOLDER(test_our_locks_are_on_the_bytes_that_qemu_looks_at),
	};

	return RUN_TESTS(tests);
}
