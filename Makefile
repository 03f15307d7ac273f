# SPDX-License-Identifier: MIT
# The short way in; meson and ninja do the work.
#
#   make                    build
#   make demo               show the command at work, on a sample or on IMAGE=path
#   make test               run the tests
#   make bench              measure against the peers that are installed; QUICK=1: in 2 minutes; TABLES="NAME..."
#   make fuzz               run each fuzz target for FUZZ_SECONDS (600); needs clang
#   make static             build a command that needs no library of the system, build-static/vhdx
#   make packages           build Debian packages into PACKAGES (build-packages)
#   make install            install below PREFIX (/usr/local; no root: PREFIX=$HOME/.local)
#   make clean              remove the build folder

BUILD ?= build
PREFIX ?= /usr/local
BOOTSTRAP ?= scripts/bootstrap

all: build

configure:
	@$(BOOTSTRAP)
	@test -f $(BUILD)/build.ninja || meson setup --prefix=$(PREFIX) --libdir=lib $(BUILD)
	$(if $(filter command,$(firstword $(origin PREFIX))),@meson configure --prefix=$(PREFIX) $(BUILD))

build: configure
	@ninja -C $(BUILD)

# What the tests need is most of the work, and is not built for this.
demo: configure
	@ninja -C $(BUILD) commands
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
	@$(BOOTSTRAP)
	@test -f $(STATIC_BUILD)/build.ninja || meson setup --default-library=static --prefer-static --buildtype=release \
		-Dc_link_args=-static -Dauto_features=disabled -Dcli=enabled -Dext2fs=enabled $(STATIC_BUILD)
	@ninja -C $(STATIC_BUILD) cli/vhdx
	@strip -o $(STATIC_BUILD)/vhdx $(STATIC_BUILD)/cli/vhdx
	@echo "$(STATIC_BUILD)/vhdx: $$(stat -c %s $(STATIC_BUILD)/vhdx) bytes, static."
	@echo "Left out, for they cannot be linked statically:"
	@echo "  nbd:// operands (libnbd)"
	@echo "  rbd: operands (librbd)"
	@echo "  vhdx mount (FUSE)"
	@echo "  the plugin of nbdkit that vhdx serve needs"
	@echo "Debian has no static ISA-L: checksums are slower."

PACKAGES ?= build-packages

packages:
	@scripts/packages $(PACKAGES)

# The loader's list of libraries is the system's: a user, or a packager, has none to bring up to date.
install: configure
	@ninja -C $(BUILD) installed
	@meson install -C $(BUILD) --no-rebuild
	@test "$(DESTDIR)" || test "$$(id -u)" -ne 0 || PATH=$$PATH:/sbin:/usr/sbin ldconfig

clean:
	rm -rf $(BUILD)

.PHONY: all configure build demo test bench fuzz static packages install clean
