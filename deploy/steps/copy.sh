# Make the app's folder in the container equal to the commit, from what is staged beside it.
# Expects commit.sh and what that expects, staged (the proof has staged the whole commit already).

# What git does not know cannot be had back from git, so it is kept here before it is replaced or removed.
save_unknown() {
  git_ cat-file --batch-check <"$work/had" | awk '$2 == "missing" {print $1}' >"$work/unknown"
  [ -s "$work/unknown" ] || return 0
  saved=$(state_folder)/saved/$run.tar
  mkdir -p "${saved%/*}"
  inside save "$inside_settings" <"$work/unknown" >"$saved"
  [ "$EUID" != 0 ] || chown --reference="$path" "${saved%/*}" "$saved"
}

scan
save_unknown
[ -n "$staged" ] || stage false
: >"copied-$container"
apply
[ ! -s "$work/unknown" ] || say 'saved on the host: %s (look into it: %s)' "$saved" "tar -tvf '$saved'"
