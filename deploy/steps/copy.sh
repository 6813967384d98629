# Make the app's folder in the container equal to the commit. Names never pass through the host's shell: only blob ids.
# Expects besides the shared variables: revision, run, recorded (the container has a complete record).
umask 077
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Every path that a branch, a remote branch or a tag of the repository ever had.
history() {
  git_ log --format= --name-only --no-renames -z --branches --remotes --tags "$revision" | grep -zv '^$' | sort -zu || true
}

{
  entries "$revision"
  [ -n "$recorded" ] || history
  printf '\0'
} | inside scan "$inside_settings" >"$work/scan"
sed -n 's/^need //p' "$work/scan" >"$work/need"

# What git does not know cannot be had back from git, so it is kept here before it is replaced or removed.
sed -n 's/^had //p' "$work/scan" | git_ cat-file --batch-check | awk '$2 == "missing" {print $1}' >"$work/unknown"
if [ -s "$work/unknown" ]; then
  saved=$(state_folder)/saved/$run.tar
  mkdir -p "${saved%/*}"
  inside save "$inside_settings" <"$work/unknown" >"$saved"
  [ "$(id -u)" != 0 ] || chown --reference="$path" "${saved%/*}" "$saved"
fi

need_bytes=$(git_ cat-file --batch-check='%(objectsize)' <"$work/need" | awk '{sum += $1} END {print sum + 0}')
git_ cat-file --batch <"$work/need" | inside apply "${inside_settings%\}}, \"need_bytes\": $need_bytes}"
[ ! -s "$work/unknown" ] || echo "saved on the host: $saved (look into it: tar -tvf '$saved')"
