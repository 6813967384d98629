# Decides about a run, unless that was done already; says what was decided and by whom, or that the run has ended.
# Where the disk takes no decision it fails, and the host decides by itself.
# Expects: path, run, choice (confirm or undo), who, probe (what it met, for the history; else empty).
set -euo pipefail
cd "$(state_folder)/runs/$run"
if grep -qaE $'^[0-9.]+\tdone\t' journal; then
  record ended ''
  exit
fi
# On a full disk the decision goes without it.
[ -z "$probe" ] || printf '%s' "$probe" >probe || true
# As in runner.sh, for a full disk too.
if ! why=$(ln -sT "$(record "$choice" "$who")" decision 2>&1) && [ ! -L decision ]; then
  printf '%s\n' "$why" >&2
  exit 1
fi
[ "$EUID" != 0 ] || chown -h --reference="$path" decision
readlink decision
