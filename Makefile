# SPDX-License-Identifier: Apache-2.0
# `make demo` and `make test` set up what they need by themselves; a second run finds it done.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help setup demo test test-slow test-spreadsheet storm fuzz check bench docs dist lock clean

PYTHON := /usr/bin/python3
BIN := .venv/bin

# What the program and its demo use …
PACKAGES := python3 python3-venv python3-libnbd qemu-utils nbdkit libnbd-bin openssl zstd \
  e2fsprogs fdisk dosfstools mtools grub-common grub-pc-bin grub-efi-amd64-bin
# … and what the tests use beside that, which boot virtual machines too.
# (Node.js from elsewhere brings its own npm, which Debian's would be in the way of.)
TEST_PACKAGES := $(PACKAGES) cpio chromium nbdkit-plugin-python openssh-client openssh-server postgresql \
  linux-image-amd64 python3-guestfs python3-hivex python3-libregf ntfs-3g cryptsetup-bin mmdebstrap python3-libvhdi samba \
  tmux man-db mandoc bash-completion zsh fish \
  qemu-system-x86 ovmf golang-go golang-github-vmware-govmomi-dev \
  $(if $(shell command -v npm),,nodejs npm)

# LibreOffice is large, and one of the tests' programs that few need.
SPREADSHEET_PACKAGES := $(PACKAGES) libreoffice-calc-nogui python3-uno

help:
	@echo 'make demo       set up, then migrate a small VM to a simulated pool; touches nothing of yours'
	@echo 'make setup      Debian packages, a virtual environment in .venv, v2x in it'
	@echo 'make test       set up, then run the tests'
	@echo 'make test-slow  the tests that take long: they boot virtual machines'
	@echo 'make test-spreadsheet  plans edited in LibreOffice, which it installs'
	@echo 'make fuzz       changed inputs for every reader, guided by coverage: FUZZ_SECONDS=3600 FUZZ_SEED=1'
	@echo 'make storm      migrations killed and troubled at random: STORM_SECONDS=1800 STORM_SEED=1'
	@echo 'make check      format, lint, types, import rules, documentation against --help, licences, vulnerabilities'
	@echo 'make docs       the documentation: links, commands, made pages, and a site of it in build/site'
	@echo 'make bench      measurements'
	@echo 'make dist       sdist, wheel, Debian package, bill of materials, in dist/'
	@echo 'make lock       the locked packages anew, after a change of pyproject.toml'
	@echo 'make clean      remove what was built, and .venv'

setup: .venv/.installed .setup-guest/.complete

demo: setup
	$(BIN)/v2x demo

test: setup .setup-packages-test .setup-vcsim/.complete .setup-clients/.complete
	$(BIN)/python -m pytest -n 2 -m 'not slow and not spreadsheet'

test-slow: setup .setup-packages-test .setup-vcsim/.complete \
    .setup-debian/.complete .setup-xen/.complete .setup-linux-tools/.complete
	$(BIN)/python -m pytest -m slow

test-spreadsheet: setup .setup-packages-spreadsheet
	$(BIN)/python -m pytest -m spreadsheet tests/e2e/test_libreoffice.py

# What is found worth keeping is kept in .fuzz, and the next run begins with it.
FUZZ_SECONDS := 3600
FUZZ_SEED := 1
fuzz: setup .setup-packages-test
	$(BIN)/python -m tests.fuzz.session .fuzz $(FUZZ_SECONDS) $(FUZZ_SEED)

STORM_SECONDS := 1800
STORM_SEED := 1
storm: setup .setup-packages-test
	$(BIN)/python -m tests.storm --seconds $(STORM_SECONDS) --seed $(STORM_SEED)

check: .venv/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.docs_check
	$(BIN)/python -m tests.docs_made
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive v2x
	$(BIN)/python -m tests.release.lock check
	@$(BIN)/python -m tests.release.licences >/dev/null
	@$(BIN)/python -m tests.release.audit

# Sizes and rounds: make bench BENCH_SCALE=0.1 BENCH_PAIRS=3; the figures go to build/bench, and from there into
# docs/performance.md by `python -m tests.bench.report`.
bench: setup .setup-packages-test .setup-peers/.complete
	$(BIN)/python -m pytest -q -s tests/bench --timeout=3600 -p no:cacheprovider -o 'python_files=bench_*.py'

docs: .venv/.installed
	$(BIN)/python -m tests.docs_check
	$(BIN)/python -m tests.docs_made
	$(BIN)/mkdocs build --strict --config-file .ci/mkdocs.yml

dist: .venv/.installed
	$(BIN)/python -m tests.release.dist

lock: .venv/.installed
	$(BIN)/python -m tests.release.lock write

clean:
	rm -rf .venv .setup-* .v2x-demo build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.setup-packages: Makefile .ci/packages
	@.ci/packages $(PACKAGES)
	@touch $@

.setup-packages-test: Makefile .ci/packages
	@.ci/packages $(TEST_PACKAGES)
	@touch $@

.setup-packages-spreadsheet: Makefile .ci/packages
	@.ci/packages $(SPREADSHEET_PACKAGES)
	@touch $@

.setup-guest/.complete: .ci/guest-parts | .setup-packages
	@.ci/guest-parts .setup-guest

.setup-vcsim/.complete: .ci/vcsim tests/vcsim/main.go tests/vcsim/client/main.go | .setup-packages-test
	@.ci/vcsim .setup-vcsim

# A Debian that left VMware, a real Xen to boot it on, and the programs that read what is written into a guest.
.setup-debian/.complete: .ci/debian-guest $(shell find tests/debian/guest -type f) | .setup-packages-test
	@.ci/debian-guest .setup-debian

.setup-xen/.complete: .ci/xen-host $(wildcard tests/debian/xen-host/*) | .setup-packages-test
	@.ci/xen-host .setup-xen

.setup-linux-tools/.complete: .ci/linux-tools | .setup-packages-test
	@.ci/linux-tools .setup-linux-tools

# Xen Orchestra's own ways of a disk, which the measurements run beside v2x's.
.setup-peers/.complete: tests/bench/peers/package.json | .setup-packages-test
	@mkdir -p .setup-peers && cp $< .setup-peers/
	npm install --prefix .setup-peers --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error
	@touch $@

# Clients of XAPI that are not ours, which the tests set on the simulated pool.
.setup-clients/.complete: tests/clients/package.json | .setup-packages-test
	@mkdir -p .setup-clients && cp $< .setup-clients/
	npm install --prefix .setup-clients --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error
	@touch $@

.venv/.created: | .setup-packages
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "v2x needs Python 3.11 or newer (Debian 12 has it); $(PYTHON) is $$($(PYTHON) -V 2>&1)" >&2; exit 1; }
	$(PYTHON) -m venv --system-site-packages .venv
	@touch $@

.venv/.installed: .venv/.created pyproject.toml .ci/requirements.lock .ci/python-packages
	@.ci/python-packages $(BIN)/python
	@touch $@
