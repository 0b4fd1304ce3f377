// From what Cityscapes' label files hold to the 19 training classes, 19 for what is ignored: as
// erfnet_jobs.erfnet.labels.
#ifndef ASCEND310_INFER_TRAIN_IDS_H_
#define ASCEND310_INFER_TRAIN_IDS_H_

#include <array>
#include <cstdint>
#include <string>

namespace erfnet {

// What a value becomes that no such file may hold.
inline constexpr std::uint8_t kNoLabel = 254;

struct TrainIds {
  std::array<std::uint8_t, 256> of;
  // What a file may hold, in words.
  const char* allowed;
};

// The table for a file of this name: labelTrainIds by its suffix, else labelIds.
const TrainIds& TrainIdsOf(const std::string& file_name);

}  // namespace erfnet

#endif  // ASCEND310_INFER_TRAIN_IDS_H_
