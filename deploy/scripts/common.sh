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
  if [ -n "${backup_dir-}" ]; then
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

# is_run NAME: it is fit for the name of a run, and so for a part of a path.
is_run() { [[ $1 =~ ^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$ ]]; }

# spill_of FOLDER: the file that takes the events of the run in it which its journal does not; launch.sh made it.
spill_of() {
  local file
  file=$(readlink "$1/spill" 2>/dev/null) || return 0
  [[ $file =~ ^/(run|dev/shm|tmp)/hot-update\.[0-9A-Za-z_.-]+$ ]] && [ -f "$file" ] && [ ! -L "$file" ] && [ -O "$file" ] || return 0
  printf '%s' "$file"
}

# run_time STATE_FOLDER: the host's clock as ids of runs begin with it, but later than every id that exists, whatever that
# clock did meanwhile.
run_time() {
  local now newest= name
  now=$(date -u +%Y%m%dT%H%M%S)
  for name in "$1"/runs/* "$(backup_folder)"/*.about "$(tail -n 1 "$1/history" 2>/dev/null | cut -f 2)"; do
    name=${name##*/}
    if [[ $name =~ ^[0-9]{8}T[0-9]{6}- ]] && [[ $name > $newest ]]; then newest=${name%%-*}; fi
  done
  [[ $newest < $now ]] || now=$(
    date -u -d "${newest:0:8} ${newest:9:2}:${newest:11:2}:${newest:13:2} UTC + 1 second" +%Y%m%dT%H%M%S 2>/dev/null || echo "$now"
  )
  printf '%s' "$now"
}
