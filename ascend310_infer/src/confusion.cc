#include "confusion.h"

#include <algorithm>

namespace erfnet {

void Confusion::Add(const std::uint8_t* truth, const std::uint8_t* prediction, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    if (truth[i] < kClasses) {
      ++counts_[truth[i]][std::min<std::size_t>(prediction[i], kClasses)];
    }
  }
}

std::optional<double> Confusion::Iou(std::size_t label) const {
  std::uint64_t of_truth = 0;
  std::uint64_t of_prediction = 0;
  for (const std::uint64_t count : counts_[label]) {
    of_truth += count;
  }
  for (const auto& row : counts_) {
    of_prediction += row[label];
  }
  const std::uint64_t hit = counts_[label][label];
  const std::uint64_t together = of_truth + of_prediction - hit;
  if (together == 0) {
    return std::nullopt;
  }
  return static_cast<double>(hit) / static_cast<double>(together);
}

double Confusion::MeanIou() const {
  double sum = 0;
  std::size_t present = 0;
  for (std::size_t label = 0; label < kClasses; ++label) {
    if (const auto iou = Iou(label)) {
      sum += *iou;
      ++present;
    }
  }
  return present == 0 ? 0 : sum / static_cast<double>(present);
}

}  // namespace erfnet
