# The harness: carries a run out on the host, on its own, journals each event, and undoes what it did when a step fails.
# launch.sh starts it; with the word `resume` it finishes the run of a harness that died.
# Expects redact.sh and what that expects, and schema.sh. Its folder, state/runs/RUN, holds about, guard.sh,
# guard.expected, the journal, spill (a link to what takes the journal's events where the disk doesn't), sums (of the files
# that it was sent), patience (seconds that it waits for the lock), and per step steps/NN-NAME.sh, .timeout (seconds), .undo.sh
# where it can be undone, .harmless where it changes nothing, .beside where it leaves time to others once there is a file
# `booting`, and .early where it may get ready for its turn in that time; settle.sh ends what a failed step left elsewhere,
# revive.sh brings a container back that was stopped or recreated meanwhile (and leaves a file `revived` then), prove.sh
# proves the `new` or the `old` release, proven.sh does what may be done only after that, and confirm (seconds) is there
# where somebody has to confirm the end. A run that is a part of several hosts' has a file hold (seconds), and per step that
# is not begun before all are as far steps/NN-NAME.hold (the name of that point). program.sh is what its scripts share. All
# of them run in this folder.

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
working=
guard=
begun=()
borrowed=
taken_over=
# Set where nobody confirmed the run and it was kept all the same: the history tells that.
unattended=
# Set once nothing more is begun: from then on no event that is lost keeps the run from its end.
ending=
spill=$(spill_of .)
# Why a run that waits for others does not wait any more.
not_told=$(say 'nobody said that the other hosts are as far')
# The exit status of a step that refused before it changed anything.
refused=3

# event KIND FIELD...: append to the journal. Fails when that is impossible, and nothing more may then be begun.
event() {
  local now=${EPOCHREALTIME:-$(date +%s.%6N)}
  { record "${now%???}" "$@" >>journal; } 2>/dev/null || spill "${now%???}" "$@"
}

# spill TIME KIND FIELD...: tell elsewhere what the journal does not take, and first of all why, for whoever follows.
spill() {
  local why
  # A line may have been written in part, or room been made meanwhile.
  why=$({ { echo; record "$@"; } >>journal; } 2>&1) && return
  unwritten=$(say '%s: %s' "$PWD/journal" "${why##*: }")
  {
    [ -s "$spill" ] || record "$1" unwritten "$unwritten"
    record "$@"
  } >>"${spill:-/dev/null}"
  return 1
}

# unescaped FIELD: as it was before it was written into a record, whose escapes are a subset of those of printf's %b.
unescaped() { printf '%b' "$1"; }

# fields FILE ARRAY: read name/value records; names stay as they are written.
declare -A about=() holder=() expected=() found=() after=()
# Of the steps that wait for their turn, by script.
declare -A turns=() outputs=() processes=()
fields() {
  local -n into=$2
  local name value
  while IFS=$'\t' read -r name value; do
    [ -n "$name" ] || continue
    printf -v value '%b' "$value"
    into[$name]=$value
  done <"$1"
}

