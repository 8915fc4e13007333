#!/usr/bin/env bash
# Lines as homes have them, in the lab of deploy/demo/lab.sh, with a line (link_lines.sh) at two places, and beside the
# client others behind the same NAT:
#
#      inet ---- core ---- server
#                 | \
#     clientline  |  homeline
#          clientgw    home ---- node
#             |
#           client (higgs, by WebSocket)   phone (a stock app, by UDP)   laptop (wireguard-go straight to the node)
#
# F27: what loses, delays, overtakes and doubles leaves sessions and legs where they are; goodput is printed as a share of
# plain WireGuard's, over the same line at the same time. F28: paths of 1280 bytes, with and without ICMP. F29: five times
# as much is offered as the home's line takes. F25, F26: addresses change under legs (under UDP: udp.sh).
#
#   link.sh --bin DIR [--keep] [--only REGEX]      exit status 0 held, 1 did not, 77 cannot be tried here
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

lab_name=link body=bosond
. tests/lab/common.sh
. tests/lab/link_lines.sh
while [ $# -gt 0 ]; do
	common_argument "$@"
	shift $taken
done
lab_needs wireguard-go wg wg-quick nft conntrack nginx jq curl openssl iperf3 chrt
leave() { higgs_disconnect; }
lab_begin hk
lab_hosts="$lab_hosts phone laptop"

GOODPUT_SEC=3     # of each measurement
WHOLE_SEC=60      # until a small file is there, whatever the line does
BIG_SEC=60        # and one of 10 MB
PINGS_IN_TIME=150 # of 200, where five times as much is offered as the line takes

start_everything()
{
	use_cubic
	write_boson_config &&
	printf 'udp_listen = 203.0.113.10:51820\nsegment_bytes = 1220\n' >>"$lab_dir/etc/boson.conf" &&
	write_wireguard_wrapper && write_higgs_config higgs on ca.pem || return 1
	start_inet
	head -c 300000 /dev/urandom >"$lab_dir/www/300k.bin"
	head -c 10000000 /dev/urandom >"$lab_dir/www/10m.bin"
	start_server_and_node || return 1
	wait_for 30 has_node_leg
}

# Debian's default, whatever this machine's is.
use_cubic()
{
	ip -n "$lab-node" route replace default via 192.168.1.1 congctl cubic
	ip -n "$lab-server" route replace default via 203.0.113.1 congctl cubic
	ip -n "$lab-client" route replace default via 192.168.77.1 congctl cubic
}

# client by the leg: UDP is blocked for it alone.
start_users()
{
	on clientgw nft 'add chain ip router forward { type filter hook forward priority 0; policy accept; }'
	on clientgw nft add rule ip router forward ip saddr 192.168.77.2 udp dport 51820 drop
	higgs_connect && config a CH && app_up phone a && direct_node_up && direct_user_up laptop 1 || return 1
	for one in client phone laptop; do
		wait_for 20 reaches_inet "$one" || return 1
	done
	session=$(higgs_status | jq -r .sessionId)
	[ "$(higgs_status | jq -r .carriedBy)" = leg ]
}

# ---- what a case looks at ----

fetch() # HOST FILE SECONDS: it comes, and is whole
{
	on "$1" curl -s --max-time "$3" "http://198.51.100.80/$2" | cmp -s - "$lab_dir/www/$2"
}

# What an endless download brings in a few seconds, in kbit/s.
goodput() # HOST
{
	on "$1" curl -s --max-time $GOODPUT_SEC -o /dev/null -w '%{size_download}\n' http://198.51.100.80/file.bin |
		awk -v seconds=$GOODPUT_SEC '{ printf "%d", $1 * 8 / 1000 / seconds }'
}

node_status()
{
	rest GET "/nodes/$(cat "$lab_dir/higgs/agent/node_id")" | jq -r .status
}

# Whether the node was ever called anything but online, until the file is taken away.
watch_node()
{
	while [ -e "$lab_dir/watch" ]; do
		node_status >>"$lab_dir/node-status"
		sleep 0.5
	done
}

not_online()
{
	grep -c -v '^online$' "$lab_dir/node-status"
}

legs_made()
{
	relay_counter '^legs_attached_total'
}

share() # A B
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%d", b ? 100 * a / b : 0 }'
}

# At the same time, so that what the machine has for it is the same.
measure_goodput()
{
	local plain leg
	goodput laptop >"$lab_dir/goodput-plain" &
	leg=$(goodput client)
	wait $!
	plain=$(cat "$lab_dir/goodput-plain")
	detail="$leg kbit/s, plain WireGuard $plain: $(share "$leg" "$plain") %"
}

# Goodput, then a file that must be whole by both ways, under eyes that see a node called offline, a leg made anew, a
# session that is another.
under_line() # HOW MANY LEGS WERE MADE BEFORE
{
	local legs=$1 result=0 watcher one
	: >"$lab_dir/watch"
	: >"$lab_dir/node-status"
	watch_node &
	watcher=$!
	measure_goodput
	fetch phone 300k.bin $WHOLE_SEC &
	one=$!
	fetch client 300k.bin $WHOLE_SEC || { detail+="; not whole by the leg"; result=1; }
	wait $one || { detail+="; not whole by UDP"; result=1; }
	rm -f "$lab_dir/watch"
	wait $watcher
	[ "$(not_online)" = 0 ] || { detail+="; the node was called $(sort -u "$lab_dir/node-status" | tr '\n' ' ')"; result=1; }
	[ "$(legs_made)" = "$legs" ] || { detail+="; a leg was made anew"; result=1; }
	[ "$(higgs_status | jq -r .sessionId)" = "$session" ] || { detail+="; another session"; result=1; }
	return $result
}

