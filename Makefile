# SPDX-License-Identifier: MIT
# The short way in; meson and ninja do the work.
#
#   make                    build
#   make demo               show the command at work, on a sample or on IMAGE=path
#   make test               run the tests
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

install: build
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD)

.PHONY: all build demo test install clean
