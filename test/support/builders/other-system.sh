# Runs a command in another system: with its mmdebstrap, apt, tar and bubblewrap in place of this machine's. Needs root;
# nothing of it outlives the command but what was written to FOLDER.
#
# ROOT     root of the other system
# FOLDER   to write to; it has the same path there
# PACKAGE  this package, read-only, with the same path there
# Arguments: node and its arguments; there, it is that in /usr/local/bin
#
# The root is changed by pivot_root(2): within a chroot(2) nobody may make namespaces, and a build makes some.

mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount --rbind /dev "$ROOT/dev"
mount --rbind /sys "$ROOT/sys"
mount -t proc proc "$ROOT/proc"
mkdir -p "$ROOT$PACKAGE" "$ROOT$FOLDER"
mount --bind "$PACKAGE" "$ROOT$PACKAGE"
mount -o remount,bind,ro "$ROOT$PACKAGE"
mount --bind "$FOLDER" "$ROOT$FOLDER"
mkdir -p "$ROOT/old"
cd "$ROOT"
pivot_root . old
cd /
umount -l /old
shift
exec env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin node "$@"
