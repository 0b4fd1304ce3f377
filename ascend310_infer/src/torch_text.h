// Numbers as PyTorch prints them, which the reference's metric.txt has.
#ifndef ASCEND310_INFER_TORCH_TEXT_H_
#define ASCEND310_INFER_TORCH_TEXT_H_

#include <optional>
#include <string>
#include <vector>

namespace erfnet {

// A float64 vector of shares (0 to 1, nothing as nan) as the repr of a torch.Tensor (torch/_tensor_str.py): 4 digits,
// 80 columns, scientific where the largest is more than 1000 times the smallest that is not 0, or that below 1e-4.
std::string TensorText(const std::vector<std::optional<double>>& values);

// A number as Python's repr prints it: the shortest digits that are read back as the same.
std::string NumberText(double value);

}  // namespace erfnet

#endif  // ASCEND310_INFER_TORCH_TEXT_H_
