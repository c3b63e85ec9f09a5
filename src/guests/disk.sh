# Turns a packed Debian tree into the root file system of a guest. Runs in the namespace of debian/namespace.ts.
#
# SCRATCH   folder for the tree; the caller removes it. Inside: overlay.tar, files.tar
# UNPACK    command that unpacks the tree's squashfs to $SCRATCH/root
# MAKE_EXT4 command that makes $SCRATCH/root.ext4 from $SCRATCH/root
# UNITS     systemd units to enable
# SOURCE_DATE_EPOCH

eval "$UNPACK"
root=$SCRATCH/root
tar -x --keep-directory-symlink -f "$SCRATCH/overlay.tar" -C "$root"
cat > "$SCRATCH/customize.sh" <<'END'
tar -xf /run/keyvisor/files.tar -C /
systemctl --quiet enable systemd-networkd.service systemd-resolved.service keyvisor-hypervisor.service
# Nobody waits here for every card of a machine that may have none; and to look for LVM snapshots of e2scrub's, which
# there are none of, went on for 22 s of an emulated start.
systemctl --quiet mask systemd-networkd-wait-online.service e2scrub_reap.service
for unit in $UNITS; do systemctl --quiet enable "$unit"; done
ln -sf ../run/systemd/resolve/resolv.conf /etc/resolv.conf
: > /etc/machine-id
kernel=$(basename /usr/lib/modules/*)
depmod "$kernel"
update-initramfs -c -k "$kernel" >/dev/null
ln -sf "boot/vmlinuz-$kernel" /vmlinuz
ln -sf "boot/initrd.img-$kernel" /initrd.img
rm -rf /var/log/* /var/cache/* /var/lib/initramfs-tools/* /etc/.pwd.lock
mkdir -p /var/log/journal /var/cache/apt/archives/partial
END
bwrap --die-with-parent --unshare-ipc --unshare-net --unshare-uts --cap-add ALL --bind "$root" / --dev /dev --proc /proc \
  --tmpfs /run --tmpfs /tmp --ro-bind "$SCRATCH/files.tar" /run/keyvisor/files.tar \
  --ro-bind "$SCRATCH/customize.sh" /run/keyvisor/customize.sh -- /bin/sh -eu /run/keyvisor/customize.sh
# bubblewrap makes mount points in the root.
find "$root/run" "$root/tmp" "$root/dev" -mindepth 1 -delete
# What systemd would regenerate when /usr is newer than these (ConditionNeedsUpdate=) was made by the packages already.
touch "$root/etc/.updated" "$root/var/.updated"
find "$root" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
dpkg-query --admindir="$root/var/lib/dpkg" -W -f '${Package} ${Version} ${Architecture}\n' > "$SCRATCH/packages"
eval "$MAKE_EXT4"
rm -rf "$root"
