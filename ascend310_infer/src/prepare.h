// A picture into the tensor that the model takes.
#ifndef ASCEND310_INFER_PREPARE_H_
#define ASCEND310_INFER_PREPARE_H_

#include <cstddef>
#include <vector>

#include "image.h"

namespace erfnet {

enum class ElementType { kFloat32, kFloat16, kUint8, kInt32 };
enum class Layout { kNchw, kNhwc };

// One picture of a tensor: its size in pixels, its type and layout. Values are 0 to 1, of uint8 0 to 255.
struct TensorForm {
  Size size;
  ElementType type = ElementType::kFloat32;
  Layout layout = Layout::kNchw;
};

// Bytes of one picture with 3 channels in this form.
std::size_t BytesOf(const TensorForm& form);

// Writes `image` (RGB) resized to the form into `out`, which has BytesOf(form) bytes. 8-bit values become floats as in
// erfnet_jobs.erfnet.transforms: multiplied by float32(1/255).
void Prepare(const Image& image, const TensorForm& form, void* out);

}  // namespace erfnet

#endif  // ASCEND310_INFER_PREPARE_H_
