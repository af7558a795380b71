#include "cli/drill/report.h"

#include <cmath>

#include "nlohmann/json.hpp"

namespace baton {
namespace {

double Tenths(double value) { return std::round(value * 10) / 10; }

nlohmann::ordered_json ToJson(const DrillRound& round, const std::string& fault) {
  nlohmann::ordered_json json;
  if (fault == "kill") json = {{"killed", round.victim}, {"exitStatus", round.done}};
  json.update({{"victim", round.victim},
               {"done", round.done},
               {"epochBefore", round.epoch_before},
               {"epochAfter", round.epoch_after},
               {"newEpochMs", Tenths(round.new_epoch_ms)},
               {"recoveryMs", Tenths(round.recovery_ms)},
               {"ackGapMs", Tenths(round.ack_gap_ms)},
               {"clientErrors", round.client_errors},
               {"tasksRestarted", round.tasks_restarted},
               {"expectedRestarts", round.expected_restarts}});
  return json;
}

}  // namespace

std::string ToJson(const DrillReport& report) {
  nlohmann::ordered_json rounds = nlohmann::ordered_json::array();
  for (const DrillRound& round : report.rounds) {
    rounds.push_back(ToJson(round, report.fault));
  }
  const nlohmann::ordered_json json{{"fault", report.fault},
                                    {"sessionTimeoutMs", report.session_timeout_ms},
                                    {"rounds", rounds},
                                    {"submitted", report.submitted},
                                    {"acknowledged", report.acknowledged},
                                    {"requestsPerReplica", report.requests_per_replica},
                                    {"lost", report.lost},
                                    {"duplicated", report.duplicated},
                                    {"restarted", report.restarted},
                                    {"expectedDuplicates", report.expected_duplicates},
                                    {"expectedRestarts", report.expected_restarts},
                                    {"passed", report.Passed()}};
  return json.dump(2);
}

}  // namespace baton
