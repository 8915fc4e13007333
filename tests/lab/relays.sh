#!/usr/bin/env bash
# Three relays on one host (ports 443, 444, 445 of 203.0.113.10) and real WireGuard through them, in the lab
# of deploy/demo/lab.sh: a relay is killed under a download, then all of them are drained and started anew, one
# after the other; the TCP connection of the download goes on (F04, F21). The node and the client are brought to
# different relays, so that the mesh carries them.
#
#   relays.sh --bin DIR [--keep]      exit status 0 held, 1 did not, 77 cannot be tried here
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

lab_name=relays body=processes
. tests/lab/common.sh
. tests/lab/several_relays.sh
while [ $# -gt 0 ]; do
	common_argument "$@"
	shift $taken
done
lab_needs wireguard-go wg wg-quick nft conntrack nginx jq curl openssl
leave() { higgs_disconnect; }
lab_begin hr
lab_hosts="$lab_hosts phone"

start_everything()
{
	write_boson_config && write_wireguard_wrapper && write_higgs_config higgs on ca.pem || return 1
	start_inet
	start_server_with_relays 3 || return 1
	install_keys
	start_agent
	start_forwarder higgs
	wait_for 30 has_leg node
}

# ---- a download, and pings beside it ----

start_download() # KBYTES A SECOND
{
	start client download curl -sS --limit-rate "${1}k" -o "$lab_dir/down.bin" \
		http://198.51.100.80/file.bin
}

check_connect()
{
	higgs_connect || { detail=$(tail -1 "$lab_dir/log/higgs.log"); return 1; }
	detail="node at relay $(relay_of node), client at relay $(relay_of client)"
	on client curl -sf --max-time 10 http://198.51.100.80/whoami >/dev/null
}

check_kill()
{
	local used gap
	used=$(relay_of node)
	start_download 2000
	start_pings client
	sleep 3
	stop "relay$used" KILL
	wait_for 20 has_leg node && wait_for 20 has_leg client || return 1
	sleep 5
	gap=$(gap_of_pings client) || { detail="no pings"; return 1; }
	detail="relay $used killed, nothing passed for $gap ms; node at $(relay_of node), client at $(relay_of client)"
	is_running download || { detail+="; the download broke"; return 1; }
	[ "$gap" -le 5000 ]
}

# The bound leaves a busy machine its time; loadtest/herd/run roll measures.
check_roll()
{
	local n gap
	start_pings client
	for n in 1 2 3; do
		stop "relay$n"
		restart_relay $n || { detail="relay $n does not start"; return 1; }
		wait_for 10 has_leg node && wait_for 10 has_leg client || return 1
		sleep 2
	done
	gap=$(gap_of_pings client) || { detail="no pings"; return 1; }
	detail="nothing passed for $gap ms; node at $(relay_of node), client at $(relay_of client)"
	is_running download || { detail+="; the download broke"; return 1; }
	[ "$gap" -le 2000 ]
}

# ---- a stock app, whose relay drains ----

# The relay that its .conf names; the node's is another one than at first, so it goes by way of two.
app_relay()
{
	echo $(($(sed -n 's/^Endpoint = .*://p' "$lab_dir/etc/hua$$.conf") - 51819))
}

node_is_elsewhere() # NUMBER
{
	local now
	now=$(relay_of node)
	[ "$now" != 0 ] && [ "$now" != "$1" ]
}

check_app()
{
	config a CH || { detail=$(tail -1 "$lab_dir/log/higgs.log"); return 1; }
	app_up phone a && wait_for 20 reaches_inet phone >/dev/null || return 1
	detail="by UDP at relay $(app_relay), node at relay $(relay_of node)"
}

# bosonctl drains it, and its process stays: the app cannot be told, and goes on.
check_app_drained()
{
	local used gap
	used=$(app_relay)
	start_pings phone
	sleep 1
	call_relay "$used" Drain >/dev/null || return 1
	wait_for 20 node_is_elsewhere "$used" || { detail="the node stays"; return 1; }
	sleep 10 # beyond its drain
	gap=$(gap_of_pings phone) || { detail="no pings"; return 1; }
	detail="relay $used drained, node at relay $(relay_of node), nothing passed for $gap ms"
	[ "$gap" -le 1000 ]
}

# Its next source comes to the relay that has no node's leg any more.
check_app_roams()
{
	local gap
	start_pings phone
	sleep 1
	on clientgw nft 'insert rule ip router postrouting oifname "wan" udp dport 51820-51822 masquerade to :40000-50000 fully-random'
	on clientgw conntrack -D -p udp --orig-dst 203.0.113.10 >/dev/null 2>&1
	sleep 5
	gap=$(gap_of_pings phone) || { detail="no pings"; return 1; }
	detail="another NAT port, nothing passed for $gap ms"
	[ "$gap" -le 2000 ]
}

# SIGTERM: the relay goes for good, and is started anew: routing tells it of the session again.
check_app_after_restart()
{
	local used
	used=$(app_relay)
	stop "relay$used"
	restart_relay "$used" || { detail="relay $used does not start"; return 1; }
	wait_for 40 reaches_inet phone >/dev/null || { detail="the app stays away"; return 1; }
	detail="relay $used ended and started anew"
}

check_whole()
{
	wait_for 60 bash -c "! kill -0 $(pid_of download)" || { detail="not done"; return 1; }
	detail="$(stat -c %s "$lab_dir/down.bin") bytes"
	[ "$(grep -c 'GET /file.bin' "$lab_dir/log/access.log")" = 1 ] &&
	cmp -s "$lab_dir/down.bin" "$lab_dir/www/file.bin"
}

echo "Making a lab of $(echo $lab_hosts | wc -w) hosts and three relays ..."
lab_up && more_clients phone || exit 1
make_certificates >"$lab_dir/log/openssl.log" 2>&1 || exit 1
start_everything || { echo "relays: the lab does not come up" >&2; exit 1; }
check "higgs connect" check_connect
check "F04: the relay in use is killed, the download goes on" check_kill
check "its relay comes back" restart_relay "$(for n in 1 2 3; do is_running relay$n || echo $n; done)"
check "F21: three relays are drained in turn, the download goes on" check_roll
check "the file is whole, by one TCP connection" check_whole
check "a stock app by UDP" check_app
check "F21: its relay drains, the app goes on" check_app_drained
check "F26: it moves, by way of two relays" check_app_roams
check "F04: its relay ends and comes back" check_app_after_restart
exit $failed
