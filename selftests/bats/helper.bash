# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the bats files share.

bats_require_minimum_version 1.5.0

cd "$BATS_TEST_DIRNAME/../.." || exit 1
top=$PWD
# shellcheck disable=SC2034 # for those who load this
build=${FASTOS_BUILD:-$top/build}
# What `make check` passes down must not change the makes that tests run.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES V DESTDIR prefix
export LC_ALL=C.UTF-8

# All files of the project, whatever git thinks of them.
project_files() {
	find . \( -path ./build -o -path ./.git \) -prune -o -type f -print |
		sed 's#^\./##' | sort
}

# nothing TEXT CMD...: CMD must print no line; what it prints is the complaint.
nothing() {
	local text=$1 found

	shift
	found=$("$@") || :
	[[ ! $found ]] || { printf '%s:\n%s\n' "$text" "$found"; return 1; }
}

have() {
	command -v "$1" >/dev/null
}

# The module for the guests' 6.1, in $ko; a test without one is skipped.
need_module() {
	# shellcheck disable=SC2034 # for those who load this
	ko=$(compgen -G "$build/6.1.*[0-9]-amd64/fastos.ko") ||
		skip "no module is built; make vm-module"
}

# The public functions, from the header's prototypes.
header_functions() {
	gcc -E -P include/fastos.h | grep -oE '\bfos_[a-z_]+ *\(' |
		tr -d ' (' | sort -u
}
