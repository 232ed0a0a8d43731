#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2016 # the guest expands
#
# The guest runner itself: a good run is green, and a module that misbehaves
# turns it red, with a word on why.
# gate
# budget: 1500 s

load helper

# On 6.1, and what the kernel words otherwise or does better also on the newest.
setup_file() {
	local kernels

	mapfile -t kernels < <(selftests/vm/vm list 2>/dev/null |
		awk '$1 ~ /^[0-9.]+$/ { print $1 }' | sort -V)
	[[ ${kernels[0]:-} == 6.1 ]] ||
		skip "no kernel 6.1; \`selftests/vm/fetch 6.1\` gets it"
	export NEWEST=${kernels[-1]}
	BUGGY=$(selftests/vm/build-module 6.1 SRC=selftests/vm/buggy 2>/dev/null)
	BUGGY_NEWEST=$(selftests/vm/build-module "$NEWEST" \
		SRC=selftests/vm/buggy 2>/dev/null)
	! selftests/vm/debug-kernel --there || BUGGY_DEBUG=$(
		selftests/vm/build-module debug SRC=selftests/vm/buggy 2>/dev/null)
	export BUGGY BUGGY_NEWEST BUGGY_DEBUG=${BUGGY_DEBUG:-}
}

# vm run OPTION... -- CMD: stdout in $output, stderr in $err
vm() {
	run bash -c 'selftests/vm/vm run --programs "" "${@:2}" 2>"$0"' \
		"$BATS_TEST_TMPDIR/err" "$@"
	err=$(<"$BATS_TEST_TMPDIR/err")
	echo "$output"
	echo "$err"
}

buggy() {	# MODE [OPTION...]
	vm run --module "$BUGGY" --param "mode=$1" "${@:2}" -- echo hello
}

buggy_newest() {
	[[ $NEWEST != 6.1 ]] || skip "no kernel but 6.1"
	BUGGY=$BUGGY_NEWEST buggy "$@" --kernel "$NEWEST"
}

buggy_debug() {
	[[ ${BUGGY_DEBUG:-} ]] || skip "no debug kernel; \`make debug-kernel\` builds it"
	BUGGY=$BUGGY_DEBUG buggy "$@" --kernel debug
}

red() {	# REGEX
	[[ $status -eq 125 && $err =~ $1 && $err =~ 'vm: console: ' ]]
}

@test "a good run gives the command's output, status and files" {
	echo 'from the host' >"$BATS_TEST_TMPDIR/file"
	vm run --module "$BUGGY" --add "$BATS_TEST_TMPDIR/file:/etc/" \
		--out "$BATS_TEST_TMPDIR/out" -- sh -c '
		cat /etc/file; lsmod | grep -c buggy; echo to stderr >&2
		printf "%s\n" "$@"; head -c 99999 /bin/busybox >/out/data
		exit 3' x "it's" 'a  $b'
	[[ $status -eq 3 && ! $err ]]
	[[ $output == $'from the host\n1\nto stderr\nit\'s\na  $b' ]]
	head -c 99999 "$(command -v busybox)" | cmp - "$BATS_TEST_TMPDIR/out/data"
}

@test "each program finds a module that was loaded anew, or who keeps it is told" {
	printf '#!/bin/sh\nls -di /sys/module/fastos\n' >"$BATS_TEST_TMPDIR/one"
	cp "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
	printf '#!/bin/sh\nsleep 99 </dev/fastos &\n' >"$BATS_TEST_TMPDIR/keeper"
	chmod +x "$BATS_TEST_TMPDIR"/{one,two,keeper}
	vm run --add selftests/vm/each --add "$BATS_TEST_TMPDIR/one" \
		--add "$BATS_TEST_TMPDIR/two" --add "$BATS_TEST_TMPDIR/keeper" \
		-- each one two keeper
	[[ $status -eq 0 && ! $err ]]
	[[ $output =~ $'\neach: 0 '[0-9]+$' one\n' ]]
	[[ $output == *'vm: RED: rmmod failed: fastos is in use'$'\neach: 125 '* ]]
	[[ $(grep -c '/sys/module/fastos$' <<<"$output") -eq 2 ]]
	[[ $(grep '/sys/module/fastos$' <<<"$output" | uniq | wc -l) -eq 2 ]]
}

