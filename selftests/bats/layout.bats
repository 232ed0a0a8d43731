#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Who may include, call and know what. Each rule keeps two rooms apart.

load helper

# includes FILE...: "file: header" for every #include
includes() {
	grep -HoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"][^>"]+[>"]' \
		"$@" /dev/null | sed -E 's/:[^<"]*[<"]([^>"]*).*/: \1/'
}

# not_among REGEX FILE...: includes of other headers than these
not_among() {
	local allowed=$1

	shift
	includes "$@" | grep -vE ": ($allowed)\$"
}

# files_of DIR PATTERN...: without what lies deeper
files_of() {
	find "$1" -maxdepth 1 -type f -name "$2" "${@:3}"
}

@test "kernel versions are known to kmod/compat.h only" {
	nothing "version checks" grep -nE 'LINUX_VERSION_CODE|KERNEL_VERSION\(' \
		-r kmod lib bench examples selftests include --include='*.[ch]' \
		--exclude=compat.h
}

# The floor and the ceiling, and whose page tables were looked at; what a point
# release may backport is probed.
@test "kernel versions decide only whether the module builds and what is known" {
	run -0 grep -A1 LINUX_VERSION_CODE kmod/compat.h
	nothing "decided by version" grep -vE \
		'^(#(el)?if LINUX_VERSION_CODE|#(error|warning|define FOS_ZAP_IS_KNOWN) |--$)' <<<"$output"
}

