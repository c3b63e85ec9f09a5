# Runs a command as a user whom this machine does not have. Needs root; nothing of it outlives the command.
#
# FOLDER   has passwd, subuid and subgid, which name him; they are laid over the machine's
# USER_ID  his, and his group's
# Arguments: the command

for name in passwd subuid subgid; do mount --bind "$FOLDER/$name" "/etc/$name"; done
exec setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups -- "$@"
