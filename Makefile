# SPDX-License-Identifier: MIT
# The short way in; meson and ninja do the work.
#
#   make                    build
#   make demo               show the command at work, on a sample or on IMAGE=path
#   make test               run the tests
#   make bench              measure against the peers that are installed; QUICK=1: in 2 minutes; TABLES="NAME..."
#   make fuzz               run each fuzz target for FUZZ_SECONDS (600); needs clang
#   make static            build a command that needs no library of the system, build-static/vhdx
#   make install            install (PREFIX when the build folder is made, DESTDIR at any time)
#   make clean              remove the build folder

BUILD ?= build
PREFIX ?= /usr/local

all: build

build:
	@scripts/bootstrap
	@test -f $(BUILD)/build.ninja || meson setup --prefix=$(PREFIX) $(BUILD)
	@ninja -C $(BUILD)

demo: build
	@VHDX=$(BUILD)/cli/vhdx scripts/demo $(if $(IMAGE),"$(IMAGE)")

test: build
	@meson test -C $(BUILD) --no-rebuild --print-errorlogs

bench: build
	@VHDX_BUILD=$(BUILD) bench/run $(if $(QUICK),--quick) $(if $(JSON),--json $(JSON)) $(TABLES)

FUZZ_BUILD ?= build-fuzz
FUZZ_SECONDS ?= 600

fuzz:
	@test -f $(FUZZ_BUILD)/build.ninja || CC=clang meson setup -Dfuzz=enabled -Dcli=disabled \
		-Dnbdkit=disabled -Db_sanitize=address,undefined -Db_lundef=false \
		-Dc_args=-fsanitize=fuzzer-no-link $(FUZZ_BUILD)
	@ninja -C $(FUZZ_BUILD)
	@tests/fuzz/long.sh $(FUZZ_BUILD) $(FUZZ_SECONDS) $(FUZZ_TARGETS)

STATIC_BUILD ?= build-static

# Programs that load others, or that only exist as shared objects, cannot be static.
static:
	@scripts/bootstrap
	@test -f $(STATIC_BUILD)/build.ninja || meson setup --default-library=static --prefer-static --buildtype=release \
		-Dc_link_args=-static -Disal=disabled -Dnbd=disabled -Dnbdkit=disabled -Dfuse=disabled -Dtests=disabled \
		-Dpython=disabled $(STATIC_BUILD)
	@ninja -C $(STATIC_BUILD) cli/vhdx
	@strip -o $(STATIC_BUILD)/vhdx $(STATIC_BUILD)/cli/vhdx
	@echo "$(STATIC_BUILD)/vhdx: $$(stat -c %s $(STATIC_BUILD)/vhdx) bytes, static."
	@echo "Left out, for they cannot be linked statically: NBD operands (libnbd), vhdx mount (FUSE), the plugin of nbdkit"
	@echo "that vhdx serve needs, the shared library, and the Python package. Debian has no static ISA-L: checksums are slower."

install: build
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD)

.PHONY: all build demo test bench fuzz static install clean
