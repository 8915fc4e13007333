#!/usr/bin/env bash
# A site, its node and its user go from an older release to a newer one and back while packets pass (F22), in the lab
# of deploy/demo/lab.sh, with two relays, as docs/operations.md says under "Upgrading". Between two steps releases are
# mixed: services of one beside services of the other on the bus, two relays in a mesh, a node and a client at a server
# that is not theirs. After each step everything works, nothing that was acknowledged is lost, and the session goes on.
#
#   upgrade.sh --bin DIR [--older DIR] [--together] [--forward] [--keep]
#                                             exit status 0 held, 1 did not, 77 cannot be tried here
#
# --older DIR: the older release's programs; without it both are the same, and the steps alone are tried. --together: for
# releases whose buses do not understand each other: gateway, discovery, routing, metrics and turn change in one step,
# and new sessions are only asked for when relays, and of the node agent and forwarder, are of one release. --forward: not
# back, for releases whose stores differ. The lab configures both releases: what is in its files the older one must know.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

lab_name=upgrade body=processes older="" together=no back=yes
. tests/lab/common.sh
. tests/lab/several_relays.sh
while [ $# -gt 0 ]; do
	case $1 in
	--older) older=${2:?--older needs a folder}; shift 2 ;;
	--together) together=yes; shift ;;
	--forward) back=no; shift ;;
	*) common_argument "$@"; shift $taken ;;
	esac
done
[ -n "$older" ] || { echo "upgrade: no older release (--older DIR): from one to the same"; older=$bin; }
[ -x "$older/boson-relay" ] || { echo "upgrade: no programs in $older" >&2; exit 64; }
newer=$bin
lab_needs wireguard-go wg wg-quick nft conntrack nginx jq curl openssl
leave() { higgs_disconnect; guest "$newer" disconnect; }
lab_begin hv
lab_hosts="$lab_hosts phone"

control="gateway discovery routing metrics turn"
GAP_MS=1000         # of what does not carry packets
CARRIER_GAP_MS=2000 # F21, and the node's legs, with a busy machine's time
FORWARDER_GAP_MS=10000 # F07

start_everything()
{
	write_boson_config && write_wireguard_wrapper && write_higgs_config higgs on ca.pem || return 1
	start_inet
	bin=$older start_server_with_relays 2 || return 1
	install_keys
	bin=$older start_agent
	bin=$older start_forwarder higgs
	wait_for 30 has_leg node
}

start_one() # NAME
{
	case $1 in
	agent) start_agent ;;
	forwarder) start_forwarder higgs ;;
	relay*) restart_relay "${1#relay}" ;;
	*) start_service "$1" ;;
	esac
}

# ---- a second user, of either release, who comes and goes ----

guest() # RELEASE COMMAND [ARGUMENT...]
{
	on phone "$1/higgs" "$2" --state "$lab_dir/guest" "${@:3}" >>"$lab_dir/log/guest.log" 2>&1
}

guest_comes() # RELEASE
{
	guest "$1" connect --server https://boson.test:8443 --ca "$lab_dir/etc/ca.pem" \
		--key-file "$lab_dir/etc/client.key" --interface "hug$$" &&
	wait_for 10 reaches_inet phone &&
	guest "$1" disconnect && return
	guest "$1" disconnect
	return 1
}

# ---- what holds after each step ----

# Whether after a change of this there must be new sessions.
has_news() # NAME
{
	[ $together = no ] || [ "$1" = relay2 ] || [ "$1" = forwarder ]
}

# A new session, whose route's id is written down: it was acknowledged.
new_session()
{
	local answer
	answer=$(rest POST /routing/request '{"clientId":"'"$(cat /proc/sys/kernel/random/uuid)"'",
		"publicKey":"'"$(wg genkey | wg pubkey)"'"}') || return 1
	jq -er '.selectedRoute.id // empty' <<<"$answer" >>"$lab_dir/acknowledged"
}

is_whole()
{
	is_healthy && has_leg node && has_leg client && reaches_inet client && knows_relays 2 &&
		[ "$(rest_admin /nodes | jq -r '.nodes[] | select(.status == "online") | .nodeId')" = "$node" ]
}

# How many of them are not open any more.
forgotten()
{
	local route n=0
	while read -r route; do
		rest_admin "/routing/route/$route" | jq -e '.status == "open"' >/dev/null || n=$((n + 1))
	done <"$lab_dir/acknowledged"
	echo $n
}

# ---- a step ----

longest_pause_of() # NAME...
{
	case $1 in
	relay* | agent) echo $CARRIER_GAP_MS ;;
	forwarder) echo $FORWARDER_GAP_MS ;;
	*) echo $GAP_MS ;;
	esac
}

change() # RELEASE NAME...
{
	local bin=$1 name gap gone
	shift
	start_pings client
	for name; do
		stop "$name"
	done
	for name; do
		start_one "$name"
	done
	wait_for 40 is_whole || { detail="all is not well after 40 s"; return 1; }
	! has_news "$1" || wait_for 10 new_session || { detail="there are no new sessions"; return 1; }
	gap=$(gap_of_pings client) || { detail="no pings"; return 1; }
	detail="nothing passed for $gap ms, node at relay $(relay_of node), client at relay $(relay_of client)"
	gone=$(forgotten)
	[ "$gone" = 0 ] || { detail+="; forgotten: $gone sessions"; return 1; }
	[ "$gap" -le "$(longest_pause_of "$1")" ]
}

change_site() # RELEASE WORD
{
	local name
	if [ $together = yes ]; then
		check "F22: $control become $2, at once" change "$1" $control
	else
		for name in $control; do
			check "F22: $name becomes $2" change "$1" $name
		done
	fi
	for name in relay1 relay2; do
		check "F22: $name becomes $2" change "$1" $name
	done
}

change_node() # RELEASE WORD
{
	check "F22: the agent becomes $2" change "$1" agent
	check "F22: the forwarder becomes $2" change "$1" forwarder
}

check_connect()
{
	bin=$older higgs_connect || { detail=$(tail -1 "$lab_dir/log/higgs.log"); return 1; }
	session=$(bin=$older higgs_status | jq -r .sessionId)
	node=$(rest_admin /nodes | jq -r '.nodes[0].nodeId')
	wait_for 30 is_whole || { detail="all is not well"; return 1; }
	detail="session $session"
	new_session
}

check_session()
{
	detail="session $session"
	[ "$(bin=$older higgs_status | jq -r .sessionId)" = "$session" ] || { detail+=" is another one now"; return 1; }
}

check_guest()
{
	guest_comes "$1" || { detail=$(tail -1 "$lab_dir/log/guest.log"); return 1; }
}

echo "Making a lab of $(echo $lab_hosts | wc -w) hosts and two relays ..."
lab_up && more_clients phone || exit 1
make_certificates >"$lab_dir/log/openssl.log" 2>&1 || exit 1
start_everything || { echo "upgrade: the older release does not come up" >&2; exit 1; }
check "higgs connect, all older" check_connect
check "F22: a newer client at an older site and node" check_guest "$newer"
change_site "$newer" newer
check "F22: an older client at a newer site and an older node" check_guest "$older"
change_node "$newer" newer
check "F22: an older client at a newer site and node" check_guest "$older"
check "F22: a newer client, all newer" check_guest "$newer"
if [ $back = yes ]; then
	change_site "$older" "older again"
	check "F22: a newer client at an older site and a newer node" check_guest "$newer"
	change_node "$older" "older again"
fi
check "F22: the session is the same" check_session
exit $failed
