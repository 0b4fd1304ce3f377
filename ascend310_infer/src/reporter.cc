#include "reporter.h"

namespace erfnet {

double Advance::ImagesPerSecond() const { return seconds > 0 ? static_cast<double>(done) / seconds : 0; }

std::optional<double> Advance::EtaSeconds() const {
  if (done == 0) {
    return std::nullopt;
  }
  return seconds / static_cast<double>(done) * static_cast<double>(total - done);
}

}  // namespace erfnet
