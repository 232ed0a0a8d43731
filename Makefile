# SPDX-License-Identifier: GPL-2.0-only
#
# What people type; `make help` lists the targets. (kbuild reads Kbuild.)

VERSION := $(file <VERSION)
SOVERSION := $(firstword $(subst ., ,$(VERSION)))

prefix ?= /usr/local
bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
mandir ?= $(prefix)/share/man
udevdir ?= $(prefix)/lib/udev/rules.d
sysusersdir ?= $(prefix)/lib/sysusers.d

# Where everything that is made goes.
BUILD ?= build
# Stock Debian kernels that the tests boot (6.12-cloud, ... are others, and debug).
KERNELS ?= 6.1 6.12 7.3
# How many CPUs `make counts` has, in turn.
CPUS ?= 1 2
counts = $(foreach k,$(KERNELS),$(CPUS:%=$(BUILD)/counts/$k-%.json))
# The kernel that `make module` builds for.
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
# What `make demo` measures.
DEMO ?= ipc --require-fastos
DEMO_TWO := fastos-spin,fastos-block,pipe,unix-seqpacket,futex+shm,eventfd+shm

CFLAGS ?= -O2 -g
# Guests have no libraries; sanitizers want theirs shared (STATIC=).
STATIC ?= -static
FOS_CFLAGS := -std=gnu11 -Wall -Wextra -fvisibility=hidden -fPIC -pthread \
	-D_GNU_SOURCE -MMD -MP
