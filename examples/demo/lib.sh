# Helpers of the demo's parts. Needs $SERVER (the load balancer) and $CLUSTER.

# step TEXT: what comes next, with the seconds since the start.
step() { printf '\n-- [%3d s] %s\n' "$SECONDS" "$*"; }

fail() {
  echo "demo: $*" >&2
  exit 1
}

# get PATH: a GET through the load balancer.
get() { curl -fsS --max-time 30 "$SERVER$1"; }

leader() { get /v1/leader | jq -re .replica; }
epoch() { get /v1/leader | jq -re .epoch; }
job_state() { get "/v1/jobs/$1" | jq -re .state; }

# eventually SECONDS WHAT COMMAND…: repeats the command until it succeeds.
eventually() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    ((SECONDS < deadline)) || fail "waited in vain until $what"
    sleep 0.1
  done
}

# ended JOB: whether it ended; anything but FINISHED fails the demo.
ended() {
  local state
  state=$(job_state "$1")
  case $state in
    FINISHED) return 0 ;;
    FAILED | CANCELED) fail "job $1 is $state: $(get "/v1/jobs/$1/exceptions")" ;;
    *) return 1 ;;
  esac
}

new_job_id() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }

# submit FILE JOB-ID: exactly one request, through the load balancer; anything but 202 fails.
submit() {
  local answer
  answer=$(curl -sS --max-time 30 -o "$CLUSTER/answer.json" -w '%{http_code}' -X PUT \
    -H 'Content-Type: application/json' --data-binary @"$1" "$SERVER/v1/jobs/$2")
  [[ $answer == 202 ]] || fail "submission of $1 answered $answer: $(cat "$CLUSTER/answer.json")"
}
