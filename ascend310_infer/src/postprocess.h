// What the model says of each pixel into classes.
#ifndef ASCEND310_INFER_POSTPROCESS_H_
#define ASCEND310_INFER_POSTPROCESS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image.h"

namespace erfnet {

// IEEE 754's 16-bit floats, which are given by their bits, as 32-bit ones.
float FromHalf(std::uint16_t half);
void FromHalves(const std::uint16_t* halves, std::size_t size, std::vector<float>& out);

// The class with the largest of kOutputs x `pixels` logits for each pixel, the first of equal ones as numpy's argmax;
// false where a logit is not finite, and `classes` has no meaning then.
bool Argmax(const float* logits, std::size_t pixels, std::uint8_t* classes);

// Classes that the model chose itself; false where one is not 0 to kOutputs - 1.
bool FromIds(const std::int32_t* ids, std::size_t pixels, std::uint8_t* classes);

// A label map of any size as the evaluation at the model's size compares it: resized to `input` by the nearest pixel,
// then to `output` by the middle of each block (erfnet_jobs.erfnet.transforms.prepare_label).
Image LabelAt(const Image& label, Size input, Size output);

}  // namespace erfnet

#endif  // ASCEND310_INFER_POSTPROCESS_H_
