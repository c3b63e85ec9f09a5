# Lays the user's files in a root. Read by scripts that run inside the root, by sh -eu.
#
# In /run/keyvisor: files.tar; files, a line for each of them: its place in the profile, target, user and group, parted by
# tabs; and refused, which takes what the root cannot have: a place in the profile, why, and a code, parted by
# tabs.

tab=$(printf '\t')

refuse() { printf '%s\t%s\t%s\n' "$1" "$2" "${3-refused-by-root}" >> /run/keyvisor/refused; }

# Ends the script when something was refused.
stop_refused() { [ ! -s /run/keyvisor/refused ] || exit 1; }

# Whether the root has room for a file at $2; $1 is its place in the profile.
check_target() {
  if [ -d "$2" ]; then refuse "$1" "$2 is a folder in this root"; fi
  above=${2%/*}
  while [ -n "$above" ] && [ ! -e "$above" ] && [ ! -L "$above" ]; do above=${above%/*}; done
  [ -n "$above" ] || return 0
  if [ ! -d "$above" ]; then refuse "$1" "$above is no folder in this root"; fi
  case $(readlink -f "$above")/ in
    /run/* | /tmp/* | /dev/* | /proc/* | /sys/*) refuse "$1" "$above leads to $(readlink -f "$above"), which is empty at each start" ;;
  esac
}

# Whether this root has the name $3 in its database $2; a number needs none.
check_owner() {
  case $3 in *[!0-9]*) getent "$2" "$3" > /dev/null || refuse "$1" "there is no ${2%wd} $3 in this root" ;; esac
}

has_files() { cut -f2 /run/keyvisor/files | grep -q "$1"; }

# First time: what is made from files finds them. Their owners may be accounts that one of them declares.
lay_files() {
  while IFS=$tab read -r place target user group; do check_target "$place.target" "$target"; done < /run/keyvisor/files
  stop_refused
  tar -xf /run/keyvisor/files.tar -C /
  if has_files '/sysusers\.d/'; then systemd-sysusers; fi
  while IFS=$tab read -r place target user group; do
    check_owner "$place.owner" passwd "$user"
    check_owner "$place.owner" group "$group"
  done < /run/keyvisor/files
  stop_refused
  if has_files '/udev/hwdb\.d/'; then systemd-hwdb update --usr; fi
  if has_files '^/usr/local/share/ca-certificates/' && command -v update-ca-certificates > /dev/null; then
    update-ca-certificates > /dev/null
  fi
}

# Last of all: nothing that was made or cleaned since takes the place of a file.
lay_files_again() { tar -xf /run/keyvisor/files.tar -C /; }
