# SPDX-License-Identifier: MIT
"""Shares that a kernel of its own serves and mounts twice, at /mnt/a and /mnt/b, with nothing shared between the two."""
import tap

UNREADY = "the share is not there"

# An XFS to be shared: it clones, and tells holes.
DISK = """
load loop
mkdir -p /mnt/export /mnt/a /mnt/b
truncate -s 4G /mnt/work/disk
mkfs.xfs -q /mnt/work/disk && mount -o loop /mnt/work/disk /mnt/export || mount -t tmpfs tmp /mnt/export
chmod 1777 /mnt/export
"""

# Two hosts: a network, a name and so an identity for each, on a bridge with the server.
HOSTS = """
load bridge || true
load veth || true
ip link add br0 type bridge
ip addr add 10.9.0.1/24 dev br0
ip link set br0 up
host() {
	ip netns add "$1"
	ip link add "to_$1" type veth peer name eth0 netns "$1"
	ip link set "to_$1" master br0 up
	ip -n "$1" addr add "$2/24" dev eth0
	ip -n "$1" link set eth0 up
	ip -n "$1" link set lo up
}
host a 10.9.0.2
host b 10.9.0.3
printf '127.0.0.1 localhost\n10.9.0.1 server\n10.9.0.2 a\n10.9.0.3 b\n' >/run/hosts
mount --bind /run/hosts /etc/hosts
mount --bind /dev/null /etc/resolv.conf
on() { nsenter --net="/run/netns/$1" unshare --uts sh -c "hostname $1; $2"; }
"""

NFS_SERVER = """
load nfsd nfsv4 nfsv3
mount -t tmpfs tmp /var/lib/nfs
mkdir -p /var/lib/nfs/rpc_pipefs /var/lib/nfs/sm /var/lib/nfs/sm.bak /var/lib/nfs/v4recovery
touch /var/lib/nfs/etab /var/lib/nfs/rmtab
mount -t nfsd nfsd /proc/fs/nfsd
rpcbind -w
rpc.statd --no-notify
echo 1 >/proc/sys/fs/nfs/nlm_grace_period
exportfs -o rw,no_root_squash,fsid=0,insecure,no_subtree_check 10.9.0.0/24:/mnt/export
rpc.nfsd 4
rpc.mountd
echo Y >/proc/fs/nfsd/v4_end_grace
sleep 1.5
"""

SMB_SERVER = """
load cifs
mkdir -p /run/smb
cat >/run/smb/smb.conf <<'END'
[global]
server role = standalone server
map to guest = Bad User
guest account = root
interfaces = 10.9.0.1
bind interfaces only = yes
disable netbios = yes
smb ports = 445
private dir = /run/smb
lock directory = /run/smb
state directory = /run/smb
cache directory = /run/smb
pid directory = /run/smb
ncalrpc dir = /run/smb/ncalrpc
log file = /run/smb/log
load printers = no
[share]
path = /mnt/export
guest ok = yes
read only = no
force user = root
END
smbd -s /run/smb/smb.conf -l /run/smb -D
sleep 1
"""


class Share:
    def __init__(self, name, server, mount, needs, locks="shared"):
        self.name = name
        self.server = server
        self.mount = mount
        self.needs = needs
        self.locks = locks
        self.unready = UNREADY

    def script(self, then):
        mounts = " && ".join(f"on {host} '{self.mount.format(point=f'/mnt/{host}')}'" for host in "ab")
        return f"{DISK}{HOSTS}{self.server}if {mounts}; then {then}; else echo '{UNREADY[:8]}''{UNREADY[8:]}'; dmesg | tail -n 5; tail -n 20 /run/smb/log*; fi\n"


NFS = tap.tool("rpc.nfsd", "rpc.mountd", "rpc.statd", "rpcbind", "mount.nfs")
SMB = tap.tool("smbd", "mount.cifs")

SHARES = (
    Share("NFS 4.2", NFS_SERVER, "mount -t nfs4 -o vers=4.2,nosharecache 10.9.0.1:/ {point}", NFS),
    Share("NFS 3 with nolock", NFS_SERVER,
          "mount -t nfs -o vers=3,nolock,nosharecache 10.9.0.1:/mnt/export {point}", NFS, "local"),
    Share("SMB 3.1.1", SMB_SERVER,
          "mount -t cifs -o guest,vers=3.1.1,nosharesock //10.9.0.1/share {point}", SMB),
    Share("SMB 3.1.1 with nobrl", SMB_SERVER,
          "mount -t cifs -o guest,vers=3.1.1,nosharesock,nobrl //10.9.0.1/share {point}", SMB, "local"),
)
