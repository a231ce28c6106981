#!/usr/bin/env bash
# Starts a fleet on this machine: PostgreSQL, replicas of serin that share it, and nginx in front of them, in one temporary
# folder. Prints the addresses and stays until Ctrl-C; with --check it runs both scenarios, a rollout by plan and short
# checks through nginx instead. Needs PostgreSQL and nginx (scripts/setup.sh installs both) and Python 3.9 or newer.
# Usage: scripts/fleet.sh [--serin PATH] [--replicas N] [--check]    (--help shows what else it measures)
set -euo pipefail

exec "${PYTHON:-python3}" "$(dirname "${BASH_SOURCE[0]}")/fleet" "$@"
