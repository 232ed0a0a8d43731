#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# Manual pages and README say what is true, and their code compiles.

load helper

# The program in a page's EXAMPLES, or nothing.
example() {
	awk '/^\.Sh / { on = /EXAMPLES/ }
		on && /^\.Bd -literal/ { code = 1; next }
		code && /^\.Ed/ { exit }
		code { gsub(/\\e/, "\\"); gsub(/\\-/, "-"); gsub(/\\&/, ""); print }' "$1"
}

@test "every public function has a manual page that documents it" {
	local f page

	for f in $(header_functions); do
		page=man/$f.3
		[[ -f $page ]] || { echo "no $page"; return 1; }
		if grep -q '^\.so ' "$page"; then
			page=man/$(sed -n 's#^\.so man3/##p' "$page")
		fi
		grep -qE "^\.(Fn|Fo) $f\b" "$page" || { echo "$page: no $f"; return 1; }
	done
}

@test "no page is about a function that does not exist" {
	local f

	for f in man/*.3; do
		f=$(basename "$f" .3)
		grep -qx "$f" <(header_functions) || { echo "$f"; return 1; }
	done
}

@test "prototypes in the pages are those of the header" {
	local page

	{
		echo '#include <fastos.h>'
		for page in man/*.3; do
			grep -q '^\.so ' "$page" || awk '
			/^\.Sh / { on = /SYNOPSIS/ }
			!on { next }
			/^\.Ft / { sub(/^\.Ft /, ""); type = $0 }
			/^\.Fo / { name = $2; args = "" }
			/^\.Fa / { gsub(/^\.Fa "|"$/, ""); args = args sep $0; sep = ", " }
			/^\.Fc/ { print type, name "(" args ");"; sep = "" }
			/^\.Fn / { name = $2; sub(/^\.Fn [a-z_]+ /, "")
				gsub(/" "/, ", "); gsub(/"/, "")
				print type, name "(" $0 ");" }' "$page"
		done
	} >"$BATS_TEST_TMPDIR/a.c"
	grep -c '^[a-z_]* fos_.*;' "$BATS_TEST_TMPDIR/a.c"
	gcc -std=c11 -Wall -Wextra -Werror -fsyntax-only -Iinclude \
		"$BATS_TEST_TMPDIR/a.c"
}

@test "examples of the pages compile without a warning" {
	local page n=0

	for page in man/*.[37]; do
		example "$page" >"$BATS_TEST_TMPDIR/a.c"
		[[ -s $BATS_TEST_TMPDIR/a.c ]] || continue
		gcc -std=c17 -D_DEFAULT_SOURCE -Wall -Wextra -Werror -Iinclude \
			-c -o "$BATS_TEST_TMPDIR/a.o" "$BATS_TEST_TMPDIR/a.c" ||
			{ echo "$page"; return 1; }
		n=$((n + 1))
	done
	[[ $n -ge 6 ]]
}

@test "the example of fastos(7) links" {
	example man/fastos.7 >"$BATS_TEST_TMPDIR/a.c"
	gcc -Iinclude -o "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/a.c" \
		"$build/lib/libfastos.a" -luring -pthread
}

@test "the example does in a guest what it says" {
	need_module
	run -0 --separate-stderr selftests/vm/vm run --kernel 6.1 \
		--programs fos-echo -- fos-echo
	echo "$output"
	[[ ${lines[0]} == 'hello -> HELLO' ]]
	[[ ${lines[1]} == 'rendezvous -> RENDEZVOUS' ]]
}

# The server and two clients, without the module.
meet() {
	local path=$BATS_TEST_TMPDIR/echo.sock server i

	"$build/bin/fos-echo-server" "$path" 3>&- &
	server=$!
	for i in {1..50}; do
		[[ ! -S $path ]] || break
		sleep 0.1
	done
	for i in 1 2; do
		echo "client $i"
		run -0 "$build/bin/fos-echo-client" "$path" hello rendezvous
		[[ ${lines[1]} == 'rendezvous -> RENDEZVOUS' ]]
	done
	kill $server
	run -1 "$build/bin/fos-echo-client" "$path" hello
	[[ $output == *'Connection refused' ]]
}

@test "the echo server and its clients meet without the module" {
	meet
	run -1 "$build/bin/fos-echo-server"
	[[ $output == usage:* ]]
	run -1 "$build/bin/fos-echo-client"
	[[ $output == usage:* ]]
}

@test "the same two meet in a guest, by the module" {
	need_module
	run -0 --separate-stderr selftests/vm/vm run --kernel 6.1 \
		--programs 'fos-echo-server fos-echo-client' -- sh -c '
		export FOS_BACKEND=kernel
		fos-echo-server /tmp/echo &
		server=$!
		until [ -S /tmp/echo ]; do sleep 0.1; done
		fos-echo-client /tmp/echo hello rendezvous && kill $server'
	[[ ${lines[0]} == 'hello -> HELLO' ]]
	[[ ${lines[1]} == 'rendezvous -> RENDEZVOUS' ]]
}

@test "pages refer to pages that exist" {
	local name section

	while read -r name section; do
		[[ -f man/$name.$section ]] || { echo "$name($section)"; return 1; }
	done < <(sed -nE 's/^\.Xr (fos[a-z_]*) ([0-9]).*/\1 \2/p' man/*.[0-9])
}