CACHE := $(or $(FASTOS_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fastos)
KSELFTEST := $(CACHE)/kselftest/include
VM := selftests/vm/vm
export FASTOS_BUILD := $(abspath $(BUILD))

# Exactly these files make a source tree that dkms can build.
DKMS_SOURCES := Kbuild VERSION dkms.conf LICENSES/GPL-2.0-only.txt \
	LICENSES/Linux-syscall-note.txt LICENSES/MIT.txt \
	$(sort $(wildcard include/uapi/linux/*.h)) \
	$(sort $(wildcard kmod/*.c kmod/*.h))

# Short lines, or whole commands with V=1.
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
MAKEFLAGS += --no-print-directory
say = @printf '  %-8s%s\n' '$(1)' '$(2)'
endif

lib_obj := $(patsubst lib/%.c,$(BUILD)/lib/%.o,$(wildcard lib/*.c))
bench_obj := $(patsubst bench/%.c,$(BUILD)/bench/%.o,$(wildcard bench/*.c))
# It replays the library's own policy.
bench_spin := $(BUILD)/bench/lib_spin.o
$(filter $(BUILD)/bench/wait%,$(bench_obj)): room := -Ilib
# Each is a program; abi* speak to the module without the library.
suite_bin := $(patsubst selftests/%.c,$(BUILD)/bin/fos-%,$(wildcard selftests/*.c))
abi_bin := $(filter $(BUILD)/bin/fos-abi $(BUILD)/bin/fos-abi_%,$(suite_bin))
model := $(BUILD)/model/model
model_obj := $(patsubst selftests/%.c,$(BUILD)/%.o,$(wildcard selftests/model/*.c))
# Each is a program, but for kvsnap, which is of several files.
example_c := $(filter-out examples/kvsnap_%,$(wildcard examples/*.c))
example_bin := $(patsubst examples/%.c,$(BUILD)/bin/fos-%,$(example_c))
static := $(BUILD)/lib/libfastos.a
shared := $(BUILD)/lib/libfastos.so.$(SOVERSION)

.DELETE_ON_ERROR:
.SUFFIXES:

##@ Build
.PHONY: all
all: lib bench selftests examples module-if-headers ## all of the following

.PHONY: lib
lib: $(static) $(shared) ## the library, static and shared, in build/lib

.PHONY: bench
bench: $(BUILD)/bin/fosbench ## the benchmark, build/bin/fosbench

.PHONY: selftests
selftests: $(suite_bin) $(model) ## the test programs, build/bin/fos-*

.PHONY: examples
examples: $(example_bin) ## the examples, build/bin/fos-echo*, -crowd*, -poll-server, -pipeline, ...

.PHONY: module modules
module: ## fastos.ko for the running kernel (or KVER=), in build/KVER
	$(Q)test -e '$(KDIR)/Makefile' || { \
	echo 'no headers of kernel $(KVER) in $(KDIR);' \
	'apt-get install linux-headers-$(KVER)' >&2; exit 1; }
	$(call say,KMOD,$(BUILD)/$(KVER)/fastos.ko)
	$(Q)mkdir -p '$(BUILD)/$(KVER)'
	$(Q)cp -p --parents $(DKMS_SOURCES) '$(BUILD)/$(KVER)'
	$(Q)$(MAKE) -C '$(KDIR)' M='$(abspath $(BUILD))/$(KVER)' $(if $(Q),-s) \
		CONFIG_DEBUG_INFO_BTF_MODULES= modules
modules: module ## the same

.PHONY: module-if-headers
module-if-headers: $(if $(wildcard $(KDIR)/Makefile),module)
	$(if $(wildcard $(KDIR)/Makefile),,@echo \
	'  SKIP    fastos.ko: no headers of the running kernel ($(KVER)); \
	`make vm-module` builds it for a guest')

.PHONY: vm-module
vm-module: ## fastos.ko for the guests' kernels (KERNELS="6.1 6.12 7.3")
	$(Q)for k in $(KERNELS); do \
	selftests/vm/fetch $$k && \
	selftests/vm/build-module $$k $(if $(Q),,V=1) || exit; done

.PHONY: clean
clean: ## remove everything made here; the download cache stays
	$(Q)rm -rf '$(BUILD)'

##@ Try, test, measure
.PHONY: deps
deps: ## install the Debian packages that building and testing need
	$(Q)tools/deps

.PHONY: demo
demo: ## channels against POSIX IPC, in a guest (NATIVE=1: on this machine)
	$(Q)tools/deps
ifeq ($(NATIVE),1)
	$(Q)$(MAKE) bench module-if-headers
	$(Q)tools/native $(BUILD)/bin/fosbench $(DEMO) || { [ $$? -eq 125 ] && \
	echo '== what the library does without the module, on this machine' && \
	$(BUILD)/bin/fosbench ipc; }
else
	$(Q)$(MAKE) bench vm-module KERNELS=$(firstword $(KERNELS))
	@echo '== one CPU: instructions, the same digits in every run'
	$(Q)$(VM) run --kernel $(firstword $(KERNELS)) --smp 1 --icount \
		--timeout 900 -- fosbench $(DEMO) --icount --cpus 0,0
	@echo '== two CPUs: what is there to pay for when nobody need sleep'
	$(Q)$(VM) run --kernel $(firstword $(KERNELS)) --smp 2 \
		--timeout 900 -- fosbench $(DEMO) --counts --cpus 0,1 \
		--sizes 8 --rounds 1 --iters 3000 \
		--engines $(DEMO_TWO)
endif

.PHONY: debug-kernel
debug-kernel: ## a 6.12 with KASAN, lockdep, kmemleak, ...: KERNELS=debug (15 min)
	$(Q)tools/deps debug-kernel
	$(Q)selftests/vm/debug-kernel

# `make check` runs on it, too, when it is there.
check_kernels = $(KERNELS) $(if $(filter file,$(origin KERNELS)),debug)
check_built = $(filter-out $(shell selftests/vm/debug-kernel --there || \
	echo debug),$(check_kernels))

.PHONY: check-build
check-build: lib bench selftests examples vm-module

# The tools, and everything that is tested.
.PHONY: check-ready
check-ready:
	$(Q)rm -f '$(BUILD)/check/summary'
	$(Q)tools/deps
	+$(Q)$(MAKE) check-build KERNELS='$(check_built)' || { echo '0 passed, 1 failed, 0 skipped'; exit 1; }

.PHONY: check
check: check-ready ## all tests, on the host and in guests; the last line is the result
	$(Q)selftests/run --host --native --guest --kernels '$(check_kernels)' $(SUITES)

.PHONY: gates
gates: check-ready ## faults made on purpose, model, fuzzing, sanitizers (20 min)
	$(Q)selftests/run --gates $(SUITES)

.PHONY: soak
soak: lib selftests examples vm-module ## the long form of tests, model and fuzzing; hours
	$(Q)FOS_SOAK=$(or $(FOS_SOAK),20) FOS_BUDGET=$(or $(FOS_BUDGET),20) \
		selftests/run --guest --kernels '$(KERNELS)' $(SUITES)
	$(Q)FOS_MESSAGES=$(or $(FOS_MESSAGES),10000000) FOS_BUDGET=$(or $(FOS_BUDGET),20) \
		selftests/run --native stress_many
	$(Q)FOS_RELOADS=$(or $(FOS_RELOADS),1000) bats selftests/bats/reload.bats
	$(Q)$(model) --full
	$(Q)$(model) --full --mutate all --max-states 3000000
	$(Q)selftests/fuzz/run --seconds $(or $(FUZZ_SECONDS),1800)

.PHONY: fuzz
fuzz: ## hostile peers made up by libFuzzer, FUZZ_SECONDS=20 a target
	$(Q)selftests/fuzz/run --seconds $(or $(FUZZ_SECONDS),20)

.PHONY: model
model: $(model) ## all executions of lib/ring.c in small (MODEL=--help)
	$(Q)$(model) $(MODEL)

.PHONY: mutation
mutation: selftests ## break the code on purpose: the tests must notice
	$(Q)selftests/mutation_lib
	$(Q)$(MAKE) vm-module KERNELS=$(firstword $(KERNELS))
	$(Q)selftests/mutation --kernel $(firstword $(KERNELS))

.PHONY: coverage
coverage: ## what tests reach, what they never call (KERNELS=: the library only)
	$(Q)tools/coverage $(if $(strip $(KERNELS)),,--native) $(SUITES)

.PHONY: counts
counts: bench vm-module ## instructions a round trip, on CPUS="1 2", against the baseline
	$(Q)set -e; for k in $(KERNELS); do for c in $(CPUS); do \
	echo "== $$k, $$c CPU"; \
	tools/counts measure --tlb --kernel $$k --cpus $$c $(BUILD)/counts/$$k-$$c.json; \
	done; done
	@echo '== against bench/baseline.json'
	$(Q)tools/counts check $(counts)

.PHONY: counts-baseline
counts-baseline: export REASON := $(REASON)
counts-baseline: ## what `make counts` counted is right from now on: REASON="..."
	$(Q)tools/counts accept --reason "$$REASON" $(counts)

.PHONY: lint
lint: ## style of C, shell, prose and manual pages
	$(Q)tools/lint

##@ Install (DESTDIR=, prefix=/usr/local)
.PHONY: install
install: lib bench ## library, header, manual pages, fosbench, udev rule
	$(Q)set -e; d='$(DESTDIR)'; \
	install -d "$$d$(libdir)/pkgconfig" "$$d$(includedir)/linux" "$$d$(bindir)" \
		"$$d$(mandir)/man1" "$$d$(mandir)/man3" "$$d$(mandir)/man7" \
		"$$d$(udevdir)" "$$d$(sysusersdir)"; \
	install -m 644 $(static) "$$d$(libdir)"; \
	install -m 644 $(shared) "$$d$(libdir)/libfastos.so.$(VERSION)"; \
	ln -sf libfastos.so.$(VERSION) "$$d$(libdir)/libfastos.so.$(SOVERSION)"; \
	ln -sf libfastos.so.$(SOVERSION) "$$d$(libdir)/libfastos.so"; \
	install -m 644 include/fastos*.h "$$d$(includedir)"; \
	install -m 644 include/uapi/linux/fastos*.h "$$d$(includedir)/linux"; \
	sed -e 's|@prefix@|$(prefix)|' -e 's|@libdir@|$(libdir)|' \
		-e 's|@includedir@|$(includedir)|' -e 's|@version@|$(VERSION)|' \
		lib/fastos.pc.in >"$$d$(libdir)/pkgconfig/fastos.pc"; \
	chmod 644 "$$d$(libdir)/pkgconfig/fastos.pc"; \
	install -m 755 $(BUILD)/bin/fosbench "$$d$(bindir)"; \
	for n in 1 3 7; do install -m 644 man/*.$$n "$$d$(mandir)/man$$n"; done; \
	install -m 644 etc/60-fastos.rules "$$d$(udevdir)"; \
	install -m 644 etc/fastos.sysusers "$$d$(sysusersdir)/fastos.conf"
	@test -n '$(DESTDIR)' || echo 'Now: ldconfig; systemd-sysusers; udevadm' \
		'control --reload; make dkms-install'

.PHONY: uninstall
uninstall: ## remove what install put there, with the same DESTDIR and prefix
	$(Q)set -e; d='$(DESTDIR)'; \
	rm -f "$$d$(libdir)"/libfastos.a "$$d$(libdir)"/libfastos.so \
		"$$d$(libdir)"/libfastos.so.$(SOVERSION) \
		"$$d$(libdir)"/libfastos.so.$(VERSION) \
		"$$d$(libdir)"/pkgconfig/fastos.pc "$$d$(bindir)"/fosbench \
		"$$d$(udevdir)"/60-fastos.rules "$$d$(sysusersdir)"/fastos.conf; \
	for f in include/fastos*.h; do \
		rm -f "$$d$(includedir)/$${f##*/}"; done; \
	for f in include/uapi/linux/*.h; do \
		rm -f "$$d$(includedir)/linux/$${f##*/}"; done; \
	for n in 1 3 7; do for f in man/*.$$n; do \
		rm -f "$$d$(mandir)/man$$n/$${f##*/}"; done; done

dkms_dir = $(DESTDIR)/usr/src/fastos-$(VERSION)

.PHONY: dkms-install
dkms-install: ## the module's sources for dkms, in /usr/src/fastos-VERSION
	$(Q)rm -rf '$(dkms_dir)' && install -d '$(dkms_dir)'
	$(Q)cp -p --parents $(DKMS_SOURCES) '$(dkms_dir)'
	@test -n '$(DESTDIR)' || echo 'Now: dkms install fastos/$(VERSION) &&' \
		'modprobe fastos'

.PHONY: dkms-uninstall
dkms-uninstall: ## remove them (first: dkms remove fastos/VERSION --all)
	$(Q)rm -rf '$(dkms_dir)'

##@ Help
.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^##@ / { printf "%s%s\n", n++ ? "\n" : "", substr($$0, 5) } \
	/^[a-z][a-z -]*:.*## / { split($$1, t, " "); \
		printf "  make %-18s%s\n", t[1], $$2 }' Makefile
	@printf '\nV=1 shows whole commands; FOS_BUDGET=N gives tests N times as long\n'

# ---- rules ---------------------------------------------------------------

# Objects depend on how they were compiled.
flags := $(VERSION) $(CC) $(CPPFLAGS) $(CFLAGS) $(FOS_CFLAGS) $(LDFLAGS)
.PHONY: FORCE
$(BUILD)/flags: FORCE
	@mkdir -p $(BUILD)/lib $(BUILD)/bench $(BUILD)/bin $(BUILD)/model \
		$(BUILD)/examples $(BUILD)/dep
	@echo '$(subst ','\'',$(flags))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(flags))' >$@

