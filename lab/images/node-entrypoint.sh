#!/bin/bash
# First process of a node container: prepares what systemd and the kubelet expect, then becomes systemd.
# Expects a private cgroup namespace, which kind gives every node.
set -eu

etc=${NODE_ETC:-/etc}

say() { echo "node: $*" >&2; }

# systemd in a container wants /sys read-only; pods need mounts to propagate.
mount -o remount,ro /sys || say "/sys stays writable"
mount --make-rshared /

# Nodes are copies of one image and must not share an identity.
rm -f "$etc/machine-id"
systemd-machine-id-setup >/dev/null 2>&1 || say "no machine id"

# Docker's own DNS listens on 127.0.0.11, which inside a pod is the pod itself. It is made reachable at the address of
# the default gateway, and that address is named in resolv.conf instead.
gateway=$(ip -4 route show default | awk '{print $3; exit}')
for protocol in udp tcp; do
  port=$(iptables-save -t nat | sed -n "s/.*-p $protocol .*--to-destination 127\.0\.0\.11:\([0-9]*\).*/\1/p" | head -n 1)
  [ -n "$port" ] || continue
  for chain in OUTPUT PREROUTING; do
    iptables -t nat -I "$chain" -d "$gateway" -p "$protocol" --dport 53 -j DNAT --to-destination "127.0.0.11:$port"
  done
done
# The file is a bind mount: it can be written but not replaced.
rewritten=$(sed "s/127\.0\.0\.11/$gateway/" "$etc/resolv.conf")
printf '%s\n' "$rewritten" > "$etc/resolv.conf"

for setting in net.ipv4.ip_forward net.ipv4.conf.all.route_localnet; do
  sysctl -qw "$setting=1" || say "$setting could not be set"
done

exec "$@"
