#include <nlohmann/json.hpp>
#include <ostream>

#include "reporter.h"
#include "tell.h"

namespace erfnet {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const Phase& phase) {
  return {{"mean", phase.mean}, {"p50", phase.p50}, {"p95", phase.p95}, {"p99", phase.p99}, {"threads", phase.threads}};
}

Json ToJson(const Phases& phases) {
  return {{"read", ToJson(phases.read)},
          {"prepare", ToJson(phases.prepare)},
          {"predict", ToJson(phases.predict)},
          {"write", ToJson(phases.write)}};
}

std::string DeviceText(const Device& device) {
  return device.ascend ? "ascend:" + std::to_string(*device.ascend) : "cpu";
}

class AsJson : public Reporter {
 public:
  explicit AsJson(std::ostream& out) : out_(out) {}

  void Started(const Start& start) override {
    Print({{"event", "start"},
           {"version", ERFNET_INFER_VERSION},
           {"lite", start.lite},
           {"engine", start.device.ascend ? "lite-ascend310" : "lite-cpu"},
           {"device", DeviceText(start.device)},
           {"threads", start.threads},
           {"precision", start.precision == Precision::kFp16 ? "fp16" : "fp32"},
           {"images", start.images},
           {"labelled", start.labelled},
           {"model",
            {{"path", start.model.string()},
             {"input", start.form.input_shape},
             {"input_type", NameOf(start.form.input.type)},
             {"output", start.form.output_shape},
             {"output_type", NameOf(start.form.output_type)}}}});
  }

  void Advanced(const Advance& advance) override {
    const auto eta = advance.EtaSeconds();
    Print({{"event", "progress"},
           {"done", advance.done},
           {"total", advance.total},
           {"images_per_second", advance.ImagesPerSecond()},
           {"eta_seconds", eta ? Json(*eta) : Json()}});
  }

  void Saved(const std::string& name, const Files& files) override {
    Json paths = Json::object();
    for (const auto& [kind, path] : files) {
      paths[kind] = path.string();
    }
    Print({{"event", "saved"}, {"name", name}, {"files", paths}});
  }

  void Skipped(const std::filesystem::path& image, const std::string& reason) override {
    Print({{"event", "skipped"}, {"image", image.string()}, {"reason", reason}});
  }

  void Ended(const End& end) override {
    Print({{"event", "end"},
           {"images", end.images},
           {"skipped", end.skipped},
           {"seconds", end.seconds},
           {"images_per_second", Advance{end.images, end.images, end.seconds}.ImagesPerSecond()},
           {"peak_memory_bytes", end.peak_memory},
           {"phases_ms", ToJson(end.phases)},
           {"metric", end.metric ? erfnet::ToJson(*end.metric) : Json()}});
  }

  void Failed(ExitCode code, const std::string& message) override {
    Print({{"event", "error"}, {"exit_code", static_cast<int>(code)}, {"message", message}});
  }

  [[nodiscard]] std::chrono::milliseconds Interval() const override { return std::chrono::milliseconds(500); }

 private:
  void Print(const Json& event) {
    // File names may hold bytes that are no UTF-8.
    Tell(out_, event.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
  }

  std::ostream& out_;
};

}  // namespace

std::unique_ptr<Reporter> JsonReporter(std::ostream& out) { return std::make_unique<AsJson>(out); }

}  // namespace erfnet
