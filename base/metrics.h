// Metrics: counters, gauges and histograms by name and labels, rendered as Prometheus text.
//
//   Counter& accepted = metrics.GetCounter("baton_submissions_total", "…", {{"outcome", "ok"}});
//   accepted.Increment();
//
// The Registry owns what it hands out: references stay good as long as it lives, and asking again
// with the same name and labels gives the same one. A name has one kind and one help text.
//
// Threading: any thread; incrementing takes no lock. prometheus-cpp stays behind this header.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace baton {

using MetricLabels = std::map<std::string, std::string>;

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Increment(double by = 1) = 0;  // negative: ignored
  virtual double Value() const = 0;
};

class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
  virtual void Increment(double by = 1) = 0;  // negative: down
  virtual double Value() const = 0;
};

class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

// Upper bounds in seconds from 1 ms to 60 s, for durations.
const std::vector<double>& DurationBuckets();

class MetricsRegistry {
 public:
  MetricsRegistry();
  ~MetricsRegistry();
  MetricsRegistry(const MetricsRegistry&) = delete;
  MetricsRegistry& operator=(const MetricsRegistry&) = delete;

  // Names are [a-zA-Z_:][a-zA-Z0-9_:]*. A bad name, or one that is of another kind already, is a
  // programming error: aborts.
  Counter& GetCounter(const std::string& name, const std::string& help,
                      const MetricLabels& labels = {});
  Gauge& GetGauge(const std::string& name, const std::string& help,
                  const MetricLabels& labels = {});
  // The first call with these labels decides the buckets (upper bounds, ascending).
  Histogram& GetHistogram(const std::string& name, const std::string& help,
                          const std::vector<double>& buckets, const MetricLabels& labels = {});

  // The text exposition format, version 0.0.4.
  std::string RenderText() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