check_line() # LINE ARGUMENT OF link_box ...
{
	local name=$1 result legs
	shift
	legs=$(legs_made)
	line_is "$name" "$@" || { detail="no line"; return 1; }
	under_line "$legs"
	result=$?
	line_is "$name"
	return $result
}

# A fifth is lost: little comes, and a leg may be given up; everything is as before when the line is.
check_a_fifth()
{
	local result=0
	line_is homeline --both delay=10ms,loss=20%
	measure_goodput
	fetch client small.bin $WHOLE_SEC || { detail+="; not whole by the leg"; result=1; }
	fetch phone small.bin $WHOLE_SEC || { detail+="; not whole by UDP"; result=1; }
	line_is homeline
	wait_for 30 reaches_inet client && wait_for 30 reaches_inet phone || { detail+="; it stays away"; return 1; }
	[ "$(higgs_status | jq -r .sessionId)" = "$session" ] || { detail+="; another session"; return 1; }
	return $result
}

fragments()
{
	echo $(($(line_figure homeline '.there.fragments + .back.fragments') +
		$(line_figure clientline '.there.fragments + .back.fragments')))
}

both_lines_are() # ARGUMENT OF link_box ...
{
	line_is homeline "$@" && line_is clientline "$@"
}

# F28: what is longer than 1280 bytes vanishes, and nobody says so. (An app of WireGuard's own needs a smaller MTU there.)
check_black_hole()
{
	local result=0
	both_lines_are --both delay=10ms,mtu=1280 || return 1
	fetch client 10m.bin $BIG_SEC || { detail="not whole; "; result=1; }
	detail+="$(fragments) fragments, $(line_figure homeline '.there.tooLong + .back.tooLong') packets of the home's and"
	detail+=" $(line_figure clientline '.there.tooLong + .back.tooLong') of the client's line too long"
	[ "$(fragments)" = 0 ] || result=1
	both_lines_are
	return $result
}

# F29: 1 Mbit/s up, of which one session is sent 5 Mbit/s; another one's pings.
check_narrow()
{
	local answered
	line_is homeline --both delay=10ms,queue=300ms --there rate=1mbit --back rate=20mbit
	on client iperf3 -u -b 5M -l 1200 -t 14 -R -c 198.51.100.80 >"$lab_dir/log/narrow.log" 2>&1 &
	sleep 3
	on phone ping -n -i 0.05 -c 200 -W 1 198.51.100.80 >"$lab_dir/ping.narrow" 2>&1
	wait $!
	line_is homeline
	answered=$(grep -c 'bytes from' "$lab_dir/ping.narrow")
	detail="$answered of 200 answered within a second; round trip in ms: $(round_trips "$lab_dir/ping.narrow")"
	[ "$answered" -ge $PINGS_IN_TIME ]
}

# F25, F26: the address that the internet sees is another from now on, and what the NAT knew is forgotten.
changes_address() # HOST OLD NEW
{
	on "$1" sysctl -qw net.ipv4.conf.wan.promote_secondaries=1
	on "$1" ip address add "$3/25" dev wan && on "$1" ip address del "$2/25" dev wan
}

check_roam() # HOST OLD NEW
{
	local gap
	start_pings client
	sleep 2
	changes_address "$@" || { detail="no other address"; return 1; }
	wait_for 20 reaches_inet client || { detail="it stays away"; stop_pings client; return 1; }
	sleep 1
	stop_pings client
	gap=$(longest_gap "$lab_dir/log/pings-client.log") || { detail="no answers"; return 1; }
	detail="longest gap $gap ms"
	[ "$(higgs_status | jq -r .sessionId)" = "$session" ] || { detail+="; another session"; return 1; }
}

# Middle, 99th percentile, greatest.
round_trips() # LOG
{
	sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$1" | sort -n |
		awk '{ t[NR] = $1 } END { printf "%d, %d, %d", t[int((NR + 1) / 2)], t[int(NR * 0.99) + (NR < 100)], t[NR] }'
}

echo "Making a lab of $(echo $lab_hosts | wc -w) hosts and two lines ..."
lab_up && more_clients phone laptop || exit 1
insert_line homeline home wan core home && insert_line clientline clientgw wan core clientgw || exit 1
make_certificates >"$lab_dir/log/openssl.log" 2>&1 || exit 1
start_everything && start_users || { echo "link: the lab does not come up" >&2; exit 1; }
check "F27: the home's line loses 1 %" check_line homeline --both delay=10ms,loss=1%
check "F27: the home's line loses 5 %" check_line homeline --both delay=10ms,loss=5%
check "F27: the client's line loses 5 %" check_line clientline --both delay=10ms,loss=5%
check "F27: the home's round trip is 300 ms" check_line homeline --both delay=150ms
check "F27: jitter of 100 ms" check_line homeline --both delay=100ms,jitter=100ms
check "F27: a tenth is overtaken" check_line homeline --both delay=20ms,reorder=10%
check "F27: a twentieth comes twice" check_line homeline --both delay=10ms,duplicate=5%
check "F27: the home's line loses 20 %" check_a_fifth
check "F28: paths of 1280 bytes, ICMP is lost" check_black_hole
check "F29: five times as much as the line takes" check_narrow
check "F25: the home's address changes" check_roam home 192.0.2.10 192.0.2.11
check "F26: the client's address changes, by the leg" check_roam clientgw 192.0.2.140 192.0.2.141
exit $failed