# The steps inherit descriptor 9 on purpose: the lock is free exactly when no process of the run is left on the host,
# so that a new run can't start beside an orphaned step.
take_lock() {
  local why
  if ! why=$({ : 9<>"$state/lock"; } 2>&1) || ! exec 9<>"$state/lock"; then
    event 'done' refused lock 1 "$(say 'cannot open %s: %s' "$state/lock" "${why##*: }")"
    exit
  fi
  flock -w "$(<patience)" 9
}

# Others take theirs first, in an order that is the same for everybody.
await_lock() {
  await_go lock || { event 'done' refused lock 124 "$not_told"; exit; }
  [ "$(choice)" != undo ] || { event 'done' refused lock 143 "$(chooser)"; exit; }
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

# ended_in JOURNAL: the run is over.
ended_in() { grep -qaE $'^[0-9.]+\tdone\t' "$1" 2>/dev/null; }

# before: the newest other run that had the lock; ids sort by age.
before() {
  grep -laE $'^[0-9.]+\tlocked$' "$state"/runs/*/journal 2>/dev/null | sed -E 's#^.*/([^/]*)/journal$#\1#' | grep -vxF -- "$run" | tail -n 1
}

# The lock is ours: a run that has no end and had it before us, or still is its holder, has lost its harness.
take_over() {
  local dead reason journal
  reason=$(say 'its lock is free')
  holder=()
  [ ! -e "$state/holder" ] || fields "$state/holder" holder
  if [ -e "$state/holder" ] && ! is_run "${holder[run]-}"; then
    put_aside "$state/holder" || return
    holder=()
  fi
  dead=${holder[run]:-$(before)}
  [ -n "$dead" ] || return 0
  journal=$state/runs/$dead/journal
  if [ -z "${holder[run]-}" ] && ended_in "$journal"; then return 0; fi
  [ -z "${holder[run]-}" ] || [ "${holder[boot]-}" = "$boot" ] || reason=$(say 'the host has booted since')
  event took-over "$dead" "${holder[operator]-}" "${holder[start]-}" "$reason" || return
  if [ ! -e "$journal" ] || ended_in "$journal"; then return 0; fi
  taken_over=$dead
  end_dead "${journal%/*}"
}

# end_dead FOLDER: have its run finished by its own scripts, as far as they are those that were sent.
end_dead() {
  local wrong name
  wrong=$([ ! -e "$1/sums" ] || { cd "$1" && LC_ALL=C sha256sum --check --quiet sums 2>/dev/null; }) || wrong=${wrong:-sums}
  if [ -z "$wrong" ]; then
    (cd "$1" && exec bash runner.sh resume "$run" </dev/null >>errors 2>&1 8>&-)
  else
    while IFS= read -r name; do event damaged "$1/${name%: FAILED*}" "$(say 'it is not as it was sent')"; done <<<"$wrong"
  fi
  ended_in "$1/journal" || { echo; record "$(date +%s.%3N)" 'done' abandoned; } >>"$1/journal"
  event resumed "${1##*/}" "$(sed -nE $'s/^[0-9.]+\tdone\t([a-z-]+).*/\\1/p' "$1/journal" | tail -n 1)"
}

# put_aside FILE: one of ours that says nothing, kept for who wants to look at it.
put_aside() {
  mv -fT -- "$1" "$1.damaged" 2>/dev/null || true
  event damaged "$1" "$(say 'it cannot be understood and is %s now' "${1##*/}.damaged")"
}

# Ids are told when a plan is made, and a run has had the lock since.
refuse_late() {
  local newest
  newest=$(before)
  [[ $newest > $run ]] && [ "$newest" != "$taken_over" ] || return 0
  event changed "$(say 'runs since then')" "$(say 'none')" "$newest" || give_up
  finish changed
}

hold() {
  {
    record run "$run" && record verb "${about[verb]-}" && record operator "${about[operator]-}" &&
      record pid "$$" && record boot "$boot" && record start "$(date +%s)"
  } >"$state/holder.new" || return
  [ "$(id -u)" != 0 ] || chown --reference="$path" "$state/holder.new"
  sync "$state/holder.new" && mv -f "$state/holder.new" "$state/holder"
}

# finish OUTCOME [STEP STATUS REASON]: nothing of the run is left by now. Who sees `done` may start the next run at
# once, so the lock is free before; and it is freed by hand, because a process that a step left may still inherit it.
finish() {
  local why
  rm -f reserve clone.reserve schema.before* schema.after* ready.*
  why=$(remember "$@" 2>&1) || event unwritten "$(say '%s: %s' "$state/history" "${why##*: }")"
  # What root made in somebody's clone must still be theirs at their own next run.
  [ "$EUID" != 0 ] || chown -R --reference="$path" .
  # Who resumes another's run does so under its own lock.
  if [ -z "$borrowed" ]; then
    rm -f "$state/holder"
    flock -u 9
  fi
  event 'done' "$@"
  [ -s "$spill" ] || rm -f "$spill" spill
  exit
}

# remember OUTCOME [STEP STATUS REASON]: a record in the history: when, run, verb, operator, the revision before and the
# new one, when it began, outcome, why, the steps, each with its status and seconds, and what whoever decided had met by probing meanwhile.
remember() {
  local steps why=${*:2}
  [ -z "$unattended" ] || why="confirm 0 $(chooser)"
  steps=$(awk -F '\t' '$2 == "begin" {at[$3] = $1} $2 == "end" {printf "%s%s %s %.1f", sep, $3, $4, $1 - at[$3]; sep = ","}' journal)
  record "$(date +%s)" "$run" "${about[verb]-}" "${about[operator]-}" "${about[was]-}" "${about[revision]-}" \
    "${started:-0}" "$1" "$why" "$steps" "$(cat probe 2>/dev/null)" | append "$state/history" || return
  [ "$EUID" != 0 ] || chown --reference="$path" "$state/history"
}

# append FILE: add stdin to it, after whatever was cut off there.
append() {
  [ "$(tail -c 1 "$1" 2>/dev/null | wc -l)" = 1 ] || [ ! -s "$1" ] || echo >>"$1"
  cat >>"$1" && sync "$1"
}

# await_go POINT: where others have a part in this run, go on when whoever follows all of them says so; a decision to undo
# ends the wait too. Where nothing is said in time, the run is over.
await_go() {
  [ -e hold ] || return 0
  local end=$((SECONDS + $(<hold)))
  event holding "$1" || give_up
  until [ -e "go.$1" ] || [ -n "$stopped" ] || { is_decided && [ "$(choice)" = undo ]; }; do
    ! renewed || end=$((SECONDS + $(<hold)))
    [ "$SECONDS" -lt "$end" ] || return
    pause 0.03
  done
}

# renewed: has whoever follows asked for more time?
renewed() { [ -e renewed ] && rm -f renewed; }

# prune: keep the folders of the newest runs, by number and size; those of confirmed releases go last.
prune() {
  local folder confirmed failed=() good=()
  confirmed=$(grep -lE $'^[0-9.]+\tdone\tdone$' "$state"/runs/*/journal 2>/dev/null)
  for folder in "$state"/runs/*/; do
    folder=${folder%/}
    is_run "${folder##*/}" || continue
    case ${folder##*/} in "$run" | "${holder[run]-}") continue ;; esac
    if [[ $'\n'$confirmed$'\n' == *$'\n'"$folder/journal"$'\n'* ]] && [ -e "$folder/confirm" ]; then
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
    rm -rf -- "$(spill_of "$folder")" "$folder"
  done
}

# give_up [WHY]: what the run needs, by default its journal, can't be written, so nothing more is done.
give_up() {
  local why=${1:-${unwritten-}}
  # The journal's lines are written by a process of their own, which can say it only there.
  [ -n "$why" ] || why=$(unescaped "$(sed -nE $'s/^[0-9.]+\tunwritten\t//p' "$spill" 2>/dev/null | head -n 1)")
  rm -f reserve
  go_back "$stage" "$journal_lost" "$(say 'cannot write %s' "${why:-$PWD/journal}")"
}

# What was decided of this run, and by whom: to confirm or to undo it. The first word counts, and a full disk must not
# keep it from being said, so it is the target of a link; on one that takes not even that, our own word counts.
decision() { readlink decision 2>/dev/null | grep -aE $'^(confirm|undo)(\t|$)' || printf '%s\n' "${decided-}"; }
choice() { ! is_decided || decision | cut -f 1; }
# Asked again and again, so without a process.
is_decided() { [ -L decision ] || [ -n "${decided-}" ]; }
chooser() { unescaped "$(decision | cut -f 2)"; }
decide() { # CHOICE WHO
  decided=$(record "$1" "$2")
  ln -sT "$decided" decision 2>/dev/null
}

# go_back STEP STATUS [REASON]: undo what was done, the last step first, and end the run.
go_back() {
  local number script changed= undoable=() broken=
  trap '' TERM
  stopped=
  ending=1
  [ -z "$guard" ] || ended "$guard"
  guard=
  drop_early
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
    undone) [ -z "${differs[HEAD]-}${differs[${mark}branch]-}" ] || finish undone-ill "${@:2}" ;;
  esac
  finish "$@"
}

# compare_evidence OUTCOME: take again what was seen under the lock, and tell what differs, an event each, or could not be
# seen. After an undo, what was undone to is told by its proof, so that only clone and database are looked at.
compare_evidence() {
  local name how what names=(HEAD "${mark}branch" "${mark}database revision")
  [ "$stage" != guard ] && [ -s guard.found ] || return 0
  fields guard.found found
  [ "$1" != refused ] || names=("${!found[@]}")
  if ! timeout -k 5 "$guard_timeout" bash -euo pipefail guard.sh after </dev/null >guard.after 2>/dev/null 8>&-; then
    event unseen "$(say 'production')" "$(say 'it could not be looked at again')"
    return
  fi
  fields guard.after after
  for name in "${names[@]}"; do
    case ${name#"$mark"} in
      # revive.sh gave the old release to another container.
      container* | 'running release'*) [ ! -e revived ] || continue ;;
      'database revision') [ -e schema.after ] || continue ;;
    esac
    [ "${found[$name]-}" != "${after[$name]-}" ] || continue
    differs[$name]=1
    event differs "$(unescaped "$name")" "${found[$name]-}" "${after[$name]-}"
  done
  if [ ! -e schema.before ] || [ ! -e schema.after ]; then
    what=$(cat schema.before.problem schema.after.problem 2>/dev/null | tail -n 1 | redact)
    [ -z "$what" ] || event unseen "$(say 'the database')" "$what"
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

# aside NAME SECONDS SCRIPT ARGUMENT...: a script of the run that is no step, where there is one, and those of the other
# containers, which are called after it. Each is run, whatever became of the one before.
aside() {
  local script bad=
  for script in "${3%.sh}".sh "${3%.sh}"@*.sh; do
    [ -e "$script" ] || continue
    carry_out "$1" "$2" bash -euo pipefail "$script" "${@:4}"
    [ "$status" = 0 ] || bad=$status
  done
  status=${bad:-0}
  return "$status"
}

# Whoever follows proves the release and confirms it. When nobody does in time, the host proves it by itself.
await_confirmation() {
  [ -e confirm ] || return 0
  local end=$((SECONDS + $(<confirm)))
  stage=confirm
  event confirming "$(<confirm)" || give_up
  until { is_decided && [ -n "$(choice)" ]; } || [ "$SECONDS" -ge "$end" ] || [ -n "$stopped" ]; do
    ! renewed || end=$((SECONDS + $(<confirm)))
    pause 0.01
  done
  settle_choice
}

settle_choice() {
  ending=1
  if [ -z "$(choice)" ]; then
    if aside prove "$prove_timeout" prove.sh new && [ "${about[unattended]-keep}" = keep ]; then
      decide confirm "$(say 'the host')"
      unattended=1
    else
      decide undo "$(say 'the host')"
    fi
  fi
  [ "$(choice)" = confirm ] || go_back confirm 0 "$(chooser)"
  event confirmed "$(chooser)"
  # What it could not do is told, and does not make a good release a bad one.
  aside proven "$settle_timeout" proven.sh new || true
}

# journal_lines STEP: stdin as events: `message` where a line is one, else `line`, a program's own words. Where that is
# impossible the step is stopped, not left unwatched.
journal_lines() {
  local text kind
  while IFS= read -r text; do
    kind=line
    [[ $text != "$mark"* ]] || kind=message
    [ "${#text}" -le "$longest_line" ] || text=$(shortened "$kind" "$text")
    event "$kind" "$1" "$text" || [ -n "$ending" ] || { kill -TERM "$$"; return 1; }
  done
}

# shortened KIND TEXT: what is too long, cut; of a message each of its values.
shortened() {
  local part parts=("$2") i
  [ "$1" = line ] || mapfile -t -d $'\t' parts < <(printf '%s' "$2")
  for i in "${!parts[@]}"; do
    [ "${#parts[i]}" -gt "$longest_line" ] || continue
    part=${parts[i]:0:longest_line}
    # Bytes are counted here: a character must not be cut in two, nor an escape or the format of a message.
    while [[ $part == *[$'\x80'-$'\xbf'] ]]; do part=${part%?}; done
    part=${part%[$'\xc0'-$'\xff']}
    [[ $part != *$'\x1f'* || ${part##*$'\x1f'} == *\\* ]] || part=${part%$'\x1f'*}
    while [[ $part == *\\ ]]; do part=${part%\\}; done
    parts[i]=$part…
  done
  local IFS=$'\t'
  printf '%s' "${parts[*]}"
}

# ended PID: wait until it has, whatever signals come meanwhile; its status.
ended() {
  local status
  while wait "$1"; status=$?; kill -0 "$1" 2>/dev/null; do :; done
  return "$status"
}

# carry_out NAME SECONDS COMMAND...: run it with its output journaled; its status in `status`.
carry_out() {
  local process output
  spawn "${@:2}" </dev/null
  attend "$1"
}

# spawn SECONDS COMMAND...: start it, as `process`, which leads a group; it writes to a pipe, `output`.
spawn() {
  exec {output}<> <(:)
  (
    exec >"/dev/fd/$output" 2>&1 {output}>&- 8>&-
    shut
    exec timeout -k 5 "$@"
  ) <&0 &
  process=$!
}

# attend NAME [MEANWHILE]: journal what the process writes until it has ended; its status in `status`. MEANWHILE, a function
# of ours, is called as soon as it is at work.
attend() {
  local watcher
  (
    exec <"/dev/fd/$output" {output}>&- 8>&-
    shut
    set -o pipefail
    redact | journal_lines "$1"
  ) &
  watcher=$!
  exec {output}>&-
  # timeout passes on to the group the signal that ends the run.
  working=$process
  [ -z "$stopped" ] || kill -TERM "$process"
  "${2-:}"
  ended "$process"; status=$?
  [ "$status" = 0 ] || [ -z "$stopped" ] || status=143
  # What it left in the background would hold the output open, and the lock.
  kill -KILL -- "-$process" 2>/dev/null
  working=
  ended "$watcher"
  # 143 is our own signal, met while waiting.
  case $? in 0 | 143) ;; *) [ -n "$ending" ] || give_up ;; esac
}

# begin_guard: look at what the plan was made from.
begin_guard() {
  (
    shut
    # Who only looks ends no run.
    ending=1
    carry_out guard "$guard_timeout" bash -c 'exec bash -euo pipefail guard.sh before >guard.part'
    [ "$status" != 0 ] || mv guard.part guard.found
    printf '%s' "$status" >guard.status
  ) 8>&- &
  guard=$!
}

# await_guard: go on only where all is as it was then.
await_guard() {
  local name looked changed=
  [ -n "$guard" ] || return 0
  ended "$guard"
  guard=
  looked=$(cat guard.status 2>/dev/null)
  [ "$looked" = 0 ] || { stage=guard; go_back guard "${looked:-137}"; }
  fields guard.expected expected
  fields guard.found found
  while IFS= read -r name; do
    [ "${expected[$name]-}" != "${found[$name]-}" ] || continue
    changed=1
    event changed "$(unescaped "$name")" "${expected[$name]-}" "${found[$name]-}" || give_up
  done < <(cut -f 1 guard.expected guard.found | awk '!seen[$0]++')
  [ -n "$changed" ] || return 0
  drop_early
  # The step beside it changed nothing, but may have left something at work.
  [ ${#begun[@]} = 0 ] || aside settle "$settle_timeout" settle.sh || conclude undone-ill guard 1
  finish changed
}

# use_time: while the first step, who is `working`, waits for the new code: look, and begin the steps that can get ready for
# their turn, which is a line on their stdin; `ahead` is how many seconds it may be until then.
use_time() {
  local script process output turn limit
  until [ -e booting ] || ! kill -0 "$working" 2>/dev/null; do pause 0.03; done
  # A program computes most when it starts.
  for process in {1..10}; do kill -0 "$working" 2>/dev/null && pause 0.05; done
  begin_guard
  local -x ahead=0
  for script in "${scripts[@]}"; do
    limit=$(<"${script%.sh}.timeout")
    if [ -e "${script%.sh}.early" ] && [ -e booting ]; then
      exec {turn}<> <(:)
      turns[$script]=$turn
      spawn "$((ahead + limit))" bash -euo pipefail "$script" <"/dev/fd/$turn"
      outputs[$script]=$output processes[$script]=$process
    fi
    ahead=$((ahead + limit))
  done
}

# give_turn: to the step that is the last one begun; somebody listens to what it says by now, for it may outlive us.
give_turn() {
  local script=${begun[-1]} turn
  turn=${turns[$script]}
  unset "turns[$script]"
  echo >&"$turn"
  exec {turn}>&-
}

# shut: let go of those that wait for their turn. Every process of ours does: who held their pipes open would hide their end.
shut() {
  local descriptor
  for descriptor in "${turns[@]}" "${outputs[@]}"; do exec {descriptor}>&-; done
}

# drop_early: end those that still wait; they have changed nothing.
drop_early() {
  local process
  shut
  for process in "${processes[@]}"; do kill -TERM "$process" 2>/dev/null; done
  for process in "${processes[@]}"; do
    ended "$process"
    kill -KILL -- "-$process" 2>/dev/null
  done
  turns=() outputs=() processes=()
}

carry_out_step() { # SCRIPT
  local limit since=$SECONDS late=() process output
  limit=$(<"${1%.sh}.timeout")
  stage=${1#steps/*-}
  stage=${stage%.sh}
  [ ! -e "${1%.sh}.hold" ] || await_go "$(<"${1%.sh}.hold")" || go_back "$stage" 124 "$not_told"
  [ -z "$stopped" ] || go_back "$stage" 143
  [ "$(choice)" != undo ] || go_back "$stage" 143 "$(chooser)"
  event begin "$stage" || give_up
  # Whoever finishes this run after a crash of the host has to know that.
  sync journal 2>/dev/null
  begun+=("$1")
  if [ -n "${turns[$1]-}" ]; then
    process=${processes[$1]} output=${outputs[$1]}
    unset "outputs[$1]" "processes[$1]"
    attend "$stage" give_turn
  else
    spawn "$limit" bash -euo pipefail "$1" </dev/null
    if [ -e "${1%.sh}.beside" ]; then attend "$stage" use_time; else attend "$stage"; fi
  fi
  case $status in
    124 | 137) [ $((SECONDS - since)) -lt "$limit" ] || late=("$(say 'timed out after %s s' "$limit")") ;;
  esac
  event end "$stage" "$status" ${late[@]+"${late[@]}"} || give_up
  await_guard
  [ "$status" != "$refused" ] || unset 'begun[-1]'
  [ "$status" = 0 ] || go_back "$stage" "$status" ${late[@]+"${late[@]}"}
}

# Finish what a harness that died had begun: undo it, or, where only the confirmation was missing, decide.
resume() {
  local name script
  borrowed=1
  end_told
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
  go_back "${stage%.sh}" 137 "$(say 'its harness died')"
}

# The run may have told its end where it was spilled, or got into the history just before its harness died.
end_told() {
  local outcome why step status reason
  [ ! -s "$spill" ] || { { echo; cat "$spill"; } >>journal && : >"$spill"; }
  IFS=$'\t' read -r outcome why < <(
    sed -nE $'s/^[0-9.]+\tdone\t([a-z-]+)/\\1/p' journal | tr '\t' ' ' | sed 's/ /\t/' | tail -n 1
    awk -F '\t' -v OFS='\t' -v run="$run" '$2 == run {print $8, $9}' "$state/history" 2>/dev/null
  )
  [ -n "$outcome" ] || return 0
  read -r step status reason <<<"$why"
  reason=$(unescaped "$reason")
  if ended_in journal; then
    remembered || remember "$outcome" ${step:+"$step" "$status"} ${reason:+"$reason"}
  else
    event 'done' "$outcome" ${step:+"$step" "$status"} ${reason:+"$reason"}
  fi
  exit
}

remembered() { cut -f 2 "$state/history" 2>/dev/null | grep -qxF -- "$run"; }

main() {
  local script why scripts=()
  trap '' HUP INT
  trap 'stopped=1; [ -z "$working" ] || kill -TERM "$working" 2>/dev/null' TERM
  shopt -s nullglob
  boot=$(</proc/sys/kernel/random/boot_id)
  started=$(date +%s)
  fields about about
  [ "${1-}" != resume ] || resume "$2"
  event run "$run" "${about[verb]-}" "${about[operator]-}" "${about[revision]-}" || {
    event 'done' refused start "$journal_lost" "$(say 'cannot write %s' "$unwritten")"
    exit
  }
  await_lock
  take_lock || refuse
  event locked || give_up
  take_over || give_up
  why=$(hold 2>&1) || give_up "$(say '%s: %s' "$state/holder" "${why##*: }")"
  why=$({ head -c "$reserve" /dev/zero >reserve; } 2>&1) || give_up "$(say '%s: %s' "$PWD/reserve" "${why##*: }")"
  prune
  [ ! -d steps ] || refuse_late
  for script in steps/*.sh; do
    case $script in *.undo.sh) ;; *) scripts+=("$script") ;; esac
  done
  # A first step that leaves time for it is begun before; nothing is changed before it is known what the guard saw.
  [ -e "${scripts[0]%.sh}.beside" ] || { begin_guard; await_guard; }
  for script in "${scripts[@]}"; do carry_out_step "$script"; done
  [ "$(choice)" != undo ] || go_back confirm 143 "$(chooser)"
  await_confirmation
  finish 'done'
}

main "$@"
