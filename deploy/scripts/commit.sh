# Brings a commit's files into the container, beside the app's folder. Names never pass through the host's shell: only
# blob ids do. Expects containers.sh, trees.sh and what these expect, revision, run, recorded (the container has a complete record), killed_before.
umask 077
work=$(owned_folder)
trap 'tell_killed $?; rm -rf "$work"' EXIT
scratch=$work
know_submodules

# Every path that a branch, a remote branch or a tag of the repository ever had.
history() {
  git_ log --format= --name-only --no-renames -z --branches --remotes --tags "$revision" | grep -zv '^$' | sort -zu || true
}

# bring WHOLE: in one go find what the container lacks of the commit, send it there, and, where it may_apply, move it into
# the app's folder; `true`: build the whole commit beside that folder instead, to run the app from, and print where.
bring() {
  whole=$1
  inside bring "${inside_settings%\}}, \"whole\": $1}" send_commit
}

# may_apply: can it be moved in at once? Who has something to do before that says no.
may_apply() { true; }

send_commit() {
  local apply=false bytes
  hear_base
  entries "$base" "$revision"
  [ -n "$recorded" ] || history
  printf '\0'
  # In work/had the blobs that the copy does away with, in work/made those of the derived files.
  hear_lists need had made
  [ "$whole" = true ] || ! may_apply || apply=true
  bytes=$(git_ cat-file --batch-check='%(objectsize)' <"$work/need" | awk '{sum += $1} END {print sum + 0}')
  printf '%s\n' "{\"need_bytes\": $bytes, \"apply\": $apply, $(judged)}"
  git_ cat-file --batch <"$work/need"
}

# apply: move what is staged into the app's folder.
apply() { inside apply "${inside_settings%\}}, $(judged)}" </dev/null; }

# judged: for apply, which of the derived files have bytes that git knows, and so were not changed by hand.
judged() {
  local known
  known=$(git_ cat-file --batch-check <"$work/made" | awk '$2 == "blob" {printf "%s\"%s\"", sep, $1; sep = ", "}')
  printf '%s' "\"known\": [$known], \"shallow\": $(git_ rev-parse --is-shallow-repository)"
}
