#!/usr/bin/env bash
# Paths that swallow long packets without a word, under `higgs connect` by UDP: handshakes and pings pass, full packets do
# not, so that every download would stand still (F28). higgs notices it, goes by its leg, and says so. As with real ones TCP
# lives on, because the router there clamps its MSS. The lab of deploy/demo/lab.sh with a line (link_lines.sh) before the client:
#
#      inet ---- core ---- server
#                 | \
#     clientline  |  home ---- node
#          clientgw
#             |
#           client (higgs)
#
#   paths.sh --bin DIR [--keep] [--only REGEX]      exit status 0 held, 1 did not, 77 cannot be tried here
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

lab_name=paths body=bosond
. tests/lab/common.sh
. tests/lab/link_lines.sh
while [ $# -gt 0 ]; do
	common_argument "$@"
	shift $taken
done
lab_needs wireguard-go nft conntrack nginx jq curl openssl iperf3 chrt
leave() { higgs_disconnect; }
lab_begin hp

HOLE=mtu=1280    # IP packets; WireGuard's are of 1340 bytes here
NOTICED_SEC=15   # until the leg carries what UDP lost
WHOLE_SEC=30     # and a file is there
STAYS_SEC=8      # by UDP, where nothing is wrong

start_everything()
{
	write_boson_config && echo 'udp_listen = 203.0.113.10:51820' >>"$lab_dir/etc/boson.conf" &&
	write_wireguard_wrapper && write_higgs_config higgs on ca.pem || return 1
	start_inet
	head -c 3000000 /dev/urandom >"$lab_dir/www/3m.bin"
	start_server_and_node || return 1
	on clientgw nft -f - <<-'N'
		table ip router {
			chain forward { type filter hook forward priority 0; }
			chain clamp {
				type filter hook forward priority 1;
				tcp flags syn tcp option maxseg size set 1240
			}
		}
	N
	wait_for 30 has_node_leg
}

# Which ways longer packets vanish on; none: the path is whole.
hole_is() # [there] [back]
{
	local way holes=()
	for way; do holes+=("--$way" "$HOLE"); done
	line_is clientline --both delay=10ms "${holes[@]}"
}

carried_by() # WAY
{
	[ "$(higgs_status | jq -r .carriedBy)" = "$1" ]
}

# UDP is tried with what there is to send.
tries_udp()
{
	reaches_inet client && carried_by udp
}

reconnect()
{
	higgs_disconnect
	higgs_connect && wait_for 10 tries_udp
}

# The leg is lost with the next ping over it, as when the machine moves.
cut_the_leg()
{
	on clientgw nft add rule ip router forward tcp dport 443 reject with tcp reset
	wait_for 20 leg_is_down
}

leg_may_come()
{
	on clientgw nft flush chain ip router forward
}

leg_is_down()
{
	higgs_status | jq -e .reason
}

comes_whole() # down or up
{
	case $1 in
	down) on client curl -s --max-time $WHOLE_SEC http://198.51.100.80/3m.bin | cmp -s - "$lab_dir/www/3m.bin" ;;
	up) on client curl -sf --max-time $WHOLE_SEC -T "$lab_dir/www/3m.bin" http://198.51.100.80/upload/up.bin &&
		cmp -s "$lab_dir/www/upload/up.bin" "$lab_dir/www/3m.bin" ;;
	esac
}

doctor_says() # PATTERN...
{
	local pattern
	on client "$bin/higgs" doctor --state "$lab_dir/client" >"$lab_dir/doctor" 2>&1
	for pattern; do
		grep -q "$pattern" "$lab_dir/doctor" || { detail+="; doctor: $(cat "$lab_dir/doctor")"; return 1; }
	done
}

too_long()
{
	line_figure clientline '.there.tooLong + .back.tooLong'
}

check_whole_path()
{
	hole_is && reconnect || { detail="not by UDP"; return 1; }
	comes_whole down && comes_whole up || { detail="not whole"; return 1; }
	sleep $STAYS_SEC
	carried_by udp || { detail="not by UDP any more"; return 1; }
	doctor_says "^ok *packets .*both ways" "^ok *way .*by UDP$" || return 1
	detail="by UDP: $(grep packets "$lab_dir/doctor")"
}

# The path was good, and is not from now on.
check_a_path_that_narrows() # HOW THE FILE GOES, THE HOLE'S WAYS...
{
	local result=0 under_way
	hole_is && reconnect && comes_whole "$1" || { detail="not by UDP"; return 1; }
	on client curl -s -o /dev/null --limit-rate 100k --max-time 300 http://198.51.100.80/file.bin &
	under_way=$!
	hole_is "${@:2}"
	comes_whole "$1" || { detail="not whole"; result=1; }
	kill $under_way
	carried_by leg || { detail+="; still by UDP"; result=1; }
	doctor_says "^ok *packets .*both ways" "^ok *way .*WebSocket: UDP loses" || result=1
	detail+="${detail:+; }$(too_long) packets too long"
	hole_is
	return $result
}

check_a_narrow_path()
{
	local result=0
	higgs_disconnect
	hole_is there back
	higgs_connect || { detail="no connection"; hole_is; return 1; }
	comes_whole down && comes_whole up || { detail="not whole"; result=1; }
	carried_by leg || { detail+="; by UDP"; result=1; }
	detail+="${detail:+; }$(too_long) packets too long"
	return $result
}

check_a_path_that_heals()
{
	hole_is
	cut_the_leg || { detail="the leg stays"; return 1; }
	leg_may_come
	wait_for 30 tries_udp || { detail="never by UDP"; return 1; }
	comes_whole down && comes_whole up || { detail="not whole"; return 1; }
	sleep $STAYS_SEC
	carried_by udp
}

# No leg to go by: it stays with UDP, and does not hide what is wrong.
check_without_a_leg()
{
	local result=0
	hole_is && reconnect || { detail="not by UDP"; return 1; }
	cut_the_leg || { detail="the leg stays"; return 1; }
	hole_is there back
	reaches_inet client >/dev/null || { detail="small packets do not pass"; result=1; }
	doctor_says "^BAD *packets .*smaller ones do" || result=1
	detail+="${detail:+; }$(grep packets "$lab_dir/doctor")"
	leg_may_come
	wait_for $NOTICED_SEC carried_by leg || { detail+="; the leg is back and does not carry"; result=1; }
	comes_whole down || { detail+="; not whole"; result=1; }
	hole_is
	return $result
}

echo "Making a lab of $(echo $lab_hosts | wc -w) hosts and a line ..."
lab_up && insert_line clientline clientgw wan core clientgw || exit 1
make_certificates >"$lab_dir/log/openssl.log" 2>&1 || exit 1
start_everything || { echo "paths: the lab does not come up" >&2; exit 1; }
check "a path that takes all is gone by UDP" check_whole_path
check "F28: a path narrows, both ways, under a download" check_a_path_that_narrows down there back
check "F28: a path narrows upwards alone" check_a_path_that_narrows up there
check "F28: a path narrows downwards alone" check_a_path_that_narrows down back
check "F28: a path is narrow from the start" check_a_narrow_path
check "F28: a path that was narrow is not any more" check_a_path_that_heals
check "F28: a narrow path, and no leg" check_without_a_leg
exit $failed
