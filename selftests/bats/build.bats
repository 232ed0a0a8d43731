#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What `make` does, and that the headers stand alone.

load helper

@test "make is quiet: a short line for each file" {
	run -0 make lib BUILD="$BATS_TEST_TMPDIR/b"
	echo "$output"
	[[ $output == *"  CC      "*core.o* && $output == *"  LD      "* ]]
	[[ $output != *-std=gnu11* ]]
	[[ -f $BATS_TEST_TMPDIR/b/lib/libfastos.a ]]
}

@test "make V=1 shows the commands, and builds again when flags change" {
	run -0 make lib V=1 CFLAGS=-O1 BUILD="$BATS_TEST_TMPDIR/b"
	[[ $output == *-std=gnu11*-O1* ]]
	run -0 make lib CFLAGS=-O1 BUILD="$BATS_TEST_TMPDIR/b"
	[[ $output != *"  CC "* ]]
	run -0 make lib CFLAGS=-O2 BUILD="$BATS_TEST_TMPDIR/b"
	[[ $output == *"  CC "* ]]
}

@test "the version is typed in VERSION, and equal in dkms.conf, nowhere else" {
	nothing "typed again" bash -c "$(declare -f project_files); project_files |
		grep -vE '^(VERSION|dkms.conf)$' | xargs grep -nF '$(<VERSION)'"
	grep -qF "\"$(<VERSION)\"" dkms.conf
}

@test "nothing is made outside the build directory" {
	nothing "made in the source tree" find . \( -path ./build -o \
		-path ./.git \) -prune -o \( -name '*.o' -o -name '*.ko' -o \
		-name '*.d' -o -name '*.so*' -o -name '*.a' \) -print
}

@test "make help lists every target" {
	run -0 make help
	for t in $(sed -n 's/^\.PHONY: //p' Makefile); do
		case $t in
		FORCE|check-build|check-ready|bench-deps|module-if-headers) continue ;;
		esac
		grep -q "^  make $t  " <<<"$output" || { echo "no $t"; return 1; }
	done
}

@test "without kernel headers make says so in one line" {
	run -0 make module-if-headers KVER=0.0.0
	[[ ${#lines[@]} -eq 1 && $output == *SKIP*fastos.ko*0.0.0* ]]
	run -2 make module KVER=0.0.0
	[[ $output == *linux-headers-0.0.0* ]]
}

@test "tools/native says why it loads no module" {
	[[ ! -c /dev/fastos ]] || skip "fastos is loaded here"
	FASTOS_BUILD=$BATS_TEST_TMPDIR run -125 tools/native true
	[[ $output == native:*'make demo'* ]]
}

compiles() {	# COMPILER-AND-FLAGS FILE
	have "${1%% *}" || skip "no ${1%% *}"
	# shellcheck disable=SC2086 # words
	$1 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$2"
}

alone() {
	printf '#include <%s>\n#include <%s>\n' "$2" "$2" >"$BATS_TEST_TMPDIR/a.$3"
	case $2 in
	linux/*) compiles "$1 -Iinclude/uapi" "$BATS_TEST_TMPDIR/a.$3" ;;
	*) compiles "$1 -Iinclude" "$BATS_TEST_TMPDIR/a.$3" ;;
	esac
}

@test "fastos.h alone is C11 and C17 (gcc)" {
	alone "gcc -std=c11" fastos.h c
	alone "gcc -std=c17" fastos.h c
}

@test "fastos.h alone is C11 and C17 (clang)" {
	alone "clang -std=c11" fastos.h c
	alone "clang -std=c17" fastos.h c
}

@test "fastos.h alone is C++17 (g++)" {
	alone "g++ -std=c++17" fastos.h cc
}

@test "fastos.h alone is C++17 (clang++)" {
	alone "clang++ -std=c++17" fastos.h cc
}

@test "the ABI header alone is C11 and C++17" {
	alone "gcc -std=c11" linux/fastos.h c
	alone "g++ -std=c++17" linux/fastos.h cc
}

@test "the ABI is the same for 32-bit callers" {
	local bits

	{
		echo '#include <linux/fastos.h>'
		# The last version of each is the struct as it is.
		sed -nE 's/^#define FOS_(.*)_SIZE_(VER[0-9]).*/\1 \2/p' \
			include/uapi/linux/*.h | sort -k 1,1 -k 2,2r | sort -u -k 1,1 |
			while read -r s v; do
				echo "_Static_assert(sizeof(struct fos_${s,,}) ==" \
					"FOS_${s}_SIZE_$v && FOS_${s}_SIZE_$v % 8 == 0, \"$s\");"
			done
		echo '_Static_assert(sizeof(struct fos_entry) == 128, "entry");'
		echo '_Static_assert(sizeof(struct fos_line) == 128, "line");'
		echo '_Static_assert(sizeof(struct fos_kside) == 128, "kside");'
	} >"$BATS_TEST_TMPDIR/a.c"
	grep -q FOS_CHAN_BELL_WAIT_SIZE_VER0 "$BATS_TEST_TMPDIR/a.c"
	for bits in -m32 -m64; do
		compiles "gcc -std=c11 $bits -Wpadded -nostdinc -Iinclude/uapi \
			-isystem /usr/include -isystem /usr/include/x86_64-linux-gnu" \
			"$BATS_TEST_TMPDIR/a.c"
	done
}

@test "the library compiles without a warning (gcc, clang)" {
	local cc

	for cc in gcc clang; do
		have $cc || continue
		$cc -std=gnu11 -O2 -Wall -Wextra -Werror -fsyntax-only -pthread \
			-D_GNU_SOURCE -Iinclude -Iinclude/uapi -Ilib lib/*.c
	done
}

@test "examples compile without a warning, by the public header alone" {
	gcc -std=c17 -D_DEFAULT_SOURCE -O2 -Wall -Wextra -Werror -fsyntax-only \
		-Iinclude examples/*.c
	for f in examples/echo*.c; do
		[[ $(wc -l <"$f") -lt 80 ]] || { echo "$f"; return 1; }
	done
	for f in examples/*.[ch]; do
		[[ $(wc -l <"$f") -lt 230 ]] || { echo "$f"; return 1; }
	done
}

@test "what goes into the guest is linked statically" {
	local f

	for f in "$build"/bin/*; do
		[[ -f $f && -x $f ]] || continue
		run ! grep -q INTERP <(readelf -lW "$f")
	done
	[[ -x $build/bin/fosbench && -x $build/bin/fos-chan ]]
}
