# A parallel word count over the licences that every Debian carries; `wc` knows the right answer.

word_count() {
  step "parallel word count over /usr/share/common-licenses"
  local id expected counted
  id=$(new_job_id)
  submit "$EXAMPLES/word-count/job.json" "$id"
  eventually 30 "the word count finished" ended "$id"
  expected=$(cat /usr/share/common-licenses/* | wc -w)
  counted=$(cat "$SHARED/word-count/total")
  [[ $counted == "$expected" ]] || fail "counted $counted words, wc counts $expected"
  echo "$counted words, as wc counts them"
}
