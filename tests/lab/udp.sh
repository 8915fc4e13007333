#!/usr/bin/env bash
# Stock WireGuard apps through the relay's UDP port: wireguard-go with what `higgs config` prints, and
# nothing else of ours at the client; and `higgs connect`, which goes by UDP while that works. The lab of deploy/demo/lab.sh, and beside it:
#
#      core --- home2 --- node2          a second HiggsNode, behind a NAT of its own
#       | \---- clientgw --- client, phone, laptop, mobile     apps behind one NAT
#       \------ mobile                   its other way to the internet, without NAT
#
#   udp.sh --bin DIR [--keep] [--only REGEX]      exit status 0 held, 1 did not, 77 cannot be tried here
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

lab_name=udp body=bosond
. tests/lab/common.sh
while [ $# -gt 0 ]; do
	common_argument "$@"
	shift $taken
done
lab_needs wireguard-go wg wg-quick nft conntrack iperf3 jq curl
leave() { :; }
lab_begin hu
lab_hosts="$lab_hosts home2 node2 phone mobile laptop"

# ---- the lab ----

more_hosts()
{
	link_hosts core home2 home2 wan
	link_hosts home2 lan node2 eth0
	more_clients phone mobile laptop
	link_hosts core mobile mobile eth1
	address core home2 192.0.0.1/29 # not used by anybody else
	address home2 wan 192.0.0.2/29
	address home2 lan 192.168.2.1/24
	address node2 eth0 192.168.2.10/24
	address core mobile 198.18.3.1/24
	address mobile eth1 198.18.3.10/24
	default_route home2 192.0.0.1
	default_route node2 192.168.2.1
	on home2 sysctl -qw net.ipv4.ip_forward=1
	on home2 nft -f - <<-'N'
		table ip router {
			chain postrouting {
				type nat hook postrouting priority 100;
				oifname "wan" masquerade
			}
		}
	N
	on core nft 'insert rule inet backbone forward iifname "home2" oifname "inet" accept'
}

# The second volunteer's daemons, in its own folders.
node2_config()
{
	sed -e "s|$lab_dir/higgs|$lab_dir/higgs2|" -e "s/country = CH/country = SE/" \
		-e "s/interface = .*/interface = ${node_interface}b/" \
		-e "s|$lab_dir/etc/wireguard-that-survives|wireguard-go|" \
		"$lab_dir/etc/higgs.conf" >"$lab_dir/etc/higgs2.conf"
}

online_nodes()
{
	[ "$(bus relay ListLegs | jq -r '.legs // [] | length')" = 2 ]
}

start_everything()
{
	write_boson_config && echo "udp_listen = 203.0.113.10:51820" >>"$lab_dir/etc/boson.conf" &&
	write_wireguard_wrapper && write_higgs_config higgs on ca.pem && node2_config || return 1
	start_inet
	start_boson
	wait_for 30 on client curl -sf --max-time 2 --cacert "$lab_dir/etc/ca.pem" \
		https://boson.test:8443/api/v1/health/ready -o /dev/null || return 1
	install_keys
	start_agent
	start_forwarder higgs
	start node2 agent2 "$bin/higgs-agent" -c "$lab_dir/etc/higgs2.conf"
	start node2 forwarder2 "$bin/higgs-forwarder" -c "$lab_dir/etc/higgs2.conf"
	wait_for 30 online_nodes
}

# ---- checks ----

check_config()
{
	config a CH && config b CH && config c SE || { detail=$(tail -1 "$lab_dir/log/higgs.log"); return 1; }
	grep -q '^Endpoint = 203.0.113.10:51820$' "$lab_dir/etc/hua$$.conf" || return 1
	[ "$(stat -c %a "$lab_dir/etc/hua$$.conf")" = 600 ] || return 1
	! config a CH || { detail="a file that is there was replaced"; return 1; } # L66
	on client "$bin/higgs" config --server https://boson.test:8443 --ca "$lab_dir/etc/ca.pem" \
		--key-file "$lab_dir/etc/client.key" --qr | grep . >/dev/null || return 1 # not -q: it would hang up
	detail="three files and a QR code"
}

check_three_apps()
{
	app_up client a && app_up phone b && app_up mobile c || return 1
	wait_for 20 reaches_inet client || { detail="client"; return 1; }
	wait_for 20 reaches_inet phone || { detail="phone"; return 1; }
	wait_for 20 reaches_inet mobile || { detail="mobile"; return 1; }
	[ "$(reaches_inet client)" = 192.0.2.10 ] && [ "$(reaches_inet phone)" = 192.0.2.10 ] &&
	[ "$(reaches_inet mobile)" = 192.0.0.2 ] || { detail="wrong exit"; return 1; }
	pings client 100 "$lab_dir/ping.a" & pings phone 100 "$lab_dir/ping.b" &
	pings mobile 100 "$lab_dir/ping.c"
	wait
	detail="two of node 1 behind one NAT, one of node 2; lost $(lost "$lab_dir/ping.a"),"
	detail+=" $(lost "$lab_dir/ping.b"), $(lost "$lab_dir/ping.c") of 10000"
	[ "$(lost "$lab_dir/ping.a")" -le 100 ] && [ "$(lost "$lab_dir/ping.b")" -le 100 ] &&
	[ "$(lost "$lab_dir/ping.c")" -le 100 ]
}

# wg-quick itself, routes and all, where it can be had: it wants resolvconf for DNS.
check_wg_quick()
{
	local file=$lab_dir/etc/huq$$.conf
	config q CH || return 1
	mkdir -p "$lab_dir/stubs"
	printf '#!/bin/sh\ncat >/dev/null\n' >"$lab_dir/stubs/resolvconf"
	chmod 0755 "$lab_dir/stubs/resolvconf"
	on laptop env PATH="$lab_dir/stubs:$PATH" WG_QUICK_USERSPACE_IMPLEMENTATION=wireguard-go LOG_LEVEL=error \
		wg-quick up "$file" >"$lab_dir/log/wg-quick.log" 2>&1 || { detail=$(tail -1 "$lab_dir/log/wg-quick.log"); return 1; }
	wait_for 20 reaches_inet laptop || { detail="no traffic"; return 1; }
	on laptop env PATH="$lab_dir/stubs:$PATH" wg-quick down "$file" >>"$lab_dir/log/wg-quick.log" 2>&1
	detail="up and down with all its routes"
}

check_bulk()
{
	local mbit
	mbit=$(on client iperf3 -J -t 3 -c 198.51.100.80 -R | jq '.end.sum_received.bits_per_second / 1e6 | floor')
	detail="$mbit Mbit/s down"
	[ "${mbit:-0}" -gt 0 ]
}

# F25, F26: the gap is measured, what fails is only a client that stays away.
roams() # WHAT COMMAND...
{
	local what=$1 gap
	shift
	pings mobile 240 "$lab_dir/ping.roam" &
	sleep 2
	"$@"
	wait $!
	gap=$(longest_gap "$lab_dir/ping.roam") || { detail="no answers"; return 1; }
	detail="$what, longest gap $gap ms, lost $(lost "$lab_dir/ping.roam") of 10000"
	[ "$gap" -le 2000 ]
}

to_the_other_uplink()
{
	on mobile ip route replace default via 198.18.3.1
	on mobile ip address del 192.168.79.2/24 dev eth0
}

to_another_port()
{
	on mobile ip address add 192.168.79.2/24 dev eth0
	on mobile ip route replace default via 192.168.79.1
	on mobile ip address del 198.18.3.10/24 dev eth1
	sleep 3
	on clientgw nft 'insert rule ip router postrouting oifname "wan" udp dport 51820 masquerade to :40000-50000 fully-random'
	on clientgw conntrack -D -p udp --dport 51820 >/dev/null 2>&1
}

check_same_clients_after()
{
	wait_for 20 reaches_inet client && wait_for 20 reaches_inet phone && wait_for 20 reaches_inet mobile
}

counted() # FILE NAME: how often, as of that GetStats; all whose names begin so
{
	jq --arg name "$2" '[.counters[] | select(.name | startswith($name)) | .value | tonumber] | add // 0' "$1"
}

counted_since() # NAME
{
	echo $(($(counted "$lab_dir/stats.after" "$1") - $(counted "$lab_dir/stats.before" "$1")))
}

# A thousand pings each, so that one of them is a tenth of a percent.
ping_both() # LOG
{
	pings client 1000 "$lab_dir/$1.a" 0.005 &
	local one=$!
	pings phone 1000 "$lab_dir/$1.b" 0.005
	wait $one
}

# T16: strangers that cost no good session more than half a percent. Half of what they send has a mac1 that is
# right for a node. Most is dropped as too much of a prefix, the rest for its mac1, or it opens half-open legs; whose
# mac1 is right is sent a cookie.
check_flood()
{
	local key flood_pid sent rate mac1 opened cookies one without more is_harmed=no
	key=$(sed -n 's/^PublicKey = //p' "$lab_dir/etc/hua$$.conf")
	ping_both quiet # a busy machine's own share
	bus relay GetStats >"$lab_dir/stats.before"
	on core "$bin/udp_flood" 203.0.113.10:51820 "$key" 198.19.0.0 20000 8 >"$lab_dir/flood" &
	flood_pid=$!
	sleep 1
	ping_both flood
	wait $flood_pid
	bus relay GetStats >"$lab_dir/stats.after"
	sent=$(cat "$lab_dir/flood")
	rate=$(counted_since 'udp_drops_total{reason="rate"}')
	mac1=$(counted_since 'udp_drops_total{reason="mac1"}')
	opened=$(counted_since 'udp_legs_total{event="opened"}')
	cookies=$(counted_since udp_cookies_total)
	detail="$sent junk initiations, $rate too many, $cookies asked to show that they are there,"
	detail+=" $mac1 for no node, $opened half-open; lost"
	for one in a b; do
		without=$(lost "$lab_dir/quiet.$one") more=$(lost "$lab_dir/flood.$one")
		detail+=" $more ($without without)"
		[ "$more" -le $((without + 50)) ] || is_harmed=yes
	done
	detail+=" of 10000"
	[ $is_harmed = no ] && [ $((rate + mac1 + opened)) -ge $((sent / 2)) ] &&
	[ "$mac1" -gt $((sent / 100)) ] && [ "$opened" -gt 100 ] && [ "$cookies" -gt 100 ]
}

# F25: the node's own NAT forgets it; its next leg takes the sessions up again.
check_node_leg_lost()
{
	local gap
	pings client 240 "$lab_dir/ping.node" &
	sleep 3
	stop forwarder KILL
	start_forwarder higgs
	wait $!
	wait
	gap=$(longest_gap "$lab_dir/ping.node") || { detail="no answers"; return 1; }
	detail="forwarder killed and started: longest gap $gap ms"
	wait_for 30 reaches_inet client
}

# ---- higgs ----

laptop_higgs() # COMMAND [ARGUMENT...]
{
	local command=$1
	shift
	on laptop "$bin/higgs" "$command" --state "$lab_dir/laptop" "$@"
}

laptop_connects()
{
	laptop_higgs connect --server https://boson.test:8443 --ca "$lab_dir/etc/ca.pem" \
		--key-file "$lab_dir/etc/client.key" --country CH --interface "hul$$" --no-dns \
		>>"$lab_dir/log/laptop.log" 2>&1
}

carried_by() # WAY
{
	[ "$(laptop_higgs status --json | jq -r .carriedBy)" = "$1" ]
}

udp_is() # blocked|free
{
	on clientgw nft flush chain ip router forward
	[ "$1" = free ] || on clientgw nft add rule ip router forward udp dport 51820 drop
	[ "$1" = free ] || on clientgw nft add rule ip router forward udp sport 51820 drop
}

wss_is() # blocked|free
{
	on clientgw nft flush chain ip router forward
	[ "$1" = free ] || on clientgw nft add rule ip router forward tcp dport 443 drop
}

check_higgs_by_udp()
{
	on clientgw nft 'add chain ip router forward { type filter hook forward priority 0; policy accept; }'
	laptop_connects || { detail=$(tail -1 "$lab_dir/log/laptop.log"); return 1; }
	reaches_inet laptop >/dev/null || return 1
	pings laptop 40 "$lab_dir/ping.l"
	wait_for 10 carried_by udp || { detail="still by the leg"; return 1; }
	pings laptop 100 "$lab_dir/ping.l"
	detail="carried by UDP, lost $(lost "$lab_dir/ping.l") of 10000"
	[ "$(lost "$lab_dir/ping.l")" -le 100 ]
}

# T44: UDP is blocked under traffic, and later free again.
check_higgs_blocked_and_back()
{
	local gap back
	pings laptop 400 "$lab_dir/ping.l" &
	sleep 2
	udp_is blocked
	wait_for 10 carried_by leg || { detail="not by the leg"; wait; return 1; }
	udp_is free
	wait_for 40 carried_by udp
	back=$?
	wait
	gap=$(longest_gap "$lab_dir/ping.l") || { detail="no answers"; return 1; }
	detail="longest gap $gap ms, $([ $back = 0 ] && echo back by UDP || echo never back)"
	[ $back = 0 ] && [ "$gap" -le 5000 ]
}

# T44: where WebSockets are blocked, UDP alone does.
check_higgs_without_wss()
{
	laptop_higgs disconnect >/dev/null || return 1
	wss_is blocked
	laptop_connects || { detail=$(tail -1 "$lab_dir/log/laptop.log"); wss_is free; return 1; }
	reaches_inet laptop >/dev/null && carried_by udp
	local result=$?
	wss_is free
	detail="connected by UDP alone"
	return $result
}

check_doctor()
{
	local lines
	lines=$(laptop_higgs doctor --server https://boson.test:8443 --ca "$lab_dir/etc/ca.pem") || { detail=$lines; return 1; }
	[ "$(echo "$lines" | wc -l)" = 6 ] || { detail=$lines; return 1; }
	for what in IPv6 "kill switch" packets way; do
		echo "$lines" | grep -q "^ok *$what" || { detail=$lines; return 1; }
	done
	on laptop nft delete table inet higgs_client 2>/dev/null ||
		on laptop nft delete table inet "$(on laptop nft list tables | awk '/higgs/ { print $3; exit }')"
	! laptop_higgs doctor >"$lab_dir/doctor" && grep -q "^BAD *kill switch" "$lab_dir/doctor" || { detail="a kill switch that is gone was not noticed"; return 1; }
	detail=$(echo "$lines" | tail -1)
}

check_higgs_leaves_nothing()
{
	laptop_higgs disconnect >/dev/null || return 1
	[ -z "$(on laptop ip rule show | grep -E '1850[0-9]|18510')" ] || { detail="rules are left"; return 1; }
	! on laptop nft list tables | grep -q higgs
}

echo "Making the lab ..."
lab_up && more_hosts || { echo "udp: cannot make the lab" >&2; exit 1; }
make_certificates >"$lab_dir/log/openssl.log" 2>&1 || exit 1
start_everything || { echo "udp: BosonServer or the nodes did not get ready" >&2; exit 1; }
check "higgs config" check_config
check "three apps of two nodes at once" check_three_apps
check "wg-quick" check_wg_quick
check "bulk" check_bulk
check "roam of address" roams "Wi-Fi to mobile" to_the_other_uplink
check "roam of port" roams "back, and another NAT port" to_another_port
check "everybody is still there" check_same_clients_after
check "flood of junk" check_flood
check "the node's leg is lost" check_node_leg_lost
check "higgs goes by UDP" check_higgs_by_udp
check "UDP blocked halfway, and back" check_higgs_blocked_and_back
check "WebSockets blocked from the start" check_higgs_without_wss
check "higgs doctor" check_doctor
check "higgs leaves nothing behind" check_higgs_leaves_nothing
exit $failed
