# The harness: carries a run out on the host, on its own, journals each event, and undoes what it did when a step fails.
# launch.sh starts it; with the word `resume` it finishes the run of a harness that died.
# Expects redact.sh and what that expects, and schema.sh. Its folder, state/runs/RUN, holds about, guard.sh, guard.expected, the
# journal, patience (seconds that it waits for the lock), and per step steps/NN-NAME.sh, .timeout (seconds), .undo.sh
# where it can be undone and .harmless where it changes nothing; settle.sh ends what a failed step left elsewhere,
# revive.sh brings a container back that was stopped or recreated meanwhile (and leaves a file `revived` then), prove.sh
# proves the `new` or the `old` release, proven.sh does what may be done only after that, and confirm (seconds) is there
# where somebody has to confirm the end. program.sh is what its scripts share. All of them run in this folder.

cd "$(dirname "${BASH_SOURCE[0]}")" || exit
run=${PWD##*/}
state=../..
guard_timeout=120
settle_timeout=120
revive_timeout=900
prove_timeout=300
longest_line=4000
# In bytes: room on a full disk for the last words, and for what an undo writes beside the files of clone.reserve.
reserve=4194304
journal_lost=74
stopped=
stage=lock
process=
begun=()
borrowed=
# The exit status of a step that refused before it changed anything.
refused=3

# event KIND FIELD...: append to the journal. Fails when that is impossible, and nobody may then go on.
event() {
  local now=${EPOCHREALTIME:-$(date +%s.%6N)}
  record "${now%???}" "$@" >>journal
}

# fields FILE ARRAY: read name/value records. Their escapes are a subset of those of printf's %b.
declare -A about=() holder=() expected=() found=() after=()
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
  exec 9<>"$state/lock" && flock -w "$(<patience)" 9
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
  (cd "${old%/*}" && exec bash runner.sh resume "$run" </dev/null >>errors 2>&1 8>&-)
  grep -qE $'^[0-9.]+\tdone\t' "$old" || record "$(date +%s.%3N)" 'done' abandoned >>"$old"
  event resumed "${holder[run]}" "$(sed -nE $'s/^[0-9.]+\tdone\t([a-z]+).*/\\1/p' "$old" | tail -n 1)"
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
  rm -f reserve clone.reserve schema.before* schema.after*
  remember "$@"
  # What root made in somebody's clone must still be theirs at their own next run.
  [ "$EUID" != 0 ] || chown -R --reference="$path" .
  # Who resumes another's run does so under its own lock.
  if [ -z "$borrowed" ]; then
    rm -f "$state/holder"
    flock -u 9
  fi
  event 'done' "$@" || { echo >>journal; event 'done' "$@"; }
  exit
}

# remember OUTCOME [STEP STATUS REASON]: a record in the history: when, run, verb, operator, the revision before and the
# new one, when it began, outcome, why, the steps, each with its status and seconds, and what whoever decided had met by probing meanwhile.
remember() {
  local steps
  steps=$(awk -F '\t' '$2 == "begin" {at[$3] = $1} $2 == "end" {printf "%s%s %s %.1f", sep, $3, $4, $1 - at[$3]; sep = ","}' journal)
  record "$(date +%s)" "$run" "${about[verb]-}" "${about[operator]-}" "${about[was]-}" "${about[revision]-}" \
    "${started:-0}" "$1" "${*:2}" "$steps" "$(cat probe 2>/dev/null)" >>"$state/history"
  [ "$EUID" != 0 ] || chown --reference="$path" "$state/history"
}