# The library is one object, optimised as a whole: a call runs through four
# files, and their borders cost a tenth of it. (clang only joins the files.)
ifeq ($(findstring clang,$(CC))$(findstring -fsanitize,$(CFLAGS))$(filter \
		--coverage,$(CFLAGS)),)
lto := -flto
lto_link := -flto=1 -flinker-output=nolto-rel
endif

$(lib_obj): $(BUILD)/lib/%.o: lib/%.c $(BUILD)/flags
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(FOS_CFLAGS) $(CFLAGS) $(lto) -Iinclude \
		-Iinclude/uapi -Ilib -c -o $@ $<

# Its hidden names stay inside.
lib_whole := $(BUILD)/lib/libfastos.o
$(lib_whole): $(lib_obj)
	$(call say,LTO,$@)
	$(Q)$(CC) $(filter-out -pthread --coverage,$(FOS_CFLAGS) $(CFLAGS)) \
		$(lto_link) -r -nostdlib -o $@ $^
	$(Q)objcopy --localize-hidden $@

$(static): $(lib_whole)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(shared): $(lib_whole) lib/libfastos.map
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -pthread -o $@ $(lib_whole) -luring \
		-Wl,-soname,$(@F) -Wl,-z,defs -Wl,-z,nodelete -Wl,--no-undefined-version \
		-Wl,--version-script=lib/libfastos.map

