# Bring the clone to the planned commit, on the branch. What would be lost stops it, or is saved first.
# Expects besides the shared variables: remote, branch, revision, run, discard, back (it goes back: the remote is not asked,
# and need not have the commit any more), protected (array), fetch_timeout, via (the laptop: it brought what it is to be).
# Exit status 3: nothing was changed.
tracking=refs/remotes/$remote/$branch
saved_refs=refs/hot-update/saved/$run
doing=$(say 'it could not be found out what would be lost, so nothing was changed · see the lines above')
work=
moving=
trap 'leave $?' EXIT

# Newline and escape codes in a name or a subject must not reach the reader's terminal.
printable() { tr '\001-\010\013-\037\177' '?'; }

stop() { # FACT REMEDY
  doing=
  say '%s · %s' "$1" "$2" >&2
  exit 1
}

leave() { # STATUS
  [ "$1" = 0 ] || [ -z "$doing" ] || printf '%s\n' "$doing" >&2
  [ -z "$work" ] || rm -rf "$work"
  [ "$1" = 0 ] || [ -n "$moving" ] || exit 3
}

counted() { # NUMBER FORMAT_OF_1 FORMAT_OF_MORE
  if [ "$1" = 1 ]; then say "$2" "$1"; else say "$3" "$1"; fi
}

some() { # NAME...: the first three
  local shown=("${@:1:3}")
  [ $# -le 3 ] || shown+=('…')
  say ',' "${shown[@]//[[:cntrl:]]/?}"
}

age() { # FILE
  local seconds=$(($(date +%s) - $(stat -c %Y "$1")))
  if [ "$seconds" -lt 120 ]; then counted "$seconds" '%s second' '%s seconds'
  elif [ "$seconds" -lt 7200 ]; then counted $((seconds / 60)) '%s minute' '%s minutes'
  elif [ "$seconds" -lt 172800 ]; then counted $((seconds / 3600)) '%s hour' '%s hours'
  else counted $((seconds / 86400)) '%s day' '%s days'; fi
}

refuse_locked() {
  [ -e "$lock" ] || return 0
  stop "$(say 'another git is at work in the clone, or one was killed here: %s, %s old' "${lock#"$path/"}" "$(age "$lock")")" \
    "$(say 'if no git runs there, remove it: %s' "rm $(quoted "$lock")")"
}

# changing ARGUMENT...: git that takes the index's lock. A git that fails or is interrupted frees it by itself;
# one that is killed cannot, and then the lock is certainly its own.
changing() {
  local status=0
  refuse_locked
  plain "$@" || status=$?
  [ "$status" -le 128 ] || rm -f "$lock"
  return "$status"
}

ask_remote() {
  git_timeout=$fetch_timeout plain fetch -q -- \
    "$remote" "+refs/heads/$branch:$tracking" >"$work/fetch" 2>&1
}

fetch() {
  local status=0 words
  ask_remote || status=$?
  # Another fetch, of somebody who reads the state, moved the ref at the same moment.
  if grep -q 'cannot lock ref' "$work/fetch"; then
    status=0
    ask_remote || status=$?
  fi
  [ "$status" != 0 ] || return 0
  words=$(git_words <"$work/fetch" | printable)
  case $status in
    124 | 137) words=$(say 'no answer within %s s. %s' "$fetch_timeout" "$words") ;;
    *) [ -n "$words" ] || words=$(say 'exit status %s' "$status") ;;
  esac
  stop "$(say 'git fetch %s %s failed: %s' "$remote" "$branch" "$words")" \
    "$(say 'nothing was changed; see that the host reaches the remote, then try again')"
}

refuse_unreachable() {
  local tip
  if plain merge-base --is-ancestor "$revision" "$tracking" 2>/dev/null; then return; fi
  tip=$(plain rev-parse "$tracking")
  stop "$(say 'the planned commit %s is no longer on %s, which is at %s now' "${revision:0:7}" "$remote/$branch" "${tip:0:7}")" \
    "$(say 'nothing was changed; start again to get a new plan')"
}

