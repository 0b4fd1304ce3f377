#include "lite_model.h"

#include <include/api/context.h>
#include <include/api/model.h>
#include <include/api/status.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "captured_output.h"
#include "fault.h"

namespace erfnet {
namespace {

constexpr const char* kSeeAll = "; with GLOG_v=1 in the environment MindSpore Lite tells more";

std::shared_ptr<mindspore::DeviceInfoContext> DeviceInfo(const Device& device, Precision precision) {
  const bool half = precision == Precision::kFp16;
  if (!device.ascend) {
    auto cpu = std::make_shared<mindspore::CPUDeviceInfo>();
    cpu->SetEnableFP16(half);
    return cpu;
  }
  auto ascend = std::make_shared<mindspore::AscendDeviceInfo>();
  ascend->SetDeviceID(static_cast<std::uint32_t>(*device.ascend));
  // Lite's own default is enforce_fp16. An Ascend 310 convolves in fp16 alone: what it can is computed in fp32.
  ascend->SetPrecisionMode(std::string(half ? "enforce_fp16" : "preferred_fp32"));
  return ascend;
}

std::optional<ElementType> TypeOf(mindspore::DataType type) {
  switch (type) {
    case mindspore::DataType::kNumberTypeFloat32:
      return ElementType::kFloat32;
    case mindspore::DataType::kNumberTypeFloat16:
      return ElementType::kFloat16;
    case mindspore::DataType::kNumberTypeUInt8:
      return ElementType::kUint8;
    case mindspore::DataType::kNumberTypeInt32:
      return ElementType::kInt32;
    default:
      return std::nullopt;
  }
}

std::string ReasonFor(const mindspore::Status& status, const std::string& log) {
  const std::string reason = ReasonIn(log);
  return reason.empty() ? status.ToString() : reason;
}

class LitePredictor : public Predictor {
 public:
  LitePredictor(std::string name, const Device& device, Precision precision) : name_(std::move(name)) {
    auto context = std::make_shared<mindspore::Context>();
    // More threads for one picture make it no faster (measured on 2 cores); copies of the model do for several.
    context->SetThreadNum(1);
    context->MutableDeviceInfo().push_back(DeviceInfo(device, precision));
    CapturedOutput captured;
    const mindspore::Status status = model_.Build(name_, mindspore::kMindIR, context);
    const std::string log = captured.Release();
    if (!status.IsOk()) {
      ThrowFor(device, ReasonFor(status, log));
    }
    if (precision == Precision::kFp16 && log.find("does not support fp16") != std::string::npos) {
      throw Fault(ExitCode::kUsage, "--precision fp16: this MindSpore Lite computes in fp32 on this CPU; leave it out");
    }
    inputs_ = model_.GetInputs();
  }

  [[nodiscard]] ModelForm Form() {
    const std::vector<mindspore::MSTensor> outputs = model_.GetOutputs();
    if (inputs_.size() != 1 || outputs.size() != 1) {
      throw Fault(ExitCode::kBadModel, name_ + " has " + std::to_string(inputs_.size()) + " inputs and " +
                                           std::to_string(outputs.size()) + " outputs, not one of each as ERFNet");
    }
    const auto input = TypeOf(inputs_[0].DataType());
    const auto output = TypeOf(outputs[0].DataType());
    if (!input || !output) {
      throw Fault(ExitCode::kBadModel, name_ + " has other types than float32, float16, uint8 and int32");
    }
    return UnderstandModel(name_, inputs_[0].Shape(), *input, outputs[0].Shape(), *output);
  }

  const void* Predict(const void* input) override {
    mindspore::MSTensor& tensor = inputs_[0];
    void* data = tensor.MutableData();
    if (data == nullptr) {
      throw Fault(ExitCode::kUnexpected, "MindSpore Lite has no memory for the input of " + name_);
    }
    std::memcpy(data, input, tensor.DataSize());
    const mindspore::Status status = model_.Predict(inputs_, &outputs_);
    const void* output = status.IsOk() && outputs_.size() == 1 ? outputs_[0].MutableData() : nullptr;
    if (output == nullptr) {
      throw Fault(ExitCode::kUnexpected, "MindSpore Lite does not run " + name_ + ": " + status.ToString() + kSeeAll);
    }
    return output;
  }

 private:
  [[noreturn]] void ThrowFor(const Device& device, const std::string& reason) const {
    const bool no_engine =
        device.ascend && (reason.find("scend") != std::string::npos || reason.find("DLSoOpen") != std::string::npos);
    if (no_engine) {
      throw Fault(ExitCode::kNoDevice, "MindSpore Lite " + LiteVersion() + " cannot use Ascend " +
                                           std::to_string(*device.ascend) + " (" + reason +
                                           "): install CANN, source its set_env.sh, and take a Lite for it" + kSeeAll);
    }
    throw Fault(ExitCode::kBadModel, "MindSpore Lite " + LiteVersion() + " does not load " + name_ + ": " + reason +
                                         "; make it anew with `erfnet-jobs run export --format lite`" + kSeeAll);
  }

  std::string name_;
  mindspore::Model model_;
  std::vector<mindspore::MSTensor> inputs_;
  std::vector<mindspore::MSTensor> outputs_;
};

}  // namespace

std::string LiteVersion() { return ERFNET_LITE_VERSION; }

LoadedModel LoadModel(const std::filesystem::path& path, const Device& device, Precision precision,
                      std::size_t copies) {
  LoadedModel loaded;
  for (std::size_t i = 0; i < copies; ++i) {
    auto predictor = std::make_unique<LitePredictor>(path.string(), device, precision);
    if (i == 0) {
      loaded.form = predictor->Form();
    }
    loaded.copies.push_back(std::move(predictor));
  }
  return loaded;
}

}  // namespace erfnet
