# Seven recorded scientific workflows, all at once, each task holding its slot for its recorded
# runtime in miniature. The tasks' own traces show the order and that each ran exactly once.

# The factor that brings a workflow down to about 4 s: by its longest path or, where that is
# longer, by its total work over the slots of the cluster.
time_scale() {
  jq -r --argjson slots 48 '
    (.workflow.execution.tasks | map({(.id): .runtimeInSeconds}) | add) as $runtime
    | .workflow.specification.tasks as $tasks
    | def settle: . as $done
        | reduce ($tasks[] | select($done[.id] == null)) as $t ($done;
            if all($t.parents[]; $done[.] != null)
            then .[$t.id] = $runtime[$t.id] + ([$done[$t.parents[]]] | max // 0)
            else . end)
        | if length == ($tasks | length) or length == ($done | length) then . else settle end;
      ([{} | settle | .[]] | max) as $path
    | 4 / ([$path, ([$runtime[]] | add) / $slots] | max)' "$1"
}

# check_trace GRAPH TRACE: every vertex has one start and one end, and starts after its parents'
# ends. All tasks append to one file, so that the order of its lines is the order of the events.
check_trace() {
  jq -r '(.vertices[] | "vertex \(.id)"), (.edges[] | "edge \(.source) \(.target)")' "$1" |
    awk '
      $1 == "vertex" { vertices[$2]; next }
      $1 == "edge" { sources[$3] = sources[$3] " " $2; next }
      $1 == "start" || $1 == "end" { at[$1, $2] = NR; ++lines[$1, $2]; next }
      { print "not a trace line: " $0; bad = 1 }
      END {
        for (v in vertices) {
          ++n
          if (lines["start", v] != 1 || lines["end", v] != 1) {
            print v " started " lines["start", v] + 0 " and ended " lines["end", v] + 0 " times"
            bad = 1
          }
          count = split(sources[v], source, " ")
          for (i = 1; i <= count; ++i)
            if (at["end", source[i]] == "" || at["end", source[i]] > at["start", v]) {
              print v " started before its parent " source[i] " ended"
              bad = 1
            }
        }
        if (n == 0) { print "no vertices"; bad = 1 }
        exit bad
      }' - "$2"
}

run_workflows() {
  step "seven recorded workflows at once, the order of their tasks checked from their own traces"
  local file name scale id start=$SECONDS ids=()
  for file in "$EXAMPLES"/workflows/*.json; do
    name=$(basename "$file" .json)
    scale=$(time_scale "$file")
    baton import "$file" --time-scale "$scale" --output "$CLUSTER/$name.json"
    id=$(new_job_id)
    submit "$CLUSTER/$name.json" "$id"
    ids+=("$id $name")
  done
  ((${#ids[@]} == 7)) || fail "expected seven workflows, found ${#ids[@]}"
  for file in "${ids[@]}"; do
    read -r id name <<<"$file"
    eventually 90 "workflow $name finished" ended "$id"
    check_trace "$CLUSTER/$name.json" "$SHARED/trace/$id" ||
      fail "workflow $name ran out of order (trace: $SHARED/trace/$id)"
    printf '%-42s %4d tasks, %4d edges, in order, each once\n' "$name" \
      "$(jq '.vertices | length' "$CLUSTER/$name.json")" \
      "$(jq '.edges | length' "$CLUSTER/$name.json")"
  done
  echo "all seven finished in $((SECONDS - start)) s"
}
