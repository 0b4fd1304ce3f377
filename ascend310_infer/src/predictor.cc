#include "predictor.h"

#include "classes.h"
#include "fault.h"

namespace erfnet {
namespace {

using Shape = std::vector<std::int64_t>;

std::string Text(const Shape& shape) {
  std::string text;
  for (const std::int64_t side : shape) {
    text += (text.empty() ? "" : "x") + std::to_string(side);
  }
  return text.empty() ? "nothing" : text;
}

[[noreturn]] void Refuse(const std::string& name, const std::string& what, const std::string& remedy) {
  throw Fault(ExitCode::kBadModel, name + " " + what + ": " + remedy);
}

constexpr const char* kExport = "export ERFNet with `erfnet-jobs run export --format lite`";

void CheckInput(const std::string& name, const Shape& shape, ElementType type) {
  if (shape.size() != 4 || (shape[1] != 3 && shape[3] != 3)) {
    Refuse(name, "takes " + Text(shape) + ", not 1x3xHxW of a picture", kExport);
  }
  if (shape[0] != 1) {
    Refuse(name, "takes " + Text(shape) + ", and one picture goes in at a time", "export it with `--batch 1`");
  }
  for (const std::int64_t side : shape) {
    if (side < 1 || side > 65536) {
      Refuse(name, "takes " + Text(shape) + ", which is no size", "export it with a fixed `--size`");
    }
  }
  if (type == ElementType::kInt32) {
    Refuse(name, "takes int32", "export it with float32, float16 or uint8 pixels");
  }
}

// Where in `shape` height and width stand: 20 logits a pixel, or a class each.
Size OutputSize(const std::string& name, const Shape& shape, bool argmax) {
  const bool fits = argmax ? shape.size() == 3 && shape[0] == 1
                           : shape.size() == 4 && shape[0] == 1 && shape[1] == static_cast<std::int64_t>(kOutputs);
  const std::size_t first = argmax ? 1 : 2;
  if (!fits || shape[first] < 1 || shape[first + 1] < 1) {
    Refuse(name, "gives " + Text(shape) + ", neither logits 1x20xHxW nor classes 1xHxW", kExport);
  }
  return {static_cast<std::size_t>(shape[first]), static_cast<std::size_t>(shape[first + 1])};
}

}  // namespace

std::string NameOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return "float32";
    case ElementType::kFloat16:
      return "float16";
    case ElementType::kUint8:
      return "uint8";
    case ElementType::kInt32:
      return "int32";
  }
  return "unknown";
}

ModelForm UnderstandModel(const std::string& name, const Shape& input_shape, ElementType input_type,
                          const Shape& output_shape, ElementType output_type) {
  CheckInput(name, input_shape, input_type);
  if (output_type == ElementType::kUint8) {
    Refuse(name, "gives uint8, neither logits nor int32 classes", kExport);
  }
  const bool nchw = input_shape[1] == 3;
  const auto height = static_cast<std::size_t>(input_shape[nchw ? 2 : 1]);
  const auto width = static_cast<std::size_t>(input_shape[nchw ? 3 : 2]);
  const bool argmax = output_type == ElementType::kInt32;
  const Size output = OutputSize(name, output_shape, argmax);
  const std::size_t scale = height / output.height;
  if (scale == 0 || Size{output.height * scale, output.width * scale} != Size{height, width}) {
    Refuse(name, "takes " + Text(input_shape) + " and gives " + Text(output_shape) + ", which do not belong together",
           kExport);
  }
  const TensorForm input{{height, width}, input_type, nchw ? Layout::kNchw : Layout::kNhwc};
  return {input_shape, input, output_shape, output_type, output, argmax};
}

}  // namespace erfnet
