/* SPDX-License-Identifier: MIT */
/* The functions of librbd and librados, loaded when they are needed: they bring along more than all the rest. */
#ifndef REMOTE_RBDCALLS_H
#define REMOTE_RBDCALLS_H

#include <rados/librados.h>
#include <rbd/librbd.h>

#define RADOS_CALLS(call) \
	call(conf_get) call(conf_parse_env) call(conf_read_file) call(conf_set) call(connect) \
		call(create) call(get_instance_id) call(ioctx_create) call(ioctx_destroy) \
			call(ioctx_set_namespace) call(notify2) call(remove) \
				call(set_pool_full_try) call(shutdown)

#define RBD_CALLS(call) \
	call(rebuild_object_map) call(update_features) call(aio_create_completion) call( \
		aio_flush) call(aio_get_return_value) call(aio_read2) call(aio_release) \
		call(aio_write2) call(aio_write_zeroes) call(close) call(create4) call( \
			diff_iterate2) call(get_features) call(get_flags) call(get_id) \
			call(get_size) call(get_stripe_count) call(image_options_create) call( \
				image_options_destroy) call(image_spec_list_cleanup) call(list2) \
				call(lock_acquire) call(metadata_get) call(metadata_remove) call( \
					metadata_set) call(open) call(open_by_id_read_only) \
					call(open_read_only) call(read2) call( \
						remove_with_progress) call(rename) \
						call(resize_with_progress) call(snap_get_id) call( \
							snap_list) call(stat) call(watchers_list) \
							call(watchers_list_cleanup)

#define RADOS_CALL_MEMBER(name) __typeof__(rados_##name) *name;
#define RBD_CALL_MEMBER(name)	__typeof__(rbd_##name) *name;

/* rados.connect() is rados_connect(), and so on. */
struct rados_calls {
	RADOS_CALLS(RADOS_CALL_MEMBER)
};

struct rbd_calls {
	RBD_CALLS(RBD_CALL_MEMBER)
};

extern struct rados_calls rados;
extern struct rbd_calls rbd;

/* Before the first call. NULL, or why the libraries cannot be had. Any thread. */
const char *rbd_calls_load(void);

#endif
