#!/usr/bin/env bash
# Scenario 1, a slow canary: deploy it, see no alert, slow it down, see the alert, roll it back.
# Usage: scripts/scenario-rollback.sh [BASE_URL]    (default http://127.0.0.1:8000)
# Exit code 0 only if every check passed. Leaves no canary.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
trap leave_no_canary EXIT

begin
deploy
healthy_burst

step "Slow the canary down"
ask POST /admin/toggle-slowdown
expect "slowdown" true "$(value simulate_slowdown)"
show "every answer of the canary now takes $(value delay_ms) ms longer"
ask GET /admin/status
settle

step "200 more predictions"
predict 200

step "Health check: the canary is slower than stable"
check_health alert_triggered true
expect "alert" true "$(value alert_triggered)"

step "Roll back"
ask POST /admin/rollback-canary
ask GET /admin/status
expect "canary" null "$(value canary)"
expect "state" idle "$(value state)"
expect "stable" "$STABLE_VERSION" "$(value stable.version)"
expect "slowdown" false "$(value simulate_slowdown)"
DEPLOYED=no
settle

step "Stable answers every request again"
predict 50
expect "answered by the canary" 0 "$CANARY"

printf '\nDone: the slow canary was detected and rolled back.\n'