@test "only lib/backend_kernel.c calls ioctl" {
	nothing "ioctl" grep -nE '\bioctl[[:space:]]*\(' lib/*.c lib/*.h \
		--exclude=backend_kernel.c
	grep -qE '\bioctl[[:space:]]*\(' lib/backend_kernel.c
}

@test "ring, spin, area and lend include neither backends nor the system" {
	nothing "includes" not_among 'std(atomic|bool|def|int)\.h|limits\.h|errno\.h|string\.h|assert\.h|(linux/)?fastos\.h|(ring|spin|area|lend|race|internal|atomic)[a-z_]*\.h' \
		lib/ring*.c lib/spin*.c lib/area*.c lib/lend*.c
}

@test "ring, spin, area and lend call nothing of the system" {
	local f

	for f in ring spin area lend; do
		gcc -std=gnu11 -O2 -D_GNU_SOURCE -Iinclude -Iinclude/uapi -Ilib \
			-c -o "$BATS_TEST_TMPDIR/$f.o" "lib/$f.c"
		nothing "undefined in $f.o" bash -c "nm -u '$BATS_TEST_TMPDIR/$f.o' |
			grep -vE ' (mem(cpy|set|cmp|move)|fos_(ring|spin|area|lend)_[a-z_]*|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_)\$'"
	done
}

@test "the library includes public headers, the ABI and its own" {
	nothing "kmod, bench or selftests in lib" grep -nE \
		'#include.*(kmod|bench|selftests|kselftest|\.\./)' lib/*.c lib/*.h
}

@test "bench and examples know the public header only" {
	nothing "inside knowledge" grep -nE \
		'#include.*(linux/fastos|internal|backend|["<]ring\.h|kmod|\.\./|/lib/)|/dev/fastos' \
		bench/*.[ch] examples/*.[ch]
}

@test "selftests know the public header only" {
	nothing "inside knowledge" grep -nE \
		'#include.*(linux/fastos|internal|backend|kmod|\.\./|/lib/)' \
		$(files_of selftests '*.[ch]' ! -name 'abi*')
}

@test "selftests/abi* know the ABI only" {
	nothing "the library" bash -c "grep -nE '#include.*fastos\.h|\bfos_[a-z]+ *\(' \
		selftests/abi*.[ch] | grep -v '<linux/fastos\.h>'"
}

@test "the public header includes the C library only" {
	nothing "includes" not_among 'std(def|int)\.h|sys/(types|uio)\.h|(poll|time)\.h|fastos_(region|wait|cq|io|uring)\.h' \
		include/fastos*.h
}

@test "the ABI header includes types and ioctl numbers only" {
	nothing "includes" not_among 'linux/(types|ioctl|fastos_(region|cq|uring))\.h' \
		include/uapi/linux/*.h
	nothing "types without a fixed size" grep -nE \
		'^[[:space:]]+(unsigned|signed|int|long|short|char|enum|size_t|void|bool|[us]?int[0-9]+_t)\b' \
		include/uapi/linux/*.h
	nothing "functions" grep -nE '\b(inline|extern)\b' include/uapi/linux/*.h
}

@test "the module does not know the library" {
	nothing "includes" bash -c "grep -nE '#include.*(\.\./|<fastos\.h>|lib/)' kmod/*"
}

@test "rooms of the module include downwards only" {
	local -A level=([main]=11 [chan]=9 [region_fd]=9 [tlb]=8
		[region_owned]=7 [queue]=6 [cq]=5 [region]=4 [obj]=3 [uring]=2 [core]=2 [perm]=2 [stats]=1 [trace]=1 [compat]=1 [break]=1)
	local f from to bad=''

	while IFS=': ' read -r f to; do
		from=$(basename "$f") from=${from%.*} to=${to%.h}
		# A room's files are named after it, but for those that are one.
		[[ ${level[$from]:-} ]] || from=${from%%_*}
		[[ ${level[$to]:-} ]] || to=${to%%_*}
		[[ $from == "$to" ]] && continue
		[[ ${level[$from]:-} && ${level[$to]:-} ]] ||
			{ bad+=" $f:$to(no such room)"; continue; }
		[[ ${level[$from]} -gt ${level[$to]} ]] || bad+=" $f:$to"
	done < <(grep -HoE '^#include "[^"]+"' kmod/*.[ch] |
		sed -E 's/:#include "(.*)"/: \1/')
	[[ ! $bad ]] || { echo "upwards:$bad"; return 1; }
}

@test "the guest runner knows no room" {
	nothing "rooms" grep -nwE 'fos-(core|abi|chan|life|stress)|fosbench|FOS_IOC[A-Z_]*' \
		selftests/vm/vm selftests/vm/init selftests/vm/guest.c \
		selftests/vm/*.sh
}

@test "no file is longer than 600 lines" {
	local f

	for f in $(project_files | grep -vE '^LICENSES/'); do
		[[ $(wc -l <"$f") -le 600 ]] || echo "$f: $(wc -l <"$f")"
	done >"$BATS_TEST_TMPDIR/long"
	nothing "too long" cat "$BATS_TEST_TMPDIR/long"
}

@test "every source file says its licence in its first lines" {
	local f want

	for f in $(project_files); do
		case $f in
		LICENSES/*|VERSION|*.md|selftests/fuzz/corpus/*) continue ;;
		include/uapi/*)
			want='(GPL-2.0-only WITH Linux-syscall-note) OR MIT' ;;
		lib/*|bench/*|include/*|examples/*|man/*)
			want='MIT' ;;
		kmod/*|selftests/*.[ch]|Kbuild)
			want='GPL-2.0-only' ;;
		*)	want='' ;;
		esac
		[[ $f == man/* && $(head -c 3 "$f") == .so ]] && continue
		head -n 3 "$f" | grep -qF "SPDX-License-Identifier: $want" ||
			echo "$f"
	done >"$BATS_TEST_TMPDIR/bare"
	nothing "no SPDX line, or another licence" cat "$BATS_TEST_TMPDIR/bare"
}

@test "every licence that is named is there" {
	local l

	for l in $(project_files | xargs grep -hoE 'SPDX-License-Identifier: .*' |
		sed -E 's/.*: //; s/ *\*\/.*//' | tr -d '()' |
		grep -oE '(GPL|MIT|Linux-sys|CC|BSD|Apache)[A-Za-z0-9.-]*' | sort -u); do
		[[ -f LICENSES/$l.txt ]] || { echo "no text of $l"; return 1; }
	done
}

@test "nothing refers to a folder outside the project" {
	nothing "outside" bash -c "$(declare -f project_files); project_files |
		xargs grep -nIE '(^|[^a-zA-Z])[/]work/|[.]library|[.][.]/share[d]'"
}

@test "no package mirror is named" {
	nothing "mirrors" bash -c "$(declare -f project_files); project_files |
		grep -v '^LICENSES/' | xargs grep -nIE \
		'(deb|ftp|security|snapshot|archive|packages|mirrors?)[.](debian|ubuntu|kernel)[.]|://[a-z0-9.-]*mirror'"
}

@test "names have their prefix: fos_ outside, fos__ inside the library" {
	nothing "global symbols" bash -c "nm -g --defined-only '$build/lib/libfastos.a' |
		awk 'NF == 3 { print \$3 }' | grep -vE '^fos_'"
}
