// ERFNet in MindSpore Lite.
#ifndef ASCEND310_INFER_LITE_MODEL_H_
#define ASCEND310_INFER_LITE_MODEL_H_

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "arguments.h"
#include "predictor.h"

namespace erfnet {

struct LoadedModel {
  ModelForm form;
  std::vector<std::unique_ptr<Predictor>> copies;
};

// The version of MindSpore Lite that this was built with.
std::string LiteVersion();

// Loads a MINDIR file `copies` times, each copy to run in one thread of its own. Throws Fault: kBadModel, kNoDevice, or
// kUsage where the engine cannot compute in that precision.
LoadedModel LoadModel(const std::filesystem::path& path, const Device& device, Precision precision, std::size_t copies);

}  // namespace erfnet

#endif  // ASCEND310_INFER_LITE_MODEL_H_
