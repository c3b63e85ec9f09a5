# Makes a Debian root tree from a local archive of pinned packages and packs it as a squashfs.
# Runs in the namespace of namespace.ts, as root of the tree.
#
# TREE      folder for the tree, empty
# SCRATCH   folder beside it; the caller removes it
# ARCHIVE   folder with the .debs and their Packages index
# SUITE, PACKAGES (with commas)
# EXCLUDES  lines for dpkg.cfg.d, such as path-exclude=/usr/share/doc/*
# PACK      command that packs the folder $TREE into $SCRATCH/tree.squashfs
# SOURCE_DATE_EPOCH

# What a power cut could take is a tree that nobody has yet: no fsync(2) for each file.
printf '%s\n' force-unsafe-io "$EXCLUDES" > "$SCRATCH/dpkg.cfg"
# Words of a sources.list(5) are parted by spaces.
archive=$(printf '%s' "$ARCHIVE" | sed 's/%/%25/g; s/ /%20/g')

# The initrd is made once, later, with our own hooks: INITRD=No keeps the kernel's postinst from making one.
# TMPDIR: what a build that is killed leaves there goes with its scratch folder.
INITRD=No TMPDIR=$SCRATCH mmdebstrap --mode=root --variant=essential --format=directory \
  --include="$PACKAGES" \
  --setup-hook="mkdir -p \"\$1\"/etc/dpkg/dpkg.cfg.d && cp \"\$1\"/../dpkg.cfg \"\$1\"/etc/dpkg/dpkg.cfg.d/keyvisor" \
  --aptopt='Apt::Install-Recommends "false"' \
  --aptopt='Acquire::Languages "none"' \
  "$SUITE" "$TREE" "deb [trusted=yes] copy:$archive ./"

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
find . -xdev -newermt "@$SOURCE_DATE_EPOCH" -print0 | xargs -0r touch --no-dereference --date="@$SOURCE_DATE_EPOCH"
touch --date="@$SOURCE_DATE_EPOCH" dev

eval "$PACK"
