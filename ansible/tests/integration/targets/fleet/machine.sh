#!/usr/bin/env bash
# A host to log in to: this machine's files under an overlay of its own, systemd as its first process, and an sshd.
#   machine.sh start WORK NAME ADDRESS    until it can be logged in to, as `deploy`, who may sudo, or as root
#   machine.sh reset WORK NAME            the power is cut for a moment: it boots again with what is on its disk
#   machine.sh stop WORK NAME             as if the power were cut; all it held is gone; so too when the caller of start ends
# WORK has `key.pub` of the login and `host_key` of all sshds. The network is that of the caller. Needs root.
set -euo pipefail
shopt -s nullglob

start() { # work, name, address
    local work=$1 name=$2 address=$3
    mkdir -p "$work/machines/$name"
    setsid unshare --mount --propagation private "$0" keep "$work" "$name" "$address" "$PPID" >"$work/machines/$name.log" 2>&1 </dev/null &
    wait_for_sshd "$work" "$name" "$address"
}

wait_for_sshd() { # work, name, address
    for _ in $(seq 300); do
        if (exec 3<>"/dev/tcp/$3/22") 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "machine: $2 did not come up" >&2
    cat "$1/machines/$2.log" >&2
    return 1
}

# The parent of its first process goes; --kill-child ends that, and with it the kernel ends the others.
cut_power() { # keeper
    pkill -KILL -P "$1" --exact unshare || true
}

reset() { # work, name
    local again=$1/machines/$2.again
    : >"$again"
    cut_power "$(<"$1/machines/$2.pid")"
    # The keeper takes it away between the two.
    for _ in $(seq 100); do
        [ -e "$again" ] || break
        sleep 0.1
    done
    wait_for_sshd "$1" "$2" "$(<"$1/machines/$2.address")"
}

stop() { # work, name
    local file=$1/machines/$2.pid
    [ -s "$file" ] || return 0
    local keeper
    keeper=$(<"$file")
    cut_power "$keeper"
    for _ in $(seq 100); do
        [ -d "/proc/$keeper" ] || break
        sleep 0.1
    done
    rm -f "$file"
}

# Lives as long as the machine does, and holds its disk. Its first process needs a group of its own to put those of its services
# below.
keep() { # work, name, address, process whose end is that of the machine
    local disk=$1/machines/$2 groups=$1/machines/$2.groups group first
    mount -t tmpfs tmpfs "$disk"
    mkdir "$disk/upper" "$disk/scratch" "$disk/root" "$groups"
    mount -t cgroup2 cgroup2 "$groups"
    group=$groups/certcast-$2.$$
    mkdir "$group"
    echo "$3" >"$1/machines/$2.address"
    echo $$ >"$1/machines/$2.pid"
    echo $$ >"$group/cgroup.procs"
    while :; do
        unshare --mount --pid --ipc --uts --cgroup --fork --kill-child "$0" boot "$@" &
        first=$!
        while [ -d "/proc/$first" ] && [ -d "/proc/$4" ]; do sleep 0.1; done
        kill -KILL "$first" 2>/dev/null || true
        wait "$first" || true
        # What was killed leaves them a moment later.
        for _ in $(seq 100); do
            if find "$group" -mindepth 1 -depth -type d -exec rmdir {} + 2>/dev/null; then break; fi
            sleep 0.05
        done
        rm "$1/machines/$2.again" 2>/dev/null || break
    done
    echo $$ >"$groups/cgroup.procs"
    rmdir "$group" || true
    umount "$groups"
}

boot() { # work, name, address
    local disk=$1/machines/$2 device
    mount -t overlay overlay -o "lowerdir=/,upperdir=$disk/upper,workdir=$disk/scratch" "$disk/root"
    cd "$disk/root"
    [ -e etc/ssh/machine_config ] || describe "$@"
    mount -t proc proc proc
    mount --bind proc/sys proc/sys
    mount -o remount,bind,ro proc/sys
    mount -t sysfs -o ro sysfs sys
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs run
    mount -t tmpfs -o mode=1777 tmpfs tmp
    mount -t tmpfs -o mode=755 tmpfs dev
    for device in null zero full random urandom tty; do
        : >"dev/$device"
        mount --bind "/dev/$device" "dev/$device"
    done
    mkdir dev/pts dev/shm
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
    ln -s pts/ptmx dev/ptmx
    ln -s /proc/self/fd dev/fd
    mkdir before
    pivot_root . before
    umount --lazy /before
    rmdir /before
    id -u deploy >/dev/null 2>&1 || useradd --create-home --password "*" --shell /bin/bash deploy
    hostname "$2"
    exec env -i container=certcast PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd \
        --show-status=no --log-target=console
}

# What makes it that one, below the new root.
describe() { # work, name, address
    local unit
    # What this machine starts at boot, and what certcast there may be on it, is not the new one's.
    rm -rf etc/systemd/system etc/rc?.d etc/certcast var/lib/certcast var/lib/certcast-node usr/local/bin/certcast* usr/local/sbin/certcast*
    mkdir -p etc/systemd/system/multi-user.target.wants
    install -m 600 "$1/host_key" etc/ssh/machine_host_key
    install -m 644 "$1/key.pub" etc/ssh/machine_authorized_keys
    printf '127.0.0.1 localhost %s\n' "$2" >etc/hosts
    echo "$2" >etc/hostname
    : >etc/machine-id
    echo 'deploy ALL=(ALL) NOPASSWD: ALL' >etc/sudoers.d/deploy
    chmod 440 etc/sudoers.d/deploy
    for unit in getty.target systemd-logind.service systemd-networkd.service systemd-resolved.service systemd-timesyncd.service; do
        ln -s /dev/null "etc/systemd/system/$unit"
    done
    cat >etc/ssh/machine_config <<SSHD
ListenAddress $3:22
HostKey /etc/ssh/machine_host_key
AuthorizedKeysFile /etc/ssh/machine_authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
MaxStartups 100
Subsystem sftp internal-sftp
SSHD
    cat >etc/systemd/system/ssh.service <<'UNIT'
[Service]
RuntimeDirectory=sshd
ExecStart=/usr/sbin/sshd -D -f /etc/ssh/machine_config
KillMode=process
[Install]
WantedBy=multi-user.target
UNIT
    ln -s ../ssh.service etc/systemd/system/multi-user.target.wants/ssh.service
    ln -s /lib/systemd/system/multi-user.target etc/systemd/system/default.target
}

"$@"