# prune: keep the folders of the newest runs, by number and size; those of confirmed releases go last.
prune() {
  local folder failed=() good=()
  for folder in "$state"/runs/*/; do
    folder=${folder%/}
    case ${folder##*/} in "$run" | "${holder[run]-}") continue ;; esac
    if grep -qE $'^[0-9.]+\tdone\tdone$' "$folder/journal" 2>/dev/null && [ -e "$folder/confirm" ]; then
      good+=("$folder")
    else
      failed+=("$folder")
    fi
  done
  # The oldest come first by their names, and failed ones before good ones.
  local all=(${failed[@]+"${failed[@]}"} ${good[@]+"${good[@]}"})
  local surplus=$((${#all[@]} - ${about[keep]:-50})) used
  used=$(du -sk "$state/runs" | cut -f 1)
  for folder in ${all[@]+"${all[@]}"}; do
    [ "$surplus" -gt 0 ] || [ "$used" -gt $((${about[keep_mib]:-100} * 1024)) ] || break
    used=$((used - $(du -sk "$folder" | cut -f 1)))
    surplus=$((surplus - 1))
    rm -rf -- "$folder"
  done
}

# The journal can't be written, so nothing more is done.
give_up() {
  rm -f reserve
  echo >>journal
  go_back "$stage" "$journal_lost" 'the journal could not be written'
}

# What was decided of this run, and by whom: to confirm or to undo it. The first word counts, and a full disk must not
# keep it from being said, so it is the target of a link.
choice() { readlink decision | cut -f 1; }
chooser() { readlink decision | cut -f 2; }
decide() { # CHOICE WHO
  ln -sT "$(record "$1" "$2")" decision 2>/dev/null
}

# go_back STEP STATUS [REASON]: undo what was done, the last step first, and end the run.
go_back() {
  local number script changed= undoable=() broken=
  trap '' TERM
  stopped=
  for ((number = ${#begun[@]} - 1; number >= 0; number--)); do
    script=${begun[number]%.sh}
    [ -e "$script.harmless" ] || changed=1
    [ ! -e "$script.undo.sh" ] || undoable+=("$script")
  done
  [ -n "$changed" ] || leave_unchanged "$@"
  [ ${#undoable[@]} != 0 ] || conclude failed "$@"
  rm -f reserve
  event undo "$@"
  stand_up || broken=1
  for script in "${undoable[@]}"; do
    stage=${script#steps/*-}
    event undo-begin "$stage"
    carry_out "$stage" "$(<"$script.timeout")" bash -euo pipefail "$script.undo.sh"
    event undo-end "$stage" "$status"
    [ "$status" = 0 ] || broken=1
  done
  aside prove "$prove_timeout" prove.sh old || broken=1
  [ -n "$broken" ] || aside proven "$settle_timeout" proven.sh old
  conclude "undone${broken:+-ill}" "$@"
}

# leave_unchanged STEP STATUS [REASON]: end a run that changed nothing; whatever befell the container meanwhile, the old
# release is to run there.
leave_unchanged() {
  [ ${#begun[@]} != 0 ] || conclude refused "$@"
  stand_up || conclude undone-ill "$@"
  [ ! -e revived ] || aside prove "$prove_timeout" prove.sh old || conclude undone-ill "$@"
  conclude refused "$@"
}

# conclude OUTCOME STEP STATUS [REASON]: end a run that failed, with an outcome that what is there now bears out.
conclude() {
  local -A differs=()
  compare_evidence "$1"
  case $1 in
    refused) [ ${#differs[@]} = 0 ] || finish altered "${@:2}" ;;
    undone) [ -z "${differs[HEAD]-}${differs[branch]-}" ] || finish undone-ill "${@:2}" ;;
  esac
  finish "$@"
}

# compare_evidence OUTCOME: take again what was seen under the lock, and tell what differs, an event each, or could not be
# seen. After an undo, what was undone to is told by its proof, so that only clone and database are looked at.
compare_evidence() {
  local name how what names=(HEAD branch 'database revision')
  [ "$stage" != guard ] && [ -s guard.found ] || return 0
  fields guard.found found
  [ "$1" != refused ] || names=("${!found[@]}")
  if ! timeout -k 5 "$guard_timeout" bash -euo pipefail guard.sh after </dev/null >guard.after 2>/dev/null 8>&-; then
    event unseen production 'it could not be looked at again'
    return
  fi
  fields guard.after after
  for name in "${names[@]}"; do
    case $name in
      # revive.sh gave the old release to another container.
      container | 'running release') [ ! -e revived ] || continue ;;
      'database revision') [ -e schema.after ] || continue ;;
    esac
    [ "${found[$name]-}" != "${after[$name]-}" ] || continue
    differs[$name]=1
    event differs "$name" "${found[$name]-}" "${after[$name]-}"
  done
  if [ ! -e schema.before ] || [ ! -e schema.after ]; then
    what=$(cat schema.before.problem schema.after.problem 2>/dev/null | tail -n 1 | redact)
    [ -z "$what" ] || event unseen 'the database' "$what"
    return 0
  fi
  while IFS=$'\t' read -r how what; do
    differs[schema]=1
    event schema "$how" "$what"
  done < <(schema_differences schema.before schema.after "$([ ! -e restored ] || echo names)")
}

# What every way back begins with: nothing of the failed step is left, and there is a container to go back to.
stand_up() {
  aside settle "$settle_timeout" settle.sh && aside revive "$revive_timeout" revive.sh
}

# aside NAME SECONDS SCRIPT ARGUMENT...: a script of the run that is no step, where there is one.
aside() {
  [ -e "$3" ] || return 0
  carry_out "$1" "$2" bash -euo pipefail "${@:3}"
  return "$status"
}

# Whoever follows proves the release and confirms it. When nobody does in time, the host proves it by itself.
await_confirmation() {
  [ -e confirm ] || return 0
  local end=$((SECONDS + $(<confirm)))
  stage=confirm
  event confirming "$(<confirm)" || give_up
  while [ -z "$(choice)" ] && [ "$SECONDS" -lt "$end" ] && [ -z "$stopped" ]; do sleep 0.1; done
  settle_choice
}

settle_choice() {
  if [ -z "$(choice)" ]; then
    if aside prove "$prove_timeout" prove.sh new && [ "${about[unattended]-keep}" = keep ]; then
      decide confirm 'the host'
    else
      decide undo 'the host'
    fi
  fi
  [ "$(choice)" = confirm ] || go_back confirm 0 "$(chooser)"
  event confirmed "$(chooser)"
  # What it could not do is told, and does not make a good release a bad one.
  aside proven "$settle_timeout" proven.sh new || true
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
  carry_out guard "$guard_timeout" bash -c 'exec bash -euo pipefail guard.sh before >guard.found'
  [ "$status" = 0 ] || go_back guard "$status"
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
  local limit since=$SECONDS late=()
  limit=$(<"${1%.sh}.timeout")
  stage=${1#steps/*-}
  stage=${stage%.sh}
  [ -z "$stopped" ] || go_back "$stage" 143
  [ "$(choice)" != undo ] || go_back "$stage" 143 "$(chooser)"
  event begin "$stage" || give_up
  begun+=("$1")
  carry_out "$stage" "$limit" bash -euo pipefail "$1"
  case $status in
    124 | 137) [ $((SECONDS - since)) -lt "$limit" ] || late=("timed out after $limit s") ;;
  esac
  event end "$stage" "$status" ${late[@]+"${late[@]}"} || give_up
  [ "$status" != "$refused" ] || unset 'begun[-1]'
  [ "$status" = 0 ] || go_back "$stage" "$status" ${late[@]+"${late[@]}"}
}

# Finish what a harness that died had begun: undo it, or, where only the confirmation was missing, decide.
resume() {
  local name script
  borrowed=1
  while read -r name; do
    for script in steps/[0-9]*-"$name".sh; do
      [ ! -e "$script" ] || begun+=("$script")
    done
  done < <(sed -nE $'s/^[0-9.]+\tbegin\t//p' journal)
  event resume "$1"
  if grep -qE $'^[0-9.]+\tconfirming\t' journal && ! grep -qE $'^[0-9.]+\tundo\t' journal; then
    settle_choice
    finish 'done'
  fi
  [ ${#begun[@]} = 0 ] || stage=${begun[-1]#steps/*-}
  go_back "${stage%.sh}" 137 'its harness died'
}

main() {
  local script
  trap '' HUP INT
  trap 'stopped=1; [ -z "$process" ] || kill -TERM "$process" 2>/dev/null' TERM
  shopt -s nullglob
  boot=$(</proc/sys/kernel/random/boot_id)
  started=$(date +%s)
  fields about about
  [ "${1-}" != resume ] || resume "$2"
  event run "$run" "${about[verb]-}" "${about[operator]-}" "${about[revision]-}" || exit
  take_lock || refuse
  event locked || give_up
  take_over || give_up
  hold || give_up
  head -c "$reserve" /dev/zero >reserve || give_up
  prune
  check_guard
  for script in steps/*.sh; do
    case $script in *.undo.sh) ;; *) carry_out_step "$script" ;; esac
  done
  [ "$(choice)" != undo ] || go_back confirm 143 "$(chooser)"
  await_confirmation
  finish 'done'
}

main "$@"
