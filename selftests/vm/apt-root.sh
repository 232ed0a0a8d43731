# shellcheck shell=bash disable=SC2154 # globals of fetch
# SPDX-License-Identifier: GPL-2.0-only
#
# A private apt root below $tmp: its own lists, status and cache, so that
# packages of any suite can be fetched and verified with nothing installed and
# without the machine's package state being touched. Sourced by fetch.

# Ask apt itself which archives this machine uses: it reads one-line and
# deb822 sources alike. Prints "URI SUITE" lines.
machine_archives() {
	mkdir -p "$tmp/nolists/partial"
	apt-get -o Dir::State::Lists="$tmp/nolists" update --print-uris |
		sed -n "s#^'\(.*\)/dists/\(.*\)/InRelease'.*#\1 \2#p"
}

# mirror_of SUITE CODENAME: the archive that has that suite. A suite this
# machine does not use (another release, backports) lives beside the one it
# uses.
mirror_of() {
	local kind='^[a-z]+$'

	if [[ $1 == *-security ]]; then
		kind='^[a-z]+[-/]security'
		[[ -z ${FASTOS_SECURITY_MIRROR:-} ]] ||
			{ echo "$FASTOS_SECURITY_MIRROR"; return; }
	else
		[[ -z ${FASTOS_MIRROR:-} ]] ||
			{ echo "$FASTOS_MIRROR"; return; }
	fi
	awk -v suite="$1" -v kind="$kind" '
		$2 == suite { if (!exact) exact = $1 }
		$2 ~ kind { if (!like) like = $1 }
		END { print exact ? exact : like }' "$tmp/archives"
}

# apt_root CODENAME "SUITE..."
apt_root() {
	local root=$tmp/apt-$1-${2//[^a-z]/} suite uri

	apt_conf=$root/apt.conf
	[[ ! -f $apt_conf ]] || return 0
	[[ -f $keyring ]] || die "no $keyring; tools/deps installs it"
	need apt-get apt-cache
	mkdir -p "$root/lists/partial" "$root/cache/archives/partial"
	: >"$root/status"
	machine_archives >"$tmp/archives"
	for suite in $2; do
		uri=$(mirror_of "$suite")
		if [[ $uri ]]; then
			echo "deb [arch=amd64 signed-by=$keyring] $uri $suite main"
		else
			say "this machine's apt has no archive for $suite"
		fi
	done >"$root/sources.list"
	# Read with -c, after the machine's own files: proxies stay in force,
	# the hooks of other packages do not.
	cat >"$apt_conf" <<-END
		Dir::State "$root";
		Dir::State::Lists "$root/lists";
		Dir::State::status "$root/status";
		Dir::Cache "$root/cache";
		Dir::Etc::SourceList "$root/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::Etc::Preferences "/dev/null";
		Dir::Etc::PreferencesParts "/dev/null";
		APT::Architecture "amd64";
		#clear APT::Architectures;
		APT::Architectures { "amd64"; };
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
		Acquire::Languages "none";
		Acquire::Retries "3";
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	END
	step "package lists of $2" apt-get -c "$apt_conf" -qq update
}

# depends PKG REGEX: the package like that on which PKG's newest version
# depends. ABI names move weekly, so they are asked for, never written down.
depends() {
	apt-cache -c "$apt_conf" show --no-all-versions "$1" |
		sed -n 's/^Depends: //p' | tr ',|' '\n' |
		awk -v re="^$2" '$1 ~ re && !found { print $1; found = 1 }
			END { exit !found }'
}

must_depend() {
	depends "$@" || die "$1: no dependency like $2"
}

size_mb() {
	apt-cache -c "$apt_conf" show --no-all-versions "$@" |
		awk '/^Size:/ { s += $2 } END { printf "%d", s / 1e6 }'
}

download() {
	mkdir -p "$tmp/debs"
	(cd "$tmp/debs" && apt-get -c "$apt_conf" -qq download "$@")
}

# download_with_depends PKG...: as if nothing at all were installed.
download_with_depends() {
	apt-get -c "$apt_conf" -qq -y --download-only install "$@" &&
		mkdir -p "$tmp/debs" &&
		mv "$(dirname "$apt_conf")"/cache/archives/*.deb "$tmp/debs"
}

# Nobody ever sees half a directory: rename the old away, the new in.
install_dir() {
	mkdir -p "$(dirname "$2")"
	[[ ! -e $2 ]] || mv "$2" "$tmp/old-$(basename "$2")"
	mv "$1" "$2"
}