@test "two guests side by side" {
	local pid

	selftests/vm/vm run --no-module -- sh -c 'sleep 1; echo one' \
		>"$BATS_TEST_TMPDIR/one" 3>&- &
	pid=$!
	vm run --no-module --smp 1 -- sh -c 'nproc; exit 7'
	[[ $status -eq 7 && $output == 1 ]]
	wait "$pid"
	[[ $(<"$BATS_TEST_TMPDIR/one") == one ]]
}

@test "instruction counts are the same twice" {
	local first count='read a b </proc/uptime; echo $a $b; grep LOC: /proc/interrupts'

	vm run --icount --no-module -- sh -c "$count"
	[[ $status -eq 0 && $output == *LOC:* ]]
	first=$output
	vm run --icount --no-module -- sh -c "$count"
	[[ $status -eq 0 && $output == "$first" ]]
}

@test "instruction counts of two CPUs are the same twice, with QEMU 10" {
	local first count='nproc; cat /proc/uptime; grep -E "(LOC|CAL):" /proc/interrupts'

	selftests/vm/fetch qemu-10 2>/dev/null || skip "no QEMU 10 in reach of apt"
	vm run --icount --smp 2 --qemu 10 --no-module -- sh -c "$count"
	[[ $status -eq 0 && ${lines[0]} == 2 ]]
	first=$output
	vm run --icount --smp 2 --qemu 10 --no-module -- sh -c "$count"
	[[ $status -eq 0 && $output == "$first" ]]
}

@test "two CPUs under --icount are refused where QEMU would hang" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\necho "QEMU emulator version 7.2.0"\n' \
		>"$BATS_TEST_TMPDIR/bin/qemu-system-x86_64"
	chmod +x "$BATS_TEST_TMPDIR/bin/qemu-system-x86_64"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH vm run --icount --smp 2 --no-module -- true
	[[ $status -eq 125 && $err == *'--qemu 10 does'* ]]
}

@test "an oops while the module loads is red" {
	buggy oops
	red 'NULL pointer dereference.*the guest panicked while loading the module'
}

@test "a panic is red" {
	buggy panic
	red 'not syncing: buggy: asked to.*the guest panicked'
	[[ $err != *'once more'* ]]
}

@test "a warning is red, though everything went on" {
	buggy warn
	[[ $output == hello ]]
	red 'WARNING: CPU.*the kernel complained'
}

@test "a warning is red, as the newest kernel words it" {
	buggy_newest warn
	[[ $output == hello ]]
	red 'WARNING: .*the kernel complained'
}

@test "a use after free is red" {
	buggy use_after_free
	red 'BUG kmalloc-64 .*Poison overwritten.*the kernel complained'
}

@test "a use after free is red, on the newest kernel" {
	buggy_newest use_after_free
	red 'Poison overwritten.*the kernel complained'
}

@test "a byte behind the end of an object is red" {
	buggy overflow
	red 'edzone overwritten.*the kernel complained'
}

@test "sleeping with a lock held is red" {
	buggy sleep_atomic
	red 'scheduling while atomic.*the kernel complained'
}

@test "a module that cannot be unloaded is red" {
	buggy leakref
	[[ $output == hello ]]
	red 'rmmod failed: buggy is in use'
}

@test "a module that does not load is red" {
	buggy nosuchmode
	[[ ! $output ]]
	red 'insmod buggy failed'
}

@test "a CPU stuck in the kernel is red, with a backtrace" {
	buggy hang --smp 1 --timeout 60
	red 'RIP: 0010:buggy_hang.*no end after 60 s, stuck while loading'
}

