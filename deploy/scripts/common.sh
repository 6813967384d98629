# What every script on the host shares. Sourced after its variables; changes nothing by itself.
# Expects: path (the clone).

# Newer Bash gives & a meaning in ${x//y/z}; we mean it literally.
shopt -u patsub_replacement 2>/dev/null || true
# Fixed messages, but the bytes of file names as they are.
export LC_ALL=C

# record FIELD...: one line for the other side; shell.py says how it is escaped.
record() {
  local field line=
  for field; do
    field=${field//\\/\\\\}
    field=${field//$'\t'/\\t}
    field=${field//$'\n'/\\n}
    field=${field//$'\r'/\\r}
    line+=$field$'\t'
  done
  printf '%s\n' "${line%$'\t'}"
}

# git, in the clone, as its owner: as root git refuses a clone of somebody else and would use root's credentials.
# It never asks for anything, and reading takes no lock. With git_timeout set it may talk to the remote, and is ended
# after that many seconds.
git_() {
  local ssh=ssh
  if [ -n "${git_timeout-}" ]; then
    ssh=${GIT_SSH_COMMAND:-$(by_owner git -C "$path" config core.sshCommand 2>/dev/null || echo ssh)}
  fi
  by_owner env GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_SSH_COMMAND="$ssh -o BatchMode=yes" \
    ${git_timeout:+timeout -k 5 "$git_timeout"} git -C "$path" "$@"
}

clone_owner=$(stat -c %U "${path-}" 2>/dev/null || echo root)

by_owner() {
  if [ "$EUID" = 0 ] && [ "$clone_owner" != root ]; then
    runuser -u "$clone_owner" -- env HOME="$(getent passwd "$clone_owner" | cut -d: -f6)" "$@"
  else
    "$@"
  fi
}

# backup_folder: where dumps of the database lie; the setting backup_dir, or below the state folder.
backup_folder() {
  local state
  if [ -n "$backup_dir" ]; then
    printf '%s' "${backup_dir%/}"
  else
    state=$(state_folder) && printf '%s/backups' "$state"
  fi
}

# state_folder: where lock, runs and saved files lie: below .git, so that neither reset, clean nor a copy ever touches it.
state_folder() {
  local folder
  folder=$(git_ rev-parse --absolute-git-dir) && printf '%s/hot-update' "$folder"
}
