// MindSpore Lite's converter, from ONNX to MINDIR.
#ifndef ASCEND310_INFER_CONVERTER_H_
#define ASCEND310_INFER_CONVERTER_H_

#include <filesystem>

namespace erfnet {

// Writes `output`, whose name ends with .mindir as the converter wants it. Throws Fault (kBadModel).
void ConvertOnnx(const std::filesystem::path& onnx, const std::filesystem::path& output);

}  // namespace erfnet

#endif  // ASCEND310_INFER_CONVERTER_H_
