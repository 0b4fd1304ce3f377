#include "converter.h"

#include <string>
#include <vector>

#include "captured_output.h"
#include "fault.h"
#include "lite_converter.h"

namespace erfnet {
namespace {

std::vector<char> Characters(const std::string& text) { return {text.begin(), text.end()}; }

}  // namespace

void ConvertOnnx(const std::filesystem::path& onnx, const std::filesystem::path& output) {
  CapturedOutput captured;
  // The converter adds .mindir itself.
  const std::string stem = std::filesystem::path(output).replace_extension().string();
  mindspore::Converter converter(mindspore::converter::kFmkTypeOnnx, Characters(onnx.string()), Characters(stem), {});
  converter.SetSaveType(mindspore::kMindIR);
  const mindspore::Status status = converter.Convert();
  const std::string reason = ReasonIn(captured.Release());
  if (!status.IsOk() || !std::filesystem::exists(output)) {
    throw Fault(ExitCode::kBadModel, "MindSpore Lite does not convert " + onnx.string() + ": " +
                                         (reason.empty() ? status.ToString() : reason) +
                                         "; give the ONNX file that `erfnet-jobs run export --format onnx` writes");
  }
}

}  // namespace erfnet
