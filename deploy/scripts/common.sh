# What every script on the host shares. Sourced after its variables; changes nothing by itself.
# Expects: path (the clone).

# Newer Bash gives & a meaning in ${x//y/z}; we mean it literally.
shopt -u patsub_replacement 2>/dev/null || true
# Fixed messages, but the bytes of file names as they are.
export LC_ALL=C
# Not where the user's own files go: the clone's owner may be unable to enter that.
export TMPDIR=/tmp

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

# say FORMAT VALUE...: a message, packed into a line as message.py reads it; in $(...) one to be another's value. The format
# is a literal in single quotes, but for functions that pass it on; neither tab nor backslash is in it.
mark=$'\x1fsay:'
say() { record "$mark$1" "${@:2}"; }

# or_say TEXT FORMAT: the text, or where there is none a message in its place.
or_say() { if [ -n "$1" ]; then printf '%s\n' "$1"; else say "$2"; fi; }

# said FACT OUTPUT: the fact, and the last line of what was said of it, if anything.
said() { if [ -n "$2" ]; then say '%s: %s' "$1" "${2##*$'\n'}"; else printf '%s\n' "$1"; fi; }

# pause SECONDS: a moment, without a process for it: many wait at once, or often.
pause() {
  [ -n "${nothing-}" ] || exec {nothing}<> <(:)
  read -r -t "$1" -u "$nothing" || true
}

# await_turn: go on when it is this step's turn, where it was begun `ahead` of that; a run that ends before needs it no more.
# Nothing may be changed or said before.
await_turn() {
  [ -n "${ahead-}" ] || return 0
  unset ahead
  read -r || exit 0
  exec </dev/null
}

# git, in the clone, as its owner: as root git refuses a clone of somebody else and would use root's credentials.
# It never asks for anything, minds no submodule, and reading takes no lock. Only with git_timeout set it talks to the
# remote, by the proxies that it is to use, and is ended after that many seconds. What lies in the objects of scratch it
# takes for the clone's.
git_() {
  # In the environment by themselves: asked for hundreds of times, env would be a process more each time.
  local ssh=${GIT_SSH_COMMAND:-}
  local -x GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 GIT_SSH_COMMAND='ssh -o BatchMode=yes' GIT_NO_LAZY_FETCH=1
  if [ -n "${git_timeout-}" ]; then
    [ -n "$ssh" ] || ssh=$(by_owner git -C "$path" config core.sshCommand 2>/dev/null || echo ssh)
    GIT_SSH_COMMAND="$ssh -o BatchMode=yes"
    unset GIT_NO_LAZY_FETCH
  fi
  if [ -d "${scratch-}/objects" ] && [ -z "${GIT_OBJECT_DIRECTORY-}" ]; then
    local -x GIT_ALTERNATE_OBJECT_DIRECTORIES=$scratch/objects
  fi
  ${git_timeout:+by_proxies} by_owner ${git_timeout:+timeout -k 5 "$git_timeout"} \
    git -C "$path" -c submodule.recurse=false -c fetch.recurseSubmodules=false "$@"
}

clone_owner=$(stat -L -c %U "${path-}" 2>/dev/null || echo root)

# owned_folder: a new temporary folder of ours, which the clone's owner can use too.
owned_folder() {
  local folder
  folder=$(mktemp -d) || return
  [ "$EUID" != 0 ] || chown "$clone_owner" "$folder" || return
  printf '%s' "$folder"
}

# without_credentials: stdin without those that stand in a URL; a password may hold any character, @ too.
without_credentials() {
  sed -E "s#://[^/[:space:]'\"]*:[^[:space:]'\"]*@#://***@#g; s#://[^/[:space:]'\"]*@#://***@#g"
}

# git_words: of what git complained on stdin, what tells the cause: the last line that names an error, and what led to it.
git_words() {
  awk '
    /^$|make sure you have the correct access rights$|^and the repository exists/ {next}
    {line[++lines] = $0}
    /^(fatal|error):/ {last = lines}
    END {
      if (!last) last = lines
      for (i = last > 3 ? last - 2 : 1; i <= last; i++) { printf "%s%s", sep, line[i]; sep = " " }
    }' | without_credentials
}

by_owner() {
  if [ "$EUID" = 0 ] && [ "$clone_owner" != root ]; then
    runuser -u "$clone_owner" -- env HOME="$(getent passwd "$clone_owner" | cut -d: -f6)" "$@"
  else
    "$@"
  fi
}

# by_proxies COMMAND...: run it with the proxies that the env file names, where the setting proxy says so. They pass in its
# environment alone, since their URLs may have a password. Of both spellings the small one counts, as for curl, which knows
# http_proxy by no other.
by_proxies() {
  [ "${proxy-}" = from-env ] && [ -r "${env_file-}" ] || { "$@"; return; }
  (
    while IFS= read -r line || [ -n "$line" ]; do
      [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_]+)[[:space:]]*=[[:space:]]*(.*)$ ]] || continue
      name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
      [[ $name =~ ^((HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy)$ ]] || continue
      case $value in
        \'*) value=${value#\'} value=${value%%\'*} ;;
        \"*) value=${value#\"} value=${value%%\"*} ;;
        *) value=${value%%[[:space:]]#*} value=${value%"${value##*[![:space:]]}"} ;;
      esac
      [ -z "$value" ] || printf -v "told_$name" '%s' "$value"
    done <"$env_file"
    for name in http_proxy https_proxy all_proxy no_proxy; do
      large=told_${name^^} small=told_$name
      value=${!small-${!large-}}
      [ -z "$value" ] || export "$name=$value"
    done
    "$@"
  )
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
  folder=${git_folder:-$(git_ rev-parse --absolute-git-dir)} && printf '%s/hot-update' "$folder"
}

# lock_held FOLDER: does a run hold the lock, of the state folder?
lock_held() { grep -q ":$(stat -c %i "$1/lock" 2>/dev/null || echo none) " /proc/locks; }

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