@test "a command that does not end is red, with its stack" {
	vm run --module "$BUGGY" --timeout 60 -- sleep 1000
	red 'sleep 1000.*nanosleep.*had not ended'
}

@test "a kernel that does not boot is red, at the second time" {
	head -c 1000000 /dev/zero >"$BATS_TEST_TMPDIR/kernel"
	vm run --kernel "$BATS_TEST_TMPDIR/kernel" --no-module -- true
	red 'QEMU ended with status .* before init; once more.*RED: QEMU ended'
}

# second_chance WHAT: hello, after a first QEMU that does only WHAT.
second_chance() {
	mkdir "$BATS_TEST_TMPDIR/bin"
	cat >"$BATS_TEST_TMPDIR/bin/qemu-system-x86_64" <<-END
		#!/bin/bash
		[[ \$1 == --version || -e \$0.died ]] &&
			exec $(command -v qemu-system-x86_64) "\$@"
		touch "\$0.died"
		exec $1
	END
	chmod +x "$BATS_TEST_TMPDIR/bin/qemu-system-x86_64"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH vm run --no-module --timeout 60 -- echo hello
	[[ $status -eq 0 && $output == hello && $err == *'once more'* ]]
}

@test "a guest that dies before init has a second chance" {
	second_chance false
}

@test "a kernel that hangs before its first line has a second chance" {
	second_chance 'sleep 1000'
	[[ $err == *'printed nothing after 20 s'* ]]
}

@test "on the debug kernel, a good run is green" {
	buggy_debug none
	[[ $status -eq 0 && ! $err && $output == hello ]]
}

@test "on the debug kernel, a use after free is red" {
	buggy_debug use_after_free
	red 'KASAN: slab-use-after-free in buggy_.*the kernel complained'
}

@test "on the debug kernel, a byte behind the end is red" {
	buggy_debug overflow
	red 'KASAN: slab-out-of-bounds in buggy_.*the kernel complained'
}

@test "on the debug kernel, a call that may sleep with a lock held is red" {
	buggy_debug alloc_atomic
	red 'sleeping function called from invalid context.*the kernel complained'
}

@test "on the debug kernel, a lock inversion without a deadlock is red" {
	buggy_debug lock_inversion
	red 'possible circular locking dependency.*the kernel complained'
}

@test "on the debug kernel, undefined behaviour is red" {
	buggy_debug shift
	red 'UBSAN: shift-out-of-bounds in .*buggy.c.*the kernel complained'
}

@test "on the debug kernel, memory that a module leaves behind is red" {
	buggy_debug leak
	[[ $output == hello ]]
	red 'unreferenced object .*the kernel complained'
	[[ $err == *'buggy was at 0x'* ]]
}

@test "TAP that stops short is red, TAP that fails is the command's status" {
	vm run --no-module --plan -- sh -c 'echo 1..2; echo ok 1 a'
	red 'TAP: plan of 2, saw 1'
	vm run --no-module --plan -- sh -c 'echo 1..1; echo not ok 1 a; exit 1'
	[[ $status -eq 1 && $err == 'vm: 0 passed, 1 failed, 0 skipped' ]]
}

@test "TAP that only skips is red" {
	vm run --no-module --plan -- sh -c 'echo 1..1; echo ok 1 a \# SKIP so'
	red 'TAP: .*everything was skipped'
}

@test "a command that crashes has a status that says so" {
	vm run --no-module -- sh -c 'kill -SEGV $$'
	[[ $status -eq 139 && $err != *RED* ]]
}

@test "wrong use is told from a command's failure" {
	vm run --no-module
	[[ $status -eq 125 && $err == *'no command'* ]]
	vm run --no-module --bad -- true
	[[ $status -eq 125 && $err == *'unknown option --bad'* ]]
	vm run --no-module --add /nowhere -- true
	[[ $status -eq 125 && $err == *'no such file'* ]]
	vm run --kernel 9.99 --no-module -- true
	[[ $status -eq 125 && $err == *'selftests/vm/fetch 9.99'* ]]
}
