# Decides about a run, unless that was done already; says what was decided and by whom, or that the run has ended.
# Expects: path, run, choice (confirm or undo), who.
set -euo pipefail
cd "$(state_folder)/runs/$run"
if grep -qE $'^[0-9.]+\tdone\t' journal; then
  record ended ''
  exit
fi
record "$choice" "$who" >"decision.$$"
ln "decision.$$" decision 2>/dev/null || true
rm -f "decision.$$"
[ "$EUID" != 0 ] || chown --reference="$path" decision
cat decision
