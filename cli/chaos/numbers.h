// Quantiles of a few measurements.

#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace baton {

// The smallest value that at least `share` of the values do not exceed; 0 where there is none.
inline double Quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double rank = std::ceil(share * static_cast<double>(values.size()));
  return values[static_cast<size_t>(std::max(1.0, rank)) - 1];
}

}  // namespace baton
