# The front door. `make run` and `make test` do all they need on a fresh Debian 12 machine.
# SPDX-License-Identifier: MIT

cache := $${METALOS_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/metalos}
jobs := $(shell nproc)
# Meson asks for lld-link, and clang for its tools, under names without a version.
export PATH := $(PATH):/usr/lib/llvm-19/bin

.PHONY: all image sdk run run-hyperv validate-hyperv test bench soak format tidy debug debug-kd clean help setup
.NOTPARALLEL:

all: setup out/build/build.ninja
	@ninja -C out/build -j $(jobs)

image: all
	@ninja -C out/build -j $(jobs) image
	@for kind in img vhdx; do \
	    cmp -s out/build/tools/metalos.$$kind out/metalos.$$kind || \
	    cp --sparse=always --reflink=auto out/build/tools/metalos.$$kind out/metalos.$$kind; done
	@echo "out/metalos.img and out/metalos.vhdx are ready."

sdk: image
	@tools/mksdk all out/sdk out/build/sdk/metalos out/build
	@echo "out/sdk is ready; out/sdk/README.md tells how to write programs with it."

run: setup-run all
	@ninja -C out/build -j $(jobs) image
	@tools/desktop

run-hyperv: setup-run setup-hyperv all
	@tools/hvhost/build >/dev/null
	@ninja -C out/build -j $(jobs) image
	@tools/desktop --machine hyperv

test: setup-test all
	@tools/hvhost/build >/dev/null
	@ninja -C out/build -j $(jobs) image kernel-ubsan
	@tools/test

bench: setup-bench all
	@ninja -C out/build -j $(jobs) image
	@tools/bench

validate-hyperv:
	@tools/setup hyperv validate
	@tools/hvhost/validate all

soak: setup-test all
	@tools/hvhost/build >/dev/null
	@ninja -C out/build -j $(jobs) image kernel-ubsan kernel-kasan
	@tools/test --soak

debug: setup-debug all
	@ninja -C out/build -j $(jobs) image
	@tools/debug

debug-kd: setup-debug all
	@ninja -C out/build -j $(jobs) image
	@tools/debug-kd

format: setup-test
	@git ls-files -z '*.c' '*.h' | xargs -0 clang-format-19 -i

tidy: setup-tidy all
	@git ls-files -z 'boot/*.c' 'kernel/*.c' 'lib/*.c' 'runtime/*.c' 'apps/*.c' | \
	    xargs -0 -P $(jobs) -n 8 clang-tidy-19 --quiet -p out/build

clean:
	@[ ! -d out ] || find out -mindepth 1 -maxdepth 1 ! -name 'disk.img*' -exec rm -rf {} +

setup:
	@tools/setup build
setup-test:
	@tools/setup build test hyperv
setup-%:
	@tools/setup build $*

out/build/build.ninja:
	@meson setup out/build --cross-file tools/build/pe.ini --native-file tools/build/native.ini \
	    -Dsources="$(cache)/sources"

help:
	@echo 'make          build everything'
	@echo 'make run      build, then boot the desktop in QEMU: in a window, or as a web page without a display'
	@echo 'make run-hyperv  the same on a Hyper-V Gen2 machine, which it builds first'
	@echo 'make validate-hyperv  have Linux and iPXE test that machine'
	@echo 'make test     build, then run every test; ends with "N passed, N failed"'
	@echo 'make bench    build, then run one benchmark on MetalOS and on Linux; prints both in instructions'
	@echo 'make soak     build, then run the long tests: an hour or more of abuse'
	@echo 'make image    build, then write out/metalos.img (raw) and out/metalos.vhdx (Hyper-V)'
	@echo 'make sdk      build, then write out/sdk: what compiling programs for MetalOS takes'
	@echo 'make debug    build, then boot with the processor stopped and a debugger attached'
	@echo 'make debug-kd boot with COM2 waiting for WinDbg or another kernel debugger'
	@echo 'make format   put the sources into the layout of .clang-format'
	@echo 'make tidy     look over the sources with clang-tidy'
	@echo 'make setup    only install packages and fetch third-party sources'
	@echo 'make clean    remove what was built; out/disk.img with saved games and ~/.cache/metalos stay'
