# What Debian 12 must have, by package name. Sourced by deploy/demo/run and tests/run.

packages_build="gcc libc6-dev make cmake ninja-build pkg-config protobuf-compiler protobuf-c-compiler
	libprotobuf-c-dev libzmq3-dev libczmq-dev libwebsockets-dev libwebsockets-evlib-ev libev-dev
	libmicrohttpd-dev libcurl4-openssl-dev libssl-dev libsodium-dev libjansson-dev libsqlite3-dev libpq-dev
	libhiredis-dev libnftables-dev libmnl-dev libnetfilter-conntrack-dev libnfnetlink-dev
	libcap-ng-dev libqrencode-dev libcmocka-dev"
packages_demo="iproute2 nftables wireguard-tools wireguard-go conntrack nginx-light iperf3 dnsmasq-base
	bind9-dnsutils iputils-ping curl jq openssl socat procps kmod uuid-runtime ca-certificates netbase"
# llvm-14 and libc6-dbg name what sanitizers report, and what of glibc they are told to pass over (tests/tsan.supp).
packages_tests="clang libclang-rt-14-dev llvm-14 libc6-dbg coturn haproxy python3-minimal python3-yaml
	python3-jsonschema python3-cryptography python3-websockets nodejs node-ws netcat-openbsd
	postgresql redis-server"

# packages_install build demo ...: installs what is missing of these lists; says what it does.
packages_install()
{
	local list name missing=""
	for list in "$@"; do
		local variable="packages_$list"
		for name in ${!variable}; do
			dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed ||
				missing="$missing $name"
		done
	done
	[ -n "$missing" ] || return 0
	echo "Installing from Debian:$missing"
	# Runlevel 1 keeps the packages' own daemons (nginx, coturn, haproxy) from being started.
	local log
	log=$(mktemp)
	if ! { apt-get update && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y \
		--no-install-recommends $missing; } >"$log" 2>&1; then
		tail -20 "$log" >&2
		echo "apt-get failed; its whole output is in $log" >&2
		return 1
	fi
	rm -f "$log"
}
