#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-only
# budget: 900 s
# The sources that `make dkms-install` lays out are all that a build needs.

load helper

tree=$BATS_FILE_TMPDIR/root/usr/src/fastos-$(<"$top/VERSION")

setup_file() {
	make -s dkms-install DESTDIR="$BATS_FILE_TMPDIR/root" >&2
}

# The kernel that the tests boot: its release, and its headers in kdir.
load_kernel() {
	local cache=${FASTOS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fastos}

	release='' kdir=''
	if [[ -f $cache/kernels/6.1/kernel.env ]]; then
		# shellcheck source=/dev/null
		. "$cache/kernels/6.1/kernel.env"
	else
		for kdir in /usr/src/linux-headers-6.1.*-amd64; do
			release=${kdir#*headers-}
		done
	fi
	[[ -f $kdir/Makefile ]] || skip "no headers of 6.1; selftests/vm/fetch 6.1"
}

# As modinfo(8) from kmod, which is not everywhere.
modinfo_of() {
	objcopy -O binary --only-section=.modinfo "$1" "$BATS_TEST_TMPDIR/modinfo"
	tr '\0' '\n' <"$BATS_TEST_TMPDIR/modinfo"
}

@test "dkms.conf is a shell file that names this version" {
	# shellcheck source=/dev/null
	. dkms.conf
	[[ $PACKAGE_NAME == fastos && $PACKAGE_VERSION == "$(<VERSION)" ]]
	[[ ${BUILT_MODULE_NAME[0]} == fastos && ! ${MAKE[0]:-} ]]
}

@test "dkms.conf takes kernels 6.1 to 7.3 and no others" {
	local k

	# shellcheck source=/dev/null
	. dkms.conf
	for k in 6.1.0-56-amd64 6.12.107+deb13-cloud-amd64 6.19.6+deb13-amd64 \
		7.2.13+deb14-amd64 7.3-cloud-amd64; do
		[[ $k =~ $BUILD_EXCLUSIVE_KERNEL ]] || { echo "not $k"; return 1; }
	done
	for k in 5.10.0-30-amd64 6.0.5-amd64 7.4.1-amd64 16.1.0 61.1; do
		[[ ! $k =~ $BUILD_EXCLUSIVE_KERNEL ]] || { echo "$k"; return 1; }
	done
}

@test "the tree holds the module, its licences and nothing else" {
	run -0 find "$tree" -type f ! -path "$tree/kmod/*" \
		! -path "$tree/LICENSES/*" -printf '%P\n'
	sort <<<"$output" | diff - <(printf '%s\n' Kbuild VERSION dkms.conf \
		include/uapi/linux/fastos.h include/uapi/linux/fastos_cq.h \
		include/uapi/linux/fastos_region.h \
		include/uapi/linux/fastos_uring.h)
	diff -r kmod "$tree/kmod"
}

@test "the module builds from the tree alone" {
	load_kernel
	cp -r "$tree" "$BATS_TEST_TMPDIR/src"
	make -s -C "$kdir" M="$BATS_TEST_TMPDIR/src" \
		CONFIG_DEBUG_INFO_BTF_MODULES= modules
	run -0 modinfo_of "$BATS_TEST_TMPDIR/src/fastos.ko"
	echo "$output"
	grep -qx "version=$(<VERSION)" <<<"$output"
	grep -qx 'license=GPL' <<<"$output"
	grep -q "^vermagic=$release " <<<"$output"
	run ! grep -q '^intree' <<<"$output"
}

@test "dkms itself builds it" {
	have dkms || skip "no dkms"
	load_kernel
	mkdir "$BATS_TEST_TMPDIR/var"
	dkms=(dkms --dkmstree "$BATS_TEST_TMPDIR/var" \
		--sourcetree "$BATS_FILE_TMPDIR/root/usr/src")
	"${dkms[@]}" add -m fastos -v "$(<VERSION)"
	"${dkms[@]}" build -m fastos -v "$(<VERSION)" -k "$release" \
		--kernelsourcedir "$kdir"
	find "$BATS_TEST_TMPDIR/var" -name 'fastos.ko*' | grep -q .
}
