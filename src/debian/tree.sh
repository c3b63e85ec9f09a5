# Makes a Debian root tree from a local archive of pinned packages and packs it as a squashfs.
# Runs in the namespace of namespace.ts, as root of the tree.
#
# TREE      folder for the tree, empty: $SCRATCH/tree
# SCRATCH   the caller removes it. Inside: archive, a folder with the .debs and their Packages index
# SUITE, PACKAGES (with commas)
# EXCLUDES  lines for dpkg.cfg.d, such as path-exclude=/usr/share/doc/*
# EXCLUDED_DRIVERS  folders of kernel modules that are left out, a line each, such as drivers/media; empty for none
# PACK      command that packs the folder $TREE into $SCRATCH/tree.squashfs
# SOURCE_DATE_EPOCH

# What a power cut could take is a tree that nobody has yet: no fsync(2) for each file.
printf '%s\n' force-unsafe-io "$EXCLUDES" > "$SCRATCH/dpkg.cfg"
# apt takes no path with quotes, line ends or escapes: in this namespace the scratch folder has a plain one as well.
case $(realpath "$SCRATCH") in /srv/*) plain=/mnt ;; *) plain=/srv ;; esac
mount --rbind "$SCRATCH" "$plain"

# The initrd is made once, later, with our own hooks: INITRD=No keeps the kernel's postinst from making one.
# TMPDIR: what a build that is killed leaves there goes with its scratch folder.
INITRD=No TMPDIR=$plain mmdebstrap --mode=root --variant=essential --format=directory \
  --include="$PACKAGES" \
  --setup-hook="mkdir -p \"\$1\"/etc/dpkg/dpkg.cfg.d && cp \"\$1\"/../dpkg.cfg \"\$1\"/etc/dpkg/dpkg.cfg.d/keyvisor" \
  --aptopt='Apt::Install-Recommends "false"' \
  --aptopt='Acquire::Languages "none"' \
  "$SUITE" "$plain/tree" "deb [trusted=yes] copy:$plain/archive ./"

cd "$TREE"
sed -i '/^force-unsafe-io$/d' etc/dpkg/dpkg.cfg.d/keyvisor
# What the builder or the moment put there: it must not reach the stick, and differs between builds.
rm -rf etc/apt/sources.list var/cache/apt var/lib/apt/lists etc/hostname etc/resolv.conf etc/machine-id
# systemd-resolved keeps the file that it replaced, which says how the builder finds names.
rm -f etc/.resolv.conf.systemd-resolved.bak
rm -rf var/log/* var/cache/ldconfig/aux-cache etc/ssh/ssh_host_*
rm -f var/lib/dpkg/*-old var/cache/debconf/*-old etc/.pwd.lock
mkdir -p var/cache/apt/archives/partial var/lib/apt/lists/partial
# Device nodes differ between root and a user who may not make them; the systems that start here make their own.
rm -rf dev/* 2>/dev/null || :

# Leaves out drivers, but for those that another module needs: depmod(8) has listed of each module all that it needs, also
# what those need in turn.
leave_out_drivers() {
  printf '%s\n' "$EXCLUDED_DRIVERS" | sed 's,.*,^kernel/&/,' > "$SCRATCH/excluded"
  grep -v -f "$SCRATCH/excluded" "$1/modules.dep" | tr -d : | tr ' ' '\n' | sort -u > "$SCRATCH/kept"
  cut -d: -f1 "$1/modules.dep" | sort | comm -23 - "$SCRATCH/kept" > "$SCRATCH/left-out"
  (cd "$1" && xargs -r rm -- < "$SCRATCH/left-out" && find kernel -type d -empty -delete)
  chroot . depmod "${1##*/}"
}
if [ -n "$EXCLUDED_DRIVERS" ]; then
  for modules in usr/lib/modules/*; do leave_out_drivers "$modules"; done
fi
find . -xdev -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
touch --date="@$SOURCE_DATE_EPOCH" dev

eval "$PACK"
