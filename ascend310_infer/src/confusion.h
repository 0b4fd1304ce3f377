// The confusion matrix of a segmentation, and the intersection over union that follows from it.
#ifndef ASCEND310_INFER_CONFUSION_H_
#define ASCEND310_INFER_CONFUSION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace erfnet {

// Cityscapes' 19 training classes; label 19 is ignored in the truth and counts as no class in a prediction.
inline constexpr std::size_t kClasses = 19;

class Confusion {
 public:
  // Counts `size` pixels. Truth of 19 and above is left out, as the official evaluation does; a prediction of 19 and
  // above counts against its true class and for no other.
  void Add(const std::uint8_t* truth, const std::uint8_t* prediction, std::size_t size);

  // true positives / (true positives + false positives + false negatives); nothing where the class occurs in neither
  // truth nor prediction.
  std::optional<double> Iou(std::size_t label) const;

  // The mean over the classes that occur; 0 when none does.
  double MeanIou() const;

  std::uint64_t Count(std::size_t truth, std::size_t prediction) const { return counts_[truth][prediction]; }

 private:
  std::array<std::array<std::uint64_t, kClasses + 1>, kClasses> counts_{};
};

}  // namespace erfnet

#endif  // ASCEND310_INFER_CONFUSION_H_
