#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# What the library exports and what the module imports.

load helper

# The modules that were built, one for each kernel, in $modules. Variants, made
# for one test, lie in folders that are no kernel's release; the debug kernel's
# imports what its checkers ask for.
need_modules() {
	local ko

	modules=''
	for ko in "$build"/[0-9]*/fastos.ko; do
		if [[ $ko != *-debug/* ]] && grep -aqF \
			"vermagic=$(basename "$(dirname "$ko")") " "$ko"; then
			modules+="$ko "
		fi
	done
	[[ $modules ]] || skip "no module is built; make vm-module"
}

undefined() {
	nm -u "$1" | awk '{ print $NF }' | sort -u
}

allowed() {
	sed 's/[[:space:]]*#.*//; /^$/d' "$top/selftests/bats/symbols.allow" | sort
}

@test "the library exports what the header declares, and nothing else" {
	diff <(header_functions) \
		<(nm -D --defined-only "$build/lib/libfastos.so.0" |
			awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort)
}

@test "the map lists what the header declares" {
	diff <(header_functions) <(grep -oE '^[[:space:]]+fos_[a-z_]+;' \
		lib/libfastos.map | tr -d ' \t;' | sort)
}

@test "every export has a version of its own node" {
	[[ -f $build/lib/libfastos.so.0 ]]
	nothing "unversioned" bash -c "nm -D --defined-only \
		'$build/lib/libfastos.so.0' | grep ' T ' | grep -v '@@FASTOS_0\.[0-9]'"
}

@test "the module imports only symbols of the allow-list" {
	local ko

	need_modules
	for ko in $modules; do
		nothing "$ko imports in addition" comm -13 <(allowed) <(undefined "$ko")
	done
}

# Lines for some series ("6.12, 7.3 only") count when one of them is built.
@test "the allow-list has nothing that no module imports" {
	local ko symbol rest series built

	need_modules
	for ko in $modules; do
		undefined "$ko"
	done >"$BATS_TEST_TMPDIR/used"
	while read -r symbol rest; do
		[[ $symbol && $symbol != '#'* ]] || continue
		[[ $rest =~ ^'# '[a-z]+ ]] || echo "$symbol: for which room?"
		if [[ $rest =~ ';'\ ([0-9., ]+)' only'$ ]]; then
			built=''
			for series in ${BASH_REMATCH[1]//,/ }; do
				[[ $modules != *"/$series."* ]] || built=1
			done
			[[ $built ]] || continue
		fi
		grep -qx "$symbol" "$BATS_TEST_TMPDIR/used" || echo "$symbol"
	done <selftests/bats/symbols.allow >"$BATS_TEST_TMPDIR/stale"
	nothing "not used" cat "$BATS_TEST_TMPDIR/stale"
}

@test "every kernel exports what its module imports" {
	local cache=${FASTOS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fastos}
	local ko release symvers f

	need_modules
	for ko in $modules; do
		release=$(basename "$(dirname "$ko")") symvers=''
		for f in "$cache"/kernels/*/usr/src/linux-headers-"$release" \
			/lib/modules/"$release"/build /usr/src/linux-headers-"$release"; do
			[[ ! -f $f/Module.symvers ]] || symvers=$f/Module.symvers
		done
		[[ $symvers ]] || skip "no Module.symvers of $release"
		nothing "$release does not export" comm -23 <(undefined "$ko") \
			<(awk '{ print $2 }' "$symvers" | sort)
	done
}

# Debian builds binder as a module, and its kernels export for that what others
# do not: the EXPORT_SYMBOL lines that the source package's debian/patches/debian/
# export-symbols-needed-by-binder.patch adds (older ones also for ashmem). The
# list: what binder_linux.ko of 6.1.192, 6.12.117 and 7.3.4 imports (nm -u) and
# upstream's 6.1 or 6.12 does not export, and what older patches added.
@test "the module uses no export that only a Debian patch adds" {
	nothing "exported by Debian only" bash -c "sed 's/#.*//' \
		selftests/bats/symbols.allow | grep -nwE \
		'__wake_up_pollfree|task_work_add|zap_page_range[a-z_]*|zap_vma_range|lock_vma_under_rcu|security_binder_[a-z_]*|can_nice|is_nice_reduction|close_fd_get_file|file_close_(fd|get_file)|shmem_zero_setup|(init|put)_ipc_ns|get_files_struct|put_files_struct|__fd_install|__alloc_fd|map_kernel_range_noflush|__lock_task_sighand'"
}
