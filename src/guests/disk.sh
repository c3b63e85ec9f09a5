# Turns a packed Debian tree into the root file system of a guest. Runs in the namespace of debian/namespace.ts.
#
# TREE      folder for the tree, empty
# SCRATCH   folder beside it; the caller removes it. Inside: overlay.tar, files.tar
# UNPACK    command that unpacks the tree's squashfs to $TREE
# MAKE_EXT4 command that makes $SCRATCH/root.ext4 from $TREE
# UNITS     systemd units to enable
# SOURCE_DATE_EPOCH

eval "$UNPACK"
tar -x --keep-directory-symlink -f "$SCRATCH/overlay.tar" -C "$TREE"
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
bwrap --die-with-parent --unshare-ipc --unshare-net --unshare-uts --cap-add ALL --bind "$TREE" / --dev /dev --proc /proc \
  --tmpfs /run --tmpfs /tmp --ro-bind "$SCRATCH/files.tar" /run/keyvisor/files.tar \
  --ro-bind "$SCRATCH/customize.sh" /run/keyvisor/customize.sh -- /bin/sh -eu /run/keyvisor/customize.sh
# bubblewrap makes mount points in the root.
find "$TREE/run" "$TREE/tmp" "$TREE/dev" -mindepth 1 -delete
# What systemd would regenerate when /usr is newer than these (ConditionNeedsUpdate=) was made by the packages already.
touch "$TREE/etc/.updated" "$TREE/var/.updated"
find "$TREE" -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
dpkg-query --admindir="$TREE/var/lib/dpkg" -W -f '${Package} ${Version} ${Architecture}\n' > "$SCRATCH/packages"
eval "$MAKE_EXT4"
