# SPDX-License-Identifier: GPL-2.0-or-later
#
# The front door: a target per thing a person does; scripts/ does it.

SHELL := /bin/bash
PYTHON := PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3
PYTEST := $(PYTHON) -m pytest
KDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr
DESTDIR ?=
ARGS ?=

.PHONY: help packages module userland test test-unit test-uml test-vm coverage fuzz lint bench demo install \
	dkms deb clean

help: ## list these targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12
	@echo
	@echo 'test, test-uml, test-vm, fuzz and demo need root; ARGS="..." goes to pytest or the demo.'

packages: ## install the Debian packages that the other targets need (scripts/packages)
	@scripts/packages

module: ## build braid.ko for the running kernel (or KDIR=...) into build/module
	scripts/build-module --kdir $(KDIR)

userland: ## build braidadm into build/release
	cmake --preset release --log-level=WARNING
	cmake --build --preset release

test: packages ## everything that must pass: lint, unit tests, all lanes of the lab
	scripts/run-tests lint unit uml vm

test-unit: packages ## tests on this machine: C++ under ASan and UBSan, core, harness
	scripts/run-tests unit

test-uml: packages ## tests in User-Mode Linux, plain and with all checkers
	scripts/run-tests uml

test-vm: packages ## tests on QEMU hosts with Debian's 6.1 and 6.12 kernels
	scripts/run-tests vm

coverage: packages ## lines of core/ that host tests run, and of the module that the plain UML lane runs
	$(PYTHON) scripts/coverage $(ARGS)

fuzz: packages ## fuzz core/ and config/ on this machine and netlink in the lab; SECONDS_EACH=60
	scripts/run-tests fuzz

lint: packages ## formatting, static analysis, generated files, kernel style and sparse
	scripts/run-tests lint

bench: packages ## Braid beside DRBD 8.4, md raid1, NVMe/TCP and a raw disk, in the UML lane: about 15 minutes
	$(PYTHON) scripts/bench $(ARGS)

demo: packages ## a database in a VM outlives its host and moves back alive, on three emulated hosts; ARGS=--keep leaves them up
	$(PYTHON) scripts/demo $(ARGS)

install: userland ## install braidadm, its man page and completion below DESTDIR/PREFIX
	DESTDIR=$(DESTDIR) cmake --install build/release --prefix $(PREFIX)

dkms: ## build and install the module for the running kernel through DKMS
	scripts/install-dkms

deb: packages ## build the Debian packages into build/deb and run lintian on them
	scripts/build-deb

clean: ## remove build/; kernels built for the lab stay in ~/.cache/braid
	rm -rf build
