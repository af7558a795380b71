# The leader is killed again and again under load.

drill() {
  step "drill: 5 rounds of SIGKILL for the leader, 20 submissions a second, 20 long tasks running"
  local report=$CLUSTER/drill.json
  baton drill --dir "$CLUSTER" --rounds 5 --rate 20 --json >"$report" ||
    fail "the drill failed: $(cat "$report")"
  jq . "$report"
  jq -e '.passed and .lost == 0 and .duplicated == 0 and .restarted == 0 and (.rounds | length) == 5
         and all(.rounds[]; .clientErrors == 0 and .tasksRestarted == 0)' "$report" >/dev/null ||
    fail "a job was lost, run twice, restarted or answered with an error"
  jq -e 'all(.rounds[]; .newEpochMs < 250 and .ackGapMs < 500)' "$report" >/dev/null ||
    fail "a failover took longer than 250 ms to the new epoch or 500 ms between acknowledgements"
  jq -r '"new epoch after (ms): \([.rounds[].newEpochMs] | join(", "))",
         "longest gap between acknowledged submissions (ms): \([.rounds[].ackGapMs] | join(", "))",
         "acknowledged: \(.acknowledged) of \(.submitted); lost 0, duplicated 0, restarted 0"' \
    "$report"
}
