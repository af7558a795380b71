#include "cli/chaos/chaos_report.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "cli/chaos/numbers.h"
#include "fmt/core.h"
#include "fmt/format.h"
#include "nlohmann/json.hpp"

namespace baton {
namespace {

using Json = nlohmann::ordered_json;
using Values = std::vector<double>;

constexpr size_t kShownViolations = 20;

double Tenths(double value) { return std::round(value * 10) / 10; }

Values Of(const std::vector<ChaosRound>& rounds, double ChaosRound::*field) {
  Values values;
  for (const ChaosRound& round : rounds) {
    if (round.*field >= 0) values.push_back(round.*field);
  }
  return values;
}

Json Quantiles(const Values& values) {
  return Json{{"p50", Tenths(Quantile(values, 0.5))},
              {"p99", Tenths(Quantile(values, 0.99))},
              {"max", Tenths(Quantile(values, 1))}};
}

std::string Row(const std::string& name, const Values& values) {
  return fmt::format("| {} | {} | {:.0f} | {:.0f} | {:.0f} |\n", name, values.size(),
                     Quantile(values, 0.5), Quantile(values, 0.99), Quantile(values, 1));
}

// The gaps of those rounds in which the fault came alone.
Values GapsOf(const ChaosReport& report, const std::string& kind) {
  Values gaps;
  for (const ChaosRound& round : report.rounds) {
    const bool done_alone = round.kinds == std::vector{kind} && round.left_out.empty();
    if (done_alone) gaps.push_back(round.gap_ms);
  }
  return gaps;
}

std::string FaultTable(const ChaosReport& report) {
  std::string text =
      "| fault | | times | alone: longest gap between acknowledgements, ms: median | most |\n"
      "|---|---|---|---|---|\n";
  for (const ChaosTrait& trait : AllChaos()) {
    const auto count = report.fault_counts.find(trait.name);
    if (count == report.fault_counts.end()) continue;
    const Values gaps = GapsOf(report, trait.name);
    text += fmt::format("| {} | {} | {} | {} | {} |\n", trait.name, trait.fault, count->second,
                        gaps.empty() ? "" : fmt::format("{:.0f}", Quantile(gaps, 0.5)),
                        gaps.empty() ? "" : fmt::format("{:.0f}", Quantile(gaps, 1)));
  }
  return text;
}

std::string VerdictTable(const ChaosReport& report) {
  std::string text = "| | | judged | excused by a fault | |\n|---|---|---|---|---|\n";
  for (const Verdict& verdict : report.verdicts) {
    text += fmt::format("| {} | {} | {} | {} | {} |\n", verdict.name, verdict.what, verdict.checked,
                        verdict.excused,
                        verdict.holds()
                            ? "holds"
                            : fmt::format("**{} times violated**", verdict.violations.size()));
  }
  for (const Verdict& verdict : report.verdicts) {
    for (size_t i = 0; i < std::min(kShownViolations, verdict.violations.size()); ++i) {
      text += fmt::format("{}- {}: {}\n", i == 0 ? "\n" : "", verdict.name, verdict.violations[i]);
    }
  }
  return text;
}

}  // namespace

std::string ToMarkdown(const ChaosReport& report) {
  const ChaosOptions& options = report.options;
  std::string text = fmt::format(
      "# A run of chaos: {}\n\n"
      "`{}`, version {}, begun {} (load average then {:.1f}).\n\n"
      "Three replicas, {} TaskManagers, three ZooKeeper servers and HAProxy, each on a host "
      "(network namespace) of its own; session timeout {} ms, lease {} ms. {} rounds of faults in "
      "{} minutes, drawn from seed {}; {} elections.\n\n",
      !report.complete  ? "ended by an error"
      : report.Passed() ? "passed"
                        : "violations",
      report.command, report.version, report.started, report.load_average, options.workers,
      options.session.count(), options.lease.count(), report.rounds.size(),
      options.duration.count() / 60, options.seed, report.epochs);
  text += fmt::format(
      "Load: {} jobs at {:.1f} a second, {} acknowledged, {} requests of which {} were not "
      "acknowledged (and sent again under the same id); {} task processes, {} of them gone before "
      "they could be watched.\n\n",
      report.jobs, options.jobs_per_second, report.acknowledged, report.requests, report.unanswered,
      report.runs, report.unseen);
  text += "## Verdicts\n\n" + VerdictTable(report);
  text +=
      "\n## Recovery\n\nFrom the moment when the last fault is healed and every process that "
      "was started serves its port (ZooKeeper as an ensemble):\n\n"
      "| | rounds | median, ms | p99 | most |\n|---|---|---|---|---|\n";
  text += Row("one leader, all replicas agree", Of(report.rounds, &ChaosRound::agreed_ms));
  text += Row("a new job has run to its end", Of(report.rounds, &ChaosRound::new_job_ms));
  text +=
      Row("all tasks run, all short jobs have ended", Of(report.rounds, &ChaosRound::progress_ms));
  text += Row("(from the first fault on) longest gap between acknowledgements",
              Of(report.rounds, &ChaosRound::gap_ms));
  text += "\n## Faults\n\n" + FaultTable(report);
  return text;
}

std::string ToJson(const ChaosReport& report) {
  Json rounds = Json::array();
  for (const ChaosRound& round : report.rounds) {
    rounds.push_back(Json{{"number", round.number},
                          {"faults", round.faults},
                          {"lastedMs", Tenths((round.healed_ns - round.from_ns) / 1e6)},
                          {"agreedMs", Tenths(round.agreed_ms)},
                          {"newJobMs", Tenths(round.new_job_ms)},
                          {"progressMs", Tenths(round.progress_ms)},
                          {"ackGapMs", Tenths(round.gap_ms)},
                          {"epochs", round.epochs}});
  }
  Json verdicts = Json::array();
  for (const Verdict& verdict : report.verdicts) {
    verdicts.push_back(Json{{"name", verdict.name},
                            {"what", verdict.what},
                            {"judged", verdict.checked},
                            {"excused", verdict.excused},
                            {"holds", verdict.holds()},
                            {"violations", verdict.violations}});
  }
  const Json json{{"command", report.command},
                  {"version", report.version},
                  {"started", report.started},
                  {"seed", report.options.seed},
                  {"minutes", static_cast<double>(report.options.duration.count()) / 60},
                  {"passed", report.Passed()},
                  {"jobs", report.jobs},
                  {"acknowledged", report.acknowledged},
                  {"requests", report.requests},
                  {"unacknowledgedRequests", report.unanswered},
                  {"taskProcesses", report.runs},
                  {"unwatchedProcesses", report.unseen},
                  {"epochs", report.epochs},
                  {"faults", report.fault_counts},
                  {"agreedMs", Quantiles(Of(report.rounds, &ChaosRound::agreed_ms))},
                  {"newJobMs", Quantiles(Of(report.rounds, &ChaosRound::new_job_ms))},
                  {"progressMs", Quantiles(Of(report.rounds, &ChaosRound::progress_ms))},
                  {"ackGapMs", Quantiles(Of(report.rounds, &ChaosRound::gap_ms))},
                  {"verdicts", verdicts},
                  {"rounds", rounds}};
  return json.dump(2);
}

}  // namespace baton
