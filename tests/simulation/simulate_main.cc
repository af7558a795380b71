// baton-simulate: a whole cluster under random faults, in one thread and virtual time.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "base/deliberate_break.h"
#include "base/log.h"
#include "fmt/format.h"
#include "tests/simulation/break_hunt.h"
#include "tests/simulation/random_run.h"

namespace baton {
namespace {

struct Totals {
  uint64_t runs = 0;
  std::vector<uint64_t> failing;  // seeds
  uint64_t failovers = 0;
  uint64_t faults = 0;
  uint64_t jobs = 0;
  double virtual_seconds = 0;
};

void PrintLine(double seconds, const std::string& line) {
  fmt::print("{:12.6f} {}\n", seconds, line);
}

void PrintViolation(uint64_t seed, const RandomRunReport& report) {
  const Violation& first = report.violations.front();
  fmt::print("seed {}: {} at {:.6f} s, step {}: {}\n", seed, first.invariant, first.seconds,
             first.step, first.what);
}

void Replay(const RandomRunOptions& options) {
  if (!log::Init("simulation", "/dev/null", log::Level::kInfo).ok()) return;
  RandomRunOptions traced = options;
  traced.trace = PrintLine;
  (void)RunAtRandom(traced);
  (void)log::Init("simulation", "/dev/null", log::Level::kError);
}

void Add(uint64_t seed, const RandomRunReport& report, Totals& totals) {
  ++totals.runs;
  if (!report.violations.empty()) totals.failing.push_back(seed);
  totals.failovers += report.failovers;
  totals.jobs += report.jobs;
  for (const auto& fault : report.faults) totals.faults += fault.empty() ? 0 : 1;
  totals.virtual_seconds += report.seconds;
}

// "7..12", or one number.
bool ParseRange(const std::string& text, uint64_t& first, uint64_t& last) {
  const size_t dots = text.find("..");
  char* end = nullptr;
  first = last = std::strtoull(text.c_str(), &end, 10);
  if (dots == std::string::npos) return *end == '\0' && end != text.c_str();
  if (end != text.c_str() + dots) return false;
  last = std::strtoull(text.c_str() + dots + 2, &end, 10);
  return *end == '\0' && end != text.c_str() + dots + 2 && first <= last;
}

struct Flags {
  std::string program;
  uint64_t first = 1;
  uint64_t last = 1;
  bool trace = false;
  bool shrink = true;
  uint64_t most_failures = 5;
  std::string broken;
  std::string invariant;
};

// At the very end, for a trace is long: what repeats a failing run, and nothing else.
void PrintCommands(const Flags& flags, const Totals& totals) {
  for (const uint64_t seed : totals.failing) {
    const std::string broken = flags.broken.empty() ? "" : " --break " + flags.broken;
    fmt::print("to repeat it: {} --seed {}{}\n", flags.program, seed, broken);
  }
}

int Simulate(const Flags& flags) {
  Totals totals;
  const auto start = std::chrono::steady_clock::now();
  for (uint64_t seed = flags.first; seed <= flags.last; ++seed) {
    RandomRunOptions options;
    options.seed = seed;
    const RandomRunReport report = RunAtRandom(options);
    Add(seed, report, totals);
    if (flags.trace && report.violations.empty()) Replay(options);
    if (report.violations.empty()) continue;
    PrintViolation(seed, report);
    if (flags.shrink) options = Shrink(options, report);
    if (flags.shrink || flags.trace) Replay(options);
    std::fflush(stdout);
    if (totals.failing.size() >= flags.most_failures) break;
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print(
      "{} runs ({}..{}), {} failing; {} failovers, {} faults, {} jobs, {:.0f} s of virtual time in "
      "{:.1f} s: {:.0f} failovers a second\n",
      totals.runs, flags.first, flags.first + totals.runs - 1, totals.failing.size(),
      totals.failovers, totals.faults, totals.jobs, totals.virtual_seconds, seconds,
      static_cast<double>(totals.failovers) / seconds);
  PrintCommands(flags, totals);
  return totals.failing.empty() ? 0 : 1;
}

// What tests/simulation/breaks.txt holds.
int PrintBreaks(const Flags& flags) {
  fmt::print(
      "# Rules that are left out one at a time, the first of the seeds {}..{} that shows it, and\n"
      "# the invariant that is broken there and not with the rule. Made by: baton-simulate "
      "--breaks\n",
      flags.first, flags.last);
  bool all = true;
  for (const BreakDescription& it : Breaks()) {
    if (!flags.broken.empty() && it.name != flags.broken) continue;
    const auto caught = HuntBreak(it.which, flags.first, flags.last, flags.invariant);
    all = all && caught;
    if (caught) {
      fmt::print("{:32} {:6} {}\n", it.name, caught->seed, caught->invariant);
    } else {
      fmt::print("{:32}      -\n", it.name);
    }
    std::fflush(stdout);
  }
  return all ? 0 : 1;
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Runs a whole cluster under random faults, in one thread and virtual time.\n"
      "Exits with 1 when a promise is broken, after the shortest trace that shows it.");
  Flags flags;
  flags.program = argv[0];
  std::string seeds;
  std::string& broken = flags.broken;
  bool breaks = false;
  app.add_option("--seed,--seeds", seeds, "one seed, or a range such as 1..1000; else 1");
  app.add_flag("--trace", flags.trace, "print what happens, also when nothing breaks");
  app.add_flag("--shrink,!--no-shrink", flags.shrink,
               "leave out what does not matter before a failing run is printed");
  app.add_option("--most-failures", flags.most_failures, "stop after so many failing seeds")
      ->capture_default_str();
  app.add_option("--break", broken,
                 "break this rule of the protocols on purpose; 'list' names them");
  app.add_flag("--breaks", breaks,
               "break every rule (or that of --break) alone, and print the first seed (of 1..2000 "
               "unless said "
               "otherwise) that shows it");
  app.add_option("--invariant", flags.invariant, "with --breaks: count what breaks this one only");
  CLI11_PARSE(app, argc, argv);
  if (seeds.empty()) seeds = breaks ? "1..2000" : "1";
  if (!ParseRange(seeds, flags.first, flags.last)) {
    fmt::print(stderr, "baton-simulate: '{}' is no seed and no range such as 1..1000\n", seeds);
    return 2;
  }
  if (broken == "list") {
    for (const BreakDescription& it : Breaks()) {
      fmt::print("{:32} {}  {}\n", it.name, it.promise, it.what);
    }
    return 0;
  }
  if (!broken.empty()) {
    const auto which = FindBreak(broken);
    if (!which) {
      fmt::print(stderr, "baton-simulate: there is no break '{}'; try --break list\n", broken);
      return 2;
    }
    BreakDeliberately(*which);
  }
  (void)log::Init("simulation", "/dev/null", log::Level::kError);
  return breaks ? PrintBreaks(flags) : Simulate(flags);
}

}  // namespace
}  // namespace baton

int main(int argc, char** argv) { return baton::Main(argc, argv); }
