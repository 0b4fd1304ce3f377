#include "results.h"

#include <utility>

namespace erfnet {

Results::Results(const std::vector<Picture>& pictures, std::optional<Size> measured_at, Reporter& reporter)
    : pictures_(pictures), reporter_(reporter) {
  if (measured_at) {
    metric_.emplace();
    metric_->size = *measured_at;
  }
}

void Results::Skipped(std::size_t index, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  ++skipped_;
  Add(index, {{}, reason});
}

void Results::Done(std::size_t index, Files files, const Times& times) {
  const std::lock_guard lock(mutex_);
  for (std::size_t step = 0; step < kSteps; ++step) {
    times_[step].push_back(times[step]);
  }
  Add(index, {std::move(files), std::nullopt});
}

void Results::Compared(const Image& truth, const Image& prediction) {
  const std::lock_guard lock(mutex_);
  metric_->confusion.Add(truth.pixels.data(), prediction.pixels.data(), truth.pixels.size());
  ++metric_->images;
}

void Results::Add(std::size_t index, Result result) {
  ++done_;
  waiting_.emplace(index, std::move(result));
  for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_; ++next_) {
    Tell(first->first, first->second);
    first = waiting_.erase(first);
  }
  const double now = Seconds();
  const double interval = std::chrono::duration<double>(reporter_.Interval()).count();
  if (now - told_ >= interval || done_ == pictures_.size()) {
    told_ = now;
    reporter_.Advanced({done_, pictures_.size(), now});
  }
}

void Results::Tell(std::size_t index, const Result& result) {
  if (result.reason) {
    reporter_.Skipped(pictures_[index].image, *result.reason);
  } else {
    reporter_.Saved(pictures_[index].name, result.files);
  }
}

End Results::Finish(const std::array<std::size_t, kSteps>& threads) {
  const std::lock_guard lock(mutex_);
  for (const auto& [index, result] : std::exchange(waiting_, {})) {
    Tell(index, result);
  }
  const auto phase = [&](Step step) { return Phase{Summarize(times_.at(step)), threads.at(step)}; };
  const Phases phases{phase(kRead), phase(kPrepare), phase(kPredict), phase(kWrite)};
  return {done_ - skipped_, skipped_, Seconds(), PeakMemory(), phases, metric_};
}

double Results::Seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
}

}  // namespace erfnet
