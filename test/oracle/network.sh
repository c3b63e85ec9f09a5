# A stick between its guests and a PC's network, as network namespaces: uplink -- stick -- guest.
# Runs as root of a user and mount namespace of its own.
#
#   network.sh RULES UPLINK STICK GATEWAY GUEST PORT [BRIDGED]
#
# RULES is the nftables text; the others are IPv4 addresses: of a router on the uplink and of the stick there (both /24),
# of the stick on the guests' bridge (/24), of the guest. PORT of the stick leads to the guest's port 80. BRIDGED is the
# guest's address on the uplink (/24), if a second card of it is there. What listens in them is $NODE, the path of a Node.
# Prints one word for each thing that works.
set -eu
rules=$1 uplink=$2 stick=$3 gateway=$4 guest=$5 port=$6 bridged=${7:-}

mount -t tmpfs tmpfs /run
for name in uplink stick guest; do ip netns add $name && ip -n $name link set lo up; done
in_() { name=$1; shift; ip netns exec "$name" "$@"; }

ip -n uplink link add lan0 type bridge
ip -n uplink link add up0 type veth peer name eth0 netns stick
ip -n stick link add keyvisor0 type bridge
ip -n stick link add tap0 type veth peer name eth0 netns guest
ip -n stick link set tap0 master keyvisor0
for link in eth0 tap0 keyvisor0; do ip -n stick link set $link up; done
ip -n uplink link set up0 master lan0
for link in up0 lan0; do ip -n uplink link set $link up; done
ip -n guest link set eth0 up
if [ "$bridged" ]; then
  ip -n uplink link add up1 type veth peer name eth1 netns guest
  ip -n uplink link set up1 master lan0
  ip -n uplink link set up1 up
  ip -n guest link set eth1 up
  ip -n guest address add "$bridged/24" dev eth1
fi

ip -n uplink address add "$uplink/24" dev lan0
ip -n uplink address add 198.51.100.1/32 dev lo
ip -n stick address add "$stick/24" dev eth0
ip -n stick address add "$gateway/24" dev keyvisor0
ip -n guest address add "$guest/24" dev eth0
ip -n stick route add default via "$uplink"
ip -n guest route add default via "$gateway"
in_ stick sysctl -q -w net.ipv4.ip_forward=1
in_ stick nft -f "$rules"

works() { word=$1; shift; "$@" >/dev/null 2>&1 && echo "$word" || :; }
serve() { in_ "$1" "$NODE" -e "require('net').createServer(s => s.end('$1')).listen($2)" & }
asks() { in_ "$1" timeout 2 bash -c "exec 3<>/dev/tcp/$2/$3 && cat <&3"; }
serve guest 80; serve stick 22; serve stick 8081; serve stick 53
until asks guest 127.0.0.1 80 && asks stick 127.0.0.1 53 && asks stick 127.0.0.1 8081 && asks stick 127.0.0.1 22; do
  sleep 0.1
done >/dev/null 2>&1

works host-reaches-router in_ stick ping -c1 -W1 "$uplink"
works host-reaches-internet in_ stick ping -c1 -W1 198.51.100.1
works guest-reaches-router in_ guest ping -c1 -W1 "$uplink"
works guest-reaches-internet in_ guest ping -c1 -W1 198.51.100.1
works host-reaches-guest in_ stick ping -c1 -W1 "$guest"
[ "$(asks uplink "$stick" "$port")" = guest ] && echo port-leads-to-guest
[ "$(asks uplink "$stick" 22)" = stick ] && echo ssh-is-open
[ "$(asks uplink "$stick" 8081 2>&1)" = stick ] && echo other-port-is-open
asks uplink "$stick" 8081 2>&1 | grep -q refused && echo other-port-is-refused
[ "$(asks guest "$gateway" 53)" = stick ] && echo guest-asks-dns
[ "$(asks guest "$gateway" 22 2>&1)" = stick ] && echo guest-reaches-ssh
kill $(jobs -p)
