# The harness: carries a run out on the host, on its own, and journals each event. launch.sh starts it.
# Expects redact.sh and what that expects. Its folder, state/runs/RUN, holds about, guard.sh, guard.expected,
# steps/NN-NAME.sh with steps/NN-NAME.timeout (seconds), and the journal. Steps run in this folder.

cd "$(dirname "${BASH_SOURCE[0]}")" || exit
run=${PWD##*/}
state=../..
guard_timeout=120
longest_line=4000
journal_lost=74
stopped=
stage=lock
process=

# event KIND FIELD...: append to the journal. Fails when that is impossible, and nobody may then go on.
event() {
  local now=${EPOCHREALTIME:-$(date +%s.%6N)}
  record "${now%???}" "$@" >>journal
}

# fields FILE ARRAY: read name/value records. Their escapes are a subset of those of printf's %b.
declare -A about=() holder=() expected=() found=()
fields() {
  local -n into=$2
  local name value
  while IFS=$'\t' read -r name value; do
    [ -n "$name" ] || continue
    printf -v value %b "$value"
    into[$name]=$value
  done <"$1"
}

# The steps inherit descriptor 9 on purpose: the lock is free exactly when no process of the run is left on the host,
# so that a new run can't start beside an orphaned step.
take_lock() {
  exec 9<>"$state/lock" && flock -n 9
}

# Who lost must leave lock and holder alone.
refuse() {
  local attempt
  # The winner may still be on its way from the lock to its holder file.
  for attempt in {1..20}; do
    holder=()
    [ ! -e "$state/holder" ] || fields "$state/holder" holder
    [ ! -d "/proc/${holder[pid]:-none}" ] || break
    sleep 0.05
  done
  event refused "${holder[run]-}" "${holder[verb]-}" "${holder[operator]-}" "${holder[pid]-}" "${holder[start]-}"
  event 'done' locked
  exit
}

# The lock is ours and yet there is a holder: its harness died.
take_over() {
  [ -e "$state/holder" ] || return 0
  fields "$state/holder" holder
  local reason='its lock is free' old=$state/runs/${holder[run]}/journal
  [ "${holder[boot]-}" = "$boot" ] || reason='the host has booted since'
  event took-over "${holder[run]}" "${holder[operator]-}" "${holder[start]-}" "$reason" || return
  if [ ! -e "$old" ] || grep -qE $'^[0-9.]+\tdone\t' "$old"; then return 0; fi
  # It may have died in the middle of a line.
  [ -z "$(tail -c 1 "$old")" ] || echo >>"$old"
  record "$(date +%s.%3N)" 'done' abandoned >>"$old"
}

hold() {
  {
    record run "$run" && record verb "${about[verb]-}" && record operator "${about[operator]-}" &&
      record pid "$$" && record boot "$boot" && record start "$(date +%s)"
  } >"$state/holder.new" || return
  [ "$(id -u)" != 0 ] || chown --reference="$path" "$state/holder.new"
  mv -f "$state/holder.new" "$state/holder"
}

# finish OUTCOME [STEP STATUS REASON]: nothing of the run is left by now. Who sees `done` may start the next run at
# once, so the lock is free before; and it is freed by hand, because a process that a step left may still inherit it.
finish() {
  rm -f reserve "$state/holder"
  flock -u 9
  event 'done' "$@" || { echo >>journal; event 'done' "$@"; }
  exit
}

# The journal can't be written, so nothing more is done. The reserve gives a full disk room for the last words.
give_up() {
  rm -f reserve
  echo >>journal
  finish failed "$stage" "$journal_lost" 'the journal could not be written'
}

# journal_lines STEP: stdin as `line` events. Where that is impossible the step is stopped, not left unwatched.
journal_lines() {
  local text
  while IFS= read -r text; do
    if [ "${#text}" -gt "$longest_line" ]; then
      text=${text:0:longest_line}
      # Bytes are counted here: a character must not be cut in two.
      while [[ $text == *[$'\x80'-$'\xbf'] ]]; do text=${text%?}; done
      text=${text%[$'\xc0'-$'\xff']}…
    fi
    event line "$1" "$text" || { kill -TERM "$$"; return 1; }
  done
}

# ended PID: wait until it has, whatever signals come meanwhile; its status.
ended() {
  local status
  while wait "$1"; status=$?; kill -0 "$1" 2>/dev/null; do :; done
  return "$status"
}

# carry_out NAME SECONDS COMMAND...: run it with its output journaled; its status in `status`.
carry_out() {
  local lines watcher
  exec {lines}> >(exec 8>&-; set -o pipefail; redact | journal_lines "$1")
  watcher=$!
  # timeout leads a process group of its own, and passes on to it the signal that ends the run.
  timeout -k 5 "$2" "${@:3}" </dev/null >&"$lines" 2>&1 8>&- {lines}>&- &
  process=$!
  exec {lines}>&-
  [ -z "$stopped" ] || kill -TERM "$process"
  ended "$process"; status=$?
  [ "$status" = 0 ] || [ -z "$stopped" ] || status=143
  # What it left in the background would hold the output open, and the lock.
  kill -KILL -- "-$process" 2>/dev/null
  process=
  ended "$watcher"
  # 143 is our own signal, met while waiting.
  case $? in 0 | 143) ;; *) give_up ;; esac
}

check_guard() {
  local name changed=
  stage=guard
  carry_out guard "$guard_timeout" bash -c 'exec bash -euo pipefail guard.sh >guard.found'
  [ "$status" = 0 ] || finish failed guard "$status"
  fields guard.expected expected
  fields guard.found found
  while IFS= read -r name; do
    [ "${expected[$name]-}" != "${found[$name]-}" ] || continue
    changed=1
    event changed "$name" "${expected[$name]-}" "${found[$name]-}" || give_up
  done < <(cut -f 1 guard.expected guard.found | awk '!seen[$0]++')
  [ -z "$changed" ] || finish changed
}

carry_out_step() { # SCRIPT
  local limit begun=$SECONDS late=()
  limit=$(<"${1%.sh}.timeout")
  stage=${1#steps/*-}
  stage=${stage%.sh}
  [ -z "$stopped" ] || finish failed "$stage" 143
  event begin "$stage" || give_up
  carry_out "$stage" "$limit" bash -euo pipefail "$1"
  case $status in
    124 | 137) [ $((SECONDS - begun)) -lt "$limit" ] || late=("timed out after $limit s") ;;
  esac
  event end "$stage" "$status" ${late[@]+"${late[@]}"} || give_up
  [ "$status" = 0 ] || finish failed "$stage" "$status"
}

main() {
  local script
  trap '' HUP INT
  trap 'stopped=1; [ -z "$process" ] || kill -TERM "$process" 2>/dev/null' TERM
  shopt -s nullglob
  boot=$(</proc/sys/kernel/random/boot_id)
  fields about about
  event run "$run" "${about[verb]-}" "${about[operator]-}" || exit
  take_lock || refuse
  event locked || give_up
  take_over || give_up
  hold || give_up
  head -c 65536 /dev/zero >reserve || give_up
  check_guard
  for script in steps/*.sh; do carry_out_step "$script"; done
  finish 'done'
}

main