.PHONY: bench-deps
bench-deps:
	@for h in gsl/gsl_statistics.h jansson.h liburing.h; do \
	echo "#include <$$h>" | $(CC) $(CPPFLAGS) -E - >/dev/null 2>&1 || { \
	echo "fosbench needs <$$h>: run \`make deps\`" >&2; exit 1; }; done

$(bench_obj): $(BUILD)/bench/%.o: bench/%.c $(BUILD)/flags | bench-deps
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(FOS_CFLAGS) $(CFLAGS) -Iinclude $(room) \
		-DFOSBENCH_VERSION='"$(VERSION)"' -c -o $@ $<

$(bench_spin): lib/spin.c $(BUILD)/flags
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(FOS_CFLAGS) $(CFLAGS) -Iinclude -c -o $@ $<

$(BUILD)/bin/fosbench: $(bench_obj) $(bench_spin) $(static)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -static -pthread -o $@ $^ \
		-lgsl -lgslcblas -lm -ljansson -luring

$(KSELFTEST)/kselftest_harness.h:
	$(call say,FETCH,kselftest harness)
	$(Q)selftests/vm/fetch harness

# Every test function has parameters that few use.
harness := -isystem $(KSELFTEST) -Wno-unused-parameter
compile_static = $(CC) $(CPPFLAGS) $(FOS_CFLAGS) $(CFLAGS) $(LDFLAGS) $(STATIC)

