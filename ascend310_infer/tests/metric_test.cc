#include "metric.h"

#include <doctest/doctest.h>

#include "expect_fault.h"
#include "temporary_folder.h"

namespace erfnet {
namespace {

Metric Measured() {
  Metric metric;
  metric.size = {2, 4};
  metric.images = 1;
  const std::vector<std::uint8_t> truth = {0, 0, 0, 0, 1, 1, 1, 19};
  const std::vector<std::uint8_t> prediction = {0, 0, 0, 1, 1, 1, 19, 0};
  metric.confusion.Add(truth.data(), prediction.data(), truth.size());
  return metric;
}

TEST_CASE("averages present classes, and all of them") {
  const Metric metric = Measured();
  CHECK(metric.confusion.MeanIou() == doctest::Approx((0.75 + 0.5) / 2).epsilon(1e-12));
  CHECK(metric.MeanIou19() == doctest::Approx((0.75 + 0.5) / 19).epsilon(1e-12));
  CHECK(metric.PixelAccuracy() == doctest::Approx(5.0 / 7).epsilon(1e-12));
  CHECK(Metric().PixelAccuracy() == 0);
}

TEST_CASE("tells all in JSON") {
  const auto json = ToJson(Measured());
  CHECK(json["height"] == 2);
  CHECK(json["width"] == 4);
  CHECK(json["images"] == 1);
  CHECK(json["confusion"].size() == kClasses);
  CHECK(json["confusion"][1].size() == kClasses + 1);
  CHECK(json["confusion"][1][19] == 1);
  CHECK(json["iou_class"][0] == 0.75);
  CHECK(json["iou_class"][2].is_null());
}

TEST_CASE("writes the reference's text beside it") {
  const TemporaryFolder folder;
  WriteMetric(folder.path(), Measured());
  const std::string text = ContentOf(folder.path() / "metric.txt");
  CHECK(text.rfind("mean_iou:  0.625\niou_class:  tensor([0.7500, 0.5000,    nan,", 0) == 0);
  CHECK(text.find(" dtype=torch.float64)\n") == text.size() - 22);
  CHECK(nlohmann::json::parse(ContentOf(folder.path() / "metric.json"))["mean_iou"] == 0.625);
}

TEST_CASE("removes those of an earlier run, and nothing else") {
  const TemporaryFolder folder;
  (void)folder.Write("a_pred_labelIds.png", "");
  CHECK_FALSE(RemoveMetric(folder.path()));
  WriteMetric(folder.path(), Measured());
  CHECK(RemoveMetric(folder.path()));
  CHECK(folder.Names() == std::vector<std::string>{"a_pred_labelIds.png"});
  (void)folder.Write("metric.txt/a", "");
  ExpectFault([&] { RemoveMetric(folder.path()); }, ExitCode::kUsage, {"metric.txt", "--output"});
}

}  // namespace
}  // namespace erfnet
