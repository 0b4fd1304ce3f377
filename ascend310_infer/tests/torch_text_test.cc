#include "torch_text.h"

#include <doctest/doctest.h>

namespace erfnet {
namespace {

using Values = std::vector<std::optional<double>>;

// What print(torch.tensor(...)) of PyTorch 2.13 gives.
TEST_CASE("prints shares as PyTorch does") {
  CHECK(TensorText(Values{0.5, 0.25, std::nullopt}) == "tensor([0.5000, 0.2500,    nan], dtype=torch.float64)");
  CHECK(TensorText(Values{1.0, 0.0}) == "tensor([1., 0.], dtype=torch.float64)");
  CHECK(TensorText(Values{std::nullopt}) == "tensor([nan], dtype=torch.float64)");
  CHECK(TensorText(Values{0.9, 0.0001}) == "tensor([9.0000e-01, 1.0000e-04], dtype=torch.float64)");
}

TEST_CASE("breaks lines at 80 columns") {
  CHECK(TensorText(Values(19, 0.5)) ==
        "tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,\n"
        "        0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000,\n"
        "        0.5000], dtype=torch.float64)");
  CHECK(TensorText(Values(9, 0.5)) ==
        "tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000, 0.5000],\n"
        "       dtype=torch.float64)");
}

TEST_CASE("prints numbers as Python does") {
  CHECK(NumberText(0.1) == "0.1");
  CHECK(NumberText(0) == "0.0");
  CHECK(NumberText(1.0 / 3.0) == "0.3333333333333333");
}

}  // namespace
}  // namespace erfnet