$(addprefix $(BUILD)/bin/fos-,abi_cq_eventfd abi_poll abi_region abi_uring abi_uring_end): uring := -luring
$(abi_bin): $(BUILD)/bin/fos-%: selftests/%.c $(BUILD)/flags \
		| $(KSELFTEST)/kselftest_harness.h
	$(call say,CCLD,$@)
	$(Q)$(compile_static) -MF $(BUILD)/dep/$(@F).d -Iinclude/uapi $(harness) \
		-o $@ $< $(uring)

$(BUILD)/bin/fos-numa: numa := -lnuma
$(filter-out $(abi_bin),$(suite_bin)): $(BUILD)/bin/fos-%: selftests/%.c \
		$(static) $(BUILD)/flags | $(KSELFTEST)/kselftest_harness.h
	$(call say,CCLD,$@)
	$(Q)$(compile_static) -MF $(BUILD)/dep/$(@F).d -Iinclude $(harness) \
		-o $@ $< $(static) -luring $(numa)

# The stacks of its threads are part of a state: what is left over in them makes
# equal states look different.
$(model_obj): $(BUILD)/model/%.o: selftests/model/%.c $(BUILD)/flags
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(FOS_CFLAGS) $(CFLAGS) -ftrivial-auto-var-init=zero \
		-Iinclude -Iinclude/uapi -Ilib -c -o $@ $<

$(model): $(model_obj)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^

kvsnap := $(BUILD)/bin/fos-kvsnap
$(filter-out $(kvsnap),$(example_bin)): $(BUILD)/bin/fos-%: examples/%.c \
		$(static) $(BUILD)/flags
	$(call say,CCLD,$@)
	$(Q)$(compile_static) -MF $(BUILD)/dep/$(@F).d -Iinclude -o $@ $< $(static) -luring

kvsnap_obj := $(patsubst examples/%.c,$(BUILD)/examples/%.o,$(wildcard \
	examples/kvsnap*.c))
$(kvsnap_obj): $(BUILD)/examples/%.o: examples/%.c $(BUILD)/flags
	$(call say,CC,$@)
	$(Q)$(CC) $(CPPFLAGS) $(FOS_CFLAGS) $(CFLAGS) -Iinclude -c -o $@ $<

$(kvsnap): $(kvsnap_obj) $(static)
	$(call say,CCLD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) $(STATIC) -pthread -o $@ $^ -luring -ljansson -lm

-include $(wildcard $(BUILD)/lib/*.d $(BUILD)/bench/*.d $(BUILD)/model/*.d \
	$(BUILD)/examples/*.d $(BUILD)/dep/*.d)
