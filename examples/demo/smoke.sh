# The leader dies while its only job runs: the next leader adopts the running task.

smoke_job() {
  jq -n '{name: "smoke", vertices: [{id: "task", command: ["sh", "-c",
    "echo start $$ >>\"$BATON_SHARED_DIR/smoke\"; sleep 3; echo end $$ >>\"$BATON_SHARED_DIR/smoke\""]}]}'
}

task_started() { [[ -s $SHARED/smoke ]]; }
epoch_is_above() { (($(epoch) > $1)); }

smoke() {
  step "smoke: one task; its leader is killed with SIGKILL while it runs"
  local id before killed
  id=$(new_job_id)
  smoke_job >"$CLUSTER/smoke.json"
  submit "$CLUSTER/smoke.json" "$id"
  eventually 20 "the task started" task_started
  before=$(epoch)
  killed=$(leader)
  baton cluster kill --dir "$CLUSTER" leader >>"$CLUSTER/demo.log"
  eventually 20 "a new leader leads" epoch_is_above "$before"
  echo "killed $killed of epoch $before; now $(leader) leads epoch $(epoch)"
  eventually 30 "the job finished" ended "$id"
  # One start, one end, by one process: adopted, not restarted.
  [[ $(cut -d' ' -f1 "$SHARED/smoke" | xargs) == "start end" ]] ||
    fail "the task did not run exactly once: $(xargs <"$SHARED/smoke")"
  [[ $(cut -d' ' -f2 "$SHARED/smoke" | sort -u | wc -l) == 1 ]] || fail "the task was restarted"
  baton cluster restart --dir "$CLUSTER" "$killed" >>"$CLUSTER/demo.log"
  echo "job $id FINISHED under the next leader; its task ran once, undisturbed"
}
