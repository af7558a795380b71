#include "base/metrics.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace baton {
namespace {

TEST(MetricsTest, RendersWhatWasCounted) {
  MetricsRegistry metrics;
  metrics.GetCounter("jobs_total", "Jobs.", {{"outcome", "ok"}}).Increment(2);
  metrics.GetCounter("jobs_total", "Jobs.", {{"outcome", "failed"}}).Increment();
  metrics.GetGauge("epoch", "The epoch.").Set(7);
  auto& latency = metrics.GetHistogram("latency_seconds", "Latency.", {0.1, 1});
  latency.Observe(0.05);
  latency.Observe(5);
  const std::string text = metrics.RenderText();
  for (const char* line :
       {"# HELP jobs_total Jobs.\n", "# TYPE jobs_total counter\n",
        "jobs_total{outcome=\"ok\"} 2\n", "jobs_total{outcome=\"failed\"} 1\n",
        "# TYPE epoch gauge\n", "epoch 7\n", "latency_seconds_bucket{le=\"0.1\"} 1\n",
        "latency_seconds_bucket{le=\"+Inf\"} 2\n", "latency_seconds_count 2\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "in\n" << text;
  }
}

TEST(MetricsTest, TheSameNameAndLabelsAreTheSameMetric) {
  MetricsRegistry metrics;
  Counter& one = metrics.GetCounter("a_total", "A.", {{"x", "1"}});
  EXPECT_EQ(&one, &metrics.GetCounter("a_total", "A.", {{"x", "1"}}));
  EXPECT_NE(&one, &metrics.GetCounter("a_total", "A.", {{"x", "2"}}));
  Gauge& gauge = metrics.GetGauge("g", "G.");
  gauge.Increment(3);
  gauge.Increment(-1);
  EXPECT_EQ(gauge.Value(), 2);
}

TEST(MetricsTest, NoIncrementIsLost) {
  MetricsRegistry metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10'000; ++n) metrics.GetCounter("a_total", "A.").Increment();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(metrics.GetCounter("a_total", "A.").Value(), 40'000);
}

TEST(MetricsDeathTest, ANameOfTwoKindsIsABug) {
  MetricsRegistry metrics;
  metrics.GetCounter("a_total", "A.");
  EXPECT_DEATH(metrics.GetGauge("a_total", "A."), "a_total");
}

}  // namespace
}  // namespace baton
