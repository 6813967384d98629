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

# What the copy will have to do: in work/need the blobs that it needs, in work/had those that it does away with.
scan() {
  inside scan "$inside_settings" tell_commit >"$work/scan"
  sed -n 's/^need //p' "$work/scan" >"$work/need"
  sed -n 's/^had //p' "$work/scan" >"$work/had"
}

tell_commit() {
  hear_base
  entries "$base" "$revision"
  [ -n "$recorded" ] || history
  printf '\0'
}

# apply: move what is staged into the app's folder. It is told which of the derived files have bytes that git knows, and
# so were not changed by hand.
apply() {
  local known
  known=$(sed -n 's/^made //p' "$work/scan" | git_ cat-file --batch-check |
    awk '$2 == "blob" {printf "%s\"%s\"", sep, $1; sep = ", "}')
  inside apply "${inside_settings%\}}, \"known\": [$known], \"shallow\": $(git_ rev-parse --is-shallow-repository)}" </dev/null
}

# stage WHOLE: build the files beside the app's folder; `true`: all of them, to run the app from. Prints where then.
stage() {
  local bytes
  bytes=$(git_ cat-file --batch-check='%(objectsize)' <"$work/need" | awk '{sum += $1} END {print sum + 0}')
  git_ cat-file --batch <"$work/need" | inside stage "${inside_settings%\}}, \"need_bytes\": $bytes, \"whole\": $1}"
}