@test "every error of the header is in the page of its function" {
	local f page e

	for f in $(header_functions); do
		page=man/$f.3
		! grep -q '^\.so ' "$page" ||
			page=man/$(sed -n 's#^\.so man3/##p' "$page")
		# The comment above the prototype, from "Return:" on.
		for e in $(awk -v f="$f" '
			/^\/\*\*/ { text = ""; on = 0 }
			/ \* Return:/ { on = 1 }
			on { text = text " " $0 }
			$0 ~ "^[a-z].*[ *]" f "\\(" { print text; exit }' \
			include/fastos*.h | grep -oE '\bE[A-Z0-9]+\b' | sort -u); do
			grep -q "Er $e\b" "$page" || { echo "$page: no $e"; return 1; }
		done
	done
}

@test "no page has errors that the header does not know" {
	local page e

	for page in man/*.3; do
		for e in $(sed -n '/^\.Sh ERRORS/,/^\.Sh SEE/p' "$page" |
			grep -oE 'Bq Er E[A-Z0-9]+' | cut -d ' ' -f 3 | sort -u); do
			grep -qw "$e" include/fastos*.h ||
				{ echo "$page: $e"; return 1; }
		done
	done
}

@test "fosbench(1) has the options that fosbench has" {
	local c o

	for c in ipc bulk tlb io bells limits wait live; do
		for o in $("$build/bin/fosbench" "$c" --help |
			grep -oE -- '--[a-z]+[a-z-]*' | sort -u); do
			grep -qE "Fl ${o#-}( |\$)" man/fosbench.1 ||
				{ echo "$c $o"; return 1; }
		done
	done
}

@test "the README is short, and its first screen is a screen" {
	[[ $(wc -l <README.md) -le 120 ]]
	head -n 45 README.md | grep -q 'make demo'
	head -n 45 README.md | grep -q 'make check'
}

@test "the README's program is an excerpt of the example" {
	awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on' README.md |
		grep -vE '^[[:space:]]*$|^/\* \.\.\. \*/$' >"$BATS_TEST_TMPDIR/code"
	[[ -s $BATS_TEST_TMPDIR/code ]]
	nothing "not in examples/echo.c" grep -vxFf examples/echo.c \
		"$BATS_TEST_TMPDIR/code"
}

@test "targets and files that the README names exist" {
	local t

	for t in $(grep -oE '\bmake [a-z][a-z-]+' README.md | cut -d ' ' -f 2 |
		sort -u); do
		grep -qE "^$t( [a-z]+)*:" Makefile || { echo "make $t"; return 1; }
	done
	for t in $(grep -oE '(^|[ `])(kmod|lib|include|bench|selftests|examples|man|etc|tools)/[a-zA-Z0-9_./-]*[a-zA-Z0-9/]' \
		README.md | tr -d ' `' | sort -u); do
		[[ -e $t ]] || { echo "$t"; return 1; }
	done
}
