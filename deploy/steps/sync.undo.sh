# Bring the clone back to where it was before the sync, unless somebody has worked in it since.
# Expects worktree.sh and what that expects, revision. What the sync saved before it discarded it stays under its ref.
work=
trap '[ -z "$work" ] || rm -rf "$work"' EXIT

leave_alone() { # FORMAT VALUE...
  say '%s: the clone is left as it is' "$(say "$@")" >&2
  exit 1
}

refuse_later_work() {
  work=$(owned_folder)
  find_losses "$now"
  [ ${#changes[@]} = 0 ] || leave_alone '%s was changed in the clone meanwhile' "${changes[0]}"
}

# A reset that was cut short left files that its index does not know yet. Nobody else's lies there: the sync refuses or
# saves those first.
take_out_new() {
  local name
  plain diff-tree -r -z --name-only --no-renames --diff-filter=A "$was" "$revision" | while IFS= read -r -d '' name; do
    if [ -d "$path/$name" ] && [ ! -L "$path/$name" ]; then continue; fi
    rm -f -- "$path/$name"
    (cd "$path" && rmdir -p -- "$(dirname -- "$name")" 2>/dev/null) || true
  done
}

rm -f clone.reserve
[ -s clone.before ] || exit 0
{ read -r was; read -r was_on; read -r tip; } <clone.before
[ -n "$was" ] || leave_alone 'the clone had no commit before'
now=$(plain rev-parse -q --verify HEAD || true)
if [ "$now" != "$was" ] && [ "$now" != "$revision" ]; then leave_alone 'the clone is at %s meanwhile' "${now:0:7}"; fi
if [ -e clone.after ]; then
  refuse_later_work
else
  # A git of this run that was killed may have left its lock; its processes are gone by now.
  rm -f "$git_folder/index.lock"
  take_out_new
fi
if [ "$was_on" != "refs/heads/$branch" ] && [ -n "$tip" ]; then plain update-ref "refs/heads/$branch" "$tip"; fi
if [ -n "$was_on" ]; then
  plain checkout -q -f --no-track -B "${was_on#refs/heads/}" "$was" --
else
  plain checkout -q -f --detach "$was" --
fi
say 'the clone is at %s again' "${was:0:7}"
