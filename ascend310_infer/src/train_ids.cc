#include "train_ids.h"

#include "confusion.h"
#include "suffix.h"

namespace erfnet {
namespace {

constexpr std::uint8_t kIgnore = kClasses;
constexpr std::size_t kNone = 255;
constexpr std::size_t kLabelIds = 34;

// The labelId of each training class: cityscapesScripts, cityscapesscripts/helpers/labels.py.
constexpr std::array<std::uint8_t, kClasses> kLabelIdOf = {7,  8,  11, 12, 13, 17, 19, 20, 21, 22,
                                                           23, 24, 25, 26, 27, 28, 31, 32, 33};

constexpr TrainIds FromLabelIds() {
  TrainIds table{{}, "0 to 33"};
  for (std::size_t value = 0; value < table.of.size(); ++value) {
    table.of[value] = value < kLabelIds ? kIgnore : kNoLabel;
  }
  table.of[kNone] = kIgnore;
  for (std::uint8_t label = 0; label < kClasses; ++label) {
    table.of[kLabelIdOf[label]] = label;
  }
  return table;
}

constexpr TrainIds FromTrainIds() {
  TrainIds table{{}, "0 to 18"};
  for (std::size_t value = 0; value < table.of.size(); ++value) {
    table.of[value] = value < kClasses ? static_cast<std::uint8_t>(value) : kNoLabel;
  }
  table.of[kNone] = kIgnore;
  return table;
}

constexpr TrainIds kFromLabelIds = FromLabelIds();
constexpr TrainIds kFromTrainIds = FromTrainIds();

}  // namespace

const TrainIds& TrainIdsOf(const std::string& file_name) {
  return EndsWith(file_name, "_labelTrainIds.png") ? kFromTrainIds : kFromLabelIds;
}

}  // namespace erfnet
