#!/usr/bin/env bash
# All of the control plane is killed (F12), in the lab of deploy/demo/lab.sh: gateway, discovery, routing, metrics and
# turn; the relay is left. Sessions that exist go on, by WebSocket and by UDP, and shake hands anew as WireGuard does
# every two minutes; a leg that is lost comes back by its ticket; new sessions alone are refused: with 503 while the
# gateway lives, and by nobody at home afterwards.
#
#   control_dead.sh --bin DIR [--minutes N] [--keep]      exit status 0 held, 1 did not, 77 cannot be tried here
#
# N is 2.5 by default: one handshake. An hour (--minutes 60) is thirty.
set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

lab_name=control body=processes minutes=2.5
. tests/lab/common.sh
while [ $# -gt 0 ]; do
	if [ "$1" = --minutes ]; then
		minutes=${2:?--minutes needs a number}
		shift 2
		continue
	fi
	common_argument "$@"
	shift $taken
done
seconds=$(awk -v minutes="$minutes" 'BEGIN { if (minutes + 0 <= 0) exit 1; printf "%d", minutes * 60 }') ||
	{ echo "control: --minutes $minutes" >&2; exit 64; }
lab_needs wireguard-go wg wg-quick nft conntrack nginx jq curl openssl
leave() { on client "$bin/higgs" disconnect --state "$lab_dir/client" >/dev/null; }
lab_begin hk
lab_hosts="$lab_hosts phone"

HANDSHAKE_SEC=120  # WireGuard's REKEY_AFTER_TIME
LOST_MOST=10       # of 10000: a tenth of a percent

start_everything()
{
	write_boson_config && echo "udp_listen = 203.0.113.10:51820" >>"$lab_dir/etc/boson.conf" &&
	write_wireguard_wrapper && write_higgs_config higgs on ca.pem || return 1
	start_inet
	start_server_and_node || return 1
	wait_for 30 has_node_leg
}

# The newest handshake of the one session that an interface has, in seconds since the epoch.
handshake() # HOST INTERFACE
{
	on "$1" wg show "$2" latest-handshakes | cut -f2
}

status_of_new_session()
{
	on client curl -s -o /dev/null -w '%{http_code}' --max-time 10 --cacert "$lab_dir/etc/ca.pem" \
		-H "Authorization: Bearer $(cat "$lab_dir/etc/client.key")" -H "Content-Type: application/json" \
		--data '{"clientId":"'"$(cat /proc/sys/kernel/random/uuid)"'","publicKey":"'"$(wg genkey | wg pubkey)"'"}' \
		https://boson.test:8443/api/v1/routing/request
}

check_sessions()
{
	config a CH && app_up phone a || { detail=$(tail -1 "$lab_dir/log/higgs.log"); return 1; }
	higgs_connect || { detail=$(tail -1 "$lab_dir/log/higgs.log"); return 1; }
	wait_for 20 reaches_inet phone >/dev/null && wait_for 20 reaches_inet client >/dev/null || return 1
	detail="a stock app by UDP, higgs by $(higgs_status | jq -r .carriedBy)"
	[ "$(status_of_new_session)" = 200 ] || { detail="a new session is not to be had even now"; return 1; }
}

check_kill()
{
	local service
	for service in discovery routing metrics turn; do
		stop $service KILL
	done
	wait_for 10 refuses_with 503 || { detail="new session: $(status_of_new_session)"; return 1; }
	stop gateway KILL
	! on client curl -s --max-time 2 --cacert "$lab_dir/etc/ca.pem" https://boson.test:8443/api/v1/health || return 1
	is_running relay || { detail="the relay went, too"; return 1; }
	detail="new sessions were refused with 503, then nobody answered"
}

refuses_with() # STATUS
{
	[ "$(status_of_new_session)" = "$1" ]
}

# One look a few seconds after each handshake is due is enough to count them.
count_handshakes()
{
	local now
	now=$(handshake client "$client_interface")
	[ "$now" = "$last_client" ] || { client_shakes=$((client_shakes + 1)) last_client=$now; }
	now=$(handshake phone "hua$$")
	[ "$now" = "$last_phone" ] || { phone_shakes=$((phone_shakes + 1)) last_phone=$now; }
}

check_time_passes()
{
	local end least=$((seconds / (HANDSHAKE_SEC + 15))) client_shakes=0 phone_shakes=0 last_client last_phone
	last_client=$(handshake client "$client_interface") last_phone=$(handshake phone "hua$$")
	start_pings client
	start_pings phone
	end=$((SECONDS + seconds))
	while [ $SECONDS -lt $end ]; do
		sleep 5
		count_handshakes
	done
	stop_pings client
	stop_pings phone
	detail="$seconds s; handshakes $client_shakes and $phone_shakes; lost $(lost "$lab_dir/log/pings-client.log") and"
	detail+=" $(lost "$lab_dir/log/pings-phone.log") of 10000"
	[ $client_shakes -ge $least ] && [ $phone_shakes -ge $least ] &&
	[ "$(lost "$lab_dir/log/pings-client.log")" -le $LOST_MOST ] &&
	[ "$(lost "$lab_dir/log/pings-phone.log")" -le $LOST_MOST ]
}

# Nobody is asked: the ticket that the forwarder has is enough. Its connection is reset, as a router may.
check_leg_comes_back()
{
	local before
	before=$(relay_counter '^legs_attached_total')
	on home nft add table ip cut
	on home nft 'add chain ip cut forward { type filter hook forward priority -10; }'
	on home nft add rule ip cut forward tcp dport 443 reject with tcp reset
	sleep 2
	on home nft delete table ip cut
	wait_for 60 has_more_legs_than "$before" || { detail="the leg does not come back"; return 1; }
	wait_for 20 reaches_inet client >/dev/null && wait_for 20 reaches_inet phone >/dev/null
}

has_more_legs_than() # HOW MANY
{
	[ "$(relay_counter '^legs_attached_total')" -gt "$1" ]
}

echo "Making a lab of $(echo $lab_hosts | wc -w) hosts ..."
lab_up && more_clients phone || exit 1
make_certificates >"$lab_dir/log/openssl.log" 2>&1 || exit 1
start_everything || { echo "control: the lab does not come up" >&2; exit 1; }
check "two sessions" check_sessions
check "F12: the control plane is killed; new sessions are refused" check_kill
check "F12: sessions go on and shake hands anew" check_time_passes
check "F12: a leg that was lost comes back by its ticket" check_leg_comes_back
exit $failed
