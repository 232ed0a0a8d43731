# shellcheck shell=bash disable=SC2154 # globals of vm
# SPDX-License-Identifier: GPL-2.0-only
#
# The guest's file system: busybox, init, static programs, modules. The same
# input gives the same bytes, since with --icount everything counts.

here=$top/selftests/vm

# Single quotes survive every shell.
quote() {
	local s

	for s; do
		printf " '%s'" "${s//\'/\'\\\'\'}"
	done
}

# The helper is compiled once; renamed into place, for runs side by side.
guest_helper() {
	local bin=$build/vm/guest

	if [[ ! -x $bin || $here/guest.c -nt $bin ]]; then
		need gcc
		mkdir -p "$build/vm"
		gcc -O2 -Wall -Wextra -static -o "$bin.$$" "$here/guest.c" ||
			die "cannot compile $here/guest.c"
		mv "$bin.$$" "$bin"
	fi
	echo "$bin"
}

# A dynamic program would only say "not found" in the guest.
is_dynamic() {
	[[ $(head -c 4 "$1" | tr -d '\0') == $'\177ELF' ]] &&
		readelf -lW "$1" 2>/dev/null | grep -q ' INTERP '
}

# Debug information is most of a file, names build folders and is not used.
add_stripped() {	# FILE DIR
	strip -g -o "$2/$(basename "$1")" "$1"
}

add_file() {	# ROOT FILE[:DEST]
	local root=$1 file=${2%%:*} dest=

	[[ $2 != *:* ]] || dest=${2#*:}
	[[ -e $file ]] || die "--add $file: no such file"
	[[ ! -f $file ]] || ! is_dynamic "$file" ||
		die "--add $file: dynamically linked; link it with -static"
	dest=${dest:-/bin/}
	[[ $dest != */ ]] || dest=$dest$(basename "$file")
	mkdir -p "$root/$(dirname "$dest")"
	cp -rL "$file" "$root/$dest"
}

add_project_programs() {
	local root=$1 f

	for f in "$build"/bin/*; do
		[[ $programs == all || " $programs " == *" ${f##*/} "* ]] || continue
		[[ -f $f && -x $f ]] || continue
		if is_dynamic "$f"; then
			say "${f##*/} is left out: dynamically linked"
		else
			add_stripped "$f" "$root/bin/"
		fi
	done
}

# guest_conf "MODULE..." "PARAM..." DEADLINE OUT SHELL
guest_conf() {
	printf "modules='%s'\nparams='%s'\ndeadline=%s\nout=%s\nshell=%s\n" "$@"
	printf "rows=%s\ncols=%s\n" "$rows" "$cols"
}

pack() {	# ROOT FILE
	find "$1" -exec touch -h -d @1 {} +
	(cd "$1" && find . -print0 | sort -z |
		cpio -0 -o -H newc -R 0:0 --reproducible --quiet) |
		gzip -n -1 >"$2"
}

# initramfs FILE: from the options of vm, which are global.
initramfs() {
	local root=$dir/root f names=()

	need busybox cpio gzip readelf strip
	is_dynamic "$(command -v busybox)" &&
		die "busybox is dynamically linked; tools/deps installs busybox-static"
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc,vm/modules}
	cp -L "$(command -v busybox)" "$root/bin/busybox"
	ln -s busybox "$root/bin/sh"
	printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n' \
		>"$root/etc/passwd"
	printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
	cp "$here/init" "$root/init"
	cp "$here/unload" "$root/vm/unload"
	cp "$(guest_helper)" "$root/vm/guest"
	for f in "${modules[@]}"; do
		[[ -f $f ]] || die "no module $f (see selftests/vm/build-module)"
		add_stripped "$f" "$root/vm/modules/"
		f=$(basename "$f" .ko)
		names+=("$f")
	done
	add_project_programs "$root"
	for f in "${adds[@]}"; do
		add_file "$root" "$f"
	done
	guest_conf "${names[*]}" "${params[*]}" "$guest_deadline" "${out_dir:+1}" \
		"$shell" >"$root/vm/conf"
	echo "set --$(quote "${cmd[@]}")" >"$root/vm/cmd"
	chmod -R u+rwX,go+rX,go-w "$root"
	pack "$root" "$1"
	rm -rf "$root"
}
