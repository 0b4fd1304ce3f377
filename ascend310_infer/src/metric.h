// What was measured against labels, as erfnet-jobs' evaluations count it, and the files that tell it.
#ifndef ASCEND310_INFER_METRIC_H_
#define ASCEND310_INFER_METRIC_H_

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "confusion.h"
#include "image.h"

namespace erfnet {

struct Metric {
  // Where predictions were compared with labels: the model's output.
  Size size;
  std::size_t images = 0;
  Confusion confusion;

  // The mean over all classes, absent ones as 0, as the reference's code has it.
  [[nodiscard]] double MeanIou19() const;
  // The share of labelled pixels that are right; 0 of none.
  [[nodiscard]] double PixelAccuracy() const;
};

// `height`, `width`, `images`, `confusion`, `mean_iou`, `mean_iou_19`, `pixel_accuracy`, `iou_class`.
nlohmann::ordered_json ToJson(const Metric& metric);

// The two lines of the reference's src/eval310.py; absent classes stand as nan, as in erfnet-jobs' metrics files.
std::string MetricText(const Metric& metric);

// metric.txt and metric.json. Throws Fault as NewFile.
void WriteMetric(const std::filesystem::path& folder, const Metric& metric);

// Removes both: those of an earlier run would be taken for those of what is written from now on. Says whether there was
// one. Throws Fault (kUsage) where one cannot be removed.
bool RemoveMetric(const std::filesystem::path& folder);

}  // namespace erfnet

#endif  // ASCEND310_INFER_METRIC_H_
