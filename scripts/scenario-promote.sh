#!/usr/bin/env bash
# Scenario 2, a healthy canary: deploy it, see no alert, promote it to be the stable model.
# Usage: scripts/scenario-promote.sh [BASE_URL]    (default http://127.0.0.1:8000)
# Exit code 0 only if every step showed what it must; the last step leaves no canary.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
trap leave_no_canary EXIT

begin
deploy
healthy_burst

step "Promote"
ask POST /admin/promote-canary
ask GET /admin/status
expect "stable" "$CANDIDATE" "$(value stable.version)"
expect "canary" null "$(value canary)"
expect "state" idle "$(value state)"
DEPLOYED=no
settle

step "The new stable model answers every request"
predict 50
expect "answered by the canary" 0 "$CANARY"

printf '\nDone: %s is the stable model now.\n' "$CANDIDATE"
