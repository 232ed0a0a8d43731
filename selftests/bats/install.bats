#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# `make install` into DESTDIR, clients against it, `make uninstall`.

load helper

args=(prefix=/opt/fastos DESTDIR="$BATS_FILE_TMPDIR/root")
root=$BATS_FILE_TMPDIR/root
opt=$root/opt/fastos

setup_file() {
	make -s install "${args[@]}" >&2
}

setup() {
	export PKG_CONFIG_SYSROOT_DIR=$root
	export PKG_CONFIG_LIBDIR=$opt/lib/pkgconfig
	cat >"$BATS_TEST_TMPDIR/client.c" <<-'END'
		#include <fastos.h>
		#include <stdio.h>

		int main(void)
		{
			struct fos_caps caps;
			int fd[2];

			if (fos_query(&caps, sizeof(caps)))
				return 1;
			if (caps.backend == FOS_BACKEND_NONE)
				return caps.reason == 0;
			return fos_channel(fd, NULL) || fos_close(fd[0]);
		}
	END
}

client() {
	have pkg-config || skip "no pkg-config"
	# shellcheck disable=SC2046,SC2086 # words
	${CC:-gcc} -Wall -Wextra -Werror "$1" -o "$BATS_TEST_TMPDIR/client" \
		$2 $(pkg-config ${2:+--static} --cflags --libs fastos)
}

@test "every file is where it belongs, readable by all" {
	(cd "$root" && find . ! -type d -printf '%m %P\n' | sort -k 2) \
		>"$BATS_TEST_TMPDIR/found"
	sort -k 2 >"$BATS_TEST_TMPDIR/expected" <<-END
		755 opt/fastos/bin/fosbench
		644 opt/fastos/include/fastos.h
		644 opt/fastos/include/fastos_cq.h
		644 opt/fastos/include/fastos_io.h
		644 opt/fastos/include/fastos_region.h
		644 opt/fastos/include/fastos_uring.h
		644 opt/fastos/include/fastos_wait.h
		644 opt/fastos/include/linux/fastos.h
		644 opt/fastos/include/linux/fastos_cq.h
		644 opt/fastos/include/linux/fastos_region.h
		644 opt/fastos/include/linux/fastos_uring.h
		644 opt/fastos/lib/libfastos.a
		777 opt/fastos/lib/libfastos.so
		777 opt/fastos/lib/libfastos.so.0
		644 opt/fastos/lib/libfastos.so.$(<VERSION)
		644 opt/fastos/lib/pkgconfig/fastos.pc
		644 opt/fastos/lib/sysusers.d/fastos.conf
		644 opt/fastos/lib/udev/rules.d/60-fastos.rules
		$(for f in man/*.[137]; do
			echo "644 opt/fastos/share/man/man${f##*.}/${f#man/}"
		done)
	END
	diff "$BATS_TEST_TMPDIR/expected" "$BATS_TEST_TMPDIR/found"
}

@test "the links lead to the library, whose name has the major version only" {
	[[ $(readlink -f "$opt/lib/libfastos.so") == \
		"$opt/lib/libfastos.so.$(<VERSION)" ]]
	readelf -dW "$opt/lib/libfastos.so" | grep -q 'SONAME.*\[libfastos.so.0\]'
}

@test "pkg-config knows version and directories" {
	have pkg-config || skip "no pkg-config"
	[[ $(pkg-config --modversion fastos) == "$(<VERSION)" ]]
	unset PKG_CONFIG_SYSROOT_DIR
	[[ $(pkg-config --variable=libdir fastos) == /opt/fastos/lib ]]
}

@test "a client links with the shared library and runs" {
	client "$BATS_TEST_TMPDIR/client.c" ''
	readelf -dW "$BATS_TEST_TMPDIR/client" | grep -q 'NEEDED.*libfastos.so.0'
	LD_LIBRARY_PATH=$opt/lib "$BATS_TEST_TMPDIR/client"
}

@test "a client links with the static library and runs" {
	client "$BATS_TEST_TMPDIR/client.c" -static
	run ! grep -q INTERP <(readelf -lW "$BATS_TEST_TMPDIR/client")
	"$BATS_TEST_TMPDIR/client"
}

@test "a C++ client links and runs" {
	have g++ || skip "no g++"
	cp "$BATS_TEST_TMPDIR/client.c" "$BATS_TEST_TMPDIR/client.cc"
	CC=g++ client "$BATS_TEST_TMPDIR/client.cc" ''
	LD_LIBRARY_PATH=$opt/lib "$BATS_TEST_TMPDIR/client"
}

@test "clients need the public headers only" {
	mkdir "$BATS_TEST_TMPDIR/include"
	cp "$opt"/include/fastos*.h "$BATS_TEST_TMPDIR/include/"
	gcc -fsyntax-only -I"$BATS_TEST_TMPDIR/include" "$BATS_TEST_TMPDIR/client.c"
}

@test "the examples build as their comments say" {
	client examples/echo.c ''
	client examples/echo-server.c ''
	client examples/echo-client.c ''
	client examples/pipeline.c ''
	client examples/poll-server.c ''
	client examples/purge.c ''
}

@test "uninstall leaves no file behind" {
	make -s install "${args[@]}" DESTDIR="$BATS_TEST_TMPDIR/u"
	make -s dkms-install DESTDIR="$BATS_TEST_TMPDIR/u"
	touch "$BATS_TEST_TMPDIR/u/opt/fastos/lib/somebody-elses"
	make -s uninstall dkms-uninstall "${args[@]}" DESTDIR="$BATS_TEST_TMPDIR/u"
	run -0 find "$BATS_TEST_TMPDIR/u" ! -type d -printf '%P\n'
	[[ $output == opt/fastos/lib/somebody-elses ]]
}

@test "the udev rule and the group agree" {
	grep -q 'GROUP="fastos", MODE="0660"' etc/60-fastos.rules
	grep -qx 'g fastos -' etc/fastos.sysusers
	if have systemd-sysusers; then
		systemd-sysusers --root="$root" --dry-run "$PWD/etc/fastos.sysusers"
	fi
}
