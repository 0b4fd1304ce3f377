#include "torch_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace erfnet {
namespace {

constexpr const char* kPrefix = "tensor(";
constexpr std::size_t kIndent = 7;
constexpr const char* kType = "dtype=torch.float64";
constexpr std::size_t kTypeLength = 19;
constexpr std::size_t kColumns = 80;
constexpr double kRatio = 1000;
constexpr double kSmallest = 1e-4;

enum class Form { kWhole, kFixed, kScientific };

Form FormOf(const std::vector<double>& counted) {
  if (std::all_of(counted.begin(), counted.end(), [](double value) { return value == std::floor(value); })) {
    return Form::kWhole;
  }
  const auto [least, most] = std::minmax_element(counted.begin(), counted.end());
  return *most / *least > kRatio || *least < kSmallest ? Form::kScientific : Form::kFixed;
}

std::string Entry(const std::optional<double>& value, Form form) {
  if (!value) {
    return "nan";
  }
  std::array<char, 64> text{};
  switch (form) {
    case Form::kWhole:
      std::snprintf(text.data(), text.size(), "%.0f.", *value);
      break;
    case Form::kFixed:
      std::snprintf(text.data(), text.size(), "%.4f", *value);
      break;
    case Form::kScientific:
      std::snprintf(text.data(), text.size(), "%.4e", *value);
      break;
  }
  return text.data();
}

std::string Padded(const std::string& entry, std::size_t width) {
  return entry.size() < width ? std::string(width - entry.size(), ' ') + entry : entry;
}

}  // namespace

std::string TensorText(const std::vector<std::optional<double>>& values) {
  std::vector<double> counted;
  for (const auto& value : values) {
    if (value && *value > 0) {
      counted.push_back(*value);
    }
  }
  const Form form = FormOf(counted);
  // PyTorch takes the width from the numbers that are neither 0 nor nan.
  std::size_t width = counted.empty() ? 1 : 0;
  for (const double value : counted) {
    width = std::max(width, Entry(value, form).size());
  }
  const std::size_t per_line = (kColumns - kIndent) / (width + 2);
  std::string text = std::string(kPrefix) + "[";
  std::size_t line_start = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && i % per_line == 0) {
      text += ",\n";
      line_start = text.size();
      text += std::string(kIndent + 1, ' ');
    } else if (i > 0) {
      text += ", ";
    }
    text += Padded(Entry(values[i], form), width);
  }
  text += "]";
  // The comma and the closing bracket belong to the last line too.
  const bool fits = text.size() - line_start + kTypeLength + 4 <= kColumns;
  return text + (fits ? ", " : ",\n" + std::string(kIndent, ' ')) + kType + ")";
}

std::string NumberText(double value) { return nlohmann::json(value).dump(); }

}  // namespace erfnet
