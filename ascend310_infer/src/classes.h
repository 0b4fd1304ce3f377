// Cityscapes' training classes: label ids and colours, as in erfnet_jobs.erfnet.labels.
#ifndef ASCEND310_INFER_CLASSES_H_
#define ASCEND310_INFER_CLASSES_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace erfnet {

// What the network says of a pixel: 19 classes, and one for what is ignored.
inline constexpr std::size_t kOutputs = 20;
inline constexpr std::uint8_t kIgnored = 19;

using Colour = std::array<std::uint8_t, 3>;

// Train ids to label ids; what is ignored becomes 0 (unlabeled).
inline constexpr std::array<std::uint8_t, kOutputs> kLabelIds = {7,  8,  11, 12, 13, 17, 19, 20, 21, 22,
                                                                 23, 24, 25, 26, 27, 28, 31, 32, 33, 0};

// Red, green, blue; black for what is ignored.
inline constexpr std::array<Colour, kOutputs> kPalette = {{
    {128, 64, 128}, {244, 35, 232}, {70, 70, 70},    {102, 102, 156}, {190, 153, 153}, {153, 153, 153}, {250, 170, 30},
    {220, 220, 0},  {107, 142, 35}, {152, 251, 152}, {70, 130, 180},  {220, 20, 60},   {255, 0, 0},     {0, 0, 142},
    {0, 0, 70},     {0, 60, 100},   {0, 80, 100},    {0, 0, 230},     {119, 11, 32},   {0, 0, 0},
}};

}  // namespace erfnet

#endif  // ASCEND310_INFER_CLASSES_H_