refuse_protected() {
  [ ${#tracks_protected[@]} = 0 ] ||
    stop "$(say '%s tracks what must never be overwritten: %s' "${revision:0:7}" "$(some "${tracks_protected[@]}")")" \
      "$(say 'nothing was changed; git rm --cached it and push, or change copy.protected')"
}

describe_losses() {
  local kinds=() many
  if [ ${#changes[@]} != 0 ]; then
    many=$(counted ${#changes[@]} '%s uncommitted change' '%s uncommitted changes')
    kinds+=("$(say '%s (%s)' "$many" "$(some "${changes[@]}")")")
  fi
  if [ ${#endangered[@]} != 0 ]; then
    many=$(counted ${#endangered[@]} '%s untracked file' '%s untracked files')
    kinds+=("$(say '%s in the way (%s)' "$many" "$(some "${endangered[@]}")")")
  fi
  if [ ${#unpushed[@]} != 0 ]; then
    many=$(counted ${#unpushed[@]} '%s commit' '%s commits')
    kinds+=("$(say '%s that %s does not have (%s)' "$many" "$remote" "$(some "${unpushed[@]}")")")
  fi
  losses=
  [ ${#kinds[@]} = 0 ] || losses=$(say ',' "${kinds[@]}")
}

new_commit() { # TREE PARENT...
  local parent parents=()
  for parent in "${@:2}"; do parents+=(-p "$parent"); done
  plain -c user.name=hot-update -c user.email=hot-update@localhost commit-tree \
    ${parents[@]+"${parents[@]}"} -m "Saved by hot update $run before $branch went to ${revision:0:7}" "$1"
}

# Line endings as they are on disk, not as git add would tidy them.
keep_line_endings() {
  local entry name in_index on_disk mode blob
  local -A touched=()
  for name in ${changes[@]+"${changes[@]}"} ${endangered[@]+"${endangered[@]}"}; do touched[/$name]=1; done
  copied ls-files --eol -z >"$work/eol"
  while IFS= read -r -d '' entry; do
    name=${entry#*$'\t'}
    [ -n "${touched[/$name]-}" ] || continue
    read -r in_index on_disk _ <<<"${entry%%$'\t'*}"
    case $on_disk in w/crlf | w/mixed) ;; *) continue ;; esac
    [ "${in_index#i/}" != "${on_disk#w/}" ] || continue
    mode=100644
    [ ! -x "$path/$name" ] || mode=100755
    blob=$(plain hash-object -w --stdin <"$path/$name")
    copied update-index --cacheinfo "$mode,$blob,$name"
  done <"$work/eol"
}

# git passes over some files without failing, such as those of another repository.
refuse_unsaved() {
  local name missing=()
  local -A taken=()
  copied ls-files -z >"$work/taken"
  while IFS= read -r -d '' name; do taken[/$name]=1; done <"$work/taken"
  for name in ${endangered[@]+"${endangered[@]}"}; do
    [ -n "${taken[/$name]-}" ] || missing+=("$name")
  done
  [ ${#missing[@]} = 0 ] || 
    stop "$(say 'git cannot save %s' "$(some "${missing[@]}")")" "$(say 'nothing was discarded; move it out of the clone')"
}

# What is staged as one commit on HEAD, what lies on disk as one on top of that; `saved` is the last of them.
build_saved() {
  local tree parents=(${heads[@]+"${heads[@]}"})
  saved=$old
  # Secrets don't belong in a commit.
  [ ! -s "$work/tracked-protected" ] || copied rm -r -q -f --cached --ignore-unmatch -- "${protected_pathspec[@]}"
  if [ -z "$(copied ls-files -u)" ]; then
    tree=$(copied write-tree)
    add_saved
  fi
  copied add -u .
  if ! copied update-index --add --replace -z --stdin <"$work/endangered" >"$work/words" 2>&1; then
    tail -n 3 "$work/words" | printable >&2
    exit 1
  fi
  refuse_unsaved
  keep_line_endings
  tree=$(copied write-tree)
  add_saved
}

add_saved() {
  if [ ${#parents[@]} = 1 ] && [ "$tree" = "$(plain rev-parse "${parents[0]}^{tree}")" ]; then return; fi
  saved=$(new_commit "$tree" ${parents[@]+"${parents[@]}"})
  parents=("$saved")
}

keep() { # NAME COMMIT NEW_BRANCH
  plain update-ref "$saved_refs/$1" "$2" ''
  [ "$(plain rev-parse -q --verify "$saved_refs/$1^{commit}")" = "$2" ]
  bring_back+=("$(as_owner)git -C $(quoted "$path") checkout -b $3 $saved_refs/$1")
}

save() {
  local command
  doing=$(say 'what would be lost could not be saved, so nothing was discarded · see the lines above')
  bring_back=()
  if [ ${#changes[@]} != 0 ] || [ ${#endangered[@]} != 0 ] || [ "$unpushed_here" != 0 ]; then
    build_saved
    keep head "$saved" "recovered-$run"
  fi
  [ "$unpushed_on_branch" = 0 ] || keep branch "$local_branch" "recovered-$run-branch"
  doing=
  say 'saved %s' "$losses"
  for command in "${bring_back[@]}"; do say 'bring it back: %s' "$command"; done
}

# The reset would delete a protected file that the index has and the planned commit has not. And where
# --skip-worktree or --assume-unchanged marks a file, it stops as soon as the file was so much as touched: what is
# changed there is saved by now, so those that the reset has to write lose the mark.
prepare_index() {
  local name
  local -A written=()
  [ ! -s "$work/tracked-protected" ] ||
    changing rm -r -q -f --cached --ignore-unmatch -- "${protected_pathspec[@]}"
  for name in ${changes[@]+"${changes[@]}"}; do written[/$name]=1; done
  while IFS= read -r -d '' name; do written[/$name]=1; done <"$work/differs"
  while IFS= read -r -d '' name; do
    [ -z "${written[/$name]-}" ] || printf '%s\0' "$name"
  done <"$work/hidden" >"$work/marked"
  [ -s "$work/marked" ] || return 0
  changing update-index --no-assume-unchanged -z --stdin <"$work/marked"
  changing update-index --no-skip-worktree -z --stdin <"$work/marked"
}

# Otherwise git would believe for ever that it is in the middle of something.
drop_unfinished() {
  if [ -e "$git_folder/rebase-apply/applying" ]; then
    plain am --quit
  elif [ -d "$git_folder/rebase-merge" ] || [ -d "$git_folder/rebase-apply" ]; then
    plain rebase --quit
  fi
  [ ! -d "$git_folder/sequencer" ] || plain cherry-pick --quit
}

# Room for what an undo has to write back, taken before anything is written.
reserve() {
  local bytes
  [ -n "$old" ] || return 0
  bytes=$(plain diff-tree -r --no-renames "$old" "$revision" | awk '$3 !~ /^0+$/ {print $3}' |
    plain cat-file --batch-check='%(objectsize)' | awk '$1 ~ /^[0-9]+$/ {sum += $1} END {print sum + 65536}')
  head -c "$bytes" /dev/zero >clone.reserve 2>/dev/null ||
    stop "$(say 'no room for %s bytes in %s, which an undo would need' "$bytes" "$PWD")" \
      "$(say 'nothing was changed; free some space')"
}

move() {
  doing=$(say 'git could not bring the clone to %s · see the lines above' "${revision:0:7}")
  # For sync.undo.sh, with clone.after.
  printf '%s\n' "$old" "$position" "$local_branch" >clone.before
  moving=1
  # Of what the remote has no more, nothing would keep the release to go back to; another branch keeps its own.
  if [ -n "$old" ] && [[ $position == "refs/heads/$branch" || -z $position ]] && ! plain merge-base --is-ancestor "$old" "$tracking" 2>/dev/null; then
    plain update-ref "refs/hot-update/left/$old" "$old"
  fi
  prepare_index
  drop_unfinished
  if [ "$position" = "refs/heads/$branch" ]; then
    changing reset -q --hard "$revision"
  else
    changing checkout -q -f --no-track -B "$branch" "$revision" --
  fi
  plain status --porcelain -z -uno --no-renames --ignore-submodules=all >"$work/left"
  if [ "$(plain rev-parse HEAD)" != "$revision" ] || [ "$(plain symbolic-ref -q HEAD)" != "refs/heads/$branch" ]; then
    stop "$(say 'the clone is not at %s on %s after the reset' "${revision:0:7}" "$branch")" \
      "$(say 'another git may be at work in it')"
  fi
  read_names "$work/left" left
  [ ${#left[@]} = 0 ] ||
    stop "$(say 'after the reset to %s the work tree still differs: %s' "${revision:0:7}" "$(some "${left[@]#???}")")" \
      "$(say 'see git diff there; line ending or filter rules in .gitattributes do this')"
  : >clone.after
  doing=
}

report() {
  local ahead behind=0 words
  if [ "$old" = "$revision" ]; then
    say '%s: at %s' "$branch" "${revision:0:7}"
    return
  fi
  ahead=$(plain rev-list --count ${old:+"^$old"} "$revision")
  [ -z "$old" ] || behind=$(plain rev-list --count "$revision..$old")
  words=$(counted "$ahead" '%s commit' '%s commits')
  [ "$behind" = 0 ] || words=$(say '%s, %s left behind' "$words" "$behind")
  if [ -n "$old" ]; then
    say '%s: %s -> %s (%s)' "$branch" "${old:0:7}" "${revision:0:7}" "$words"
  else
    say '%s: %s (%s)' "$branch" "${revision:0:7}" "$words"
  fi
  [ "$ahead" = 0 ] || plain log --no-show-signature --no-color --abbrev=7 --format='  %h %s' -n 5 ${old:+"^$old"} "$revision" | printable
}

lock=$git_folder/index.lock
work=$(owned_folder)
asked=
if [ -n "$back" ] || [ "$via" = laptop ] || { [ -n "${ahead-}" ] && ask_remote; }; then asked=1; fi
await_turn
refuse_locked
if [ -z "$back" ]; then
  [ -n "$asked" ] || fetch
  refuse_unreachable
fi
find_losses "$revision"
refuse_protected
describe_losses
if [ -n "$losses" ] && [ -z "$discard" ]; then
  stop "$(say '%s would be lost' "$losses")" \
    "$(say 'nothing was changed; --discard saves this under %s and then discards it' "$saved_refs")"
fi
if [ "$losses" = '' ] && [ "$old" = "$revision" ] && [ "$position" = "refs/heads/$branch" ] &&
  [ ${#unfinished[@]} = 0 ] && [ ! -s "$work/tracked-protected" ]; then
  doing=
  say 'already at %s' "${revision:0:7}"
  exit 0
fi
reserve
[ -z "$losses" ] || save
move
report
