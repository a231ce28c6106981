# shellcheck shell=bash
# shellcheck disable=SC2034 # the scenarios read what is set here
# Shared by the two scenarios: print steps, send requests, read JSON, fail with a clear message.
# Needs only curl and awk.

BASE_URL=${1:-http://127.0.0.1:8000}
BASE_URL=${BASE_URL%/}
CUSTOMER='{"features": [0.5, 1.2, 0.8, 0.3, 1.1]}'
REPLICAS=1
BURST=200   # predictions of a healthy canary
DEPLOYED=no # yes while the scenario's canary is deployed; `leave_no_canary` reads it

step() { printf '\n%s\n' "$*"; }
show() { printf '  %s\n' "$*"; }

fail() {
  printf '\nFAILED: %s\n' "$*" >&2
  exit 1
}

# expect WHAT WANTED SEEN
expect() {
  [[ $3 == "$2" ]] || fail "$1: expected ${2:-nothing}, saw ${3:-nothing}"
  show "$1: ${3:-nothing}"
}

# Sends one request and stores the answer in $BODY. An unexpected status ends the scenario.
# ask METHOD PATH [JSON] [WANTED_STATUS]
ask() {
  local method=$1 path=$2 json=${3:-} wanted=${4:-200} answer status
  local options=(--silent --show-error --max-time 30 --request "$method" --write-out '\n%{http_code}')
  if [[ -n $json ]]; then
    options+=(--header 'Content-Type: application/json' --data "$json")
  fi
  answer=$(curl "${options[@]}" "$BASE_URL$path") ||
    fail "$method $BASE_URL$path: no answer; is the server running? ('make run' starts one)"
  status=${answer##*$'\n'}
  BODY=${answer%$'\n'*}
  [[ $status == "$wanted" ]] || fail "$method $path: expected status $wanted, saw $status: $BODY"
}

# Prints the value at a dotted path of the JSON in $BODY: `value canary.samples`. An object prints
# as {}, a list as [], an absent member as nothing.
value() {
  json_lines <<<"$BODY" | awk -F '\t' -v path="$1" '
    $1 == path && !found { print substr($0, length($1) + 2); found = 1 }
  '
}

# Turns JSON into lines of path, tab, value; escapes within strings stay as they are.
json_lines() {
  awk '
    { text = text $0 "\n" }
    END {
      depth = 0
      while (length(text) > 0) {
        if (match(text, /^[ \t\r\n]+/)) { text = substr(text, RLENGTH + 1); continue }
        if (match(text, /^"([^"\\]|\\.)*"/)) {
          word = substr(text, 2, RLENGTH - 2); text = substr(text, RLENGTH + 1)
          if (kind[depth] == "{" && awaits_name) { name[depth] = word; awaits_name = 0 }
          else print where() "\t" word
          continue
        }
        mark = substr(text, 1, 1)
        if (mark ~ /[{\[\]},:]/) {
          text = substr(text, 2)
          if (mark == "{" || mark == "[") {
            print where() "\t" (mark == "{" ? "{}" : "[]")
            depth++; kind[depth] = mark; name[depth] = 0; awaits_name = (mark == "{")
          } else if (mark == "}" || mark == "]") { depth--; awaits_name = 0 }
          else if (mark == ",") {
            if (kind[depth] == "[") name[depth]++
            else awaits_name = 1
          }
          continue
        }
        if (!match(text, /^[-+.0-9A-Za-z]+/)) exit 1
        print where() "\t" substr(text, 1, RLENGTH); text = substr(text, RLENGTH + 1)
      }
    }
    function where(   path, i) {
      for (i = 1; i <= depth; i++) path = path (i > 1 ? "." : "") name[i]
      return path
    }
  '
}

# Sends this many predictions over one connection and counts the answers per track: $STABLE, $CANARY.
# predict COUNT
predict() {
  local count=$1 answers not_ok
  answers=$(for ((n = 0; n < count; n++)); do printf 'url = "%s/predict"\n' "$BASE_URL"; done |
    curl --silent --show-error --max-time 120 --config - --header 'Content-Type: application/json' \
      --data "$CUSTOMER" --write-out '\nstatus %{http_code}\n') ||
    fail "POST $BASE_URL/predict: the connection broke"
  not_ok=$(grep '^status ' <<<"$answers" | grep -vc '^status 200$' || true)
  [[ $not_ok == 0 ]] || fail "$not_ok of $count predictions were refused: $(grep -B 1 -m 1 '^status [^2]' <<<"$answers")"
  STABLE=$(grep -c '"model_used": *"stable"' <<<"$answers" || true)
  CANARY=$(grep -c '"model_used": *"canary"' <<<"$answers" || true)
  ((STABLE + CANARY == count)) ||
    fail "$count predictions: expected as many answers naming stable or canary, saw $STABLE and $CANARY"
  show "$count predictions answered: $STABLE by stable, $CANARY by the canary"
}

# Waits until each replica of a fleet follows the journal up to the revision in $BODY. One server alone does at once.
settle() {
  local revision patience=100
  revision=$(value revision)
  while json_lines <<<"$BODY" | awk -F '\t' -v newest="$revision" '
    $1 ~ /^fleet[.]replicas[.][0-9]+[.]revision$/ && $2 < newest { behind = 1 }
    END { exit !behind }
  '; do
    ((patience-- > 0)) || fail "a replica does not follow the journal up to revision $revision: $BODY"
    sleep 0.1
    ask GET /admin/status
  done
}

# Runs the health check, stores it in $BODY and shows it. In a fleet, replicas hand each other what they have seen once a
# second, so it is run again until each of them has this value at this path, for ten seconds at most.
# check_health PATH WANTED
check_health() {
  local path=$1 wanted=$2 patience=50 seen=0
  while ask GET /admin/check-canary-health && ((REPLICAS > 1 && patience-- > 0)); do
    if [[ $(value "$path") == "$wanted" ]]; then
      ((++seen < REPLICAS)) || break
    else
      seen=0
      sleep 0.2
    fi
  done
  local track
  for track in stable canary; do
    show "$track: $(value "$track.samples") samples, mean latency $(value "$track.mean_ms") ms"
  done
  local message
  message=$(value message)
  show "$(value status): ${message//\\\"/\"}"
}

# The start of both scenarios: no canary, no slowdown, and a candidate that differs from the stable version
# (so that the scenarios can run again after a promotion).
begin() {
  step "Start: $BASE_URL must serve a stable model and have no canary"
  ask GET /admin/status
  STABLE_VERSION=$(value stable.version)
  [[ -n $STABLE_VERSION ]] || fail "the status names no stable version: $BODY"
  REPLICAS=$(json_lines <<<"$BODY" | grep -c '^fleet[.]replicas[.][0-9]*[.]is_up.true$' || true)
  if ((REPLICAS > 1)); then
    # The canary's share is exact on each replica, over each twenty requests. The last ones of each may be fewer.
    BURST=$((200 + 40 * REPLICAS))
    show "replicas: $REPLICAS"
  fi
  [[ $(value canary) == null ]] ||
    fail "a canary is already deployed ($(value canary.version)); roll it back first: curl -X POST $BASE_URL/admin/rollback-canary"
  show "canary: none"
  expect "slowdown" false "$(value simulate_slowdown)"
  show "stable: $STABLE_VERSION"
  CANDIDATE=model_v2
  if [[ $STABLE_VERSION == "$CANDIDATE" ]]; then
    CANDIDATE=model_v1
    show "model_v2 is stable already, so model_v1 is the candidate this time"
  fi
}

# deploy: the candidate becomes the canary and gets a tenth of the traffic.
deploy() {
  step "Deploy models/$CANDIDATE.bin as the canary"
  ask POST /admin/deploy-canary "{\"model_path\": \"models/$CANDIDATE.bin\"}"
  DEPLOYED=yes
  ask GET /admin/status
  expect "canary" "$CANDIDATE" "$(value canary.version)"
  expect "state" running "$(value state)"
  settle
}

# Runs at every exit: removes the canary and the slowdown that the scenario left.
leave_no_canary() {
  [[ $DEPLOYED == yes ]] || return 0
  printf '\nRolling the canary back, because the scenario did not finish.\n' >&2
  curl --silent --max-time 10 --output /dev/null --request POST "$BASE_URL/admin/rollback-canary" || true
  curl --silent --max-time 10 --output /dev/null --header 'Content-Type: application/json' \
    --data '{"enabled": false}' "$BASE_URL/admin/toggle-slowdown" || true
}

# The first part of both scenarios: traffic with a healthy canary, and a health check without an alert.
healthy_burst() {
  step "$BURST predictions, a tenth of them for the canary"
  predict "$BURST"
  if ((REPLICAS > 1)); then
    local tenth=$((BURST / 10)) less=$((2 * REPLICAS))
    ((CANARY >= tenth - less && CANARY <= tenth + less)) ||
      fail "answered by the canary: expected $tenth, at most $less more or less, saw $CANARY"
  else
    expect "answered by the canary" 20 "$CANARY"
  fi

  step "Health check: the canary is as fast as stable"
  check_health canary.samples "$CANARY"
  expect "alert" false "$(value alert_triggered)"
  expect "canary samples" "$CANARY" "$(value canary.samples)"
}
