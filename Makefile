# SPDX-License-Identifier: MIT
# The short way in; meson and ninja do the work.
#
#   make                    build
#   make demo               show the command at work, on a sample or on IMAGE=path
#   make test               run the tests
#   make fuzz               run each fuzz target for FUZZ_SECONDS (600); needs clang
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

FUZZ_BUILD ?= build-fuzz
FUZZ_SECONDS ?= 600

fuzz:
	@test -f $(FUZZ_BUILD)/build.ninja || CC=clang meson setup -Dfuzz=enabled -Dcli=disabled \
		-Dnbdkit=disabled -Db_sanitize=address,undefined -Db_lundef=false \
		-Dc_args=-fsanitize=fuzzer-no-link $(FUZZ_BUILD)
	@ninja -C $(FUZZ_BUILD)
	@tests/fuzz/long.sh $(FUZZ_BUILD) $(FUZZ_SECONDS) $(FUZZ_TARGETS)

install: build
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD)

.PHONY: all build demo test fuzz install clean
