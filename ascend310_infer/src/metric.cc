#include "metric.h"

#include <cstdint>
#include <optional>
#include <system_error>
#include <vector>

#include "fault.h"
#include "files.h"
#include "torch_text.h"

namespace erfnet {
namespace {

constexpr const char* kText = "metric.txt";
constexpr const char* kJson = "metric.json";

std::vector<std::optional<double>> ClassIous(const Confusion& confusion) {
  std::vector<std::optional<double>> ious;
  ious.reserve(kClasses);
  for (std::size_t label = 0; label < kClasses; ++label) {
    ious.push_back(confusion.Iou(label));
  }
  return ious;
}

nlohmann::ordered_json Rows(const Confusion& confusion) {
  auto rows = nlohmann::ordered_json::array();
  for (std::size_t truth = 0; truth < kClasses; ++truth) {
    auto row = nlohmann::ordered_json::array();
    for (std::size_t prediction = 0; prediction <= kClasses; ++prediction) {
      row.push_back(confusion.Count(truth, prediction));
    }
    rows.push_back(row);
  }
  return rows;
}

}  // namespace

double Metric::MeanIou19() const {
  double sum = 0;
  for (std::size_t label = 0; label < kClasses; ++label) {
    sum += confusion.Iou(label).value_or(0);
  }
  return sum / static_cast<double>(kClasses);
}

double Metric::PixelAccuracy() const {
  std::uint64_t right = 0;
  std::uint64_t labelled = 0;
  for (std::size_t truth = 0; truth < kClasses; ++truth) {
    right += confusion.Count(truth, truth);
    for (std::size_t prediction = 0; prediction <= kClasses; ++prediction) {
      labelled += confusion.Count(truth, prediction);
    }
  }
  return labelled == 0 ? 0 : static_cast<double>(right) / static_cast<double>(labelled);
}

nlohmann::ordered_json ToJson(const Metric& metric) {
  auto ious = nlohmann::ordered_json::array();
  for (const auto& iou : ClassIous(metric.confusion)) {
    ious.push_back(iou ? nlohmann::ordered_json(*iou) : nlohmann::ordered_json());
  }
  return {{"height", metric.size.height},
          {"width", metric.size.width},
          {"images", metric.images},
          {"confusion", Rows(metric.confusion)},
          {"mean_iou", metric.confusion.MeanIou()},
          {"mean_iou_19", metric.MeanIou19()},
          {"pixel_accuracy", metric.PixelAccuracy()},
          {"iou_class", ious}};
}

std::string MetricText(const Metric& metric) {
  // Python's print puts a space between what it prints: two after the colon.
  return "mean_iou:  " + NumberText(metric.confusion.MeanIou()) +
         "\niou_class:  " + TensorText(ClassIous(metric.confusion)) + "\n";
}

void WriteMetric(const std::filesystem::path& folder, const Metric& metric) {
  const std::string text = MetricText(metric);
  WriteFile(folder / kText, text.data(), text.size());
  const std::string json = ToJson(metric).dump(2) + "\n";
  WriteFile(folder / kJson, json.data(), json.size());
}

bool RemoveMetric(const std::filesystem::path& folder) {
  bool any = false;
  for (const char* name : {kJson, kText}) {
    std::error_code error;
    any = std::filesystem::remove(folder / name, error) || any;
    if (error) {
      throw Fault(ExitCode::kUsage, (folder / name).string() + " is of an earlier run and cannot be removed (" +
                                        error.message() + "): remove it, or give another --output");
    }
  }
  return any;
}

}  // namespace erfnet
