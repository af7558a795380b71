#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <sstream>
#include <utility>

namespace baton {
namespace {

class PrometheusCounter final : public Counter {
 public:
  explicit PrometheusCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Increment(double by) override { counter_.Increment(by); }
  double Value() const override { return counter_.Value(); }

 private:
  prometheus::Counter& counter_;
};

class PrometheusGauge final : public Gauge {
 public:
  explicit PrometheusGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_.Set(value); }
  void Increment(double by) override { gauge_.Increment(by); }
  double Value() const override { return gauge_.Value(); }

 private:
  prometheus::Gauge& gauge_;
};

class PrometheusHistogram final : public Histogram {
 public:
  explicit PrometheusHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

// Runs `make`, which throws where a name or label is bad or taken by another kind.
template <class F>
auto& OrAbort(const std::string& name, F make) {
  try {
    return make();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "metric %s: %s\n", name.c_str(), e.what());
    std::abort();
  }
}

}  // namespace

struct MetricsRegistry::Impl {
  using Key = std::pair<std::string, MetricLabels>;

  prometheus::Registry registry;
  std::mutex mutex;
  // Guarded by mutex; what the pointers hold is shared freely.
  std::map<Key, std::unique_ptr<Counter>> counters;
  std::map<Key, std::unique_ptr<Gauge>> gauges;
  std::map<Key, std::unique_ptr<Histogram>> histograms;
};

const std::vector<double>& DurationBuckets() {
  static const std::vector<double>& buckets = *new std::vector<double>{
      .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 60};
  return buckets;
}

MetricsRegistry::MetricsRegistry() : impl_(std::make_unique<Impl>()) {}
MetricsRegistry::~MetricsRegistry() = default;

Counter& MetricsRegistry::GetCounter(const std::string& name, const std::string& help,
                                     const MetricLabels& labels) {
  std::lock_guard lock(impl_->mutex);
  auto& slot = impl_->counters[{name, labels}];
  if (!slot) {
    slot = std::make_unique<PrometheusCounter>(OrAbort(
        name, [&]() -> auto& {
          return prometheus::BuildCounter()
              .Name(name)
              .Help(help)
              .Register(impl_->registry)
              .Add(labels);
        }));
  }
  return *slot;
}

Gauge& MetricsRegistry::GetGauge(const std::string& name, const std::string& help,
                                 const MetricLabels& labels) {
  std::lock_guard lock(impl_->mutex);
  auto& slot = impl_->gauges[{name, labels}];
  if (!slot) {
    slot = std::make_unique<PrometheusGauge>(OrAbort(
        name, [&]() -> auto& {
          return prometheus::BuildGauge()
              .Name(name)
              .Help(help)
              .Register(impl_->registry)
              .Add(labels);
        }));
  }
  return *slot;
}

Histogram& MetricsRegistry::GetHistogram(const std::string& name, const std::string& help,
                                         const std::vector<double>& buckets,
                                         const MetricLabels& labels) {
  std::lock_guard lock(impl_->mutex);
  auto& slot = impl_->histograms[{name, labels}];
  if (!slot) {
    slot = std::make_unique<PrometheusHistogram>(OrAbort(
        name, [&]() -> auto& {
          return prometheus::BuildHistogram()
              .Name(name)
              .Help(help)
              .Register(impl_->registry)
              .Add(labels, buckets);
        }));
  }
  return *slot;
}

std::string MetricsRegistry::RenderText() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, impl_->registry.Collect());
  return out.str();
}

}  // namespace baton
